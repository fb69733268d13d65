"""ICE: inter-instance contrastive encoding, training without labels (thesis ch. 6).

Each epoch the momentum encoder embeds all images, they are clustered, and the clusters stand in for people. Each step
pulls strongly augmented images

- to the proxy of their cluster (eq. 6.5) and to its proxies in the cameras (eq. 6.7),
- to the least similar image of their cluster in the batch (eq. 6.9),
- and keeps their similarities to the batch what they were without augmentation (eq. 6.12).

The defaults (`ice_settings.py`) are the reading of the released code, which gave the published numbers;
`VARIANTS["thesis"]` is the text to the letter. What they read differently, each a field: label smoothing in eq. 6.5
(code 0.1, text none); the positives of eq. 6.7 (code: the own camera's proxy too, all in one softmax; text: other
cameras, one softmax each) and its average (code: summed over the batch's cameras; text: over the batch); the direction
of eq. 6.12 (code KL(Q‖P), text KL(P‖Q)); an extra forward pass that only moves batch-norm statistics; batch norm in
four parts, as on the four GPUs of the released runs, with shuffled momentum batches.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from resight.compute.devices import Devices
from resight.compute.tensor_files import Stateful
from resight.data.crops import Crops
from resight.data.samplers import identity_batches
from resight.data.transforms import AugmentParams, apply_params, sample_params, to_float
from resight.errors import ConfigError
from resight.losses.consistency import Divergence, soft_instance_consistency
from resight.losses.contrastive import camera_contrast, hard_instance_contrast, proxy_contrast
from resight.methods.ice_settings import ICESettings
from resight.methods.labeling import Labeling, embed_all
from resight.models.ema import update_average
from resight.models.encoder import Encoder
from resight.models.fused import fuse
from resight.models.proxies import ProxyMemory
from resight.numerics.distances import normalize
from resight.records import Floats, Ints, PseudoLabels

MEASURED: Mapping[Divergence, str] = {
    "target-prediction": "kl",
    "prediction-target": "kl_reverse",
    "squared": "squared_divergence",
}
"""What each divergence is called in the metrics: KL(Q‖P), KL(P‖Q), and the squared difference of Table 6.3."""


class ICE:
    """The method: two encoders, their proxies and the update.

    Args:
        settings: Its numbers.
        images: The unlabeled training images; true people, where known, only enter the diagnostics.
        devices: Where it runs.
        seed: Of the batches and augmentations.
        encoder: What to start from; built from the settings where it is not given.

    Raises:
        ConfigError: Camera-aware training is asked for and a camera is unknown, or supervised and a person is.
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
            raise ConfigError(
                "camera-aware ICE needs the camera of every image: give them, or set --camera_aware false"
            )
        if settings.supervised and (images.table.person_ids < 0).any():
            raise ConfigError("supervised ICE needs the person of every image")
        self.settings, self.images, self.seed = settings, images, seed
        self.devices = devices or Devices()
        self.online = self.devices.to_device(encoder or Encoder(settings.encoder))
        self.momentum = copy.deepcopy(self.online).requires_grad_(False)
        for network in (self.online, self.momentum):
            network.ghost_batches = max(1, settings.ghost_batches // self.devices.world)
        shape = (settings.identities * settings.images, 3, *images.size)
        self.devices.capture_graph(self.online.train(), shape, "training")
        self.devices.capture_graph(self.momentum.train(), shape, "inference")
        self.optimizer = self.devices.adam(
            self.online.parameters(), rate=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.forward = self.devices.ddp(self.online)
        aware, chosen = settings.camera_aware, settings.cluster
        one_list = replace(chosen, k1=chosen.k1 + chosen.k_cross_camera, k_cross_camera=0)
        self.labeling = Labeling(
            images.table,
            chosen if aware else one_list,
            supervised=settings.supervised,
            center_cameras=aware and settings.center_cameras,
            whiten=settings.whiten,
        )
        self._recent: deque[Ints] = deque(maxlen=8)

    @property
    def encoder(self) -> Encoder:
        """The momentum encoder: what is evaluated and kept."""
        return self.momentum

    @property
    def clusters(self) -> PseudoLabels | None:
        """The clusters of the epoch in hand; None where true people stand in their place."""
        return self.labeling.clusters

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """All that a checkpoint holds."""
        return {
            "online": self.online,
            "momentum": self.momentum,
            "optimizer": self.optimizer,
            "labels": self.labeling,
        }

    # -- an epoch ----------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int) -> Iterator[Ints]:
        """Embed all images, cluster them, make the proxies, and give the batches."""
        s = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = s.rate(epoch)
        vectors, pooled = embed_all(self.momentum, self.images, devices=self.devices, alike=(self.online,))
        compared = normalize(pooled) if s.cluster_feature == "pooled" else vectors
        labels = self.labeling.update(compared, self.devices).labels
        cameras = self.images.table.camera_ids
        self.memory = ProxyMemory(
            vectors,
            labels,
            cameras if s.camera_aware else None,
            normalize=s.agnostic_similarity == "cosine",
            device=self.devices.device,
        )
        self.online.train()
        self.momentum.train()
        self._sees = fuse(self.momentum, trainable=True)
        if self.devices.world == 1:  # several processes share the gradients of a module's own weights
            self.forward = fuse(self.online, trainable=True)
        numbers = np.random.default_rng([self.seed, epoch])
        self.generator = torch.Generator().manual_seed(int(numbers.integers(2**62)))
        self._recent.clear()  # what is measured on them must not depend on a kill in between
        return islice(identity_batches(labels, cameras, (s.identities, s.images), numbers), s.iterations)

    def end_epoch(self) -> dict[str, float]:
        """Give the clusters' numbers and how far augmentation moves the similarities (figure 6.7), as eq. 6.12 asks."""
        self.devices.sync_buffers(self.online, self.momentum)
        found, rate = self.labeling.current, self.optimizer.param_groups[0]["lr"]
        moved = {MEASURED[self.settings.soft_divergence]: self._divergence()}
        return {**found.quality, "eps": found.eps, "learning_rate": rate, **moved}

    @torch.no_grad()
    def _divergence(self) -> float:
        """Measure eq. 6.12 on the epoch's last batches, whether or not it is trained."""
        s = self.settings
        self.online.eval()
        self.momentum.eval()
        divergences = []
        for batch in self._recent:
            pixels = self.images.pixels(batch).to(self.devices.device)
            views = [sample_params(s.augment, len(batch), self.images.size, self.generator) for _ in range(2)]
            first, second = (apply_params(pixels, view, color=s.augment.erase_color) for view in views)
            with self.devices.autocast("inference"):
                f, m, plain = self.online(first), self.momentum(second), self.momentum(to_float(pixels))
            target = (m if s.soft_target == "strong" else plain).float()
            each = soft_instance_consistency(
                f.float(),
                m.float(),
                target,
                target,
                temperature=s.soft_temperature,
                divergence=s.soft_divergence,
            )
            divergences.append(float(each.mean()))
        return float(np.mean(divergences))

    # -- a step ------------------------------------------------------------------------------------------------

    def step(self, batch: Ints) -> dict[str, Tensor]:
        """Learn from a batch of rows; every process takes its share of them."""
        s, table = self.settings, self.images.table
        batch = self.devices.drop_remainder(batch)
        self._recent.append(batch)
        views = [sample_params(s.augment, len(batch), self.images.size, self.generator) for _ in range(2)]
        share = self.devices.shard(len(batch))
        rows = batch[share]
        pixels = self.images.pixels(rows).to(self.devices.device)
        strong = self._strong(pixels, views[0], share)
        labels, cameras = self._tensor(self.labeling.current.labels[rows]), self._tensor(table.camera_ids[rows])
        all_labels = self._tensor(self.labeling.current.labels[batch])

        with self.devices.autocast("training"):
            features = self.forward(strong)
        features = features.float()  # losses are float32, whatever the forward pass computed in
        losses = {"agnostic": s.agnostic_weight * self._agnostic(features, labels).mean()}
        if s.camera_aware:
            weights = self._tensor(self._camera_weights(batch)[share])
            cross = camera_contrast(
                features,
                labels,
                cameras,
                proxies=self.memory.proxies,
                temperature=s.cross_temperature,
                negatives=s.cross_negatives,
                own_camera=s.cross_own_camera,
                softmax=s.cross_softmax,
                ignore_mask=self._ignore_mask(labels, self.memory.proxies[1]),
            )
            losses["cross"] = s.cross_weight * (weights * cross).sum() * self.devices.world
        losses |= self._instance_losses(features, pixels, (views[1], share), (labels, all_labels))
        if s.extra_forward:
            other = self._strong(pixels, views[1], share)
            with torch.no_grad(), self.devices.autocast("training"):
                self.online(other)

        total = torch.stack(list(losses.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        self.devices.backward(total)
        if s.clip:
            torch.nn.utils.clip_grad_norm_(self.online.parameters(), s.clip)
        self.optimizer.step()
        update_average(self.momentum, self.online, momentum=s.momentum)
        if s.proxy_momentum < 1:
            all_cameras = self._tensor(table.camera_ids[batch])
            self.memory.update(self.devices.gather(features), all_labels, all_cameras, momentum=s.proxy_momentum)
        return {f"loss/{name}": self.devices.mean(loss) for name, loss in losses.items()}

    def _agnostic(self, features: Tensor, labels: Tensor) -> Tensor:
        s = self.settings
        return proxy_contrast(
            F.normalize(features) if s.agnostic_similarity == "cosine" else features,
            labels,
            self.memory.centers,
            temperature=s.agnostic_temperature,
            label_smoothing=s.label_smoothing,
            ignore_mask=self._ignore_mask(labels, torch.arange(len(self.memory.centers), device=labels.device)),
        )

    def _ignore_mask(self, labels: Tensor, others: Tensor) -> Tensor | None:
        """Give which of the other clusters each label is not pushed away from."""
        if self.settings.negatives == "all" or not self.settings.camera_aware:
            return None
        return self.memory.share_no_camera(labels, others)

    def _instance_losses(
        self, features: Tensor, pixels: Tensor, view: tuple[AugmentParams, slice], labels: tuple[Tensor, Tensor]
    ) -> dict[str, Tensor]:
        """Contrast with the batch's images as the momentum encoder sees them (eq. 6.9 and 6.12).

        It sees them whatever is learned from that: its batch-norm statistics are those of its own passes.
        """
        s = self.settings
        own, everyone = labels
        keys_own = self._keys(self._strong(pixels, *view))
        target_own = keys_own if s.soft_target == "strong" else self._keys(to_float(pixels))
        keys = self.devices.gather(keys_own)
        losses = {}
        if s.hard_weight:
            hard = hard_instance_contrast(
                features,
                own,
                keys,
                everyone,
                temperature=s.hard_temperature,
                negatives=s.hard_negatives,
                ignore_mask=self._ignore_mask(own, everyone),
            )
            losses["hard"] = s.hard_weight * hard.mean()
        if s.soft_weight:
            soft = soft_instance_consistency(
                features,
                keys,
                target_own,
                self.devices.gather(target_own),
                temperature=s.soft_temperature,
                divergence=s.soft_divergence,
            )
            losses["soft"] = s.soft_weight * soft.mean()
        return losses

    @torch.no_grad()
    def _keys(self, images: Tensor) -> Tensor:
        """Embed images with the momentum encoder, shuffled where batch norm sees parts of the batch."""
        order = torch.arange(len(images))
        if self.settings.shuffle and self.momentum.ghost_batches > 1:
            order = torch.randperm(len(images), generator=self.generator)
        order = order.to(images.device)
        with self.devices.autocast("inference"):
            shuffled = F.normalize(self._sees(images[order]).float())
        return torch.empty_like(shuffled).index_copy_(0, order, shuffled)

    def _strong(self, pixels: Tensor, draws: AugmentParams, share: slice) -> Tensor:
        return apply_params(pixels, draws.rows(share.start, share.stop), color=self.settings.augment.erase_color)

    def _camera_weights(self, batch: Ints) -> Floats:
        """Give each image's weight in eq. 6.7: one over its camera's images in the batch, or over the batch."""
        if self.settings.cross_average == "batch":
            return np.full(len(batch), 1 / len(batch), np.float32)
        _, camera, counts = np.unique(self.images.table.camera_ids[batch], return_inverse=True, return_counts=True)
        return (1 / counts[camera]).astype(np.float32)

    def _tensor(self, values: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.devices.device)
