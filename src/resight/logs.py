"""Log lines: each record becomes one line, whatever it holds."""

from __future__ import annotations

import logging

from resight.files import printable, shortened

LONGEST = 800
"""The most characters of an error and of a line of the log; a longer one is cut in its middle."""


def one_line(text: object) -> str:
    """Return a text as one line of bounded length, with control characters escaped."""
    return shortened(printable(text), LONGEST)


class OneLine(logging.Formatter):
    """Formats each record as one line, with control characters escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return one_line(super().format(record))
