"""Progress bars for anything that takes over two seconds, on standard error and only on a terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")

PATIENCE = 2.0
"""Seconds of work up to which there is no bar."""


def progress(items: Iterable[Item], what: str, *, total: int | None = None) -> Iterator[Item]:
    """Iterate over items, with a bar and an estimate of the remaining time.

    The bar appears after `PATIENCE`, or earlier if the items so far indicate that all of them will take longer.

    Args:
        items: The items.
        what: The work in a few words.
        total: The number of items; None uses their length, if they have one.

    Yields:
        The items.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(what, total=total)
    start = time.monotonic()
    # A single item may take long, such as the first one if it compiles code. The timer starts the bar meanwhile.
    timer = threading.Timer(PATIENCE, bar.start)
    timer.daemon = True
    timer.start()
    try:
        for done, item in enumerate(items, 1):
            yield item
            elapsed = time.monotonic() - start
            if elapsed > 0.3 and total is not None and elapsed / done * total > PATIENCE:
                bar.start()  # does nothing once it has started
            bar.update(task, completed=done)
    finally:
        timer.cancel()
        timer.join()  # it may be starting the bar right now
        bar.stop()
