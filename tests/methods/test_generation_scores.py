"""Scores of generated views: each number against the numbers that it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import reference
import tiny
from made_up_bodies import Bodies, Pictures
from resight.bodies.maps import DrawnMaps
from resight.bodies.truth import true_bodies
from resight.compute.devices import Devices
from resight.data.crops import Crops
from resight.errors import DataError
from resight.methods.generation_scores import Extractor, pairs_of, score_views
from resight.methods.structure import body_mask
from resight.methods.view_generators import Gate, draw
from resight.methods.view_truth import PARTS, Truth
from resight.records import Ints, Mask
from resight.synthetic import SyntheticSettings, synthesize

EXTRACTOR = Extractor("made up", lambda pictures: pictures[:, ::9, ::7, 0].reshape(len(pictures), -1)[:, :4] / 255.0)


@dataclass(frozen=True)
class Noisy(Pictures):
    """Pictures that are wrong by noise; those of some images are black."""

    black: tuple[int, ...] = ()

    def load(self, rows: Ints, turns: Ints) -> Tensor:
        right = super().load(rows, turns)
        noise = torch.randint(-20, 20, right.shape, generator=torch.Generator().manual_seed(int(rows.sum())))
        wrong = (right.int() + noise).clamp(0, 255).to(torch.uint8)
        wrong[torch.from_numpy(np.isin(rows, self.black))] = 0
        return wrong


def gate(threshold: float = -1.0) -> Gate:
    return Gate(tiny.encoder(), threshold, Devices(tiny.DEVICE))


@pytest.fixture
def some(images: Crops) -> Crops:
    return images[np.arange(0, 36, 2)]


def test_the_truth_is_perfect_and_a_copy_is_not(some: Crops) -> None:
    bodies, pictures = Bodies(len(some), some.size), Pictures(len(some), some.size)
    scores = score_views(pictures, some, gate=gate(), extractor=EXTRACTOR, truth=Truth(pictures, bodies))
    truth = scores["truth"]
    assert truth["difference"]["generated"] == 0 < truth["difference"]["copied"]
    for name in ("ssim", "body_ssim"):
        assert truth[name]["copied"] < truth[name]["generated"] == pytest.approx(1)
    assert list(truth["colors"]) == ["upper third", "middle third", "lower third"]
    assert all(each["generated"] == 0 < each["copied"] for each in truth["colors"].values())
    assert (scores["images"], scores["frechet"]["pictures"], scores["identity"]["refused"]) == (18, 126, 0)


def test_each_number_is_the_mean_of_its_own(some: Crops) -> None:
    count, turns = len(some), np.arange(8)
    bodies, pictures = Bodies(count, some.size), Pictures(count, some.size)
    views, judge = Noisy(count, some.size, missing=(2,)), gate()
    scores = score_views(views, some, gate=judge, extractor=EXTRACTOR, truth=Truth(pictures, bodies))
    rows = np.delete(np.arange(count), 2)
    sources = some.pixels(rows).numpy()
    drawn = np.concatenate([draw(views, block, turns) for block in np.array_split(rows, 2)])  # as in blocks
    true = draw(pictures, rows, turns)

    vectors = judge.embed(sources)
    kept = judge.cosines(vectors, drawn)
    identity = scores["identity"]
    assert identity["by_turn"]["135"] == pytest.approx(kept[:, 3].mean(), rel=1e-4)
    assert identity["turned"] == pytest.approx(kept[:, 1:].mean(), rel=1e-4)
    cosines = vectors.astype(float) @ vectors.T.astype(float)
    people = some.table.person_ids[rows]
    same = people[:, None] == people
    off = ~np.eye(len(rows), dtype=bool)
    assert cosines[~same].min() <= identity["different_people"] <= cosines[~same].max()
    assert identity["different_people"] == pytest.approx(cosines[~same].mean(), abs=0.03)
    assert cosines[same & off].min() <= identity["same_person"] <= cosines[same & off].max()

    features = EXTRACTOR.features(drawn[:, 1:].reshape(-1, *some.size, 3))
    expected = reference.frechet_distance(features, EXTRACTOR.features(sources))
    assert scores["frechet"]["views"] == pytest.approx(expected, rel=1e-3)

    errors = []
    for i, turn in np.ndindex(len(rows), 7):
        maps = bodies.load(rows[i : i + 1], turns[turn + 1 : turn + 2]).float() / 127.5 - 1
        mask = body_mask(maps)[0, 0].numpy()
        errors.append([np.abs(x.astype(float) - true[i, turn + 1])[mask].mean() / 255
                       for x in (drawn[i, turn + 1], sources[i])])  # fmt: skip
    found = scores["truth"]["difference"]
    assert [found["generated"], found["copied"]] == pytest.approx(np.mean(errors, 0).tolist(), rel=1e-4)


def test_pictures_that_the_gate_refuses_count_nowhere_else(some: Crops) -> None:
    count = len(some)
    bodies, pictures = Bodies(count, some.size), Pictures(count, some.size)
    black = Noisy(count, some.size, black=(0, 1, 4))
    judge = gate()
    cosines = judge.cosines(
        judge.embed(some.pixels(np.arange(count)).numpy()), draw(black, np.arange(count), np.arange(8))
    )
    worst, others = cosines[[0, 1, 4], 1:].max(), np.delete(cosines, [0, 1, 4], 0)[:, 1:]
    threshold = float(worst) + 1e-4
    scores = score_views(black, some, gate=gate(threshold), extractor=EXTRACTOR, truth=Truth(pictures, bodies))
    refused = scores["identity"]["refused"]
    assert 21 <= refused == 21 + (others < threshold).sum()
    assert scores["identity"]["share"] == pytest.approx(refused / scores["identity"]["views"])
    assert scores["frechet"]["pictures"] == 7 * count - refused
    everything = score_views(black, some, gate=gate(), extractor=EXTRACTOR, truth=Truth(pictures, bodies))
    assert scores["truth"]["difference"]["generated"] < everything["truth"]["difference"]["generated"]
    with pytest.raises(DataError, match=r"the gate refuses 126 of 126 turned views.*lower --gate"):
        score_views(black, some, gate=gate(1.0), extractor=EXTRACTOR)


def test_diversity_rises_with_what_differs(some: Crops) -> None:
    @dataclass(frozen=True)
    class Same(Pictures):
        def load(self, rows: Ints, turns: Ints) -> Tensor:
            return super().load(np.zeros_like(rows), np.zeros_like(turns))

    values = [
        score_views(views(len(some), some.size), some, gate=gate(), extractor=EXTRACTOR)["diversity"]
        for views in (Same, Pictures, Noisy)
    ]
    assert values[0]["views"] == pytest.approx(0, abs=1e-12)
    assert 0 < values[1]["views"] < values[2]["views"] < 1
    assert values[0]["real"] == values[1]["real"] > 0
    assert values[0]["real_pairs"] >= 4


def test_unknown_people_are_compared_with_themselves_alone(some: Crops) -> None:
    unknown = tiny.with_columns(some, person_ids=np.full(len(some), -1))
    scores = score_views(Pictures(len(some), some.size), unknown, gate=gate(), extractor=EXTRACTOR)
    assert scores["identity"]["same_person"] is None
    assert scores["diversity"]["real"] is None
    assert not scores["identity"]["people_known"]
    assert scores["diversity"]["pairs"] == 3 * len(some), "seven turned views of each image make three pairs"


def test_a_single_view_of_each_image_makes_no_pair(some: Crops, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = tiny.with_columns(some, person_ids=np.full(len(some), -1))
    only = np.zeros((len(some), 8), np.bool_)
    only[:, 3] = True
    monkeypatch.setattr(Gate, "refuses", lambda gate, cosines: ~only)
    scores = score_views(Pictures(len(some), some.size), unknown, gate=gate(), extractor=EXTRACTOR)
    assert scores["diversity"] == {"views": None, "real": None, "pairs": 0, "real_pairs": 0}
    assert scores["frechet"]["pictures"] == len(some)


def test_one_person_is_compared_with_nobody_else(some: Crops) -> None:
    alone = tiny.with_columns(some, person_ids=np.full(len(some), 3))
    scores = score_views(Pictures(len(some), some.size), alone, gate=gate(), extractor=EXTRACTOR)
    assert scores["identity"]["different_people"] is scores["identity"]["different_people_95"] is None
    assert scores["identity"]["same_person"] > 0


def test_pairs_are_of_one_owner_and_disjoint() -> None:
    owners = np.array([0, 0, 0, 1, 2, 2, -1, -1, 2, 2])
    pairs = pairs_of(owners, np.random.default_rng(0))
    assert sorted(owners[pairs[:, 0]]) == [0, 2, 2]
    assert np.array_equal(owners[pairs[:, 0]], owners[pairs[:, 1]])
    assert len(set(pairs.ravel().tolist())) == pairs.size
    assert pairs_of(np.arange(4), np.random.default_rng(0)).shape == (0, 2)


def test_too_few_images_are_said(some: Crops) -> None:
    with pytest.raises(DataError, match="four images or more whose views can be drawn, found 3"):
        score_views(Pictures(3, some.size), some[:3], gate=gate(), extractor=EXTRACTOR)


def test_colors_are_compared_by_part_where_the_mesh_is_known(tmp_path: Path) -> None:
    settings = SyntheticSettings(people_train=1, people_test=0, cameras=2, crops=1, seed=5, height=64, width=32)
    root = synthesize(tmp_path / "set", settings=settings).root
    bodies = true_bodies(sorted(map(str, root.glob("bounding_box_train/*.jpg"))))
    usable: Mask = np.ones(len(bodies), np.bool_)
    truth = Truth(Pictures(len(bodies), (64, 32)), DrawnMaps(bodies, usable, size=(64, 32)))
    assert truth.regions == tuple(PARTS)
    regions, mask = truth.regions_at(np.array([0, 0]), np.array([0, 4]))
    assert np.array_equal(regions > 0, mask)
    assert np.array_equal(mask, truth.structure.load(np.array([0, 0]), np.array([0, 4]))[:, 0].numpy() < 255)
    heights = [np.nonzero(regions[0] == number)[0].mean() for number in (1, 2, 4)]
    assert heights == sorted(heights), "head, torso, legs from the top"
