"""Cluster Contrast beside its equations."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import reference
import tiny
from resight.data.transforms import to_float


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
