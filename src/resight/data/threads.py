"""Process many images with all threads that this process may use."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed

from resight.progress import progress as show_progress

_CHUNK = 64  # rows per task, enough to hide the cost of a task


def in_threads(work: Callable[[int], None], count: int, *, what: str, progress: bool) -> None:
    """Call a function for each row of a table, with all threads that this process may use.

    Args:
        work: Takes a row, ``0..count-1``; several threads call it at once.
        count: Number of rows.
        what: The task in a few words, for the progress bar.
        progress: Whether to show a progress bar.

    Raises:
        Exception: The first error of ``work``. Rows that have not started are dropped.
    """
    stopped = threading.Event()

    def chunk(rows: range) -> range:
        for row in rows:
            if stopped.is_set():
                break
            work(row)
        return rows

    with open_pool(stopped) as pool:
        chunks = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
        finished = as_completed([pool.submit(chunk, rows) for rows in chunks])
        rows_done = (row for future in finished for row in future.result())
        for _ in show_progress(rows_done, what, total=count) if progress else rows_done:
            pass


def num_cores() -> int:
    """Return the number of cores of this process, not of the machine: a container often has only some of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


@contextlib.contextmanager
def open_pool(stopped: threading.Event | None = None) -> Iterator[ThreadPoolExecutor]:
    """Open a pool of all threads that this process may use, at most 32.

    An error or an interrupt drops queued tasks and does not wait for running ones.

    Args:
        stopped: Set on an error or an interrupt, so that long tasks can check it.
    """
    pool = ThreadPoolExecutor(max_workers=min(num_cores(), 32), thread_name_prefix="resight")
    try:
        yield pool
    except BaseException:
        if stopped is not None:
            stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
