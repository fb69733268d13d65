"""Output of the commands: text and tables for a terminal or a log, with control characters escaped.

Names of files, people and cameras, values of flags and recipes, and messages of libraries may hold anything: escape
sequences that act on a terminal, or line ends that forge a line.
"""

from __future__ import annotations

import copy
import io
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.box import Box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table

from resight.files import json_text, named, printable
from resight.logs import OneLine, one_line

MIN_PATH_WIDTH = 20
"""The least width of a column of paths in characters, however narrow the terminal."""

_UNFRAMED = Box("  ╷ \n  │ \n╶─┼╴\n  │ \n╶─┼╴\n╶─┼╴\n  │ \n  ╵ \n")


def say(*lines: object) -> None:
    """Print lines; a line end within one is escaped."""
    _write("".join(f"{printable(line)}\n" for line in lines))


def say_json(value: object, *, indent: int | None = None) -> None:
    """Print a value as JSON."""
    _write(json_text(value, indent=indent) + "\n")


def flush() -> None:
    """Flush standard output; raises an error if it cannot be written or has no reader any more."""
    with _named_errors():
        sys.stdout.flush()


def _write(text: str) -> None:
    with _named_errors():
        sys.stdout.write(text)


@contextmanager
def _named_errors() -> Iterator[None]:
    """Name standard output in errors of writing to it, except for a reader that has gone."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise named(Path("standard output"), error) from error


def complain(text: object) -> None:
    """Print an error as one line on standard error, after the name of the program."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()  # what was printed before comes first
    with suppress(OSError, ValueError):  # the terminal may have gone
        sys.stderr.write(f"resight: {one_line(text)}\n")
        sys.stderr.flush()


def show(table: Table) -> None:
    """Print a table, its title and its cells escaped."""
    _write(printable(table_text(table), lines=True) + "\n")


def configure_output() -> None:
    """Print log records and Python's warnings on standard error, a line each.

    Other libraries log only warnings, because they also report every file they load and every process they start.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # the terminal may lack characters of a name
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("resight").setLevel(logging.INFO)
    warnings.formatwarning = _warning


def _warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    return one_line(f"{category.__name__}: {message} ({filename}, line {lineno})") + "\n"


def table_text(table: Table) -> str:
    """Return the text of a table, laid out for the terminal or the file that standard output goes to.

    On a terminal a column with ``overflow="fold"`` (paths) breaks anywhere, and other columns break at spaces, never
    within a name; the terminal wraps what is still too wide. Elsewhere each row is one line without a frame, so that it
    can be searched and its path copied.

    Args:
        table: The table; its title, if any, is plain text.

    Returns:
        The lines, the title first.
    """
    table, console = copy.copy(table), Console()
    table.columns = [copy.copy(column) for column in table.columns]
    title, table.title = table.title, None
    sizes = [_size(console, column) for column in table.columns]
    widths = [most for _, most in sizes]
    if console.is_terminal:
        widths = _fit_widths(widths, [least for least, _ in sizes], console.width - 3 * len(sizes) - 1)
    else:
        table.box, table.show_edge, table.pad_edge = _UNFRAMED, False, False
    for column, width in zip(table.columns, widths, strict=True):
        column.width, column.no_wrap = width, False
    wide = Console(width=sum(widths) + 3 * len(widths) + 1)
    with wide.capture() as captured:
        wide.print(table)
    lines = [line.rstrip() for line in captured.get().rstrip("\n").split("\n")]
    return "\n".join([*([str(title)] if title else []), *lines])


def _size(console: Console, column: Column) -> tuple[int, int]:
    """Return the least width of a column in characters, and its full width."""
    options = console.options.update(width=10**6)
    sizes = [Measurement.get(console, options, cell) for cell in (column.header, *column.cells)]
    least, most = (max(size[end] for size in sizes) for end in (0, 1))
    if column.overflow == "fold":
        return min(most, MIN_PATH_WIDTH), most
    return (most if column.no_wrap else least), most


def _fit_widths(widths: Sequence[int], least: Sequence[int], total: int) -> list[int]:
    """Narrow the widest columns, none below its least width, until all fit into the total."""
    fitted = list(widths)
    while sum(fitted) > total:
        shrinkable = [column for column, width in enumerate(fitted) if width > least[column]]
        if not shrinkable:
            break
        fitted[max(shrinkable, key=lambda column: fitted[column])] -= 1
    return fitted
