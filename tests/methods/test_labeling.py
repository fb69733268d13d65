"""The labels of an epoch: centered by camera, compared with the epoch before, kept and restored."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

import tiny
from resight.compute.devices import Devices
from resight.data.crops import Crops
from resight.methods.labeling import Labeling, centered, pool_and_embed
from resight.numerics.clustering import ClusterSettings
from resight.records import ImageTable

SETTINGS = ClusterSettings(k1=8, k2=4, eps=0.6, min_samples=2)


def table(count: int, **columns: np.ndarray) -> ImageTable:
    return ImageTable(np.array([f"{row}.jpg" for row in range(count)]), **columns)


def people_in_rows(noise: float, seed: int = 0) -> np.ndarray:
    """Unit vectors of six people, ten rows each."""
    rng = np.random.default_rng(seed)
    people = np.repeat(np.random.default_rng(1).normal(size=(6, 16)), 10, axis=0)
    rows = people + noise * rng.normal(size=people.shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_centered_rows_are_those_of_each_camera_without_its_mean() -> None:
    rows, cameras = people_in_rows(0.5), np.tile([3, 3, 5, -1], 15)
    before = rows.copy()
    found = centered(rows, table(60, camera_ids=cameras))
    np.testing.assert_array_equal(rows, before)
    for row in range(60):
        shifted = rows[row].astype(float) - rows[cameras == cameras[row]].astype(float).mean(0)
        np.testing.assert_allclose(found[row], shifted / np.linalg.norm(shifted), atol=1e-5)


def test_cameras_that_shift_everything_are_forgotten_by_centering() -> None:
    cameras = np.tile([0, 1], 30)
    rows = people_in_rows(0.1) + 3 * np.eye(16, dtype=np.float32)[cameras]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    people = np.repeat(np.arange(6), 10)
    scores = [
        adjusted_rand_score(people, labels.update(rows, Devices()).labels)
        for labels in (
            Labeling(table(60, camera_ids=cameras), SETTINGS, center_cameras=center) for center in (False, True)
        )
    ]
    assert scores[1] > max(0.8, scores[0] + 0.2)


def test_stability_is_the_agreement_with_the_epoch_before() -> None:
    labeling = Labeling(table(60), SETTINGS)
    first = labeling.update(people_in_rows(0.1), Devices())
    assert "stability" not in labeling.diagnostics
    second = labeling.update(people_in_rows(0.55, seed=3), Devices())
    expected = adjusted_rand_score(first.labels, second.labels)
    assert 0 < expected < 1
    assert labeling.diagnostics["stability"] == pytest.approx(expected)
    assert labeling.update(people_in_rows(0.55, seed=3), Devices()).quality["stability"] == 1


def test_a_state_does_not_follow_what_comes_after_it() -> None:
    labeling = Labeling(table(60), SETTINGS)
    labels = labeling.update(people_in_rows(0.1), Devices()).labels
    state = labeling.state_dict()
    assert not np.shares_memory(state["labels"].numpy(), labels)
    labeling.update(people_in_rows(0.55, seed=3), Devices())
    restored = Labeling(table(60), SETTINGS)
    restored.load_state_dict(state)
    np.testing.assert_array_equal(restored.current.labels, labels)
    assert restored.state_dict()["eps"] == state["eps"]


def test_known_people_are_numbered_in_order_and_are_no_clusters() -> None:
    labeling = Labeling(table(4, person_ids=np.array([7, 3, 7, 90])), SETTINGS, supervised=True)
    assert labeling.update(np.eye(4, dtype=np.float32), Devices()).labels.tolist() == [1, 0, 1, 2]
    assert labeling.diagnostics == {"clusters": 3, "outlier_share": 0, "eps": 0}
    assert labeling.clusters is None


@pytest.mark.parametrize("policy", ["dataset", "batch"])
def test_a_neck_of_the_data_set_is_measured_before_it_embeds(images: Crops, policy: str) -> None:
    settings = dataclasses.replace(tiny.ENCODER, neck_statistics=policy)
    encoder, learner = tiny.encoder(settings), tiny.encoder(settings)
    pooled, embeddings = pool_and_embed(encoder, images, devices=Devices(tiny.DEVICE), learner=learner)
    features = torch.from_numpy(pooled).double()
    for network in (encoder, learner):
        mean, variance = (value for name, value in network.neck.named_buffers() if "running" in name)
        if policy == "dataset":
            torch.testing.assert_close(mean.double(), features.mean(0), atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(variance.double(), features.var(0), atol=1e-5, rtol=1e-4)
        else:
            assert (mean == 0).all()
            assert (variance == 1).all()
    with torch.no_grad():
        expected = torch.nn.functional.normalize(encoder.eval().neck(torch.from_numpy(pooled)))
    np.testing.assert_allclose(embeddings, expected.numpy(), atol=1e-6)
