"""ABMT and the mean teachers: a step compared with the equations, and what an epoch does."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import reference
import tiny
from resight.compute.devices import Devices
from resight.data.crops import Crops
from resight.data.transforms import AugmentSettings, to_float
from resight.errors import ConfigError
from resight.methods.abmt import ABMT
from resight.methods.labeling import Labeling
from resight.models.encoder import EncoderSettings
from resight.numerics import clustering
from resight.numerics.clustering import GIANT, ClusterSettings
from resight.numerics.distances import normalize
from resight.records import Floats, ImageTable
from stepping import steps

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "abmt.json"
PLAIN = AugmentSettings(flip=0, pad=0, blur=0, erase=0)
NETWORKS: dict[str, dict[str, Any]] = {"abmt": {}, "mean_teacher": tiny.MEAN_TEACHER, "mmt": tiny.MMT}
THREE = {"encoder": dataclasses.replace(tiny.ENCODER, head="a+m1+a2")}
FROZEN = {"encoder": dataclasses.replace(tiny.ENCODER, head="a+m1", batchnorm="frozen")}


@pytest.fixture(scope="module")
def images(tiny_market: Path) -> Crops:
    return tiny.crops(tiny_market)


def with_columns(images: Crops, **columns: Any) -> Crops:
    return dataclasses.replace(images, table=dataclasses.replace(images.table, **columns))


def moved(method: ABMT) -> None:
    """Take the teachers away from their students, each of their branches elsewhere."""
    generator = torch.Generator().manual_seed(0)
    for parameter in (p for teacher in method.teachers for p in teacher.parameters()):
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)


# -- what a step computes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["code", "thesis"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"cross_branch": False}, THREE, tiny.MEAN_TEACHER, tiny.MMT, {**tiny.MMT, "cross_branch": False}, FROZEN],
    ids=["abmt", "own-branch", "three", "mean-teacher", "mmt", "mmt-own", "frozen"],
)
def test_the_losses_of_a_step_are_the_equations(images: Crops, variant: str, changes: dict[str, Any]) -> None:
    method = tiny.abmt(images, variant, augment=PLAIN, **changes)
    s = method.settings
    batch = next(iter(method.begin_epoch(0)))
    moved(method)
    if len(method.students) == 2:
        for parameter in method.students[1].parameters():
            parameter.data *= 1.1
    seen, parts = to_float(images.pixels(batch)), s.ghost_batches
    with torch.no_grad():
        students, teachers = (
            [branch for network in networks for branch in tiny.described(copy.deepcopy(network), seen, parts)]
            for networks in (method.students, method.teachers)
        )
    found, labels = method.step(batch), method.labeling.current.labels[batch]

    count = len(students)
    assert count == {"a+m1": 2, "a+m1+a2": 3, "global": s.networks}[s.encoder.head]
    sums = dict.fromkeys(("classification", "soft_classification", "triplet", "soft_triplet"), 0.0)
    for i, (pooled, logits) in enumerate(students):
        # Around the ring: branch 1 teaches branch 2, 2 teaches 3, and the last the first.
        target_pooled, target_logits = teachers[(i - 1) % count if s.cross_branch else i]
        sums["classification"] += np.mean(reference.cross_entropy(logits, labels, s.label_smoothing))
        sums["soft_classification"] += np.mean(reference.soft_cross_entropy(logits, target_logits))
        sums["triplet"] += np.mean(reference.batch_hard_triplet(pooled, labels, None))
        sums["soft_triplet"] += np.mean(reference.soft_triplet(pooled, target_pooled, labels, s.soft_triplet))
    assert s.branch_reduction == ("mean" if variant == "code" and s.networks == 1 else "sum")
    share = count if s.branch_reduction == "mean" else 1
    for name, total in sums.items():
        weight = getattr(s, f"{name}_weight")
        if weight:
            assert float(found[f"loss/{name}"]) == pytest.approx(weight * total / share, rel=1e-4), name
        assert (f"loss/{name}" in found) == bool(weight)
    assert (s.label_smoothing, s.soft_triplet) == ((0.1, "two-class") if variant == "code" else (0, "positive-share"))


@pytest.mark.parametrize("changes", [{}, tiny.MEAN_TEACHER, tiny.MMT, FROZEN], ids=[*NETWORKS, "frozen"])
def test_the_gradients_of_a_step_are_those_of_equation_4_8(images: Crops, changes: dict[str, Any]) -> None:
    method = tiny.abmt(images, augment=PLAIN, **changes)
    s = method.settings
    batch = next(iter(method.begin_epoch(0)))
    moved(method)
    seen, labels = to_float(images.pixels(batch)), torch.from_numpy(method.labeling.current.labels[batch].copy())
    copies = copy.deepcopy(method.students)
    students = [branch for network in copies for branch in tiny.described(network, seen, s.ghost_batches)]
    with torch.no_grad():
        teachers = [
            branch
            for network in copy.deepcopy(method.teachers)
            for branch in tiny.described(network, seen, s.ghost_batches)
        ]
    total = torch.zeros(())
    same, rows = labels[:, None] == labels, torch.arange(len(labels))
    for i, (pooled, logits) in enumerate(students):
        target_pooled, target_logits = teachers[i - 1]
        gaps, target_gaps = ((x[:, None] - x).square().sum(2).clamp(min=1e-12).sqrt() for x in (pooled, target_pooled))
        pair = torch.stack([gaps.masked_fill(~same, -1).argmax(1), gaps.masked_fill(same, torch.inf).argmin(1)])
        student, teacher = gaps[rows, pair].T, target_gaps[rows, pair].T.softmax(1)
        total = total + s.classification_weight * F.cross_entropy(logits, labels, label_smoothing=s.label_smoothing)
        total = total + s.soft_classification_weight * F.cross_entropy(logits, target_logits.softmax(1))
        total = total + s.triplet_weight * F.softplus(student[:, 0] - student[:, 1]).mean()
        total = total + s.soft_triplet_weight * F.cross_entropy(student, teacher)
    (total / (len(students) if s.branch_reduction == "mean" else 1)).backward()
    method.step(batch)
    for network, other in zip(method.students, copies, strict=True):
        for (name, found), expected in zip(network.named_parameters(), other.parameters(), strict=True):
            if found.requires_grad:
                assert found.grad is not None, name
                scale = max(float(expected.grad.abs().max()), 1e-4)  # a shift before batch norm changes nothing
                torch.testing.assert_close(found.grad, expected.grad, rtol=2e-3, atol=2e-3 * scale, msg=name)


def test_the_images_of_a_cluster_are_of_other_cameras_than_its_first(images: Crops) -> None:
    method = tiny.abmt(images, iterations=20)
    labels, cameras = None, images.table.camera_ids
    for batch in method.begin_epoch(0):
        labels = method.labeling.current.labels
        for group in batch.reshape(-1, method.settings.images):
            others = cameras[labels == labels[group[0]]] != cameras[group[0]]
            assert (cameras[group[1:]] != cameras[group[0]]).all() or not others.any()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("climbs", [True, False])
def test_teachers_get_no_gradient_and_are_moving_averages(images: Crops, name: str, climbs: bool) -> None:
    method = tiny.abmt(images, momentum=0.9, ramp=climbs, **NETWORKS[name])
    momenta = [0, 1 / 2, 2 / 3, 3 / 4] if climbs else [0, 0.9, 0.9, 0.9]
    expected = [p.detach().clone() for teacher in method.teachers for p in teacher.encoder.parameters()]
    taken = 0
    for epoch in range(2):
        for batch in method.begin_epoch(epoch):
            classifiers = [c.weight.detach().clone() for t in method.teachers for c in t.classifiers]
            method.step(batch)
            now = [p for student in method.students for p in student.encoder.parameters()]
            expected = [
                momenta[taken] * e + (1 - momenta[taken]) * p.detach() for e, p in zip(expected, now, strict=True)
            ]
            learned = [c.weight.detach() for student in method.students for c in student.classifiers]
            followed = [c.weight for teacher in method.teachers for c in teacher.classifiers]
            for before, target, found in zip(classifiers, learned, followed, strict=True):
                torch.testing.assert_close(found, momenta[taken] * before + (1 - momenta[taken]) * target)
            taken += 1
    assert taken == 4, "the climb goes on in the second epoch"
    teachers = [p for teacher in method.teachers for p in teacher.encoder.parameters()]
    for found, value in zip(teachers, expected, strict=True):
        torch.testing.assert_close(found, value, rtol=1e-4, atol=1e-6)
    assert all(p.grad is None and not p.requires_grad for t in method.teachers for p in t.parameters())
    for student in method.students:
        assert all(p.grad is not None for p in student.parameters() if p.requires_grad)


def test_what_is_kept_is_the_first_teacher_without_its_classifiers(images: Crops) -> None:
    method = tiny.abmt(images, **tiny.MMT)
    assert method.encoder is method.teachers[0].encoder
    assert not any("classifier" in name for name in method.encoder.state_dict())


def test_teachers_run_in_training_mode_and_keep_their_own_statistics(images: Crops) -> None:
    """Facts 7: averages are of parameters only; the teacher's running statistics come from its own passes."""
    method = tiny.abmt(images)
    before = {n: b.clone() for n, b in method.encoder.named_buffers() if n.endswith("running_mean")}
    batches = method.begin_epoch(0)
    moved(method)
    method.step(next(iter(batches)))
    assert method.encoder.training
    student = dict(method.students[0].encoder.named_buffers())
    for name, buffer in method.encoder.named_buffers():
        if name in before:
            assert not torch.equal(buffer, before[name])
            assert not torch.equal(buffer, student[name])


@pytest.mark.parametrize("changes", [{"dropout": 0.5}, {"stochastic_augmentation": True}])
def test_what_the_teacher_sees_can_be_drawn_apart(images: Crops, changes: dict[str, Any]) -> None:
    seen: dict[str, list[torch.Tensor]] = {"student": [], "teacher": []}
    method = tiny.abmt(images, **changes)
    batch = next(iter(method.begin_epoch(0)))
    for name, network in (("student", method.students[0]), ("teacher", method.teachers[0])):
        network.register_forward_hook(lambda _, inputs, out, name=name: seen[name].extend([inputs[0], out[1]]))
    method.step(batch)
    same_images = torch.equal(seen["student"][0], seen["teacher"][0])
    assert same_images == ("dropout" in changes)
    if "dropout" in changes:  # of both
        for network in (method.students[0], method.teachers[0]):
            pixels = to_float(images.pixels(batch))
            first, second = (network(pixels)[1] for _ in range(2))
            assert not torch.allclose(first, second, rtol=1e-3)
    # Before the first step they have the same weights.
    assert not torch.allclose(seen["student"][1], seen["teacher"][1].float(), rtol=1e-3)
    plain = tiny.abmt(images)
    seen["student"].clear(), seen["teacher"].clear()
    batch = next(iter(plain.begin_epoch(0)))
    for name, network in (("student", plain.students[0]), ("teacher", plain.teachers[0])):
        network.register_forward_hook(lambda _, inputs, out, name=name: seen[name].extend([inputs[0], out[1]]))
    plain.step(batch)
    assert torch.equal(seen["student"][0], seen["teacher"][0])
    torch.testing.assert_close(seen["student"][1], seen["teacher"][1])


def test_two_networks_see_images_augmented_apart_and_so_come_apart(images: Crops) -> None:
    method = tiny.abmt(images, **tiny.MMT)
    seen: list[torch.Tensor] = []
    batches = method.begin_epoch(0)
    for network in (*method.students, *method.teachers):
        network.register_forward_hook(lambda _, inputs, out: seen.append(inputs[0]))
    method.step(next(iter(batches)))
    first, second, first_teacher, second_teacher = seen
    assert torch.equal(first, first_teacher)
    assert torch.equal(second, second_teacher)
    assert not torch.equal(first, second)
    one, two = (student.encoder.backbone.network[0].weight for student in method.students)
    assert not torch.equal(one, two)


# -- an epoch ------------------------------------------------------------------------------------------------------


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
    unlabeled = with_columns(images, person_ids=np.full(len(images), -1))
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
