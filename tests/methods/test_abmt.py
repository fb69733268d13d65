"""ABMT and the mean teachers: a step compared with the equations, and what teachers follow."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from abmt_networks import NETWORKS, moved

import reference
import tiny
from resight.data.crops import Crops
from resight.data.transforms import to_float

THREE = {"encoder": dataclasses.replace(tiny.ENCODER, head="a+m1+a2")}
FROZEN = {"encoder": dataclasses.replace(tiny.ENCODER, head="a+m1", batchnorm="frozen")}


@pytest.mark.parametrize("variant", ["code", "thesis"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"cross_branch": False}, THREE, tiny.MEAN_TEACHER, tiny.MMT, {**tiny.MMT, "cross_branch": False}, FROZEN],
    ids=["abmt", "own-branch", "three", "mean-teacher", "mmt", "mmt-own", "frozen"],
)
def test_the_losses_of_a_step_are_the_equations(images: Crops, variant: str, changes: dict[str, Any]) -> None:
    method = tiny.abmt(images, variant, augment=tiny.PLAIN, **changes)
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
    method = tiny.abmt(images, augment=tiny.PLAIN, **changes)
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
