"""Small settings of GCL's warm-ups, for `tiny.TINY`."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from resight.data.crops import Crops
from resight.data.transforms import AugmentSettings
from resight.methods.act import ACTSettings
from resight.methods.jvtc_settings import JVTCSettings
from resight.methods.mmcl import MMCLSettings
from resight.numerics.clustering import ClusterSettings
from tiny_inputs import ENCODER, labeled_source, with_columns, without_neck

JVTC_SETTINGS = JVTCSettings(
    encoder=ENCODER,
    cluster=ClusterSettings(k1=12, k2=4, variant="abmt", rho=0.05, min_samples=1),
    augment=AugmentSettings(pad=4, blur=0, erase=0.5),
    epochs=4,
    iterations=2,
    identities=8,
    images=3,
    learning_rate=1e-3,
    milestones=(3,),
    cluster_from=0,
    cluster_every=1,
    joint_from=2,
    time_interval=5,
    time_smoothing=1.0,
)


def with_frames(images: Crops) -> Crops:
    """Give each image a time: people walk from camera to camera, one after the other."""
    table = images.table
    return with_columns(images, frame_ids=40 * table.person_ids + 15 * table.camera_ids + np.arange(len(table)) % 5)


def timed_source(images: Crops) -> tuple[Crops, dict[str, Crops]]:
    """Split the images as `labeled_source` does, with times."""
    return labeled_source(with_frames(images))


JVTC: dict[str, Any] = {
    "settings": JVTC_SETTINGS,
    "inputs": timed_source,
    "learns": {"encoder": without_neck(ENCODER), "learning_rate": 3e-3, "global_weight": 0.0},
    "shared": ({"encoder": without_neck(ENCODER)},),
    "adam": False,
    "domains": 2,
}

MMCL_SETTINGS = MMCLSettings(
    encoder=dataclasses.replace(ENCODER, neck="none"),
    augment=AugmentSettings(pad=4, blur=0, erase=0.5),
    epochs=4,
    iterations=2,
    identities=16,
    milestones=(3,),
    labels_from=1,
    candidates=3,
    hardest=0.1,
    memory_epochs=4,
)

MMCL: dict[str, Any] = {
    "settings": MMCL_SETTINGS,
    "learns": {"learning_rate": 1e-3},
    "shared": ({"encoder": without_neck(ENCODER), "norm": False},),
    "adam": False,
}

ACT_SETTINGS = ACTSettings(
    encoder=dataclasses.replace(ENCODER, neck="none"),
    cluster=ClusterSettings(k1=12, variant="abmt", rho=0.03),
    augment=AugmentSettings(pad=4, blur=0, erase=0.5),
    epochs=4,
    iterations=2,
    identities=4,
    images=4,
    margin=2.0,
    keep_growth=0.2,
)

ACT: dict[str, Any] = {
    "settings": ACT_SETTINGS,
    "learns": {"learning_rate": 3e-3, "margin": 5.0},
    "shared": ({"encoder": without_neck(ENCODER), "projection": False},),
    "tolerance": 1e-3,
}
