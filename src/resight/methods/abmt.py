"""ABMT: asymmetric branched mean teaching, adaptation without labels (thesis ch. 4).

A student learns from clusters and from a teacher, which is its own moving average. A teacher that only repeats its
student has nothing to teach: so the network ends in branches of different depth and pooling
(`models/heads/asymmetric.py`), and each of the student's branches learns from another branch of the teacher.

Each epoch the teacher embeds all images by its branches together, and their clusters stand in for people. Each step
asks of every branch of the student

- which cluster an image is of (eq. 4.2), by a classifier whose weights began as the clusters' centers,
- that its classifier is as unsure as that of the teacher's other branch (eq. 4.4 and 4.5),
- and that its nearest and farthest images of the batch stand to each other as they do for the teacher's other branch
  (eq. 4.6 and 4.7);

then the teacher moves towards the student (eq. 4.3). The teacher is what is evaluated and kept.

With a single branch this is the mean-teacher baseline, and with two networks of one branch each MMT: see
`mean_teacher.py`. The branches of all networks stand in a ring, and each learns from the teacher of the one before it.

The defaults are the reading of the released code, which gave the published numbers; `VARIANTS["thesis"]` is the text to
the letter. What they read differently, each a setting: label smoothing (code 0.1, text none); the soft triplet loss
(code both classes, text one term); the branches' losses (code mean, text sum: the same ratio); α (code climbs, text
constant after a first copy); Adam (code anew each epoch, text not mentioned); batch norm in four parts, as on the four
GPUs of the released runs; ResNet-50's stem (code without ReLU).
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from resight.compute.devices import Devices
from resight.compute.tensor_files import Stateful
from resight.data.crops import Crops
from resight.data.samplers import identity_batches, pick_other_cameras
from resight.data.transforms import apply_params, sample_params
from resight.errors import ConfigError
from resight.losses.classification import cross_entropy, soft_cross_entropy
from resight.losses.triplet import batch_hard_triplet, soft_triplet
from resight.methods.abmt_settings import ABMTSettings
from resight.methods.labeling import Labeling, embed_all
from resight.models.classifier import BranchClassifier
from resight.models.ema import ramp, update_average
from resight.models.encoder import Encoder
from resight.models.fused import fuse, sharing
from resight.numerics.clustering import centroids
from resight.numerics.distances import normalize
from resight.records import Floats, Ints, PseudoLabels
from resight.retrieval.extraction import build_encoder, embed_crops

logger = logging.getLogger(__name__)

LOSSES = ("classification", "soft_classification", "triplet", "soft_triplet")

Views = tuple[list[Tensor], list[Tensor]]
"""Of each branch in the ring its ``(B, C)`` pooled features, and its ``(B, clusters)`` logits."""


class ABMT:
    """The method: students, their teachers and the update.

    Args:
        settings: Its numbers.
        images: The unlabeled training images; true people, where known, only enter the diagnostics.
        devices: Where it runs.
        seed: Of the batches and augmentations.
        encoder: What to start from; built from the settings where it is not given.
        peer: What the second of two networks starts from; the same as the first where it is not given.
        source: Images of the source, which only enter the clustering's distances.

    Raises:
        ConfigError: The encoder has vectors of parts, there is a peer for one network only, or the clustering wants a
            source and there is none.
    """

    def __init__(
        self,
        settings: ABMTSettings,
        images: Crops,
        *,
        devices: Devices | None = None,
        seed: int = 1,
        encoder: Encoder | None = None,
        peer: Encoder | None = None,
        source: Crops | None = None,
    ) -> None:
        if peer is not None and settings.networks == 1:
            raise ConfigError("a second encoder to start from is for two networks: give one, or set networks to 2")
        weighs = settings.cluster.source_weight > 0 and settings.cluster.method == "dbscan"
        if weighs and source is None:
            raise ConfigError(
                "cluster.source_weight needs images of the source: give --source NAME=PATH, or set it to 0"
            )
        if source is not None and not weighs:
            weigh = "set cluster.source_weight, 0.1 is usual"
            why = "K-Means takes none" if settings.cluster.source_weight else weigh
            logger.warning("the source's images are not used: %s, or leave them out", why)
        self.settings, self.images, self.seed = settings, images, seed
        self.source = source if weighs else None
        self.devices = devices or Devices()
        first = encoder or build_encoder(settings.encoder, images, devices=self.devices)
        encoders = [first, peer or copy.deepcopy(first)][: settings.networks]
        self.students = [self.devices.to_device(BranchClassifier(each, dropout=settings.dropout)) for each in encoders]
        self.teachers = [copy.deepcopy(student).requires_grad_(False) for student in self.students]
        shape = (settings.identities * settings.images, 3, *images.size)
        for network in (*self.students, *self.teachers):
            network.encoder.ghost_batches = max(1, settings.ghost_batches // self.devices.world)
            self.devices.capture_graph(network.encoder.train(), shape, "training", name="forward_with_pooled")
        self.labeling = Labeling(images.table, settings.cluster, freeze_eps=settings.freeze_eps)
        self.optimizer = self._adam([student.encoder for student in self.students])
        weights = {name: float(getattr(settings, f"{name}_weight")) for name in LOSSES}
        self._weights = {name: weight for name, weight in weights.items() if weight}

    @property
    def encoder(self) -> Encoder:
        """The (first) teacher: what is evaluated and kept; its classifiers are not."""
        return self.teachers[0].encoder

    @property
    def clusters(self) -> PseudoLabels | None:
        """The clusters of the epoch in hand."""
        return self.labeling.clusters

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """All that a checkpoint holds; classifiers are made anew each epoch, and so may be Adam's moments."""
        parts: dict[str, Stateful] = {"labels": self.labeling}
        for number, (student, teacher) in enumerate(zip(self.students, self.teachers, strict=True), 1):
            parts |= {f"student {number}": student.encoder, f"teacher {number}": teacher.encoder}
        return parts if self.settings.reset_optimizer else parts | {"optimizer": self.optimizer}

    # -- an epoch ----------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int) -> Iterator[Ints]:
        """Embed all images with the teacher, cluster them, make the classifiers, and give the batches."""
        s = self.settings
        vectors, source = self._embed_all()
        labels = self.labeling.update(vectors, self.devices, source=source).labels
        centers = torch.from_numpy(centroids(vectors, labels, normalize=False)).to(self.devices.device)
        for network in (*self.students, *self.teachers):
            network.set_classifiers(centers)
            network.train()  # the teacher's running statistics are those of its own forward passes
        for teacher in self.teachers:
            teacher.requires_grad_(False)
        self._teach = [_folded(each) for each in self.teachers]
        if s.reset_optimizer:
            self.optimizer = self._adam([student.encoder for student in self.students])
        self.classifier_optimizer = self._adam([student.classifiers for student in self.students])
        alone = self.devices.world == 1  # several processes share the gradients of a module's own weights
        self.forward = [_folded(each) if alone else self.devices.ddp(each) for each in self.students]
        self._step = epoch * s.iterations
        numbers = np.random.default_rng([self.seed, epoch])
        self.generator = torch.Generator().manual_seed(int(numbers.integers(2**62)))
        shape = (s.identities, s.images)
        batches = identity_batches(labels, self.images.table.camera_ids, shape, numbers, pick=pick_other_cameras)
        return islice(batches, s.iterations)

    def _embed_all(self) -> tuple[Floats, Floats | None]:
        """Embed the training images and the source's: ``(N, D)`` vectors to cluster, and ``(S, D)`` where wanted.

        The vectors of two teachers are averaged; DBSCAN sees them with unit length again, K-Means as they are (MMT).
        """
        found, others = [], []
        for student, teacher in zip(self.students, self.teachers, strict=True):
            encoder = teacher.encoder
            found.append(embed_all(encoder, self.images, devices=self.devices, alike=(student.encoder,))[0])
            if self.source is not None:
                others.append(embed_crops(encoder, self.source, devices=self.devices))
        if len(found) == 1:
            return found[0], others[0] if others else None
        scaled = normalize if self.settings.cluster.method == "dbscan" else np.asarray
        vectors, source = (scaled(np.mean(each, 0)) if each else None for each in (found, others))
        assert vectors is not None
        return vectors, source

    def _adam(self, modules: list[Any]) -> torch.optim.Optimizer:
        s = self.settings
        parameters = chain.from_iterable(module.parameters() for module in modules)
        return self.devices.adam(parameters, rate=s.learning_rate, weight_decay=s.weight_decay)

    def end_epoch(self) -> dict[str, float]:
        """Give the clusters' numbers and how far teachers and students are apart."""
        self.devices.sync_buffers(*self.students, *self.teachers)
        found = self.labeling.current
        values = {**found.quality, "eps": found.eps, "learning_rate": self.settings.learning_rate}
        return values | (self._apart() if self.settings.num_eval_images else {})

    def _apart(self) -> dict[str, float]:
        """Measure figure 4.4: mean Euclidean distances over images, where the figure has their sum over all.

        ``teacher_distance`` is between the pooled features of neighbors in the ring of the teachers' branches,
        ``student_teacher_distance`` between the unit vectors of a student and its teacher.
        """
        count = min(self.settings.num_eval_images, len(self.images))
        images = self.images[np.linspace(0, len(self.images) - 1, count).round().astype(np.int64)]
        pooled: list[Tensor] = []
        gaps = []
        for student, teacher in zip(self.students, self.teachers, strict=True):
            both = (embed_crops(each.encoder, images, devices=self.devices) for each in (student, teacher))
            gaps.append(_mean_distance(*map(torch.from_numpy, both)))
            raw = torch.from_numpy(embed_crops(teacher.encoder, images, devices=self.devices, raw=True))
            pooled += teacher.encoder.split(raw)
        values = {"student_teacher_distance": float(np.mean(gaps))}
        if len(pooled) > 1:
            pairs = zip(pooled, pooled[1:] + pooled[:1], strict=True)
            values["teacher_distance"] = float(np.mean([_mean_distance(*pair) for pair in pairs]))
        return values

    # -- a step ------------------------------------------------------------------------------------------------

    def step(self, batch: Ints) -> dict[str, Tensor]:
        """Learn from a batch of rows; every process takes its share of them."""
        s = self.settings
        batch = self.devices.drop_remainder(batch)
        share = self.devices.shard(len(batch))
        seen = self._augmented(batch, share)
        taught_by = self._augmented(batch, share) if s.stochastic_augmentation else seen
        everyone = torch.from_numpy(self.labeling.current.labels[batch]).to(self.devices.device)
        labels = everyone[share]

        student = self._views(self.forward, seen)
        with torch.no_grad():
            teacher = self._views(self._teach, taught_by)
        losses: dict[str, list[Tensor]] = {name: [] for name in self._weights}
        for i, (pooled, logits) in enumerate(zip(*student, strict=True)):
            other = i - 1 if s.cross_branch else i  # around the ring: before the first is the last
            target_pooled, target_logits = teacher[0][other], teacher[1][other]
            if s.classification_weight:
                losses["classification"].append(cross_entropy(logits, labels, label_smoothing=s.label_smoothing))
            if s.soft_classification_weight:
                losses["soft_classification"].append(soft_cross_entropy(logits, target_logits))
            if s.triplet_weight or s.soft_triplet_weight:
                # Pairs reach over all processes' shares, so their gradients do too.
                pooled, target_pooled = self.devices.gather(pooled, learn=True), self.devices.gather(target_pooled)
            if s.triplet_weight:
                losses["triplet"].append(batch_hard_triplet(pooled, everyone, margin=None)[share])
            if s.soft_triplet_weight:
                each = soft_triplet(pooled, target_pooled, everyone, variant=s.soft_triplet)
                losses["soft_triplet"].append(each[share])

        joined = {name: weight * self._joined(losses[name]) for name, weight in self._weights.items()}
        total = torch.stack(list(joined.values())).sum()  # eq. 4.8
        for optimizer in (self.optimizer, self.classifier_optimizer):
            optimizer.zero_grad(set_to_none=True)
        self.devices.backward(total)
        self.optimizer.step()
        self.classifier_optimizer.step()
        self._follow()
        return {f"loss/{name}": self.devices.mean(loss) for name, loss in joined.items()}

    def _augmented(self, batch: Ints, share: slice) -> list[Tensor]:
        """Give this process' share of a batch as each network sees it; networks see it augmented apart."""
        s = self.settings
        pixels = self.images.pixels(batch[share]).to(self.devices.device)
        draws = [sample_params(s.augment, len(batch), self.images.size, self.generator) for _ in range(s.networks)]
        return [apply_params(pixels, d.rows(share.start, share.stop), color=s.augment.erase_color) for d in draws]

    def _views(self, networks: list[Any], images: list[Tensor]) -> Views:
        """Run each network over its images, and give what each branch of each makes of them."""
        pooled: list[Tensor] = []
        logits: list[Tensor] = []
        for network, own, seen in zip(networks, self.students, images, strict=True):
            with self.devices.autocast("training"):
                before, after = network(seen)
            pooled += own.encoder.split(before.float())  # losses are float32, whatever the forward pass computed in
            logits += after.float().unbind()
        return pooled, logits

    def _joined(self, losses: list[Tensor]) -> Tensor:
        """Turn the branches' ``(share,)`` losses into one; the mean over the processes is the whole batch's."""
        stacked = torch.stack(losses)
        return (stacked.mean(0) if self.settings.branch_reduction == "mean" else stacked.sum(0)).mean()

    def _follow(self) -> None:
        """Move each teacher towards its student, its classifiers too (eq. 4.3)."""
        s = self.settings
        constant = s.momentum if self._step else 0.0
        momentum = ramp(s.momentum, self._step) if s.ramp else constant
        for teacher, student in zip(self.teachers, self.students, strict=True):
            update_average(teacher, student, momentum=momentum)
        self._step += 1


def _folded(network: BranchClassifier) -> Any:
    return sharing(network, encoder=fuse(network.encoder, trainable=True))


def _mean_distance(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm(dim=1).mean())
