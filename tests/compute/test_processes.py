"""What becomes of a process whose others have ended."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
import torch

from resight.cli.main import main
from resight.compute import processes
from resight.compute.processes import LOST, is_lost, watch

CLOSED = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:538] Connection closed by peer [127.0.0.1]:4711"


def test_only_errors_of_the_talk_are_of_a_lost_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_lost(RuntimeError(CLOSED)), "there is no other"
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    assert is_lost(RuntimeError(CLOSED))
    assert not is_lost(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_lost(ValueError(CLOSED))


def test_a_lost_process_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(_: list[str]) -> int:
        raise RuntimeError(CLOSED)

    def leave(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr("resight.cli.data.run", run)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(SystemExit, match="2"):
        main(["data"])
    assert capsys.readouterr().err == f"resight: {LOST}\n"


def test_a_process_that_waits_for_another_is_ended_with_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended = threading.Event()
    monkeypatch.setattr(processes.time, "sleep", lambda _: None)
    monkeypatch.setattr(os, "_exit", lambda status: ended.set() if status == 2 else None)
    with subprocess.Popen([sys.executable, "-S", "-c", "raise SystemExit(3)"]) as other:
        watch([other])
        assert ended.wait(20)
    assert LOST in caplog.text
