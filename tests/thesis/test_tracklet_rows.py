"""Rows about how tracklets are scored: one training, an evaluation each."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mars_files import write_mars
from resight.cli.main import main
from resight.data.tracklets import TrackletSettings
from resight.methods.scr import SCR
from resight.retrieval.protocol import make_evaluator
from resight.thesis import running
from resight.thesis.paper import load_item
from resight.thesis.planning import RunRequest, plan_rows

OURS = {
    "TP(R)": TrackletSettings(15, "random", "mean"),
    "TPP(R)": TrackletSettings(15, "random", "tpp"),
    "TP(E)": TrackletSettings(15, "even", "mean"),
    "TPP(E)": TrackletSettings(15, "even", "tpp"),
}


@pytest.fixture
def words(draw: Callable[..., Path], tmp_path: Path) -> list[str]:
    root = write_mars(tmp_path / "mars", draw=draw)
    device = ["--device.accelerator=cpu", "--device.threads=1"]
    return [f"--data=mars={root}", "--scale=smoke", "--epochs=2", f"--out={tmp_path / 'out'}", *device]


def test_the_rows_of_table_3_5_are_one_training_and_four_ways_to_score() -> None:
    planned = {scale: plan_rows(load_item("3.5"), RunRequest(scale)) for scale in ("smoke", "short", "full")}
    for found in planned.values():
        assert [row.reason for row in found] == [""] * 4
        assert {row.printed.name: row.options.tracklet for row in found if row.options} == OURS
        assert len({row.key for row in found}) == 1
        assert len({row.result_name for row in found}) == 4
    (whole,) = plan_rows(load_item("3.8"), RunRequest("full"))
    assert (whole.key, whole.result_name) == (planned["full"][3].key, planned["full"][3].result_name)
    assert {row.key for row in planned["full"]} != {row.key for row in planned["short"]}


def test_a_row_whose_best_epoch_is_chosen_by_scores_is_trained_for_itself() -> None:
    first, second = plan_rows(load_item("3.5"), RunRequest("full"))[:2]
    chosen = [
        dataclasses.replace(row, options=dataclasses.replace(row.options, select="test", eval_every=1))
        for row in (first, second)
        if row.options
    ]
    assert chosen[0].key != chosen[1].key
    assert {row.result_name for row in chosen} == {"result.json"}


def test_table_3_5_is_made_killed_and_continued(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[int] = []
    begin = SCR.begin_epoch

    def killed(self: SCR, epoch: int) -> Any:
        begun.append(epoch)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return begin(self, epoch)

    scored: list[TrackletSettings] = []

    def recording(*given: Any, tracklet: TrackletSettings, **how: Any) -> Any:
        scored.append(tracklet)
        return make_evaluator(*given, tracklet=tracklet, **how)

    monkeypatch.setattr(SCR, "begin_epoch", killed)
    monkeypatch.setattr(running, "make_evaluator", recording)
    assert main(["thesis", "run", "table-3.5", *words]) == 130
    # Another table with the same training goes on with it.
    assert main(["thesis", "run", "table-3.8", *words]) == 0
    assert begun == [0, 1, 1]
    out = tmp_path / "out"
    (folder,) = (out / "runs").iterdir()
    assert len(list(folder.glob("result-*.json"))) == 1
    capsys.readouterr()
    assert main(["thesis", "run", "table-3.5", *words]) == 0
    assert begun == [0, 1, 1], "all rows are scored, none is trained again"
    assert scored == [OURS["TPP(E)"], OURS["TP(R)"], OURS["TPP(R)"], OURS["TP(E)"]]
    assert "3 left" in capsys.readouterr().out
    assert len(list(folder.glob("result-*.json"))) == 4
    lines = json.loads((out / "table-3.5-smoke-e2-seed1.json").read_text())["lines"]
    assert [line["state"] for line in lines] == ["done"] * 4
    assert [line["name"] for line in lines] == list(OURS)
    assert all(0 < line["ours"]["mAP"] <= 1 for line in lines)
    assert lines[3]["thesis"] == {"Rank1": "87.3", "mAP": "81.3"}
    (split,) = {each["ours"] for line in lines for each in line["differs"] if each["setting"] == "split"}
    assert re.match(r"not the official one \(train \d+ tracklets of ", split)
    settings = [each["setting"] for line in lines for each in line["differs"]]
    assert "encoder.backbone" in settings
    assert not any(name.startswith("tracklet") for name in settings), "what the rows are about is the thesis'"
    made = json.loads((out / "table-3.8-smoke-e2-seed1.json").read_text())["lines"][-1]
    assert (made["run"], made["ours"]) == (lines[3]["run"], lines[3]["ours"])
    assert main(["thesis", "run", "table-3.5", *words]) == 0
    assert begun == [0, 1, 1]


def test_a_row_that_cannot_be_scored_says_why(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (tmp_path / "mars" / "bbox_test").rglob("*.jpg"):
        path.write_bytes(b"broken")
    assert main(["thesis", "run", "table-3.5", *words]) == 1
    assert "failed none of the" in " ".join(capsys.readouterr().out.split())
