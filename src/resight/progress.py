"""Progress on anything that takes over two seconds, on standard error, and only on a terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")

PATIENCE = 2.0
"""Seconds of work below which nothing is shown."""


def progress(items: Iterable[Item], what: str, *, total: int | None = None) -> Iterator[Item]:
    """Go through items, with a bar and an estimate of what is left.

    The bar comes as soon as the items so far say that all will take longer than `PATIENCE`, or when so long has passed.

    Args:
        items: What is gone through.
        what: What is being done, a few words.
        total: How many items there are; their length where they have one.

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
    # One item may take long in itself, the first where code is compiled for it, and nothing comes by here meanwhile.
    late = threading.Timer(PATIENCE, bar.start)
    late.daemon = True
    late.start()
    try:
        for done, item in enumerate(items, 1):
            yield item
            elapsed = time.monotonic() - start
            if elapsed > 0.3 and total is not None and elapsed / done * total > PATIENCE:
                bar.start()  # does nothing once it has started
            bar.update(task, completed=done)
    finally:
        late.cancel()
        late.join()  # it may be starting the bar right now
        bar.stop()
