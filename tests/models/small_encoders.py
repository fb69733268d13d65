"""Encoders small enough to build in each test, and images for them."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from resight.models.backbones import Backbone
from resight.models.encoder import Encoder, EncoderSettings

SMALL = EncoderSettings(backbone="test_efficientnet", weights="none", height=64, width=32, last_stride=2)
"""A network of timm's own tests: 0.4 million parameters, no weights to fetch."""


def small(**changes) -> Encoder:
    torch.manual_seed(0)
    return Encoder(dataclasses.replace(SMALL, **changes))


def toy(**changes) -> Encoder:
    """A convolution and a batch norm: small enough to follow by hand."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    return Encoder(dataclasses.replace(SMALL, **changes), Backbone(network, 4))


def pictures(count: int, seed: int = 0, size: tuple[int, int] = (64, 32)) -> Tensor:
    return torch.rand((count, 3, *size), generator=torch.Generator().manual_seed(seed))


def statistics(encoder: Encoder, part: str = "") -> dict[str, Tensor]:
    return {n: b.clone() for n, b in encoder.named_buffers() if "running" in n and n.startswith(part)}


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(value, right[name]) for name, value in left.items())
