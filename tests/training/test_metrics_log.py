"""The lines of epochs: read up to the first that is not as it should be."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from resight.training.metrics_log import history_digest, read_history, write_history

LINES = [{"epoch": number, "loss/a": 1.5 - number, "mAP": None, "seconds": 2.0} for number in range(3)]


@pytest.mark.parametrize(
    "damage",
    [
        {"epoch": 2}, {"epoch": True}, {"epoch": 1.0}, {"epoch": "1"}, {"epoch": -1}, {"loss/a": "x"}, {"loss/a": {}},
        {"loss/a": True}, {"\x1b[31m": 1}, {"seconds": "<script>"}, {"loss/a": 10**400}, {"loss/a": float("inf")},
    ],
)  # fmt: skip
def test_a_line_that_is_none_ends_the_history(damage: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(write_history(LINES))
    assert read_history(path) == LINES
    path.write_text(write_history([LINES[0], {**LINES[1], **damage}, LINES[2]]))
    assert read_history(path) == LINES[:1]


@pytest.mark.parametrize("text", ["[" * 90_000, '{"epoch":' + "[" * 90_000 + "]" * 90_000 + "}", "x" * 20_000_000])
def test_deep_and_long_lines_are_read_in_no_time(text: str, tmp_path: Path) -> None:
    path, begun = tmp_path / "metrics.jsonl", time.process_time()
    path.write_text(write_history(LINES) + text + "\n")
    assert read_history(path) == LINES
    assert time.process_time() - begun < 2


def test_what_is_no_file_has_no_lines(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "absent", Path("/dev/zero")):
        assert read_history(path) == []


def test_the_digest_is_of_all_but_how_long_it_took() -> None:
    slower = [{**line, "seconds": 9.0, "images_per_second": 5.0} for line in LINES]
    assert history_digest(slower) == history_digest(LINES) == history_digest(json.loads(json.dumps(LINES)))
    assert history_digest([{**LINES[0], "loss/a": 1.5000001}, *LINES[1:]]) != history_digest(LINES)
    assert history_digest(LINES[:2]) != history_digest(LINES)
