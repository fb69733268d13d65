import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.cluster import DBSCAN
from sklearn.metrics import adjusted_rand_score, v_measure_score

import reference
from resight.errors import ConfigError, DataError
from resight.numerics import jaccard_kernels, kernels
from resight.numerics.cluster_quality import cluster_quality, cluster_warnings
from resight.numerics.clustering import (
    ClusterSettings,
    camera_proxies,
    centroids,
    cluster,
    dbscan,
)
from resight.numerics.distances import normalize
from resight.numerics.eps import rho_eps
from resight.numerics.jaccard import blend, entries, jaccard_graph
from resight.numerics.neighbors import k_nearest
from resight.numerics.source_distance import add_source_term, source_terms


def people(seed, size=220, spread=0.5, width=16, count=14):
    rng = np.random.default_rng(seed)
    owners = rng.integers(0, count, size)
    vectors = rng.normal(size=(count, width))[owners] + spread * rng.normal(size=(size, width))
    return normalize(vectors), owners


def to_graph(distances):
    """The sparse graph of dense distances: what is below 1 is stored, zeros too."""
    rows, columns = np.nonzero(distances < 1)
    values = distances[rows, columns].astype(np.float32)
    graph = sparse.csr_array((values, (rows, columns)), shape=distances.shape)
    graph.sort_indices()
    return graph


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0, 1.5]))
def test_dbscan_gives_the_labels_of_scikit_learn(seed, min_samples, eps):
    # Distances of few values on a random graph: chains, shared borders, ties at eps.
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 40))
    distances = rng.choice(np.float32([0, 0.2, 0.5, 0.9, 1, 1, 1, 1, 1, 1, 1, 1]), size=(size, size))
    distances = np.triu(distances, 1) + np.triu(distances, 1).T
    labels = dbscan(to_graph(distances), eps, min_samples)
    near = max(eps, 1e-9)  # scikit-learn takes no 0
    known = DBSCAN(eps=near, min_samples=min_samples, metric="precomputed").fit_predict(distances)
    np.testing.assert_array_equal(labels, known)
    assert labels.dtype == np.int64


@pytest.mark.parametrize("variant", ["ice", "abmt"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sparse_and_dense_pipelines_agree(variant, seed):
    vectors, owners = people(seed)
    neighbors = k_nearest(vectors, 21)
    width = 20 if variant == "ice" else 21
    full = reference.jaccard(vectors, 20, 6, variant, neighbors[1][:, :width])
    graph = jaccard_graph(vectors, k1=20, variant=variant, neighbors=neighbors)
    known = DBSCAN(eps=0.55, min_samples=4, metric="precomputed").fit_predict(np.maximum(full, 0))
    labels = dbscan(graph, 0.55, 4)
    np.testing.assert_array_equal(labels, known)
    assert adjusted_rand_score(labels, known) == 1
    assert adjusted_rand_score(owners[labels >= 0], labels[labels >= 0]) > 0.8


@pytest.mark.parametrize("rho", [1e-6, 2e-3, 0.05, 0.4, 0.99])
def test_rho_eps_is_the_mean_of_the_smallest_distances(rho):
    graph = jaccard_graph(people(3)[0], k1=10)
    full = np.ones(graph.shape, np.float32)
    full[np.repeat(np.arange(len(full)), np.diff(graph.indptr)), graph.indices] = graph.data
    assert rho_eps(graph, rho) == pytest.approx(reference.rho_eps(full.astype(float), rho), abs=1e-7)


def test_rho_eps_leaves_zeros_out_and_counts_what_is_absent():
    distances = np.array([[0, 0, 0.5, 1], [0, 0, 0.25, 1], [0.5, 0.25, 0, 1], [1, 1, 1, 0]])
    graph = to_graph(distances)  # five non-zero pairs: .25 .5 1 1 1
    assert rho_eps(graph, 0.4) == pytest.approx(0.375)
    assert rho_eps(graph, 0.8) == pytest.approx(2.75 / 4)
    assert rho_eps(graph, 0.01) == pytest.approx(0.25)
    assert rho_eps(to_graph(np.zeros((3, 3))), 0.5) == 0


@pytest.mark.parametrize("variant", ["ice", "abmt"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_clusters_with_a_source_are_those_of_the_dense_sum(variant, seed):
    vectors, _ = people(seed)
    source = vectors[::2] + np.float32(0.01)  # half of the images are hardly lifted
    graph = jaccard_graph(vectors, k1=20, variant=variant)
    full = np.ones(graph.shape)
    full[entries(graph)] = graph.data
    terms = reference.source_terms(vectors, source)
    full = (0.7 * full + 0.3 * (terms[:, None] + terms)).astype(np.float32)
    choice = ClusterSettings(k1=20, variant=variant, eps=0.25, source_weight=0.3)
    found = cluster(vectors, choice, source=source)
    known = DBSCAN(eps=0.25, min_samples=4, metric="precomputed").fit_predict(full)
    np.testing.assert_array_equal(found.labels, known)
    assert not np.array_equal(known, cluster(vectors, ClusterSettings(k1=20, variant=variant, eps=0.25)).labels)

    by_rho = cluster(vectors, ClusterSettings(k1=20, variant=variant, rho=0.02, source_weight=0.3), source=source)
    assert by_rho.eps == pytest.approx(reference.rho_eps(full.astype(float), 0.02), abs=1e-6)
    known = DBSCAN(eps=by_rho.eps, min_samples=4, metric="precomputed").fit_predict(full)
    np.testing.assert_array_equal(by_rho.labels, known)


def test_a_source_changes_nothing_without_its_weight_nor_the_weight_without_a_source():
    vectors, _ = people(1)
    plain = cluster(vectors, ClusterSettings(k1=15, eps=0.5)).labels
    np.testing.assert_array_equal(cluster(vectors, ClusterSettings(k1=15, eps=0.5), source=vectors[:9]).labels, plain)
    np.testing.assert_array_equal(cluster(vectors, ClusterSettings(k1=15, eps=0.5, source_weight=0.1)).labels, plain)


def test_source_terms_are_shares_of_the_farthest_image():
    rng = np.random.default_rng(4)
    vectors, source = rng.normal(size=(9, 5)) / 3, rng.normal(size=(4, 5)) / 3
    terms = source_terms(vectors, source)
    np.testing.assert_allclose(terms, reference.source_terms(vectors, source), rtol=1e-5)
    assert terms.max() == 1
    assert (source_terms(source, source) == 0).all()
    with pytest.raises(DataError, match="the source has no vectors"):
        source_terms(vectors, source[:0])
    with pytest.raises(DataError, match="same dimension"):
        source_terms(vectors, source[:, :3])
    graph = jaccard_graph(people(1)[0], k1=10)
    with pytest.raises(DataError, match="source terms must have shape"):
        add_source_term(graph, terms, 0.1)
    with pytest.raises(ConfigError, match=r"must be in \[0, 1\)"):
        blend(graph, graph.data, 1.0)


def test_a_share_that_reaches_pairs_of_unknown_distance_is_told():
    vectors, _ = people(2)
    # The share may reach pairs that are not stored, whose distance the source gives.
    graph = jaccard_graph(vectors, k1=10)
    full = np.ones(graph.shape)
    full[entries(graph)] = graph.data
    terms = reference.source_terms(vectors, vectors[:5])
    for rho in (0.1, 0.25, 0.3):
        known = reference.rho_eps(0.9 * full + 0.1 * (terms[:, None] + terms), rho)
        found = cluster(vectors, ClusterSettings(k1=10, rho=rho, source_weight=0.1), source=vectors[:5])
        assert found.eps == pytest.approx(known, abs=1e-6)
    assert known > 0.75  # it did
    with pytest.raises(ConfigError, match=r"rho = 0.99 gives an eps of .* would join images without a common neighbor"):
        cluster(vectors, ClusterSettings(k1=10, rho=0.99, source_weight=0.1), source=vectors[:5])
    graph = to_graph(np.array([[0, 0.95, 1.0], [0.95, 0, 1.0], [1.0, 1.0, 0]]))
    with pytest.raises(ConfigError, match="lower rho"):  # it is stored, and may be farther than what is not
        rho_eps(graph, 0.3, beyond=0.9)
    assert rho_eps(graph, 0.3) == pytest.approx(0.95)
    graph = to_graph(np.array([[0, 0.1, 1.0], [0.1, 0, 1.0], [1.0, 1.0, 0]]))
    assert rho_eps(graph, 0.3, beyond=0.9) == pytest.approx(0.1)
    with pytest.raises(ConfigError, match="lower rho"):  # two of three pairs, and one is stored
        rho_eps(graph, 0.7, beyond=0.9)


def test_cluster_composes_the_parts():
    vectors, owners = people(5)
    cameras = np.arange(len(vectors)) % 3 * 10
    settings = ClusterSettings(k1=15, variant="abmt", rho=0.02)
    found = cluster(vectors, settings, people=owners, cameras=cameras)
    graph = jaccard_graph(vectors, k1=15, variant="abmt")
    assert found.eps == rho_eps(graph, 0.02)
    np.testing.assert_array_equal(found.labels, dbscan(graph, found.eps, 4))
    assert found.quality == cluster_quality(found.labels, owners, cameras)
    assert found.quality["clusters"] == found.num_clusters > 0
    assert cluster(vectors, ClusterSettings(k1=15)).eps == 0.55


def test_read_only_vectors_compile_no_kernel_twice():
    vectors, _ = people(5)
    cluster(vectors, ClusterSettings(k1=15))
    names = ("offer_nearest", "select_candidates", "neighbor_weights", "mean_rows", "jaccard_rows")
    compiled = [getattr(kernels, name, None) or getattr(jaccard_kernels, name) for name in names]
    known = [len(kernel.signatures) for kernel in compiled]
    vectors.setflags(write=False)
    cluster(vectors, ClusterSettings(k1=15))
    assert [len(kernel.signatures) for kernel in compiled] == known == [1] * len(names)


def test_many_images_are_clustered_by_most_of_their_neighbors():
    vectors, _ = people(7, size=1500, spread=0.3, count=60)
    exact = cluster(vectors, ClusterSettings(k1=15))
    assert "recall" not in exact.quality
    found = cluster(vectors, ClusterSettings(k1=15, approximate_from=1500))
    assert 0.95 <= found.quality["recall"] <= 1
    assert adjusted_rand_score(found.labels, exact.labels) > 0.9
    with pytest.raises(ConfigError, match="variant to ice"):
        cluster(vectors, ClusterSettings(k1=15, variant="abmt", approximate_from=1500))


def test_defined_results_on_degenerate_images():
    equal = np.ones((40, 4), np.float32)
    for variant in ("ice", "abmt"):
        settings = ClusterSettings(k1=5, k2=2, variant=variant, rho=0.01, min_samples=1)
        assert len(cluster(equal, settings)) == 40
    # As many as the lists are long: every image sees every other.
    assert (cluster(equal[:4], ClusterSettings(k1=3, k2=1, variant="abmt", rho=0.1)).labels == 0).all()
    lonely = cluster(people(0, size=30, spread=9)[0], ClusterSettings(k1=3, k2=1, eps=0.01), cameras=[2] * 30)
    assert (lonely.labels == -1).all()
    assert lonely.quality == {
        "clusters": 0, "outlier_share": 1, "largest_share": 0, "cameras": 1, "single_camera_share": 0,
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_balanced_lists_join_cameras_that_one_list_keeps_apart(seed):
    """Each camera moves all its images one way: the nearest of an image are of its own camera."""
    vectors, owners = people(seed, size=240, spread=0.3, count=12)
    cameras = np.random.default_rng(seed + 100).integers(0, 2, 240)
    vectors = normalize(vectors + np.where(cameras[:, None] == 0, 0.2, -0.2))
    one = cluster(vectors, ClusterSettings(k1=10, k2=4), people=owners, cameras=cameras).quality
    balanced = cluster(vectors, ClusterSettings(k1=5, k2=4, k_cross_camera=5), people=owners, cameras=cameras).quality
    assert one["single_camera_share"] > 0.8
    assert balanced["single_camera_share"] < 0.2
    assert balanced["completeness"] > one["completeness"]
    other = ClusterSettings(k1=5, k2=4, k_cross_camera=5, variant="abmt")
    assert cluster(vectors, other, cameras=cameras, people=owners).quality["completeness"] > one["completeness"]
    unknown = cluster(vectors, ClusterSettings(k1=10, k2=4, k_cross_camera=5)).labels
    np.testing.assert_array_equal(unknown, cluster(vectors, ClusterSettings(k1=15, k2=4)).labels)


def test_centroids_are_plain_or_unit_means():
    vectors, owners = people(6)
    labels = np.where(np.arange(len(owners)) % 5 == 0, -1, owners)
    plain = reference.means(vectors, labels)
    np.testing.assert_allclose(centroids(vectors, labels, normalize=False), plain, atol=1e-6)
    scaled = centroids(vectors, labels, normalize=True)
    np.testing.assert_allclose(scaled, plain / np.linalg.norm(plain, axis=1, keepdims=True), atol=1e-6)
    assert scaled.dtype == np.float32
    assert centroids(vectors, np.full(len(vectors), -1), normalize=True).shape == (0, vectors.shape[1])
    with pytest.raises(DataError, match="without a gap"):
        centroids(vectors[:3], [0, 2, 2], normalize=False)
    with pytest.raises(DataError, match="labels must have shape"):
        centroids(vectors, [0, 1], normalize=False)


def test_camera_proxies_are_ordered_by_label_and_camera():
    vectors, _ = people(7, size=9)
    labels = [1, 0, 1, -1, 0, 1, 0, 1, 1]
    cameras = [7, 3, 2, 2, 3, 7, 9, -1, 2]
    proxies, owners, seen = camera_proxies(vectors, labels, cameras)
    assert owners.tolist() == [0, 0, 1, 1]
    assert seen.tolist() == [3, 9, 2, 7]
    expected = np.stack([vectors[rows].mean(axis=0) for rows in ([1, 4], [6], [2, 8], [0, 5])])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(proxies, expected, atol=1e-6)
    nothing = camera_proxies(vectors, [-1] * 9, cameras)
    assert [part.shape for part in nothing] == [(0, 16), (0,), (0,)]


def test_quality_counts_by_hand():
    labels = [0, 0, 0, 1, 1, 2, -1, -1]
    cameras = [1, 1, -1, 1, 5, -1, 5, 1]
    true = [4, 4, 9, 9, -1, 7, 4, 8]
    quality = cluster_quality(labels, true, cameras)
    assert quality["clusters"] == 3
    assert quality["outlier_share"] == 2 / 8
    assert quality["largest_share"] == 3 / 8
    assert quality["cameras"] == 2
    assert quality["single_camera_share"] == 1 / 2  # cluster 2 is seen by no known camera
    assert quality["true_people"] == 4
    known = ([4, 4, 9, 9, 7], [0, 0, 0, 1, 2])
    assert quality["ari"] == pytest.approx(adjusted_rand_score(*known))
    assert quality["v_measure"] == pytest.approx(v_measure_score(*known))
    # Cluster 0 has one right pair of three, cluster 1 a single known image; person 4 has a pair, and so has person 9.
    assert quality["pairwise_f"] == pytest.approx(2 / (3 + 2))
    precision, recall = (2 / 3 + 2 / 3 + 1 / 3 + 1 + 1) / 5, (1 + 1 + 1 / 2 + 1 / 2 + 1) / 5
    assert quality["bcubed_f"] == pytest.approx(2 * precision * recall / (precision + recall))
    assert set(cluster_quality(labels, [-1] * 8, [-1] * 8)) == {"clusters", "outlier_share", "largest_share"}
    assert cluster_quality([-1, -1], [1, 2])["ari"] == 0
    with pytest.raises(DataError, match="people must have shape"):
        cluster_quality(labels, [1])


@pytest.mark.parametrize(
    ("labels", "cameras", "words"),
    [
        ([-1] * 40, [0, 1] * 20, ["No image is in a cluster: raise eps"]),
        ([0, 0] + [-1] * 38, [0, 1] * 20, ["95% of the images are in no cluster"]),
        ([0] * 30 + [1] * 10, [0, 1] * 20, ["One cluster holds 75% of the images: lower eps"]),
        (
            [0, 1, 2, 3] * 10,
            [0, 1, 0, 1] * 10,
            ["No cluster joins images of two cameras, though there are 2"],
        ),
        ([0, 1, 2, 3] * 10, [0] * 40, []),
        ([0, 1, 2, 3] * 10, [0] * 20 + [1] * 20, []),
    ],
)
def test_warnings_say_what_to_change(labels, cameras, words):
    found = cluster_warnings(cluster_quality(labels, cameras=cameras))
    assert len(found) == len(words)
    for sentence, word in zip(found, words, strict=True):
        assert word in sentence
    assert len(cluster_warnings(cluster_quality(labels))) == len([w for w in words if "cameras" not in w])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k1": 1}, "k1"),
        ({"k2": 31}, "k2"),
        ({"variant": "x"}, "variant"),
        ({"eps": 1.0}, "eps"),
        ({"eps": float("nan")}, "eps"),
        ({"rho": 0.0}, "rho"),
        ({"rho": 1.0}, "rho"),
        ({"min_samples": 0}, "min_samples"),
        ({"approximate_from": 1}, "approximate_from"),
    ],
)
def test_settings_out_of_range_are_told(change, message):
    with pytest.raises(ConfigError, match=message):
        ClusterSettings(**change)


def test_bad_input_is_told():
    vectors, owners = people(1, size=20)
    with pytest.raises(ConfigError, match="k1 = 30 must be below the number of images, 20"):
        cluster(vectors, ClusterSettings())
    with pytest.raises(DataError, match="people"):
        cluster(vectors, ClusterSettings(k1=5, k2=2), people=owners[:3])
    graph = jaccard_graph(vectors, k1=5, k2=2)
    for eps, samples in ((-0.1, 4), (float("nan"), 4), (0.5, 0)):
        with pytest.raises(ConfigError):
            dbscan(graph, eps, samples)
    with pytest.raises(DataError, match="shape"):
        dbscan(graph[:3], 0.5, 4)
    with pytest.raises(ConfigError, match="rho"):
        rho_eps(graph, 0)
    with pytest.raises(DataError, match="at least 2"):
        rho_eps(graph[:1, :1], 0.5)


def test_pairs_per_image_is_rho_for_a_set_of_any_size():
    assert ClusterSettings().share(100) is None
    assert ClusterSettings(rho=0.01).share(100) == 0.01
    assert ClusterSettings(pairs_per_image=3.5).share(7001) == pytest.approx(1e-3)
    assert 0 < ClusterSettings(pairs_per_image=3.5).share(2) < 1
    vectors, _ = people(0, size=60)
    by_pairs = cluster(vectors, ClusterSettings(k1=10, pairs_per_image=2.0))
    by_rho = cluster(vectors, ClusterSettings(k1=10, rho=4 / 59))
    assert by_pairs.eps == by_rho.eps > 0
    np.testing.assert_array_equal(by_pairs.labels, by_rho.labels)
    with pytest.raises(ConfigError, match="pairs_per_image must be above 0"):
        ClusterSettings(pairs_per_image=0.0)
    with pytest.raises(ConfigError, match="set one of them to null"):
        ClusterSettings(pairs_per_image=1.0, rho=0.1)
