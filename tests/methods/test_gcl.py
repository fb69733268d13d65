"""GCL: a step beside its equations, what each phase trains, and the switches of Table 5.3."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import reference
import tiny
from made_up_bodies import Bodies, Pictures
from resight.data.crops import Crops
from resight.data.transforms import AugmentSettings, sample_params, to_float
from resight.methods.gcl import GCL
from resight.methods.labeling import pool_and_embed

FROZEN: dict[str, Any] = {"encoder": tiny.frozen(tiny.ENCODER), "iterations": 1}
"""With fixed statistics, a copy of the encoder sees in an image what the encoder sees in its batch."""

CONTRAST: dict[str, Any] = {"generator": False}
NO_VIEWS = dict.fromkeys(("original_weight", "self_weight", "generated_weight"), 0.0)


def gcl(images: Crops, variant: str = "code", /, **changes: Any) -> GCL:
    method: GCL = tiny.build_on_inputs("gcl", images, variant, **changes)
    return method


def weights(module: nn.Module) -> np.ndarray:
    return torch.cat([p.detach().flatten() for p in module.parameters()]).double().numpy().copy()


def gradients(module: nn.Module) -> np.ndarray:
    return torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None]).double().numpy().copy()


def unchanged(module: nn.Module, before: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def drawn_by(method: GCL, labels: np.ndarray, batch: np.ndarray) -> tuple[np.ndarray, Tensor, list[np.ndarray]]:
    """What a step will draw: turns, the order of the memory, and two positives for each image."""
    generator = torch.Generator()
    generator.set_state(method.generator.get_state())
    turns = torch.randint(1, method.settings.angles + 1, (len(batch),), generator=generator).numpy()
    order = torch.randperm(len(labels), generator=generator)
    positives = []
    for _ in range(2):
        draws = torch.rand((len(batch), len(labels)), generator=generator).numpy()
        same = labels[batch][:, None] == labels
        positives.append(np.where(same, draws, -1).argmax(1))
    return turns, order, positives


@pytest.mark.parametrize(
    ("variant", "changes"),
    [("code", {"negatives": 20}), ("thesis", {}), ("code", {"pushed": "original", "slices": "parts"})],
)
def test_the_losses_of_a_step_are_the_equations(images: Crops, variant: str, changes: dict[str, Any]) -> None:
    method = gcl(images, variant, **FROZEN, **changes)
    s, batch = method.settings, next(iter(method.begin_epoch(0)))
    labels, memory = method.labeling.current.labels, method.memory.features.numpy().copy()
    turns, order, positives = drawn_by(method, labels, batch)
    encode, generate, discriminate = (
        copy.deepcopy(network) for network in (method._encode.network, method.view_generator, method.discriminator)
    )
    mean, std = method.encoder.mean, method.encoder.std
    bodies = Bodies(len(images), images.size)
    own, turned = (bodies.load(batch, angle).float() / 127.5 - 1 for angle in (0 * turns, turns))

    pixels = to_float(images.pixels(batch))
    with torch.no_grad():
        f, code = encode(pixels)
        reconstructed, novel = generate(own, code), generate(turned, code)
        _, first_code = encode((reconstructed if variant == "code" else novel) * std + mean)
        f_new, novel_code = encode(novel * std + mean)
        cycled = generate(own, novel_code)
        _, cycled_code = encode(cycled * std + mean)
    real, fakes = ((pixels - mean) / std).requires_grad_(), (reconstructed, novel, cycled)
    form, weight = s.adversarial, s.adversarial_weight
    real_scores = discriminate(real)
    penalties = [torch.autograd.grad(score[i].sum(), real, retain_graph=True)[0][i].square().sum()
                 for score in real_scores for i in range(len(batch))]  # fmt: skip
    realness = np.mean(reference.adversarial([score.detach() for score in real_scores], form, "real"))
    with torch.no_grad():
        fakeness = sum(np.mean(reference.adversarial(discriminate(fake), form, "fake")) for fake in fakes)

    losses = {name.removeprefix("loss/"): float(value) for name, value in method.step(batch).items()}
    expected = {"discriminator": fakeness + 3 * realness}
    if variant == "code":
        expected["penalty"] = 3 * 0.01 * float(torch.stack(penalties).sum()) / len(batch)
    with torch.no_grad():  # the discriminator has learned before the generator does
        fooling = [reference.adversarial(method.discriminator(fake), form, "fooling") for fake in fakes]
    expected["adversarial"] = weight * sum(map(np.mean, fooling))
    target = real.detach()
    expected["image"] = 5 * sum(np.mean(reference.reconstruction(x, target)) for x in (reconstructed, cycled))
    expected["feature"] = 5 * sum(np.mean(reference.reconstruction(x, code)) for x in (first_code, cycled_code))

    outliers = variant == "code"
    chosen = reference.chosen_negatives(labels[batch], labels, order, s.negatives, outliers)
    negatives = [[i in row for i in range(len(memory))] for row in chosen]
    if s.negatives == 20:
        assert {len(row) for row in chosen} == {20}
    first, second = (memory[rows] for rows in (positives if variant == "code" else positives[:1] * 2))
    pairs = {
        "original": (f, first),
        "self": (f_new, memory[batch] if variant == "code" else f),
        "generated": (f_new, second),
    }
    pushed = f if s.pushed == "original" else f_new
    for name, pair in pairs.items():
        expected[name] = np.mean(reference.view_contrast(*pair, pushed, memory, negatives, 0.04))
    assert losses == pytest.approx(expected, rel=1e-3, abs=1e-9)

    moved = reference.updated_memory(memory, batch, f, 0.2, variant == "code")
    np.testing.assert_allclose(method.memory.features, moved, atol=1e-5)


def test_contrast_without_a_generator_is_its_equation(images: Crops) -> None:
    """Thesis §5.4.3: L_vi^woGAN, the negatives pushed away from the image itself."""
    method = gcl(images, **FROZEN, **CONTRAST)
    batch = next(iter(method.begin_epoch(0)))
    labels, memory = method.labeling.current.labels, method.memory.features.numpy().copy()
    generator = torch.Generator()
    generator.set_state(method.generator.get_state())
    sample_params(method.settings.augment, len(batch), images.size, generator)
    torch.randperm(len(labels), generator=generator)  # there are fewer than K negatives: all of them count
    draws = torch.rand((len(batch), len(labels)), generator=generator).numpy()
    positives = np.where(labels[batch][:, None] == labels, draws, -1).argmax(1)
    with torch.no_grad():
        f = method.encoder(to_float(images.pixels(batch)))
    negatives = [[label != own for own in labels] for label in labels[batch]]
    expected = np.mean(reference.view_contrast(f, memory[positives], f, memory, negatives, 0.04))
    losses = method.step(batch)
    assert {name: float(value) for name, value in losses.items()} == {
        "loss/original": pytest.approx(expected, rel=1e-3)
    }


def test_views_of_another_generator_are_contrasted_as_generated_ones(images: Crops) -> None:
    """Eq. 5.6 to 5.8 with given views in the place of x'_new."""
    views = Pictures(len(images), images.size)
    method = gcl(images, **FROZEN, **CONTRAST, views=views)
    batch = next(iter(method.begin_epoch(0)))
    labels, memory = method.labeling.current.labels, method.memory.features.numpy().copy()
    generator = torch.Generator()
    generator.set_state(method.generator.get_state())
    sample_params(method.settings.augment, len(batch), images.size, generator)
    turns = torch.randint(1, method.settings.angles + 1, (len(batch),), generator=generator).numpy()
    torch.randperm(len(labels), generator=generator)
    draws = [torch.rand((len(batch), len(labels)), generator=generator).numpy() for _ in range(2)]
    first, second = (np.where(labels[batch][:, None] == labels, each, -1).argmax(1) for each in draws)
    with torch.no_grad():
        f = method.encoder(to_float(images.pixels(batch)))
        f_new = method.encoder(views.load(batch, turns) / 255)
    negatives = [[label != own for own in labels] for label in labels[batch]]
    pairs = {"original": (f, memory[first]), "self": (f_new, memory[batch]), "generated": (f_new, memory[second])}
    expected = {
        f"loss/{name}": np.mean(reference.view_contrast(*pair, f_new, memory, negatives, 0.04))
        for name, pair in pairs.items()
    }
    losses = method.step(batch)
    assert {name: float(value) for name, value in losses.items()} == pytest.approx(expected, rel=1e-3)


# -- updates -------------------------------------------------------------------------------------------------------


def test_weights_move_by_nesterovs_sgd_and_by_adam_without_a_first_moment(images: Crops) -> None:
    decay = 0.1  # so much that a step without it is another one
    method = gcl(images, weight_decay=decay, learning_rate=1e-2, generator_rate=1e-2, generator_milestones=())
    networks = {"encoder": method.encoder, "generator": method.view_generator, "discriminator": method.discriminator}
    learned = nn.ParameterList(method._learned)
    networks["encoder"] = learned  # the neck's bias is frozen
    start, steps = {name: weights(network) for name, network in networks.items()}, {name: [] for name in networks}
    for batch in method.begin_epoch(0):
        method.step(batch)
        for name, network in networks.items():
            steps[name].append(gradients(network))
    assert len(steps["encoder"]) == 2
    for name, network in networks.items():
        if name == "encoder":
            expected = reference.nesterov(start[name], steps[name], 1e-2, decay, 0.9)
        else:
            expected = reference.adam(start[name], steps[name], 1e-2, decay, (0.0, 0.999))
        errors = np.abs(weights(network) - expected)
        # Where gradient and decay cancel, their sum is a rounding error, of which Adam makes a full step.
        assert np.mean(errors > 2e-5) <= (0 if name == "encoder" else 1e-4)
        assert errors.max() < 1e-3
        assert np.abs(weights(network) - start[name]).max() > 1e-4


def test_the_generator_learns_to_give_images_back(images: Crops) -> None:
    method = gcl(images, epochs=8, warmup_epochs=8, generator_rate=3e-2, adversarial_weight=0.0)
    batch = next(iter(method.begin_epoch(0)))
    losses = [float(method.step(batch)["loss/image"]) for _ in range(6)]
    assert losses[-1] < 0.85 * losses[0]


# -- phases --------------------------------------------------------------------------------------------------------


def test_the_warmup_trains_the_generator_alone(images: Crops) -> None:
    method = gcl(images, warmup_epochs=2)
    before = copy.deepcopy(method.encoder.state_dict())
    nets = (method.view_generator, method.discriminator)
    start = [weights(network) for network in nets]
    batch = next(iter(method.begin_epoch(0)))
    assert not method.encoder.training
    losses = method.step(batch)
    assert set(losses) == {f"loss/{name}" for name in ("discriminator", "penalty", "image", "feature", "adversarial")}
    assert unchanged(method.encoder, before), "weights and statistics"
    assert all((weights(network) != old).mean() > 0.5 for network, old in zip(nets, start, strict=True))
    assert all(parameter.grad is None for parameter in method.encoder.parameters())
    assert method.clusters is None
    assert set(method.end_epoch()) == {"learning_rate", "generator_rate"}
    assert method.memory.is_empty

    _, embeddings = pool_and_embed(method.encoder, images, devices=method.devices)
    batches = method.begin_epoch(2)
    assert method.encoder.training
    assert all(parameter.requires_grad for parameter in method._learned)
    assert not method.encoder.neck.bias.requires_grad, "what was frozen before stays so"
    np.testing.assert_allclose(method.memory.features, embeddings, atol=1e-6)
    assert method.clusters is not None
    assert (method.labeling.current.labels[next(iter(batches))] >= 0).all()
    assert {"clusters", "eps", "learning_rate", "generator_rate"} <= set(method.end_epoch())


def test_an_epoch_is_one_pass_over_the_images(images: Crops) -> None:
    method = gcl(images, iterations=0, warmup_epochs=1)
    rows = np.concatenate(list(method.begin_epoch(0)))
    assert sorted(rows) == list(range(96))
    clustered = np.concatenate(list(method.begin_epoch(1)))
    labels = method.labeling.current.labels
    assert (labels >= 0).sum() - len(clustered) in range(4), "what does not fill the last batch is left out"
    assert len(set(clustered)) == len(clustered)
    assert (labels[clustered] >= 0).all()


def test_learning_rates_fall_when_the_variant_says(images: Crops) -> None:
    changes = {"warmup_epochs": 1, "milestones": (1,), "generator_rate": 1e-4, "generator_milestones": (0,)}
    settings = dataclasses.replace(tiny.GCL_SETTINGS, **changes)
    assert [settings.rates(epoch)[0] for epoch in range(3)] == pytest.approx([3.5e-4, 3.5e-4, 3.5e-5])
    assert [settings.rates(epoch)[1] for epoch in range(3)] == pytest.approx([1e-4, 1e-5, 1e-5])
    method = gcl(images, **changes)
    for epoch, rates in enumerate([(3.5e-4, 1e-4), (3.5e-4, 1e-5)]):
        method.begin_epoch(epoch)
        values = method.end_epoch()
        assert (values["learning_rate"], values["generator_rate"]) == pytest.approx(rates)
        assert method.discriminator_optimizer.param_groups[0]["lr"] == pytest.approx(rates[1])


def test_the_memory_is_clustered_and_not_embedded_again(images: Crops, monkeypatch: pytest.MonkeyPatch) -> None:
    method = gcl(images)
    list(method.begin_epoch(0))
    monkeypatch.setattr("resight.methods.gcl.pool_and_embed", None)
    seen: list[np.ndarray] = []
    update = method.labeling.update
    monkeypatch.setattr(
        method.labeling, "update", lambda vectors, *rest: seen.append(vectors) or update(vectors, *rest)
    )
    method.memory.features[:8] = 3 * method.memory.features[8:16]
    method.begin_epoch(1)
    np.testing.assert_allclose(np.linalg.norm(seen[0], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(seen[0][:8], method.memory.features[8:16], atol=1e-6)


# -- Table 5.3 -----------------------------------------------------------------------------------------------------


def test_only_generation_needs_neither_clusters_nor_a_memory(images: Crops) -> None:
    method = gcl(images, **NO_VIEWS)
    batch = next(iter(method.begin_epoch(0)))
    start = weights(method.encoder)
    losses = method.step(batch)
    assert not {"loss/original", "loss/self", "loss/generated"} & set(losses)
    assert method.clusters is None
    assert "clusters" not in method.end_epoch()
    assert not {"memory", "labels"} & set(method.parts)
    assert np.abs(weights(method.encoder) - start).max() > 0, "L_gan moves the identity encoder"


def test_only_contrast_has_no_generator_and_may_augment(images: Crops) -> None:
    augment = AugmentSettings(pad=4, blur=0, brightness=0.2, contrast=0.2, tint=0.2)
    method = tiny.build("gcl", images, augment=augment, structure="/not/there", **CONTRAST)
    assert set(method.parts) == {"encoder", "encoder optimizer", "memory", "labels"}
    batch = next(iter(method.begin_epoch(0)))
    plain = gcl(images, **CONTRAST)
    assert next(iter(plain.begin_epoch(0))).tolist() == batch.tolist()
    losses = [float(each.step(batch)["loss/original"]) for each in (method, plain)]
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)
    assert "generator_rate" not in method.end_epoch()


LOSSES = ("original", "self", "generated", "image", "feature", "adversarial")


def test_half_the_weight_is_half_the_loss_and_no_weight_is_none(images: Crops) -> None:
    def losses(factors: dict[str, float]) -> dict[str, float]:
        changes = {f"{name}_weight": f * getattr(tiny.GCL_SETTINGS, f"{name}_weight") for name, f in factors.items()}
        method = gcl(images, **FROZEN, **changes)
        values = method.step(next(iter(method.begin_epoch(0))))
        return {name: float(values[f"loss/{name}"]) for name in LOSSES if f"loss/{name}" in values}

    whole = losses({})
    assert set(whole) == set(LOSSES)
    assert losses(dict.fromkeys(LOSSES, 0.5)) == pytest.approx({name: x / 2 for name, x in whole.items()}, rel=1e-4)
    for without in (("original", "image", "feature"), ("self", "generated", "adversarial")):
        assert losses(dict.fromkeys(without, 0.0)) == pytest.approx({n: whole[n] for n in LOSSES if n not in without})


@pytest.mark.parametrize("weight", [0.0, 0.01])
def test_the_penalty_is_taken_where_it_has_a_weight(images: Crops, weight: float) -> None:
    method = gcl(images, penalty_weight=weight, warmup_epochs=1)
    assert ("loss/penalty" in method.step(next(iter(method.begin_epoch(0))))) == (weight > 0)
