"""Scores from a GPU are those of the kernels."""

import numpy as np
import pytest
import torch
from gpu_twins import devices

from resight.numerics import gpu as tensors
from resight.numerics.distances import normalize, sum_of_part_distances
from resight.records import Features, ImageTable
from resight.retrieval.evaluation import evaluate


def sides(seed, width=16, count=(40, 200)):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(12, width))
    found = []
    for size in count:
        owners, cameras = rng.integers(0, 12, size), rng.integers(0, 3, size)
        vectors = normalize(centers[owners] + 1.2 * rng.normal(size=(size, width)))
        found.append(Features(ImageTable(np.arange(size).astype(str), owners - 1, cameras), vectors, "e"))
    return found


def assert_same_report(found, expected):
    assert found.scores == pytest.approx(expected.scores, abs=1e-6)
    np.testing.assert_array_equal(found.per_query["first_rank"], expected.per_query["first_rank"])


@devices
@pytest.mark.parametrize("re_ranking", [False, True])
def test_scores_are_those_of_the_kernels(on_device, re_ranking, monkeypatch):
    both = sides(1)
    monkeypatch.setattr("resight.retrieval.evaluation.BLOCK", 17)
    ranked = []
    found = tensors.positive_ranks
    monkeypatch.setattr(
        tensors, "positive_ranks", lambda *given, **more: ranked.append(given[0].shape) or found(*given, **more)
    )
    expected = evaluate(*both, distractor_id=0, rerank=re_ranking)
    assert not ranked
    assert_same_report(on_device(evaluate, *both, distractor_id=0, rerank=re_ranking), expected)
    assert ranked == ([] if re_ranking else [(17, 200), (17, 200), (6, 200)])
    assert 0.2 < expected.scores["mAP"] < 0.9


@devices
@pytest.mark.usefixtures("on_device")
def test_another_distance_stays_on_the_cpu(device):
    both = sides(2, width=15)
    expected = evaluate(*both, distance_fn=sum_of_part_distances)
    found = evaluate(*both, distance_fn=sum_of_part_distances, device=torch.device(device))
    assert_same_report(found, expected)
    assert expected.scores["mAP"] != evaluate(*both).scores["mAP"]
