"""`resight thesis run` of tables that adapt a model of one set to another."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from made_up_training import MadeUpTraining, of_ours
from PIL import Image, ImageOps

from resight.cli.main import main
from resight.data.dataset import Dataset
from resight.errors import RunError
from resight.thesis import running
from resight.thesis.paper import load_item
from resight.thesis.planning import RunRequest, plan_rows
from resight.training.train import TrainSettings


@pytest.fixture
def two_domains(tiny_market: Path, tmp_path: Path) -> list[str]:
    """The made-up people as Market-1501, and again, with other colors, as DukeMTMC-reID."""
    root = tmp_path / "duke"
    for path in sorted(tiny_market.rglob("*.png")):
        person, camera, frame, _ = path.stem.split("_")
        copy = root / path.parent.name / f"{person}_c{camera[1]}_f{int(frame):07d}.png"
        copy.parent.mkdir(parents=True, exist_ok=True)
        ImageOps.invert(Image.open(path)).save(copy)
    return [f"--data=market1501={tiny_market}", f"--data=dukemtmc={root}"]


def test_rows_that_adapt_share_the_run_on_the_source(
    two_domains: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[str, str, str, str]] = []
    made_up = MadeUpTraining()

    def train(
        name: str, dataset: Dataset, settings: Any, options: TrainSettings, *, source: Dataset | None = None
    ) -> Any:
        start = Path(options.start).name.rpartition("-")[0] if options.start else ""
        taken.append((name, dataset.name, source.name if source else "", f"{settings.encoder.head} {start}".strip()))
        return made_up(name, dataset, settings, options)

    monkeypatch.setattr(running, "train", train)
    words = ["--scale=smoke", f"--out={tmp_path / 'out'}"]
    assert main(["thesis", "run", "table-4.5", *two_domains, *words]) == 0
    both = (("dukemtmc", "market1501"), ("market1501", "dukemtmc"))
    expected = [("source", data, source, "a+m1") for data, source in both]
    adapted = [("abmt", data, source, f"a+m1 source-{source}-{data}") for data, source in both]
    assert sorted(taken) == sorted([*expected, *adapted * 4]), "four rows in two directions, and one first run for each"
    for data in ("Market → Duke", "Duke → Market"):
        assert [line["state"] for line in of_ours(tmp_path / "out" / "table-4.5-smoke-seed1.json", data)] == [
            "done"
        ] * 4
    line = of_ours(tmp_path / "out" / "table-4.5-smoke-seed1.json", "Market → Duke")[0]
    differs = {entry["setting"]: (entry["ours"], entry["thesis"]) for entry in line["differs"]}
    assert (differs["epochs"], differs["first run: epochs"]) == (("1", "40"), ("1", "80"))
    assert differs["first run: iterations"] == ("2", "200")
    assert differs["first run: seed"] == ("1", "not stated")
    assert differs["split"][0].startswith("not the official one (train 96 images of 8")
    assert differs["source split"][0].startswith("not the official one (train 96 images of 8")
    assert not {"encoder.head", "first run: encoder.head"} & set(differs), "what the row is about is the same there"
    assert [start.rpartition("-")[0] for start in line["starts from"]] == ["source-market1501-dukemtmc"]
    page = (tmp_path / "out" / "table-4.5-smoke-seed1.md").read_text()
    (first,) = (text for text in page.splitlines() if text.startswith("- the first run of row 1 on Market → Duke"))
    assert "epochs: 1 (thesis: 80)" in first
    # Other branches have another first run; ABMT itself is done. The rows of Table 4.3 share what there is.
    taken.clear()
    assert main(["thesis", "run", "table-4.4", *two_domains, *words]) == 0
    heads = ("a+a1", "a+m", "a+m1+a2")
    assert {run[3] for run in taken if run[0] == "source"} == set(heads)
    assert len(taken) == 2 * 2 * len(heads)
    taken.clear()
    assert main(["thesis", "run", "table-4.3", *two_domains, *words]) == 0
    assert [run for run in taken if run[0] == "source"] == [("source", d, s, "global") for d, s in both]
    assert {run[3].split()[0] for run in taken if run[0] == "mean_teacher"} == {"global"}
    names = [line["state"] for line in of_ours(tmp_path / "out" / "table-4.3-smoke-seed1.json", "Market → Duke")]
    assert names == ["done"] * 10


def test_rows_of_gcl_start_from_a_run_of_another_method(
    two_domains: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Table 5.1: the source's people are for the first run only, and rows of the same method share it."""
    taken: dict[str, tuple[str, str, str, str]] = {}
    made_up = MadeUpTraining()

    def train(
        name: str, dataset: Dataset, settings: Any, options: TrainSettings, *, source: Dataset | None = None
    ) -> Any:
        start = Path(options.start).name.rpartition("-")[0]
        assert bool(options.source) == bool(source)
        taken[Path(options.run).name] = (name, dataset.name, source.name if source else "", start)
        return made_up(name, dataset, settings, options)

    monkeypatch.setattr(running, "train", train)
    words = ["--scale=smoke", f"--out={tmp_path / 'out'}", "--structure=market1501=truth"]
    assert main(["thesis", "run", "table-5.1", *two_domains, *words]) == 0
    assert {run for run in taken.values() if "market1501" in run[1:2]} == {
        ("mmcl", "market1501", "", ""),
        ("jvtc", "market1501", "", ""),
        ("gcl", "market1501", "", "mmcl-market1501"),
        ("gcl", "market1501", "", "jvtc-market1501"),
        ("source", "market1501", "dukemtmc", ""),
        ("act", "market1501", "dukemtmc", "source-dukemtmc-market1501"),
        ("jvtc", "market1501", "dukemtmc", ""),
        ("gcl", "market1501", "", "act-dukemtmc-market1501"),
        ("gcl", "market1501", "", "jvtc-dukemtmc-market1501"),
    }
    starts = {start for name, _, _, start in taken.values() if name == "gcl"}
    assert len(starts) == 8
    of_jvtc = [name for name, run in taken.items() if run[:3] == ("jvtc", "market1501", "")]
    assert len(of_jvtc) == 2, "JVTC and JVTC+, from which GCL's rows start"


def test_renderings_are_of_the_set_that_they_are_named_for(tmp_path: Path) -> None:
    structures = {"market1501": str(tmp_path)}
    rows = plan_rows(load_item("table-5.3"), RunRequest("smoke", structures=structures))
    generated = [row for row in rows if row.method == "gcl" and row.settings.generator]
    assert {(row.data, row.settings.structure) for row in generated} == {
        ("market1501", str(tmp_path)),
        ("dukemtmc", "pose"),
    }
    elsewhere = plan_rows(load_item("table-5.3"), RunRequest("smoke", structures={"market1501": str(tmp_path / "b")}))
    assert [row.key for row in elsewhere] == [row.key for row in rows], "a run does not depend on where they lie"
    recovered = plan_rows(load_item("table-5.3"), RunRequest("smoke"))
    assert {row.key for row in recovered} - {row.key for row in rows} == {
        row.key for row in recovered if row.data == "market1501" and row.method == "gcl" and row.settings.generator
    }
    alone = [row for row in rows if row.method == "gcl" and not row.settings.generator]
    assert {row.settings.structure for row in alone} == {""}


def test_a_model_of_one_set_is_scored_on_another(two_domains: list[str], tmp_path: Path) -> None:
    """Table 3.9: trained as the set's own row of Table 3.6 is, and once for both."""
    words = ["--scale=smoke", f"--out={tmp_path}", *two_domains]
    assert main(["thesis", "run", "table-3.9", *words]) == 0
    folders = sorted((tmp_path / "runs").iterdir())
    assert [folder.name.rpartition("-")[0] for folder in folders] == ["scr-dukemtmc", "scr-market1501"]
    for folder, target in zip(folders, ("market1501", "dukemtmc"), strict=True):
        result = json.loads((folder / f"result-{target}.json").read_text())
        assert target in result["data"]["spec"].split(" from ")[0]
        own = json.loads((folder / "report.json").read_text())["best"]["scores"]
        assert result["scores"]["best"]["mAP"] != own["mAP"]
        assert (folder / "config.yaml").read_text().count("source: ''") == 1
    before = [(folder / "metrics.jsonl").read_text() for folder in folders]  # with the seconds that it took
    assert main(["thesis", "run", "table-3.6", *words]) == 0
    assert [(folder / "metrics.jsonl").read_text() for folder in folders] == before
    assert all((folder / "result.json").is_file() for folder in folders)


def test_another_set_takes_the_place_of_one_that_is_not_at_hand(two_domains: list[str], tmp_path: Path) -> None:
    """Where it has recipes of its own they serve, and its runs are those of its own rows; else the thesis' recipes."""
    words = [two_domains[0], two_domains[1].replace("dukemtmc=", "cuhk03np-detected="), "--scale=smoke"]
    place = ["--substitute=duke=cuhk03", f"--out={tmp_path}"]
    own = tmp_path / "cuhk"
    for path in sorted((tmp_path / "duke").rglob("*.png")):
        person, camera, frame = path.stem.split("_")
        (own / path.parent.name).mkdir(parents=True, exist_ok=True)
        path.rename(own / path.parent.name / f"{person}_{camera}_{int(frame[1:]) % 100}.png")
    words[1] = f"--data=cuhk03np-detected={own}"

    assert main(["thesis", "run", "table-3.9", *words, *place]) == 0
    folders = sorted((tmp_path / "runs").iterdir())
    assert [folder.name.rpartition("-")[0] for folder in folders] == ["scr-cuhk03np-detected", "scr-market1501"]
    page = json.loads((tmp_path / "table-3.9-smoke-cuhk03np-detected-for-dukemtmc-seed1.json").read_text())
    lines = {line["columns"]: line for line in page["lines"] if line["state"] == "done"}
    line = lines["M → D"]
    assert (len(lines), line["substitutes"]) == (2, {"dukemtmc": "cuhk03np-detected"})
    table = (tmp_path / "table-3.9-smoke-cuhk03np-detected-for-dukemtmc-seed1.md").read_text()
    assert "| M → D, ours: cuhk03np-detected | 53.6 | 32.4 |" in table
    assert line["thesis"] == {"Rank1": "53.6", "mAP": "32.4"}
    assert line["differs"][0] == {"setting": "data", "ours": "cuhk03np-detected", "thesis": "dukemtmc"}

    planned = plan_rows(load_item("table-4.3"), RunRequest("smoke", substitutes={"dukemtmc": "cuhk03np-detected"}))
    theirs = plan_rows(load_item("table-4.3"), RunRequest("smoke"))
    ahead, back = planned[-2:]
    assert (ahead.source, ahead.data) == ("market1501", "cuhk03np-detected")
    assert (ahead.recipe, ahead.starts[0].recipe) == ("abmt-from-source", "source-thesis")
    assert (back.recipe, back.starts[0].recipe) == ("abmt-from-source", "source-thesis")
    assert not {job.key for job in planned} & {job.key for job in theirs}
    assert not {start.key for job in planned for start in job.starts} & {
        start.key for job in theirs for start in job.starts
    }
    alone, other = (
        [
            job
            for job in plan_rows(load_item("table-4.2"), RunRequest("smoke", substitutes=substitutes))
            if (job.method, job.group.data) == ("abmt", "dukemtmc")
        ]
        for substitutes in ({}, {"dukemtmc": "cuhk03np-detected"})
    )
    assert len(alone) == len(other) == 1
    assert alone[0].key != other[0].key
    same = plan_rows(load_item("table-4.3"), RunRequest("smoke", substitutes={"dukemtmc": "market1501"}))
    assert all("adapted to itself" in job.reason for job in same)


def test_a_source_that_is_not_there_is_asked_for(two_domains: list[str], tmp_path: Path, capsys: Any) -> None:
    words = ["thesis", "run", "table-4.5", two_domains[0], "--scale=smoke", f"--out={tmp_path}"]
    assert main(words) == 1
    text = capsys.readouterr().out
    assert text.splitlines()[-1] == "no row ran: no data: give --data dukemtmc=PATH"
    lines = json.loads((tmp_path / "table-4.5-smoke-seed1.json").read_text())["lines"]
    assert {line["state"] for line in lines} == {"unavailable"}


def test_a_first_run_that_goes_wrong_is_the_reason(
    two_domains: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(name: str, *_: Any, **__: Any) -> Any:
        raise RunError("loss became nan")

    monkeypatch.setattr(running, "train", train)
    assert main(["thesis", "run", "table-4.5", *two_domains, "--scale=smoke", f"--out={tmp_path}"]) == 1
    line = of_ours(tmp_path / "table-4.5-smoke-seed1.json", "Market → Duke")[0]
    assert (line["state"], line["reason"]) == (
        "failed",
        "the run on market1501 that it starts from: loss became nan",
    )


def test_two_real_runs_one_after_the_other(
    two_domains: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = load_item("table-4.5")
    monkeypatch.setattr("resight.cli.thesis_run.load_item", lambda _: dataclasses.replace(table, rows=table.rows[:1]))
    words = ["--scale=smoke", f"--out={tmp_path}", "--device.accelerator=cpu", "--device.threads=1"]
    assert main(["thesis", "run", "table-4.5", *two_domains, *words]) == 0
    lines = of_ours(tmp_path / "table-4.5-smoke-seed1.json", "Duke → Market")
    assert [line["state"] for line in lines] == ["done"]
    assert 0 < lines[0]["ours"]["mAP"] <= 1
    assert lines[0]["data"]["spec"].startswith("market1501=")
    assert " from dukemtmc=" in lines[0]["data"]["spec"]
    differs = {entry["setting"] for entry in lines[0]["differs"]}
    assert {"encoder.backbone", "epochs"} <= differs
    assert not {"start", "source", "encoder.head"} & differs
    assert len(list((tmp_path / "runs").iterdir())) == 2 + 2
