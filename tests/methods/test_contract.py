"""What holds of every method in `METHODS`: a new one is tested by being listed there and in `tiny.TINY`.

``RESIGHT_WRITE_GOLDEN=1 pytest tests/methods/test_contract.py -k pinned`` writes the curves that are not pinned yet.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import reference
import tiny
from resight.compute.tensor_files import load_state, tensors_of
from resight.data.crops import Crops
from resight.files import write_atomically
from resight.methods import METHODS
from resight.training.runs import Run
from resight.training.train import fit
from run_equality import TIMES, assert_same_run, script
from stepping import steps

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
CURVES = [(name, variant) for name, spec in METHODS.items() for variant in spec.variants]
every_method = pytest.mark.parametrize("name", METHODS)


def build(name: str, images: Crops, variant: str = "code", /, **changes: Any) -> Any:
    return tiny.build_on_inputs(name, images, variant, **changes)


def networks(method: Any) -> list[nn.Module]:
    """All networks of a method, those that learn and those that follow."""
    values = [item for value in vars(method).values() for item in (value if isinstance(value, list) else [value])]
    return [value for value in values if isinstance(value, nn.Module) and list(value.parameters())]


def learning(method: Any) -> list[nn.Parameter]:
    return [p for network in networks(method) for p in network.parameters() if p.requires_grad]


def flat(tensors: list[Tensor]) -> np.ndarray:
    return torch.cat([tensor.detach().flatten() for tensor in tensors]).double().numpy().copy()


def test_every_method_is_tested() -> None:
    assert set(tiny.TINY) == set(METHODS)


@every_method
def test_without_devices_and_encoder_it_builds_its_own(name: str, images: Crops) -> None:
    tiny_method, spec = tiny.TINY[name], METHODS[name]
    own_images, arguments = tiny_method.inputs(images)
    settings = tiny_method.settings
    encoder = dataclasses.replace(settings.encoder, backbone="resnet18", weights="none")
    settings = dataclasses.replace(settings, encoder=encoder)
    method = spec.build(settings, own_images, **arguments)
    assert method.seed == 1
    assert method.devices.world == 1
    assert method.encoder.settings.backbone == "resnet18"


# -- learning ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "variant"), CURVES)
def test_the_losses_of_four_steps_are_pinned(images: Crops, name: str, variant: str) -> None:
    losses = steps(build(name, images, variant, iterations=4, **tiny.TINY[name].pinned))
    path = GOLDEN / f"{name}.json"
    pinned = json.loads(path.read_text()) if path.is_file() else {}
    if variant not in pinned and os.environ.get("RESIGHT_WRITE_GOLDEN"):
        write_atomically(path, json.dumps({**pinned, variant: losses}, indent=2) + "\n")
        return
    assert len(losses) == len(pinned[variant]) == 4
    for step, (values, expected) in enumerate(zip(losses, pinned[variant], strict=True)):
        assert values == pytest.approx(expected, rel=1e-4), f"step {step}"


@every_method
def test_the_loss_falls_on_a_batch_that_is_seen_again(images: Crops, name: str) -> None:
    method = build(name, images, **{"augment": tiny.PLAIN, **tiny.TINY[name].learns})
    batch = next(iter(method.begin_epoch(0)))
    totals = [sum(float(loss) for loss in method.step(batch).values()) for _ in range(12)]
    assert totals[-1] < 0.8 * totals[0]


@pytest.mark.parametrize("name", [name for name in METHODS if tiny.TINY[name].adam])
def test_weights_move_as_adam_says_with_decay_added_to_the_gradient(images: Crops, name: str) -> None:
    decay = 0.5  # so much that a step without it is another one
    no_warmup = {"warmup_epochs": 0} if hasattr(tiny.TINY[name].settings, "warmup_epochs") else {}
    method = build(name, images, weight_decay=decay, learning_rate=1e-3, **no_warmup)
    batches = list(method.begin_epoch(0))
    start, gradients = flat(learning(method)), []
    assert len(batches) == 2
    for batch in batches:
        method.step(batch)
        gradients.append(flat([parameter.grad for parameter in learning(method)]))  # type: ignore[misc]
        for parameter in learning(method):
            parameter.grad.fill_(torch.nan)  # type: ignore[union-attr]
    assert np.isfinite(gradients).all(), "each step has its own gradients"
    expected = reference.adam(start, gradients, 1e-3, decay)
    np.testing.assert_allclose(flat(learning(method)), expected, atol=2e-6)
    assert np.abs(expected - reference.adam(start, gradients, 1e-3, 0)).max() > 1e-4


@every_method
def test_no_gradient_reaches_a_teacher_or_a_memory(images: Crops, name: str) -> None:
    method = build(name, images)
    method.step(next(iter(method.begin_epoch(0))))
    assert learning(method)
    assert all(parameter.grad is not None for parameter in learning(method))
    following = [p for network in networks(method) for p in network.parameters() if not p.requires_grad]
    assert all(parameter.grad is None for parameter in following)
    if hasattr(method, "memory"):
        memory = method.memory
        values = list(memory.buffers()) if isinstance(memory, nn.Module) else list(vars(memory).values())
        memorized = list(tensors_of(values))
        assert sum(len(tensor) for tensor in memorized)
        assert not any(tensor.requires_grad for tensor in memorized)


# -- an epoch ------------------------------------------------------------------------------------------------------


@every_method
def test_networks_are_in_training_mode_in_every_epoch(images: Crops, name: str) -> None:
    """Those that learn and those that follow: embedding and diagnostics between the epochs need the other mode."""
    method = build(name, images)
    for epoch in range(2):
        batches = method.begin_epoch(epoch)
        assert networks(method)
        assert all(network.training for network in networks(method))
        method.step(next(iter(batches)))
        method.end_epoch()
        method.encoder.eval()  # as scoring leaves it


@every_method
def test_batches_and_augmentations_are_those_of_seed_and_epoch(images: Crops, name: str) -> None:
    first = build(name, images)

    def draws(seed: int, epoch: int) -> list[list[int]]:
        encoder = copy.deepcopy(first.encoder).requires_grad_()
        _, arguments = tiny.TINY[name].inputs(images)
        trained = getattr(first, "images", images)
        method = type(first)(
            first.settings, trained, devices=first.devices, seed=seed, encoder=encoder, **arguments
        )  # fmt: skip
        batches = [batch.tolist() for batch in method.begin_epoch(epoch)]
        return [*batches, method.generator.get_state().tolist()]

    once = draws(3, 0)
    assert draws(3, 0) == once
    for other in (draws(4, 0), draws(3, 1)):
        assert all(one != two for one, two in zip(once, other, strict=True))


@every_method
def test_the_diagnostics_of_an_epoch_are_numbers(images: Crops, name: str) -> None:
    method = build(name, images)
    for epoch in range(2):
        steps(method, epoch)
        values = method.end_epoch()
        assert values["learning_rate"] > 0
        assert all(isinstance(value, float) and np.isfinite(value) for value in values.values())
        assert json.loads(json.dumps(values)) == values
        if method.clusters is not None:
            assert {"clusters", "outlier_share", "eps"} <= set(values)
            assert ("stability" in values) == (epoch > 0)


# -- kills and processes -------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
import torch
import tiny
from resight.methods import METHODS
from resight.training.runs import Run
from resight.training.train import fit

folder, root = map(Path, sys.argv[1:])

def train_until_killed(name):
    method = tiny.build_on_inputs(name, tiny.crops(root))
    whole_step, taken = method.step, []

    def step(batch):
        losses = whole_step(batch)
        taken.append(batch)
        assert torch.get_num_threads() == tiny.DEVICE.threads == 1, "numba's threads must not become torch's"
        if len(taken) == 5:  # two epochs of two steps are done; this is the first of the third
            os.kill(os.getpid(), signal.SIGKILL)
        return losses

    method.step = step
    fit(method, Run(folder / name, seed=3), epochs=4)

for name in METHODS:
    child = os.fork()  # which has loaded what takes long
    if not child:
        train_until_killed(name)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, name
"""


def test_a_run_that_is_killed_within_an_epoch_ends_as_if_it_had_not_been(
    images: Crops, tiny_market: Path, tmp_path: Path
) -> None:
    killed = script(tmp_path, KILLED, tmp_path / "killed", tiny_market)
    assert killed.returncode == 0, killed.stderr
    for name in METHODS:
        assert [line["epoch"] for line in Run(tmp_path / "killed" / name).metrics()] == [0, 1], name
        for folder in (tmp_path / "killed" / name, tmp_path / "uninterrupted" / name):
            fit(build(name, images), Run(folder, seed=3), epochs=4)
        assert_same_run(tmp_path / "uninterrupted" / name, tmp_path / "killed" / name)


SHARED = """
import dataclasses, sys
from pathlib import Path
from torch import nn
import tiny
from resight.methods import METHODS
from resight.training.runs import Run
from resight.training.train import fit

folder, root = map(Path, sys.argv[1:])
images, device = tiny.crops(root), dataclasses.replace(tiny.DEVICE, processes=2)
for name in METHODS:
    for number, changes in enumerate(tiny.TINY[name].shared):
        method = tiny.build_on_inputs(name, images, device=device, **changes)
        assert method.devices.world == 2
        fit(method, Run(folder / f"{name}-{number}", seed=3, writes=method.devices.rank == 0), epochs=2)
    method = tiny.build_on_inputs(name, images, device=device)
    networks = [part for part in method.parts.values() if isinstance(part, nn.Module) and list(part.parameters())]
    networks = [network for network in networks if list(network.buffers())]  # the others have no statistics
    expected = tiny.TINY[name].domains * max(1, getattr(method.settings, "ghost_batches", 1) // 2)
    encoders = [getattr(network, "encoder", network) for network in networks]
    assert {encoder.ghost_batches for encoder in encoders} == {expected}, name
    tiny.check_statistics_become_one(method, *networks)
"""


def test_two_processes_learn_what_one_learns(images: Crops, tiny_market: Path, tmp_path: Path) -> None:
    two = script(tmp_path, SHARED, tmp_path / "two", tiny_market)
    assert two.returncode == 0, two.stderr
    for name in METHODS:
        for number, changes in enumerate(tiny.TINY[name].shared):
            folders = [tmp_path / processes / f"{name}-{number}" for processes in ("one", "two")]
            fit(build(name, images, **changes), Run(folders[0], seed=3), epochs=2)
            lines = [Run(folder).metrics() for folder in folders]
            assert len(lines[0]) == len(lines[1]) == 2
            tolerance = tiny.TINY[name].tolerance
            for one, both in zip(*lines, strict=True):
                one, both = ({k: v for k, v in line.items() if k not in TIMES} for line in (one, both))
                assert both == pytest.approx(one, rel=tolerance, abs=tolerance / 100), name
            one, both = (load_state(folder / "last.safetensors").get("centers") for folder in folders)
            if one is not None:  # they follow the images of all processes
                torch.testing.assert_close(both["values"], one["values"], rtol=1e-3, atol=1e-5)
