"""How sure clusters are, beside what the words say."""

from __future__ import annotations

import numpy as np
import pytest

from resight.errors import DataError
from resight.numerics import margins as module
from resight.numerics.margins import margins, means_by_cluster


def test_margins_are_what_the_words_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 7)  # several blocks, the last one short
    rng = np.random.default_rng(0)
    labels = np.concatenate([np.arange(10), rng.integers(-1, 10, 40)])
    vectors = rng.normal(size=(50, 5)) + np.eye(10)[labels][:, :5]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    means = np.stack([vectors[labels == number].mean(0) for number in range(10)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    found = margins(vectors, labels)
    for row, label in enumerate(labels):
        if label < 0:
            assert np.isnan(found[row])
            continue
        others = [number for number in range(10) if number != label]
        nearest = max(others, key=lambda number: means[number] @ means[label])
        assert found[row] == pytest.approx(unit[row] @ means[label] - unit[row] @ means[nearest], abs=1e-5)


def test_one_cluster_and_none() -> None:
    vectors = np.array([[1, 0], [0, 1], [0, -1]])
    assert margins(vectors, [0, 0, -1])[:2] == pytest.approx(np.full(2, 0.5**0.5))
    assert np.isnan(margins(vectors, [-1, -1, -1])).all()
    assert means_by_cluster([1.0, 3.0, np.nan], [0, 0, -1]).tolist() == [2.0]
    assert len(means_by_cluster([np.nan], [-1])) == 0


def test_labels_must_be_whole_and_one_for_each_row() -> None:
    with pytest.raises(DataError, match=r"labels must be whole numbers, found 0\.5"):
        margins(np.eye(3), [0, 0.5, 1])
    with pytest.raises(DataError, match=r"labels must have shape \(3,\)"):
        means_by_cluster([1.0, 2.0, 3.0], [0, 1])
