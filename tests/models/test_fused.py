"""Batch norms become part of the convolutions, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn

import tiny
from resight.compute.devices import Devices
from resight.models import fused as folding
from resight.models.backbones import Backbone
from resight.models.encoder import Encoder, EncoderSettings
from resight.models.fused import FusedConv, fuse, sharing
from resight.retrieval.extraction import embed_crops


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
    changed = fuse(encoder)
    assert norms(encoder) > 0 == norms(changed)
    images = torch.rand(3, 3, *settings.size)
    with torch.no_grad():
        torch.testing.assert_close(changed.embed(images), encoder.embed(images), atol=2e-5, rtol=0)
        torch.testing.assert_close(changed.pool(images), encoder.pool(images), atol=1e-4, rtol=1e-3)
    assert encoder.digest() == before


@pytest.mark.parametrize("activation", [nn.Identity, nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish])
@pytest.mark.parametrize("onednn", [True, False])
@pytest.mark.parametrize("size", [(16, 8), (15, 8), (16, 9), (15, 9)])
def test_a_folded_convolution_is_the_three_layers_and_learns_as_they_do(
    activation: type[nn.Module], onednn: bool, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not onednn:
        monkeypatch.setattr(folding, "_has_onednn", lambda dtype: False)
    torch.manual_seed(0)
    maps = 4 * torch.randn(2, 6, *size)
    for kernel in (1, 3, 5):
        for more in ({"stride": 2}, {"stride": 1, "groups": 6}, {"stride": (1, 2), "bias": False}, {"dilation": 2}):
            ways = [Conv2dSame(6, 6, kernel, **more), nn.Conv2d(6, 6, kernel, padding=kernel // 2, **more)]
            for convolution in ways:
                norm = nn.BatchNorm2d(6).eval()
                for values in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
                    nn.init.uniform_(values, 0.5, 1.5)
                three = nn.Sequential(convolution, norm, activation())
                one = FusedConv(convolution, norm, activation(), trainable=True)
                seen = maps.clone().requires_grad_()
                learning = [seen, *three.parameters()]
                expected, found = three(seen), one(seen)
                torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
                weights = torch.randn_like(expected)
                for theirs, ours in zip(
                    torch.autograd.grad((expected * weights).sum(), learning),
                    torch.autograd.grad((found * weights).sum(), learning),
                    strict=True,
                ):
                    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def test_a_folded_encoder_is_near_in_bfloat16() -> None:
    """As near to the vectors in float32 as the encoder in bfloat16 is."""
    torch.manual_seed(0)
    encoder = shaken(Encoder(EncoderSettings("tf_efficientnet_lite0", "none", 64, 32, 2)))
    images = torch.rand(4, 3, 64, 32)
    with torch.no_grad():
        exact = encoder.embed(images)
        with torch.autocast("cpu", torch.bfloat16):
            plain, quick = encoder.embed(images), fuse(encoder).embed(images)
    losses = [1 - (vectors * exact).sum(1) for vectors in (plain, quick)]
    assert float(losses[0].max()) > 0
    assert float(losses[1].max()) < 1.5 * float(losses[0].max()) + 1e-5


def test_a_live_one_follows_the_weights_and_another_keeps_them() -> None:
    torch.manual_seed(0)
    encoder = shaken(Encoder(EncoderSettings("test_efficientnet", "none", 64, 32, 2)))
    images = torch.rand(2, 3, 64, 32)
    trainable, kept = fuse(encoder, trainable=True), fuse(encoder)
    with torch.no_grad():
        before = encoder.embed(images)
        for view in (trainable, kept):
            torch.testing.assert_close(view.embed(images), before, atol=2e-5, rtol=0)
        for parameter in encoder.parameters():
            parameter.data *= 1.3
        after = encoder.embed(images)
        assert float((after * before).sum(1).max()) < 0.999
        torch.testing.assert_close(trainable.embed(images), after, atol=2e-5, rtol=0)
        # The neck is the encoder's own; only what was folded is of before.
        torch.testing.assert_close(kept.pool(images), fuse(kept).pool(images), atol=1e-4, rtol=1e-3)
        assert float(F.cosine_similarity(kept.pool(images), encoder.pool(images)).max()) < 0.999


@pytest.mark.parametrize(
    "settings",
    [
        EncoderSettings("tf_efficientnet_lite0", "none", 64, 32, 2, batchnorm="frozen", frozen_stages=2),
        EncoderSettings("tf_efficientnet_lite0", "none", 65, 33, 2, batchnorm="frozen", head="a+m"),
        EncoderSettings("mobilenetv3_small_100", "none", 64, 32, 2, batchnorm="frozen"),
        EncoderSettings("resnet50", "none", 64, 32, 1, batchnorm="frozen"),
    ],
    ids=["frozen stages", "branches", "other activations", "ResNet"],
)
def test_a_live_one_learns_the_same(settings: EncoderSettings) -> None:
    torch.manual_seed(0)
    encoder = shaken(Encoder(settings)).train()
    encoder.neck.eval()  # of few images it would make much of every rounding
    view = fuse(encoder, trainable=True)
    assert norms(view) == 0
    images, weights = torch.rand(4, 3, *settings.size), torch.randn(4, encoder.dim)
    taken = []
    for network in (encoder, view):
        encoder.zero_grad()
        (network(images) * weights).sum().backward()
        taken.append({name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None})
    plain, quick = taken
    assert set(plain) == set(quick)
    assert len(plain) > 20
    apart = {name: float((quick[name] - gradient).norm() / gradient.norm()) for name, gradient in plain.items()}
    assert max(apart.values()) < 0.03, (
        apart
    )  # a value within rounding of an activation's kink, and all below it differs


@pytest.mark.parametrize("activation", [nn.Identity, nn.ReLU, nn.ReLU6])
@pytest.mark.parametrize("groups", [1, 2])
def test_gradients_are_those_of_finite_differences(activation: type[nn.Module], groups: int) -> None:
    torch.manual_seed(0)
    maps = (3 * torch.randn(2, 4, 6, 5, dtype=torch.float64)).requires_grad_()
    weight = torch.randn(4, 4 // groups, 3, 3, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, dtype=torch.float64, requires_grad=True)
    geometry = (2, 1), (1, 1), (1, 1), groups
    assert torch.autograd.gradcheck(
        lambda *tensors: folding._Convolve.apply(*tensors, geometry, activation()), (maps, weight, bias)
    )


def test_convolutions_of_other_kinds_stay() -> None:
    torch.manual_seed(0)
    reflecting = nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")
    layers = (reflecting, nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding="same"), nn.BatchNorm2d(4))
    encoder = shaken(Encoder(tiny.ENCODER, Backbone(nn.Sequential(*layers), 4)))
    view = fuse(encoder)
    assert norms(view) == 2
    images = torch.rand(2, 3, *tiny.ENCODER.size)
    assert torch.equal(view.embed(images), encoder.embed(images))


def test_norms_that_measure_batches_are_not_folded_nor_moved() -> None:
    encoder = shaken(Encoder(EncoderSettings("test_efficientnet", "none", 64, 32, 2))).train()
    before = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
    assert fuse(encoder, trainable=True) is encoder
    for name, buffer in encoder.named_buffers():
        assert torch.equal(buffer, before[name]), name


def test_frozen_norms_are_folded_while_the_neck_learns() -> None:
    torch.manual_seed(0)
    encoder = shaken(Encoder(EncoderSettings("test_efficientnet", "none", 64, 32, 2, batchnorm="frozen"))).train()
    view = fuse(encoder, trainable=True)
    assert norms(view) == 0
    assert view.training
    assert view.neck is encoder.neck
    mean = encoder.neck.running_mean.clone()
    view(torch.rand(4, 3, 64, 32))
    assert not torch.equal(encoder.neck.running_mean, mean)


def test_what_shares_children_leaves_the_other_as_it_was() -> None:
    pair = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    other = sharing(pair, **{"1": nn.Identity()})
    assert other[0] is pair[0]
    assert isinstance(pair[1], nn.ReLU)
    assert isinstance(other[1], nn.Identity)


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
    assert fuse(encoder) is encoder


def test_vectors_do_not_depend_on_the_batch_or_the_folding(tiny_market, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, images = shaken(tiny.encoder()), tiny.crops(tiny_market)
    devices = Devices(tiny.DEVICE)
    found = embed_crops(encoder, images, devices=devices)
    with torch.no_grad():
        plain = encoder.embed(images.pixels(slice(None)).permute(0, 3, 1, 2) / 255)
    np.testing.assert_allclose(found, plain.numpy(), atol=1e-5)
    monkeypatch.setattr("resight.retrieval.extraction.PIXELS", 5 * 64 * 32)
    np.testing.assert_allclose(embed_crops(encoder, images, devices=devices), found, atol=1e-5)
