"""Methods small enough to train in a test: two convolutions on made-up people, the same in every process.

A new method needs an entry in `TINY` to be tested by `methods/test_contract.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from made_up_bodies import Bodies
from resight.compute.devices import Devices, DeviceSettings
from resight.data.catalog import load_dataset
from resight.data.crops import Crops, load_crops
from resight.data.transforms import AugmentSettings
from resight.methods import METHODS
from resight.methods.abmt_settings import ABMTSettings
from resight.methods.cap import CAPSettings
from resight.methods.cluster_contrast import ClusterContrastSettings
from resight.methods.gcl_settings import GCLSettings
from resight.methods.ice_settings import ICESettings
from resight.methods.mean_teacher import MeanTeacherSettings, MMTSettings
from resight.methods.scr import SCRSettings
from resight.methods.source import SourceSettings
from resight.methods.spcl import SpCLSettings
from resight.methods.tracklet_contrast import TrackletContrastSettings
from resight.models.backbones import Backbone
from resight.models.classifier import BranchClassifier
from resight.models.encoder import Encoder, EncoderSettings
from resight.numerics.clustering import ClusterSettings
from tiny_inputs import DEVICE as DEVICE
from tiny_inputs import ENCODER as ENCODER
from tiny_inputs import PLAIN as PLAIN
from tiny_inputs import encoder as encoder
from tiny_inputs import frozen as frozen
from tiny_inputs import labeled_source as labeled_source
from tiny_inputs import tracklets as tracklets
from tiny_inputs import with_columns as with_columns
from tiny_inputs import without_neck as without_neck
from tiny_warmups import ACT, JVTC, MMCL

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


def crops(root: Path) -> Crops:
    """Decode the training images of the made-up set."""
    return load_crops(load_dataset("market1501", root).train, ENCODER.size)


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


CLUSTER_CONTRAST_SETTINGS = ClusterContrastSettings(
    encoder=ENCODER,
    cluster=ClusterSettings(k1=12),
    augment=AugmentSettings(pad=4, blur=0, erase=0.5),
    epochs=4,
    iterations=2,
    identities=4,
    images=4,
    milestones=(3,),
)

SPCL_SETTINGS = SpCLSettings(
    encoder=ENCODER,
    cluster=ClusterSettings(k1=12, eps=0.3),
    reliability_gap=0.1,
    augment=AugmentSettings(pad=4, blur=0, erase=0.5),
    epochs=4,
    iterations=2,
    identities=4,
    images=4,
    ghost_batches=2,
    milestones=(3,),
)

CAP_SETTINGS = CAPSettings(
    encoder=ENCODER,
    cluster=ClusterSettings(k1=12),
    augment=AugmentSettings(pad=4, blur=0, erase=0.5),
    epochs=4,
    iterations=2,
    identities=4,
    images=4,
    warmup_epochs=2,
    milestones=(3,),
    inter_from=0,
)

TRACKLET_CONTRAST_SETTINGS = TrackletContrastSettings(
    encoder=ENCODER, augment=AugmentSettings(pad=4), epochs=4, iterations=2, identities=4, images=2, momentum=0.9
)

GCL_SETTINGS = GCLSettings(
    encoder=ENCODER,
    cluster=ClusterSettings(k1=12, rho=0.03),
    epochs=4,
    iterations=2,
    identities=4,
    warmup_epochs=0,
    milestones=(3,),
    generator_rate=1e-2,
    generator_width=0.1,
)


@dataclass(frozen=True)
class Tiny:
    """What the contract test needs to know of a method.

    Attributes:
        settings: Small settings: 4 epochs of 2 steps.
        network: Builds the encoder to start from.
        inputs: From all images, those that the method trains on, and its other arguments.
        learns: Changes with which the loss falls within a few steps on one batch.
        shared: Changes with which several processes learn what one learns, each tried.
        adam: Whether all weights are moved by Adam, at the learning rate, with its usual averages.
        tolerance: How far, relatively, the losses of several processes may differ from those of one.
        pinned: Changes with which the losses of four steps are the same on every processor.
        domains: Number of domains in a batch, each with ghost batches of its own.
    """

    settings: Any
    network: Callable[[EncoderSettings], Encoder] = encoder
    inputs: Callable[[Crops], tuple[Crops, dict[str, Any]]] = lambda images: (images, {})
    learns: dict[str, Any] = field(default_factory=dict)
    shared: tuple[dict[str, Any], ...] = ({},)
    adam: bool = True
    tolerance: float = 1e-4
    pinned: dict[str, Any] = field(default_factory=dict)
    domains: int = 1


_QUIET = {"soft_classification_weight": 0.0, "soft_triplet_weight": 0.0, "label_smoothing": 0.0}
_TEACHERS: dict[str, Any] = {"network": chain, "learns": {"learning_rate": 3e-3, **_QUIET}, "tolerance": 1e-3}
_ABMT_CLEAN: dict[str, Any] = {"ghost_batches": 1, "triplet_weight": 0.2}

TINY: dict[str, Tiny] = {
    "ice": Tiny(
        SETTINGS,
        learns={**SPLITS_CLEANLY, "warmup_epochs": 0, "learning_rate": 1e-3},
        shared=({**SPLITS_CLEANLY, "proxy_momentum": 0.9},),
    ),
    "scr": Tiny(
        SCR_SETTINGS,
        chain,
        learns={"learning_rate": 2e-3},
        shared=tuple(
            {"encoder": without_neck(SCR_SETTINGS.encoder), "center_weight": 0.1, "over_batch": reduction}
            for reduction in ("mean", "sum")
        ),
    ),
    "source": Tiny(
        SOURCE_SETTINGS,
        chain,
        labeled_source,
        learns={"learning_rate": 3e-3, "warmup_epochs": 0},
        shared=({"encoder": without_neck(SOURCE_SETTINGS.encoder), "ghost_batches": 1},),
    ),
    "abmt": Tiny(ABMT_SETTINGS, shared=({"encoder": frozen(ABMT_SETTINGS.encoder), **_ABMT_CLEAN},), **_TEACHERS),
    "mean_teacher": Tiny(
        MeanTeacherSettings(**{**vars(ABMT_SETTINGS), **MEAN_TEACHER}),
        shared=({"encoder": frozen(ENCODER), **_ABMT_CLEAN},),
        **_TEACHERS,
    ),
    "mmt": Tiny(
        MMTSettings(**{**vars(ABMT_SETTINGS), **MMT}),
        shared=({"encoder": frozen(ENCODER), **_ABMT_CLEAN},),
        **_TEACHERS,
    ),
    "cluster_contrast": Tiny(
        CLUSTER_CONTRAST_SETTINGS, learns={"learning_rate": 1e-3}, shared=({"encoder": frozen(ENCODER)},)
    ),
    "spcl": Tiny(
        SPCL_SETTINGS,
        inputs=labeled_source,
        learns={"encoder": without_neck(ENCODER), "learning_rate": 1e-3},
        shared=(
            {"encoder": frozen(ENCODER), "cluster_feature": "neck"},
            {"encoder": without_neck(ENCODER), "ghost_batches": 1},
        ),
        domains=2,
    ),
    "cap": Tiny(
        CAP_SETTINGS,
        learns={"encoder": without_neck(ENCODER), "learning_rate": 1e-3, "warmup_epochs": 0},
        shared=({"encoder": frozen(ENCODER)},),
    ),
    "gcl": Tiny(
        GCL_SETTINGS,
        inputs=lambda images: (images, {"structure": Bodies(len(images), images.size)}),
        learns={"generator": False, "encoder": frozen(ENCODER), "learning_rate": 1e-3},
        shared=({"encoder": frozen(ENCODER)},),
        adam=False,
        # Without a first moment, Adam takes full steps along gradients that are rounding errors.
        pinned={"encoder": frozen(ENCODER), "generator_rate": 1e-4},
    ),
    "jvtc": Tiny(**JVTC),
    "mmcl": Tiny(**MMCL),
    "act": Tiny(**ACT),
    "tracklet_contrast": Tiny(
        TRACKLET_CONTRAST_SETTINGS,
        inputs=tracklets,
        learns={"learning_rate": 3e-3},
        shared=({"encoder": without_neck(ENCODER)},),
    ),
}
"""Every method of `METHODS`."""


def build(
    name: str,
    images: Crops,
    variant: str = "code",
    /,
    *,
    device: DeviceSettings = DEVICE,
    seed: int = 3,
    **changes: Any,
) -> Any:
    """Build a method of `TINY`, on the images given, with some settings or arguments changed."""
    tiny, spec = TINY[name], METHODS[name]
    own = {field.name for field in dataclasses.fields(tiny.settings)}
    given = {name for name, value in changes.items() if name not in own or isinstance(value, Bodies)}
    arguments = {argument: changes.pop(argument) for argument in given}
    defaults = {key: value for key, value in spec.variants[variant].items() if key in own - {"encoder"}}
    settings = dataclasses.replace(tiny.settings, **{**defaults, **changes})
    start = tiny.network(settings.encoder)
    return spec.build(settings, images, devices=Devices(device), seed=seed, encoder=start, **arguments)


def build_on_inputs(name: str, images: Crops, variant: str = "code", /, **changes: Any) -> Any:
    """Build a method on those of the images, and with those other arguments, that `TINY` says."""
    own_images, arguments = TINY[name].inputs(images)
    return build(name, own_images, variant, **arguments, **changes)


ice, scr, abmt, source = (partial(build, name) for name in ("ice", "scr", "abmt", "source"))


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
