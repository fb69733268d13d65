"""Agreement of clusters with people, beside naive loops and scikit-learn's pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.cluster import pair_confusion_matrix

from resight.numerics.cluster_quality import Agreement, agreement

IMAGES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=24)


def naive(labels: list[int], people: list[int]) -> list[float]:
    precision, recall = [], []
    for label, person in zip(labels, people, strict=True):
        both = sum(pair == (label, person) for pair in zip(labels, people, strict=True))
        precision.append(both / labels.count(label))
        recall.append(both / people.count(person))
    return [float(np.mean(precision)), float(np.mean(recall))]


@given(IMAGES)
def test_it_is_what_loops_and_scikit_learn_find(images: list[tuple[int, int]]) -> None:
    labels, people = map(list, zip(*images, strict=True))
    found = agreement(labels, people)
    assert [found.bcubed_precision, found.bcubed_recall] == pytest.approx(naive(labels, people))
    (_, wrong), (missed, right) = pair_confusion_matrix(people, labels)
    assert found.pairwise_precision == pytest.approx(right / (right + wrong) if right + wrong else 0)
    assert found.pairwise_recall == pytest.approx(right / (right + missed) if right + missed else 0)


@given(IMAGES)
def test_clusters_and_people_exchange_precision_and_recall(images: list[tuple[int, int]]) -> None:
    labels, people = map(list, zip(*images, strict=True))
    there, back = agreement(labels, people), agreement(people, labels)
    assert tuple(there) == pytest.approx((back[1], back[0], back[3], back[2]))
    assert agreement(people, people).bcubed_f == 1


def test_nothing_agrees_with_nothing() -> None:
    assert agreement([], []) == Agreement(0, 0, 0, 0)
    assert agreement([], []).pairwise_f == 0
    assert agreement([0, 1], [3, 3]).pairwise_f == 0
