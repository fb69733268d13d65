"""Which clusters are reliable, beside naive twins made of sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN

import reference
from resight.errors import ConfigError, DataError
from resight.numerics.clustering import ClusterSettings, cluster, cluster_at
from resight.numerics.reliability import overlaps, reliable_labels, separate

few = settings(max_examples=60, deadline=None)
columns = st.integers(0, 14).flatmap(
    lambda size: st.tuples(*(st.lists(st.integers(-1, 3), min_size=size, max_size=size) for _ in range(3)))
)


def numbered(labels: list[int]) -> list[int]:
    """Number clusters 0..C-1."""
    known = sorted(set(labels) - {-1})
    return [known.index(label) if label >= 0 else -1 for label in labels]


def sets_of(labels: np.ndarray) -> list[set[int]]:
    return [set(np.flatnonzero(labels == label).tolist()) for label in range(labels.max(initial=-1) + 1)]


@few
@given(columns)
def test_overlaps_are_those_of_the_sets(lists: tuple[list[int], ...]) -> None:
    labels, others, _ = lists
    found = overlaps(np.array(labels, np.int64), np.array(others, np.int64))
    assert found.tolist() == pytest.approx(reference.overlaps(labels, others))
    assert ((found > 0) & (found <= 1)).all()


@few
@given(columns, st.sampled_from([0.0, 0.5, 0.9, 1.0]), st.sampled_from([None, 0.3, 1.0]))
def test_reliable_clusters_are_those_of_the_sets(
    lists: tuple[list[int], ...], share: float, threshold: float | None
) -> None:
    labels, loose, tight = map(numbered, lists)
    kept, expected = reference.reliable_labels(labels, loose, tight, share, threshold)
    found, least = reliable_labels(
        *(np.array(each, np.int64) for each in (labels, loose, tight)), share=share, least_independence=threshold
    )
    assert sets_of(found) == kept
    assert least == expected


def test_clusters_that_no_eps_changes_all_stay() -> None:
    labels = np.array([1, 1, 0, 0, -1, 0])
    found, least = reliable_labels(labels, labels, labels)
    assert found.tolist() == labels.tolist()
    assert least == 1


def test_a_joined_cluster_goes_and_an_image_outside_the_core_leaves() -> None:
    """Clusters 0 and 1 are one at the looser eps; at the tighter one, an image of cluster 2 is alone."""
    labels, loose = np.array([0, 0, 1, 1, 1, 2, 2, 2]), np.array([0, 0, 0, 0, 0, 1, 1, 1])
    tight = np.array([0, 0, 1, 1, 1, 2, 2, -1])
    assert reliable_labels(labels, loose, tight, least_independence=0.7)[0].tolist() == [-1] * 5 + [0, 0, -1]
    assert overlaps(labels, loose).tolist() == [0.4, 0.4, 0.6, 0.6, 0.6, 1, 1, 1]
    # Of three clusters, the best two: the third is the least independent.
    found, least = reliable_labels(labels, loose, tight, share=0.67)
    assert least == 0.6
    assert found.tolist() == [-1, -1, 0, 0, 0, 1, 1, -1]


def test_images_in_no_cluster_get_one_each() -> None:
    assert separate([-1, 1, 0, -1, 1]).tolist() == [2, 1, 0, 3, 1]
    assert separate([]).tolist() == []


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(DataError, match="other labels"):
        overlaps([0, 1], [0])
    with pytest.raises(ConfigError, match="share"):
        reliable_labels([0], [0], [0], share=1.5)


# -- clusterings at several eps ------------------------------------------------------------------------------------


def vectors(seed: int, size: int = 90) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(10, 12))[rng.integers(0, 10, size)] + 0.55 * rng.normal(size=(size, 12))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_at_each_eps_the_clusters_are_those_of_dbscan_on_the_dense_matrix() -> None:
    rows, settings = vectors(0), ClusterSettings(k1=12, eps=0.5)
    dense = reference.jaccard(rows, 12, 6, "ice")
    results, eps, recall = cluster_at(rows, settings, (0.0, 0.15, -0.15))
    assert (eps, recall) == (0.5, {})
    for labels, own_eps in zip(results, (0.5, 0.65, 0.35), strict=True):
        expected = DBSCAN(eps=own_eps, min_samples=4, metric="precomputed").fit_predict(dense)
        np.testing.assert_array_equal(labels, expected)
    assert len({labels.max() for labels in results}) > 1, "they differ"
    for labels, loose in ((results[0], results[1]), (results[2], results[0])):
        clustered = labels >= 0
        assert (loose[clustered] >= 0).all(), "a larger eps leaves no image out that a smaller one takes in"


def test_domains_are_clustered_alone_at_each_eps() -> None:
    rows, settings = vectors(1), ClusterSettings(k1=8, rho=0.05, min_samples=3)
    domains = np.arange(len(rows)) % 2
    results, eps, _ = cluster_at(rows, settings, (0.1, 0.0), domains=domains)
    whole = cluster(rows, settings, domains=domains)
    np.testing.assert_array_equal(results[1], whole.labels)
    assert eps == whole.eps
    parts = [cluster_at(rows[domains == domain], settings, (0.1,)) for domain in (0, 1)]
    assert eps == pytest.approx(np.mean([part[1] for part in parts]))
    first, second = (part[0][0] for part in parts)
    assert results[0][domains == 0].tolist() == first.tolist()
    assert results[0][domains == 1].tolist() == np.where(second < 0, -1, second + first.max() + 1).tolist()
