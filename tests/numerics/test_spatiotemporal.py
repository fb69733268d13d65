import numpy as np
import pytest
import torch
from sklearn.cluster import DBSCAN

import reference
from drawn import dense, people
from resight.errors import ConfigError, DataError
from resight.numerics import gpu as tensors
from resight.numerics import gpu_jaccard as tensor_jaccard
from resight.numerics.clustering import dbscan
from resight.numerics.eps import rho_eps
from resight.numerics.jaccard import blend, entries, jaccard_graph
from resight.numerics.spatiotemporal import Sightings, joint_base, travel_times


def sightings(size, seed, cameras=(2, 5, 9), span=4000):
    rng = np.random.default_rng(seed)
    return Sightings(rng.choice(cameras, size), rng.integers(0, span, size))


def naive_distances(vectors, seen, labels, interval, smoothing):
    shares = reference.travel_times(labels, seen.cameras, seen.frames, interval, smoothing)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = np.empty((len(unit), len(unit)))
    for i, (one, at) in enumerate(zip(seen.cameras, seen.frames, strict=True)):
        for j, (other, then) in enumerate(zip(seen.cameras, seen.frames, strict=True)):
            pair = (one, other) if (at, one) >= (then, other) else (other, one)
            curve, place = shares.get(pair, []), abs(int(at) - int(then)) // interval
            found[i, j] = reference.joint_distance(unit[i] @ unit[j], curve[place] if place < len(curve) else 0)
    return found


def groups(size, seed):
    return np.random.default_rng(seed).integers(-1, 12, size)


@pytest.mark.parametrize(("interval", "smoothing"), [(100, 3.0), (37, 0), (5000, 1.0), (10, 50.0)])
def test_travel_times_are_counted_as_described(interval, smoothing):
    seen, labels = sightings(120, 3), groups(120, 4)
    labels[:4], seen.frames[:4], seen.cameras[:4] = 12, 77, [5, 2, 9, 2]  # a cluster of equal frames
    times = travel_times(labels, seen, interval=interval, smoothing=smoothing)
    known = reference.travel_times(labels, seen.cameras, seen.frames, interval, smoothing)
    assert times.cameras.tolist() == [2, 5, 9]
    for a, one in enumerate(times.cameras):
        for b, other in enumerate(times.cameras):
            np.testing.assert_allclose(times.shares[a, b], known[one, other], atol=1e-6)
    sums = times.shares.sum(2)
    assert ((np.abs(sums - 1) < 1e-5) | (sums == 0)).all()


def test_two_people_by_hand():
    # One is seen by camera 0 at 0 and 100 and by camera 1 at 1,000; the other by camera 1 first.
    seen = Sightings(np.array([0, 0, 1, 0, 1]), np.array([0, 100, 1000, 500, 300]))
    times = travel_times(np.array([0, 0, 0, 1, 1]), seen, smoothing=0)
    assert times.shares.shape == (2, 2, 11)
    assert times.shares[1, 0].nonzero()[0].tolist() == [9]  # 1,000 - 50
    assert times.shares[0, 1].nonzero()[0].tolist() == [2]
    np.testing.assert_allclose(times.shares[0, 0][[0, 1]], [3 / 5, 2 / 5])  # twice each of two, once one alone
    p = times.between(Sightings(np.array([1, 0]), np.array([950, 0])), Sightings(np.array([0]), np.array([40])))
    assert p.tolist() == [[1.0], [pytest.approx(3 / 5)]]


@pytest.mark.parametrize("variant", ["ice", "abmt"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_joint_graph_is_the_dense_definition(variant, seed):
    vectors = people(seed, size=90) * np.float32(3)  # directions alone are compared
    seen, labels = sightings(90, seed), groups(90, seed)
    seen.frames[:9] = 500  # equal frames by different cameras
    times = travel_times(labels, seen, smoothing=2)
    base = joint_base(vectors, seen, times, 16)
    distances = naive_distances(vectors, seen, labels, 100, 2)
    rows, columns = (index.ravel() for index in np.indices(distances.shape))
    measured = base.of_pairs(torch.from_numpy(rows), torch.from_numpy(columns)).numpy().reshape(distances.shape)
    np.testing.assert_allclose(measured, distances, atol=1e-6)
    np.testing.assert_array_equal(measured, measured.T)
    np.testing.assert_allclose(base.farthest, distances.max(1), atol=1e-6)
    for i, ids in enumerate(base.ids):
        assert ids[0] == i
        best = np.sort(np.delete(distances[i], i))[:15]
        np.testing.assert_allclose(distances[i, ids[1:]], best, atol=1e-6)

    graph = jaccard_graph(vectors, k1=15, k2=4, variant=variant, base=base)
    width = 15 if variant == "ice" else 16
    known = reference.jaccard(vectors, 15, 4, variant, base.ids[:, :width], distances)
    np.testing.assert_allclose(dense(graph), known, atol=1e-6)
    assert np.abs(dense(graph) - dense(jaccard_graph(vectors, k1=15, k2=4, variant=variant))).max() > 0.1

    first, second = map(torch.from_numpy, entries(graph))
    final = blend(graph, base.of_pairs(first, second).numpy(), 0.5)
    full = (0.5 * dense(graph) + 0.5 * measured).astype(np.float32)
    eps = rho_eps(final, 0.005, beyond=0.5)
    assert eps == pytest.approx(reference.rho_eps(full.astype(float), 0.005), abs=1e-6)
    found = DBSCAN(eps=eps, min_samples=2, metric="precomputed").fit_predict(full)
    np.testing.assert_array_equal(dbscan(final, eps, 2), found)
    assert found.max() > 0


def test_blocks_and_the_tensor_path_change_nothing(monkeypatch):
    vectors, seen = people(4, size=80), sightings(80, 8)
    times = travel_times(groups(80, 1), seen, smoothing=2)
    whole = joint_base(vectors, seen, times, 10)
    graph = jaccard_graph(vectors, k1=10, base=whole)
    monkeypatch.setattr(tensors, "ENTRIES", 700)
    blocks = joint_base(vectors, seen, times, 10)
    np.testing.assert_array_equal(blocks.ids, whole.ids)
    monkeypatch.setattr(tensors, "used_for", lambda device: True)
    monkeypatch.setattr(tensor_jaccard, "PAIRS", 999)
    np.testing.assert_allclose(dense(jaccard_graph(vectors, k1=10, base=blocks)), dense(graph), atol=1e-6)


def test_cameras_and_times_that_were_never_counted_are_unlikely():
    seen = Sightings(np.array([0, 1, 0]), np.array([0, 500, 100]))
    times = travel_times(np.array([0, 0, 0]), seen, smoothing=0)
    asked = Sightings(np.array([7, 0, 1]), np.array([100, 10**9, 500]))
    p = times.between(asked, seen)
    assert (p[:2] == 0).all()
    assert p[2].tolist() == [0, 1, 1]  # another bin; the same image; 450 frames apart in the mean and 400 here


def test_bad_input_is_told():
    seen = sightings(20, 0)
    with pytest.raises(DataError, match="needs the camera and the frame number"):
        Sightings(np.array([0, -1]), np.array([0, 1]))
    with pytest.raises(DataError, match="one length"):
        Sightings(np.array([0]), np.array([0, 1]))
    with pytest.raises(DataError, match="no image is in a cluster"):
        travel_times(np.full(20, -1), seen)
    with pytest.raises(DataError, match="labels must have shape"):
        travel_times(np.zeros(3, int), seen)
    with pytest.raises(ConfigError, match="interval must be 1 or more"):
        travel_times(np.zeros(20, int), seen, interval=0)
    times = travel_times(np.zeros(20, int), seen)
    vectors = people(1, size=20)
    for k, count in ((0, 20), (21, 20)):
        with pytest.raises(DataError, match="needs at least"):
            joint_base(vectors[:count], seen, times, k)
    with pytest.raises(DataError, match="are of 20 images, the vectors of 5"):
        joint_base(vectors[:5], seen, times, 3)
    base = joint_base(vectors, seen, times, 5)
    with pytest.raises(DataError, match="neighbors must have shape"):
        jaccard_graph(vectors, k1=8, base=base)
