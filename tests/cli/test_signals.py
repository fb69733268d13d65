"""A command that is told to end says one line; what it says and its status are those of the signal."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from resight.cli import signals
from resight.cli.main import main


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Listen as the program does, and no longer than the test."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    for number in numbers:
        signal.signal(number, signal.SIG_DFL)
    monkeypatch.setattr(signals, "_received", [])
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    signals.handle_signals()
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def told_by(number: int, monkeypatch: pytest.MonkeyPatch, command: str) -> int:
    """Run a command that gets a signal; a library makes another error of it."""

    def run(_: list[str]) -> int:
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt:
            if number == signal.SIGTERM:
                raise ImportError("a library that was being loaded") from None
            raise
        raise AssertionError

    monkeypatch.setattr(f"resight.cli.{command}.run", run)
    return main([command])


@pytest.mark.parametrize(
    ("number", "line", "status"),
    [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143), (signal.SIGHUP, "terminated, as", 129)],
)
@pytest.mark.parametrize("command", ["train", "data"])
@pytest.mark.usefixtures("listening")
def test_each_signal_is_a_line_and_a_status(
    number: int,
    line: str,
    status: int,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert told_by(number, monkeypatch, command) == status
    said = capsys.readouterr().err.splitlines()
    assert [text.startswith(f"resight: {line}") for text in said] == [True]
    assert ("rerun the same command" in said[0]) == (command == "train")


@pytest.mark.usefixtures("listening")
def test_a_second_signal_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    for number in (signal.SIGINT, signal.SIGTERM):
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert ended == [143]


@pytest.mark.usefixtures("listening")
def test_a_signal_as_an_object_is_let_go_of_ends_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Late:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            sum(range(10))  # a handler runs between two steps

    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    Late()
    assert ended == [143]
    assert capsys.readouterr().err == "resight: terminated\n"


def test_what_is_ignored_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    try:
        signals.handle_signals()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) == signals._stop
    finally:
        signal.signal(signal.SIGHUP, before)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
