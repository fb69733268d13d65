"""K-Means: what a cluster is, beside scikit-learn, and its edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from drawn import people
from resight.errors import ConfigError, DataError
from resight.numerics.clustering import ClusterSettings, cluster
from resight.numerics.kmeans import kmeans


@given(seed=st.integers(0, 1000), clusters=st.integers(1, 30))
def test_every_vector_is_in_the_cluster_of_its_nearest_center(seed: int, clusters: int) -> None:
    vectors = people(seed)
    labels = kmeans(vectors, clusters)
    assert set(labels) == set(range(clusters))
    centers = np.stack([vectors[labels == c].mean(0) for c in range(clusters)])
    squared = ((vectors[:, None] - centers) ** 2).sum(-1)
    own = squared[np.arange(len(vectors)), labels]
    assert (own <= squared.min(1) + 1e-4).all()


def test_it_is_as_good_as_scikit_learns_and_the_same_again() -> None:
    vectors = people(1)
    labels = kmeans(vectors, 12)
    assert np.array_equal(labels, kmeans(vectors, 12))
    cost = sum(((vectors[labels == c] - vectors[labels == c].mean(0)) ** 2).sum() for c in range(12))
    best = KMeans(12, n_init=20, random_state=5).fit(vectors).inertia_
    assert cost < 1.25 * best


def test_clusters_are_numbered_by_their_first_vector() -> None:
    labels = kmeans(people(2), 9)
    _, first = np.unique(labels, return_index=True)
    assert list(first) == sorted(first)


def test_fewer_different_vectors_than_clusters_leave_no_gap() -> None:
    vectors = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    assert kmeans(vectors, 5).tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_as_a_way_to_cluster_it_leaves_nothing_out() -> None:
    vectors = people(3)
    found = cluster(vectors, ClusterSettings(method="kmeans", num_clusters=7), cameras=np.arange(len(vectors)) % 3)
    assert found.num_clusters == 7
    assert found.eps == 0
    assert found.quality["outlier_share"] == 0
    assert found.quality["cameras"] == 3
    np.testing.assert_array_equal(found.labels, kmeans(vectors, 7))


def test_numbers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="1 to 140 clusters, at most one per image, found 141"):
        kmeans(people(0), 141)
    with pytest.raises(ConfigError, match="clusters must be 2 or more"):
        ClusterSettings(method="kmeans", num_clusters=1)
    with pytest.raises(DataError):
        kmeans(np.full((3, 2), np.nan), 2)
