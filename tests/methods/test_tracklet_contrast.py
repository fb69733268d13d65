"""Tracklet contrast: a step beside its equation, what is a negative, and which images a batch has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import reference
import tiny
from resight.data.crops import Crops
from resight.data.samplers import tracklet_batches
from resight.data.transforms import apply_params, sample_params
from resight.errors import ConfigError, RunError
from resight.methods.tracklet_contrast import TrackletContrastSettings, simultaneous, tracklet_spans
from resight.records import ImageTable


@pytest.mark.parametrize("negatives", ["batch", "simultaneous"])
def test_the_loss_of_a_step_is_the_equation(images: Crops, negatives: str) -> None:
    changes: dict[str, Any] = {"negatives": negatives, **tiny.TINY["tracklet_contrast"].shared[0]}
    method = tiny.build_on_inputs("tracklet_contrast", images, **changes)
    s, table = method.settings, method.images.table
    batch = next(iter(method.begin_epoch(0)))
    drawn = torch.Generator()
    drawn.set_state(method.generator.get_state())
    views = [sample_params(s.augment, len(batch), images.size, drawn) for _ in range(2)]
    first, second = (apply_params(method.images.pixels(batch), v, color=s.augment.erase_color) for v in views)
    with torch.no_grad():
        f, m = (encoder(view).double().numpy() for encoder, view in ((method.online, first), (method.momentum, second)))
    own = table.tracklet_ids[batch]
    ignored = None
    if negatives == "simultaneous":
        frames = {tracklet: table.frame_ids[table.tracklet_ids == tracklet] for tracklet in own}
        ignored = [[max(frames[a]) < min(frames[b]) or max(frames[b]) < min(frames[a]) for b in own] for a in own]
        assert np.any(ignored)
        assert not np.all(ignored | (own[:, None] == own)), "some tracklets must be simultaneous"
    expected = np.mean(reference.hard_instance_contrast(f, own, m, own, s.temperature, "all", ignored))
    assert float(method.step(batch)["loss/tracklet"]) == pytest.approx(expected, rel=1e-4)


def test_only_what_one_camera_sees_at_once_is_simultaneous() -> None:
    spans = np.array([[0, 10], [10, 20], [21, 30], [5, 6]])
    seen = simultaneous(spans, np.array([1, 1, 1, 2]))
    assert seen.tolist() == [
        [True, True, False, False],
        [True, True, False, False],
        [False, False, True, False],
        [False, False, False, True],
    ]


def test_a_span_is_that_of_all_frames_of_the_tracklet() -> None:
    table = ImageTable(
        np.array(list("abcde")), tracklet_ids=np.array([7, 3, 7, 3, 7]), frame_ids=np.array([5, 2, 1, 9, 3])
    )
    assert tracklet_spans(table).tolist() == [[1, 5], [2, 9], [1, 5], [2, 9], [1, 5]]


def of_tracklets(cameras: list[int], frames: int = 3) -> ImageTable:
    """A tracklet for each entry, one after another."""
    count = len(cameras)
    return ImageTable(
        np.array([f"{number}.jpg" for number in range(count * frames)]),
        camera_ids=np.repeat(cameras, frames),
        tracklet_ids=np.repeat(np.random.default_rng(0).permutation(count), frames),
        frame_ids=np.arange(count * frames),
    )


def test_a_batch_is_of_one_camera_and_of_neighbors_in_time() -> None:
    table = of_tracklets([1, 2] * 8 + [3])
    stream = tracklet_batches(table, (4, 2), np.random.default_rng(1))
    firsts = set()
    for batch in (next(stream) for _ in range(12)):
        assert len(set(batch)) == 8
        assert len(set(table.camera_ids[batch])) == 1
        assert table.camera_ids[batch[0]] != 3, "a single tracklet has nothing to be compared with"
        tracklets = table.tracklet_ids[batch].reshape(4, 2)
        assert (tracklets[:, 0] == tracklets[:, 1]).all()
        places = np.sort(batch.reshape(4, 2)[:, 0] // 6) % 8  # the camera's tracklets in the order of time
        assert set(np.diff(places)) <= {1, 5, 6, 7}, "neighbors, or the last and the first"
        firsts.add(int(places[0]))
    assert len(firsts) > 2, "batches begin at other tracklets in each pass"


def test_a_pass_shows_each_tracklet_at_most_once_and_leaves_out_few() -> None:
    table = of_tracklets([1] * 10)
    stream = tracklet_batches(table, (4, 1), np.random.default_rng(0))
    shown = table.tracklet_ids[np.concatenate([next(stream), next(stream)])]
    assert len(set(shown)) == 8


def test_few_tracklets_make_a_smaller_batch_and_short_ones_repeat_frames() -> None:
    batch = next(tracklet_batches(of_tracklets([1, 1], frames=1), (4, 3), np.random.default_rng(0)))
    assert sorted(batch) == [0, 0, 0, 1, 1, 1]
    with pytest.raises(RunError, match="no camera has two tracklets"):
        next(tracklet_batches(of_tracklets([1, 2]), (2, 2), np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("columns", "changes", "message"),
    [
        ({"tracklet_ids": -1}, {}, "needs the tracklet of every image"),
        ({"camera_ids": -1}, {}, "needs the camera of every image"),
        ({"frame_ids": -1}, {"negatives": "simultaneous"}, "need the frame number of every image"),
    ],
)
def test_what_is_missing_is_said(images: Crops, columns: dict[str, int], changes: dict[str, Any], message: str) -> None:
    own, _ = tiny.TINY["tracklet_contrast"].inputs(images)
    lacking = tiny.with_columns(own, **{name: np.full(len(own), value) for name, value in columns.items()})
    with pytest.raises(ConfigError, match=message):
        tiny.build("tracklet_contrast", lacking, **changes)


@pytest.mark.parametrize("changes", [{"temperature": 0.0}, {"momentum": 1.5}, {"clip": -1.0}, {"iterations": 0}])
def test_settings_out_of_range_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        TrackletContrastSettings(**changes)
