"""What ICE learns from: clusters, the true people, and cameras."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import tiny
from resight.data.crops import Crops
from resight.data.transforms import to_float
from resight.errors import ConfigError
from resight.methods.labeling import Labeling
from resight.numerics.clustering import ClusterSettings
from resight.records import ImageTable
from stepping import steps


def test_labels_are_kept_of_images_whose_names_are_no_text() -> None:
    tables = [ImageTable(np.array([name, "b.jpg"])) for name in ("a\udcff.jpg", "a.jpg")]
    kept = [Labeling(table, ClusterSettings()).state_dict() for table in tables]
    Labeling(tables[0], ClusterSettings()).load_state_dict(kept[0])
    with pytest.raises(ValueError, match="labels of 2 images, found 2 or other ones"):
        Labeling(tables[0], ClusterSettings()).load_state_dict(kept[1])


def test_camera_agnostic_training_is_the_same_whatever_is_said_of_cameras(images: Crops) -> None:
    plain = steps(tiny.ice(images, camera_aware=False))
    changes = {"negatives": "shared-camera", "center_cameras": True}
    balanced = dataclasses.replace(tiny.SETTINGS.cluster, k1=tiny.SETTINGS.cluster.k1 - 6, k_cross_camera=6)
    assert steps(tiny.ice(images, camera_aware=False, cluster=balanced, **changes)) == plain, "one list as long as both"
    assert steps(tiny.ice(images, cluster=balanced)) != steps(tiny.ice(images))


def test_camera_agnostic_training_uses_cameras_to_draw_batches_and_for_nothing_else(images: Crops) -> None:
    cameras = np.random.default_rng(1).permutation(images.table.camera_ids)
    seen = [images, tiny.with_columns(images, camera_ids=cameras)]
    plain, moved = (tiny.ice(crops, camera_aware=False) for crops in seen)
    batches = [next(iter(method.begin_epoch(0))) for method in (plain, moved)]
    labels = plain.labeling.current.labels
    np.testing.assert_array_equal(labels, moved.labeling.current.labels)
    assert torch.equal(plain.memory.centers, moved.memory.centers)
    np.testing.assert_array_equal(labels[batches[0]], labels[batches[1]])
    assert (batches[0] != batches[1]).any()
    for batch, crops in zip(batches, seen, strict=True):
        for rows in batch.reshape(-1, 4):
            known = np.unique(crops.table.camera_ids[labels == labels[rows[0]]])
            assert len(np.unique(crops.table.camera_ids[rows])) == min(4, len(known)), "as many cameras as possible"
    assert plain.step(batches[0]) == moved.step(batches[0]), "the same batch teaches the same"


def test_camera_aware_training_learns_from_cameras(images: Crops) -> None:
    cameras = np.random.default_rng(1).permutation(images.table.camera_ids)
    plain, moved = (tiny.ice(crops) for crops in (images, tiny.with_columns(images, camera_ids=cameras)))
    batch, _ = (next(iter(method.begin_epoch(0))) for method in (plain, moved))
    losses, other = plain.step(batch), moved.step(batch)
    assert {name for name, value in losses.items() if value != other[name]} == {"loss/cross"}


def test_supervised_training_takes_the_true_people(images: Crops) -> None:
    method = tiny.ice(images, supervised=True)
    assert len(steps(method)) == 2
    np.testing.assert_array_equal(
        method.labeling.current.labels, np.unique(images.table.person_ids, return_inverse=True)[1]
    )
    values = method.end_epoch()
    assert values["clusters"] == 8
    assert all(isinstance(value, float) for value in values.values())


def test_supervised_training_needs_every_person(images: Crops) -> None:
    people = images.table.person_ids.copy()
    people[3] = -1
    with pytest.raises(ConfigError, match="person of every image"):
        tiny.ice(tiny.with_columns(images, person_ids=people), supervised=True)


def test_unknown_cameras_are_refused_by_camera_aware_and_taken_by_camera_agnostic_training(images: Crops) -> None:
    cameras = images.table.camera_ids.copy()
    cameras[::5] = -1
    for column in (cameras, np.full(len(images), -1)):
        unknown = tiny.with_columns(images, camera_ids=column)
        with pytest.raises(ConfigError, match="camera of every image"):
            tiny.ice(unknown)
        for losses in steps(tiny.ice(unknown, camera_aware=False)):
            assert set(losses) == {"loss/agnostic", "loss/hard", "loss/soft"}
            assert np.isfinite(list(losses.values())).all()


def test_true_people_only_enter_the_diagnostics(images: Crops) -> None:
    unlabeled = tiny.with_columns(images, person_ids=np.full(len(images), -1))
    methods = [tiny.ice(images), tiny.ice(unlabeled)]
    assert steps(methods[0], 0, 1) == steps(methods[1], 0, 1)
    known, unknown = (method.end_epoch() for method in methods)
    assert "ari" in known
    assert "ari" not in unknown
    assert known["clusters"] == unknown["clusters"]


@pytest.mark.parametrize("feature", ["neck", "pooled"])
def test_what_is_clustered_is_what_was_asked_for(images: Crops, feature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxies are of the vectors after the neck either way."""
    method = tiny.ice(images, cluster_feature=feature)
    with torch.no_grad():
        method.momentum.eval()
        pooled = method.momentum.pool(to_float(images.pixels(slice(None))))
        after = torch.nn.functional.normalize(method.momentum.neck(pooled)).numpy()
        before = torch.nn.functional.normalize(pooled).numpy()
    seen = []
    update = method.labeling.update
    monkeypatch.setattr(
        method.labeling, "update", lambda vectors, devices: seen.append(vectors) or update(vectors, devices)
    )
    method.begin_epoch(0)
    np.testing.assert_allclose(seen[0], after if feature == "neck" else before, atol=1e-5)
    labels = method.labeling.current.labels
    means = [after[labels == cluster].mean(0) for cluster in range(labels.max() + 1)]
    np.testing.assert_allclose(method.memory.centers.numpy(), means, atol=1e-5)


def test_whitened_features_only_enter_the_clustering(images: Crops) -> None:
    plain, whitened = (tiny.ice(images, cluster_feature="pooled", whiten=power) for power in (0.0, 0.5))
    for method in (plain, whitened):
        method.begin_epoch(0)
    assert not np.array_equal(plain.labeling.current.labels, whitened.labeling.current.labels)
    assert whitened.memory.centers.shape[1] == whitened.encoder.dim
    vectors = np.random.default_rng(0).normal(size=(len(images), 8)).astype(np.float32)
    assert (whitened.labeling.update(np.ones_like(vectors), whitened.devices).labels == 0).all(), "all alike"


def test_fewer_clusters_than_a_batch_asks_for(images: Crops) -> None:
    """Two people, two images each: a batch of 4, less than the chunks of batch norm were made for."""
    two = images[np.isin(images.table.person_ids, [1, 2])]
    for losses in steps(tiny.ice(two, supervised=True, images=2)):
        assert np.isfinite(list(losses.values())).all()


def test_images_without_a_table_of_cameras_at_all(images: Crops) -> None:
    bare = dataclasses.replace(images, table=ImageTable(images.table.paths))
    with pytest.raises(ConfigError, match="camera of every image"):
        tiny.ice(bare)
    assert len(steps(tiny.ice(bare, camera_aware=False))) == 2


@pytest.mark.parametrize("name", ["ice", "cluster_contrast", "spcl", "cap"])
def test_of_several_domains_each_is_clustered_alone_and_a_batch_is_of_one(images: Crops, name: str) -> None:
    """The same person in two domains becomes two clusters, which no batch compares."""
    domains = np.arange(len(images)) % 2
    method = tiny.build(
        name,
        tiny.with_columns(images, domain_ids=domains),
        iterations=8,
        cluster=ClusterSettings(k1=6, eps=0.7, min_samples=2),
    )
    batches = list(method.begin_epoch(0))
    labels = method.labeling.current.labels
    assert not np.intersect1d(labels[(domains == 0) & (labels >= 0)], labels[(domains == 1) & (labels >= 0)]).size
    assert {tuple(set(domains[batch].tolist())) for batch in batches} == {(0,), (1,)}
