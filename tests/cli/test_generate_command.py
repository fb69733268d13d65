"""`resight generate`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from resight.bodies.landmarks import Landmarks
from resight.cli.main import main
from resight.compute.tensor_files import load_state
from resight.models.encoder import load_encoder
from resight.reports.generation_tables import score_tables
from resight.synthetic import SyntheticSettings, synthesize
from resight.training.generators import load_generator

SMALL = ["--device.accelerator=cpu", "--device.threads=1"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn people with true pictures and structure maps from eight sides."""
    size: dict[str, Any] = {"height": 32, "width": 16, "silhouettes": False}
    settings = SyntheticSettings(
        people_train=3, people_test=1, cameras=2, crops=2, seed=5, views=8, distractors=1, junk=1, **size
    )
    return synthesize(tmp_path_factory.mktemp("generate") / "set", settings=settings).root


@pytest.fixture(scope="module")
def gcl(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run of GCL that has drawn for a step."""
    folder = tmp_path_factory.mktemp("runs") / "gcl"
    flags = ["--epochs=1", "--warmup_epochs=0", "--pretrain=pairs", "--pretrain_epochs=1", "--iterations=1"]
    flags += ["--encoder.backbone=test_efficientnet", "--encoder.weights=none", "--encoder.head=global"]
    flags += ["--encoder.height=64", "--encoder.width=32", "--generator_width=0.1", "--identities=2", *SMALL]
    words = ["train", "gcl", *flags, f"--data={drawn}", f"--structure={drawn / 'views'}", f"--run={folder}"]
    assert main(words) == 0
    return str(folder)


def test_a_sheet_shows_people_from_eight_sides(
    gcl: str, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "sheet.png"
    with caplog.at_level("INFO"):
        assert main(["generate", gcl, f"--data={drawn}", f"--out={out}", "--count=3", "--gate=1", *SMALL]) == 0
    assert f"structure maps: {drawn / 'views'}, as the run learned from" in caplog.text
    shown = capsys.readouterr().out
    assert "eight views of 3 images" in shown
    assert "the gate refuses 21 of 21 turned views (100.0 %)" in shown
    with Image.open(out) as sheet:
        size = sheet.size
    more = ["--show_maps", "--show_true", "--structure=truth", "--json"]
    assert main(["generate", gcl, f"--data={drawn}", f"--out={out}", "--count=3", *more, *SMALL]) == 0
    result = json.loads(capsys.readouterr().out)
    with Image.open(out) as sheet:
        assert sheet.width == size[0]
        assert sheet.height > 2 * size[1]
    assert (result["epochs"], result["structure"], result["judge"]) == (1, "truth", "synthetic")
    assert len({entry["name"] for entry in result["images"]}) == 3, "of three people"
    assert list(result["images"][0]["cosines"]) == ["0", "45", "90", "135", "180", "225", "270", "315"]
    assert result["identity"]["refused"] == 0


def test_the_last_checkpoint_draws(gcl: str) -> None:
    trained = load_generator(gcl)
    assert trained.encoder.digest() == load_encoder(gcl, which="last").digest()
    saved = load_state(Path(gcl) / "last.safetensors")["generator"]
    assert saved.keys() == trained.generator.state_dict().keys()
    assert all(torch.equal(value, saved[name]) for name, value in trained.generator.state_dict().items())
    assert not trained.generator.training
    assert (trained.epochs, trained.settings.pretrain, trained.options.run) == (1, "pairs", gcl)


def test_named_images_are_drawn_in_their_order(gcl: str, drawn: Path, tmp_path: Path, capsys: Any) -> None:
    names = sorted(map(str, drawn.glob("bounding_box_train/*.jpg")))
    words = [gcl, names[3], names[0], f"--out={tmp_path / 'x.png'}", "--structure=truth", "--json", *SMALL]
    assert main(["generate", gcl, "/gone.jpg", *words[1:]]) == 1, "an image is missing, the others are drawn"
    capsys.readouterr()
    assert main(["generate", *words]) == 0
    assert [entry["path"] for entry in json.loads(capsys.readouterr().out)["images"]] == [names[3], names[0]]


def test_interpolation_goes_from_person_to_person(gcl: str, drawn: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "mix.png"
    words = [gcl, f"--data={drawn}", f"--out={out}", "--count=3", "--interpolate=5", *SMALL]
    assert main(["generate", *words]) == 0
    assert "5 steps from each of 3 images to the next" in capsys.readouterr().out
    assert main(["generate", *words, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["shares"] == [0, 0.25, 0.5, 0.75, 1]
    assert [entry["second"] for entry in result["images"]] == [result["images"][row]["first"] for row in (1, 2, 0)]


def test_distractors_are_not_one_person(drawn: Path, tmp_path: Path, capsys: Any) -> None:
    """Drawn galleries have distractors, of person 0, and junk."""
    crops = sorted(drawn.glob("bounding_box_test/*.jpg"))
    for kind in ("view", *(f"view_{45 * turn}" for turn in range(1, 8))):
        (tmp_path / kind).mkdir()
        for crop in crops:
            shutil.copy(crop, tmp_path / kind)
    words = [
        f"--views={tmp_path}",
        f"--data={drawn}",
        "--split=gallery",
        f"--out={tmp_path / 'x.png'}",
        "--json",
        *SMALL,
    ]
    assert main(["generate", *words]) == 0
    names = {Path(entry["path"]).name: entry["name"] for entry in json.loads(capsys.readouterr().out)["images"]}
    assert len(names) == len(crops)
    assert {name[:4] for name in names} >= {"0000", "-1_c"}
    assert all((entry == name) == name.startswith(("0000", "-1")) for name, entry in names.items())


def test_views_in_folders_are_scored_and_true_ones_are_perfect(drawn: Path, capsys: Any) -> None:
    words = [
        f"--views={drawn / 'views'}",
        f"--data={drawn}",
        "--structure=truth",
        "--evaluate",
        "--eval_images=4",
        *SMALL,
    ]
    assert main(["generate", *words, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    scores = result["scores"]
    assert scores["images"] == 4
    assert result["run"] is None
    assert scores["truth"]["difference"]["generated"] == 0 < scores["truth"]["difference"]["copied"]
    assert scores["identity"]["by_turn"]["0"] == pytest.approx(1, abs=1e-3)
    tables = list(score_tables(scores, "x"))
    titles = [title for title, _, _ in tables]
    assert titles[1] == "Fréchet distance (EfficientNet-Lite0): smaller is more alike"
    assert not any("FID" in title for title in titles)
    cells = {row[0]: row[1:] for _, _, rows in tables for row in rows}
    assert cells["error of the mean color, torso"][0] == "0.000" < cells["error of the mean color, torso"][1]
    assert cells["images of different people"] == ("–",), "four images of one person"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["GCL"], "either images that you name after RUN, or those of --data"),
        ([], "needs a run of GCL and images"),
        (["GCL", "--data=DRAWN"], "needs --out SHEET.png to draw to, or --evaluate"),
        (["GCL", "a.jpg", "--data=DRAWN", "--out=x.png"], "either images that you name"),
        (["GCL", "--data=DRAWN", "--out=x.jpg"], "would hold PNG"),
        (["GCL", "--data=DRAWN", "--out=DRAWN/x.png"], "read as one of its images"),
        (["/nowhere", "--data=DRAWN", "--out=x.png"], "'/nowhere' is no run folder"),
        (["OTHER", "--data=DRAWN", "--out=x.png"], "is of another method: only one of resight train gcl"),
        (["PLAIN", "--data=DRAWN", "--out=x.png"], "has no generator: it was trained with generator false"),
        (["EARLY", "--data=DRAWN", "--out=x.png"], "has no checkpoint yet"),
        (["DAMAGED", "--data=DRAWN", "--out=x.png"], "'generator' of the checkpoint"),
        (["GCL", "--data=folder=CROPS", "--out=x.png"], "give --structure pose, truth or FOLDER"),
        (["GCL", "--data=folder=CROPS", "--structure=truth", "--out=x.png"], "known of drawn people only"),
        (["--views=/absent", "--data=DRAWN", "--out=x.png"], "no folder /absent/view of turned people"),
        (["GCL", "--data=DRAWN", "--out=x.png", "--pictures=/absent"], "no folder /absent/view of turned people"),
        (["--views=DRAWN/views", "--data=DRAWN", "--out=x.png", "--show_maps"], "show_maps needs structure maps"),
        (["GCL", "--data=folder=CROPS", "--structure=MAPS", "--out=x.png", "--show_true"], "name their folder with"),
        (["GCL", "--data=DRAWN", "--evaluate", "--inception=INCEPTION"], "the FID is measured with that of 1,008"),
        (["GCL", "--data=DRAWN", "--evaluate", "--inception=/absent.pth"], "no weights at '/absent.pth'"),
        (["GCL", "--data=DRAWN", "--out=x.png", "--inception=y.pth"], "add --evaluate"),
        (["GCL", "--data=DRAWN", "--out=x.png", "--judge=/nobody"], "no encoder at '/nobody'"),
        (["GCL", "--data=DRAWN", "--out=x.png", "--gate=2"], "gate must lie in -1..1"),
        (["GCL", "--data=DRAWN", "--out=x.png", "--interpolate=1"], "two steps or more"),
        (["GCL", "--data=DRAWN", "--out=x.png", "--interpolate=3", "--count=1"], "between two people"),
        (["GCL", "--data=DRAWN", "--out=x.png", "--interpolate=3", "--views=v"], "leave out --views"),
        (["GCL", "--data=DRAWN", "--out=x.png", "--interpolate=3", "--gate=0.5"], "gate is for turned views"),
        (["GCL", "--data=DRAWN", "--evaluate", "--eval_images=4", "--gate=1"], "lower --gate"),
        (["GCL", "--data=folder=CROPS", "--split=query", "--out=x.png"], "no query image"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    words: list[str], hint: str, gcl: str, drawn: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    places = {"GCL": gcl, "DRAWN": str(drawn), **_broken(Path(gcl), tmp_path / "made", drawn)}
    monkeypatch.chdir(tmp_path)
    given = []
    for word in words:
        for name, place in places.items():
            word = word.replace(name, place)
        given.append(word)
    assert main(["generate", *given, *SMALL]) == 2
    message = capsys.readouterr().err
    assert hint in message
    assert message.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def _broken(run: Path, folder: Path, drawn: Path) -> dict[str, str]:
    """Make runs and files that cannot be drawn with."""
    config = (run / "config.yaml").read_text()
    for name, text in {
        "OTHER": "run: x\nseed: 1\nvariant: code\n",
        "PLAIN": config.replace("generator: true", "generator: false").replace("pretrain: pairs", "pretrain: none"),
        "EARLY": config,
        "DAMAGED": config.replace("generator_width: 0.1", "generator_width: 0.2"),
    }.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "config.yaml").write_text(text)
    shutil.copy(run / "last.safetensors", folder / "DAMAGED")
    (folder / "CROPS").mkdir()
    Image.fromarray(np.zeros((32, 16, 3), np.uint8)).save(folder / "CROPS" / "somebody.png")
    for render in sorted((drawn / "views").glob("render*")):
        (folder / "MAPS" / render.name).mkdir(parents=True)
        shutil.copy(next(render.glob("*.png")), folder / "MAPS" / render.name / "somebody.png")
    torch.save({"fc.weight": torch.zeros(1000, 3)}, folder / "INCEPTION")
    return {name: str(folder / name) for name in ("OTHER", "PLAIN", "EARLY", "DAMAGED", "CROPS", "MAPS", "INCEPTION")}


class Sees:
    """A pose model that sees nobody, or somebody whom it does not trust."""

    identity, presence = "sees", 0.0

    def find(self, pixels: np.ndarray) -> Landmarks:
        zeros = np.zeros((33, 3), np.float32)
        return Landmarks(zeros, zeros[:, :2], zeros[:, 0], self.presence)


def test_images_without_a_body_are_not_drawn(
    gcl: str, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("resight.bodies.recovery.BlazePose", Sees)
    words = ["generate", gcl, f"--data={drawn}", f"--out={tmp_path / 'x.png'}", "--structure=pose", "--count=2", *SMALL]
    for presence in (0.0, 0.6):
        monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / str(presence)))
        monkeypatch.setattr(Sees, "presence", presence)
        assert main(words) == (0 if presence else 2)
    captured = capsys.readouterr()
    assert "none of 4 images has views to draw: see that the images show people" in captured.err
    assert "eight views of 2 images" in captured.out, "walking stand-ins have maps"


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys; import resight.cli.generate; print([m for m in ('torch', 'numba') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.strip() == "[]"
