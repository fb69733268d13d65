"""What every method does with its networks and losses: run a forward pass, take a step, report means."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from resight.compute.devices import Devices
from resight.models.encoder import Encoder
from resight.models.fused import fuse_within


class ForwardPass:
    """The forward pass of a network in training mode; its results are float32, whatever it computes in.

    Several processes that train the network share its gradients (DDP). Otherwise, batch norms with fixed statistics are
    fused into their convolutions on a CPU.

    Args:
        network: An encoder, or a module with a child ``encoder``.
        devices: Where it runs.
        purpose: Decides the precision.
        ddp: Whether DDP wraps the network; without, `minimize` averages its gradients. DDP cannot run a network several
            times before a backward pass.
    """

    def __init__(
        self,
        network: nn.Module,
        devices: Devices,
        purpose: Literal["training", "inference"] = "training",
        *,
        ddp: bool = True,
    ) -> None:
        self.network, self.devices, self.purpose = network, devices, purpose
        learns = ddp and any(parameter.requires_grad for parameter in network.parameters())
        self._shares_gradients = learns and devices.world > 1
        self._run = devices.ddp(network) if learns else network

    def train(self, mode: bool = True) -> None:
        """Switch the network to training mode, or to evaluation, and fuse it as its statistics are now."""
        self.network.train(mode)
        if not self._shares_gradients:  # DDP reduces the gradients of a module's own weights
            self._run = fuse_within(self.network)

    def __call__(self, images: Tensor) -> Any:
        """Return the tensor, or the tuple of tensors, that the network returns for ``(B, 3, H, W)`` images in 0..1."""
        with self.devices.autocast(self.purpose):
            outputs = self._run(images)
        return outputs.float() if isinstance(outputs, Tensor) else tuple(output.float() for output in outputs)


Learner = TypeVar("Learner", bound=nn.Module)


def with_momentum(
    online: Learner, devices: Devices, batch_shape: tuple[int, ...]
) -> tuple[Learner, ForwardPass, ForwardPass]:
    """Copy a network for a moving average of it.

    Args:
        online: The network that learns, on its device.
        devices: Where both run.
        batch_shape: The shape of a batch of images.

    Returns:
        The copy, which gets no gradient, and the forward passes of the network and of the copy.
    """
    momentum = copy.deepcopy(online).requires_grad_(False)
    devices.capture_graph(online.train(), batch_shape, "training")
    devices.capture_graph(momentum.train(), batch_shape, "inference")
    return momentum, ForwardPass(online, devices), ForwardPass(momentum, devices, "inference")


def nesterov(
    encoder: Encoder, *others: nn.Module, rate: float, momentum: float, weight_decay: float, new_factor: float
) -> torch.optim.SGD:
    """Build Nesterov's SGD, in which layers that no weights were loaded for learn faster than the backbone.

    Args:
        encoder: Its backbone learns at the rate; its neck is new.
        others: New layers that are no part of the encoder.
        rate: Of the backbone.
        momentum: 0 for plain SGD.
        weight_decay: Added to the gradient (L2).
        new_factor: How many times the rate of the backbone new layers have.
    """
    new = [p for module in (encoder.neck, *others) for p in module.parameters() if p.requires_grad]
    added = set(map(id, new))
    loaded = [p for p in encoder.parameters() if p.requires_grad and id(p) not in added]
    groups = [{"params": loaded, "factor": 1.0}, {"params": new, "factor": new_factor}]
    optimizer = torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=momentum > 0, weight_decay=weight_decay)
    set_learning_rate(optimizer, rate)
    return optimizer


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of an optimizer; parameters with a ``factor`` get that many times the rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("factor", 1.0)


def learning_rate(optimizer: torch.optim.Optimizer) -> float:
    """Return the learning rate of an optimizer."""
    return float(optimizer.param_groups[0]["lr"])


def minimize(
    losses: Mapping[str, Tensor],
    *optimizers: torch.optim.Optimizer,
    devices: Devices,
    max_norm: float = 0.0,
    ddp: bool = True,
) -> None:
    """Take one gradient step on the sum of some losses.

    Args:
        losses: Weighted losses, scalars.
        optimizers: The optimizers of the parameters that learn.
        devices: Processes average their gradients.
        max_norm: Largest norm of the gradient of each optimizer's parameters; 0 for no limit.
        ddp: Whether DDP wraps the networks, and so averages; otherwise that is done here.
    """
    total = torch.stack(list(losses.values())).sum()
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    devices.backward(total)
    for optimizer in optimizers:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        if not ddp:
            devices.average_gradients(parameters)
        if max_norm:
            torch.nn.utils.clip_grad_norm_(parameters, max_norm)
        optimizer.step()


def mean_losses(losses: Mapping[str, Tensor], devices: Devices) -> dict[str, Tensor]:
    """Return the losses as `Method.step` reports them: the mean over processes, as ``loss/NAME``."""
    return {f"loss/{name}": devices.mean(loss) for name, loss in losses.items()}


class Accuracy:
    """The share of an epoch's images whose person the classifiers together name correctly."""

    def __init__(self) -> None:
        self._accuracies: list[Tensor] = []

    def reset(self) -> None:
        """Forget the batches so far."""
        self._accuracies = []

    def add(self, logits: Tensor, labels: Tensor, devices: Devices) -> None:
        """Add a batch: ``(classifiers, B, people)`` logits and ``(B,)`` labels of this process's shard."""
        predicted = logits.detach().softmax(2).mean(0).argmax(1)
        self._accuracies.append(devices.mean((predicted == labels).float().mean()))

    def mean(self) -> float:
        """Return the mean over the batches, 0..1."""
        return float(np.mean([float(accuracy) for accuracy in self._accuracies]))


def stepped_rate(rate: float, epoch: int, *, milestones: tuple[int, ...], decay: float) -> float:
    """Return the learning rate of an epoch that falls by a factor at each milestone."""
    return rate * decay ** sum(epoch >= milestone for milestone in milestones)


def climbed_share(epoch: int, warmup_epochs: int, *, start: float) -> float:
    """Return the share of the learning rate in an epoch: linearly up from ``start``, 0..1, then 1."""
    return start + (1 - start) * epoch / warmup_epochs if epoch < warmup_epochs else 1.0
