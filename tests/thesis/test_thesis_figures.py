"""`resight thesis run` of figures: drawn from the metrics, encoders and ranks of their runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_training import MadeUpTraining
from PIL import Image

from resight.cli.main import main
from resight.data.dataset import Dataset
from resight.models.encoder import Encoder
from resight.records import Features
from resight.reports.ranked_lists import draw_ranked_list
from resight.reports.saliency import saliency_sheet
from resight.thesis import drawing, running
from resight.training.train import TrainSettings


def test_a_figure_is_drawn_from_the_metrics_of_its_runs(
    tiny_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(running, "train", MadeUpTraining())
    words = ["thesis", "run", "figure-6.6", f"--data=duke={tiny_market}", "--scale=smoke", f"--out={tmp_path}"]
    monkeypatch.setattr("resight.cli.thesis_run.load_dataset", lambda reader, root: load_as_market(root))
    assert main(words) == 0
    svg = (tmp_path / "figure-6.6-smoke-seed1.svg").read_text()
    assert "ours: clusters by epoch" in svg
    assert "0.96" not in svg, "the one epoch is a whole number"
    assert "without both (dukemtmc)" in svg
    assert "ours (smoke) mAP" in capsys.readouterr().out


def test_a_figure_of_saliency_maps_is_drawn_from_the_encoders_of_its_runs(
    tiny_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made_up = MadeUpTraining()

    def train(name: str, dataset: Dataset, settings: Any, options: TrainSettings, **_: Any) -> Any:
        small = dataclasses.replace(settings.encoder, backbone="test_efficientnet", weights="none")
        Encoder(small).save(Path(options.run) / "encoder-best.safetensors")
        return made_up(name, dataset, settings, options)

    monkeypatch.setattr(running, "train", train)
    drawn: list[list[str]] = []

    def sheet(paths: list[str], maps: dict[str, Any]) -> Any:
        drawn.append(list(maps))
        assert {values.shape[0] for values in maps.values()} == {len(paths)}
        return saliency_sheet(paths, maps)

    monkeypatch.setattr(drawing, "saliency_sheet", sheet)
    words = ["thesis", "run", "figure-3.2", f"--data=market1501={tiny_market}", "--scale=smoke", f"--out={tmp_path}"]
    assert main(words) == 0
    parts = [f"spatial-channel partition: p2 {kind} {i} of 2" for kind in ("stripe", "channels") for i in (1, 2)]
    assert drawn[0][:5] == ["ResNet-50: p1 whole", *parts]
    assert Image.open(tmp_path / "figure-3.2-smoke-seed1.png").height > drawing.NUM_QUERIES * 160
    assert "(figure-3.2-smoke-seed1.png)" in (tmp_path / "figure-3.2-smoke-seed1.md").read_text()


def test_a_figure_of_mistakes_shows_queries_that_only_the_first_run_mismatches(
    tiny_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up, shifts = MadeUpTraining(), iter((1, 0, 0, 0))  # the first run takes each query for the next person

    def embedded(encoder: Encoder, table: Any, **_: Any) -> Features:
        people = np.unique(table.person_ids, return_inverse=True)[1]
        return Features(table, np.roll(np.eye(50, dtype=np.float32)[people], next(shifts), axis=1), "made up")

    def train(name: str, dataset: Dataset, settings: Any, options: TrainSettings, **_: Any) -> Any:
        small = dataclasses.replace(settings.encoder, backbone="test_efficientnet", weights="none")
        Encoder(small).save(Path(options.run) / "encoder-best.safetensors")
        return made_up(name, dataset, settings, options)

    monkeypatch.setattr(running, "train", train)
    drawn: list[list[str]] = []
    shown: list[tuple[str, list[str]]] = []

    def strip(query: str, results: list[str], *, verdicts: list[str]) -> Any:
        shown.append((query, verdicts))
        return draw_ranked_list(query, results, verdicts=verdicts)

    def record_labels(lists: Any, labels: list[str]) -> Any:
        drawn.append(labels)
        return stack(lists, labels)

    stack = drawing.stack
    monkeypatch.setattr(drawing, "extract", embedded)
    monkeypatch.setattr(drawing, "draw_ranked_list", strip)
    monkeypatch.setattr(drawing, "stack", record_labels)
    words = ["thesis", "run", "figure-3.4", f"--data=market1501={tiny_market}", "--scale=smoke", f"--out={tmp_path}"]
    assert main(words) == 0
    assert drawn == [["PCB", "SCR"] * (len(shown) // 2)]
    assert 2 <= len(shown) <= 2 * drawing.NUM_QUERIES
    for (query, wrong), (same, right) in zip(shown[::2], shown[1::2], strict=True):
        assert query == same
        assert (wrong[0], right[0]) == ("wrong", "right")
        assert "junk" not in wrong + right
    assert len({Path(query).name[:4] for query, _ in shown}) == len(shown) / 2, "one query a person"
    assert Image.open(tmp_path / "figure-3.4-smoke-seed1.png").height > len(shown) * 128


def load_as_market(root: Path) -> Dataset:
    from resight.data.sets.market1501 import load_market1501

    return load_market1501(root)
