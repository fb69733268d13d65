import dataclasses

import numpy as np
import pytest
import torch
from sklearn.cluster import DBSCAN

import reference
from drawn import people
from resight.errors import ConfigError
from resight.numerics import blended_clustering
from resight.numerics.blended_clustering import base_length, blended_labels, visual_base
from resight.numerics.clustering import ClusterSettings
from resight.numerics.spatiotemporal import Sightings, joint_base, rank_distances, travel_times

SETTINGS = ClusterSettings(k1=12, k2=4, variant="abmt", rho=0.01, min_samples=1)


def naive(vectors, base, weight):
    """The dense distance: neighbors and weights of the base, and the base itself."""
    distances = np.array([[float(d) for d in row] for row in base])
    width = base_length(SETTINGS)
    ids = np.argsort(distances - 2 * np.eye(len(vectors)), axis=1, kind="stable")[:, :width]
    jaccard = reference.jaccard(vectors, SETTINGS.k1, SETTINGS.k2, SETTINGS.variant, ids, distances)
    dense = (1 - weight) * jaccard + weight * distances
    return np.where(dense < 1e-9, 0, dense)  # equal images


@pytest.mark.parametrize("scale", [1.0, 0.8])
def test_clusters_by_appearance_are_those_of_the_dense_distance(scale, monkeypatch):
    monkeypatch.setattr(blended_clustering, "PAIRS", 500)
    vectors = people(3, size=90)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    squared = np.array(reference.squared_distances(unit, unit))
    dense = naive(unit, squared / squared.max(), 0.3)
    base = visual_base(vectors * np.float32(3), base_length(SETTINGS))
    labels, eps = blended_labels(unit, base, SETTINGS, weight=0.3, eps_scale=scale)
    assert eps == pytest.approx(scale * reference.rho_eps(dense, SETTINGS.rho), abs=1e-5)
    np.testing.assert_array_equal(labels, DBSCAN(eps=eps, min_samples=1, metric="precomputed").fit_predict(dense))
    assert 1 < labels.max() + 1 < len(vectors)
    assert labels.min() == 0


def test_clusters_by_time_reach_as_far_as_no_unstored_pair_can():
    rng = np.random.default_rng(0)
    vectors, groups = people(5, size=80), rng.integers(0, 9, 80)
    seen = Sightings(rng.integers(0, 3, 80), rng.integers(0, 20_000, 80))
    times = travel_times(groups, seen)
    base = joint_base(vectors, seen, times, base_length(SETTINGS))
    pairs = (torch.arange(80).repeat_interleave(80), torch.arange(80).repeat(80))
    measured = base.of_pairs(*pairs).numpy()
    assert 0.5 < base.least <= measured.min() + 1e-6
    assert base.least == pytest.approx(reference.joint_distance(1, times.shares.max()))
    loose = dataclasses.replace(SETTINGS, rho=0.12)
    labels, eps = blended_labels(vectors, base, loose, weight=0.5)
    assert eps == pytest.approx(reference.rho_eps(naive(vectors, measured.reshape(80, 80), 0.5), 0.12), abs=1e-5)
    assert labels.max() < 79
    for least in (base.least, 0.0):  # without the bound, all pairs are measured to know
        bounded = dataclasses.replace(base, least=least)
        assert blended_labels(vectors, bounded, loose, weight=0.5)[1] == pytest.approx(eps, abs=1e-6)
    with pytest.raises(ConfigError, match="would join images without a common neighbor"):
        blended_labels(vectors, base, ClusterSettings(k1=12, eps=0.95), weight=0.5)


def test_ranks_are_those_of_each_pair():
    rng = np.random.default_rng(1)
    vectors, seen = people(2, size=50), Sightings(rng.integers(0, 3, 50), rng.integers(0, 3_000, 50))
    times = travel_times(rng.integers(0, 9, 50), seen, smoothing=2)
    queries, gallery = (
        (vectors[rows], Sightings(seen.cameras[rows], seen.frames[rows])) for rows in (slice(12), slice(12, 50))
    )
    distances = rank_distances(queries, gallery, times)
    whole = joint_base(vectors, seen, times, 5)
    pairs = (torch.arange(12).repeat_interleave(38), torch.arange(12, 50).repeat(12))
    np.testing.assert_allclose(distances(slice(None)).ravel(), whole.of_pairs(*pairs), atol=1e-6)
    np.testing.assert_allclose(distances(slice(3, 7)), distances(slice(None))[3:7], atol=1e-6)
