"""`resight bodies`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resight.bodies.landmarks import Landmarks
from resight.cli.main import main
from resight.synthetic import SyntheticSettings, synthesize


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = SyntheticSettings(people_train=2, people_test=1, cameras=2, crops=2, seed=5, height=64, width=32)
    return synthesize(tmp_path_factory.mktemp("bodies") / "set", settings=settings).root


def test_maps_and_a_sheet_are_written(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "bodies"
    assert main(["bodies", f"--data={drawn}", f"--out={out}", "--height=64", "--width=32", "--recovery=truth"]) == 0
    shown = capsys.readouterr().out
    assert "structure maps of 8 images of 8, from eight sides" in shown
    assert f"files={out}" in shown
    assert len(list(out.glob("render*/*.png"))) == 8 * 8
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.width > 10 * 96
    again = ["bodies", f"--data={drawn}", f"--out={tmp_path / 'again'}", f"--recovery=files={out}", "--rows=2"]
    assert main(again) == 0
    assert "8 images of 8" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        ([], "--data folder=CROPS --out bodies"),
        (["--data=DRAWN"], "--data folder=CROPS --out bodies"),
        (["--data=DRAWN", "--out=DRAWN/maps"], "read as one of its images"),
        (["--data=DRAWN", "--out=FULL"], "is not an empty folder"),
        (["--data=DRAWN", "--out=x", "--recovery=truht"], "did you mean 'truth'"),
        (["--data=DRAWN", "--out=x", "--recovery=files"], "files=PATH"),
        (["--data=DRAWN", "--out=x", "--recovery=files=/nowhere"], "no folder /nowhere/render"),
        (["--data=DRAWN", "--out=x"], "resight models get pose takes it"),
        (["--data=DRAWN", "--out=x", "--height=0"], "height must lie in 1..1,024"),
        (["--data=DRAWN", "--out=x", "--split=tain"], "train"),
        (["--data=DRAWN", "--out=x", "--rows=0"], "rows must lie in"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    flags: list[str],
    hint: str,
    drawn: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    places = {"DRAWN": str(drawn), "FULL": str(tmp_path / "full")}
    words = []
    for flag in flags:
        for name, place in places.items():
            flag = flag.replace(name, place)
        words.append(flag)
    before = sorted(drawn.rglob("*"))
    assert main(["bodies", *words]) == 2
    message = capsys.readouterr().err
    assert hint in message
    assert message.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
    assert sorted(drawn.rglob("*")) == before


class Sees:
    """A pose model that sees nobody, or somebody whom it does not trust."""

    identity, presence = "sees", 0.0

    def find(self, pixels: np.ndarray) -> Landmarks:
        zeros = np.zeros((33, 3), np.float32)
        return Landmarks(zeros, zeros[:, :2], zeros[:, 0], self.presence)


@pytest.mark.parametrize("presence", [0.0, 0.6])
def test_crops_without_a_person_have_no_map(
    presence: float,
    drawn: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Sees, "presence", presence)
    monkeypatch.setattr("resight.bodies.recovery.BlazePose", Sees)
    words = ["bodies", f"--data={drawn}", f"--out={tmp_path / 'x'}", "--height=32", "--width=16"]
    with caplog.at_level("INFO"):
        status = main(words)
    if presence:
        assert status == 0
        assert "0 bodies are recovered, 8 replaced by a walking pose, 0 without a person" in caplog.text
        assert len(list((tmp_path / "x").glob("render_45/*.png"))) == 8
    else:
        assert status == 2
        assert "has a body: give crops of people" in capsys.readouterr().err
        assert not (tmp_path / "x").exists()


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys; import resight.cli.bodies; print([m for m in ('torch', 'numba') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.strip() == "[]"


def test_an_interrupt_leaves_nothing(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("resight.cli.bodies._write_sheet", stop)
    words = ["bodies", f"--data={drawn}", f"--out={tmp_path / 'x'}", "--height=32", "--width=16", "--recovery=truth"]
    assert main(words) == 130
    assert list(tmp_path.iterdir()) == []
