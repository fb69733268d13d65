"""Cluster Contrast beside its equations."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import reference
import tiny
from resight.data.transforms import to_float
from resight.errors import ConfigError
from resight.methods.cluster_contrast import ClusterContrastSettings
from resight.methods.labeling import pool_and_embed
from resight.numerics.distances import normalize


@pytest.mark.parametrize("by", ["each", "mean", "hard"])
def test_the_losses_of_two_steps_are_the_equations(tiny_market: Path, by: Literal["each", "mean", "hard"]) -> None:
    """The centers of the second step are those that the first one moved."""
    images = tiny.crops(tiny_market)
    method = tiny.build("cluster_contrast", images, augment=tiny.PLAIN, memory_momentum=0.7, memory_update=by)
    batches = list(method.begin_epoch(0))
    labels = method.labeling.current.labels
    with torch.no_grad():
        vectors = method.encoder.eval().embed(to_float(images.pixels(slice(None)))).numpy()
    method.encoder.train()
    means = [vectors[labels == label].mean(0) for label in range(labels.max() + 1)]
    centers = [mean / np.linalg.norm(mean) for mean in means]
    for batch in batches:
        with torch.no_grad():
            features = F.normalize(method.encoder(to_float(images.pixels(batch)))).double().numpy()
        expected = np.mean(reference.proxy_contrast(features, labels[batch], centers, 0.05))
        assert float(method.step(batch)["loss/cluster"]) == pytest.approx(expected, rel=1e-4)
        for label in np.unique(labels[batch]):
            members = features[labels[batch] == label]
            centers[label] = reference.updated_center(centers[label], members, 0.7, by)
        np.testing.assert_allclose(method.memory.centers.numpy(), centers, atol=1e-5)


def test_the_defaults_are_the_papers_numbers() -> None:
    s = ClusterContrastSettings()
    assert (s.epochs, s.iterations, s.identities, s.images) == (50, 200, 16, 16)
    assert (s.learning_rate, s.weight_decay, s.milestones, s.decay) == (3.5e-4, 5e-4, (20, 40), 0.1)
    assert (s.temperature, s.memory_momentum, s.memory_update) == (0.05, 0.1, "each")
    assert (s.augment.blur, s.augment.erase) == (0.0, 0.5)


@pytest.mark.parametrize(
    "changes", [{"temperature": 0.0}, {"memory_momentum": 1.5}, {"decay": -1.0}, {"identities": 1}]
)
def test_settings_out_of_range_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        ClusterContrastSettings(**changes)


@pytest.mark.parametrize("feature", ["pooled", "neck"])
def test_settings_reach_what_they_set(tiny_market: Path, monkeypatch: pytest.MonkeyPatch, feature: str) -> None:
    images = tiny.crops(tiny_market)
    changes = {"milestones": (1,), "decay": 0.5, "whiten": 0.3, "clip": 0.01, "ghost_batches": 2}
    method = tiny.build("cluster_contrast", images, cluster_feature=feature, **changes)
    assert method.encoder.ghost_batches == 2
    assert method.labeling.whiten == 0.3
    next(buffer for name, buffer in method.encoder.named_buffers() if name.endswith("neck.running_mean")).add_(0.1)
    clustered = []
    update = method.labeling.update
    monkeypatch.setattr(
        method.labeling, "update", lambda vectors, *rest: clustered.append(vectors) or update(vectors, *rest)
    )
    batch = next(iter(method.begin_epoch(0)))
    pooled, embeddings = pool_and_embed(method.encoder, images, devices=method.devices)
    assert np.abs(normalize(pooled) - embeddings).max() > 1e-3
    np.testing.assert_allclose(clustered[0], normalize(pooled) if feature == "pooled" else embeddings, atol=1e-6)
    method.encoder.train()
    method.step(batch)
    gradients = [parameter.grad.norm() for parameter in method.encoder.parameters() if parameter.grad is not None]
    assert float(torch.stack(gradients).norm()) == pytest.approx(0.01, rel=1e-3)
    rates = [method.end_epoch()["learning_rate"]]
    method.begin_epoch(1)
    rates.append(method.end_epoch()["learning_rate"])
    assert rates[1] == pytest.approx(0.5 * rates[0])
