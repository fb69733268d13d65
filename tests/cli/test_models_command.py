"""`resight models`."""

from __future__ import annotations

from pathlib import Path

import pytest

from resight.cli.main import main


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_the_models_and_their_places_are_listed(
    words: list[str], cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", *words]) == 0
    shown = capsys.readouterr().out
    assert "resight models get pose" in shown
    assert f"not there yet; it would lie at {cache}" in shown
    assert not cache.exists()


def test_get_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "get", "pose", "--help"]) == 0
    assert "wheel" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["get"], "needs one of pose"),
        (["get", "pse"], "did you mean 'pose'"),
        (["pose"], "needs the words get and a model, found 'pose': resight models get pose"),
        (["get", "pose", "now"], "found 'get pose now'"),
        (["get", "pose", "--wheel=/nowhere.whl"], "/nowhere.whl is not the wheel of mediapipe==0.10.21"),
        (["get", "pose", "--whel=x"], "did you mean '--wheel'"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", *words]) == 2
    message = capsys.readouterr().err
    assert hint in message
    assert message.count("\n") == 1


def test_taking_a_model_says_where_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken: list[Path | None] = []

    def take(wheel: Path | None) -> Path:
        taken.append(wheel)
        return tmp_path / "pose.tflite"

    monkeypatch.setattr("resight.cli.models.get_pose", take)
    assert main(["models", "get", "pose"]) == 0
    assert main(["models", "get", "pose", "--wheel", "pose"]) == 0
    assert taken == [None, Path("pose")]
    assert f"pose model: {tmp_path / 'pose.tflite'}" in capsys.readouterr().out
