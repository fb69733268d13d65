"""Runs of GCL go on where they were stopped, through all of their phases."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from made_up_bodies import Bodies, Pictures
from resight.data.catalog import load_dataset
from resight.data.crops import Crops
from resight.errors import ConfigError
from resight.methods.gcl import GCL
from resight.methods.structure import SOURCES
from resight.training.resume import differences
from resight.training.runs import Run
from resight.training.train import TrainSettings, train
from run_equality import assert_same_run
from stepping import run_to


def gcl(images: Crops, **changes: Any) -> GCL:
    structure, pairs = Bodies(len(images), images.size), Pictures(len(images), images.size)
    changes = {
        "iterations": 1,
        "identities": 4,
        "pretrain": "pairs",
        "pretrain_epochs": 1,
        "warmup_epochs": 1,
        **changes,
    }
    method: GCL = tiny.build("gcl", images, structure=structure, pairs=pairs, **changes)
    return method


def test_each_phase_goes_on_where_it_was_stopped(images: Crops, tmp_path: Path) -> None:
    """Pairs, warm-up, joint, joint: in one go, and stopped in between."""
    run_to(tmp_path / "unbroken", gcl(images), 4)
    for epochs in (2, 3, 4):
        run_to(tmp_path / "parts", gcl(images), epochs)
    assert_same_run(tmp_path / "unbroken", tmp_path / "parts")
    lines = Run(tmp_path / "parts").metrics()
    assert ["loss/pairs" in line for line in lines] == [True, False, False, False]
    assert ["clusters" in line for line in lines] == [False, False, True, True]
    assert ["loss/discriminator" in line for line in lines] == [False, True, True, True]


@pytest.mark.parametrize("given", [False, True])
def test_contrast_alone_goes_on_where_it_was_stopped(images: Crops, tmp_path: Path, given: bool) -> None:
    changes: dict[str, Any] = {"generator": False, "pretrain": "none", "warmup_epochs": 0}
    if given:
        changes["views"] = Pictures(len(images), images.size)
    run_to(tmp_path / "unbroken", gcl(images, **changes), 4)
    run_to(tmp_path / "halves", gcl(images, **changes), 2)
    run_to(tmp_path / "halves", gcl(images, **changes), 4)
    assert_same_run(tmp_path / "unbroken", tmp_path / "halves")


def first_run(folder: Path, method: GCL, epochs: int) -> GCL:
    """Train a method in a run folder that says how its generator cuts a code."""
    run_to(folder, method, epochs)
    (folder / "config.yaml").write_text(f"slices: {method.settings.slices}\n")
    return method


def test_a_generator_starts_from_that_of_another_run(images: Crops, tmp_path: Path) -> None:
    first = first_run(tmp_path / "first", gcl(images), 2)
    started = gcl(images, pretrain="none", generator_start=str(tmp_path / "first"))
    for name in ("generator", "discriminator"):
        theirs, ours = first.parts[name].state_dict(), started.parts[name].state_dict()
        assert all(torch.equal(value, ours[key]) for key, value in theirs.items())
    run_to(tmp_path / "second", started, 2)
    resumed = gcl(images, pretrain="none", generator_start=str(tmp_path / "first"))
    run_to(tmp_path / "second", resumed, 3)
    later = resumed.parts["generator"].state_dict()
    assert not all(torch.equal(value, later[key]) for key, value in first.parts["generator"].state_dict().items())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"generator_start": "nowhere"}, "'nowhere' has no last.safetensors"),
        ({"generator_start": "{bare}"}, "'.*bare' has no config.yaml"),
        ({"generator_start": "{first}", "slices": "parts"}, "learned with slices channels: give --slices channels"),
        ({"generator_start": "{alone}"}, "has no generator to start from"),
        ({"generator_start": "{first}", "generator_width": 0.25}, "the generator of the run in .* has another shape"),
        ({"generator_start": "{first}", "generator": False, "warmup_epochs": 0}, "generator_start to nothing"),
    ],
)
def test_a_start_that_does_not_fit_is_said(images: Crops, tmp_path: Path, changes, expected) -> None:
    first_run(tmp_path / "first", gcl(images), 1)
    first_run(tmp_path / "alone", gcl(images, generator=False, pretrain="none", warmup_epochs=0), 1)
    shutil.copytree(tmp_path / "first", tmp_path / "bare")
    (tmp_path / "bare" / "config.yaml").unlink()
    start = changes["generator_start"].format(**{name: tmp_path / name for name in ("first", "alone", "bare")})
    with pytest.raises(ConfigError, match=expected):
        gcl(images, **{"pretrain": "none", **changes, "generator_start": start})


def test_a_run_whose_best_epoch_is_of_the_warmup_has_no_clusters(
    tiny_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SOURCES, "drawn", lambda images: Bodies(len(images), images.size))
    monkeypatch.setattr("resight.training.train.is_best", lambda lines, line, select: line["epoch"] == 0)
    encoder = dataclasses.replace(tiny.ENCODER, backbone="test_efficientnet", head="embedding", head_width=16)
    settings = dataclasses.replace(
        tiny.GCL_SETTINGS, encoder=encoder, structure="drawn", epochs=2, warmup_epochs=1, iterations=1
    )
    options = TrainSettings(run=str(tmp_path / "run"), device=tiny.DEVICE)
    trained = train("gcl", load_dataset("market1501", tiny_market), settings, options)
    assert trained.clusters is None
    assert [("clusters" in line) for line in trained.metrics] == [False, True]
    assert trained.encoder.dim == 16
    assert trained.reports["best"].scores == trained.reports["before"].scores, "the warm-up leaves the encoder as it is"


def test_structure_spelled_otherwise_is_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mesh").mkdir()
    assert differences({"structure": "mesh"}, {"structure": str(tmp_path / "mesh")}) == ([], [])
    changed, moved = differences({"structure": "mesh"}, {"structure": "other"})
    assert changed == ["structure was mesh, now other"]
    assert moved == []
