"""The settings of ICE: their defaults, the learning rate, clipping, and values that cannot be."""

from __future__ import annotations

import math

import pytest
import torch

import tiny
from resight.data.crops import Crops
from resight.data.transforms import AugmentSettings
from resight.errors import ConfigError
from resight.methods.ice_settings import ICESettings
from resight.models.encoder import EncoderSettings


def test_the_defaults_are_the_released_codes_numbers() -> None:
    s = ICESettings()
    assert (s.epochs, s.iterations, s.identities, s.images) == (40, 400, 8, 4)
    assert (s.learning_rate, s.weight_decay, s.warmup_epochs, s.schedule, s.clip) == (3.5e-4, 5e-4, 10, "constant", 0)
    assert (s.momentum, s.proxy_momentum, s.ghost_batches, s.shuffle, s.extra_forward) == (0.999, 1, 4, True, True)
    assert (s.agnostic_weight, s.agnostic_similarity, s.agnostic_temperature, s.label_smoothing) == (1, "dot", 0.5, 0.1)
    assert (s.cross_weight, s.cross_temperature, s.cross_negatives) == (0.5, 0.07, 50)
    assert (s.cross_own_camera, s.cross_softmax, s.cross_average) == (True, "joint", "camera-sum")
    assert (s.hard_weight, s.hard_temperature, s.hard_negatives) == (1, 0.1, "all")
    assert (s.soft_weight, s.soft_temperature, s.soft_divergence) == (10, 0.4, "target-prediction")
    assert (s.soft_target, s.cluster_feature, s.negatives) == ("plain", "neck", "all")
    assert (s.center_cameras, s.whiten) == (False, 0)
    c = s.cluster
    assert (c.k1, c.k2, c.eps, c.rho, c.min_samples, c.method, c.k_cross_camera) == (30, 6, 0.55, None, 4, "dbscan", 0)
    assert s.augment == AugmentSettings(flip=0.5, pad=10, blur=0.5, erase=0.6)
    assert s.encoder == EncoderSettings("resnet50")
    assert (s.encoder.height, s.encoder.width, s.encoder.last_stride, s.encoder.pooling) == (256, 128, 1, "average")


def test_parts_of_a_single_identity_are_refused() -> None:
    with pytest.raises(ConfigError, match="set ghost_batches to 2 or fewer"):
        ICESettings(identities=4)


def test_what_is_kept_is_the_momentum_encoder(images: Crops) -> None:
    method = tiny.ice(images)
    assert method.encoder is method.momentum
    assert method.encoder is not method.online


def test_the_learning_rate_warms_up_from_a_tenth(images: Crops) -> None:
    method = tiny.ice(images, warmup_epochs=2, learning_rate=1e-2, iterations=1)
    rates = []
    for epoch in range(4):
        for batch in method.begin_epoch(epoch):
            method.step(batch)
        rates.append(method.end_epoch()["learning_rate"])
    assert rates == pytest.approx([1e-3, 5.5e-3, 1e-2, 1e-2])


def test_the_cosine_schedule_falls_from_the_end_of_the_warmup_to_0() -> None:
    settings = ICESettings(learning_rate=1, epochs=6, warmup_epochs=2, schedule="cosine")
    factors = [settings.rate(epoch) for epoch in range(7)]
    root = math.sqrt(0.5)
    assert factors == pytest.approx([0.1, 0.55, 1, (1 + root) / 2, 0.5, (1 - root) / 2, 0])
    assert ICESettings(learning_rate=1, epochs=3, warmup_epochs=0, schedule="cosine").rate(0) == 1


def test_a_clipped_gradient_is_as_long_as_allowed(images: Crops) -> None:
    lengths = []
    for clip in (0.0, 0.5):
        method = tiny.ice(images, clip=clip)
        method.step(next(iter(method.begin_epoch(0))))
        gradients = [p.grad for p in method.online.parameters() if p.grad is not None]
        lengths.append(float(torch.cat([g.flatten() for g in gradients]).norm()))
    assert lengths[0] > 1
    assert lengths[1] == pytest.approx(0.5, rel=1e-3)


def test_settings_are_checked() -> None:
    for name, value in (("epochs", 0), ("identities", 1), ("momentum", 2.0), ("hard_temperature", 0.0)):
        with pytest.raises(ConfigError, match=name.removeprefix("hard_")):
            ICESettings(**{name: value})
    nothing = {f"{loss}_weight": 0.0 for loss in ("agnostic", "hard", "soft")}
    with pytest.raises(ConfigError, match="all weights of the losses are 0"):
        ICESettings(camera_aware=False, **nothing)
    assert ICESettings(**nothing).cross_weight
