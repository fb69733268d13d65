"""`train()` from a data set to reports, going on, refusing, and choosing the best epoch."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file

import tiny
from resight.compute.devices import Devices
from resight.compute.tensor_files import dump_state, load_state
from resight.config.settings import read_settings
from resight.data.catalog import load_dataset
from resight.data.clusters_csv import clusters_csv
from resight.data.dataset import Dataset
from resight.data.transforms import AugmentSettings
from resight.errors import ConfigError, ResightError, RunError, WeightsError
from resight.methods.abmt_settings import ABMTSettings
from resight.methods.ice_settings import VARIANTS, ICESettings
from resight.methods.mean_teacher import MMTSettings
from resight.methods.source import SourceSettings
from resight.models.encoder import Encoder, EncoderSettings, load_encoder
from resight.numerics.clustering import ClusterSettings
from resight.records import ImageTable, Report
from resight.training import train as training
from resight.training.runs import Run
from resight.training.selection import SELECT
from resight.training.train import Trained, TrainSettings, fit, read_recipe, train

SETTINGS = ICESettings(
    encoder=EncoderSettings(backbone="test_efficientnet", weights="none", height=64, width=32, last_stride=2),
    cluster=ClusterSettings(k1=12),
    augment=AugmentSettings(pad=4),
    epochs=2,
    iterations=1,
    identities=2,
    images=2,
    momentum=0.5,
    ghost_batches=1,
    extra_forward=False,
)


def options(folder: Path, **changes: Any) -> TrainSettings:
    return TrainSettings(**{"run": str(folder), "device": tiny.DEVICE, "select": "last", **changes})


@pytest.fixture(scope="module")
def dataset(tiny_market: Path) -> Dataset:
    return load_dataset("market1501", tiny_market)


@pytest.fixture(scope="module")
def trained(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One finished run that the tests of this file look at."""
    return train("ice", dataset, SETTINGS, options(tmp_path_factory.mktemp("run") / "first", eval_every=1))


def one_line(error: pytest.ExceptionInfo[ResightError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# -- a whole run ---------------------------------------------------------------------------------------------------


def test_a_run_is_scored_before_at_the_end_and_at_its_best(trained: Trained) -> None:
    assert set(trained.reports) == {"before", "last", "best"}
    for report in trained.reports.values():
        assert 0 < report.scores["mAP"] <= 1
        assert report.scores["queries"] == 12
        assert report.provenance["data"] == "market1501"
    assert trained.reports["before"].provenance["encoder"] != trained.reports["last"].provenance["encoder"]
    assert trained.reports["best"] is trained.reports["last"], "select last: the last is the best, and scored once"
    assert trained.metrics[-1]["mAP"] == pytest.approx(trained.reports["last"].scores["mAP"], abs=1e-6)
    assert [line["epoch"] for line in trained.metrics] == [0, 1]
    assert trained.problems == ()
    assert trained.writes


def test_what_comes_back_is_the_encoder_in_the_folder_and_its_vectors(trained: Trained) -> None:
    assert trained.encoder.digest() == load_encoder(trained.folder).digest()
    assert trained.encoder.digest() == load_encoder(trained.folder / "encoder-best.safetensors").digest()
    assert trained.queries is not None
    assert trained.gallery is not None
    assert (len(trained.queries), len(trained.gallery)) == (12, 36)
    assert trained.queries.encoder == trained.gallery.encoder == trained.encoder.digest()


def test_a_best_epoch_that_is_not_the_last_is_scored_apart(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resight.training.train.is_best", lambda lines, line, select: line["epoch"] == 0)
    found = train("ice", dataset, SETTINGS, options(tmp_path / "run")).reports
    assert len({report.provenance["encoder"] for report in found.values()}) == 3


def test_the_folder_holds_what_its_description_says(trained: Trained) -> None:
    names = {path.name for path in trained.folder.iterdir()}
    assert names == {
        "config.yaml",
        "environment.json",
        "metrics.jsonl",
        "last.safetensors",
        "encoder-last.safetensors",
        "encoder-best.safetensors",
        "clusters.csv",
        "report.json",
    }
    reports = json.loads((trained.folder / "report.json").read_text())
    assert reports["last"]["scores"] == trained.reports["last"].scores
    environment = json.loads((trained.folder / "environment.json").read_text())
    assert environment["weights"]["source"] == "random"
    assert (environment["training"], environment["processes"], environment["threads"]) == ("float32", 1, 1)


def test_the_clusters_of_the_best_epoch_come_back_however_often_it_is_run(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[list[int]] = []
    monkeypatch.setattr("resight.training.train.is_best", lambda lines, line, select: line["epoch"] == 0)
    monkeypatch.setattr(
        "resight.training.train.clusters_csv",
        lambda clusters, names: seen.append(clusters.labels.tolist()) or clusters_csv(clusters, names),
    )
    first, again = (train("ice", dataset, SETTINGS, options(tmp_path / "run")).clusters for _ in range(2))
    assert first is not None
    assert again is not None
    assert len(seen) == 1, "written for the best epoch alone"
    assert first.labels.tolist() == again.labels.tolist() == seen[0]
    assert first.labels.max() >= 1
    assert first.table.paths.tolist() == dataset.train.paths.tolist()
    (tmp_path / "run" / "clusters.csv").write_text("path;cluster;camera\n")
    assert train("ice", dataset, SETTINGS, options(tmp_path / "run")).clusters is None
    assert "clusters.csv is not as the run wrote it" in caplog.text


def test_where_people_are_known_there_are_no_clusters(dataset: Dataset, tmp_path: Path) -> None:
    supervised = dataclasses.replace(SETTINGS, supervised=True, epochs=1)
    assert train("ice", dataset, supervised, options(tmp_path / "run")).clusters is None
    assert not (tmp_path / "run" / "clusters.csv").exists()


def test_the_kept_settings_are_a_recipe_of_the_run(trained: Trained) -> None:
    config = str(trained.folder / "config.yaml")
    kept = read_settings(["--config", config], [TrainSettings, ICESettings], variants=VARIANTS)
    assert kept == [options(trained.folder, eval_every=1), SETTINGS]


def test_the_same_command_on_a_finished_run_changes_nothing(trained: Trained, dataset: Dataset) -> None:
    before = load_file(trained.folder / "last.safetensors")
    again = train("ice", dataset, SETTINGS, options(trained.folder, eval_every=1))
    after = load_file(trained.folder / "last.safetensors")
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert {which: report.scores for which, report in again.reports.items()} == {
        which: report.scores for which, report in trained.reports.items()
    }
    assert again.metrics == trained.metrics


def test_other_settings_in_the_same_folder_are_refused(trained: Trained, dataset: Dataset) -> None:
    before = {path.name: path.read_bytes() for path in trained.folder.iterdir()}
    for settings, how in (
        (dataclasses.replace(SETTINGS, learning_rate=1e-3), options(trained.folder, eval_every=1)),
        (SETTINGS, options(trained.folder, eval_every=1, seed=2)),
    ):
        with pytest.raises(RunError, match="other settings") as error:
            train("ice", dataset, settings, how)
        assert "learning_rate was 0.00035, now 0.001" in one_line(error) or "seed was 1, now 2" in one_line(error)
    assert {path.name: path.read_bytes() for path in trained.folder.iterdir()} == before


def test_a_run_folder_may_be_moved(trained: Trained, dataset: Dataset, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(trained.folder, moved)
    assert train("ice", dataset, SETTINGS, options(moved, eval_every=1)).metrics == trained.metrics


def test_a_set_without_queries_is_trained_on_and_not_scored(dataset: Dataset, tmp_path: Path) -> None:
    empty = dataset.train[:0]
    bare = dataclasses.replace(dataset, query=empty, gallery=empty)
    found = train("ice", bare, dataclasses.replace(SETTINGS, epochs=1), options(tmp_path))
    assert found.reports == {}
    assert found.queries is None
    assert len(found.metrics) == 1


def test_held_out_people_are_scored_in_place_of_the_test_people(dataset: Dataset, tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, epochs=1, supervised=True)
    how = options(tmp_path, validation_people=3, select="validation", eval_every=1)
    found = train("ice", dataset, settings, how)
    assert found.queries is not None
    assert found.gallery is not None
    assert set(found.queries.table.person_ids) <= set(dataset.train.person_ids)
    assert len(found.queries) + len(found.gallery) == 3 * 12
    assert found.metrics[0]["clusters"] == 8 - 3


def test_a_set_of_tracklets_is_scored_by_tracklet(dataset: Dataset, tmp_path: Path) -> None:
    def walks(table: ImageTable) -> ImageTable:
        return dataclasses.replace(table, tracklet_ids=10 * table.person_ids + table.camera_ids)

    tables = {split: walks(table) for split, table in dataset.tables.items()}
    video = dataclasses.replace(dataset, **tables, unit="tracklets")
    found = train("ice", video, dataclasses.replace(SETTINGS, epochs=1), options(tmp_path))
    assert found.queries is not None
    assert found.gallery is not None
    assert (len(found.queries), len(found.gallery), len(dataset.gallery)) == (12, 12, 36)
    assert found.reports["best"].scores["queries"] == 12


def test_a_run_that_starts_from_an_encoder_keeps_its_frozen_stages(
    trained: Trained, dataset: Dataset, tmp_path: Path
) -> None:
    settings = dataclasses.replace(
        SETTINGS, epochs=1, encoder=dataclasses.replace(SETTINGS.encoder, frozen_stages=1)
    )  # fmt: skip
    found = train("ice", dataset, settings, options(tmp_path, start=str(trained.folder)))
    start, end = (dict(e.backbone.network.named_parameters()) for e in (trained.encoder, found.encoder))
    assert torch.equal(start["conv_stem.weight"], end["conv_stem.weight"])
    assert not torch.equal(start["conv_head.weight"], end["conv_head.weight"])
    thawed = train(
        "ice", dataset, dataclasses.replace(SETTINGS, epochs=1), options(tmp_path / "b", start=str(tmp_path))
    )
    assert not torch.equal(end["conv_stem.weight"], thawed.encoder.backbone.network.conv_stem.weight)
    assert found.reports["before"].scores["mAP"] == pytest.approx(trained.reports["best"].scores["mAP"], abs=1e-6)


def test_an_unknown_method_names_the_nearest(dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match="did you mean 'ice'") as error:
        train("icee", dataset)
    one_line(error)


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.safetensors"):
        with pytest.raises(WeightsError, match="no encoder") as error:
            load_encoder(path)
        one_line(error)


# -- the best epoch ------------------------------------------------------------------------------------------------


class Scripted:
    """A method that learns nothing and ends each epoch with the numbers it was given."""

    parts: Mapping[str, Any] = {}

    def __init__(self, lines: list[dict[str, float]]) -> None:
        self.lines, self.epoch, self.steps = lines, -1, 0

    @property
    def encoder(self):
        return self

    def dump(self) -> bytes:
        return str(self.epoch).encode()

    def begin_epoch(self, epoch: int):
        self.epoch = epoch
        return [[0, 1], [2, 3]]

    def step(self, batch):
        self.steps += 1
        return {"loss/a": torch.tensor(float(self.steps))}

    def end_epoch(self):
        return dict(self.lines[self.epoch])


def best_epoch(folder: Path, select: str, lines: list[dict[str, float]]) -> int:
    fit(Scripted(lines), Run(folder), epochs=len(lines), select=SELECT[select])
    assert (folder / "encoder-last.safetensors").read_text() == str(len(lines) - 1)
    return int((folder / "encoder-best.safetensors").read_text())


def stable(*pairs: tuple[float | None, float]) -> list[dict[str, float]]:
    return [{"outlier_share": share} | ({} if s is None else {"stability": s}) for s, share in pairs]


@pytest.mark.parametrize(
    ("select", "lines", "best"),
    [
        ("last", [{"mAP": 0.9}, {"mAP": 0.1}, {"mAP": 0.5}], 2),
        ("test", [{"mAP": 0.2}, {"mAP": 0.7}, {"mAP": 0.5}], 1),
        ("validation", [{"mAP": 0.7}, {"mAP": 0.7}, {"mAP": 0.5}], 1),  # the later of equals
        ("test", [{"mAP": 0.7}, {}, {"mAP": 0.5}, {}], 0),  # epochs between, which are not scored
        ("test", [{}, {"mAP": 0.0}, {}], 1),
        ("stability", stable((None, 0.0), (0.9, 0.1), (0.8, 0.1)), 1),  # 11 % less
        ("stability", stable((None, 0.0), (0.9, 0.1), (0.82, 0.1)), 2),  # 9 % less: the later one
        ("stability", stable((None, 0.0), (0.9, 0.1), (0.82, 0.1), (0.8, 0.1)), 2),  # of the highest, not of the kept
        ("stability", stable((None, 0.0), (-0.01, 0.1), (-0.02, 0.1)), 1),
        ("stability", stable((None, 0.0), (0.9, 0.5), (0.8, 0.1)), 2),  # outliers count against an epoch
        ("stability", stable((None, 0.0), (None, 0.0), (None, 0.0)), 2),  # nothing to choose by: the last
    ],
)
def test_the_best_epoch_is_chosen_by_the_rule(
    select: str, lines: list[dict[str, float]], best: int, tmp_path: Path
) -> None:
    assert best_epoch(tmp_path, select, lines) == best


def test_the_best_epoch_is_remembered_over_a_restart(tmp_path: Path) -> None:
    lines = [{"mAP": 0.9}, {"mAP": 0.4}, {"mAP": 0.5}]
    for epochs in (1, 2, 3):
        fit(Scripted(lines), Run(tmp_path), epochs=epochs, select=SELECT["test"])
    assert (tmp_path / "encoder-best.safetensors").read_text() == "0"
    assert [line["epoch"] for line in Run(tmp_path).metrics()] == [0, 1, 2]


def test_weights_that_are_nan_after_the_last_step_stop_before_they_are_scored(tmp_path: Path) -> None:
    class Poisoned(Scripted):
        @property
        def parts(self):
            network = torch.nn.Linear(1, 1)
            if self.epoch == 1:
                network.weight.data.fill_(float("inf"))
            return {"network": network}

    scored: list[int] = []
    method = Poisoned([{}] * 3)
    with pytest.raises(RunError, match=r"'network' became nan or infinite .* lower the learning rate") as error:
        fit(method, Run(tmp_path), epochs=3, eval_every=1, evaluate=lambda _: scored.append(method.epoch) or Report({}))
    one_line(error)
    assert scored == [0]
    assert [line["epoch"] for line in Run(tmp_path).metrics()] == [0]
    assert Run(tmp_path).resume(Poisoned([])) == 1


def test_a_loss_that_is_nan_stops_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    class Broken(Scripted):
        def step(self, batch):
            return {"loss/a": torch.tensor(float("nan") if self.epoch == 1 else 1.0)}

    with pytest.raises(RunError, match="loss/a became nan") as error:
        fit(Broken([{}] * 3), Run(tmp_path), epochs=3)
    one_line(error)
    assert [line["epoch"] for line in Run(tmp_path).metrics()] == [0]
    assert Run(tmp_path).resume(Scripted([])) == 1


def test_a_finished_run_can_be_made_longer(tiny_market: Path, tmp_path: Path) -> None:
    dataset = load_dataset("market1501", tiny_market)
    where = TrainSettings(run=str(tmp_path / "run"))
    assert len(train("ice", dataset, SETTINGS, where).metrics) == 2
    longer = train("ice", dataset, dataclasses.replace(SETTINGS, epochs=3), where)
    assert [line["epoch"] for line in longer.metrics] == [0, 1, 2]


def test_a_run_is_not_made_longer_where_the_learning_rate_is_spread_over_the_epochs(
    dataset: Dataset, tmp_path: Path
) -> None:
    where = TrainSettings(run=str(tmp_path / "run"))
    spread = dataclasses.replace(SETTINGS, epochs=1, schedule="cosine")
    train("ice", dataset, spread, where)
    with pytest.raises(RunError, match=r"other settings \(epochs was 1, now 2\)"):
        train("ice", dataset, dataclasses.replace(spread, epochs=2), where)


@pytest.mark.parametrize("change", ["one less", "another name", "another picture", "another test picture"])
def test_a_run_does_not_go_on_with_other_images(tiny_market: Path, tmp_path: Path, change: str) -> None:
    folder = tmp_path / "data"
    shutil.copytree(tiny_market, folder)
    where = TrainSettings(run=str(tmp_path / "run"))
    once = dataclasses.replace(SETTINGS, epochs=1)
    train("ice", load_dataset("market1501", folder), once, where)
    last = sorted((folder / "bounding_box_train").glob("*.png"))[-1]
    words = r"'labels' of the checkpoint .* belongs to other settings or images"
    if change == "one less":
        last.unlink()
    elif change == "another name":
        last.rename(last.with_stem(f"{last.stem}9"))
    else:
        replaced = last if change == "another picture" else next((folder / "query").glob("*.png"))
        ImageOps.invert(Image.open(replaced)).save(replaced)
        words = "the images are not those that the run"
    with pytest.raises(RunError, match=words):
        train("ice", load_dataset("market1501", folder), dataclasses.replace(once, epochs=2), where)


def test_without_settings_the_variant_decides_the_defaults(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="no method is called 'iec'; did you mean 'ice'\\? \\(known: ice"):
        train("iec", dataset)
    monkeypatch.setattr(training, "load_crops", lambda *_: (_ for _ in ()).throw(RunError("far enough")))
    for variant, smoothing in (("code", 0.1), ("thesis", 0.0)):
        with pytest.raises(RunError, match="far enough"):
            train("ice", dataset, options=TrainSettings(run=str(tmp_path / variant), variant=variant))
        assert f"label_smoothing: {smoothing}" in (tmp_path / variant / "config.yaml").read_text()


def test_a_run_is_not_made_shorter_than_it_is(tiny_market: Path, tmp_path: Path) -> None:
    where = TrainSettings(run=str(tmp_path / "run"))
    dataset = load_dataset("market1501", tiny_market)
    train("ice", dataset, SETTINGS, where)
    with pytest.raises(RunError, match="has 2 epochs already"):
        train("ice", dataset, dataclasses.replace(SETTINGS, epochs=1), where)
    assert "epochs: 2 " in (tmp_path / "run" / "config.yaml").read_text()


def test_another_method_or_damaged_settings_in_the_same_folder_are_refused(
    trained: Trained, dataset: Dataset, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained.folder, folder)
    with pytest.raises(RunError, match="another method or version"):
        train("scr", dataset, options=TrainSettings(run=str(folder)))
    (folder / "last.safetensors").unlink()  # what it leaves is still another run's
    changed = dataclasses.replace(SETTINGS, cluster=dataclasses.replace(SETTINGS.cluster, eps=0.3))
    with pytest.raises(RunError, match=r"cluster\.eps was 0\.55, now 0\.3"):
        train("ice", dataset, changed, options(folder, eval_every=1))
    (folder / "config.yaml").write_bytes(b"\xff: [")
    with pytest.raises(RunError, match=r"config\.yaml is damaged"):
        train("ice", dataset, SETTINGS, options(folder, eval_every=1))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (["encoder-best.safetensors"], "holds encoder-best.safetensors but no config.yaml"),
        (["report.html"], "holds report.html but no config.yaml"),
        (
            ["config.yaml", "encoder-best.safetensors", "metrics.jsonl"],
            "holds a trained model, and no last.safetensors",
        ),
        (["config.yaml", "encoder-last.safetensors", "report.json"], "holds a trained model, and no last.safetensors"),
    ],
)
def test_a_model_that_cannot_be_continued_is_not_replaced(
    trained: Trained, dataset: Dataset, tmp_path: Path, kept: list[str], words: str
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in kept:
        (folder / name).write_bytes((trained.folder / name).read_bytes() if name != "report.html" else b"mine")
    before = contents(folder)
    with pytest.raises(RunError, match=words) as error:
        train("ice", dataset, SETTINGS, options(folder, eval_every=1))
    assert "another folder" in one_line(error)
    assert contents(folder) == before


def test_settings_of_something_else_are_not_replaced(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("name: my project\n")
    with pytest.raises(RunError, match="belongs to no run, and would be replaced"):
        train("ice", dataset, SETTINGS, options(tmp_path))
    assert (tmp_path / "config.yaml").read_text() == "name: my project\n"


def test_a_kill_as_the_first_epoch_is_saved_leaves_what_is_made_again(
    trained: Trained, dataset: Dataset, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("config.yaml", "encoder-best.safetensors"):
        shutil.copy(trained.folder / name, folder)
    line = (trained.folder / "metrics.jsonl").read_text().splitlines()[0]
    (folder / "metrics.jsonl").write_text(line + "\n")
    found = train("ice", dataset, SETTINGS, options(folder, eval_every=1))
    assert [line["epoch"] for line in found.metrics] == [0, 1]


def test_a_run_goes_on_with_other_threads_and_other_words_for_its_data(
    tiny_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = load_dataset("market1501", tiny_market)
    settings = dataclasses.replace(SETTINGS, epochs=1)
    where = TrainSettings(data=f"market1501={tiny_market}", run=str(tmp_path / "run"), device=tiny.DEVICE)
    train("ice", dataset, settings, where)
    monkeypatch.chdir(tiny_market.parent)
    again = dataclasses.replace(
        where,
        data=f"market1501={tiny_market.name}/",
        device=dataclasses.replace(tiny.DEVICE, threads=2),
    )
    caplog.clear()
    assert len(train("ice", dataset, dataclasses.replace(settings, epochs=2), again).metrics) == 2
    assert "numbers may differ in their last digits" in caplog.text
    other = dataclasses.replace(again, data=f"msmt17={tiny_market}")
    with pytest.raises(RunError, match=r"other settings \(data was "):
        train("ice", dataset, dataclasses.replace(settings, epochs=2), other)


def test_a_run_goes_on_with_a_copy_of_its_data_and_not_with_others(
    tiny_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where they lie and when they were copied does not matter; what is in the files does."""

    def go_on(place: Path, epochs: int) -> Trained:
        where = TrainSettings(data=f"market1501={place}", run=str(tmp_path / "run"), device=tiny.DEVICE)
        settings = dataclasses.replace(SETTINGS, epochs=epochs)
        return train("ice", load_dataset("market1501", place), settings, where)

    go_on(tiny_market, 1)
    for copy in ("copy", "other"):
        shutil.copytree(tiny_market, tmp_path / copy, copy_function=shutil.copyfile)
    changed = next((tmp_path / "other" / "bounding_box_train").glob("*.png"))
    ImageOps.invert(Image.open(changed)).save(changed)
    for _ in range(2):
        with pytest.raises(RunError, match="the images are not those that the run"):
            go_on(tmp_path / "other", 2)
    assert len(go_on(tmp_path / "copy", 2).metrics) == 2
    assert f"market1501={tmp_path / 'copy'}" in (tmp_path / "run" / "config.yaml").read_text()
    monkeypatch.setattr("resight.training.train.content_digest", lambda *_: "")
    state = load_state(tmp_path / "run" / "last.safetensors")
    state["run"]["images"] = ""  # as a run from before they were looked at
    (tmp_path / "run" / "last.safetensors").write_bytes(dump_state(state))
    for _ in range(2):
        with pytest.raises(RunError, match=r"other settings \(data was .*copy"):
            go_on(tiny_market, 3)


@pytest.mark.parametrize("place", ["", "runs/mine"])
def test_a_run_does_not_lie_among_its_images(tiny_market: Path, place: str) -> None:
    before = sorted(tiny_market.rglob("*"))
    with pytest.raises(ConfigError, match="read as one of its images") as error:
        train("ice", load_dataset("market1501", tiny_market), SETTINGS, options(tiny_market / place))
    one_line(error)
    assert sorted(tiny_market.rglob("*")) == before


@pytest.mark.parametrize(
    ("run", "words"),
    [("file", "is a file, or below one"), ("file/run", "is a file, or below one"), ("\udcff", "UTF-8")],
)
def test_a_run_folder_that_cannot_be_is_told_at_once(dataset: Dataset, tmp_path: Path, run: str, words: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match=words) as error:
        train("ice", dataset, SETTINGS, options(tmp_path / run))
    one_line(error).encode()


def test_the_log_says_how_long_the_rest_will_take() -> None:
    assert training._remaining({"seconds": 90.0}, 10) == ", about 15 min left"
    assert training._remaining({"seconds": 90.0}, 0) == ""


def test_a_batch_is_cut_to_what_processes_can_share(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = Devices()
    assert devices.drop_remainder(np.arange(5)).tolist() == [0, 1, 2, 3, 4]
    monkeypatch.setattr(Devices, "world", 2)
    assert devices.drop_remainder(np.arange(5)).tolist() == [0, 1, 2, 3]
    with pytest.raises(RunError, match="2 processes"):
        devices.drop_remainder(np.arange(1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"validation_people": -1}, "0 or more"),
        ({"select": "validation"}, "set validation_people"),
        ({"select": "test"}, "set eval_every"),
        ({"select": "test", "eval_every": 1, "validation_people": 3}, "exclude each other"),
    ],
)
def test_options_that_contradict_each_other_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        TrainSettings(**changes)
    one_line(error)


# -- two data sets -------------------------------------------------------------------------------------------------

LITE = EncoderSettings(weights="none", height=64, width=32, head="a+m1")


def other_domain(tiny_market: Path, folder: Path) -> Path:
    """The made-up people in other colors, half as large, and only some of them."""
    for path in sorted(tiny_market.rglob("*.png")):
        if int(path.name[:4]) % 4:
            copy = folder / path.relative_to(tiny_market)
            copy.parent.mkdir(parents=True, exist_ok=True)
            ImageOps.invert(Image.open(path)).resize((16, 32)).save(copy)
    return folder


def test_a_model_of_one_set_is_adapted_to_another(dataset: Dataset, tiny_market: Path, tmp_path: Path) -> None:
    other = other_domain(tiny_market, tmp_path / "other")
    first = SourceSettings(encoder=LITE, epochs=1, iterations=2, identities=4, warmup_epochs=0, ghost_batches=2)
    how = options(tmp_path / "source", source=f"market1501={other}")
    source = train("source", dataset, first, how)
    assert source.metrics[0]["people"] == 6, "those of the source; the target has 8"
    assert source.reports["last"].scores["queries"] == 12, "scored on the target"
    assert source.encoder.settings == LITE

    cluster = ClusterSettings(k1=12, variant="abmt", rho=0.05, min_samples=2, source_weight=0.1)
    plain = EncoderSettings(weights="none", height=64, width=32)
    few = {"epochs": 1, "iterations": 2, "identities": 4, "ghost_batches": 1, "num_eval_images": 10}
    second = ABMTSettings(encoder=plain, cluster=cluster, **few)
    how = options(tmp_path / "abmt", source=f"market1501={other}", start=str(source.folder))
    adapted = train("abmt", dataset, second, how)
    assert adapted.encoder.settings.head == "a+m1", "the build is that of the start"
    before = {name: source.reports["best"].scores[name] for name in ("mAP", "rank-1")}
    assert {name: adapted.reports["before"].scores[name] for name in before} == pytest.approx(before, abs=1e-6)
    assert adapted.metrics[0]["clusters"] >= 2
    assert adapted.metrics[0]["true_people"] == 8
    # A data set in place of its name.
    again = train(
        "abmt",
        dataset,
        second,
        options(tmp_path / "b", start=str(source.folder)),
        source=load_dataset("market1501", other),
    )
    assert again.encoder.digest() == adapted.encoder.digest()
    with pytest.raises(ConfigError, match="give --source NAME=PATH"):
        train("abmt", dataset, second, options(tmp_path / "c", start=str(source.folder)))


def test_a_start_from_images_of_another_size_is_warned_of(
    trained: Trained, dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    larger = dataclasses.replace(SETTINGS, epochs=1, encoder=dataclasses.replace(SETTINGS.encoder, height=96, width=48))
    start = str(trained.folder)
    train("ice", dataset, dataclasses.replace(SETTINGS, epochs=1), options(tmp_path / "a", start=start))
    assert "--encoder.height" not in caplog.text
    assert "keeps the settings that it is built by" not in caplog.text
    train("ice", dataset, larger, options(tmp_path / "b", start=start))
    (warning,) = (record.message for record in caplog.records if "--encoder.height" in record.message)
    assert "images of 64 x 32" in warning
    assert warning.endswith("add --encoder.height 64 --encoder.width 32")


def test_a_start_that_is_built_otherwise_than_asked_is_said(
    trained: Trained, dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pooled = dataclasses.replace(SETTINGS.encoder, head="p2", pooling="max")
    asked = dataclasses.replace(SETTINGS, epochs=1, encoder=pooled)
    train("ice", dataset, asked, options(tmp_path / "a", start=str(trained.folder)))
    (warning,) = (
        record.message for record in caplog.records if "keeps the settings that it is built by" in record.message
    )
    assert warning.endswith(": pooling average (requested: max), head global (requested: p2)")


def test_the_two_networks_of_mmt_start_from_two_encoders(trained: Trained, dataset: Dataset, tmp_path: Path) -> None:
    encoder = dataclasses.replace(SETTINGS.encoder, head="global")
    cluster = ClusterSettings(k1=12, variant="abmt", rho=0.05, min_samples=2)
    few = {"epochs": 1, "iterations": 1, "identities": 4, "ghost_batches": 1, "num_eval_images": 8}
    settings = MMTSettings(encoder=encoder, cluster=cluster, **few)
    last, best = (str(trained.folder / f"encoder-{which}.safetensors") for which in ("last", "best"))
    found = train("mmt", dataset, settings, options(tmp_path / "a", start=f"{last}, {best}"))
    assert found.metrics[0]["teacher_distance"] >= 0
    for start, words in (
        (f"{last},{best},{last}", "one encoder, or two with a comma"),
        (f"{last},", "one encoder, or two with a comma"),
    ):
        with pytest.raises(ConfigError, match=words) as error:
            train("mmt", dataset, settings, options(tmp_path / "b", start=start))
        one_line(error)
    one = dataclasses.replace(settings, networks=1)
    with pytest.raises(ConfigError, match="set networks to 2"):
        train("mmt", dataset, one, options(tmp_path / "c", start=f"{last},{best}"))
    with pytest.raises(ConfigError, match="ice takes no second encoder"):
        train("ice", dataset, SETTINGS, options(tmp_path / "d", start=f"{last},{best}"))
    other = tmp_path / "other.safetensors"
    Encoder(dataclasses.replace(encoder, head="a+m")).save(other)
    with pytest.raises(ConfigError, match="built differently"):
        train("mmt", dataset, settings, options(tmp_path / "e", start=f"{last},{other}"))


def test_a_method_that_knows_no_source_refuses_one(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ice takes no images of a source: leave --source out") as error:
        train("ice", dataset, SETTINGS, options(tmp_path, source="market1501=/nowhere"))
    one_line(error)
    with pytest.raises(ConfigError, match="scr takes no images of a source"):
        train("scr", dataset, None, options(tmp_path), source=dataset)


def test_a_source_weight_without_a_source_is_warned_of(
    dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = dataclasses.replace(SETTINGS, epochs=1, cluster=ClusterSettings(k1=12, source_weight=0.1))
    train("ice", dataset, settings, options(tmp_path / "weighted"))
    warnings = [record.getMessage() for record in caplog.records if "source_weight" in record.getMessage()]
    assert warnings == ["cluster.source_weight has no effect: this training has no source"]
    caplog.clear()
    train("ice", dataset, dataclasses.replace(SETTINGS, epochs=1), options(tmp_path / "plain"))
    assert "source_weight" not in caplog.text


@pytest.mark.parametrize("flag", ["--help", "-h", "--help_all", "--help-all", "--print_config", "--print-config"])
def test_a_recipe_that_is_read_from_python_ends_no_process(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=f"{flag} is for the command line") as error:
        read_recipe("ice", "site", "--epochs=2", flag)
    one_line(error)
    assert capsys.readouterr().out == ""
