"""Ranked lists beside a naive sort."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import reference
from resight.errors import DataError
from resight.numerics.distances import squared_distances, sum_of_part_distances
from resight.records import Features, ImageTable, Ranking
from resight.retrieval.ranking import add_similarities, compare, rank, rank_others


def features(count: int, *, dim: int = 5, seed: int = 0, encoder: str = "e") -> Features:
    vectors = np.random.default_rng(seed).normal(size=(count, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Features(ImageTable(np.arange(count).astype(str)), vectors, encoder)


@pytest.mark.parametrize("k", [1, 7, 20, 100])
def test_the_nearest_come_first(k: int) -> None:
    queries, gallery = features(4, seed=1), features(20)
    found = rank(queries, gallery, k=k)
    distances, ids = reference.k_nearest(gallery.embeddings, min(k, 20), queries.embeddings)
    assert found.indices.tolist() == ids.tolist()
    np.testing.assert_allclose(found.distances, distances, atol=1e-6)


def test_no_query_gives_an_empty_ranking() -> None:
    assert rank(features(0), features(5), k=3).indices.shape == (0, 3)


def located(vectors: npt.ArrayLike, *paths: Path) -> Features:
    return Features(ImageTable(np.array([str(path) for path in paths])), vectors, "e")


def test_a_querys_own_file_is_left_out_under_whatever_path(tmp_path: Path) -> None:
    names = [tmp_path / name for name in ("a", "b", "copy", "link", "again")]
    for name in names[:3]:
        name.write_text("same")
    names[3].symlink_to(names[0])
    names[4].hardlink_to(names[0])
    angles = np.array([0, 0.5, 0.1, 0, 0], np.float32)
    vectors = np.stack([np.cos(angles), np.sin(angles)], 1)
    gallery, queries = located(vectors, *names), located(vectors[:2], tmp_path / "." / "a", names[1])
    found, left_out = rank_others(queries, gallery, k=3)
    assert found.indices[0].tolist() == [2, 1, -1], "the copy is another file"
    assert np.isinf(found.distances[0, 2])
    assert found.indices[1, 0] == 2
    assert 1 not in found.indices[1]
    assert left_out.tolist() == [True, True]
    np.testing.assert_allclose(found.similarities[0], [np.cos(0.1), np.cos(0.5), np.nan], atol=1e-6)
    stranger = located(vectors[1:2], tmp_path / "nowhere")
    found, left_out = rank_others(stranger, gallery, k=2)
    assert found.indices.tolist() == rank(stranger, gallery, k=2).indices.tolist()
    assert left_out.tolist() == [False]
    found, _ = rank_others(queries[:1], gallery[:1], k=2)
    assert found.indices.shape == found.similarities.shape == (1, 0), "nothing else is there"


def test_similarities_are_cosines_and_never_beyond_one() -> None:
    first, second = features(3), features(40, seed=2)
    np.testing.assert_allclose(
        compare(first, second), 1 - reference.squared_distances(first.embeddings, second.embeddings) / 2, atol=1e-6
    )
    same = compare(second, second)
    assert same.dtype == np.float32
    assert same.max() <= 1
    np.testing.assert_allclose(np.diag(same), 1, atol=1e-6)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(DataError, match="the gallery is empty"):
        rank(features(2), features(0))
    for verb in (rank, compare):
        with pytest.raises(DataError, match="different encoders"):
            verb(features(2), features(3, encoder="f"))
        with pytest.raises(DataError, match="lengths 5 and 4"):
            verb(features(2), features(3, dim=4))


def test_another_distance_ranks_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, gallery = features(7, dim=6), features(11, dim=6, seed=1)
    for k in (1, 4, 20):
        found = rank(queries, gallery, k=k, distance_fn=sum_of_part_distances)
        distances = reference.sum_of_part_distances(queries.embeddings, gallery.embeddings, 3)
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]
        np.testing.assert_array_equal(found.indices, order)
        np.testing.assert_allclose(found.distances, np.take_along_axis(distances, order, 1), rtol=1e-4)
        with monkeypatch.context() as smaller:
            smaller.setattr("resight.retrieval.ranking.BLOCK", 2)
            np.testing.assert_array_equal(rank(queries, gallery, k=k, distance_fn=sum_of_part_distances).indices, order)
    assert (
        rank(queries, gallery, k=1).indices != rank(queries, gallery, k=1, distance_fn=sum_of_part_distances).indices
    ).any()
    assert rank(queries[:0], gallery, k=3, distance_fn=sum_of_part_distances).indices.shape == (0, 3)


def euclidean(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.sqrt(squared_distances(a, b))


@pytest.mark.parametrize("entries", [1, 40, 2**22])
@pytest.mark.parametrize("how", [{}, {"rerank": True}, {"distance_fn": euclidean}])
def test_similarities_are_cosines_whatever_ranked(
    how: dict[str, Any], entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resight.retrieval.ranking.PAIR_ENTRIES", entries)  # blocks of a pair, of a few, of all
    queries, gallery = features(7, seed=1), features(40)
    longer = Features(gallery.table, gallery.embeddings * np.arange(1, 41)[:, None], gallery.encoder)
    ranking = rank(queries, longer, k=6, **how)
    expected = reference.similarities(queries.embeddings, longer.embeddings, ranking.indices)
    assert ranking.similarities.dtype == np.float32
    np.testing.assert_allclose(ranking.similarities, expected, atol=1e-6)
    assert not ranking.similarities.flags.writeable
    assert rank(queries[:0], longer, k=6, **how).similarities.shape == (0, 6)


def test_similarities_of_a_ranking_made_elsewhere() -> None:
    queries, gallery = features(3), features(6, seed=2)
    indices = np.array([[4, 0], [2, -1], [5, 1]])
    ranking = Ranking(indices, np.array([[7, 8], [0, np.inf], [1, 1]]))
    assert ranking.similarities.size == 0
    full = add_similarities(ranking, queries, gallery)
    assert (full.indices.tolist(), full.distances.tolist()) == (indices.tolist(), ranking.distances.tolist())
    expected = reference.similarities(queries.embeddings, gallery.embeddings, indices)
    np.testing.assert_allclose(full.similarities, expected, atol=1e-6)
    assert np.isnan(full.similarities).tolist() == (indices < 0).tolist()
    same = add_similarities(Ranking([[3], [4]], [[0], [0]]), gallery[[3, 4]], gallery)
    assert same.similarities.max() <= 1, "rounding never leads beyond 1"
    with pytest.raises(DataError, match="names gallery row 5 of 4"):
        add_similarities(ranking, queries, gallery[:4])
    with pytest.raises(DataError, match="each of the 2 queries, found 3"):
        add_similarities(ranking, queries[:2], gallery)


@pytest.mark.parametrize("kind", [list, np.float64, torch.tensor])
def test_distances_are_taken_however_a_function_gives_them(kind: Callable[[Any], Any]) -> None:
    queries, gallery = features(3, seed=1), features(9)
    found = rank(queries, gallery, k=4, distance_fn=lambda a, b: kind((2 - 2 * a @ b.T).tolist()))
    assert found.indices.tolist() == rank(queries, gallery, k=4).indices.tolist()
