"""Small encoders and made-up inputs of the methods in `tiny`."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import nn

from resight.compute.devices import DeviceSettings
from resight.data.crops import Crops
from resight.data.transforms import AugmentSettings
from resight.models.backbones import Backbone
from resight.models.encoder import Encoder, EncoderSettings

DEVICE = DeviceSettings(accelerator="cpu", training="float32", inference="float32", threads=1)

ENCODER = EncoderSettings(backbone="toy", weights="none", height=64, width=32, last_stride=2)


def encoder(settings: EncoderSettings = ENCODER) -> Encoder:
    """Build the same small encoder each time."""
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(3, 16, 5, stride=4, padding=2, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
    )  # fmt: skip
    return Encoder(settings, Backbone(nn.Sequential(*layers), 32))


def with_columns(images: Crops, **columns: Any) -> Crops:
    """Give the same images other people or cameras."""
    return dataclasses.replace(images, table=dataclasses.replace(images.table, **columns))


PLAIN = AugmentSettings(flip=0, pad=0, blur=0, erase=0)
"""No augmentation."""


def frozen(settings: EncoderSettings) -> EncoderSettings:
    """Freeze all statistics, so that an image's features do not depend on its batch."""
    return dataclasses.replace(settings, batchnorm="frozen", neck_statistics="dataset")


def without_neck(settings: EncoderSettings) -> EncoderSettings:
    """The same for methods whose neck can only measure batches."""
    return dataclasses.replace(settings, batchnorm="frozen", neck="none")


def labeled_source(images: Crops) -> tuple[Crops, dict[str, Crops]]:
    """Split the images into an unlabeled target, of other colors, and a labeled source: all but the last person."""
    store = dataclasses.replace(images.store, pixels=255 - images.store.pixels)
    table = dataclasses.replace(images.table, person_ids=np.full(len(images), -1))
    target = dataclasses.replace(images, store=store, table=table)[:50]
    return target, {"source": images[images.table.person_ids < 8]}


def tracklets(images: Crops) -> tuple[Crops, dict[str, Crops]]:
    """Give each person in each camera a tracklet; neighbors in time are there at once in part."""
    table = images.table
    ids = np.unique(table.person_ids * 100 + table.camera_ids, return_inverse=True)[1]
    order = np.argsort(ids, kind="stable")
    place = np.empty_like(ids)
    place[order] = np.arange(len(ids)) - np.searchsorted(ids[order], ids[order])  # in its tracklet
    return with_columns(images, tracklet_ids=ids, frame_ids=4 * table.person_ids + 3 * place), {}
