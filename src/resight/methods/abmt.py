"""ABMT: asymmetric branched mean teaching, adaptation without labels (thesis ch. 4).

A student learns from clusters and from a teacher, which is its own moving average. A teacher that only repeats its
student has nothing to teach, so the network ends in branches of different depth and pooling
(`models/heads/asymmetric.py`), and each branch of the student learns from another branch of the teacher.

Each epoch, the teacher embeds all images by all its branches, and clusters replace person ids. Each step asks of every
branch of the student

- which cluster an image belongs to (eq. 4.2), by a classifier whose weights began as the clusters' centers,
- that its classifier is as unsure as the classifier of the teacher's other branch (eq. 4.4 and 4.5),
- and that its nearest and farthest images of the batch relate as they do for the teacher's other branch (eq. 4.6, 4.7);

then the teacher moves towards the student (eq. 4.3). The teacher is what is evaluated and saved.

With a single branch this is the mean-teacher baseline, and with two networks of one branch each MMT: see
`mean_teacher.py`. The branches of all networks form a ring; each learns from the teacher of the one before it.

The defaults follow the authors' code, which gave the published numbers; `VARIANTS["thesis"]` follows the text. They
differ in these settings: label smoothing (code 0.1, text none); the soft triplet loss (code both classes, text one
term); the branches' losses (code mean, text sum: the same ratio); α (code climbs, text constant after a first copy);
Adam (code resets it each epoch, text does not mention it); four ghost batches, as on the four GPUs of the authors'
runs; ResNet-50's stem (code without ReLU).
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from resight.compute.devices import Devices
from resight.compute.tensor_files import Stateful
from resight.data.crops import Crops
from resight.data.samplers import identity_batches, pick_other_cameras
from resight.errors import ConfigError
from resight.losses.classification import cross_entropy, soft_cross_entropy
from resight.losses.triplet import batch_hard_triplet, soft_triplet
from resight.methods.abmt_settings import ABMTSettings
from resight.methods.batches import Shard, epoch_generators, load_shard
from resight.methods.labeling import Labeling, pool_and_embed
from resight.methods.updates import ForwardPass, mean_losses, minimize
from resight.models.classifier import BranchClassifier
from resight.models.ema import ramp, update_average
from resight.models.encoder import Encoder
from resight.numerics.clustering import centroids
from resight.numerics.distances import normalize
from resight.records import Floats, Ints, PseudoLabels
from resight.retrieval.extraction import build_encoder, embed_crops, pool_crops

logger = logging.getLogger(__name__)

LOSSES = ("classification", "soft_classification", "triplet", "soft_triplet")


class BranchOutputs(NamedTuple):
    """What the branches of all networks, in the order of the ring, compute of the images of a shard.

    Attributes:
        pooled: For each branch its ``(S, C)`` pooled features.
        logits: For each branch its ``(S, clusters)`` logits.
    """

    pooled: list[Tensor]
    logits: list[Tensor]


class ABMT:
    """The training method: students, their teachers, and the update.

    Args:
        settings: Every number of the method.
        images: The unlabeled training images. True person ids, if known, only enter the diagnostics.
        devices: Where it runs.
        seed: Seed of the batches and augmentations.
        encoder: The encoder to start from; built from the settings if absent.
        peer: The encoder that the second of two networks starts from; a copy of the first if absent.
        source: Images of the source, which only enter the clustering's distances.

    Raises:
        ConfigError: The encoder has part features, a peer is given for one network, or the clustering needs source
            images and there are none.
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
        self.settings, self.images, self.seed = settings, images, seed
        self.source = _source_images(settings, source)
        self.devices = devices or Devices()

        # Each student learns; its teacher is its moving average.
        first = encoder or build_encoder(settings.encoder, images, devices=self.devices)
        encoders = [first, peer or copy.deepcopy(first)][: settings.networks]
        self.students = [
            self.devices.to_device(BranchClassifier(encoder, dropout=settings.dropout)) for encoder in encoders
        ]
        for student in self.students:
            student.encoder.use_ghost_batches(settings.ghost_batches, processes=self.devices.world)
        self.teachers = [copy.deepcopy(student).requires_grad_(False) for student in self.students]
        batch_shape = (settings.identities * settings.images, 3, *images.size)
        for network in (*self.students, *self.teachers):
            self.devices.capture_graph(network.encoder.train(), batch_shape, "training", name="forward_with_pooled")

        # The classifiers are new in each epoch, so what runs them and their optimizer are too.
        self._student_forwards: list[ForwardPass] = []
        self._teacher_forwards: list[ForwardPass] = []
        self.optimizer = self._adam(student.encoder for student in self.students)
        self.classifier_optimizer: torch.optim.Optimizer | None = None
        self.labeling = Labeling(images.table, settings.cluster, freeze_eps=settings.freeze_eps)
        self.generator = torch.Generator()  # of augmentations; seeded again in each epoch
        self._num_updates = 0  # of the teachers, since the first epoch

        weights = {name: float(getattr(settings, f"{name}_weight")) for name in LOSSES}
        self._weights = {name: weight for name, weight in weights.items() if weight}

    @property
    def encoder(self) -> Encoder:
        """The (first) teacher, which is evaluated and saved; its classifiers are not."""
        return self.teachers[0].encoder

    @property
    def clusters(self) -> PseudoLabels | None:
        """The clusters of the current epoch."""
        return self.labeling.clusters

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """Everything a checkpoint holds; classifiers are new in each epoch, and so may be Adam's moments."""
        parts: dict[str, Stateful] = {"labels": self.labeling}
        for number, (student, teacher) in enumerate(zip(self.students, self.teachers, strict=True), 1):
            parts |= {f"student {number}": student.encoder, f"teacher {number}": teacher.encoder}
        return parts if self.settings.reset_optimizer else parts | {"optimizer": self.optimizer}

    # -- an epoch ----------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int) -> Iterator[Ints]:
        """Embed all images with the teacher, cluster them, set the classifiers, and return the batches."""
        s = self.settings
        embeddings, source_embeddings = self._embed_all()
        labels = self.labeling.update(embeddings, self.devices, source=source_embeddings).labels
        centers = torch.from_numpy(centroids(embeddings, labels, normalize=False)).to(self.devices.device)
        for network in (*self.students, *self.teachers):
            network.set_classifiers(centers)
        for teacher in self.teachers:
            teacher.requires_grad_(False)
        if s.reset_optimizer:
            self.optimizer = self._adam(student.encoder for student in self.students)
        self.classifier_optimizer = self._adam(student.classifiers for student in self.students)

        self._student_forwards = [ForwardPass(student, self.devices) for student in self.students]
        self._teacher_forwards = [ForwardPass(teacher, self.devices) for teacher in self.teachers]
        for forward in (*self._student_forwards, *self._teacher_forwards):
            forward.train()  # the teacher's running statistics are those of its own passes
        steps = s.num_steps(labels)
        self._num_updates = epoch * steps  # with passes, an estimate: it only shapes the ramp of the first epochs
        batch_generator, self.generator = epoch_generators(self.seed, epoch)
        cameras, shape = self.images.table.camera_ids, (s.identities, s.images)
        return islice(identity_batches(labels, cameras, shape, batch_generator, pick=pick_other_cameras), steps)

    def _embed_all(self) -> tuple[Floats, Floats | None]:
        """Embed the training images and, if they enter the distance, the source's: ``(N, D)`` and ``(S, D)``.

        The embeddings of two teachers are averaged. DBSCAN gets unit vectors again, K-Means the means (MMT).
        """
        embeddings, source_embeddings = [], []
        for student, teacher in zip(self.students, self.teachers, strict=True):
            _, vectors = pool_and_embed(teacher.encoder, self.images, devices=self.devices, learner=student.encoder)
            embeddings.append(vectors)
            if self.source is not None:
                source_embeddings.append(embed_crops(teacher.encoder, self.source, devices=self.devices))
        unit_length = self.settings.cluster.method == "dbscan"
        source = _average(source_embeddings, unit_length=unit_length) if source_embeddings else None
        return _average(embeddings, unit_length=unit_length), source

    def _adam(self, modules: Iterable[nn.Module]) -> torch.optim.Optimizer:
        s = self.settings
        parameters = chain.from_iterable(module.parameters() for module in modules)
        return self.devices.adam(parameters, rate=s.learning_rate, weight_decay=s.weight_decay)

    def end_epoch(self) -> dict[str, float]:
        """Return the clusters' quality and the distances between teachers and students."""
        self.devices.sync_buffers(*self.students, *self.teachers)
        values = {**self.labeling.diagnostics, "learning_rate": self.settings.learning_rate}
        return values | (self._network_distances() if self.settings.num_eval_images else {})

    def _network_distances(self) -> dict[str, float]:
        """Measure figure 4.4: mean Euclidean distances over images; the figure has their sum over all images.

        ``teacher_distance`` is between the pooled features of neighbors in the ring of the teachers' branches,
        ``student_teacher_distance`` between the unit vectors of a student and its teacher.
        """
        count = min(self.settings.num_eval_images, len(self.images))
        images = self.images[np.linspace(0, len(self.images) - 1, count).round().astype(np.int64)]
        teacher_branches: list[Tensor] = []
        distances = []
        for student, teacher in zip(self.students, self.teachers, strict=True):
            student_embeddings = embed_crops(student.encoder, images, devices=self.devices)
            teacher_embeddings = embed_crops(teacher.encoder, images, devices=self.devices)
            distances.append(_mean_distance(torch.from_numpy(student_embeddings), torch.from_numpy(teacher_embeddings)))
            pooled = torch.from_numpy(pool_crops(teacher.encoder, images, devices=self.devices))
            teacher_branches += teacher.encoder.split(pooled)
        values = {"student_teacher_distance": float(np.mean(distances))}
        if len(teacher_branches) > 1:
            neighbors = zip(teacher_branches, teacher_branches[1:] + teacher_branches[:1], strict=True)
            values["teacher_distance"] = float(np.mean([_mean_distance(*pair) for pair in neighbors]))
        return values

    # -- a step ------------------------------------------------------------------------------------------------

    def step(self, batch: Ints) -> dict[str, Tensor]:
        """Learn from a batch of rows; each process learns from its shard."""
        s = self.settings
        shard = load_shard(self.images, batch, self.devices)
        student_views = self._augmented_views(shard)
        teacher_views = self._augmented_views(shard) if s.stochastic_augmentation else student_views
        batch_labels = shard.lookup(self.labeling.current.labels)
        labels = batch_labels[shard.span]

        students = self._forward(self._student_forwards, student_views)
        with torch.no_grad():
            teachers = self._forward(self._teacher_forwards, teacher_views)
        branch_losses: dict[str, list[Tensor]] = {name: [] for name in self._weights}
        for branch, (pooled, logits) in enumerate(zip(*students, strict=True)):
            taught_by = branch - 1 if s.cross_branch else branch  # around the ring: before the first is the last
            target_pooled, target_logits = teachers.pooled[taught_by], teachers.logits[taught_by]
            if s.classification_weight:  # eq. 4.2
                losses = cross_entropy(logits, labels, label_smoothing=s.label_smoothing)
                branch_losses["classification"].append(losses)
            if s.soft_classification_weight:  # eq. 4.4 and 4.5
                branch_losses["soft_classification"].append(soft_cross_entropy(logits, target_logits))
            if s.triplet_weight or s.soft_triplet_weight:
                # Pairs reach over the shards of all processes, so their gradients do too.
                pooled, target_pooled = self.devices.gather(pooled, learn=True), self.devices.gather(target_pooled)
            if s.triplet_weight:
                losses = batch_hard_triplet(pooled, batch_labels, margin=None)
                branch_losses["triplet"].append(losses[shard.span])
            if s.soft_triplet_weight:  # eq. 4.6 and 4.7
                losses = soft_triplet(pooled, target_pooled, batch_labels, variant=s.soft_triplet)
                branch_losses["soft_triplet"].append(losses[shard.span])

        losses_by_name = {
            name: weight * self._over_branches(branch_losses[name]) for name, weight in self._weights.items()
        }
        assert self.classifier_optimizer is not None, "begin_epoch makes the classifiers"
        minimize(losses_by_name, self.optimizer, self.classifier_optimizer, devices=self.devices)  # eq. 4.8
        self._update_teachers()
        return mean_losses(losses_by_name, self.devices)

    def _augmented_views(self, shard: Shard) -> list[Tensor]:
        """Return the shard's images for each network; each network gets its own augmentation."""
        return [shard.augmented(self.settings.augment, self.generator) for _ in range(self.settings.networks)]

    def _forward(self, forwards: list[ForwardPass], views: list[Tensor]) -> BranchOutputs:
        """Run each network over its images and return what its branches compute."""
        outputs = BranchOutputs([], [])
        for forward, student, images in zip(forwards, self.students, views, strict=True):
            pooled, logits = forward(images)
            outputs.pooled.extend(student.encoder.split(pooled))
            outputs.logits.extend(logits.unbind())
        return outputs

    def _over_branches(self, losses: list[Tensor]) -> Tensor:
        """Reduce the branches' ``(S,)`` losses to one; its mean over the processes is the whole batch's."""
        stacked = torch.stack(losses)
        return (stacked.mean(0) if self.settings.branch_reduction == "mean" else stacked.sum(0)).mean()

    def _update_teachers(self) -> None:
        """Move each teacher, with its classifiers, towards its student (eq. 4.3)."""
        s = self.settings
        constant = s.momentum if self._num_updates else 0.0
        momentum = ramp(s.momentum, self._num_updates) if s.ramp else constant
        for teacher, student in zip(self.teachers, self.students, strict=True):
            update_average(teacher, student, momentum=momentum)
        self._num_updates += 1


def _source_images(settings: ABMTSettings, source: Crops | None) -> Crops | None:
    """Return the source's images if the clustering uses them.

    Raises:
        ConfigError: It needs them and there are none.
    """
    used = settings.cluster.source_weight > 0 and settings.cluster.method == "dbscan"
    if used and source is None:
        raise ConfigError("cluster.source_weight needs images of the source: give --source NAME=PATH, or set it to 0")
    if source is not None and not used:
        remedy = "set cluster.source_weight, 0.1 is usual"
        reason = "K-Means takes none" if settings.cluster.source_weight else remedy
        logger.warning("the source's images are not used: %s, or leave them out", reason)
    return source if used else None


def _average(embeddings: list[Floats], *, unit_length: bool) -> Floats:
    """Average the embeddings of several teachers; those of one are returned as they are."""
    if len(embeddings) == 1:
        return embeddings[0]
    mean: Floats = np.mean(embeddings, 0)
    return normalize(mean) if unit_length else mean


def _mean_distance(left: Tensor, right: Tensor) -> float:
    return float((left - right).norm(dim=1).mean())
