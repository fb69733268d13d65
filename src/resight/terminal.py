"""The one way to a terminal and to a log: whatever is said passes here, and is made harmless.

Names of files, folders, people, cameras and columns, values of flags and recipes, and what libraries say of them may
hold escapes that act on a terminal, or line ends that forge a line.
"""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment

from resight.files import json_text, printable, shortened

LONGEST = 800
"""Letters of an error and of a line of the log; a longer one is cut in its middle."""


def say(*lines: object) -> None:
    """Print lines; a line end in one of them is shown as an escape."""
    sys.stdout.write("".join(f"{printable(line)}\n" for line in lines))


def say_json(value: object, *, indent: int | None = None) -> None:
    """Print a value as JSON."""
    sys.stdout.write(json_text(value, indent=indent) + "\n")


def complain(text: object) -> None:
    """Print an error as one line that says who speaks, on standard error."""
    with suppress(OSError):  # a terminal that has gone hears nothing
        sys.stderr.write(f"resight: {one_line(text)}\n")
        sys.stderr.flush()


def show(renderable: RenderableType) -> None:
    """Print a table; where there is no terminal it is as wide as it needs."""
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(_Harmless(renderable))


def one_line(text: object) -> str:
    """Give a text as a line of bounded length that does nothing but be read."""
    return shortened(printable(text), LONGEST)


class OneLine(logging.Formatter):
    """Gives each record as one line, with what its message and its arguments hold escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        return one_line(super().format(record))


def open_streams() -> None:
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


class _Harmless:
    """Draws what another draws, escaped; letters in a cell are measured before that, so cells are escaped first."""

    def __init__(self, inner: RenderableType) -> None:
        self.inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self.inner, options):
            yield Segment(printable(segment.text, lines=True), segment.style, segment.control)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self.inner)
