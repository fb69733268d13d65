"""Cluster Contrast: training without labels, with a memory of nothing but clusters (Dai et al., 2021).

Each epoch, the encoder embeds all images and they are clustered; clusters replace person ids. The memory holds the mean
φ of each cluster's unit vectors, normalized. Each step

- pulls each augmented image f to the φ of its cluster, away from all others: cross entropy over f·φ / τ,
- and moves the φ of the clusters in the batch towards their images: φ ← normalize(m φ + (1 - m) f).

There are no camera proxies, no momentum encoder and no losses between images. The clustering's defaults are ICE's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor

from resight.compute.devices import Devices
from resight.compute.tensor_files import Stateful
from resight.data.crops import Crops
from resight.data.samplers import identity_batches, pick_random
from resight.data.transforms import AugmentSettings
from resight.errors import ConfigError, check_shares
from resight.losses.contrastive import proxy_contrast
from resight.methods.batches import epoch_generators, load_shard
from resight.methods.labeling import Labeling, pool_and_embed
from resight.methods.settings import ContrastSettings
from resight.methods.updates import ForwardPass, learning_rate, mean_losses, minimize, set_learning_rate, stepped_rate
from resight.models.encoder import Encoder
from resight.models.proxies import MemoryUpdate, ProxyMemory
from resight.numerics.distances import normalize
from resight.records import Ints, PseudoLabels


@dataclass(frozen=True)
class ClusterContrastSettings(ContrastSettings):
    """Every number of Cluster Contrast.

    Attributes:
        milestones: Epochs, counted from 0, from which on the learning rate is multiplied by `decay` once more.
        decay: What the learning rate is multiplied by.
        temperature: τ.
        memory_momentum: m, the share of itself that φ keeps; 1 fixes φ for the epoch.
        memory_update: What moves φ: `each` image of its cluster in the batch, one after another, their `mean`, or the
            `hard` one, least similar to φ.
    """

    augment: AugmentSettings = field(default_factory=lambda: AugmentSettings(blur=0.0, erase=0.5))
    epochs: int = 50
    iterations: int = 200
    images: int = 16
    milestones: tuple[int, ...] = (20, 40)
    decay: float = 0.1
    temperature: float = 0.05
    memory_momentum: float = 0.1
    memory_update: MemoryUpdate = "each"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares(self, "decay", "memory_momentum")
        if self.temperature <= 0:
            raise ConfigError(f"temperature must be above 0, found {self.temperature}")


class ClusterContrast:
    """The training method: an encoder, the memory of clusters, and the update; arguments as for `ICE`."""

    def __init__(
        self,
        settings: ClusterContrastSettings,
        images: Crops,
        *,
        devices: Devices | None = None,
        seed: int = 1,
        encoder: Encoder | None = None,
    ) -> None:
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
        self.generator = torch.Generator()  # of augmentations; seeded again in each epoch

    @property
    def clusters(self) -> PseudoLabels | None:
        """The clusters of the current epoch."""
        return self.labeling.clusters

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """Everything a checkpoint holds; the memory is rebuilt in each epoch."""
        return {"encoder": self.encoder, "optimizer": self.optimizer, "labels": self.labeling}

    def begin_epoch(self, epoch: int) -> Iterator[Ints]:
        """Embed all images, cluster them, rebuild the memory, and return the batches."""
        s = self.settings
        set_learning_rate(self.optimizer, stepped_rate(s.learning_rate, epoch, milestones=s.milestones, decay=s.decay))
        pooled, embeddings = pool_and_embed(self.encoder, self.images, devices=self.devices)
        clustered = normalize(pooled) if s.cluster_feature == "pooled" else embeddings
        labels = self.labeling.update(clustered, self.devices).labels
        self.memory.rebuild(embeddings, labels, cameras=None)
        self._forward.train()
        batch_generator, self.generator = epoch_generators(self.seed, epoch)
        table, shape = self.images.table, (s.identities, s.images)
        pick, domains = pick_random, table.domain_ids
        batches = identity_batches(labels, table.camera_ids, shape, batch_generator, pick=pick, domains=domains)
        return islice(batches, s.num_steps(labels))

    def step(self, batch: Ints) -> dict[str, Tensor]:
        """Learn from a batch of rows; each process learns from its shard."""
        s = self.settings
        shard = load_shard(self.images, batch, self.devices)
        batch_labels = shard.lookup(self.labeling.current.labels)
        features = F.normalize(self._forward(shard.augmented(s.augment, self.generator)))
        contrast = proxy_contrast(features, batch_labels[shard.span], self.memory.centers, temperature=s.temperature)
        losses = {"cluster": contrast.mean()}
        minimize(losses, self.optimizer, devices=self.devices, max_norm=s.clip)
        self.memory.update(self.devices.gather(features), batch_labels, momentum=s.memory_momentum, by=s.memory_update)
        return mean_losses(losses, self.devices)

    def end_epoch(self) -> dict[str, float]:
        """Return the clusters' quality."""
        self.devices.sync_buffers(self.encoder)
        return {**self.labeling.diagnostics, "learning_rate": learning_rate(self.optimizer)}
