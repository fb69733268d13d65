"""A run of two short epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tiny
from resight.data.transforms import AugmentSettings
from resight.methods.ice_settings import ICESettings
from resight.models.encoder import EncoderSettings
from resight.numerics.clustering import ClusterSettings
from resight.training.train import TrainSettings

SETTINGS = ICESettings(
    encoder=EncoderSettings(backbone="test_efficientnet", weights="none", height=64, width=32, last_stride=2),
    cluster=ClusterSettings(k1=12),
    augment=AugmentSettings(pad=4),
    epochs=2,
    iterations=1,
    identities=2,
    images=2,
    momentum=0.5,
    ghost_batches=1,
    extra_forward=False,
)


def options(folder: Path, **changes: Any) -> TrainSettings:
    return TrainSettings(**{"run": str(folder), "device": tiny.DEVICE, "select": "last", **changes})
