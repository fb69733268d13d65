"""Depthwise convolutions with a fast weight gradient on a CPU.

A depthwise convolution multiplies little and reads much. torch's gradient of its weights is slow on the small feature
maps of person crops, and several times slower in bfloat16. With it, a step of EfficientNet-Lite0 gains nothing from
bfloat16 (docs/numerics.md). The kernel here reads each value once and keeps the sums of a block of channels in the
cache.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from numba import prange
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d
from torch.overrides import TorchFunctionMode

from resight.numerics.compiled import njit
from resight.records import Floats

Pair: TypeAlias = tuple[int, int]
Bits = npt.NDArray[np.unsignedinteger]

BLOCK = 256
"""Channels to sum up at once: 25 float32 of each fit into a second-level cache."""

PARTS = 8
"""Parts to sum up a batch's images in, the same for every number of threads, so that the sums are the same too."""


class QuickDepthwise(TorchFunctionMode):
    """A context in which depthwise convolutions on the CPU use `weight_gradient`; nothing else changes."""

    def __torch_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), named: dict[str, Any] | None = None
    ) -> Any:
        """Run ``function``."""
        named = named or {}
        if function is conv2d and torch.is_grad_enabled():
            depthwise = _depthwise_arguments(*arguments, **named)
            if depthwise is not None:
                return _Depthwise.apply(*depthwise)
        return function(*arguments, **named)


def _depthwise_arguments(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> tuple[Tensor, Tensor, Pair, Pair] | None:
    """Convert the arguments of `conv2d` to those of `_Depthwise`; None if it does not support them."""
    depthwise = groups == len(weight) == input.shape[-3] > 1
    if not depthwise or bias is not None or input.device.type != "cpu" or not weight.requires_grad:
        return None
    if isinstance(padding, str) or _pair(dilation) != (1, 1) or input.ndim != 4:
        return None
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        input, weight = input.to(dtype), weight.to(dtype)
    return (input, weight, _pair(stride), _pair(padding)) if input.dtype in (torch.float32, torch.bfloat16) else None


def _pair(number: int | Pair) -> Pair:
    return (number, number) if isinstance(number, int) else (number[0], number[1])


class _Depthwise(torch.autograd.Function):
    """``conv2d`` of each channel with its own kernel."""

    @staticmethod
    def forward(context: Any, images: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
        context.save_for_backward(images, weight)
        context.geometry = stride, padding
        with torch.autocast("cpu", enabled=False):
            return conv2d(images, weight, None, stride, padding, 1, len(weight))

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        images, weight = context.saved_tensors
        stride, padding = context.geometry
        of_images = image_gradient(images, gradient, weight, stride, padding) if context.needs_input_grad[0] else None
        of_weight = weight_gradient(images, gradient, (weight.shape[2], weight.shape[3]), stride, padding)
        return of_images, of_weight.to(weight.dtype), None, None


def image_gradient(images: Tensor, gradient: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
    """Compute the gradient of a depthwise convolution's input; shapes as in `weight_gradient`."""
    dtype = torch.float32 if max(stride) > 1 else images.dtype  # torch is slow at strided ones in bfloat16
    tensors = [tensor.to(dtype) for tensor in (gradient, images, weight)]
    options = (None, stride, padding, (1, 1), False, (0, 0), len(weight), (True, False, False))
    input_gradient: Tensor = torch.ops.aten.convolution_backward(*tensors, *options)[0]
    return input_gradient.to(images.dtype)


def weight_gradient(images: Tensor, gradient: Tensor, kernel: Pair, stride: Pair, padding: Pair) -> Tensor:
    """Compute the gradient of a depthwise convolution's weights.

    For each weight, it sums the inputs that the weight multiplies times the gradients of their outputs.

    Args:
        images: ``(B, C, H, W)``, the input; fastest with channels last in memory, as the gradient.
        gradient: ``(B, C, H', W')``, of the output.
        kernel: Height and width of a channel's kernel.
        stride: Vertical and horizontal.
        padding: Zeros above and below, left and right.

    Returns:
        ``(C, 1, height, width)`` in float32.
    """
    inputs, outputs = (_bits(tensor) for tensor in (images, gradient.to(images.dtype)))
    sums = np.empty((PARTS, *kernel, inputs.shape[3]), np.float32)
    _correlate(inputs, outputs, 16 if images.dtype == torch.bfloat16 else 0, stride, padding, sums)
    return torch.from_numpy(sums.sum(0)).permute(2, 0, 1)[:, None]


def _bits(tensor: Tensor) -> Bits:
    """Return a ``(B, C, H, W)`` tensor's bits as ``(B, H, W, C)`` integers. A bfloat16 is half a float32."""
    kind = torch.int16 if tensor.dtype == torch.bfloat16 else torch.int32
    bits = tensor.permute(0, 2, 3, 1).contiguous().view(kind).numpy()
    return bits.view(np.uint16 if bits.dtype == np.int16 else np.uint32)


@njit(cache=True, fastmath={"reassoc", "contract", "nsz"})
def _correlate_row(inputs: Floats, outputs: Floats, stride: int, padding: int, sums: Floats) -> None:
    """Compute ``sums[j] += inputs[x * stride + j - padding] * outputs[x]`` for all x and j."""
    for x in range(len(outputs)):
        start = x * stride - padding
        right = outputs[x]
        for j in range(max(0, -start), min(len(sums), len(inputs) - start)):
            left = inputs[start + j]
            total = sums[j]
            for c in range(len(total)):
                total[c] += left[c] * right[c]


@njit(cache=True)
def _widen(bits: Bits, shift: int, wide: Bits) -> None:
    """Compute ``wide[..., : bits.shape[2]] = bits << shift``, which converts bfloat16 to float32."""
    for y in range(bits.shape[0]):
        for x in range(bits.shape[1]):
            for c in range(bits.shape[2]):
                wide[y, x, c] = np.uint32(bits[y, x, c]) << np.uint32(shift)


@njit(cache=True, parallel=True)
def _correlate(inputs: Bits, outputs: Bits, shift: int, stride: Pair, padding: Pair, sums: Floats) -> None:
    """Fill ``(PARTS, h, w, C)`` sums of ``(B, H, W, C)`` inputs times ``(B, H', W', C)`` gradients."""
    parts, rows, columns, channels = sums.shape
    blocks = (channels + BLOCK - 1) // BLOCK
    for piece in prange(parts * blocks):
        part, low = piece // blocks, piece % blocks * BLOCK
        width = min(BLOCK, channels - low)
        block = np.zeros((rows, columns, width), np.float32)
        bits = np.empty((*inputs.shape[1:3], width), np.uint32), np.empty((*outputs.shape[1:3], width), np.uint32)
        images, gradients = bits[0].view(np.float32), bits[1].view(np.float32)
        for image in range(part * len(inputs) // parts, (part + 1) * len(inputs) // parts):
            _widen(inputs[image, :, :, low : low + width], shift, bits[0])
            _widen(outputs[image, :, :, low : low + width], shift, bits[1])
            for y in range(len(gradients)):
                start = y * stride[0] - padding[0]
                for i in range(max(0, -start), min(rows, len(images) - start)):
                    _correlate_row(images[start + i], gradients[y], stride[1], padding[1], block[i])
        sums[part, :, :, low : low + width] = block
