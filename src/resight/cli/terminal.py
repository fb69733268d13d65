"""The one way to a terminal and to a log: whatever is said passes here, and is made harmless.

Names of files, folders, people, cameras and columns, values of flags and recipes, and what libraries say of them may
hold escapes that act on a terminal, or line ends that forge a line.
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

LEAST = 20
"""Letters that a column of paths keeps at least, however narrow the terminal."""

_UNFRAMED = Box("  ╷ \n  │ \n╶─┼╴\n  │ \n╶─┼╴\n╶─┼╴\n  │ \n  ╵ \n")


def say(*lines: object) -> None:
    """Print lines; a line end in one of them is shown as an escape."""
    _write("".join(f"{printable(line)}\n" for line in lines))


def say_json(value: object, *, indent: int | None = None) -> None:
    """Print a value as JSON."""
    _write(json_text(value, indent=indent) + "\n")


def flush() -> None:
    """Hand on what is printed; what cannot be written, or has no reader any more, is noticed here."""
    with _told():
        sys.stdout.flush()


def _write(text: str) -> None:
    with _told():
        sys.stdout.write(text)


@contextmanager
def _told() -> Iterator[None]:
    """Give an error of standard output its name; a reader that has gone is none."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise named(Path("standard output"), error) from error


def complain(text: object) -> None:
    """Print an error as one line that says who speaks, on standard error."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()  # what was printed before comes first
    with suppress(OSError, ValueError):  # a terminal that has gone hears nothing
        sys.stderr.write(f"resight: {one_line(text)}\n")
        sys.stderr.flush()


def show(table: Table) -> None:
    """Print a table, its title and its cells escaped."""
    _write(printable(table_text(table), lines=True) + "\n")


def configure_output() -> None:
    """Let what is logged, and what Python warns of, be said on standard error, a line each.

    Libraries report what they load and every process they start; resight says what matters itself.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name may hold what the terminal cannot show
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
    """Lay a table out for where standard output goes.

    On a terminal a column that folds (``overflow="fold"``, paths) is broken anywhere, others at their spaces and never
    in a name; what is still too wide is the terminal's to wrap. Elsewhere each row is one line without a frame, however
    long, so that it can be searched and its path copied.

    Args:
        table: Its title, where it has one, is plain text.

    Returns:
        Its lines, the title first.
    """
    table, console = copy.copy(table), Console()
    table.columns = [copy.copy(column) for column in table.columns]
    title, table.title = table.title, None
    sizes = [_size(console, column) for column in table.columns]
    widths = [most for _, most in sizes]
    if console.is_terminal:
        widths = _fitted(widths, [least for least, _ in sizes], console.width - 3 * len(sizes) - 1)
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
    """Give the letters that a column needs at least, and those that it would take."""
    options = console.options.update(width=10**6)
    sizes = [Measurement.get(console, options, cell) for cell in (column.header, *column.cells)]
    least, most = (max(size[end] for size in sizes) for end in (0, 1))
    if column.overflow == "fold":
        return min(most, LEAST), most
    return (most if column.no_wrap else least), most


def _fitted(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Narrow the widest columns, none below its least, until all fit."""
    fitted = list(widths)
    while sum(fitted) > room:
        able = [place for place, width in enumerate(fitted) if width > least[place]]
        if not able:
            break
        fitted[max(able, key=lambda place: fitted[place])] -= 1
    return fitted
