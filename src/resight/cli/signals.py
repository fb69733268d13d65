"""How a command ends where it is told to: it tidies up and says one line; told twice, it ends at once."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED = 2
"""The number of the signal that Ctrl-C sends."""

_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "terminated, as its terminal has gone"}


class Stopped(KeyboardInterrupt):
    """The process was told to end.

    Attributes:
        number: Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def listen() -> None:
    """Turn what would end the process into `Stopped`; what it was started to ignore (by nohup, say) it goes on to."""
    for name in _WORDS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _stop)


def said(error: KeyboardInterrupt) -> str:
    """Say what has ended a process."""
    return _WORDS[signal.Signals(getattr(error, "number", INTERRUPTED)).name]


def _stop(number: int, frame: FrameType | None) -> None:
    for name in _WORDS:
        other = getattr(signal, name, None)
        if other is not None and signal.getsignal(other) == _stop:
            signal.signal(other, _end)
    raise Stopped(number)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)
