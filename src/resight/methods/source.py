"""Training on a labeled source before an unlabeled target is adapted to: stage 1 of ABMT (thesis §4.3.3).

Each step of P people with K images of the source trains, in every branch of the network,

- a classifier of the person,
- and pulls a person's farthest image nearer than anybody else's nearest, with the soft margin (eq. 4.1).

It may also run images of the target through the network, without labels and without a loss, so that batch-norm
statistics become those of both. Scored on the target, this is the row "source pre-training" of Table 4.3.

The defaults follow the authors' code; `VARIANTS["thesis"]` follows the text. They differ in these settings: label
smoothing (code 0.1, text none); the learning rate's climb in the first epochs (text none); the target's images (code
forwards them, text does not mention them); four ghost batches, as on the four GPUs of the authors' runs; ResNet-50's
stem (code without ReLU). The authors' code keeps epoch 40 or 80, whichever is better on the source's test people; here
the last epoch is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from resight.compute.devices import Devices
from resight.data.crops import Crops
from resight.data.samplers import identity_batches, pick_other_cameras
from resight.data.transforms import AugmentSettings
from resight.errors import HEAVIEST, ConfigError, check_least, check_most, check_parts
from resight.losses.classification import cross_entropy
from resight.losses.triplet import batch_hard_triplet
from resight.methods.batches import epoch_generators, load_shard
from resight.methods.labeled import LabeledMethod, person_labels
from resight.methods.settings import LabeledSettings
from resight.methods.updates import (
    Accuracy,
    climbed_share,
    mean_losses,
    minimize,
    set_learning_rate,
    stepped_rate,
)
from resight.models.classifier import BranchClassifier
from resight.models.encoder import Encoder, EncoderSettings
from resight.models.heads.grammar import ABMT as BRANCHES
from resight.records import Ints
from resight.retrieval.extraction import build_encoder


@dataclass(frozen=True)
class SourceSettings(LabeledSettings):
    """Every number of the training on a source.

    Attributes:
        encoder: What is trained; its `head` says the branches: `a+m1`, or `global` for a single one.
        augment: Mirroring and cropping.
        warmup_epochs: Epochs over which the learning rate climbs linearly from a hundredth.
        classification_weight: Of the mean of the branches' classification losses; eq. 4.1 gives each of two 0.5.
        triplet_weight: Of the mean of the branches' triplet losses; eq. 4.1 gives each of two 0.5.
        target_statistics: Whether images of the target are run through the network too, only for batch norm.
        ghost_batches: Number of ghost batches: batch-norm statistics are computed for each part of a batch; the first
            part moves the running statistics.
    """

    encoder: EncoderSettings = field(
        default_factory=lambda: EncoderSettings(backbone="resnet50_linear_stem", head=BRANCHES)
    )
    augment: AugmentSettings = field(default_factory=lambda: AugmentSettings(blur=0.0, erase=0.0))
    epochs: int = 80
    iterations: int = 200
    milestones: tuple[int, ...] = (40, 70)
    label_smoothing: float = 0.1
    warmup_epochs: int = 10
    triplet_weight: float = 1.0
    target_statistics: bool = True
    ghost_batches: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, 1, "iterations", "ghost_batches")
        check_parts(self.identities, self.ghost_batches)
        check_least(self, 0, "warmup_epochs")
        check_most(self, HEAVIEST, "triplet_weight")
        if self.classification_weight <= 0 or self.triplet_weight < 0:
            raise ConfigError("classification_weight must be above 0 and triplet_weight 0 or more")

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch: linearly up from a hundredth, then down at the milestones."""
        climbed = self.learning_rate * climbed_share(epoch, self.warmup_epochs, start=0.01)
        return stepped_rate(climbed, epoch, milestones=self.milestones, decay=self.decay)


VARIANTS: dict[str, dict[str, Any]] = {
    "code": {},
    "thesis": {
        "encoder": EncoderSettings(backbone="resnet50", head=BRANCHES),
        "label_smoothing": 0.0,
        "warmup_epochs": 0,
        "target_statistics": False,
        "ghost_batches": 1,
    },
}
"""What each variant sets differently from the dataclass."""


class Source(LabeledMethod):
    """The training method: an encoder with classifiers, and the update.

    Args:
        settings: Every number of the method.
        images: The target's images; without a source, the labeled images to learn from.
        devices: Where it runs.
        seed: Seed of the batches and augmentations.
        encoder: The encoder to start from; built from the settings if absent.
        source: The source's images, with all person ids.

    Raises:
        ConfigError: A person id is unknown, there is only one person, or the encoder has part features.
    """

    def __init__(
        self,
        settings: SourceSettings,
        images: Crops,
        *,
        devices: Devices | None = None,
        seed: int = 1,
        encoder: Encoder | None = None,
        source: Crops | None = None,
    ) -> None:
        self.labeled = images if source is None else source
        remedy = "--source and a set that has them"
        self.labels = person_labels(self.labeled, method="source", remedy=remedy)
        self.settings, self.seed, self.num_people = settings, seed, int(self.labels.max()) + 1
        self.target = images if source is not None and settings.target_statistics else None
        self.devices = devices or Devices()

        encoder = encoder or build_encoder(settings.encoder, self.labeled, devices=self.devices)
        encoder.use_ghost_batches(settings.ghost_batches, processes=self.devices.world)
        network = BranchClassifier(encoder)
        network.draw_classifiers(self.num_people)
        self.network = self.devices.to_device(network)
        batch_shape = (min(settings.identities, self.num_people) * settings.images, 3, *images.size)
        self.devices.capture_graph(encoder.train(), batch_shape, "training", name="forward_with_pooled")
        self._forward = self.devices.ddp(self.network)
        self.optimizer = self.devices.adam(
            self.network.parameters(), rate=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.generator = torch.Generator()  # of augmentations; seeded again in each epoch
        self._target_generator = np.random.default_rng()  # of the target's images; seeded again in each epoch
        self.accuracy = Accuracy()

    # -- an epoch ----------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int) -> Iterator[Ints]:
        """Set the learning rate and return the batches of the source."""
        s = self.settings
        set_learning_rate(self.optimizer, s.rate(epoch))
        self.network.train()
        self.accuracy.reset()
        batch_generator, self.generator = epoch_generators(self.seed, epoch)
        self._target_generator = np.random.default_rng(batch_generator.integers(2**62))
        cameras, shape = self.labeled.table.camera_ids, (s.identities, s.images)
        batches = identity_batches(self.labels, cameras, shape, batch_generator, pick=pick_other_cameras)
        return islice(batches, s.iterations)

    # -- a step ------------------------------------------------------------------------------------------------

    def step(self, batch: Ints) -> dict[str, Tensor]:
        """Learn from a batch of rows of the source; each process learns from its shard."""
        s = self.settings
        shard = load_shard(self.labeled, batch, self.devices)
        batch_labels = shard.lookup(self.labels)
        labels = batch_labels[shard.span]

        with self.devices.autocast("training"):
            pooled, logits = self._forward(shard.augmented(s.augment, self.generator))
        pooled, logits = pooled.float(), logits.float()  # losses are float32, whatever the precision before
        branches = [cross_entropy(branch, labels, label_smoothing=s.label_smoothing) for branch in logits]
        losses = {"classification": s.classification_weight * torch.stack(branches).mean()}
        if s.triplet_weight:
            # Pairs reach over the shards of all processes, so their gradients do too.
            vectors = self.encoder.split(self.devices.gather(pooled, learn=True))
            triplets = [batch_hard_triplet(branch, batch_labels, margin=None)[shard.span] for branch in vectors]
            losses["triplet"] = s.triplet_weight * torch.stack(triplets).mean()
        if self.target is not None:
            self._forward_target(self.target, len(shard.batch))

        minimize(losses, self.optimizer, devices=self.devices)  # eq. 4.1
        self.accuracy.add(logits, labels, self.devices)
        return mean_losses(losses, self.devices)

    @torch.no_grad()
    def _forward_target(self, target: Crops, count: int) -> None:
        """Run random images of the target through the encoder, which moves its batch-norm statistics alone."""
        rows = self._target_generator.choice(len(target), count, replace=len(target) < count)
        shard = load_shard(target, rows, self.devices)
        with self.devices.autocast("training"):
            self.encoder(shard.augmented(self.settings.augment, self.generator))
