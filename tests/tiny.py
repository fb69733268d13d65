"""A method small enough to train in a test: two convolutions on made-up people, alike in every process."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resight.compute.devices import Devices, DeviceSettings
from resight.data.catalog import load_dataset
from resight.data.crops import Crops, load_crops
from resight.data.transforms import AugmentSettings
from resight.methods import scr as scr_method
from resight.methods import source as source_method
from resight.methods.abmt import ABMT
from resight.methods.abmt_settings import LITERAL, ABMTSettings
from resight.methods.ice import ICE
from resight.methods.ice_settings import VARIANTS, ICESettings
from resight.methods.scr import SCR, SCRSettings
from resight.methods.source import Source, SourceSettings
from resight.models.backbones import Backbone
from resight.models.classifier import BranchClassifier
from resight.models.encoder import Encoder, EncoderSettings
from resight.numerics.clustering import ClusterSettings

DEVICE = DeviceSettings(accelerator="cpu", training="float32", inference="float32", threads=1)

ENCODER = EncoderSettings(backbone="toy", weights="none", height=64, width=32, last_stride=2)

SETTINGS = ICESettings(
    encoder=ENCODER,
    cluster=ClusterSettings(k1=12),
    augment=AugmentSettings(pad=4),
    epochs=4,
    iterations=2,
    identities=4,
    images=4,
    warmup_epochs=2,
    momentum=0.9,
    ghost_batches=2,
)

SPLITS_CLEANLY: dict[str, Any] = {
    "encoder": dataclasses.replace(ENCODER, batchnorm="frozen", neck_statistics="dataset"),
    "ghost_batches": 1,
    "shuffle": False,
}
"""Changes with which an image's features do not depend on its batch."""


def encoder(settings: EncoderSettings = ENCODER) -> Encoder:
    """Build the same small encoder each time."""
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(3, 16, 5, stride=4, padding=2, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
    )  # fmt: skip
    return Encoder(settings, Backbone(nn.Sequential(*layers), 32))


def crops(root: Path) -> Crops:
    """Decode the training images of the made-up set."""
    return load_crops(load_dataset("market1501", root).train, ENCODER.size)


def ice(images: Crops, variant: str = "code", /, *, device: DeviceSettings = DEVICE, **changes: Any) -> ICE:
    """Build the method with some settings changed."""
    settings = dataclasses.replace(SETTINGS, **{**VARIANTS[variant], **changes})
    return ICE(settings, images, devices=Devices(device), seed=3, encoder=encoder(settings.encoder))


SCR_SETTINGS = SCRSettings(
    encoder=dataclasses.replace(ENCODER, pooling="max", head="p1+p2(s2c2)", head_width=8),
    epochs=4,
    iterations=2,
    milestones=(2, 3),
)


def chain(settings: EncoderSettings = SCR_SETTINGS.encoder) -> Encoder:
    """Build the same small encoder each time, with layers after the first one at stride 16 for branches to copy."""
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(3, 16, 5, stride=8, padding=2, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
    )  # fmt: skip
    return Encoder(settings, Backbone(nn.Sequential(*layers), 32))


def scr(images: Crops, variant: str = "code", /, *, device: DeviceSettings = DEVICE, **changes: Any) -> SCR:
    """Build the method with some settings changed."""
    surrounding = ("flip", "tracklet")
    defaults = {name: value for name, value in scr_method.VARIANTS[variant].items() if name not in surrounding}
    settings = dataclasses.replace(SCR_SETTINGS, **{**defaults, **changes})
    return SCR(settings, images, devices=Devices(device), seed=3, encoder=chain(settings.encoder))


ABMT_SETTINGS = ABMTSettings(
    encoder=dataclasses.replace(ENCODER, head="a+m1"),
    cluster=ClusterSettings(k1=12, variant="abmt", rho=0.03),
    augment=AugmentSettings(pad=4, blur=0, erase=0.5),
    epochs=4,
    iterations=2,
    identities=4,
    images=4,
    momentum=0.9,
    ghost_batches=2,
    num_eval_images=20,
)

MEAN_TEACHER: dict[str, Any] = {"encoder": ENCODER}
MMT: dict[str, Any] = {
    "encoder": ENCODER,
    "networks": 2,
    "branch_reduction": "sum",
    "triplet_weight": 0.2,
    "soft_triplet_weight": 0.8,
}
"""What makes the baseline and MMT of the settings above."""

SOURCE_SETTINGS = SourceSettings(
    encoder=dataclasses.replace(ENCODER, head="a+m1"),
    augment=AugmentSettings(pad=4, blur=0, erase=0),
    epochs=4,
    iterations=2,
    identities=4,
    images=4,
    warmup_epochs=2,
    milestones=(3,),
    ghost_batches=2,
)


def abmt(
    images: Crops,
    variant: str = "code",
    /,
    *,
    device: DeviceSettings = DEVICE,
    source: Crops | None = None,
    **changes: Any,
) -> ABMT:
    """Build the method with some settings changed."""
    literal = LITERAL if variant == "thesis" else {}
    settings = dataclasses.replace(ABMT_SETTINGS, **{**literal, **changes})
    network = chain(settings.encoder)
    return ABMT(settings, images, devices=Devices(device), seed=3, encoder=network, source=source)


def source(
    images: Crops,
    variant: str = "code",
    /,
    *,
    device: DeviceSettings = DEVICE,
    source: Crops | None = None,
    **changes: Any,
) -> Source:
    """Build the method with some settings changed."""
    defaults = {name: value for name, value in source_method.VARIANTS[variant].items() if name != "encoder"}
    settings = dataclasses.replace(SOURCE_SETTINGS, **{**defaults, **changes})
    network = chain(settings.encoder)
    return Source(settings, images, devices=Devices(device), seed=3, encoder=network, source=source)


def described(network: BranchClassifier, images: Tensor, parts: int) -> list[tuple[Tensor, Tensor]]:
    """Give each branch's ``(B, C)`` pooled features and logits while training, put together anew.

    Triplets see what is pooled, classifiers what batch norm, in so many parts of the batch, makes of it.
    """
    pooled, normed = [], []
    neck = network.encoder.neck
    for part in images.tensor_split(parts):
        pooled.append(network.encoder.pool(part).double())
        centered = pooled[-1] - pooled[-1].mean(0)
        scale = neck.weight.double() / (centered.square().mean(0) + neck.eps).sqrt()
        normed.append(scale * centered + neck.bias.double())
    width = network.encoder.width
    before, after = (torch.cat(each).split(width, 1) for each in (pooled, normed))
    weights = [classifier.weight.double() for classifier in network.classifiers]
    return [(x, y @ w.T) for x, y, w in zip(before, after, weights, strict=True)]


def running_statistics(method: Any, network: torch.nn.Module) -> torch.Tensor:
    """Sum each process' buffers of a network: ``(P,)``, one number a process."""
    sums = [buffer.double().sum() for buffer in network.buffers() if buffer.is_floating_point()]
    gathered: torch.Tensor = method.devices.gather(torch.stack(sums).sum().reshape(1))
    return gathered


def check_statistics_become_one(method: Any, *networks: torch.nn.Module) -> None:
    """Running statistics that move are each process' own in an epoch, and the first one's after it.

    They are those of ``networks``, by default of what is evaluated.
    """
    networks = networks or (method.encoder,)
    for batch in method.begin_epoch(0):
        method.step(batch)
    before = [running_statistics(method, network) for network in networks]
    assert all(first != second for first, second in before)
    method.end_epoch()
    after = [running_statistics(method, network) for network in networks]
    assert all(first == second for first, second in after)
