import numpy as np
import pytest

from resight.errors import DataError
from resight.numerics.approximate import k_nearest_approximate
from resight.numerics.distances import normalize
from resight.numerics.neighbors import k_nearest


def crowds(seed, size=6000, count=300, width=32):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(count, width))
    return normalize(centers[rng.integers(0, count, size)] + 0.4 * rng.normal(size=(size, width)))


def share_found(found, exact):
    """The share of the true neighbors that is found, by a plain loop over sets, without each vector's own row."""
    pairs = [(set(a), set(b) - {own}) for own, (a, b) in enumerate(zip(found, exact, strict=True))]
    return np.mean([len(a & b) / len(b) for a, b in pairs])


def test_the_recall_that_is_said_is_reached(caplog):
    size = 6000
    vectors = crowds(1, size)
    with caplog.at_level("INFO", "resight"):
        found = k_nearest_approximate(vectors, 12, recall=0.9)
    assert f"{100 * found.recall:.1f} % of the neighbors" in caplog.text
    distances, ids = k_nearest(vectors, 12)
    reached = share_found(found.ids, ids)
    assert found.recall >= 0.9
    assert reached == pytest.approx(found.recall, abs=0.02)
    assert found.compared < 0.5  # it does not look everywhere
    np.testing.assert_array_equal(found.ids[:, 0], np.arange(size))
    assert (np.diff(found.distances, axis=1) >= 0).all()
    assert (found.distances >= distances).all()
    # Whatever is found is measured as exactly as the exact search measures it.
    rows = np.arange(0, size, 97)
    exact = ((vectors[rows, None].astype(np.float64) - vectors[found.ids[rows]]) ** 2).sum(2)
    np.testing.assert_allclose(found.distances[rows], exact, rtol=1e-6, atol=1e-12)


def test_a_vector_is_no_neighbor_of_its_own():
    """It is always found: with one neighbor beside it, half of what is found would be no merit."""
    vectors = normalize(np.random.default_rng(4).normal(size=(4000, 12)))  # in no crowds: neighbors in many lists
    found = k_nearest_approximate(vectors, 2, recall=0.8, sample=4000)
    assert found.compared < 0.5
    assert 0.8 <= found.recall < 0.9
    assert share_found(found.ids, k_nearest(vectors, 2)[1]) == pytest.approx(found.recall, abs=0.01)


def test_lists_that_are_all_searched_give_the_exact_neighbors():
    vectors = crowds(2, 1500)
    vectors[700:740] = vectors[3]  # more equals than are asked for
    vectors[800:1300] = vectors[5]  # and than there is room for
    found = k_nearest_approximate(vectors, 10, recall=1.0, sample=1500)
    distances, ids = k_nearest(vectors, 10)
    assert found.recall == 1
    np.testing.assert_array_equal(found.distances, distances)
    np.testing.assert_array_equal(found.ids, ids)


def test_the_same_seed_gives_the_same_neighbors():
    vectors = crowds(3, 3000)
    first, second = (k_nearest_approximate(vectors, 8) for _ in range(2))
    np.testing.assert_array_equal(first.ids, second.ids)
    assert first.recall == second.recall


@pytest.mark.parametrize("k", [1, 2, 40])
def test_lists_that_hold_too_few_are_made_up_by_an_exact_search(k):
    vectors = crowds(4, 40)
    found = k_nearest_approximate(vectors, k, recall=0.01)
    np.testing.assert_array_equal(np.sort(found.ids, axis=1)[:, 0] >= 0, True)
    for row, ids in enumerate(found.ids):
        assert ids[0] == row
        assert len(set(ids)) == k
    if k == 40:
        np.testing.assert_array_equal(found.ids, k_nearest(vectors, 40)[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [({"k": 0}, "k must"), ({"k": 41}, "k must"), ({"recall": 0.0}, "recall"), ({"recall": 1.1}, "recall"),
     ({"sample": 0}, "sample"), ({"vectors": np.ones((1, 4))}, "2 or more"),
     ({"vectors": np.full((9, 4), np.nan)}, "nan")],
)  # fmt: skip
def test_bad_input_is_told(change, message):
    with pytest.raises(DataError, match=message):
        k_nearest_approximate(**({"vectors": crowds(5, 40), "k": 3} | change))
