"""CAP: camera-aware proxies, training without labels but with cameras (Wang et al., 2021).

Images of one person differ most between cameras. So each cluster is split by camera, and the memory holds a proxy K for
each cluster in each camera that sees it: the mean of its unit vectors, normalized. Each epoch, the encoder embeds all
images and they are clustered. Each step takes P proxies with K images each and

- tells the people of one camera apart: pulls each augmented image f to its own proxy, away from the proxies of the
  same camera: cross entropy over f·K / τ (the intra-camera loss),
- finds people across cameras: pulls it to the proxies of its cluster in all cameras, away from the 50 most similar
  proxies of other clusters (the inter-camera loss, after five epochs),
- and moves the proxies of the batch towards their images: K ← normalize(m K + (1 - m) f).

Both losses are means over the images of each camera in the batch, summed over the cameras. ICE keeps the second one.
The defaults are those of the authors' code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from resight.compute.devices import Devices
from resight.compute.tensor_files import Stateful
from resight.data.crops import Crops
from resight.data.samplers import identity_batches, pick_random
from resight.data.transforms import AugmentSettings
from resight.errors import HEAVIEST, ConfigError, check_least, check_most, check_shares
from resight.losses.contrastive import camera_contrast, camera_weights, proxy_contrast
from resight.methods.batches import epoch_generators, load_shard
from resight.methods.labeling import Labeling, pool_and_embed
from resight.methods.settings import ContrastSettings
from resight.methods.updates import (
    ForwardPass,
    climbed_share,
    learning_rate,
    mean_losses,
    minimize,
    set_learning_rate,
    stepped_rate,
)
from resight.models.encoder import Encoder, EncoderSettings
from resight.models.proxies import MemoryUpdate, ProxyMemory
from resight.numerics.clustering import ClusterSettings, proxy_ids
from resight.numerics.distances import normalize
from resight.records import Ints, PseudoLabels


@dataclass(frozen=True)
class CAPSettings(ContrastSettings):
    """Every number of CAP.

    Attributes:
        iterations: Steps of an epoch; 0 for as many as all training images fill batches.
        identities: P, camera proxies in a batch.
        images: K, images of each proxy in a batch.
        warmup_epochs: Epochs over which the learning rate climbs linearly from a hundredth.
        milestones: Epochs, counted from 0, from which on the learning rate is multiplied by `decay` once more.
        decay: What the learning rate is multiplied by.
        temperature: τ.
        memory_momentum: m, the share of itself that a proxy keeps; 1 fixes proxies for the epoch.
        memory_update: What moves a proxy: `each` of its images in the batch, one after another, their `mean`, or the
            `hard` one, least similar to it.
        inter_weight: Weight of the inter-camera loss, λ.
        inter_from: The epoch, counted from 0, from which on it is trained.
        inter_negatives: Number of the most similar proxies of other clusters in its denominator.
    """

    fewest_iterations: ClassVar[int] = 0

    encoder: EncoderSettings = field(default_factory=lambda: EncoderSettings(backbone="resnet50_linear_stem"))
    cluster: ClusterSettings = field(default_factory=lambda: ClusterSettings(k1=20, eps=0.5))
    augment: AugmentSettings = field(
        default_factory=lambda: AugmentSettings(blur=0.0, erase=0.5, erase_area=(0.02, 0.2))
    )
    epochs: int = 50
    iterations: int = 0
    identities: int = 8
    warmup_epochs: int = 10
    milestones: tuple[int, ...] = (20, 40)
    decay: float = 0.1
    temperature: float = 0.07
    memory_momentum: float = 0.2
    memory_update: MemoryUpdate = "each"
    inter_weight: float = 0.5
    inter_from: int = 5
    inter_negatives: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares(self, "decay", "memory_momentum")
        check_least(self, 0, "warmup_epochs", "inter_weight", "inter_from")
        check_least(self, 1, "inter_negatives")
        check_most(self, HEAVIEST, "inter_weight")
        if self.temperature <= 0:
            raise ConfigError(f"temperature must be above 0, found {self.temperature}")

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch: linearly up from a hundredth, then down at the milestones."""
        climbed = self.learning_rate * climbed_share(epoch, self.warmup_epochs, start=0.01)
        return stepped_rate(climbed, epoch, milestones=self.milestones, decay=self.decay)


class CAP:
    """The training method: an encoder, the memory of camera proxies, and the update; arguments as for `ICE`.

    Raises:
        ConfigError: The camera of an image is unknown.
    """

    def __init__(
        self,
        settings: CAPSettings,
        images: Crops,
        *,
        devices: Devices | None = None,
        seed: int = 1,
        encoder: Encoder | None = None,
    ) -> None:
        if not images.table.has_cameras:
            raise ConfigError(
                "CAP needs the camera of every image: --layout camera for folders of cameras, or a column of that name "
                "in labels.csv; without cameras, train cluster_contrast or spcl"
            )
        self.settings, self.images, self.seed = settings, images, seed
        self.devices = devices or Devices()
        self.encoder = self.devices.to_device(encoder or Encoder(settings.encoder))
        self.encoder.use_ghost_batches(settings.ghost_batches, processes=self.devices.world)
        batch_shape = (settings.identities * settings.images, 3, *images.size)
        self.devices.capture_graph(self.encoder.train(), batch_shape, "training")
        self._forward = ForwardPass(self.encoder, self.devices)
        parameters = self.encoder.parameters()
        self.optimizer = self.devices.adam(parameters, rate=settings.learning_rate, weight_decay=settings.weight_decay)
        self.labeling = Labeling(images.table, settings.cluster, whiten=settings.whiten)
        self.memory = ProxyMemory(normalize=True, device=self.devices.device)
        self.proxies = np.full(len(images), -1)  # the proxy of each image, -1 for none
        self.generator = torch.Generator()  # of augmentations; seeded again in each epoch
        self._inter = False  # whether the inter-camera loss is trained in this epoch

    @property
    def clusters(self) -> PseudoLabels | None:
        """The clusters of the current epoch."""
        return self.labeling.clusters

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """Everything a checkpoint holds; the memory is rebuilt in each epoch."""
        return {"encoder": self.encoder, "optimizer": self.optimizer, "labels": self.labeling}

    def begin_epoch(self, epoch: int) -> Iterator[Ints]:
        """Embed all images, cluster them, rebuild the proxies, and return the batches."""
        s, table = self.settings, self.images.table
        set_learning_rate(self.optimizer, s.rate(epoch))
        self._inter = epoch >= s.inter_from and s.inter_weight > 0
        pooled, embeddings = pool_and_embed(self.encoder, self.images, devices=self.devices)
        clustered = normalize(pooled) if s.cluster_feature == "pooled" else embeddings
        labels = self.labeling.update(clustered, self.devices).labels
        self.memory.rebuild(embeddings, labels, table.camera_ids)
        self.proxies = proxy_ids(labels, table.camera_ids)[0]
        self._forward.train()
        batch_generator, self.generator = epoch_generators(self.seed, epoch)
        pick, domains, shape = pick_random, table.domain_ids, (s.identities, s.images)
        batches = identity_batches(self.proxies, table.camera_ids, shape, batch_generator, pick=pick, domains=domains)
        steps = s.num_steps(self.proxies)
        return islice(batches, steps or max(1, len(table) // (s.identities * s.images)))

    def step(self, batch: Ints) -> dict[str, Tensor]:
        """Learn from a batch of rows; each process learns from its shard."""
        s, memory, table = self.settings, self.memory, self.images.table
        shard = load_shard(self.images, batch, self.devices)
        columns = (self.labeling.current.labels, table.camera_ids, self.proxies)
        batch_labels, batch_cameras, batch_proxies = map(shard.lookup, columns)
        labels, cameras, own = (ids[shard.span] for ids in (batch_labels, batch_cameras, batch_proxies))
        # Processes average their losses; times their number, that is the weighted sum over the batch.
        weights = camera_weights(batch_cameras)[shard.span] * self.devices.world

        features = F.normalize(self._forward(shard.augmented(s.augment, self.generator)))
        other_cameras = cameras[:, None] != memory.proxies.cameras
        intra = proxy_contrast(
            features, own, memory.proxies.vectors, temperature=s.temperature, ignore_mask=other_cameras
        )
        losses = {"intra": (weights * intra).sum()}
        if self._inter:
            inter = camera_contrast(
                features,
                labels,
                cameras,
                proxies=memory.proxies,
                temperature=s.temperature,
                negatives=s.inter_negatives,
            )
            losses["inter"] = s.inter_weight * (weights * inter).sum()
        minimize(losses, self.optimizer, devices=self.devices, max_norm=s.clip)
        features = self.devices.gather(features)
        memory.update(features, batch_labels, batch_cameras, momentum=s.memory_momentum, by=s.memory_update)
        return mean_losses(losses, self.devices)

    def end_epoch(self) -> dict[str, float]:
        """Return the clusters' quality and the number of camera proxies."""
        self.devices.sync_buffers(self.encoder)
        proxies = float(len(self.memory.proxies.labels))
        return {**self.labeling.diagnostics, "proxies": proxies, "learning_rate": learning_rate(self.optimizer)}
