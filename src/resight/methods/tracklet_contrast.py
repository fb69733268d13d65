"""Tracklet contrast: training on video without labels and without clustering (thesis §7.3).

A tracker knows two things without looking at a face: the frames of a tracklet show one person, and two tracklets that a
camera sees at once show two people. Each step takes tracklets of one camera that follow each other in time, K frames of
each, augments each frame twice, and

- pulls each image f to the least similar image m of its tracklet, which a momentum encoder embeds,
- and away from those of the other tracklets that it is compared with: -log exp(f·m⁺/τ) / (exp(f·m⁺/τ) + Σ exp(f·m⁻/τ)).

It is the instance loss of ICE (eq. 6.9) with tracklets in place of clusters. Nothing is embedded between the steps, so
an epoch costs as much as its steps, however many images there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from resight.compute.devices import Devices
from resight.compute.tensor_files import Stateful
from resight.data.crops import Crops
from resight.data.samplers import tracklet_batches
from resight.errors import ConfigError, check_least, check_shares
from resight.losses.contrastive import hard_instance_contrast
from resight.methods.batches import epoch_generators, load_shard
from resight.methods.settings import MethodSettings
from resight.methods.updates import learning_rate, mean_losses, minimize, set_learning_rate, with_momentum
from resight.models.ema import update_average
from resight.models.encoder import Encoder
from resight.records import UNKNOWN, ImageTable, Ints, Mask


@dataclass(frozen=True)
class TrackletContrastSettings(MethodSettings):
    """Every number of tracklet contrast.

    Attributes:
        identities: Tracklets in a batch, of one camera and near each other in time.
        images: Frames of each tracklet in a batch.
        negatives: What a frame is pushed away from: `simultaneous`, only tracklets that its camera sees at the same
            time, which are other people for certain; or `batch`, every other tracklet of the batch, which may show the
            same person who has come back.
        temperature: τ.
        momentum: How slowly the momentum encoder follows, 0..1.
        clip: Largest norm of the gradient of a step; 0 for no limit.
    """

    epochs: int = 10
    iterations: int = 200
    identities: int = 32
    images: int = 2
    negatives: Literal["simultaneous", "batch"] = "batch"
    temperature: float = 0.1
    momentum: float = 0.99
    clip: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, 0, "clip")
        check_least(self, 1, "iterations")
        check_shares(self, "momentum")
        if self.encoder.neck_statistics != "batch":
            raise ConfigError("tracklets are learned from batches: set encoder.neck_statistics to batch")
        if self.temperature <= 0:
            raise ConfigError(f"temperature must be above 0, found {self.temperature}")


class TrackletContrast:
    """The training method: an encoder, the momentum encoder that follows it, and the update; arguments as for `ICE`.

    Raises:
        ConfigError: The tracklet or the camera of an image is unknown, or, for simultaneous negatives, its frame.
    """

    clusters = None

    def __init__(
        self,
        settings: TrackletContrastSettings,
        images: Crops,
        *,
        devices: Devices | None = None,
        seed: int = 1,
        encoder: Encoder | None = None,
    ) -> None:
        _check_table(images.table, settings)
        self.settings, self.images, self.seed = settings, images, seed
        self.devices = devices or Devices()
        self.online = self.devices.to_device(encoder or Encoder(settings.encoder))
        batch_shape = (settings.identities * settings.images, 3, *images.size)
        self.momentum, self._online_forward, self._momentum_forward = with_momentum(
            self.online, self.devices, batch_shape
        )
        parameters = self.online.parameters()
        self.optimizer = self.devices.adam(parameters, rate=settings.learning_rate, weight_decay=settings.weight_decay)
        self.spans = tracklet_spans(images.table)
        self.generator = torch.Generator()  # of augmentations; seeded again in each epoch

    @property
    def encoder(self) -> Encoder:
        """The momentum encoder, which is evaluated and saved."""
        return self.momentum

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """Everything a checkpoint holds."""
        return {"online": self.online, "momentum": self.momentum, "optimizer": self.optimizer}

    def begin_epoch(self, epoch: int) -> Iterator[Ints]:
        """Return the batches."""
        s = self.settings
        set_learning_rate(self.optimizer, s.learning_rate)
        self._online_forward.train()
        self._momentum_forward.train()
        batch_generator, self.generator = epoch_generators(self.seed, epoch)
        return islice(tracklet_batches(self.images.table, (s.identities, s.images), batch_generator), s.iterations)

    def step(self, batch: Ints) -> dict[str, Tensor]:
        """Learn from a batch of rows; each process learns from its shard."""
        s, table = self.settings, self.images.table
        shard = load_shard(self.images, batch, self.devices)
        tracklets = shard.lookup(table.tracklet_ids)  # of the whole batch
        features = self._online_forward(shard.augmented(s.augment, self.generator))
        with torch.no_grad():
            shard_keys = F.normalize(self._momentum_forward(shard.augmented(s.augment, self.generator)))
        ignore_mask = None
        if s.negatives == "simultaneous":
            together = simultaneous(self.spans[shard.batch], table.camera_ids[shard.batch])
            ignore_mask = ~torch.from_numpy(together[shard.span]).to(features.device)
        contrast = hard_instance_contrast(
            features,
            tracklets[shard.span],
            self.devices.gather(shard_keys),
            tracklets,
            temperature=s.temperature,
            ignore_mask=ignore_mask,
        )
        losses = {"tracklet": contrast.mean()}
        minimize(losses, self.optimizer, devices=self.devices, max_norm=s.clip)
        update_average(self.momentum, self.online, momentum=s.momentum)
        return mean_losses(losses, self.devices)

    def end_epoch(self) -> dict[str, float]:
        """Return the learning rate."""
        self.devices.sync_buffers(self.online, self.momentum)
        return {"learning_rate": learning_rate(self.optimizer)}


def tracklet_spans(table: ImageTable) -> Ints:
    """Return the first and the last frame of the tracklet of each of ``N`` images, ``(N, 2)``."""
    _, tracklets = np.unique(table.tracklet_ids, return_inverse=True)
    first = np.full(tracklets.max(initial=-1) + 1, np.iinfo(np.int64).max)
    last = np.full_like(first, -1)
    np.minimum.at(first, tracklets, table.frame_ids)
    np.maximum.at(last, tracklets, table.frame_ids)
    return np.stack([first[tracklets], last[tracklets]], 1)


def simultaneous(spans: Ints, cameras: Ints) -> Mask:
    """Return which tracklets one camera sees at the same moment, ``(B, B)`` bool.

    Args:
        spans: ``(B, 2)`` the first and the last frame.
        cameras: ``(B,)`` camera ids.
    """
    first, last = spans.T
    together: Mask = (cameras[:, None] == cameras) & (first[:, None] <= last) & (first <= last[:, None])
    return together


def _check_table(table: ImageTable, settings: TrackletContrastSettings) -> None:
    for what, ids in (("tracklet", table.tracklet_ids), ("camera", table.camera_ids)):
        if (ids == UNKNOWN).any():
            raise ConfigError(
                f"tracklet contrast needs the {what} of every image: --layout camera/tracklet for folders of tracklets "
                "in folders of cameras, or a column of that name in labels.csv"
            )
    if settings.negatives == "simultaneous" and (table.frame_ids == UNKNOWN).any():
        raise ConfigError("simultaneous tracklets need the frame number of every image: or set --negatives batch")
