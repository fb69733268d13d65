"""ICE: inter-instance contrastive encoding, training without labels (thesis ch. 6).

Each epoch, the momentum encoder embeds all images and they are clustered; clusters replace person ids. Each step

- pulls strongly augmented images to the center of their cluster (eq. 6.5) and to its proxies in the cameras (eq. 6.7),
- pulls each image to the least similar image of its cluster in the batch (eq. 6.9),
- and keeps the similarities of each image to the batch what they were without augmentation (eq. 6.12).

The defaults (`ice_settings.py`) follow the authors' code, which gave the published numbers; `VARIANTS["thesis"]`
follows the text. They differ in these settings: label smoothing in eq. 6.5 (code 0.1, text none); the positives of
eq. 6.7 (code: also the proxy of the image's own camera, all in one softmax; text: other cameras, one softmax each) and
its average (code: summed over the batch's cameras; text: over the batch); the direction of eq. 6.12 (code KL(Q‖P), text
KL(P‖Q)); an extra forward pass that only moves batch-norm statistics; four ghost batches, as on the four GPUs of the
authors' runs, with shuffled momentum batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from resight.compute.devices import Devices
from resight.compute.tensor_files import Stateful
from resight.data.crops import Crops
from resight.data.samplers import identity_batches
from resight.errors import ConfigError
from resight.losses.consistency import Divergence, soft_instance_consistency
from resight.losses.contrastive import camera_contrast, camera_weights, hard_instance_contrast, proxy_contrast
from resight.methods.batches import epoch_generators, load_batch, load_shard
from resight.methods.ice_settings import ICESettings
from resight.methods.labeling import Labeling, pool_and_embed
from resight.methods.updates import learning_rate, mean_losses, minimize, set_learning_rate, with_momentum
from resight.models.ema import update_average
from resight.models.encoder import Encoder
from resight.models.proxies import ProxyMemory
from resight.numerics.distances import normalize
from resight.records import Ints, PseudoLabels

DIVERGENCE_METRIC: Mapping[Divergence, str] = {
    "target-prediction": "kl",
    "prediction-target": "kl_reverse",
    "squared": "squared_divergence",
}
"""The metric of each divergence: KL(Q‖P), KL(P‖Q), and the squared difference of Table 6.3."""


class ICE:
    """The training method: two encoders, the memory of proxies, and the update.

    Args:
        settings: Every number of the method.
        images: The unlabeled training images. True person ids, if known, only enter the diagnostics.
        devices: Where it runs.
        seed: Seed of the batches and augmentations.
        encoder: The encoder to start from; built from the settings if absent.

    Raises:
        ConfigError: Camera-aware training lacks a camera id, or supervised training a person id.
    """

    def __init__(
        self,
        settings: ICESettings,
        images: Crops,
        *,
        devices: Devices | None = None,
        seed: int = 1,
        encoder: Encoder | None = None,
    ) -> None:
        if settings.camera_aware and not images.table.has_cameras:
            raise ConfigError("camera-aware ICE needs the camera of every image; or set --camera_aware false")
        if settings.supervised and (images.table.person_ids < 0).any():
            raise ConfigError("supervised ICE needs the person of every image")
        self.settings, self.images, self.seed = settings, images, seed
        self.devices = devices or Devices()

        # The online encoder learns; the momentum encoder is its moving average and is what is evaluated.
        self.online = self.devices.to_device(encoder or Encoder(settings.encoder))
        self.online.use_ghost_batches(settings.ghost_batches, processes=self.devices.world)
        batch_shape = (settings.identities * settings.images, 3, *images.size)
        self.momentum, self._online_forward, self._momentum_forward = with_momentum(
            self.online, self.devices, batch_shape
        )
        self.optimizer = self.devices.adam(
            self.online.parameters(), rate=settings.learning_rate, weight_decay=settings.weight_decay
        )

        # Without cameras, one list of neighbors as long as the lists of both kinds together.
        k1, k_cross_camera = settings.cluster.k1, settings.cluster.k_cross_camera
        agnostic_cluster = replace(settings.cluster, k1=k1 + k_cross_camera, k_cross_camera=0)
        self.labeling = Labeling(
            images.table,
            settings.cluster if settings.camera_aware else agnostic_cluster,
            supervised=settings.supervised,
            center_cameras=settings.camera_aware and settings.center_cameras,
            whiten=settings.whiten,
        )
        self.memory = ProxyMemory(normalize=settings.agnostic_similarity == "cosine", device=self.devices.device)
        self.generator = torch.Generator()  # of augmentations and shuffles; seeded again in each epoch
        self._recent_batches: deque[Ints] = deque(maxlen=8)  # the divergence is measured on them

    @property
    def encoder(self) -> Encoder:
        """The momentum encoder, which is evaluated and saved."""
        return self.momentum

    @property
    def clusters(self) -> PseudoLabels | None:
        """The clusters of the current epoch; None if training is supervised."""
        return self.labeling.clusters

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """Everything a checkpoint holds; the memory is rebuilt in each epoch."""
        return {
            "online": self.online,
            "momentum": self.momentum,
            "optimizer": self.optimizer,
            "labels": self.labeling,
        }

    # -- an epoch ----------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int) -> Iterator[Ints]:
        """Embed all images, cluster them, rebuild the proxies, and return the batches."""
        s, cameras = self.settings, self.images.table.camera_ids
        set_learning_rate(self.optimizer, s.rate(epoch))

        # (N, P) features before the neck, (N, D) unit vectors after it
        pooled, embeddings = pool_and_embed(self.momentum, self.images, devices=self.devices, learner=self.online)
        clustered = normalize(pooled) if s.cluster_feature == "pooled" else embeddings
        labels = self.labeling.update(clustered, self.devices).labels
        self.memory.rebuild(embeddings, labels, cameras if s.camera_aware else None)

        self._online_forward.train()
        self._momentum_forward.train()  # its batch-norm statistics are those of its own passes
        batch_generator, self.generator = epoch_generators(self.seed, epoch)
        self._recent_batches.clear()  # a resumed run measures the same batches
        shape = (s.identities, s.images)
        domains = self.images.table.domain_ids
        batches = identity_batches(labels, cameras, shape, batch_generator, domains=domains)  # rows, without end
        return islice(batches, s.num_steps(labels))

    def end_epoch(self) -> dict[str, float]:
        """Return the clusters' quality and how far augmentation moves the similarities (figure 6.7)."""
        self.devices.sync_buffers(self.online, self.momentum)
        return {
            **self.labeling.diagnostics,
            "learning_rate": learning_rate(self.optimizer),
            DIVERGENCE_METRIC[self.settings.soft_divergence]: self._mean_divergence(),
        }

    @torch.no_grad()
    def _mean_divergence(self) -> float:
        """Measure eq. 6.12 on the epoch's last batches, whether or not it is trained."""
        s = self.settings
        self.online.eval()
        self.momentum.eval()
        divergences = []
        for recent_batch in self._recent_batches:
            batch = load_batch(self.images, recent_batch, self.devices)
            first_view = batch.augmented(s.augment, self.generator)
            second_view = batch.augmented(s.augment, self.generator)
            with self.devices.autocast("inference"):
                anchors, keys = self.online(first_view).float(), self.momentum(second_view).float()
                plain = self.momentum(batch.plain()).float()
            targets = keys if s.soft_target == "strong" else plain
            divergences.append(float(self._soft_losses(anchors, keys, targets, targets).mean()))
        return float(np.mean(divergences))

    # -- a step ------------------------------------------------------------------------------------------------

    def step(self, batch: Ints) -> dict[str, Tensor]:
        """Learn from a batch of rows; each process learns from its shard."""
        s = self.settings
        shard = load_shard(self.images, batch, self.devices)
        self._recent_batches.append(shard.batch)
        first_view = shard.augmented(s.augment, self.generator)
        second_view = shard.augmented(s.augment, self.generator)
        batch_labels = shard.lookup(self.labeling.current.labels)  # of the whole batch
        batch_cameras = shard.lookup(self.images.table.camera_ids)
        labels, cameras = batch_labels[shard.span], batch_cameras[shard.span]  # of this process's shard

        # The online encoder sees the first view. The momentum encoder sees the second view and the plain images, even
        # if no loss needs them, because its batch-norm statistics are those of its own passes.
        features = self._online_forward(first_view)
        shard_keys = self._momentum_features(second_view)
        shard_targets = shard_keys if s.soft_target == "strong" else self._momentum_features(shard.plain())
        keys, targets = self.devices.gather(shard_keys), self.devices.gather(shard_targets)  # of the whole batch

        losses = {"agnostic": s.agnostic_weight * self._agnostic_losses(features, labels).mean()}
        if s.camera_aware:
            weights = self._camera_weights(batch_cameras)[shard.span]
            cross_losses = self._cross_losses(features, labels, cameras)
            # Processes average their losses; times their number, that is the weighted sum over the batch.
            losses["cross"] = s.cross_weight * (weights * cross_losses).sum() * self.devices.world
        if s.hard_weight:
            losses["hard"] = s.hard_weight * self._hard_losses(features, labels, keys, batch_labels).mean()
        if s.soft_weight:
            losses["soft"] = s.soft_weight * self._soft_losses(features, keys, shard_targets, targets).mean()

        if s.extra_forward:  # only moves the running statistics of the online encoder
            with torch.no_grad(), self.devices.autocast("training"):
                self.online(second_view)
        minimize(losses, self.optimizer, devices=self.devices, max_norm=s.clip)
        update_average(self.momentum, self.online, momentum=s.momentum)  # eq. 6.2
        if s.proxy_momentum < 1:
            self.memory.update(self.devices.gather(features), batch_labels, batch_cameras, momentum=s.proxy_momentum)
        return mean_losses(losses, self.devices)

    @torch.no_grad()
    def _momentum_features(self, images: Tensor) -> Tensor:
        """Return the ``(S, D)`` unit vectors of images; shuffled, so that ghost batches are not of few identities."""
        order = torch.arange(len(images))
        if self.settings.shuffle and self.momentum.ghost_batches > 1:
            order = torch.randperm(len(images), generator=self.generator)
        order = order.to(images.device)
        shuffled = F.normalize(self._momentum_forward(images[order]))
        return torch.empty_like(shuffled).index_copy_(0, order, shuffled)

    # -- the losses, one value an image ------------------------------------------------------------------------

    def _agnostic_losses(self, features: Tensor, labels: Tensor) -> Tensor:
        """Pull each image to the center of its cluster, away from the other centers (eq. 6.5)."""
        s = self.settings
        return proxy_contrast(
            F.normalize(features) if s.agnostic_similarity == "cosine" else features,
            labels,
            self.memory.centers,
            temperature=s.agnostic_temperature,
            label_smoothing=s.label_smoothing,
            ignore_mask=self._ignore_mask(labels, torch.arange(len(self.memory.centers), device=labels.device)),
        )

    def _cross_losses(self, features: Tensor, labels: Tensor, cameras: Tensor) -> Tensor:
        """Pull each image to its cluster's proxies in the cameras, away from the nearest other proxies (eq. 6.7)."""
        s = self.settings
        return camera_contrast(
            features,
            labels,
            cameras,
            proxies=self.memory.proxies,
            temperature=s.cross_temperature,
            negatives=s.cross_negatives,
            own_camera=s.cross_own_camera,
            softmax=s.cross_softmax,
            ignore_mask=self._ignore_mask(labels, self.memory.proxies.labels),
        )

    def _hard_losses(self, features: Tensor, labels: Tensor, keys: Tensor, key_labels: Tensor) -> Tensor:
        """Pull each image to the least similar image of its cluster in the batch (eq. 6.9)."""
        s = self.settings
        return hard_instance_contrast(
            features,
            labels,
            keys,
            key_labels,
            temperature=s.hard_temperature,
            negatives=s.hard_negatives,
            ignore_mask=self._ignore_mask(labels, key_labels),
        )

    def _soft_losses(self, features: Tensor, keys: Tensor, target_features: Tensor, target_keys: Tensor) -> Tensor:
        """Keep the similarities of each image to the batch what they were without augmentation (eq. 6.12)."""
        s = self.settings
        return soft_instance_consistency(
            features,
            keys,
            target_features,
            target_keys,
            temperature=s.soft_temperature,
            divergence=s.soft_divergence,
        )

    def _ignore_mask(self, labels: Tensor, other_labels: Tensor) -> Tensor | None:
        """Return which other clusters each image is not pushed away from, ``(B, M)`` bool: one person's, perhaps."""
        if self.settings.negatives == "all" or not self.settings.camera_aware:
            return None
        return self.memory.share_no_camera(labels, other_labels)

    def _camera_weights(self, cameras: Tensor) -> Tensor:
        """Return each image's weight in eq. 6.7: one over its camera's images in the batch, or over the batch."""
        if self.settings.cross_average == "batch":
            return torch.full(cameras.shape, 1 / len(cameras), device=cameras.device)
        return camera_weights(cameras)
