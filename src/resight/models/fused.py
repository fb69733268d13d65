"""Encoders that are faster on a CPU: batch norms and activations are fused into the convolutions.

A convolution, its batch norm and its activation are three passes over a map. Each reads and writes the whole map, and
the last two compute next to nothing. oneDNN does all three in one pass. If the statistics of the batch norms are fixed,
a network can also learn this way: its weights, and those of its batch norms, get their gradients from the fused ones.
"""

from __future__ import annotations

import copy
from itertools import chain, pairwise
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from resight.compute import depthwise
from resight.models.encoder import Encoder

TOLERANCE = 1e-3
"""How far, relative to their length, the maps of a fused backbone may differ from those of the backbone."""

_ACTIVATIONS: dict[type[nn.Module], tuple[str, list[float]]] = {
    nn.Identity: ("none", []),
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
    nn.SiLU: ("swish", []),
    nn.Hardswish: ("hardswish", []),
}
"""The activations that oneDNN can fuse, by its own names and numbers."""

_LEARNED = (nn.Identity, nn.ReLU, nn.ReLU6)
"""Activations whose gradient follows from their output."""

Network = Any

Geometry: TypeAlias = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int]
"""Stride, padding, dilation and groups of a convolution."""


@torch.no_grad()
def fuse(encoder: Encoder, *, trainable: bool = False) -> Encoder:
    """Return an encoder of the same weights that computes the same in fewer passes over its maps.

    A batch norm with fixed statistics is assumed to follow the convolution registered just before it. Otherwise the
    result differs; a random image checks that.

    Args:
        encoder: Its batch norms are in evaluation mode, or frozen.
        trainable: Whether later changes of the weights count; otherwise each weight is fused once.

    Returns:
        An encoder that shares the neck and all weights; the encoder itself on a GPU, if a batch norm of its backbone
        uses batch statistics, or if fusing changes the result.
    """
    norms = [m for m in encoder.backbone.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if encoder.mean.device.type != "cpu" or any(norm.training for norm in norms):
        return encoder
    tensors = chain(encoder.backbone.parameters(), encoder.backbone.buffers())
    backbone = copy.deepcopy(encoder.backbone, {id(tensor): tensor for tensor in tensors})
    for parent in list(backbone.modules()):
        for (first, one), (second, other) in pairwise(list(parent.named_children())):
            if isinstance(one, nn.Conv2d) and _is_plain(one) and isinstance(other, nn.BatchNorm2d):
                # Batch norms of timm go on with an activation.
                rest = [getattr(other, part) for part in ("drop", "act") if hasattr(other, part)]
                rest = [module for module in rest if not isinstance(module, nn.Identity)]
                within = rest.pop(0) if rest and type(rest[0]) in _ACTIVATIONS else nn.Identity()
                setattr(parent, first, FusedConv(one, other, within, trainable=trainable))
                setattr(parent, second, nn.Sequential(*rest))
    images = torch.randn(1, 3, *encoder.settings.size, generator=torch.Generator().manual_seed(0))
    images = images.contiguous(memory_format=torch.channels_last)
    return sharing(encoder, backbone=backbone) if _nearly_equal(backbone(images), encoder.backbone(images)) else encoder


def fuse_within(network: nn.Module) -> nn.Module:
    """Return a network with its encoder fused, to be trained: an encoder itself, or a module with a child `encoder`."""
    if isinstance(network, Encoder):
        return fuse(network, trainable=True)
    encoder = network.get_submodule("encoder")
    assert isinstance(encoder, Encoder)
    fused: nn.Module = sharing(network, encoder=fuse(encoder, trainable=True))
    return fused


def sharing(module: Network, **children: nn.Module) -> Network:
    """Return a module that shares everything with another, except for some children."""
    other = copy.copy(module)
    other._modules = {**module._modules, **children}
    return other


class FusedConv(nn.Module):
    """A convolution, the batch norm after it, with fixed statistics, and the activation after that, in one.

    Args:
        convolution: The convolution.
        norm: The batch norm.
        activation: One that oneDNN can fuse.
        trainable: Whether their weights may change.
    """

    def __init__(self, convolution: nn.Conv2d, norm: nn.BatchNorm2d, activation: nn.Module, *, trainable: bool) -> None:
        super().__init__()
        # Not as children: they belong to the encoder, which trains them, saves them and sets their mode.
        self._parts = convolution, norm, activation
        self.trainable = trainable
        self._cache: dict[Any, tuple[Tensor, Tensor]] = {}

    def forward(self, maps: Tensor) -> Tensor:
        """Return the ``(B, C', h', w')`` of ``(B, C, h, w)`` maps, in the precision of autocast."""
        convolution, _, activation = self._parts
        autocast = torch.is_autocast_enabled("cpu")
        dtype = torch.get_autocast_dtype("cpu") if autocast else convolution.weight.dtype
        sides = [_padding(convolution, axis, maps.shape[2 + axis]) for axis in (0, 1)]
        maps = maps.to(dtype)
        if max(convolution.dilation) > 1:
            maps = F.pad(maps, (*sides[1], *sides[0]))
            sides = [(0, 0), (0, 0)]
        # oneDNN pads both sides of a map equally. If the padding after it is longer, zeros before the kernel make up.
        grown, padding = tuple(after - before for before, after in sides), tuple(after for _, after in sides)
        with torch.autocast("cpu", enabled=False):
            weight, bias = self._fuse_weights(dtype, grown)
            geometry = convolution.stride, padding, convolution.dilation, convolution.groups
            if torch.is_grad_enabled() and not isinstance(activation, _LEARNED):
                activated: Tensor = activation(_Convolve.apply(maps, weight, bias, geometry, nn.Identity()))
                return activated
            activated = _Convolve.apply(maps, weight, bias, geometry, activation)
            return activated

    def _fuse_weights(self, dtype: torch.dtype, grown: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Return the weights, with zeros above and to the left of each kernel, and the bias."""
        if (dtype, grown) in self._cache:
            return self._cache[dtype, grown]
        convolution, norm, _ = self._parts
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = (norm.running_var + norm.eps).rsqrt()
        scale = scale if norm.weight is None else scale * norm.weight
        bias = -norm.running_mean if convolution.bias is None else convolution.bias - norm.running_mean
        bias = bias * scale if norm.bias is None else bias * scale + norm.bias
        weight = convolution.weight * scale[:, None, None, None]
        if any(grown):
            weight = F.pad(weight, (grown[1], 0, grown[0], 0))
        fused = weight.to(dtype).contiguous(memory_format=torch.channels_last), bias.to(dtype)
        if not self.trainable:
            self._cache[dtype, grown] = fused
        return fused


def _is_plain(convolution: nn.Conv2d) -> bool:
    """Return whether it only convolves; other kinds standardize their weights, for example."""
    plain = type(convolution) in (nn.Conv2d, Conv2dSame) and convolution.padding_mode == "zeros"
    return plain and not isinstance(convolution.padding, str)


def _padding(convolution: nn.Conv2d, axis: int, length: int) -> tuple[int, int]:
    """Return the number of zeros before and after a map along an axis."""
    if not isinstance(convolution, Conv2dSame):
        assert not isinstance(convolution.padding, str)
        return convolution.padding[axis], convolution.padding[axis]
    stride, reach = convolution.stride[axis], (convolution.kernel_size[axis] - 1) * convolution.dilation[axis] + 1
    missing = max((-(-length // stride) - 1) * stride + reach - length, 0)
    return missing // 2, missing - missing // 2


class _Convolve(torch.autograd.Function):
    """A convolution and the activation behind it."""

    @staticmethod
    def forward(
        context: Any, maps: Tensor, weight: Tensor, bias: Tensor, geometry: Geometry, activation: nn.Module
    ) -> Tensor:
        stride, padding, dilation, groups = geometry
        if _has_onednn(maps.dtype):
            name, numbers = _ACTIVATIONS[type(activation)]
            out: Tensor = torch.ops.mkldnn._convolution_pointwise(
                maps, weight, bias, padding, stride, dilation, groups, name, numbers, ""
            )
        else:
            out = activation(F.conv2d(maps, weight, bias, stride, padding, dilation, groups))
        # Without an activation the gradient does not need what came out, which then may be changed in place.
        context.save_for_backward(maps, weight, None if isinstance(activation, nn.Identity) else out)
        context.how = geometry, type(activation)
        return out

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        maps, weight, out = context.saved_tensors
        (stride, padding, dilation, groups), activation = context.how
        if activation is nn.ReLU6:
            gradient = torch.ops.aten.hardtanh_backward(gradient, out, 0.0, 6.0)
        elif activation is nn.ReLU:
            gradient = torch.ops.aten.threshold_backward(gradient, out, 0.0)
        needs = context.needs_input_grad[:3]
        if groups == len(weight) == maps.shape[1] > 1 and max(dilation) == 1:
            image_gradient = depthwise.image_gradient(maps, gradient, weight, stride, padding) if needs[0] else None
            weight_gradient = depthwise.weight_gradient(maps, gradient, tuple(weight.shape[2:]), stride, padding)
            return image_gradient, weight_gradient.to(weight.dtype), gradient.sum((0, 2, 3)), None, None
        rest = ([len(weight)], stride, padding, dilation, False, (0, 0), groups, needs)
        return *torch.ops.aten.convolution_backward(gradient, maps, weight, *rest), None, None


def _has_onednn(dtype: torch.dtype) -> bool:
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not available or not hasattr(torch.ops.mkldnn, "_convolution_pointwise"):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _nearly_equal(maps: Any, expected: Any) -> bool:
    pairs = [(maps, expected)] if isinstance(expected, Tensor) else list(zip(maps, expected, strict=True))
    return all(float((one - other).norm()) <= TOLERANCE * float(other.norm()) for one, other in pairs)
