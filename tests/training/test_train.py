"""`train()` from a data set to a run folder, scores and vectors."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_run import SETTINGS, options

from messages import one_line
from resight.config.settings import read_settings
from resight.data.clusters_csv import clusters_csv
from resight.data.dataset import Dataset
from resight.errors import ConfigError, RunError, WeightsError
from resight.methods.ice_settings import VARIANTS, ICESettings
from resight.models.encoder import load_encoder
from resight.records import ImageTable
from resight.training import train as training
from resight.training.train import Trained, TrainSettings, train


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
    reports = train("ice", dataset, SETTINGS, options(tmp_path / "run")).reports
    assert len({report.provenance["encoder"] for report in reports.values()}) == 3


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


def test_the_same_command_on_a_finished_run_changes_nothing(trained: Trained, dataset: Dataset, tmp_path: Path) -> None:
    folder = shutil.copytree(trained.folder, tmp_path / "again")
    before = load_file(folder / "last.safetensors")
    again = train("ice", dataset, SETTINGS, options(folder, eval_every=1))
    after = load_file(folder / "last.safetensors")
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
    run = train("ice", bare, dataclasses.replace(SETTINGS, epochs=1), options(tmp_path))
    assert run.reports == {}
    assert run.queries is None
    assert len(run.metrics) == 1


def test_held_out_people_are_scored_in_place_of_the_test_people(dataset: Dataset, tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, epochs=1, supervised=True)
    how = options(tmp_path, validation_people=3, select="validation", eval_every=1)
    run = train("ice", dataset, settings, how)
    assert run.queries is not None
    assert run.gallery is not None
    assert set(run.queries.table.person_ids) <= set(dataset.train.person_ids)
    assert len(run.queries) + len(run.gallery) == 3 * 12
    assert run.metrics[0]["clusters"] == 8 - 3


def test_a_set_of_tracklets_is_scored_by_tracklet(dataset: Dataset, tmp_path: Path) -> None:
    def walks(table: ImageTable) -> ImageTable:
        return dataclasses.replace(table, tracklet_ids=10 * table.person_ids + table.camera_ids)

    tables = {split: walks(table) for split, table in dataset.tables.items()}
    video = dataclasses.replace(dataset, **tables, unit="tracklets")
    run = train("ice", video, dataclasses.replace(SETTINGS, epochs=1), options(tmp_path))
    assert run.queries is not None
    assert run.gallery is not None
    assert (len(run.queries), len(run.gallery), len(dataset.gallery)) == (12, 12, 36)
    assert run.reports["best"].scores["queries"] == 12


def test_a_run_that_starts_from_an_encoder_keeps_its_frozen_stages(
    trained: Trained, dataset: Dataset, tmp_path: Path
) -> None:
    settings = dataclasses.replace(
        SETTINGS, epochs=1, encoder=dataclasses.replace(SETTINGS.encoder, frozen_stages=1)
    )  # fmt: skip
    run = train("ice", dataset, settings, options(tmp_path, start=str(trained.folder)))
    start, end = (dict(e.backbone.network.named_parameters()) for e in (trained.encoder, run.encoder))
    assert torch.equal(start["conv_stem.weight"], end["conv_stem.weight"])
    assert not torch.equal(start["conv_head.weight"], end["conv_head.weight"])
    thawed = train(
        "ice", dataset, dataclasses.replace(SETTINGS, epochs=1), options(tmp_path / "b", start=str(tmp_path))
    )
    assert not torch.equal(end["conv_stem.weight"], thawed.encoder.backbone.network.conv_stem.weight)
    assert run.reports["before"].scores["mAP"] == pytest.approx(trained.reports["best"].scores["mAP"], abs=1e-6)


def test_an_unknown_method_names_the_nearest(dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match="did you mean 'ice'") as error:
        train("icee", dataset)
    one_line(error)


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.safetensors"):
        with pytest.raises(WeightsError, match="no encoder") as error:
            load_encoder(path)
        one_line(error)


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
