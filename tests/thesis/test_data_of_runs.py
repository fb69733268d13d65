"""Which data a thesis run is made on: its name, what is said of it, and what belongs to it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from resight.cli.main import main
from resight.config.settings import find_recipe
from resight.data.catalog import DATASETS
from resight.data.dataset import Dataset
from resight.records import Report
from resight.thesis import running
from resight.thesis.paper import data_sets, item_ids, load_item, scales
from resight.thesis.planning import RunRequest, TableRow, plan_rows
from resight.training.runs import Run
from resight.training.train import TrainSettings

NAMES = (
    "bounding_box_train/0001_c1_1_001_1_01.png",
    "bounding_box_train/0002_c2_1_001_1_01.png",
    "query/0003_c1_1_003_1_02.png",
    "bounding_box_test/0003_c2_1_003_2_08.png",
)


@pytest.fixture
def both(draw: Callable[..., Path], tmp_path: Path) -> Path:
    """CUHK03-NP with both kinds of boxes, whose files have the same names."""
    for boxes in ("labeled", "detected"):
        draw(tmp_path / "cuhk" / boxes, *NAMES)
    return tmp_path / "cuhk"


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What was trained, as the run folder's name and the folder of the images, by a made-up `train`."""
    calls: list[tuple[str, str]] = []

    def train(name: str, dataset: Dataset, settings: Any, options: TrainSettings, **_: Any) -> Any:
        calls.append((Path(options.run).name.rpartition("-")[0], dataset.root.name))
        run = Run(Path(options.run))
        run.write("metrics.jsonl", json.dumps({"epoch": 0, "seconds": 1.0}) + "\n")
        run.write("environment.json", {"weights": {"source": "made up"}})
        scores = Report({"mAP": 0.1 * len(calls), "rank-1": 0.5})
        return SimpleNamespace(reports={"best": scores}, metrics=run.metrics(), writes=True, folder=run.folder)

    monkeypatch.setattr(running, "train", train)
    return calls


def run(table: str, out: Path, *words: str) -> dict[str, dict[str, Any]]:
    """Make a table and give its lines that are ours, by their columns."""
    assert main(["thesis", "run", table, "--scale=smoke", f"--out={out}", *words]) == 0
    lines = json.loads((out / f"{table}-smoke-seed1.json").read_text())["lines"]
    return {line["columns"]: line for line in lines if line["state"] == "done"}


@pytest.mark.parametrize("below", ["", "each"])
def test_labeled_and_detected_boxes_are_two_runs(
    both: Path, trained: list[tuple[str, str]], tmp_path: Path, below: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Given one folder for both, or each its own."""
    folders = ("labeled", "detected") if below else ("", "")
    given = [f"--data=cuhk03np-labeled={both / folders[0]}", f"--data=cuhk03np={both / folders[1]}"]
    lines = run("table-3.7", tmp_path / "out", *given)
    assert trained == [("scr-cuhk03np-labeled", "labeled"), ("scr-cuhk03np-detected", "detected")]
    assert [lines[f"CUHK03 {boxes}"]["ours"]["mAP"] for boxes in ("labeled", "detected")] == [0.1, 0.2]
    text = " ".join(capsys.readouterr().out.split())
    page = (tmp_path / "out" / "table-3.7-smoke-seed1.md").read_text()
    for boxes, folder in (("labeled", "labeled"), ("detected", "detected")):
        said = f"cuhk03np-{boxes}: {both / folder}; the {boxes} boxes are read, by the name of the folder {folder}"
        assert said in text
        assert f"- {said}" in page.partition("## What was read")[2]
        assert lines[f"CUHK03 {boxes}"]["data"]["sets"][f"cuhk03np-{boxes}"]["root"] == str(both / folder)


def test_boxes_that_are_not_there_are_not_replaced_by_the_others(
    both: Path, trained: list[tuple[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(both / "labeled")
    words = ["thesis", "run", "table-3.7", "--scale=smoke", f"--out={tmp_path / 'out'}"]
    assert main([*words, f"--data=cuhk03np-labeled={both}"]) == 2
    assert "expected the labeled boxes, found the detected ones" in capsys.readouterr().err
    (both / "detected").rename(both / "cut")  # a name that says nothing cannot be two sets
    given = [f"--data=cuhk03np-{boxes}={both / 'cut'}" for boxes in ("labeled", "detected")]
    assert main([*words, *given]) == 2
    assert f"cuhk03np-labeled and cuhk03np-detected are both {both / 'cut'}" in capsys.readouterr().err
    assert trained == []


def test_a_set_that_a_table_is_not_about_is_said_to_be_left_out(
    both: Path, trained: list[tuple[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("table-3.7", tmp_path / "out", f"--data=cuhk03np={both}", "--data=mars=/not/there")
    assert "table-3.7 runs without mars: no row that can run is about it" in capsys.readouterr().out
    assert trained == [("scr-cuhk03np-detected", "detected")]


def test_what_was_read_is_said_of_a_set_that_is_not_given_again(
    both: Path, trained: list[tuple[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {boxes: f"--data=cuhk03np-{boxes}={both}" for boxes in ("labeled", "detected")}
    run("table-3.7", tmp_path / "out", given["labeled"])
    lines = run("table-3.7", tmp_path / "out", given["detected"])
    assert [lines[f"CUHK03 {boxes}"]["ours"]["mAP"] for boxes in ("labeled", "detected")] == [0.1, 0.2]
    assert f"cuhk03np-labeled: {both / 'labeled'}; the labeled boxes" in " ".join(capsys.readouterr().out.split())


def test_a_damaged_result_is_said_and_not_read(
    both: Path, trained: list[tuple[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["thesis", "run", "table-3.7", "--scale=smoke", f"--out={tmp_path}", f"--data=cuhk03np={both}"]
    assert main(words) == 0
    (path,) = (tmp_path / "runs").glob("*/result.json")
    path.write_text(path.read_text()[:100])
    assert main(words) == 2
    assert f"{path} is damaged: remove it, and the row runs again" in capsys.readouterr().err
    path.unlink()
    assert main(words) == 0
    assert len(trained) == 2


def planned(table: str, **asked: Any) -> list[TableRow]:
    return [row for row in plan_rows(load_item(table), RunRequest("smoke", **asked)) if row.options is not None]


@pytest.mark.parametrize("table", ["figure-3.4", "figure-3.2", "table-4.2"])
def test_a_set_in_anothers_place_has_runs_of_its_own(table: str) -> None:
    """Whether its recipe is named by the set or not: `scr-pcb` and `scr-residual-attention` are not."""
    place = load_item(table).groups[0].data
    keys = {
        own: {row.key for row in planned(table, substitutes={place: own}) if own in row.sets}
        for own in (place, "cuhk03np-labeled", "cuhk03np-detected")
    }
    assert len({len(found) for found in keys.values()}) == 1
    assert len(set.union(*keys.values())) == sum(map(len, keys.values())) > 0


def test_all_that_makes_a_training_another_one_is_in_the_name_of_its_run(tmp_path: Path) -> None:
    (row,) = [row for row in planned("table-3.8") if row.data == "mars"]
    assert row.options is not None
    encoder, options = row.settings.encoder, row.options
    weights = [tmp_path / name for name in ("a", "b", "c")]
    for path, content in zip(weights, (b"1", b"1", b"2"), strict=True):
        path.write_bytes(content)

    def key(**changes: Any) -> str:
        return dataclasses.replace(row, **changes).key

    def weighed(path: Path) -> str:
        return key(settings=dataclasses.replace(row.settings, encoder=dataclasses.replace(encoder, weights=str(path))))

    others = [
        key(settings=dataclasses.replace(row.settings, epochs=7)),
        key(options=dataclasses.replace(options, seed=7)),
        key(options=dataclasses.replace(options, eval_every=7)),
        key(data="cuhk03np-labeled"),
        key(data="cuhk03np-detected"),
        key(source="market1501", reproduction=dataclasses.replace(row.reproduction, method="abmt")),
        weighed(weights[0]),
        weighed(weights[2]),
    ]
    assert len({row.key, *others}) == 1 + len(others)
    assert weighed(weights[0]) == weighed(weights[1]), "the same bytes under another name"
    elsewhere = dataclasses.replace(options, data="mars=/x", run="/y", start="/z")
    assert key(options=elsewhere, roots={"mars": "/x"}) == row.key


NAMES_OF_RUNS = {
    "table-3.5": "scr-mars-af91b80e60",
    "table-3.7": "scr-cuhk03np-labeled-29efe654f7",
    "table-4.5": "abmt-market1501-dukemtmc-c0f1dd4b13",
    "table-6.7": "ice-market1501-72afc1ff68",
}
"""The run folder of a table's first row of a method, as of the first version: such a run must not be made again."""


@pytest.mark.parametrize("table", NAMES_OF_RUNS)
def test_run_folders_keep_their_names(table: str) -> None:
    rows = plan_rows(load_item(table), RunRequest("full"))
    first = next(row for row in rows if row.key.startswith(NAMES_OF_RUNS[table].partition("-")[0]))
    assert first.key == NAMES_OF_RUNS[table]
    assert [start.key for start in first.starts] == ["source-market1501-dukemtmc-35a6b80a76"] * len(first.starts)


def test_each_set_of_the_tables_is_read_by_its_name() -> None:
    assert data_sets().keys() <= DATASETS.keys()


def test_the_page_and_the_scale_say_which_epoch_the_recipes_score() -> None:
    found: dict[str, set[str]] = {}
    for name in item_ids():
        for row in plan_rows(load_item(name), RunRequest("full"), resolve=False):
            if not row.reason:
                assert "select" not in row.reproduction.overrides
                recipe = yaml.safe_load(find_recipe(row.recipe).read_text(encoding="utf-8"))
                found.setdefault(recipe["select"], set()).add(row.method)
    assert found == {
        "test": {"ice", "abmt", "cap", "gcl", "mean_teacher", "mmcl", "mmt", "spcl"},
        "last": {"act", "jvtc", "scr", "source", "tracklet_contrast"},
    }
    best, last = (", ".join(sorted(found[which])) for which in ("test", "last"))
    said = f"the best epoch on the test people for {best}, the last epoch for {last}"
    assert said in scales()["full"].meaning
    page = Path(__file__).parents[2] / "docs" / "thesis.md"
    assert said in " ".join(page.read_text(encoding="utf-8").replace("`", "").split())
