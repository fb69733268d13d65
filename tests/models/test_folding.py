"""Batch norms become part of the convolutions, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tiny
from resight.devices import Devices
from resight.extraction import embed_crops
from resight.models.backbones import Backbone
from resight.models.encoder import Encoder, EncoderSettings
from resight.models.folding import folded


def shaken(encoder: Encoder) -> Encoder:
    """Give each batch norm statistics and weights of its own."""
    torch.manual_seed(1)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for values, low in ((module.running_mean, -0.2), (module.running_var, 0.6), (module.weight, 0.7)):
                assert values is not None
                nn.init.uniform_(values, low, low + 0.6)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return encoder.eval()


def norms(encoder: Encoder) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in encoder.modules())


@pytest.mark.parametrize(
    "settings",
    [
        EncoderSettings("test_efficientnet", "none", 64, 32, 2),
        EncoderSettings("resnet50", "none", 64, 32, 1, pooling="gem"),
        EncoderSettings("resnet50", "none", 64, 32, 1, head="p1+p2(s2c2)", head_width=16),
    ],
    ids=["activations in the norms", "ResNet", "branches"],
)
def test_a_folded_encoder_gives_the_same_vectors(settings: EncoderSettings) -> None:
    torch.manual_seed(0)
    encoder = shaken(Encoder(settings))
    before = encoder.digest()
    changed = folded(encoder)
    assert norms(encoder) > 0 == norms(changed)
    images = torch.rand(3, 3, *settings.size)
    with torch.no_grad():
        torch.testing.assert_close(changed.embed(images), encoder.embed(images), atol=2e-5, rtol=0)
        torch.testing.assert_close(changed.pool(images), encoder.pool(images), atol=1e-4, rtol=1e-3)
    assert encoder.digest() == before


class NormFirst(nn.Module):
    """A network that computes in another order than it is registered in."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.conv(self.norm(images).relu())
        return features


def test_a_network_of_another_order_stays_as_it_is() -> None:
    torch.manual_seed(0)
    encoder = shaken(Encoder(tiny.ENCODER, Backbone(NormFirst(), 3)))
    assert folded(encoder) is encoder


def test_vectors_do_not_depend_on_the_batch_or_the_folding(tiny_market, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, images = shaken(tiny.encoder()), tiny.crops(tiny_market)
    devices = Devices(tiny.DEVICE)
    found = embed_crops(encoder, images, devices=devices)
    with torch.no_grad():
        plain = encoder.embed(images.pixels(slice(None)).permute(0, 3, 1, 2) / 255)
    np.testing.assert_allclose(found, plain.numpy(), atol=1e-5)
    monkeypatch.setattr("resight.extraction.PIXELS", 5 * 64 * 32)
    np.testing.assert_allclose(embed_crops(encoder, images, devices=devices), found, atol=1e-5)
