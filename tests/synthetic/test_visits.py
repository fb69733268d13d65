"""Visits of drawn people: what passes in front of them, and tracklets."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from resight.errors import ConfigError
from resight.methods.tracklet_contrast import simultaneous
from resight.synthetic import SyntheticSettings
from resight.synthetic.plan import GALLERY, QUERY, Planned, plan
from resight.synthetic.render import Shot
from resight.synthetic.studio import Studio


def long_visits(occluders: float) -> list[list[Shot]]:
    settings = SyntheticSettings(
        people_train=8, people_test=0, cameras=2, crops=12, seed=3, occluders=occluders, height=16, width=8
    )
    studio, visits = Studio(settings), {}
    for image in plan(settings):
        visits.setdefault(image.tracklet, []).append(studio.draw(image)[1])
    return list(visits.values())


def in_front(shot: Shot) -> list[object]:
    """Who passes in front, and the colors of what stands there."""
    return [p.figure.person for p in shot.passers if p.stance.away < 0] + [b.color for b in shot.barriers]


def test_an_occluder_stays_for_some_images_and_passes_across() -> None:
    moved = 0
    for visit in long_visits(1.0):
        runs = [len(list(group)) for _, group in itertools.groupby(visit, in_front)]
        assert min(runs[1:-1]) >= 3, "something came and went in a moment"
        for before, after in itertools.pairwise(visit):
            if before.barriers and in_front(before) == in_front(after):
                walk = math.sin(before.stance.yaw)
                if abs(walk) > 0.5:  # what stands still falls behind who walks
                    assert (after.barriers[0].left - before.barriers[0].left) * walk < 0
                    moved += 1
    assert moved > 20


def test_occluders_are_as_many_as_asked_for() -> None:
    def share(occluders: float) -> float:
        return float(np.mean([bool(in_front(shot)) for visit in long_visits(occluders) for shot in visit]))

    assert share(0.0) == 0
    assert share(1.0) == 1
    assert 0.3 < share(0.5) < 0.7


VIDEO = SyntheticSettings(
    people_train=3, people_test=3, cameras=3, visits=2, crops=20, crops_most=60, gap=2, tracklets=True, seed=5,
    distractors=0.2, junk=0.2, silhouettes=False,
)  # fmt: skip


def by_tracklet(settings: SyntheticSettings) -> dict[int, list[Planned]]:
    visits: dict[int, list[Planned]] = {}
    for image in plan(settings):
        visits.setdefault(image.tracklet, []).append(image)
    return visits


def test_tracklets_are_whole_visits_of_the_lengths_asked_for() -> None:
    visits = by_tracklet(VIDEO)
    sizes = [len(visit) for visit in visits.values()]
    assert min(sizes) >= 20
    assert max(sizes) <= 60
    assert len(set(sizes)) > 10
    for visit in visits.values():
        assert len({image.path.split("/")[0] for image in visit}) == 1
        assert {after.frame - before.frame for before, after in itertools.pairwise(visit)} == {2}
        assert len({(image.label, image.person, image.camera) for image in visit}) == 1
    folders = [visit[0].path.split("/")[0] for visit in visits.values()]
    gallery = [visit[0].label for visit, folder in zip(visits.values(), folders, strict=True) if folder == GALLERY]
    people = sum(label > 0 for label in gallery)
    assert gallery.count(0) == gallery.count(-1) == round(0.2 * people) > 0
    assert folders.count(QUERY) == people  # of the two visits of each person and camera one is the query
    assert len({image.path for image in plan(VIDEO)}) == sum(sizes)


def test_a_shorter_recording_shows_more_people_at_once() -> None:
    """In the mean, as many as visits of that length fill the time."""

    def at_once(duration: int) -> float:
        settings = SyntheticSettings(people_train=60, people_test=0, gap=10, crops=10, duration=duration)
        visits = by_tracklet(settings).values()
        spans = np.array([[visit[0].frame, visit[-1].frame] for visit in visits])
        cameras = np.array([visit[0].camera for visit in visits])
        return float(simultaneous(spans, cameras).sum(1).mean())

    assert at_once(90_000) < 1.3
    # About 40 visits to a camera, of 90 frames.
    assert at_once(2_000) == pytest.approx(1 + 40 * 2 * 90 / 2_000, rel=0.25)


def test_settings_of_tracklets_out_of_range() -> None:
    with pytest.raises(ConfigError, match="duration"):
        SyntheticSettings(duration=1)
    with pytest.raises(ConfigError, match="tracklets needs visits of 2 or more"):
        SyntheticSettings(tracklets=True)
    with pytest.raises(ConfigError, match=r"crops_most must lie in 20\.\.1000, found 10"):
        SyntheticSettings(crops=20, crops_most=10)
    with pytest.raises(ConfigError, match="gap"):
        SyntheticSettings(gap=-1)
    assert SyntheticSettings(tracklets=True, people_test=0).tracklets


def test_a_walk_in_close_frames_is_the_same_walk_in_small_steps() -> None:
    """Eight images a frame apart are one step of the usual images."""
    coarse = SyntheticSettings(people_train=2, people_test=0, cameras=2, crops=5, seed=3, height=16, width=8)
    fine = replace(coarse, crops=33, gap=1)
    steps = {image.index: image.steps for image in plan(fine)}
    assert steps[32] == 4
    studios = Studio(coarse), Studio(fine)
    ends = {(i.tracklet, i.steps): studios[0].draw(i)[1] for i in plan(coarse)}
    for image in plan(fine):
        if image.steps in (0, 4):
            shot, end = studios[1].draw(image)[1], ends[image.tracklet, image.steps]
            assert shot.spot == pytest.approx(end.spot, abs=1e-9)
            assert math.cos(shot.stance.yaw - end.stance.yaw) > 0.9  # but for the box's own chance
    for visit in by_tracklet(fine).values():
        yaws = np.unwrap([studios[1].draw(image)[1].stance.yaw for image in visit])
        assert np.abs(np.diff(yaws)).max() < math.radians(25)
