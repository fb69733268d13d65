"""The Inception network whose features define the FID, with weights that the user supplies.

It is Inception v3 as the FID's first code used it, and as its ports to PyTorch keep it: 1,008 classes, averages that do
not count the padding, and a maximum in the place of the last average. Ports differ in how they scale pictures, and so a
little in the FID.

References:
    Szegedy et al., Rethinking the Inception architecture for computer vision, 2016. Heusel et al., GANs trained by a
    two time-scale update rule converge to a local Nash equilibrium, 2017.
"""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.inception import Inception3, InceptionA, InceptionC, InceptionE

from resight.errors import WeightsError
from resight.files import printable
from resight.models.weights import fit, load_state

SIDE = 299
"""Height and width to which pictures are scaled, pixels."""

CLASSES = 1008
"""The classes of the network of the FID; Inception v3 of torchvision has 1,000 and gives other numbers."""

PUBLISHED = "pt_inception-2015-12-05-6726825d.pth"
"""The published file of the network's weights."""


class Inception(nn.Module):
    """The network, from pixels to the 2,048 features before its classes; its weights are random."""

    def __init__(self) -> None:
        super().__init__()
        network = Inception3(num_classes=1, aux_logits=False, init_weights=False)
        network.fc = nn.Identity()
        for name, width in (("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)):
            setattr(network, name, _BlockA(getattr(network, name).branch1x1.conv.in_channels, pool_features=width))
        for name, width in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
            setattr(network, name, _BlockC(768, channels_7x7=width))
        network.Mixed_7b, network.Mixed_7c = _BlockE(1280), _LastBlock(2048)
        self.network = network.eval()

    def forward(self, pictures: Tensor) -> Tensor:
        """Return ``(B, 2048)`` features of ``(B, 3, H, W)`` pictures in 0..1."""
        scaled = F.interpolate(pictures, (SIDE, SIDE), mode="bilinear", align_corners=False)
        features: Tensor = self.network((255 * scaled - 128) / 128)
        return features


def load_inception(path: Path) -> Inception:
    """Read the network of the FID from a file of weights.

    Raises:
        WeightsError: The file is missing or damaged, or holds another network.
    """
    state, name = load_state(path), printable(path)
    classes = {len(value) for key, value in state.items() if key.rpartition("fc.")[2] == "weight"}
    if CLASSES not in classes:
        found = f"Inception v3 of {max(classes):,} classes" if 1000 in classes else "another network"
        raise WeightsError(
            f"'{name}' holds {found}: the FID is measured with that of {CLASSES:,} classes, published as {PUBLISHED}"
        )
    inception = Inception()
    fit(inception.network, state, str(path))
    return inception


def _average(maps: Tensor) -> Tensor:
    """Average 3 x 3 pixels, of which those outside the map do not count."""
    return F.avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False)


class _BlockA(InceptionA):  # type: ignore[misc]  # torchvision has no types
    def _forward(self, x: Tensor) -> list[Tensor]:
        return [
            self.branch1x1(x),
            self.branch5x5_2(self.branch5x5_1(x)),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
            self.branch_pool(_average(x)),
        ]


class _BlockC(InceptionC):  # type: ignore[misc]
    def _forward(self, x: Tensor) -> list[Tensor]:
        double = x
        for convolution in (self.branch7x7dbl_1, self.branch7x7dbl_2, self.branch7x7dbl_3, self.branch7x7dbl_4):
            double = convolution(double)
        return [
            self.branch1x1(x),
            self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x))),
            self.branch7x7dbl_5(double),
            self.branch_pool(_average(x)),
        ]


class _BlockE(InceptionE):  # type: ignore[misc]
    def _forward(self, x: Tensor) -> list[Tensor]:
        single, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        return [
            self.branch1x1(x),
            self.branch3x3_2a(single),
            self.branch3x3_2b(single),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(self._pool(x)),
        ]

    def _pool(self, x: Tensor) -> Tensor:
        return _average(x)


class _LastBlock(_BlockE):
    def _pool(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, stride=1, padding=1)
