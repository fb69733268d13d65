"""`resight thesis`, as a user types it: a real run at the smallest scale, the bookkeeping with a made-up `train`."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image, ImageOps

from resight.cli.main import main
from resight.config.recipes import known_methods
from resight.data.dataset import Dataset
from resight.errors import RunError, WeightsError
from resight.methods import METHODS
from resight.methods.ice import ICE
from resight.models.encoder import Encoder
from resight.records import Features, Report
from resight.reports.ranked_lists import draw_ranked_list
from resight.reports.saliency import saliency_sheet
from resight.thesis import drawing, running
from resight.thesis.paper import load_item
from resight.thesis.planning import RunRequest, plan_rows
from resight.training.runs import Run
from resight.training.train import TrainSettings


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


class MadeUpTraining:
    """In place of `train`: writes what a run leaves, counts its calls and stops where it is told to."""

    def __init__(self, stop: dict[int, BaseException] | None = None) -> None:
        self.calls: list[str] = []
        self.stop = stop or {}

    def __call__(
        self, name: str, dataset: Dataset, settings: Any, options: TrainSettings, *, source: Dataset | None = None
    ) -> Any:
        self.calls.append(options.run)
        run = Run(Path(options.run))
        if len(self.calls) in self.stop:
            raise self.stop[len(self.calls)]
        lines = [{"epoch": 0, "clusters": 10.0 * len(self.calls), "kl": 0.5, "seconds": 30.0}]
        run.write("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        run.write("environment.json", {"weights": {"source": "made up"}})
        scores = {"mAP": 0.111 * len(self.calls), "rank-1": 0.5, "rank-5": 0.6, "rank-10": 0.7}
        reports = {"best": Report(scores), "last": Report(scores)}
        return SimpleNamespace(folder=run.folder, reports=reports, metrics=lines, writes=True)


@pytest.fixture
def command(tiny_market: Path, tmp_path: Path) -> list[str]:
    words = ["thesis", "run", "table-6.6", f"--data=market1501={tiny_market}", "--scale=smoke"]
    return [*words, f"--out={tmp_path / 'out'}"]


def of_ours(path: Path, column: str = "Market1501") -> list[dict[str, Any]]:
    return [line for line in json.loads(path.read_text())["lines"] if line["columns"] == column]


def test_a_real_run_is_killed_continued_and_not_done_again(
    tiny_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["thesis", "run", "table-6.2", "--data", f"market={tiny_market}", "--scale=smoke", f"--out={out}"]
    words += ["--epochs=2", "--device.accelerator=cpu", "--device.threads=1"]
    begun, begin = [], ICE.begin_epoch

    def killed(self: ICE, epoch: int) -> Any:
        begun.append(epoch)
        if len(begun) == 4:  # the second epoch of the second row
            raise KeyboardInterrupt
        return begin(self, epoch)

    monkeypatch.setattr(ICE, "begin_epoch", killed)
    assert main(words) == 130
    assert "rerun the same command to resume" in capsys.readouterr().err
    stem = "table-6.2-smoke-e2-seed1"
    assert [line["state"] for line in of_ours(out / f"{stem}.json")] == ["done", "pending"]

    assert main(words) == 0
    assert begun == [0, 1, 0, 1, 1], "the first row is not done again, the second goes on at its second epoch"
    lines = of_ours(out / f"{stem}.json")
    assert [line["state"] for line in lines] == ["done", "done"]
    assert [line["thesis"] for line in lines] == [{"mAP": "80.1", "Rank1": "92.8"}, {"mAP": "82.3", "Rank1": "93.8"}]
    assert all(0 < line["ours"]["mAP"] <= 1 for line in lines)
    differs = {each["setting"]: (each["ours"], each["thesis"]) for each in lines[0]["differs"]}
    assert differs["encoder.backbone"] == ("tf_efficientnet_lite0", "resnet50")
    assert differs["encoder.height"] == ("64", "256")
    assert differs["epochs"] == ("2", "40")
    assert differs["iterations"] == ("2", "400")
    assert differs["select"] == ("last", "test")
    assert differs["seed"] == ("1", "not stated")
    assert differs["split"][0].startswith("not the official one (train 96 images of 8")
    assert "hard_negatives" not in differs, "what the row is about is the same there"
    made = lines[0]["made with"]
    assert made["epochs x iterations"] == "2 x 2"
    assert made["split official"] is False
    assert "efficientnet-lite0" in made["weights"]

    text = capsys.readouterr().out
    assert "thesis mAP" in text
    assert "ours (smoke) mAP" in text
    assert "no data: give --data dukemtmc=PATH" in text
    page = (out / f"{stem}.md").read_text()
    head = next(line for line in page.splitlines() if line.startswith("| row"))
    assert head == "| row | name | on | thesis mAP | thesis Rank1 | ours (smoke) mAP | ours (smoke) Rank1 | state |"
    assert "encoder.backbone: tf_efficientnet_lite0 (thesis: resnet50)" in page
    assert (out / f"{stem}.svg").read_text().startswith("<?xml")

    assert main(words) == 0
    assert len(begun) == 5
    capsys.readouterr()
    assert main(["thesis", "show", "table-6.2", f"--out={out}", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["lines"][0]["thesis"]["mAP"] == "80.1"
    assert shown["ours"][stem]["lines"] == json.loads((out / f"{stem}.json").read_text())["lines"]


def test_rows_that_go_wrong_are_noted_and_tried_again(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = MadeUpTraining(
        {2: RunError("loss became nan"), 3: WeightsError("none of resnet50"), 5: KeyboardInterrupt()}
    )
    monkeypatch.setattr(running, "train", first)
    assert main(command) == 130
    result = tmp_path / "out" / "table-6.6-smoke-seed1.json"
    states = ["done", "failed", "unavailable", "done", "pending", "pending", "pending", "pending"]
    assert [line["state"] for line in of_ours(result)] == states
    assert of_ours(result)[1]["reason"] == "loss became nan"
    assert of_ours(result)[2]["reason"] == "no weights: none of resnet50"
    assert "left, about" in capsys.readouterr().out

    again = MadeUpTraining()
    monkeypatch.setattr(running, "train", again)
    assert main(command) == 0
    assert len(again.calls) == 6
    assert not {first.calls[0], first.calls[3]} & set(again.calls)
    assert [line["state"] for line in of_ours(result)] == ["done"] * 8
    assert main(command) == 0
    assert len(again.calls) == 6
    # ICE itself, the fourth row, is also a row of Table 6.7, and so is the last, without cameras.
    assert main([*command[:2], "table-6.7", *command[3:]]) == 0
    assert len(again.calls) == 7, "only the supervised row is new"
    failing = [*command[:-1], f"--out={tmp_path / 'other'}"]
    monkeypatch.setattr(running, "train", MadeUpTraining({1: RunError("no clusters")}))
    assert main(failing) == 1


def test_only_the_rows_that_were_asked_for_are_made(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = MadeUpTraining()
    monkeypatch.setattr(running, "train", made)
    ours = sorted({job.number for job in plan_rows(load_item("table-6.6"), RunRequest(), resolve=False)})
    assert main([*command, f"--rows=[{ours[1]}]"]) == 0
    assert len(made.calls) == 1
    assert "1 left" in capsys.readouterr().out
    lines = of_ours(tmp_path / "out" / "table-6.6-smoke-seed1.json")
    states = {line["row"]: line["state"] for line in lines if line["state"] != "quoted"}
    assert states.pop(ours[1]) == "done"
    assert set(states.values()) == {"pending"}
    assert main([*command, "--rows=[99]"]) == 2
    assert f"--rows 99: the rows of table-6.6 that can run are {', '.join(map(str, ours))}" in capsys.readouterr().err


def test_attention_and_partition_are_run_beside_each_other(
    tiny_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Table 3.1: a network without weights at hand says so, and runs from random ones where that is asked for."""
    words = ["thesis", "run", "table-3.1", f"--data=market1501={tiny_market}", "--scale=smoke", f"--out={tmp_path}"]
    words += ["--device.accelerator=cpu", "--device.threads=1"]
    create = timm.create_model

    def unreachable(*names: str, **how: Any) -> Any:
        if how.get("pretrained"):
            raise OSError("no route to host")
        return create(*names, **how)

    monkeypatch.setattr(timm, "create_model", unreachable)
    assert main(words) == 0
    lines = of_ours(tmp_path / "table-3.1-smoke-seed1.json", "Market-1501")
    assert [line["state"] for line in lines] == ["done", "unavailable", "done"]
    assert "no weights: ImageNet weights of 'legacy_seresnet50' cannot be downloaded" in lines[1]["reason"]

    assert main([*words, "--weights=legacy_seresnet50=none"]) == 0
    lines = of_ours(tmp_path / "table-3.1-smoke-seed1.json", "Market-1501")
    assert [line["state"] for line in lines] == ["done"] * 3
    assert [line["thesis"]["mAP"] for line in lines] == ["73.3", "75.6", "85.8"]
    assert all(0 < line["ours"]["mAP"] <= 1 for line in lines)
    assert "random" in lines[1]["made with"]["weights"]
    folders = [Path(text) for text in (tmp_path / "runs").glob(f"{lines[1]['run']}/encoder-last.safetensors")]
    (settings,) = (Encoder.load(path).settings for path in folders)
    assert (settings.backbone, settings.head, settings.size) == ("legacy_seresnet50", "p1", (96, 48))
    differs = {each["setting"]: (each["ours"], each["thesis"]) for each in lines[1]["differs"]}
    assert differs["encoder.weights"] == ("none", "imagenet")
    assert "encoder.backbone" not in differs


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
        assert {found.shape[0] for found in maps.values()} == {len(paths)}
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
    made_up, asked = MadeUpTraining(), iter((1, 0, 0, 0))  # the first run takes each query for the next person

    def embedded(encoder: Encoder, table: Any, **_: Any) -> Features:
        people = np.unique(table.person_ids, return_inverse=True)[1]
        return Features(table, np.roll(np.eye(50, dtype=np.float32)[people], next(asked), axis=1), "made up")

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


def test_results_on_other_data_are_not_passed_off(
    command: list[str], tiny_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The same folder by another path is the same data, a copy of it is not."""
    made = MadeUpTraining()
    monkeypatch.setattr(running, "train", made)
    command[2] = "table-3.6"
    assert main(command) == 0
    (tmp_path / "link").symlink_to(tiny_market)
    monkeypatch.chdir(tiny_market.parent)
    for same in (tmp_path / "link", tiny_market.name, tiny_market.parent):
        assert main([word.replace(str(tiny_market), str(same)) for word in command]) == 0
    assert len(made.calls) == 1
    shutil.copytree(tiny_market, tmp_path / "copy")
    capsys.readouterr()
    assert main([word.replace(str(tiny_market), str(tmp_path / "copy")) for word in command]) == 2
    message = capsys.readouterr().err
    assert f"was made on market1501={tiny_market}, but the request names market1501={tmp_path / 'copy'}" in message
    assert "--out" in message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnu"], "did you mean 'run'"),
        (["show"], "needs a table or figure"),
        (["show", "table-6.66"], "did you mean 'table-6.6'"),
        (["show", "table-6.6", "--json", "--markdown"], "exclude each other"),
        (["show", "table-6.6", "--json", "maybe"], "--json must be true or false, found 'maybe'"),
        (["run", "table-6.6", "--rows", "3"], "--rows must be a list such as [3], found '3'"),
        (["run", "table-6.6"], "--data dukemtmc=PATH --data market1501=PATH --data msmt17=PATH"),
        (["run", "table-6.6", "--scale=shrot"], "did you mean 'short'"),
        (["run", "table-6.6", "--data=markt1501=/x"], "did you mean 'market1501'"),
        (["run", "table-6.6", "--data=/x"], "NAME=PATH"),
        (["run", "table-6.6", "--data"], "NAME=PATH"),
        (["run", "table-6.6", "--data=market1501=/not/there", "--scale=smoke"], "/not/there"),
        (["run", "table-6.1", "--scale=smoke"], "nothing to run"),
        (["run", "figure-6.1", "--scale=smoke"], "nothing to run"),
        (["run", "table-6.6", "--weights=resnet50=/not/there"], "there is no such file"),
        (["run", "table-6.6", "--seeed=2"], "did you mean '--seed'"),
        (["run", "table-6.6", "--epochs=-1"], "0 or more"),
        (["run", "table-4.3", "--substitute=duke"], "THESIS=OURS"),
        (["run", "table-4.3", "--substitute=duke=cukh03"], "did you mean 'cuhk03'"),
        (["run", "table-6.6", "--data=market=/a", "--data=market1501=/b"], "--data names market1501 twice, /a and /b"),
        (["run", "table-6.6", "--weights=resnet50=none", "--weights=resnet50=/b"], "--weights names resnet50 twice"),
        (
            ["run", "table-4.3", "--substitute=duke=cuhk03", "--substitute=duke=mars"],
            "--substitute names dukemtmc twice",
        ),
        (["run", "table-4.3", "--substitute=mars=duke"], "it is about dukemtmc, market1501"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["thesis", *words]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert said.count("\n") == 0


def test_a_table_without_its_method_says_so(tiny_market: Path, tmp_path: Path, capsys: Any) -> None:
    words = ["thesis", "run", "table-5.3", f"--data=market1501={tiny_market}", "--scale=smoke", f"--out={tmp_path}"]
    assert main(words) == 1
    text = capsys.readouterr().out
    assert "no method 'gcl' yet (recipe gcl-jvtc)" in text
    assert text.splitlines()[-1].startswith("no row ran: no method 'gcl' yet (recipe gcl-")
    lines = json.loads((tmp_path / "table-5.3-smoke-seed1.json").read_text())["lines"]
    assert {line["state"] for line in lines} == {"unavailable"}


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
    differs = {each["setting"]: (each["ours"], each["thesis"]) for each in line["differs"]}
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
    assert {each[3] for each in taken if each[0] == "source"} == set(heads)
    assert len(taken) == 2 * 2 * len(heads)
    taken.clear()
    assert main(["thesis", "run", "table-4.3", *two_domains, *words]) == 0
    assert [each for each in taken if each[0] == "source"] == [("source", d, s, "global") for d, s in both]
    assert {each[3].split()[0] for each in taken if each[0] == "mean_teacher"} == {"global"}
    names = [line["state"] for line in of_ours(tmp_path / "out" / "table-4.3-smoke-seed1.json", "Market → Duke")]
    assert names == ["done"] * 10


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
    differs = {each["setting"] for each in lines[0]["differs"]}
    assert {"encoder.backbone", "epochs"} <= differs
    assert not {"start", "source", "encoder.head"} & differs
    assert len(list((tmp_path / "runs").iterdir())) == 2 + 2


def test_list_says_what_can_be_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["thesis", "list", "--json"]) == 0
    found = {entry["id"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert len(found) == 28 + 44
    assert found["table-6.6"]["able"] == {"smoke": 24, "short": 24, "full": 24}
    assert found["table-6.6"]["data"] == ["market1501", "dukemtmc", "msmt17"]
    assert found["table-6.4"]["able"] == {"smoke": 0, "short": 0, "full": 6}
    assert found["table-3.6"]["able"] == {"smoke": 2, "short": 2, "full": 2}
    assert found["table-3.6"]["data"] == ["market1501", "dukemtmc"]
    assert found["table-3.1"]["able"] == {"smoke": 3, "short": 3, "full": 3}
    assert found["table-3.5"]["able"] == {"smoke": 4, "short": 4, "full": 4}
    assert found["table-3.9"]["able"] == {"smoke": 2, "short": 2, "full": 2}
    assert found["table-4.4"]["able"] == {"smoke": 8, "short": 8, "full": 8}
    assert found["table-4.3"]["able"] == {"smoke": 20, "short": 20, "full": 20}
    assert found["table-4.2"]["able"] == {"smoke": 6, "short": 6, "full": 6}
    assert found["table-4.1"]["able"]["full"] == 8
    assert found["table-4.4"]["missing"] == []
    assert found["figure-6.1"]["runs"] == 0
    assert main(["thesis", "list"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"table-6\.6 .* 24/24", text)
    assert "figure-5.12" in text


@pytest.mark.parametrize("name", ["table-4.1", "table-6.4"])
@pytest.mark.parametrize("scale", ["smoke", "short", "full"])
def test_what_can_be_run_is_the_same_with_the_settings_worked_out(name: str, scale: str) -> None:
    quick, whole = (plan_rows(load_item(name), RunRequest(scale), resolve=resolve) for resolve in (False, True))
    assert [bool(job.reason) for job in quick] == [bool(job.reason) for job in whole]


def test_show_gives_what_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = f"--out={tmp_path}"
    assert main(["thesis", "show", "table-6.7", where]) == 0
    text = capsys.readouterr().out
    assert "SpCL(agnostic) [42]" in text
    assert "thesis mAP" in text
    assert "ours" not in text.split("SpCL")[0]
    assert main(["thesis", "show", "table-5.4", "--markdown", where]) == 0
    page = capsys.readouterr().out
    assert "| 4 | DG-Net [165] | Market-1501 | 18.24 | 0.360 |" in page
    assert main(["thesis", "show", "table-6.7", "--json", where]) == 0
    lines = json.loads(capsys.readouterr().out)["lines"]
    states = {line["name"].partition(": ")[2]: line["state"] for line in lines}
    assert (states["CAP(aware) [130]"], states["ICE(aware)"]) == ("quoted", "not run")
    assert lines[0]["ours"] is None
    assert main(["thesis", "show", "figure-6.10", where]) == 0
    text = capsys.readouterr().out
    assert "CAP [130]" in text
    assert "(not there yet)" in text
    assert main(["thesis", "--help"]) == 0
    assert "usage" in capsys.readouterr().out
    assert main(["thesis", "show", "--help_all"]) == 0
    assert "The command writes no file" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("words", [["list"], ["show", "table-4.3"], ["show", "table-4.3", "--json"]])
def test_what_only_reads_loads_no_networks(words: list[str]) -> None:
    heavy = ("torch", "timm", "numba", "matplotlib", "sklearn")
    code = (
        f"import sys; from resight.cli.main import main; assert main(['thesis', *{words}]) == 0; "
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stderr.strip() == "[]"
    assert "table-4.3" in found.stdout


def test_the_plan_knows_the_methods_without_loading_them() -> None:
    assert set(METHODS) <= set(known_methods())


def test_results_of_earlier_versions_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    states = {"done": "done", "left": "pending", "cannot": "unavailable", "failed": "failed", "quoted": "quoted"}
    lines = [{"row": 1, "state": state, "instead": {"dukemtmc": "mars"}} for state in states]
    (tmp_path / "table-6.2-smoke-seed1.json").write_text(json.dumps({"lines": lines}))
    assert main(["thesis", "show", "table-6.2", f"--out={tmp_path}", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)["ours"]["table-6.2-smoke-seed1"]["lines"]
    assert [line["state"] for line in read] == list(states.values())
    assert {tuple(line["substitutes"].items()) for line in read} == {(("dukemtmc", "mars"),)}


def test_the_earlier_flag_names_the_present_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["thesis", "run", "table-4.3", "--instead=duke=mars"]) == 2
    assert "--instead is called --substitute now" in capsys.readouterr().err


def test_weights_that_cannot_be_read_are_said_before_any_row_runs(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "weights.pth").write_bytes(b"no weights")
    assert main([*command, f"--weights=tf_efficientnet_lite0={tmp_path / 'weights.pth'}"]) == 2
    message = capsys.readouterr().err
    assert "weights.pth" in message
    assert message.count("\n") == 1
    assert not (tmp_path / "out").exists()
