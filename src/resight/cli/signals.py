"""How a command ends where it is told to: it tidies up and says one line; told twice, it ends at once."""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED = 2
"""The number of the signal that Ctrl-C sends."""

_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "terminated, as its terminal has gone"}


class Stopped(KeyboardInterrupt):
    """The process was told to end."""


_told: list[int] = []
"""The number of the signal that told it, from the first one on."""


def listen() -> None:
    """Turn what would end the process into `Stopped`; what it was started to ignore (by nohup, say) it goes on to."""
    for name in _WORDS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _stop)
    sys.unraisablehook = _leave


def told(error: BaseException) -> int:
    """Give the number of the signal that an error comes from, 0 where from none.

    A library that was just being loaded may make any error of a `Stopped`.
    """
    if _told:
        return _told[0]
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 0


def said(number: int) -> str:
    """Say what a signal does to a process."""
    return _WORDS[signal.Signals(number).name]


def _stop(number: int, frame: FrameType | None) -> None:
    if _told:
        os._exit(128 + number)
    _told.append(number)
    raise Stopped


def _leave(lost: sys.UnraisableHookArgs) -> None:
    """End a process whose `Stopped` was raised where nothing can be raised, as an object was let go of."""
    if not isinstance(lost.exc_value, Stopped):
        sys.__unraisablehook__(lost)
        return
    sys.stderr.write(f"resight: {said(_told[0])}\n")
    os._exit(128 + _told[0])
