"""What the tests of several folders ask of a message."""

from __future__ import annotations

import pytest

from resight.errors import ResightError


def one_line(error: pytest.ExceptionInfo[ResightError]) -> str:
    """Return the message of an error, which is a single line."""
    assert "\n" not in str(error.value)
    return str(error.value)
