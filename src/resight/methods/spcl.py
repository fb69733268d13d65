"""SpCL: self-paced contrastive learning with a hybrid memory (Ge et al., 2020).

The memory holds a unit vector v of each image and, if there is a labeled source, w of each of its people. Images that
are in no cluster stay in: each is a class of its own. Each epoch, the images are clustered by their vectors in the
memory. Only those clusters count that neither a slightly larger nor a slightly smaller eps changes
(`numerics/reliability.py`); they become more as the encoder learns. Each step

- pulls each augmented image f to its class, away from all other classes: cross entropy over f·c / τ, where c is the
  mean v of a cluster, the v of an image in no cluster, or the w of a person (eq. 1 and 2),
- and moves the v and w of the batch towards its images: v ← normalize(m v + (1 - m) f), where f is the mean of the
  batch's images of a person for w (eq. 3 and 4).

A batch has images of the target and as many of the source. Each domain is normalized by its own batch statistics, and
the running ones are those of the target. So it is with the batch norms of each domain in the paper, but here the
domains share their weights. No loss uses cameras; only a batch takes the images of a cluster from several, if it can.

The defaults are those of the authors' code. `cluster_feature` is ours: after a short training the memory is out of
date, so the recipe embeds all images again in each epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from resight.compute.devices import Devices
from resight.compute.tensor_files import Stateful
from resight.data.crops import Crops
from resight.data.samplers import hybrid_batches
from resight.data.transforms import AugmentSettings
from resight.errors import ConfigError, check_least, check_shares
from resight.losses.classification import cross_entropy
from resight.methods.batches import epoch_generators, load_shard
from resight.methods.labeled import person_labels
from resight.methods.labeling import pool_and_embed
from resight.methods.self_paced import SelfPacedLabeling
from resight.methods.settings import PseudoLabelSettings
from resight.methods.updates import ForwardPass, learning_rate, mean_losses, minimize, set_learning_rate, stepped_rate
from resight.models.encoder import Encoder
from resight.models.hybrid_memory import HybridMemory
from resight.numerics.clustering import ClusterSettings, centroids
from resight.numerics.distances import normalize
from resight.records import Floats, Ints, PseudoLabels
from resight.retrieval.extraction import build_encoder, embed_crops


@dataclass(frozen=True)
class SpCLSettings(PseudoLabelSettings):
    """Every number of SpCL.

    Attributes:
        ghost_batches: Number of ghost batches of each domain: batch-norm statistics are computed for each part of a
            batch; the first part of the target moves the running statistics.
        identities: P, the number of clusters that fill a batch. It has P x K images, K of each cluster and one of each
            image in no cluster; and as many of the source.
        milestones: Epochs, counted from 0, from which on the learning rate is multiplied by `decay` once more.
        decay: What the learning rate is multiplied by.
        temperature: τ.
        memory_momentum: m, the share of itself that a vector of the memory keeps.
        reliability_gap: How much the eps of the two clusterings that test the clusters differ from eps.
        reliable_share: Share of the first epoch's clusters whose independence is enough; the least of them is the
            threshold α of all epochs.
        cluster_feature: What is clustered: the vectors of the `memory`, filled once; or all images are embedded again
            in each epoch and fill the memory: features after the `neck`, or the `pooled` ones before it.
        whiten: Flatten the spectrum of the features before clustering by this power: 0 not at all, 1 until all
            directions vary alike.
        clip: Largest norm of the gradient of a step; 0 for no limit.
    """

    cluster: ClusterSettings = field(default_factory=lambda: ClusterSettings(eps=0.6))
    augment: AugmentSettings = field(default_factory=lambda: AugmentSettings(blur=0.0, erase=0.5))
    ghost_batches: int = 4
    epochs: int = 50
    milestones: tuple[int, ...] = (20, 40)
    decay: float = 0.1
    temperature: float = 0.05
    memory_momentum: float = 0.2
    reliability_gap: float = 0.02
    reliable_share: float = 0.9
    cluster_feature: Literal["memory", "neck", "pooled"] = "memory"
    whiten: float = 0.0
    clip: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares(self, "decay", "memory_momentum", "reliable_share", "whiten")
        check_least(self, 0, "clip", "reliability_gap")
        if self.temperature <= 0:
            raise ConfigError(f"temperature must be above 0, found {self.temperature}")
        if self.cluster.method != "dbscan" or self.cluster.source_weight:
            raise ConfigError("SpCL compares clusters of several eps: leave cluster.method and cluster.source_weight")
        least, largest = self.cluster.eps_range
        if not self.reliability_gap < min(least, 1 - largest):
            raise ConfigError(f"cluster.eps ± reliability_gap must be in (0, 1), found a gap of {self.reliability_gap}")
        if self.cluster_feature == "memory" and self.encoder.neck_statistics == "dataset":
            raise ConfigError("a neck of the data set needs all images embedded in each epoch: cluster_feature neck")


class SpCL:
    """The training method: an encoder, the hybrid memory, and the update.

    Args:
        settings: Every number of the method.
        images: The unlabeled training images. True person ids, if known, only enter the diagnostics.
        devices: Where it runs.
        seed: Seed of the batches and augmentations.
        encoder: The encoder to start from; built from the settings if absent.
        source: Images of other people, with all person ids, to learn from as well.

    Raises:
        ConfigError: A person id of the source is unknown, or it has a single person.
    """

    def __init__(
        self,
        settings: SpCLSettings,
        images: Crops,
        *,
        devices: Devices | None = None,
        seed: int = 1,
        encoder: Encoder | None = None,
        source: Crops | None = None,
    ) -> None:
        self.settings, self.images, self.source, self.seed = settings, images, source, seed
        remedy = "leave --source out"
        self.people = np.empty(0, np.int64) if source is None else person_labels(source, method="SpCL", remedy=remedy)
        num_people = int(self.people.max(initial=-1)) + 1
        self.devices = devices or Devices()
        self.encoder = self.devices.to_device(encoder or build_encoder(settings.encoder, images, devices=self.devices))
        domains = 1 if source is None else 2  # the target is the first half of a batch
        self.encoder.use_ghost_batches(domains * max(1, settings.ghost_batches // self.devices.world))
        batch_shape = (domains * settings.identities * settings.images, 3, *images.size)
        self.devices.capture_graph(self.encoder.train(), batch_shape, "training")
        self._forward = ForwardPass(self.encoder, self.devices)
        parameters = self.encoder.parameters()
        self.optimizer = self.devices.adam(parameters, rate=settings.learning_rate, weight_decay=settings.weight_decay)
        gap, share = settings.reliability_gap, settings.reliable_share
        self.labeling = SelfPacedLabeling(images.table, settings.cluster, gap=gap, share=share, whiten=settings.whiten)
        self.memory = HybridMemory(num_people, len(images), device=self.devices.device)
        self.entries = num_people + np.arange(len(images))  # of the images in the memory
        self.generator = torch.Generator()  # of augmentations; seeded again in each epoch
        self._source_batches: Iterator[Ints] = iter(())

    @property
    def clusters(self) -> PseudoLabels | None:
        """The reliable clusters of the current epoch."""
        return self.labeling.clusters

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """Everything a checkpoint holds."""
        return {"encoder": self.encoder, "optimizer": self.optimizer, "labels": self.labeling, "memory": self.memory}

    # -- an epoch ----------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int) -> Iterator[Ints]:
        """Cluster the images, set the classes of the memory, and return the batches."""
        s, table, shape = self.settings, self.images.table, (self.settings.identities, self.settings.images)
        set_learning_rate(self.optimizer, stepped_rate(s.learning_rate, epoch, milestones=s.milestones, decay=s.decay))
        labels = self.labeling.update(self._clustered_features(), self.devices).labels
        self.memory.assign(labels)
        self._forward.train()
        batch_generator, self.generator = epoch_generators(self.seed, epoch)
        if self.source is not None:
            generator = np.random.default_rng(batch_generator.integers(2**62))
            self._source_batches = hybrid_batches(self.people, self.source.table.camera_ids, shape, generator)
        batches = hybrid_batches(labels, table.camera_ids, shape, batch_generator, domains=table.domain_ids)
        return islice(batches, s.num_steps(np.arange(len(labels))))  # images in no cluster too

    def _clustered_features(self) -> Floats:
        """Return what is clustered, ``(N, D)`` unit vectors, and fill the memory if it is time to."""
        if self.settings.cluster_feature == "memory" and self.memory.filled:
            memorized: Floats = self.memory.image_vectors.cpu().numpy()
            return memorized
        pooled, embeddings = pool_and_embed(self.encoder, self.images, devices=self.devices)
        people = self.memory.person_vectors
        if self.source is not None and not self.memory.filled:
            source_embeddings = embed_crops(self.encoder, self.source, devices=self.devices)
            people = torch.from_numpy(centroids(source_embeddings, self.people, normalize=True))
        self.memory.fill(people, embeddings)
        return normalize(pooled) if self.settings.cluster_feature == "pooled" else embeddings

    def end_epoch(self) -> dict[str, float]:
        """Return the clusters' quality."""
        self.devices.sync_buffers(self.encoder)
        return {**self.labeling.diagnostics, "learning_rate": learning_rate(self.optimizer)}

    # -- a step ------------------------------------------------------------------------------------------------

    def step(self, batch: Ints) -> dict[str, Tensor]:
        """Learn from a batch of rows of the target, and from one of the source; each process learns from its shard."""
        s, memory = self.settings, self.memory
        shards, columns, names = [load_shard(self.images, batch, self.devices)], [self.entries], ["target"]
        if self.source is not None:
            shards.append(load_shard(self.source, next(self._source_batches), self.devices))
            columns, names = [self.entries, self.people], ["target", "source"]
        views = [shard.augmented(s.augment, self.generator) for shard in shards]
        features = torch.split(F.normalize(self._forward(torch.cat(views))), [len(view) for view in views])

        losses: dict[str, Tensor] = {}
        entries = [shard.lookup(column) for shard, column in zip(shards, columns, strict=True)]  # of whole batches
        for name, shard, own, vectors in zip(names, shards, entries, features, strict=True):
            logits = memory.logits(vectors, temperature=s.temperature)
            losses[name] = cross_entropy(logits, memory.classes[own[shard.span]]).mean()  # eq. 1
        minimize(losses, self.optimizer, devices=self.devices, max_norm=s.clip)
        for own, vectors in zip(entries, features, strict=True):
            memory.update(self.devices.gather(vectors), own, momentum=s.memory_momentum)
        return mean_losses(losses, self.devices)
