"""Maps of a few people by several models."""

from __future__ import annotations

import re

import numpy as np
import pytest

from resight.errors import DataError
from resight.numerics.distances import normalize
from resight.numerics.tsne import tsne
from resight.records import Features, ImageTable
from resight.reports.figures import to_svg
from resight.reports.people_map import FEWEST, PEOPLE, choose_people, people_map


def people(count: int, images: int = 5, noise: float = 0.1) -> Features:
    rng = np.random.default_rng(0)
    ids = np.repeat(np.arange(count), images)
    vectors = normalize(rng.normal(size=(count, 16))[ids] + noise * rng.normal(size=(len(ids), 16)))
    return Features(ImageTable(np.array([f"{row}.jpg" for row in range(len(ids))]), ids), vectors)


def test_near_vectors_stay_near_and_a_seed_gives_one_map() -> None:
    features = people(4, 8)
    places, ids = tsne(features.embeddings, seed=3), features.table.person_ids
    distances = np.linalg.norm(places[:, None] - places, axis=2)
    same = (ids[:, None] == ids) & ~np.eye(len(ids), dtype=bool)
    nearest = np.where(np.eye(len(ids), dtype=bool), np.inf, distances).argmin(1)
    assert (ids[nearest] == ids).all()
    assert distances[same].mean() < distances[ids[:, None] != ids].mean() / 3
    np.testing.assert_array_equal(tsne(features.embeddings, seed=3), places)
    with pytest.raises(DataError, match="4 vectors or more, found 3"):
        tsne(features.embeddings[:3])


def test_ten_random_people_with_enough_images_are_chosen_each_image_once() -> None:
    table = people(15).table
    junk = ImageTable(np.array([f"junk{row}.jpg" for row in range(9)]), np.array([-1] * 5 + [99] * 3 + [0]))
    both = ImageTable.concatenate(table, table[:20], junk)
    rows = choose_people(both, without=(0,), seed=1)
    ids = both.person_ids[rows]
    assert len(set(both.paths[rows].tolist())) == len(rows) == PEOPLE * 5
    assert len(set(ids.tolist())) == PEOPLE
    assert not {-1, 0, 99} & set(ids.tolist()), "99 has three images"
    np.testing.assert_array_equal(rows, choose_people(both, without=(0,), seed=1))
    others = [set(both.person_ids[choose_people(both, seed=seed)].tolist()) for seed in range(5)]
    assert any(other != others[0] for other in others)
    with pytest.raises(DataError, match=f"two or more with {FEWEST} images each, found 1"):
        choose_people(table[:8])


def test_a_map_has_a_panel_for_each_model_and_a_point_for_each_image() -> None:
    features = people(10)
    models = {"before $5": features, "after": Features(features.table, features.embeddings[:, ::-1].copy())}
    figure = people_map(models, names={"people": [f"name{number}" for number in range(10)]})
    svg = to_svg(figure)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [r"before \$5", "after"]
    assert [sum(len(points.get_offsets()) for points in axes.collections) for axes in figure.axes] == [50, 50]
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert {f"name{number}" for number in range(10)} <= set(texts)
    looks = {
        (tuple(points.get_facecolor()[0]), len(points.get_paths()[0].vertices)) for points in figure.axes[0].collections
    }
    assert len(looks) == 10, "no two people look alike"
