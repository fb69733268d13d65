"""OSNet: a small network made for re-identification, whose blocks look at several scales at once.

A block has four streams of 1, 2, 3 and 4 light convolutions, so they see 3, 5, 7 and 9 pixels of its map. One gate, the
same for all streams, weighs the channels of each by what the image shows, and their sum is added to the block's input.

The layers have the names that published weights have, so those load by name.

References:
    Zhou et al., Omni-scale feature learning for person re-identification, ICCV 2019 (Table 2 and figures 3 and 4).
"""

from __future__ import annotations

from torch import Tensor, nn

STREAMS = "abcd"
"""The letters of a block's streams: the n-th has n light convolutions."""

CHANNELS = (64, 256, 384, 512)
"""Of the stem and of the three stages, at a width of 1."""

_SHRINK = 4  # a block works on a quarter of its channels
_GATE = 16  # the gate's hidden layer has a sixteenth of the channels


class ConvNorm(nn.Module):
    """A convolution that keeps the size of the map but for its stride, batch norm and, unless linear, a ReLU."""

    def __init__(self, channels: int, out_channels: int, *, kernel: int = 1, stride: int = 1, linear: bool = False):
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.Identity() if linear else nn.ReLU(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``(B, C', h, w)`` maps."""
        activated: Tensor = self.relu(self.bn(self.conv(maps)))
        return activated


class LightConv(nn.Module):
    """A 3 x 3 convolution in two steps: a linear mix of channels, then 3 x 3 on each channel alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape."""
        activated: Tensor = self.relu(self.bn(self.conv2(self.conv1(maps))))
        return activated


class ChannelGate(nn.Module):
    """Weighs the channels of a map in 0..1 by their means over the image (the aggregation gate)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // _GATE)
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.relu = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape."""
        weights = self.fc2(self.relu(self.fc1(maps.mean((2, 3), keepdim=True)))).sigmoid()
        gated: Tensor = maps * weights
        return gated


class OmniScaleBlock(nn.Module):
    """A residual block of four streams under one gate."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        width = out_channels // _SHRINK
        self.conv1 = ConvNorm(channels, width)
        self.conv2a = LightConv(width)
        self.conv2b, self.conv2c, self.conv2d = (
            nn.Sequential(*(LightConv(width) for _ in range(depth))) for depth in (2, 3, 4)
        )
        self.gate = ChannelGate(width)
        self.conv3 = ConvNorm(width, out_channels, linear=True)
        self.downsample = ConvNorm(channels, out_channels, linear=True) if channels != out_channels else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        """Turn ``(B, C, h, w)`` into ``(B, C', h, w)``."""
        reduced = self.conv1(maps)
        streams = (getattr(self, f"conv2{letter}") for letter in STREAMS)
        scales = sum(self.gate(stream(reduced)) for stream in streams)
        activated: Tensor = self.relu(self.conv3(scales) + self.downsample(maps))
        return activated


class OSNet(nn.Module):
    """The network up to its last map.

    Args:
        width: Factor of the numbers of channels: 1, 0.75, 0.5 or 0.25 in the paper.
        last_stride: Stride of the last step that halves the map; 1 keeps it twice as fine.

    Attributes:
        channels: C of the last map.
    """

    def __init__(self, *, width: float = 1.0, last_stride: int = 2) -> None:
        super().__init__()
        stem, second, third, fourth = (round(width * channels) for channels in CHANNELS)
        self.channels = fourth
        self.conv1 = ConvNorm(3, stem, kernel=7, stride=2)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv2 = _stage(stem, second, stride=2)
        self.conv3 = _stage(second, third, stride=last_stride)
        self.conv4 = nn.Sequential(OmniScaleBlock(third, fourth), OmniScaleBlock(fourth, fourth))
        self.conv5 = ConvNorm(fourth, fourth)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return the ``(B, C, H / 16, W / 16)`` maps of ``(B, 3, H, W)`` normalized images."""
        maps = self.conv2(self.maxpool(self.conv1(images)))
        last: Tensor = self.conv5(self.conv4(self.conv3(maps)))
        return last


def _stage(channels: int, out_channels: int, *, stride: int) -> nn.Sequential:
    """Build two blocks and a transition, which mixes the channels and averages pixels."""
    transition = nn.Sequential(ConvNorm(out_channels, out_channels), nn.AvgPool2d(stride, stride=stride))
    return nn.Sequential(OmniScaleBlock(channels, out_channels), OmniScaleBlock(out_channels, out_channels), transition)
