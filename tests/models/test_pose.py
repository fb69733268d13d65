"""The pose model is taken from its package when asked, and is what it must be."""

from __future__ import annotations

import hashlib
import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from resight.errors import WeightsError
from resight.models import pose
from resight.models.pose import MEMBER, get_pose, pose_path, read_pose

WEIGHTS = b"the weights of a small network"


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(pose, "SHA256", hashlib.sha256(WEIGHTS).hexdigest())
    return tmp_path


def wheel(path: Path, content: bytes = WEIGHTS, member: str = MEMBER) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
        archive.writestr("mediapipe/__init__.py", "raise SystemExit('nothing of the package may run')")
    return path


def test_a_wheel_at_hand_gives_the_model_and_its_provenance(place: Path) -> None:
    path = get_pose(wheel(place / "mediapipe-0.10.21.whl"))
    assert path == pose_path() == place / "cache" / "models" / "pose_landmark_full.tflite"
    assert read_pose() == WEIGHTS
    about = json.loads(path.with_suffix(".json").read_text())
    assert about["package"] == "mediapipe==0.10.21"
    assert about["license"] == "Apache-2.0"
    assert about["sha256"] == hashlib.sha256(WEIGHTS).hexdigest()
    assert {each.name for each in path.parent.iterdir()} == {path.name, path.with_suffix(".json").name}


def test_the_users_package_index_is_asked_for_the_pinned_version(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        wheel(Path(command[command.index("--dest") + 1]) / "mediapipe-0.10.21-cp311.whl")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    get_pose()
    assert read_pose() == WEIGHTS
    (command,) = commands
    assert command[1:5] == ["-m", "pip", "download", "--no-deps"]
    assert "mediapipe==0.10.21" in command
    assert not any("index" in word or "://" in word for word in command), "whatever index pip is set to"


@pytest.mark.parametrize(("status", "text"), [(1, "noise\nERROR: No matching distribution found\n"), (0, ""), (3, "")])
def test_a_download_that_fails_is_one_line(status: int, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, status, "", text)

    monkeypatch.setattr(subprocess, "run", run)
    expected = "No matching distribution found" if text else f"pip ended with status {status}"
    with pytest.raises(WeightsError, match=expected) as caught:
        get_pose()
    assert "--wheel FILE" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not pose_path().exists()


def test_another_wheel_is_refused_and_the_kept_model_stays(place: Path) -> None:
    get_pose(wheel(place / "good.whl"))
    (place / "text.whl").write_text("no archive")
    for path, expected in (
        (wheel(place / "other.whl", b"other weights"), "is another than that of"),
        (wheel(place / "empty.whl", member="mediapipe/nothing"), "it lacks the model"),
        (place / "text.whl", "is not the wheel of"),
        (place / "absent.whl", "No such file"),
        (place, "is not the wheel of"),
    ):
        with pytest.raises(WeightsError, match=expected):
            get_pose(path)
        assert read_pose() == WEIGHTS


def test_an_absent_or_damaged_model_says_what_to_run(place: Path) -> None:
    with pytest.raises(WeightsError, match=r"no pose model at .*: resight models get pose takes it"):
        read_pose()
    path = get_pose(wheel(place / "good.whl"))
    path.write_bytes(WEIGHTS[:-1])
    with pytest.raises(WeightsError, match="is damaged: resight models get pose takes it again"):
        read_pose()
    path.unlink()
    path.mkdir()
    with pytest.raises(WeightsError, match="cannot be read"):
        read_pose()
