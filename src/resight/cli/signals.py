"""Signals: the first one ends a command with one line after it has cleaned up, the second one ends it at once."""

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
    """The process received a signal to end."""


_received: list[int] = []
"""The number of the first signal that the process received; empty before."""


def handle_signals() -> None:
    """Raise `Stopped` on signals that would end the process, except those that it was started to ignore (by nohup)."""
    for name in _WORDS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _stop)
    sys.unraisablehook = _exit_on_unraisable


def signal_of(error: BaseException) -> int:
    """Return the number of the signal that caused an error; 0 if none did.

    A library that was being loaded may turn a `Stopped` into any other error.
    """
    if _received:
        return _received[0]
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 0


def signal_text(number: int) -> str:
    """Return what a signal did to the process, in a few words."""
    return _WORDS[signal.Signals(number).name]


def _stop(number: int, frame: FrameType | None) -> None:
    if _received:
        os._exit(128 + number)
    _received.append(number)
    raise Stopped


def _exit_on_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """End the process if `Stopped` was raised where Python cannot raise, such as in a finalizer."""
    if not isinstance(unraisable.exc_value, Stopped):
        sys.__unraisablehook__(unraisable)
        return
    sys.stderr.write(f"resight: {signal_text(_received[0])}\n")
    os._exit(128 + _received[0])
