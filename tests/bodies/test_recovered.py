"""Recovered bodies: what is trusted, what replaces the rest, and what is kept for the next time."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from looks import Known, distance
from PIL import Image

from resight.bodies import recovered as recovering
from resight.bodies.fitting import fit_body
from resight.bodies.kept import from_rows, to_row
from resight.bodies.landmarks import Landmarks, camera_axes, true_landmarks
from resight.bodies.recovered import Outcome, Recovered, recover_bodies, recover_body
from resight.bodies.truth import true_bodies
from resight.data.images import open_image
from resight.errors import DataError
from resight.synthetic.turns import PosedBodies


@pytest.fixture(scope="module")
def truth(crops: list[str]) -> PosedBodies:
    return true_bodies(crops)


@pytest.fixture
def model(crops: list[str], truth: PosedBodies) -> Known:
    pixels = [np.asarray(open_image(crop)) for crop in crops]
    return Known({Known.key(each): true_landmarks(truth, row) for row, each in enumerate(pixels)})


# --- what is trusted -----------------------------------------------------------------------------------------------


def test_trusted_landmarks_are_fitted(truth: PosedBodies) -> None:
    landmarks = true_landmarks(truth, 0)
    body, outcome = recover_body(landmarks, 0.5)
    assert outcome == Outcome.RECOVERED
    np.testing.assert_array_equal(body.rotations, fit_body(landmarks, 0.5).rotations)


def tilted(landmarks: Landmarks) -> Landmarks:
    return replace(landmarks, positions=np.asarray(landmarks.positions @ camera_axes(1.3).T, np.float32))


@pytest.mark.parametrize(
    ("doubt", "outcome"),
    [
        (lambda found: replace(found, presence=0.1), Outcome.NOBODY),
        (lambda found: replace(found, presence=0.25), Outcome.REPLACED),
        (lambda found: replace(found, visibility=found.visibility * np.float32(0.25)), Outcome.REPLACED),
        (lambda found: replace(found, spread=0.3), Outcome.REPLACED),
        (lambda found: replace(found, points=found.points * np.float32(0.3)), Outcome.REPLACED),
        (lambda found: replace(found, points=found.points * np.float32(4)), Outcome.REPLACED),
        (tilted, Outcome.REPLACED),
    ],
)
def test_doubtful_landmarks_give_a_stand_in(
    doubt: Callable[[Landmarks], Landmarks], outcome: Outcome, truth: PosedBodies
) -> None:
    body, found = recover_body(doubt(true_landmarks(truth, 0)), 0.5)
    assert found == outcome
    assert not body.builds.any()
    assert np.ptp(body.boxes[0][[1, 3]]) > 0


def test_the_summary_counts() -> None:
    outcomes = np.array([Outcome.RECOVERED] * 3 + [Outcome.REPLACED] + [Outcome.NOBODY] * 2)
    body = from_rows(np.zeros((6, len(to_row(recovering._nobody()))), np.float32))
    found = Recovered(body, outcomes, np.zeros(6, np.float32))
    assert found.usable.tolist() == [True] * 4 + [False] * 2
    assert found.summary() == "3 bodies are recovered, 1 replaced by a walking pose, 2 without a person"


# --- images --------------------------------------------------------------------------------------------------------


def test_each_image_gets_its_body(crops: list[str], truth: PosedBodies, model: Known) -> None:
    found = recover_bodies(crops, model)
    assert found.outcomes.tolist() == [Outcome.RECOVERED] * len(crops)
    np.testing.assert_allclose(found.confidences, 1, atol=1e-5)
    for row in range(len(crops)):
        assert distance(found.bodies[row : row + 1], truth[row : row + 1]) < 0.1
    one = recover_bodies(crops[1:2], model)
    assert len(one.bodies) == 1
    np.testing.assert_array_equal(one.bodies.rotations[0], found.bodies.rotations[1])
    with pytest.raises(DataError, match="no images"):
        recover_bodies([], model)


def test_what_cannot_be_read_has_no_body_and_is_counted(
    crops: list[str], model: Known, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    names = [str(tmp_path / "absent.jpg"), crops[0], str(tmp_path / "broken.jpg")]
    for cache in (None, tmp_path / "cache"):
        caplog.clear()
        found = recover_bodies(names, model, cache=cache)
        assert found.outcomes.tolist() == [Outcome.NOBODY, Outcome.RECOVERED, Outcome.NOBODY]
        (record,) = caplog.records
        assert "2 images have no body" in record.getMessage()
        assert "absent.jpg: No such file" in record.getMessage()


def test_equal_images_are_looked_at_once(crops: list[str], model: Known, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jpg"
    copy.write_bytes(Path(crops[0]).read_bytes())
    found = recover_bodies([crops[0], str(copy), crops[0]], model)
    assert len(model.asked) == 1
    np.testing.assert_array_equal(found.bodies.boxes[0], found.bodies.boxes[1])


# --- kept bodies ---------------------------------------------------------------------------------------------------


def same(first: Recovered, second: Recovered) -> bool:
    rows = [
        np.stack([to_row(found.bodies[row : row + 1]) for row in range(len(found.bodies))]) for found in (first, second)
    ]
    kept = np.array_equal(first.outcomes, second.outcomes) and np.array_equal(first.confidences, second.confidences)
    return kept and np.array_equal(*rows)


def test_kept_bodies_are_not_looked_for_again(crops: list[str], model: Known, tmp_path: Path) -> None:
    first = recover_bodies(crops, model, cache=tmp_path)
    assert len(model.asked) == len(crops)
    again = recover_bodies(crops, model, cache=tmp_path)
    assert len(model.asked) == len(crops)
    assert same(first, again)
    assert same(first, recover_bodies(crops, Known(model.answers)))
    other = Known(model.answers)
    other.identity = "another model"
    recover_bodies(crops, other, cache=tmp_path)
    assert len(other.asked) == len(crops)


def test_a_kill_costs_only_what_was_not_kept_yet(
    crops: list[str], model: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovering, "_PIECE", 1)
    killed = Known(model.answers, stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        recover_bodies(crops, killed, cache=tmp_path)
    found = recover_bodies(crops, model, cache=tmp_path)
    assert len(model.asked) == len(crops) - 2
    assert same(found, recover_bodies(crops, Known(model.answers)))


def test_a_damaged_file_of_kept_bodies_is_made_again(
    crops: list[str], model: Known, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = recover_bodies(crops, model, cache=tmp_path)
    (kept,) = tmp_path.rglob("*.safetensors")
    for damage in (lambda data: data[:-9], lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda data: b""):
        (kept,) = tmp_path.rglob("*.safetensors")
        kept.write_bytes(damage(kept.read_bytes()))
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert same(first, recover_bodies(crops, model, cache=tmp_path))
        assert "are damaged" in caplog.text
        assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    assert len(model.asked) == 4 * len(crops)


def test_a_full_disk_is_said_and_costs_nothing(
    crops: list[str], model: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("resight.bodies.kept.write_atomically", full)
    assert (recover_bodies(crops, model, cache=tmp_path).outcomes == Outcome.RECOVERED).all()
    assert "cannot keep the bodies" in caplog.text


def test_rows_hold_whole_bodies(truth: PosedBodies) -> None:
    rows = np.stack([to_row(truth[row : row + 1]) for row in range(len(truth))])
    for name, values in vars(from_rows(rows)).items():
        np.testing.assert_array_equal(values, getattr(truth, name))


def test_tiny_images_reach_the_model_as_they_are(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / "tiny.png")
    pixels = np.asarray(open_image(tmp_path / "tiny.png"))
    nobody = Landmarks(np.zeros((33, 3), np.float32), np.zeros((33, 2), np.float32), np.zeros(33, np.float32), 0.0)
    model = Known({Known.key(pixels): nobody})
    found = recover_bodies([str(tmp_path / "tiny.png")], model)
    assert model.asked == [(8, 8, 3)]
    assert found.outcomes.tolist() == [Outcome.NOBODY]
    assert math.isclose(float(found.confidences[0]), 0)
