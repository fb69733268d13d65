"""Work on many images in as many threads as this process may use."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed

from resight.progress import progress as watched

_CHUNK = 64  # rows a thread takes at once: enough to hide the cost of handing work over


def in_threads(work: Callable[[int], None], count: int, *, what: str, progress: bool) -> None:
    """Do a piece of work for each row of a table, in as many threads as this process may use.

    Args:
        work: Takes a row, ``0..count-1``; several threads call it at once.
        count: How many rows there are.
        what: What is being done, a few words, for the progress bar.
        progress: Whether to show one.

    Raises:
        Exception: The first that ``work`` raises; the rows that are still waiting are dropped.
    """
    stopped = threading.Event()

    def chunk(rows: range) -> range:
        for row in rows:
            if stopped.is_set():
                break
            work(row)
        return rows

    with open_pool(stopped) as pool:
        chunks = [range(at, min(at + _CHUNK, count)) for at in range(0, count, _CHUNK)]
        finished = as_completed([pool.submit(chunk, rows) for rows in chunks])
        rows_done = (row for future in finished for row in future.result())
        for _ in watched(rows_done, what, total=count) if progress else rows_done:
            pass


@contextlib.contextmanager
def open_pool(stopped: threading.Event | None = None) -> Iterator[ThreadPoolExecutor]:
    """Open a pool of as many threads as this process may use, at most 32.

    An error or an interrupt drops what is in the queue, and does not wait for what is being done.

    Args:
        stopped: Is set then, for work that takes long to look at.
    """
    # Not as many as the machine has cores: containers are often given a few of many.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    pool = ThreadPoolExecutor(max_workers=min(cores, 32), thread_name_prefix="resight")
    try:
        yield pool
    except BaseException:
        if stopped is not None:
            stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
