import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.cluster import DBSCAN

import reference
from resight.compute.devices import Devices, DeviceSettings
from resight.config.settings import read_settings
from resight.errors import ConfigError, DataError
from resight.methods.labeling import Labeling
from resight.methods.spcl import SpCLSettings
from resight.numerics.clustering import ClusterSettings, cluster, cluster_at, dbscan
from resight.numerics.dbscan import density_curve
from resight.numerics.distances import normalize
from resight.numerics.eps import GRID, STEP, stable_eps
from resight.numerics.jaccard import entries, jaccard_graph
from resight.records import ImageTable
from resight.training.train import _summary


def random_graph(seed):
    """Distances of few values on a random graph, so that edges tie with values of the grid; dense and sparse."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 40))
    values = np.float32([0, 0.3, 0.375, 0.42, 0.5, 0.61, 0.7, 0.725, *np.ones(12)])
    distances = np.triu(rng.choice(values, size=(size, size)), 1)
    distances = distances + distances.T
    rows, columns = np.nonzero(distances < 1)
    graph = sparse.csr_array((distances[rows, columns], (rows, columns)), shape=distances.shape)
    graph.sort_indices()
    return distances, graph


def drawn_people(seed, *, size=200, count=16, spread=0.5, width=24):
    rng = np.random.default_rng(seed)
    owners = rng.integers(0, count, size)
    return normalize(rng.normal(size=(count, width))[owners] + spread * rng.normal(size=(size, width))), owners


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_one_pass_follows_the_clusters_of_scikit_learn(seed, min_samples):
    distances, graph = random_graph(seed)
    grid = np.float32([0.1, 0.375, 0.5, 0.6, 0.725, 0.9])
    clusters, pairs = density_curve(graph.indptr, graph.indices, graph.data, grid, min_samples)
    for eps, count, together in zip(grid, clusters, pairs, strict=True):
        known = DBSCAN(eps=eps, min_samples=min_samples, metric="precomputed").fit(distances)
        sizes = np.unique(known.labels_[known.core_sample_indices_], return_counts=True)[1]
        assert (count, together) == (len(sizes), (sizes**2).sum())
        assert count == dbscan(graph, eps, min_samples).max() + 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_the_stable_eps_is_that_of_the_rule_in_loops(seed, min_samples):
    distances, graph = random_graph(seed)
    assert stable_eps(graph, min_samples) == reference.stable_eps(distances, min_samples, GRID, STEP)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_stable_eps_of_vectors_is_that_of_the_rule_in_loops_and_finds_the_people(seed):
    vectors, owners = drawn_people(seed)
    graph = jaccard_graph(vectors, k1=10)
    distances = np.ones(graph.shape, np.float32)
    distances[entries(graph)] = graph.data
    eps = stable_eps(graph, 4)
    assert eps == reference.stable_eps(distances, 4, GRID, STEP)
    found = cluster(vectors, ClusterSettings(k1=10, eps="auto"), people=owners)
    assert found.eps == eps  # the graph of `cluster` stores no pair beyond the grid
    np.testing.assert_array_equal(found.labels, dbscan(graph, eps, 4))
    assert found.quality["ari"] > 0.9
    order = np.random.default_rng(seed).permutation(len(vectors))
    assert cluster(vectors[order], ClusterSettings(k1=10, eps="auto")).eps == eps


def test_without_any_cluster_the_largest_eps_is_taken():
    graph = sparse.csr_array((np.zeros(5, np.float32), (np.arange(5), np.arange(5))), shape=(5, 5))
    assert stable_eps(graph, 2) == 0.7
    with pytest.raises(DataError, match="must have shape"):
        stable_eps(graph[:3], 2)


def test_a_single_cluster_of_all_images_is_not_chosen():
    # Ten groups of 4 images at 0.3; from 0.55 on, chains join all of them, which then stays as it is.
    size = 40
    distances = np.ones((size, size), np.float32)
    for group in range(10):
        distances[4 * group : 4 * group + 4, 4 * group : 4 * group + 4] = 0.3
    for one in range(size - 4):
        distances[one, one + 4] = distances[one + 4, one] = 0.55
    np.fill_diagonal(distances, 0)
    rows, columns = np.nonzero(distances < 1)
    graph = sparse.csr_array((distances[rows, columns], (rows, columns)), shape=distances.shape)
    assert dbscan(graph, 0.6, 4).max() == 0
    assert stable_eps(graph, 4) == 0.4


def test_each_domain_has_its_own_eps_and_offsets_are_added_to_it():
    vectors, _ = drawn_people(3, spread=0.8)
    choice, domains = ClusterSettings(k1=10, eps="auto"), np.arange(len(vectors)) % 2
    known = [cluster(vectors[domains == domain], choice).eps for domain in (0, 1)]
    assert cluster(vectors, choice, domains=domains).eps == pytest.approx(np.mean(known))
    (tight, loose), eps, _ = cluster_at(vectors, choice, (-0.1, 0.2))
    graph = jaccard_graph(vectors, k1=10)
    np.testing.assert_array_equal(tight, dbscan(graph, eps - 0.1, 4))
    np.testing.assert_array_equal(loose, dbscan(graph, eps + 0.2, 4))


def test_the_setting_is_checked():
    assert ClusterSettings(eps="auto").eps_range == pytest.approx((0.375, 0.725))
    with pytest.raises(ConfigError, match="eps must be a number or auto, found 'often'"):
        ClusterSettings(eps="often")
    with pytest.raises(ConfigError, match="both choose eps"):
        ClusterSettings(eps="auto", rho=1e-3)
    with pytest.raises(ConfigError, match="both choose eps"):
        ClusterSettings(eps="auto", pairs_per_image=3)
    with pytest.raises(ConfigError, match=r"below 1 - source_weight = 0.7, found auto, which needs up to 0.725"):
        ClusterSettings(eps="auto", source_weight=0.3)
    assert SpCLSettings(cluster=ClusterSettings(eps="auto")).reliability_gap < 0.275
    with pytest.raises(ConfigError, match=r"found a gap of 0\.28"):
        SpCLSettings(cluster=ClusterSettings(eps="auto"), reliability_gap=0.28)


def test_a_flag_and_an_epoch_take_it():
    (choice,) = read_settings(["--eps", "auto", "--k1", "10"], [ClusterSettings], program="resight cluster")
    assert choice == ClusterSettings(k1=10, eps="auto")
    vectors, owners = drawn_people(4)
    unknown = np.full(len(vectors), -1)
    table = ImageTable(np.array([f"{row}.jpg" for row in range(len(vectors))]), owners, unknown, unknown, unknown)
    labeling = Labeling(table, choice)
    labeling.update(vectors, Devices(DeviceSettings(accelerator="cpu")))
    assert labeling.diagnostics["eps"] == cluster(vectors, choice).eps
    line = {"seconds": 1.0, "clusters": 16.0, "outlier_share": 0.05, "eps": 0.525}
    assert _summary(line) == "16 clusters at eps 0.525, 5 % in none, 1 s"
