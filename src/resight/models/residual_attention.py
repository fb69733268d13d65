"""Attention-56, a Residual Attention Network: a ResNet whose maps are multiplied by learned masks.

Three stages have a unit and an attention module each; three units follow. An attention module multiplies the maps T of
its trunk branch by 1 + M. The mask M, 0..1 for each pixel and channel, raises what matters and cannot erase the rest.

The paper publishes no weights and leaves out details. Here the shortcut of a unit that changes the size is a
convolution of the activated maps, as in He et al.; pooling windows are 3 x 3; a skip connection is one unit; norm and
ReLU come before each of the mask's two 1 x 1 convolutions. So the network has 31.81 million parameters on ImageNet and
takes 6.27 billion multiplications for an image of 224 x 224; the paper says 31.9 million and 6.2 billion.

References:
    Wang et al., Residual attention network for image classification, 2017. He et al., Identity mappings in deep
    residual networks, 2016: the pre-activation unit. Thesis §3.2, figure 3.2 (g).
"""

from __future__ import annotations

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS = (256, 512, 1024, 2048)
"""Of the maps of the four stages."""

HALVINGS = (3, 2, 1)
"""How often the mask branch of the first three stages halves its map: down to 7 x 7 for an image of 224 x 224."""


class ResidualUnit(nn.Module):
    """A bottleneck with norm and ReLU before each convolution.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output; the bottleneck has a quarter of them.
        stride: Of its 3 x 3 convolution.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        width = outputs // 4
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, width, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.norm3, self.conv3 = nn.BatchNorm2d(width), nn.Conv2d(width, outputs, 1, bias=False)
        resized = inputs != outputs or stride != 1
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if resized else None

    def forward(self, maps: Tensor) -> Tensor:
        """Turn ``(B, inputs, H, W)`` into ``(B, outputs, H / stride, W / stride)``, rounded up."""
        active = self.norm1(maps).relu()
        added: Tensor = self.conv2(self.norm2(self.conv1(active)).relu())
        added = self.conv3(self.norm3(added).relu())
        return added + (maps if self.shortcut is None else self.shortcut(active))


class SoftMask(nn.Module):
    """The mask branch: it halves the map several times to see far, and interpolates it back to its size.

    A unit follows each pooling and precedes each interpolation (r = 1, so two at the smallest map). A skip connection
    with a unit of its own joins the maps of the same size.

    Args:
        channels: Of the map.
        halvings: How often it is halved, 1 or more.
    """

    def __init__(self, channels: int, halvings: int) -> None:
        super().__init__()
        self.down, self.up, self.skip = (
            nn.ModuleList(ResidualUnit(channels, channels) for _ in range(count))
            for count in (halvings, halvings, halvings - 1)
        )
        layers = [nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 1, bias=False)]
        layers += [nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 1, bias=False)]
        self.weigh = nn.Sequential(*layers, nn.Sigmoid())

    def forward(self, maps: Tensor) -> Tensor:
        """Return the mask of ``(B, C, H, W)`` maps, of the same shape, in 0..1."""
        levels = [maps]
        for unit in self.down:
            levels.append(unit(F.max_pool2d(levels[-1], 3, 2, 1)))
        maps = levels[-1]
        for level in range(len(self.up) - 1, -1, -1):
            size = levels[level].shape[2:]
            maps = F.interpolate(self.up[level](maps), size, mode="bilinear", align_corners=False)
            maps = maps + self.skip[level - 1](levels[level]) if level else maps
        weights: Tensor = self.weigh(maps)
        return weights


class AttentionModule(nn.Module):
    """A unit (p = 1), the trunk's two units (t = 2) weighed by the mask, and a unit (p = 1).

    Args:
        channels: Of the map.
        halvings: Of the mask branch.
    """

    def __init__(self, channels: int, halvings: int) -> None:
        super().__init__()
        self.before = ResidualUnit(channels, channels)
        self.trunk = nn.Sequential(ResidualUnit(channels, channels), ResidualUnit(channels, channels))
        self.mask = SoftMask(channels, halvings)
        self.after = ResidualUnit(channels, channels)

    def forward(self, maps: Tensor) -> Tensor:
        """Weigh ``(B, C, H, W)`` maps: (1 + M) T, eq. 3."""
        maps = self.before(maps)
        weighed: Tensor = self.after((1 + self.mask(maps)) * self.trunk(maps))
        return weighed


def attention56() -> nn.Sequential:
    """Build the network up to its last map: ``(B, 3, H, W)`` images in, ``(B, 2048, H / 32, W / 32)`` out.

    References:
        Wang et al., 2017, table 2.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        norm1=nn.BatchNorm2d(64),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(3, 2, 1),
    )
    inputs = 64
    for stage, (outputs, halvings) in enumerate(zip(CHANNELS, (*HALVINGS, 0), strict=True), start=1):
        unit = ResidualUnit(inputs, outputs, stride=1 if stage == 1 else 2)
        rest = [AttentionModule(outputs, halvings)] if halvings else [ResidualUnit(outputs, outputs) for _ in range(2)]
        layers[f"layer{stage}"] = nn.Sequential(unit, *rest)
        inputs = outputs
    network = nn.Sequential(layers | {"norm2": nn.BatchNorm2d(inputs), "relu2": nn.ReLU()})
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network
