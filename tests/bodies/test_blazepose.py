"""BlazePose's two looks at a crop: how the square is filled, and how the answers come back to the crop."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from resight.bodies import blazepose as looks
from resight.bodies.blazepose import BlazePose, mean_of, mirror
from resight.bodies.landmarks import EAR_LEFT, EAR_RIGHT, NOSE, NUM_LANDMARKS, USED, Landmarks
from resight.bodies.recovery import structure_maps
from resight.errors import ConfigError, WeightsError
from resight.models import pose

Floats = np.ndarray


class Marks:
    """A network that finds the middle of a red mark (the left ear) and of a blue one (the right ear)."""

    seen: ClassVar[list[Floats]] = []
    circle = (128.0, 128.0, 100.0)

    def __init__(self, *, model_content: bytes, num_threads: int) -> None:
        assert model_content

    def allocate_tensors(self) -> None:
        os.write(2, b"noise of the library")

    def get_input_details(self) -> list[dict[str, Any]]:
        return [{"index": 0}]

    def get_output_details(self) -> list[dict[str, Any]]:
        return [{"index": size, "shape": np.array((1, size))} for size in (195, 1, 117)]

    def set_tensor(self, index: int, pixels: Floats) -> None:
        assert pixels.shape == (1, 256, 256, 3)
        assert pixels.dtype == np.float32
        assert 0 <= pixels.min() <= pixels.max() <= 1
        self.pixels = pixels[0]
        Marks.seen.append(self.pixels)

    def invoke(self) -> None:
        found = np.zeros((39, 5), np.float32)
        world = np.zeros((39, 3), np.float32)
        for landmark, channel in ((EAR_LEFT, 0), (EAR_RIGHT, 2)):
            rows, columns = np.nonzero((self.pixels[..., channel] > 0.8) & (self.pixels[..., 1] < 0.2))
            found[landmark, :2] = (columns.mean() + 0.5, rows.mean() + 0.5) if len(rows) else (0, 0)
            world[landmark] = (*found[landmark, :2] / 100, 0.25)
        if found[EAR_LEFT, 0] < found[EAR_RIGHT, 0]:  # as a network does: its left is the right of the picture
            found[[EAR_LEFT, EAR_RIGHT]], world[[EAR_LEFT, EAR_RIGHT]] = (
                found[[EAR_RIGHT, EAR_LEFT]],
                world[[EAR_RIGHT, EAR_LEFT]],
            )
        x, y, radius = self.circle
        found[33, :2], found[34, :2] = (x, y), (x, y - radius)
        self.answers = {195: found.reshape(1, -1), 1: np.full((1, 1), 0.75, np.float32), 117: world.reshape(1, -1)}

    def get_tensor(self, index: int) -> Floats:
        return self.answers[index]


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> type[Marks]:
    library = ModuleType("ai_edge_litert.interpreter")
    library.Interpreter = Marks  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ai_edge_litert", ModuleType("ai_edge_litert"))
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", library)
    monkeypatch.setattr(looks, "read_pose", lambda: b"weights")
    Marks.seen, Marks.circle = [], (128.0, 128.0, 100.0)
    return Marks


def crop(width: int, height: int) -> Floats:
    """A gray crop with a blue mark at a quarter of its width and a red one at three quarters, in its upper half."""
    pixels = np.full((height, width, 3), 60, np.uint8)
    mark = max(1, min(width, height) // 16)
    for share, color in ((0.25, (0, 0, 255)), (0.75, (255, 0, 0))):
        row, column = round(0.3 * height), round(share * width)
        pixels[row - mark : row + mark, column - mark : column + mark] = color
    return pixels


@pytest.mark.parametrize("size", [(64, 128), (100, 100), (160, 80), (40, 200)])
@pytest.mark.parametrize(
    "circle", [(128.0, 128.0, 100.0), (118.0, 140.0, 80.0), (0.0, 0.0, 100.0), (128.0, 128.0, 3.0)]
)
def test_points_come_back_to_the_crop(
    size: tuple[int, int], circle: tuple[float, float, float], marks: type[Marks]
) -> None:
    marks.circle = circle
    found = BlazePose().find(crop(*size))
    np.testing.assert_allclose(found.points[EAR_RIGHT], (0.25, 0.3), atol=0.03)
    np.testing.assert_allclose(found.points[EAR_LEFT], (0.75, 0.3), atol=0.03)
    assert found.presence == 0.75
    assert len(marks.seen) == 2


def test_the_second_look_is_mirrored_and_closer(marks: type[Marks]) -> None:
    marks.circle = (128.0, 128.0, 60.0)  # the person is smaller than the crop
    BlazePose().find(crop(64, 128))
    (first, second) = marks.seen
    red, blue = ((picture[..., 0] > 0.8, picture[..., 2] > 0.8) for picture in (first, second))
    columns = [[np.nonzero(mask)[1].mean() for mask in pair] for pair in (red, blue)]
    assert columns[0][0] > columns[0][1]
    assert columns[1][0] < columns[1][1]
    assert abs(columns[1][0] - columns[1][1]) > 1.2 * abs(columns[0][0] - columns[0][1])
    assert first[0, 0].tolist() == pytest.approx([128 / 255] * 3)


def test_axes_are_right_away_and_up(marks: type[Marks]) -> None:
    found = BlazePose().find(crop(64, 128))
    assert found.positions[EAR_LEFT, 0] != 0
    assert found.positions[EAR_LEFT, 1] == pytest.approx(0.25)
    assert found.positions[EAR_LEFT, 2] < 0, "down in a picture"


def test_the_library_writes_nothing_to_the_terminal(marks: type[Marks], capfd: pytest.CaptureFixture[str]) -> None:
    BlazePose()
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_a_crop_of_eight_pixels_is_looked_at(marks: type[Marks]) -> None:
    found = BlazePose().find(np.zeros((8, 8, 3), np.uint8))
    assert np.isfinite(found.points).all()
    assert np.isfinite(BlazePose().find(np.zeros((300, 1, 3), np.uint8)).points).all()


def landmarks(seed: int) -> Landmarks:
    random = np.random.default_rng(seed)
    positions, points = (random.normal(size=(NUM_LANDMARKS, size)).astype(np.float32) for size in (3, 2))
    return Landmarks(positions, points, random.random(NUM_LANDMARKS).astype(np.float32), float(random.random()))


def test_a_mirrored_mirror_image_is_the_picture() -> None:
    found = landmarks(0)
    once, twice = mirror(found), mirror(mirror(found))
    np.testing.assert_array_equal(twice.positions, found.positions)
    np.testing.assert_allclose(twice.points, found.points, atol=1e-6)
    np.testing.assert_array_equal(once.positions[EAR_LEFT], found.positions[EAR_RIGHT] * (-1, 1, 1))
    np.testing.assert_array_equal(once.positions[NOSE], found.positions[NOSE] * (-1, 1, 1))
    np.testing.assert_allclose(once.points[:, 0].sum(), NUM_LANDMARKS - found.points[:, 0].sum(), rtol=1e-4)


def test_the_mean_of_two_looks_knows_how_far_they_are_apart() -> None:
    first, second = landmarks(1), landmarks(2)
    both = mean_of(first, second)
    np.testing.assert_allclose(both.points, (first.points + second.points) / 2, rtol=1e-5, atol=1e-6)
    assert both.presence == min(first.presence, second.presence)
    apart = [np.linalg.norm(first.positions[index] - second.positions[index]) for index in USED]
    assert both.spread == pytest.approx(np.mean(apart), rel=1e-5)
    assert mean_of(first, first).spread == 0


# --- what may be missing -------------------------------------------------------------------------------------------


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "read_pose", lambda: b"weights")
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(ConfigError, match=r"pip install 'resight\[pose\]'"):
        BlazePose()


def test_without_the_model_the_command_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RESIGHT_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="resight models get pose takes it from the package mediapipe"):
        structure_maps(["a.jpg"], "pose")


# --- the real model ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not pose.pose_path().is_file(), reason="no pose model: resight models get pose")
def test_the_real_model_finds_drawn_people(crops: list[str]) -> None:
    pytest.importorskip("ai_edge_litert")
    model = BlazePose()
    with Image.open(crops[0]) as picture:
        found = model.find(np.asarray(picture.convert("RGB")))
    assert found.presence > 0.5
    assert 0 < found.points[NOSE, 1] < 0.4
    assert model.find(np.full((8, 8, 3), 90, np.uint8)).presence < 0.5
