"""SCR on tracklets: it learns from their frames, whether these fit into memory or not, and compares whole tracklets."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from mars_files import write_mars
from resight.data.catalog import load_dataset
from resight.data.dataset import Dataset
from resight.data.lazy_images import ImageFiles
from resight.data.tracklets import TrackletSettings
from resight.errors import ConfigError
from resight.methods.scr import SCR, SCRSettings
from resight.models.encoder import EncoderSettings
from resight.training import train as training
from resight.training.runs import Run
from resight.training.train import Trained, TrainSettings, read_recipe, train
from run_equality import assert_same_run, script

SETTINGS = SCRSettings(
    encoder=EncoderSettings("test_efficientnet", "none", 64, 32, pooling="max", head="p1+p2(s2c2)", head_width=8),
    epochs=3,
    iterations=2,
    identities=2,
    milestones=(2,),
)
SHORT = TrackletSettings(num_frames=3, sampling="random", pooling="tpp")


@pytest.fixture
def mars(draw: Callable[..., Path], tmp_path: Path) -> Dataset:
    return load_dataset("mars", write_mars(tmp_path / "mars", draw=draw))


def trained(mars: Dataset, folder: Path, **changes: Any) -> Trained:
    values = {"run": str(folder), "device": tiny.DEVICE, "flip": True, "select": "last", "tracklet": SHORT, **changes}
    return train("scr", mars, SETTINGS, TrainSettings(**values))


def test_the_readings_differ_in_the_distance_of_two_tracklets() -> None:
    code, thesis = (read_recipe("scr", "", f"--variant={variant}")[1] for variant in ("code", "thesis"))
    assert code.tracklet == TrackletSettings(15, "even", "tpp", "sum")
    assert thesis.tracklet == TrackletSettings(15, "even", "tpp", "concatenated")
    assert read_recipe("ice")[1].tracklet == TrackletSettings()
    _, flags = read_recipe("scr", "scr-mars", "--tracklet.sampling=random", "--tracklet.seed=3")
    assert flags.tracklet == TrackletSettings(15, "random", "tpp", "sum", 3)


def test_a_whole_run_learns_from_frames_and_scores_tracklets(mars: Dataset, tmp_path: Path) -> None:
    run = trained(mars, tmp_path / "run", eval_every=1)
    assert run.queries is not None
    assert run.gallery is not None
    assert (len(run.queries), len(run.gallery)) == (3, 3)
    assert run.queries.embeddings.shape[1] == 3 * run.encoder.dim
    assert run.metrics[0]["people"] == 2
    assert {"mAP", "loss/pairs"} <= set(run.metrics[-1])
    report = run.reports["best"]
    assert report.provenance["tracklet"] == dataclasses.asdict(SHORT)
    assert "without the queries' own tracklets" in report.provenance["notes"]
    assert report.scores["queries_without_match"] == 2


def test_a_batch_has_frames_of_any_tracklet_of_a_person(mars: Dataset) -> None:
    settings = dataclasses.replace(tiny.SCR_SETTINGS, identities=2, iterations=1)
    method = SCR(settings, training.open_crops(mars.train, (64, 32)), encoder=tiny.chain(settings.encoder))
    seen = set()
    for epoch in range(20):
        for batch in method.begin_epoch(epoch):
            assert len(batch) == 8
            seen |= set(batch.tolist())
    assert seen == set(range(6))


def test_frames_that_are_decoded_when_asked_for_give_the_same_run(
    mars: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = trained(mars, tmp_path / "kept")
    opened = []
    open_crops = training.open_crops
    monkeypatch.setattr(training, "fits_memory", lambda *_: False)
    monkeypatch.setattr(training, "open_crops", lambda *given: opened.append(given) or open_crops(*given))
    again = trained(mars, tmp_path / "opened")
    assert len(opened) == 1
    assert_same_run(kept.folder, again.folder)


def test_frames_that_cannot_be_read_do_not_end_a_run_and_are_listed(
    mars: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(mars.train.paths[0]).write_bytes(b"broken")
    listed = []
    for name, fits in (("kept", True), ("opened", False)):
        monkeypatch.setattr(training, "fits_memory", lambda *_, fits=fits: fits)
        listed.append(trained(mars, tmp_path / name).problems)
    assert listed[0] == listed[1] == ((mars.train.paths[0], listed[0][0][1]),)


def test_only_the_frames_of_a_batch_are_decoded(mars: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    read = ImageFiles.read
    monkeypatch.setattr(ImageFiles, "read", lambda self, rows: asked.append(len(rows)) or read(self, rows))
    settings = dataclasses.replace(tiny.SCR_SETTINGS, identities=2, iterations=3)
    method = SCR(settings, training.open_crops(mars.train, (64, 32)), encoder=tiny.chain(settings.encoder))
    for batch in method.begin_epoch(0):
        method.step(batch)
    assert asked == [8, 8, 8]


KILLED = """
import os, signal, sys
from pathlib import Path

sys.path.insert(0, sys.argv[3])
import test_scr_tracklets as here
from resight.training import train as training
from resight.data.catalog import load_dataset
from resight.methods.scr import SCR

folder, root = map(Path, sys.argv[1:3])
training.fits_memory = lambda *_: False
whole_step, taken = SCR.step, []

def step(self, batch):
    losses = whole_step(self, batch)
    taken.append(batch)
    if len(taken) == 3:  # one epoch of two steps is done; this is the first of the second
        os.kill(os.getpid(), signal.SIGKILL)
    return losses

SCR.step = step
here.trained(load_dataset("mars", root), folder)
"""


def test_a_killed_run_on_tracklets_ends_as_if_it_had_not_been(
    mars: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "fits_memory", lambda *_: False)
    killed = script(tmp_path, KILLED, tmp_path / "killed", mars.root, Path(__file__).parent)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [line["epoch"] for line in Run(tmp_path / "killed").metrics()] == [0]
    trained(mars, tmp_path / "killed")
    trained(mars, tmp_path / "whole")
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_a_person_without_a_name_is_refused(mars: Dataset, tmp_path: Path) -> None:
    people = np.where(np.arange(len(mars.train)) == 5, -1, mars.train.person_ids)
    nameless = dataclasses.replace(mars, train=dataclasses.replace(mars.train, person_ids=people))
    with pytest.raises(ConfigError, match="give the person of every image"):
        trained(nameless, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.yaml"]
