"""An epoch of ABMT and the mean teachers: clusters, classifiers, optimizers, and a source."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from abmt_networks import NETWORKS, moved

import tiny
from resight.compute.devices import Devices
from resight.data.crops import Crops
from resight.data.transforms import to_float
from resight.errors import ConfigError
from resight.methods.abmt import ABMT
from resight.methods.labeling import Labeling
from resight.models.encoder import EncoderSettings
from resight.numerics import clustering
from resight.numerics.cluster_quality import GIANT
from resight.numerics.clustering import ClusterSettings
from resight.numerics.distances import normalize
from resight.records import Floats, ImageTable
from stepping import steps


def test_a_neck_of_the_data_sets_statistics_is_the_students_too(images: Crops) -> None:
    encoder = dataclasses.replace(tiny.ABMT_SETTINGS.encoder, batchnorm="frozen", neck_statistics="dataset")
    method = tiny.abmt(images, encoder=encoder, ghost_batches=1)
    fresh = {name: buffer.clone() for name, buffer in method.students[0].encoder.neck.named_buffers()}
    method.begin_epoch(0)
    for name, buffer in method.teachers[0].encoder.neck.named_buffers():
        student = dict(method.students[0].encoder.neck.named_buffers())[name]
        torch.testing.assert_close(student, buffer, rtol=0, atol=0)
        assert "tracked" in name or not torch.equal(student, fresh[name]), name


@pytest.mark.parametrize("name", ["abmt", "mmt"])
def test_classifiers_begin_as_the_centers_of_the_clusters(images: Crops, name: str) -> None:
    """Thesis §4.3.3: the normalized mean of each branch's part of the jointly normalized vectors."""
    method = tiny.abmt(images, **NETWORKS[name])
    if name == "mmt":
        moved(method)
    each = []
    for teacher in method.teachers:
        teacher.encoder.eval()
        with torch.no_grad():
            each.append(teacher.encoder.embed(to_float(images.pixels(slice(None)))))
    vectors = torch.stack(each).mean(0)
    if name == "mmt":  # of two teachers the mean, with unit length again
        vectors = vectors / vectors.norm(dim=1, keepdim=True)
    method.begin_epoch(0)
    labels = torch.from_numpy(method.labeling.current.labels.copy())
    for network in (*method.students, *method.teachers):
        assert len(network.classifiers) == network.encoder.num_global
        for branch, classifier in enumerate(network.classifiers):
            part = vectors[:, branch * 32 : (branch + 1) * 32]
            for label in range(method.labeling.current.num_clusters):
                mean = part[labels == label].mean(0)
                torch.testing.assert_close(classifier.weight[label].detach(), mean / mean.norm(), rtol=1e-3, atol=1e-4)
            assert classifier.bias is None


def test_kmeans_sees_the_mean_of_two_teachers_as_it_is(images: Crops, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = {}
    for kind in ("dbscan", "kmeans"):
        method = tiny.abmt(images, **{**tiny.MMT, "cluster": ClusterSettings(method=kind, num_clusters=8, k1=12)})
        moved(method)
        seen: list[np.ndarray] = []
        whole = method.labeling.update
        monkeypatch.setattr(
            method.labeling, "update", lambda v, d, whole=whole, seen=seen, **k: seen.append(v) or whole(v, d, **k)
        )
        method.begin_epoch(0)
        lengths[kind] = np.linalg.norm(seen[0], axis=1)
    np.testing.assert_allclose(lengths["dbscan"], 1, rtol=1e-5)
    assert (lengths["kmeans"] < 0.999).all()
    assert method.labeling.current.num_clusters == 8


def test_adam_is_made_anew_each_epoch_or_keeps_its_moments(images: Crops) -> None:
    for fresh in (True, False):
        method = tiny.abmt(images, reset_optimizer=fresh)
        steps(method)
        assert len(method.optimizer.state) > 0
        before = method.classifier_optimizer
        method.begin_epoch(1)
        assert (len(method.optimizer.state) == 0) == fresh
        assert method.classifier_optimizer is not before
        assert len(method.classifier_optimizer.state) == 0
        assert ("optimizer" in method.parts) == (not fresh)
        for optimizer in (method.optimizer, method.classifier_optimizer):
            group = optimizer.param_groups[0]
            assert (group["lr"], group["weight_decay"]) == (3.5e-4, 5e-4)


def test_the_first_epochs_eps_can_be_kept(images: Crops) -> None:
    for keep in (True, False):
        method = tiny.abmt(images, freeze_eps=keep)
        found = []
        for epoch in range(3):
            for batch in method.begin_epoch(epoch):
                method.step(batch)
            found.append(method.end_epoch()["eps"])
        assert (len(set(found)) == 1) == keep
        assert min(found) > 0


def test_an_eps_that_made_a_giant_cluster_is_not_kept() -> None:
    rng = np.random.default_rng(1)
    table = ImageTable(np.array([f"{i}.jpg" for i in range(96)]))
    settings = ClusterSettings(k1=10, k2=2, variant="abmt", pairs_per_image=15.0)
    labeling = Labeling(table, settings, freeze_eps=True)
    directions = normalize(rng.normal(size=(8, 16)))

    def seen(groups: int, noise: float) -> Floats:
        return normalize(directions[np.arange(96) % groups] + rng.normal(size=(96, 16), scale=noise)).astype(np.float32)

    views = [seen(2, 0.05), seen(8, 0.05), seen(8, 0.1), seen(2, 0.1), seen(8, 0.2)]
    found = [labeling.update(view, Devices()) for view in views]
    eps = [each.eps for each in found]
    assert [each.quality["largest_share"] > GIANT for each in found] == [True, False, False, True, False]
    assert eps[0] != eps[1]  # made a giant
    assert eps[1] == eps[2] == eps[3]  # did not
    assert eps[3] != eps[4]


def test_how_far_teachers_and_students_are_apart(images: Crops) -> None:
    method = tiny.abmt(images, num_eval_images=7)
    steps(method)
    chosen = images[np.array([0, 16, 32, 48, 63, 79, 95])]
    pooled, unit = [], []
    for network in (method.students[0], method.teachers[0]):
        network.encoder.eval()
        with torch.no_grad():
            pixels = to_float(chosen.pixels(slice(None)))
            pooled.append(network.encoder.pool(pixels))
            unit.append(network.encoder.embed(pixels))
    values = method.end_epoch()
    average, largest = pooled[1].double().split(32, 1)
    apart = np.mean([np.sqrt(((a - b) ** 2).sum()) for a, b in zip(average.numpy(), largest.numpy(), strict=True)])
    assert values["teacher_distance"] == pytest.approx(apart, rel=1e-3)
    gaps = [np.sqrt(((a - b) ** 2).sum()) for a, b in zip(*(u.double().numpy() for u in unit), strict=True)]
    assert values["student_teacher_distance"] == pytest.approx(np.mean(gaps), rel=1e-2, abs=1e-5)


def test_the_distances_of_an_epoch_are_those_of_the_networks_there_are(images: Crops) -> None:
    for name, changes in NETWORKS.items():
        method = tiny.abmt(images, **changes)
        steps(method)
        values = method.end_epoch()
        assert "student_teacher_distance" in values
        assert ("teacher_distance" in values) == (name != "mean_teacher")
    quiet = tiny.abmt(images, num_eval_images=0)
    steps(quiet)
    assert "student_teacher_distance" not in quiet.end_epoch()


def test_true_people_only_enter_the_diagnostics(images: Crops) -> None:
    unlabeled = tiny.with_columns(images, person_ids=np.full(len(images), -1))
    assert steps(tiny.abmt(images), 0, 1) == steps(tiny.abmt(unlabeled), 0, 1)


def test_images_of_a_source_are_passed_on_only_where_they_weigh(
    images: Crops, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = images[: len(images) // 2]
    for weight in (0.0, 0.1):
        cluster = dataclasses.replace(tiny.ABMT_SETTINGS.cluster, source_weight=weight)
        caplog.clear()
        method = tiny.abmt(images, source=other, cluster=cluster)
        assert ("are not used: set cluster.source_weight" in caplog.text) == (weight == 0)
        seen: list[Any] = []

        def update(vectors: Any, devices: Any, *, source: Any = None, method: Any = method, seen: Any = seen) -> Any:
            seen.append(source)
            labels = np.unique(images.table.person_ids, return_inverse=True)[1]
            method.labeling.current = dataclasses.replace(method.labeling.current, labels=labels)
            return method.labeling.current

        monkeypatch.setattr(method.labeling, "update", update)
        method.begin_epoch(0)
        if not weight:
            assert seen == [None]
            continue
        assert seen[0].shape == (len(other), 64)
        np.testing.assert_allclose(np.linalg.norm(seen[0], axis=1), 1, rtol=1e-5)
    with pytest.raises(ConfigError, match="give --source NAME=PATH"):
        tiny.abmt(images, cluster=cluster)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_source_reaches_the_clustering_as_the_teachers_see_it(
    images: Crops, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = images[: len(images) // 2]
    settings = dataclasses.replace(tiny.ABMT_SETTINGS.cluster, source_weight=0.1)
    method = tiny.abmt(images, source=other, **{**NETWORKS[name], "cluster": settings})
    moved(method)
    if name == "mmt":
        for parameter in method.teachers[1].parameters():
            parameter.data *= 1.1
    with torch.no_grad():
        each = [teacher.encoder.eval().embed(to_float(other.pixels(slice(None)))) for teacher in method.teachers]
    expected = F.normalize(torch.stack(each).mean(0)).numpy()
    seen: list[Any] = []

    def watched(vectors: Any, settings: ClusterSettings, **given: Any) -> Any:
        seen.append((settings, given["source"]))
        return clustering.cluster(vectors, settings, **given)

    monkeypatch.setattr("resight.methods.labeling.cluster", watched)
    method.begin_epoch(0)
    ((used, vectors),) = seen
    assert used == settings
    np.testing.assert_allclose(vectors, expected, rtol=1e-3, atol=1e-5)


def test_blocks_drawn_anew_are_measured_where_statistics_are_frozen(images: Crops) -> None:
    for policy in ("frozen", "train"):
        settings = EncoderSettings(weights="none", height=64, width=32, head="a+m1", batchnorm=policy)
        torch.manual_seed(0)
        method = ABMT(dataclasses.replace(tiny.ABMT_SETTINGS, encoder=settings), images, devices=Devices(tiny.DEVICE))
        for network in (method.students[0], method.teachers[0]):
            (block,) = network.encoder.backbone.added
            moments = torch.cat([block.bn3.running_mean, block.bn3.running_var - 1])
            assert bool((moments != 0).all()) == (policy == "frozen")
            assert bool((moments == 0).all()) == (policy == "train")
