"""Log lines: one record is one line, whatever it holds."""

from __future__ import annotations

import logging

from resight.files import printable, shortened

LONGEST = 800
"""Letters of an error and of a line of the log; a longer one is cut in its middle."""


def one_line(text: object) -> str:
    """Return a text as a line of bounded length that does nothing but be read."""
    return shortened(printable(text), LONGEST)


class OneLine(logging.Formatter):
    """Gives each record as one line, with what its message and its arguments hold escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return one_line(super().format(record))
