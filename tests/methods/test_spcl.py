"""SpCL beside its equations."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import reference
import tiny
from resight.data.crops import Crops
from resight.data.transforms import AugmentSettings, to_float
from resight.errors import ConfigError
from resight.methods.spcl import SpCLSettings
from resight.numerics.clustering import ClusterSettings, cluster_at
from resight.numerics.distances import normalize
from resight.numerics.reliability import reliable_labels
from resight.retrieval.extraction import pool_crops
from stepping import steps

FROZEN = {"encoder": tiny.without_neck(tiny.ENCODER), "augment": tiny.PLAIN}
"""With these, the features of an image depend on nothing but the image."""


def features_of(method: Any, images: Crops, rows: Any = slice(None)) -> np.ndarray:
    with torch.no_grad():
        return F.normalize(method.encoder(to_float(images.pixels(rows)))).double().numpy()


def mean_directions(vectors: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    means = [vectors[labels == label].mean(0) for label in range(labels.max() + 1)]
    return [mean / np.linalg.norm(mean) for mean in means]


@pytest.mark.parametrize("with_source", [False, True])
def test_the_losses_of_two_steps_are_the_equations(images: Crops, with_source: bool) -> None:
    """Classes are people of the source, clusters and images in none; the second step sees what the first one moved."""
    target, arguments = tiny.labeled_source(images)
    source = arguments["source"]
    method = tiny.build("spcl", target, **FROZEN, **(arguments if with_source else {}))
    batches = list(method.begin_epoch(0))
    drawn: list[np.ndarray] = []
    stream = method._source_batches
    method._source_batches = (drawn.append(batch) or batch for batch in stream)

    people = np.unique(source.table.person_ids, return_inverse=True)[1] if with_source else np.empty(0, np.int64)
    people_vectors = mean_directions(features_of(method, source), people) if with_source else []
    labels = method.labeling.current.labels
    assert (labels == -1).any()
    assert labels.max() >= 1
    outliers = (labels == -1).cumsum() + labels.max()
    classes = [*range(len(people_vectors)), *(len(people_vectors) + np.where(labels < 0, outliers, labels))]
    entries = [*people_vectors, *features_of(method, target)]
    for batch in batches:
        own = [(len(people_vectors) + batch, features_of(method, target, batch))]
        if with_source:
            before = features_of(method, source)  # the step decides which of them it draws
        expected = [
            np.mean(reference.hybrid_contrast(own[0][1], [classes[e] for e in own[0][0]], entries, classes, 0.05))
        ]
        losses = method.step(batch)
        if with_source:
            rows = drawn[-1]
            assert len(rows) == len(batch)
            own.append((people[rows], before[rows]))
            contrast = reference.hybrid_contrast(before[rows], people[rows], entries, classes, 0.05)
            expected.append(np.mean(contrast))
        assert [float(loss) for loss in losses.values()] == pytest.approx(expected, rel=1e-4)
        assert list(losses) == ["loss/target", "loss/source"][: len(expected)]
        for numbers, features in own:
            for entry in np.unique(numbers):
                entries[entry] = reference.updated_center(entries[entry], features[numbers == entry], 0.2, "mean")
        np.testing.assert_allclose(method.memory.vectors.numpy(), entries, atol=1e-5)


def test_only_reliable_clusters_count_and_the_threshold_is_that_of_the_first_epoch(images: Crops) -> None:
    cluster = ClusterSettings(k1=12, eps=0.4)
    method = tiny.build("spcl", images, cluster=cluster, reliability_gap=0.1, reliable_share=1.0, learning_rate=0.03)
    thresholds, measured = [], []
    for epoch in range(3):
        batches = method.begin_epoch(epoch)
        vectors = method.memory.image_vectors.numpy()
        known = thresholds[0] if thresholds else None
        (labels, loose, tight), eps, _ = cluster_at(vectors, cluster, (0, 0.1, -0.1))
        expected, threshold = reliable_labels(labels, loose, tight, share=1.0, least_independence=known)
        found = method.labeling.current
        np.testing.assert_array_equal(found.labels, expected)
        measured.append(reliable_labels(labels, loose, tight, share=1.0)[1])
        thresholds.append(found.quality["least_independence"])
        assert thresholds[-1] == threshold
        assert found.eps == eps == 0.4
        changed = (labels >= 0) & (expected < 0)
        assert found.quality["unreliable_share"] == changed.mean()
        if not epoch:
            assert changed.any()
        assert found.quality["clusters"] == expected.max() + 1
        for batch in batches:
            method.step(batch)
    assert set(thresholds) == set(measured[:1])
    assert len(set(measured)) > 1, "measured anew it would be another"


def test_what_is_clustered_is_the_memory_or_all_images_anew(images: Crops, monkeypatch: pytest.MonkeyPatch) -> None:
    for feature in ("memory", "neck", "pooled"):
        method = tiny.build("spcl", images, cluster_feature=feature, whiten=0.3, **FROZEN)
        assert method.labeling.whiten == 0.3
        clustered = []
        update = method.labeling.update
        monkeypatch.setattr(
            method.labeling,
            "update",
            lambda vectors, *rest, u=update, c=clustered: c.append(vectors.copy()) or u(vectors, *rest),
        )
        steps(method)
        memorized = method.memory.image_vectors.clone()
        method.begin_epoch(1)
        fresh = features_of(method, images)
        if feature == "memory":
            np.testing.assert_array_equal(clustered[1], memorized)
            assert np.abs(clustered[1] - fresh).max() > 1e-3
        else:
            pooled = normalize(pool_crops(method.encoder, images, devices=method.devices))
            np.testing.assert_allclose(clustered[1], pooled if feature == "pooled" else fresh, atol=1e-5)
            np.testing.assert_allclose(method.memory.image_vectors, fresh, atol=1e-5)


def test_each_domain_has_batch_statistics_of_its_own(images: Crops) -> None:
    """The neck's running mean is that of the target's images, which the source's do not move."""
    target, arguments = tiny.labeled_source(images)
    encoder = dataclasses.replace(tiny.ENCODER, batchnorm="frozen")
    for ghost_batches, count in ((1, 16), (2, 8)):
        changes = {"encoder": encoder, "augment": tiny.PLAIN, "ghost_batches": ghost_batches}
        method = tiny.build("spcl", target, **changes, **arguments)
        assert method.encoder.ghost_batches == 2 * ghost_batches
        batch = next(iter(method.begin_epoch(0)))
        with torch.no_grad():
            expected = method.encoder.pool(to_float(target.pixels(batch[:count]))).mean(0)
        method.step(batch)
        torch.testing.assert_close(method.encoder.neck.running_mean, 0.1 * expected, rtol=1e-4, atol=1e-6)


def test_people_of_the_source_stay_and_are_known(images: Crops) -> None:
    target, arguments = tiny.labeled_source(images)
    method = tiny.build("spcl", target, **arguments, cluster_feature="neck")
    steps(method)
    people = method.memory.person_vectors.clone()
    method.begin_epoch(1)
    assert torch.equal(method.memory.person_vectors, people)
    assert len(people) == len(np.unique(arguments["source"].table.person_ids))
    unknown = tiny.with_columns(images, person_ids=np.full(len(images), -1))
    with pytest.raises(ConfigError, match="SpCL learns from person ids"):
        tiny.build("spcl", target, source=unknown)


def test_the_defaults_are_the_released_codes_numbers() -> None:
    s = SpCLSettings()
    assert (s.epochs, s.iterations, s.identities, s.images, s.ghost_batches) == (50, 400, 16, 4, 4)
    assert (s.learning_rate, s.weight_decay, s.milestones, s.decay) == (3.5e-4, 5e-4, (20, 40), 0.1)
    assert (s.temperature, s.memory_momentum, s.cluster_feature) == (0.05, 0.2, "memory")
    assert (s.reliability_gap, s.reliable_share) == (0.02, 0.9)
    assert (s.cluster.k1, s.cluster.k2, s.cluster.eps, s.cluster.min_samples) == (30, 6, 0.6, 4)
    assert s.augment == AugmentSettings(blur=0, erase=0.5)
    assert s.encoder.backbone == "resnet50"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0.0}, "temperature"),
        ({"memory_momentum": 1.5}, "memory_momentum"),
        ({"reliable_share": -0.1}, "reliable_share"),
        ({"reliability_gap": -0.1}, "reliability_gap"),
        ({"reliability_gap": 0.4}, "reliability_gap"),
        ({"clip": -1.0}, "clip"),
        ({"whiten": 2.0}, "whiten"),
        ({"decay": 2.0}, "decay"),
        ({"iterations": 0}, "iterations"),
        ({"cluster": ClusterSettings(method="kmeans")}, "leave cluster.method"),
        ({"cluster": ClusterSettings(source_weight=0.1)}, "cluster.source_weight"),
        ({"encoder": tiny.frozen(tiny.ENCODER)}, "cluster_feature neck"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SpCLSettings(**changes)


def test_a_clipped_gradient_is_as_long_as_allowed(tiny_market: Path) -> None:
    method = tiny.build("spcl", tiny.crops(tiny_market), clip=0.01)
    method.step(next(iter(method.begin_epoch(0))))
    gradients = [p.grad.norm() for p in method.encoder.parameters() if p.grad is not None]
    assert float(torch.stack(gradients).norm()) == pytest.approx(0.01, rel=1e-3)
