"""JVTC: joint visual and temporal consistency, training without labels or from a labeled source (Li and Zhang, 2020).

Each step takes images of the target and several views of each: versions in the style of other cameras if there are any
(CamStyle), augmented; otherwise the image, augmented anew. It

- tells the images of the batch apart: pulls each view f to the center w of its image's views, away from the centers of
  the other images: cross entropy over f·w / τ (the local loss),
- pulls each view to all images of its cluster in a memory, away from all others: cross entropy of softmax(f·M / τ) with
  equal shares of the cluster's images (the global loss, from the first clustering on),
- classifies people of the source, if there is one,
- and moves the memory of each image towards its center: M ← m M + (1 - m) w; m grows with the epochs.

Every few epochs the images are clustered: by appearance, and later by appearance and the time that people take from
camera to camera (`numerics/spatiotemporal.py`), which is counted on the clusters before. Everyone is in a cluster, if
only alone. JVTC+ is the same model, searched by the joint similarity: ``rank_by`` ``joint``.

The defaults are those of the authors' code, with these differences: an image that no step has shown is 0 in the memory,
where the code has a random vector; the centers of the local loss get no gradient, about which the paper says nothing;
the distance of two images is divided by the largest of all, not of each row, so that it is the same in both directions;
times between cameras have as many bins as they need; images, not the means of their styles, are clustered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resight.compute.devices import Devices
from resight.compute.tensor_files import Stateful
from resight.data.camera_styles import CameraStyles
from resight.data.crops import Crops
from resight.data.samplers import shuffled_batches
from resight.errors import ConfigError, DataError
from resight.losses.classification import cross_entropy
from resight.losses.contrastive import proxy_contrast
from resight.losses.multilabel import shared_label_contrast
from resight.methods.batches import Shard, epoch_generators, load_shard
from resight.methods.joint_labels import JointLabeling
from resight.methods.jvtc_settings import JVTCSettings
from resight.methods.labeled import person_labels
from resight.methods.labeling import pool_and_embed
from resight.methods.updates import (
    ForwardPass,
    learning_rate,
    mean_losses,
    minimize,
    nesterov,
    set_learning_rate,
    stepped_rate,
)
from resight.models.encoder import Encoder
from resight.models.memory import InstanceMemory
from resight.numerics.reliability import separate
from resight.records import Ints, PseudoLabels
from resight.retrieval.extraction import build_encoder
from resight.retrieval.joint import sightings_of


class JVTC:
    """The training method: an encoder, the memory of all images, and the update.

    Args:
        settings: Every number of the method.
        images: The unlabeled training images. True person ids, if known, only enter the diagnostics.
        devices: Where it runs.
        seed: Seed of the batches and augmentations.
        encoder: The encoder to start from; built from the settings if absent.
        source: Images of other people, with all person ids, to learn from as well.

    Raises:
        ConfigError: A camera or a frame is unknown that the time between cameras needs; or a person id of the source is
            unknown, or it has a single person.
        DataError: The folder of styles has none of these images.
    """

    def __init__(
        self,
        settings: JVTCSettings,
        images: Crops,
        *,
        devices: Devices | None = None,
        seed: int = 1,
        encoder: Encoder | None = None,
        source: Crops | None = None,
    ) -> None:
        self.settings, self.images, self.source, self.seed = settings, images, source, seed
        if settings.joint_from < settings.epochs:
            _check_times(images, settings)
        self.styles = CameraStyles(settings.styles, images) if settings.styles else None
        self.devices = devices or Devices()
        self.encoder = self.devices.to_device(encoder or build_encoder(settings.encoder, images, devices=self.devices))
        domains = 1 if source is None else 2  # the target is the first half of a batch
        self.encoder.use_ghost_batches(domains * max(1, settings.ghost_batches // self.devices.world))
        batch_shape = (domains * settings.identities * settings.images, 3, *images.size)
        self.devices.capture_graph(self.encoder.train(), batch_shape, "training")
        self._forward = ForwardPass(self.encoder, self.devices, ddp=False)  # the classifier is outside
        self.people, self.classifier = np.empty(0, np.int64), None
        if source is not None:
            self.people = person_labels(source, method="JVTC", remedy="leave --source out")
            self.classifier = self.devices.to_device(nn.Linear(self.encoder.dim, int(self.people.max()) + 1))
        self.optimizer = nesterov(
            self.encoder,
            *([] if self.classifier is None else [self.classifier]),
            rate=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            new_factor=settings.new_factor,
        )
        self.labeling = JointLabeling(
            images.table,
            settings.cluster,
            weights=(settings.visual_weight, settings.joint_weight),
            eps_scale=settings.eps_scale,
            interval=settings.time_interval,
            smoothing=settings.time_smoothing,
        )
        self.memory = InstanceMemory(len(images), self.encoder.dim, normalize=settings.normalize_memory)
        self.memory = self.memory.to(self.devices.device)
        self.generator = torch.Generator()  # of views; seeded again in each epoch
        self._labels: Tensor | None = None  # (N,) of the epoch, on the device; none before the first clustering
        self._kept = 0.0  # m in this epoch
        self._source_batches: Iterator[Ints] = iter(())

    @property
    def clusters(self) -> PseudoLabels | None:
        """The clusters of the current epoch; None before the first clustering."""
        return self.labeling.clusters if self.labeling.current.num_clusters else None

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """Everything a checkpoint holds."""
        parts: dict[str, Stateful] = {"encoder": self.encoder, "optimizer": self.optimizer}
        parts |= {"labels": self.labeling, "memory": self.memory}
        return parts if self.classifier is None else parts | {"classifier": self.classifier}

    # -- an epoch ----------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int) -> Iterator[Ints]:
        """Cluster the images if it is time to, and return the batches."""
        s = self.settings
        set_learning_rate(self.optimizer, stepped_rate(s.learning_rate, epoch, milestones=s.milestones, decay=s.decay))
        self._kept = min(s.memory_growth * epoch, s.memory_limit)
        if epoch >= s.cluster_from:
            if (epoch - s.cluster_from) % s.cluster_every == 0:
                self.labeling.uses_time = epoch >= s.joint_from
                _, embeddings = pool_and_embed(self.encoder, self.images, devices=self.devices)
                self.labeling.update(embeddings, self.devices)
            self._labels = torch.from_numpy(separate(self.labeling.current.labels)).to(self.devices.device)
        self._forward.train()
        batch_generator, self.generator = epoch_generators(self.seed, epoch)
        if self.source is not None:
            generator = np.random.default_rng(batch_generator.integers(2**62))
            size = min(s.identities, len(self.images)) * s.images
            source_rows = np.resize(np.arange(len(self.source)), max(size, len(self.source)))
            self._source_batches = shuffled_batches(source_rows, size, generator)
        rows = np.arange(len(self.images))
        batches = shuffled_batches(rows, s.identities, batch_generator)
        return islice(batches, s.iterations or max(1, len(rows) // s.identities))

    def end_epoch(self) -> dict[str, float]:
        """Return the clusters' quality, if there are clusters, and the learning rate of the backbone."""
        self.devices.sync_buffers(self.encoder)
        quality = {} if self._labels is None else self.labeling.diagnostics
        return {**quality, "learning_rate": learning_rate(self.optimizer)}

    # -- a step ------------------------------------------------------------------------------------------------

    def step(self, batch: Ints) -> dict[str, Tensor]:
        """Learn from a batch of rows of the target, and from one of the source; each process learns from its shard."""
        s = self.settings
        shard = load_shard(self.images, batch, self.devices)
        views = [self._draw_view(shard) for _ in range(s.images)]
        if self.source is not None:
            source_shard = load_shard(self.source, next(self._source_batches), self.devices)
            views.append(source_shard.augmented(s.augment, self.generator))
        features = self._forward(torch.cat(views))
        num_views = s.images * len(shard.pixels)
        vectors = F.normalize(features[:num_views])  # the views of all images one after another

        own_centers = F.normalize(vectors.detach().reshape(s.images, -1, vectors.shape[1]).mean(0))
        centers = self.devices.gather(own_centers)  # w of the whole batch
        rows = torch.from_numpy(shard.batch).to(self.devices.device)
        numbers = torch.arange(len(rows), device=self.devices.device)[shard.span].repeat(s.images)
        losses = {"local": proxy_contrast(vectors, numbers, centers, temperature=s.local_temperature).mean()}
        if self._labels is not None and s.global_weight:
            same = self._labels[rows[shard.span], None] == self._labels
            shared = shared_label_contrast(
                vectors, self.memory.features, same.repeat(s.images, 1), temperature=s.global_temperature
            )
            losses["global"] = s.global_weight * shared.mean()
        if self.classifier is not None:
            people = source_shard.lookup(self.people)[source_shard.span]
            losses["source"] = cross_entropy(self.classifier(features[num_views:]), people).mean()
        minimize(losses, self.optimizer, devices=self.devices, ddp=False)
        self.memory.update(rows, centers, momentum=self._kept)
        return mean_losses(losses, self.devices)

    def _draw_view(self, shard: Shard) -> Tensor:
        """Return a view of each image of a shard, ``(S, 3, H, W)``."""
        if self.styles is not None:
            draws = torch.rand(len(shard.batch), generator=self.generator)
            pixels = self.styles.pixels(shard.batch[shard.span], draws[shard.span])
            shard = replace(shard, pixels=pixels.to(self.devices.device))
        return shard.augmented(self.settings.augment, self.generator)


def _check_times(images: Crops, settings: JVTCSettings) -> None:
    """Check that cameras and frames are known.

    Raises:
        ConfigError: One is unknown.
    """
    try:
        sightings_of(images.table, "the training part")
    except DataError as error:
        reason = str(error).removesuffix(", or rank by appearance")
        raise ConfigError(
            f"from epoch {settings.joint_from} on, JVTC clusters by time: {reason}, or set joint_from to "
            f"{settings.epochs} to cluster by appearance alone"
        ) from error
