"""The bar: there when work is long, absent when it is short, and never in the way of the work."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator

import pytest
from rich.console import Console

from resight import progress as module
from resight.progress import progress


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal in place of standard error would show; nothing is short there."""
    shown = io.StringIO()
    monkeypatch.setattr(module, "Console", lambda **_: Console(file=shown, force_terminal=True, width=80))
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    return shown


def no_length(count: int) -> Iterator[int]:
    yield from range(count)


@pytest.mark.parametrize("items", [[3, 1, 2], []])
def test_every_item_comes_once_and_in_order(terminal: io.StringIO, items: list[int]) -> None:
    assert list(progress(items, "working")) == items
    assert list(progress(no_length(3), "working")) == [0, 1, 2]


def test_short_work_shows_nothing(terminal: io.StringIO) -> None:
    assert len(list(progress(range(5), "working"))) == 5
    assert "working" not in terminal.getvalue()


def test_a_first_item_that_takes_long_is_not_waited_for_in_silence(terminal: io.StringIO) -> None:
    for _ in progress(range(2), "compiling"):
        time.sleep(0.4)
        assert "compiling" in terminal.getvalue()


def test_items_that_will_take_long_show_the_bar_before_they_did(
    terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 60.0)
    work = progress(range(1000), "embedding")
    for _ in range(3):
        next(work)
        time.sleep(0.2)
    assert "embedding" in terminal.getvalue()
    work.close()


def test_an_error_in_the_work_leaves_no_bar_behind(terminal: io.StringIO) -> None:
    def broken() -> Iterator[int]:
        yield 1
        time.sleep(0.3)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(progress(broken(), "working"))
    assert "working" in terminal.getvalue()
    assert "\x1b[?25h" in terminal.getvalue(), "the cursor is back"


def test_without_a_terminal_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(range(3), "working", total=3)) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")
