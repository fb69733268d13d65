"""The generator of GCL: a structure map and the part code of a person in, an image of the person out (thesis §5.3.1).

The structure encoder E_str turns the rendering of a body into a map. The decoder G turns that map into an image; the
four parts of the code decide mean and variance of the maps in its four residual blocks. Images are in the normalized
space of the identity encoder, so nothing bounds them.

The thesis leaves out or says otherwise: E_str ends in parallel dilated convolutions (`aspp`); two convolutions follow
the upsampling (`refinements`; the text has one less); a flat part code is channel after channel and cut into four
consecutive slices, each of which holds a quarter of the channels of all parts (`slices`).
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resight.models.identity_encoder import PARTS
from resight.models.mirrored import SLOPE, MirroredConv, ResidualBlock, active, scaled

STRIDE = 4
"""How many times smaller than the image a structure map's features are; images are multiples of it."""

DILATIONS = (3, 6, 9)

Slices = Literal["channels", "parts"]
"""What decides each residual block: a quarter of the channels of all parts, or all channels of one part."""


class StructureEncoder(nn.Module):
    """E_str: four convolutions, four residual blocks and, with ``aspp``, parallel dilated convolutions.

    Every convolution is followed by instance norm and a leaky ReLU, but for the second one of a residual block and
    the outputs of the dilated part, which have no ReLU.

    Args:
        width: Factor of the thesis' numbers of channels.
        aspp: Whether dilated convolutions give the 128 channels; otherwise the fourth convolution does.

    Attributes:
        channels: C of its maps.
    """

    def __init__(self, *, width: float = 1.0, aspp: bool = True) -> None:
        super().__init__()
        first, second, third, self.channels = (scaled(count, width) for count in (16, 32, 64, 128))
        inner = third if aspp else self.channels
        self.convolutions = nn.Sequential(
            _normed(1, first, stride=2),
            _normed(first, second),
            _normed(second, second),
            _normed(second, inner, stride=2),
        )
        self.blocks = nn.Sequential(*(ResidualBlock(inner, norm=True) for _ in range(4)))
        self.aspp = DilatedPyramid(inner, self.channels) if aspp else nn.Identity()

    def forward(self, structure: Tensor) -> Tensor:
        """Return ``(B, C, H / 4, W / 4)`` features of ``(B, 1, H, W)`` structure maps in -1..1."""
        features: Tensor = self.aspp(self.blocks(self.convolutions(structure)))
        return features


class DilatedPyramid(nn.Module):
    """Four branches, of which three see 3, 6 and 9 pixels far, fused by a convolution of 1 x 1 (ASPP).

    Args:
        channels: Channels of the map.
        out_channels: Channels of the result; each branch has a quarter of them.

    References:
        Chen et al., Rethinking atrous convolution for semantic image segmentation, 2017.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        branch = max(1, out_channels // 4)
        plain = nn.Sequential(MirroredConv(channels, branch, kernel=1), nn.InstanceNorm2d(branch))
        dilated = (
            nn.Sequential(
                _normed(channels, branch, kernel=1),
                MirroredConv(branch, branch, dilation=dilation),
                nn.InstanceNorm2d(branch),
            )
            for dilation in DILATIONS
        )
        self.branches = nn.ModuleList([plain, *dilated])
        self.fuse = nn.Sequential(MirroredConv(4 * branch, out_channels, kernel=1), nn.InstanceNorm2d(out_channels))

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``(B, C', h, w)`` of ``(B, C, h, w)`` maps."""
        fused: Tensor = self.fuse(torch.cat([branch(maps) for branch in self.branches], 1))
        return fused


class AdaptiveBlock(nn.Module):
    """A residual block whose two instance norms get their scale and bias from outside (AdaIN).

    Args:
        channels: Channels of the map.

    References:
        Huang and Belongie, Arbitrary style transfer in real-time with adaptive instance normalization, 2017.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = MirroredConv(channels, channels), MirroredConv(channels, channels)

    def forward(self, maps: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        """Return maps of the same shape; ``scale`` and ``bias`` are ``(B, 2 C)``, of both norms."""
        scales, biases = scale.chunk(2, 1), bias.chunk(2, 1)
        inner = F.leaky_relu(adapted(self.first(maps), scales[0], biases[0]), SLOPE)
        return maps + adapted(self.second(inner), scales[1], biases[1])


def adapted(maps: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Normalize each ``(h, w)`` map of ``(B, C, h, w)``, then scale and shift it by ``(B, C)`` numbers, in float32."""
    return F.instance_norm(maps.float()) * scale.float()[:, :, None, None] + bias.float()[:, :, None, None]


class Decoder(nn.Module):
    """G: four adaptive residual blocks, two upsamplings that halve the channels, and convolutions to colors.

    Args:
        channels: Channels of the structure features.
        refinements: Convolutions of 3 x 3 between the upsampling and the colors.
    """

    def __init__(self, channels: int, *, refinements: int = 2) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(AdaptiveBlock(channels) for _ in range(PARTS))
        half, last = max(1, channels // 2), max(1, channels // 4)
        layers: list[nn.Module] = []
        for before, after in ((channels, half), (half, last)):
            norm = nn.GroupNorm(1, after)  # of one group: the mean and variance of a whole image
            nn.init.uniform_(norm.weight)
            layers += [nn.Upsample(scale_factor=2), active(MirroredConv(before, after, kernel=5), norm)]
        layers += [active(MirroredConv(last, last)) for _ in range(refinements)]
        self.image = nn.Sequential(*layers, MirroredConv(last, 3, kernel=1))

    def forward(self, features: Tensor, scales: list[Tensor], biases: list[Tensor]) -> Tensor:
        """Return the images.

        Args:
            features: ``(B, C, h, w)``.
            scales: For each block, ``(B, 2 C)``.
            biases: Likewise.

        Returns:
            ``(B, 3, 4 h, 4 w)`` float32.
        """
        for block, scale, bias in zip(self.blocks, scales, biases, strict=True):
            features = block(features, scale, bias)
        images: Tensor = self.image(features)
        return images.float()


class Generator(nn.Module):
    """E_str, G and the perceptrons that turn slices of a part code into scales and biases.

    Args:
        code_width: C, a quarter of a part code's length: `IdentityEncoder.code_width`.
        width: Factor of the thesis' numbers of channels.
        aspp: Whether E_str ends in dilated convolutions.
        refinements: Convolutions between the decoder's upsampling and its last one.
        slices: How a code is cut, see `Slices`.

    References:
        Thesis §5.3.1 and §5.4.2.
    """

    def __init__(
        self,
        code_width: int,
        *,
        width: float = 1.0,
        aspp: bool = True,
        refinements: int = 2,
        slices: Slices = "channels",
    ) -> None:
        super().__init__()
        self.slices = slices
        self.structure_encoder = StructureEncoder(width=width, aspp=aspp)
        channels = self.structure_encoder.channels
        self.decoder = Decoder(channels, refinements=refinements)
        hidden = scaled(512, width)
        self.scales, self.biases = (
            nn.ModuleList(_perceptron(code_width, hidden, 2 * channels) for _ in range(PARTS)) for _ in range(2)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, mode="fan_in")
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, structure: Tensor, code: Tensor) -> Tensor:
        """Return ``(B, 3, H, W)`` images of ``(B, 1, H, W)`` structure maps in -1..1 and ``(B, 4 C)`` part codes."""
        return self.decode(self.encode_structure(structure), code)

    def encode_structure(self, structure: Tensor) -> Tensor:
        """Return the ``(B, C, H / 4, W / 4)`` features of structure maps, as `forward` takes them."""
        features: Tensor = self.structure_encoder(structure)
        return features

    def decode(self, features: Tensor, code: Tensor) -> Tensor:
        """Return the images of structure features and part codes."""
        pieces = cut_code(code, self.slices)
        scales, biases = (
            [perceptron(piece) for perceptron, piece in zip(perceptrons, pieces, strict=True)]
            for perceptrons in (self.scales, self.biases)
        )
        images: Tensor = self.decoder(features, scales, biases)
        return images


def cut_code(code: Tensor, slices: Slices) -> tuple[Tensor, ...]:
    """Cut a ``(B, C * 4)`` part code, channel after channel, into four slices of ``(B, C)``.

    With ``"channels"`` a slice is consecutive, so the j-th has a quarter of the channels, of all parts: the released
    code flattens before it cuts. With ``"parts"`` the j-th has all channels of part j.
    """
    return code.chunk(PARTS, 1) if slices == "channels" else code.view(len(code), -1, PARTS).unbind(2)


def _normed(channels: int, out_channels: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    convolution = MirroredConv(channels, out_channels, kernel=kernel, stride=stride)
    return active(convolution, nn.InstanceNorm2d(out_channels))


def _perceptron(width: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(active(nn.Linear(width, hidden)), active(nn.Linear(hidden, hidden)), nn.Linear(hidden, out))
