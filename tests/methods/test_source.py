"""Training on a source: its first step compared with the equation, the target's images, and the learning rate."""

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
from resight.data.crops import Crops
from resight.data.transforms import AugmentSettings, to_float
from resight.errors import ConfigError
from resight.methods import METHODS
from resight.methods.source import VARIANTS, Source, SourceSettings
from resight.models.encoder import EncoderSettings
from resight.training.runs import Run
from resight.training.train import fit, read_recipe
from run_equality import assert_same_run

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "source.json"
PLAIN = AugmentSettings(flip=0, pad=0, blur=0, erase=0)


@pytest.fixture(scope="module")
def people(tiny_market: Path) -> Crops:
    """The labeled source: all but the last person."""
    crops = tiny.crops(tiny_market)
    return crops[crops.table.person_ids < 8]


@pytest.fixture(scope="module")
def target(tiny_market: Path) -> Crops:
    """Unlabeled images of another set: other colors."""
    crops = tiny.crops(tiny_market)
    store = dataclasses.replace(crops.store, pixels=255 - crops.store.pixels)
    table = dataclasses.replace(crops.table, person_ids=np.full(len(crops), -1))
    return dataclasses.replace(crops, store=store, table=table)[:50]


def steps(method: Source, epochs: int = 1) -> list[dict[str, float]]:
    return [
        {name: float(value) for name, value in method.step(batch).items()}
        for epoch in range(epochs)
        for batch in method.begin_epoch(epoch)
    ]


def run_to(folder: Path, target: Crops, people: Crops, epochs: int, **changes: Any) -> Source:
    method = tiny.source(target, source=people, **changes)
    fit(method, Run(folder, seed=3), epochs=epochs)
    return method


@pytest.mark.parametrize("variant", ["code", "thesis"])
@pytest.mark.parametrize("head", ["a+m1", "global"])
def test_the_losses_of_a_step_are_the_equation(target: Crops, people: Crops, variant: str, head: str) -> None:
    encoder = dataclasses.replace(tiny.ENCODER, head=head)
    method = tiny.source(target, variant, source=people, augment=PLAIN, encoder=encoder)
    s = method.settings
    for classifier in method.network.classifiers:  # at their start they tell nobody apart
        classifier.weight.data *= 300
    batch = next(iter(method.begin_epoch(0)))
    seen = to_float(people.pixels(batch))
    network = copy.deepcopy(method.network)
    pooled, logits = zip(*tiny.described(network, seen, s.ghost_batches), strict=True)
    found, labels = method.step(batch), method.labels[batch]
    branches = 1 if head == "global" else 2
    assert len(logits) == branches
    classified = [np.mean(reference.cross_entropy(one.detach(), labels, s.label_smoothing)) for one in logits]
    triplets = [np.mean(reference.batch_hard_triplet(one.detach(), labels, None)) for one in pooled]
    # Eq. 4.1 with 0.5 for each of two branches.
    assert float(found["loss/classification"]) == pytest.approx(sum(classified) / branches, rel=1e-4)
    assert float(found["loss/triplet"]) == pytest.approx(sum(triplets) / branches, rel=1e-4)
    assert s.label_smoothing == (0.1 if variant == "code" else 0)

    total, classes = torch.zeros(()), torch.from_numpy(labels)
    same = classes[:, None] == classes
    for one, other in zip(pooled, logits, strict=True):
        gaps = (one[:, None] - one).square().sum(2).clamp(min=1e-12).sqrt()
        far, near = gaps.masked_fill(~same, -1).argmax(1), gaps.masked_fill(same, torch.inf).argmin(1)
        hardest = gaps[torch.arange(len(classes)), torch.stack([far, near])].T @ torch.tensor([1.0, -1.0]).double()
        total = total + F.cross_entropy(other, classes, label_smoothing=s.label_smoothing) + F.softplus(hardest).mean()
    (total / branches).backward()
    for (name, parameter), expected in zip(method.network.named_parameters(), network.parameters(), strict=True):
        if parameter.requires_grad:
            scale = max(float(expected.grad.abs().max()), 1e-4)  # a shift before batch norm changes nothing
            torch.testing.assert_close(parameter.grad, expected.grad, rtol=2e-3, atol=2e-3 * scale, msg=name)


def test_the_accuracy_rises_on_a_batch_that_is_seen_again(target: Crops, people: Crops) -> None:
    method = tiny.source(target, source=people, augment=PLAIN, learning_rate=3e-3, warmup_epochs=0)
    batch = next(iter(method.begin_epoch(0)))
    for _ in range(12):
        method.step(batch)
    assert method.end_epoch()["accuracy"] > 0.5


def test_classifiers_begin_small_and_without_bias(target: Crops, people: Crops) -> None:
    method = tiny.source(target, source=people)
    assert len(method.network.classifiers) == 2
    for classifier in method.network.classifiers:
        assert classifier.bias is None
        assert classifier.weight.shape == (7, 32)
        assert float(classifier.weight.detach().std()) == pytest.approx(1e-3, rel=0.2)
    assert not any("classifier" in name for name in method.encoder.state_dict())


def test_images_of_the_target_move_the_statistics_and_nothing_else(target: Crops, people: Crops) -> None:
    """One step with and without them: the same losses and weights, other running statistics."""
    states = []
    for seen in (True, False):
        method = tiny.source(target, source=people, target_statistics=seen, iterations=1)
        losses = steps(method)
        states.append((losses, method))
    assert states[0][0] == states[1][0]
    (_, with_target), (_, without) = states
    first = [dict(method.encoder.named_buffers()) for method in (with_target, without)]
    moved = [name for name in first[0] if name.endswith("running_mean")]
    assert moved
    assert all(not torch.equal(first[0][name], first[1][name]) for name in moved)
    parameters = [dict(method.network.named_parameters()) for method in (with_target, without)]
    assert all(torch.equal(parameters[0][name], parameters[1][name]) for name in parameters[0])


def test_each_step_shows_other_images_of_the_target(target: Crops, people: Crops) -> None:
    method = tiny.source(target, source=people, augment=PLAIN, ghost_batches=1)
    seen: list[torch.Tensor] = []
    method.encoder.register_forward_hook(lambda _, inputs, out: seen.append(inputs[0]))
    steps(method)
    assert len(seen) == 2
    assert [len(batch) for batch in seen] == [16, 16]
    assert not torch.equal(*seen)
    everything = to_float(target.pixels(slice(None))).flatten(1)
    assert all(bool((everything == image).all(1).any()) for image in seen[0].flatten(1))


def test_without_a_source_the_people_of_the_data_are_learned(people: Crops) -> None:
    method = tiny.source(people)
    assert method.num_people == 7
    assert set(steps(method)[0]) == {"loss/classification", "loss/triplet"}


def test_few_images_of_the_target_are_seen_more_than_once(target: Crops, people: Crops) -> None:
    assert len(steps(tiny.source(target[:3], source=people))) == 2


def test_the_learning_rate_climbs_from_a_hundredth_and_falls_at_the_milestones() -> None:
    s = SourceSettings(learning_rate=1)
    assert [s.rate(e) for e in (0, 5, 10, 39, 40, 69, 70, 79)] == pytest.approx(
        [0.01, 0.505, 1, 1, 0.1, 0.1, 0.01, 0.01]
    )
    assert SourceSettings(learning_rate=1, warmup_epochs=0).rate(0) == 1


def test_the_defaults_are_the_released_codes_numbers() -> None:
    s = SourceSettings()
    assert (s.epochs, s.iterations, s.identities, s.images) == (80, 200, 16, 4)
    assert (s.learning_rate, s.weight_decay, s.milestones) == (3.5e-4, 5e-4, (40, 70))
    assert (s.label_smoothing, s.target_statistics, s.ghost_batches) == (0.1, True, 4)
    assert s.augment == AugmentSettings(flip=0.5, pad=10, blur=0, erase=0)
    assert s.encoder == EncoderSettings("resnet50_linear_stem", head="a+m1")
    assert METHODS["source"] == (Source, SourceSettings, VARIANTS)
    assert read_recipe("source")[0] == s
    thesis = read_recipe("source", "", "--variant=thesis")[0]
    assert thesis == dataclasses.replace(s, **VARIANTS["thesis"])
    assert thesis.encoder == EncoderSettings("resnet50", head="a+m1")
    assert (thesis.label_smoothing, thesis.warmup_epochs, thesis.ghost_batches) == (0, 0, 1)
    assert not thesis.target_statistics


def test_every_epoch_learns_at_its_own_rate(target: Crops, people: Crops) -> None:
    method = tiny.source(target, source=people, iterations=1, warmup_epochs=2, milestones=(3,))
    rates = []
    for epoch in range(4):
        for batch in method.begin_epoch(epoch):
            method.step(batch)
        rates += [method.end_epoch()["learning_rate"], *(group["lr"] for group in method.optimizer.param_groups)]
    groups = len(rates) // 4
    expected = [share * method.settings.learning_rate for share in (0.01, 0.505, 1, 0.1) for _ in range(groups)]
    assert rates == pytest.approx(expected)


def test_four_epochs_equal_two_and_two_more_without_the_target(target: Crops, people: Crops, tmp_path: Path) -> None:
    changes = {"ghost_batches": 1, "target_statistics": False}
    run_to(tmp_path / "whole", target, people, 4, **changes)
    run_to(tmp_path / "halves", target, people, 2, **changes)
    assert len(Run(tmp_path / "halves").metrics()) == 2
    run_to(tmp_path / "halves", target, people, 4, **changes)
    assert_same_run(tmp_path / "whole", tmp_path / "halves")


def test_every_person_of_the_source_must_be_known_and_there_must_be_two(target: Crops, people: Crops) -> None:
    with pytest.raises(ConfigError, match="person of every image"):
        tiny.source(people, source=target)
    with pytest.raises(ConfigError, match="two people or more to tell apart, found 1"):
        tiny.source(target, source=people[people.table.person_ids == 3])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 0}, "epochs must be 1 or more"),
        ({"identities": 1}, "identities must be 2 or more"),
        ({"identities": 4}, "set ghost_batches to 2 or fewer"),
        ({"iterations": 0}, "iterations must be 1 or more"),
        ({"ghost_batches": 0}, "ghost_batches must be 1 or more"),
        ({"triplet_weight": -0.1}, "triplet_weight 0 or more"),
        ({"warmup_epochs": -1}, "warmup_epochs must be 0 or more"),
        ({"label_smoothing": 1.5}, "label_smoothing must be in 0..1"),
        ({"classification_weight": 0.0}, "classification_weight must be above 0"),
        ({"milestones": (70, 40)}, "milestones must ascend"),
        ({"encoder": EncoderSettings(neck_statistics="dataset")}, "neck_statistics to batch"),
    ],
)
def test_settings_are_checked(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        SourceSettings(**changes)


def test_either_loss_may_weigh_little() -> None:
    settings = SourceSettings(classification_weight=0.5, triplet_weight=0.0)
    assert (settings.classification_weight, settings.triplet_weight) == (0.5, 0)
