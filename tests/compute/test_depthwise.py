"""Depthwise convolutions on the CPU against torch's own gradients, in float64."""

from __future__ import annotations

import numba
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from resight.compute.depthwise import BLOCK, QuickDepthwise, weight_gradient
from resight.compute.devices import Devices, DeviceSettings

SHAPES = [  # images, channels, height, width, kernel, stride, padding
    (5, 7, 8, 4, (5, 5), (1, 1), (2, 2)),
    (2, BLOCK + 3, 6, 5, (3, 3), (1, 1), (1, 1)),
    (9, 4, 11, 7, (5, 5), (2, 2), (0, 0)),
    (3, 5, 9, 6, (3, 5), (2, 1), (1, 3)),
    (1, 2, 2, 2, (5, 5), (1, 1), (2, 2)),
]


def case(shape: tuple, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    images, channels, height, width, kernel, *_ = shape
    numbers = torch.Generator().manual_seed(sum(shape[:4]))
    pixels = torch.randn(images, channels, height, width, generator=numbers).to(dtype)
    weight = torch.randn(channels, 1, *kernel, generator=numbers).to(dtype)
    return pixels.contiguous(memory_format=torch.channels_last).requires_grad_(), weight.requires_grad_()


def learned(
    pixels: Tensor, weight: Tensor, shape: tuple, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor]:
    """The convolution, and its gradients for a gradient of ``dtype``, which is the same one in a finer type."""
    out = conv2d(pixels, weight, None, *shape[5:], 1, len(weight))
    ramp = torch.linspace(-1, 1, out.numel(), dtype=dtype).to(out.dtype).reshape(out.shape)
    return (out, *torch.autograd.grad(out, (pixels, weight), ramp))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "off"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_it_is_a_convolution_with_its_gradients(shape: tuple, dtype: torch.dtype, off: float) -> None:
    pixels, weight = case(shape, dtype)
    with QuickDepthwise():
        found = learned(pixels, weight, shape, dtype)
        assert "_Depthwise" in type(conv2d(pixels, weight, None, *shape[5:], 1, len(weight)).grad_fn).__name__
    expected = learned(pixels.double(), weight.double(), shape, dtype)
    for left, right in zip(found, expected, strict=True):
        assert left.dtype == dtype
        assert (left.double() - right).abs().max() <= off * right.abs().max()


def test_the_weight_gradient_is_its_definition() -> None:
    shape = SHAPES[3]
    pixels, weight = (tensor.detach() for tensor in case(shape))
    (rows, columns), (down, right), (above, before) = shape[4:]
    gradient = torch.randn(conv2d(pixels, weight, None, *shape[5:], 1, len(weight)).shape)
    around = pad(pixels, (before, before, above, above))
    naive = torch.zeros(weight.shape)
    for y in range(gradient.shape[2]):
        for x in range(gradient.shape[3]):
            window = around[:, :, y * down : y * down + rows, x * right : x * right + columns]
            naive[:, 0] += (window * gradient[:, :, y, x, None, None]).sum(0)
    found = weight_gradient(pixels, gradient, *shape[4:])
    torch.testing.assert_close(found, naive, rtol=1e-5, atol=1e-5)


def test_threads_change_no_bit() -> None:
    pixels = case(SHAPES[1])[0].detach()
    threads = numba.get_num_threads()
    found = []
    for count in (1, threads):
        numba.set_num_threads(count)
        found.append(weight_gradient(pixels, pixels, *SHAPES[1][4:]))
    numba.set_num_threads(threads)
    assert torch.equal(*found)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 8, 3, groups=4, bias=False),
        nn.Conv2d(4, 4, 3, groups=2, bias=False),
        nn.Conv2d(4, 4, 3, groups=4),
        nn.Conv2d(4, 4, 3, groups=4, bias=False, dilation=2),
        nn.Conv2d(4, 4, 3, groups=4, bias=False, padding="same"),
        nn.Conv2d(4, 4, 3, groups=4, bias=False).requires_grad_(False),
        nn.Conv2d(4, 4, 3, groups=4, bias=False).double(),
    ],
    ids=["dense", "wider", "grouped", "bias", "dilated", "named padding", "frozen", "float64"],
)
def test_every_other_convolution_is_left_alone(layer: nn.Conv2d) -> None:
    pixels = torch.randn(2, 4, 9, 8, dtype=layer.weight.dtype, requires_grad=True)
    with QuickDepthwise():
        found = layer(pixels)
    assert "_Depthwise" not in type(found.grad_fn).__name__
    assert torch.equal(found, layer(pixels))


def test_networks_learn_through_it_on_a_cpu() -> None:
    layer = nn.Conv2d(4, 4, 3, groups=4, bias=False)
    pixels = torch.randn(2, 4, 9, 8)
    for training, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        devices = Devices(DeviceSettings(accelerator="cpu", training=training))
        with devices.autocast("training"):
            found = layer(pixels)
        assert found.dtype == dtype
        assert "_Depthwise" in type(found.grad_fn).__name__
        with devices.autocast("training"), torch.no_grad():
            assert layer(pixels).grad_fn is None
