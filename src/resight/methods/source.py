"""Training on a labeled source before an unlabeled target is adapted to: stage 1 of ABMT (thesis §4.3.3).

Each step of P people with K images of the source asks, of every branch of the network,

- a classifier who it is,
- and that a person's farthest image is nearer than anybody else's nearest, with the soft margin (eq. 4.1).

It may also run images of the target through the network, without labels and without a loss, so that batch norm's
statistics come to be those of both. Scored on the target this is the row "source pre-training" of Table 4.3.

The defaults are the reading of the released code; `VARIANTS["thesis"]` is the text to the letter. What they read
differently, each a setting: label smoothing (code 0.1, text none); the learning rate's climb in the first epochs (text
none); the target's images (code forwarded, text not mentioned); batch norm in four parts, as on the four GPUs of the
released runs; ResNet-50's stem (code without ReLU). The released code keeps that of the 40th and the 80th epoch that is
better on the source's test people; here it is the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from resight.compute.devices import Devices
from resight.compute.tensor_files import Stateful
from resight.config.types import check_types
from resight.data.crops import Crops
from resight.data.label_columns import LABELS
from resight.data.samplers import identity_batches, pick_other_cameras
from resight.data.transforms import AugmentSettings, apply_params, sample_params
from resight.errors import HEAVIEST, ConfigError, check_least, check_most, check_parts, check_schedule, check_shares
from resight.losses.classification import cross_entropy
from resight.losses.triplet import batch_hard_triplet
from resight.models.classifier import BranchClassifier
from resight.models.encoder import Encoder, EncoderSettings
from resight.models.heads.grammar import ABMT as BRANCHES
from resight.records import Ints
from resight.retrieval.extraction import build_encoder


@dataclass(frozen=True)
class SourceSettings:
    """Every number of the training on a source.

    Attributes:
        encoder: What is trained; its `head` says the branches: `a+m1`, or `global` for a single one.
        augment: Mirroring and cropping.
        epochs: How many epochs.
        iterations: Steps of an epoch.
        identities: P, people in a batch.
        images: K, images of each person in a batch.
        learning_rate: Of Adam.
        weight_decay: Of Adam, added to the gradient (L2).
        warmup_epochs: Epochs over which the learning rate climbs linearly from a hundredth.
        milestones: Epochs, counted from 0, from which on the learning rate is multiplied by `decay` once more.
        decay: What the learning rate is multiplied by.
        classification_weight: Of the mean of the branches' classification losses; eq. 4.1 gives each of two 0.5.
        label_smoothing: Of the classification loss.
        triplet_weight: Of the mean of the branches' triplet losses; eq. 4.1 gives each of two 0.5.
        target_statistics: Whether images of the target are run through the network too, only for batch norm.
        ghost_batches: Parts of a batch that batch norm sees apart; the first moves the running statistics.
    """

    encoder: EncoderSettings = field(
        default_factory=lambda: EncoderSettings(backbone="resnet50_linear_stem", head=BRANCHES)
    )
    augment: AugmentSettings = field(default_factory=lambda: AugmentSettings(blur=0.0, erase=0.0))
    epochs: int = 80
    iterations: int = 200
    identities: int = 16
    images: int = 4
    learning_rate: float = 3.5e-4
    weight_decay: float = 5e-4
    warmup_epochs: int = 10
    milestones: tuple[int, ...] = (40, 70)
    decay: float = 0.1
    classification_weight: float = 1.0
    label_smoothing: float = 0.1
    triplet_weight: float = 1.0
    target_statistics: bool = True
    ghost_batches: int = 4

    def __post_init__(self) -> None:
        check_types(self)
        check_least(self, 1, "epochs", "iterations", "images", "ghost_batches")
        check_least(self, 2, "identities")
        check_parts(self.identities, self.ghost_batches)
        check_least(self, 0, "learning_rate", "weight_decay", "warmup_epochs")
        check_schedule(self)
        check_most(self, HEAVIEST, "classification_weight", "triplet_weight")
        check_shares(self, "decay", "label_smoothing")
        if self.classification_weight <= 0 or self.triplet_weight < 0:
            raise ConfigError("classification_weight must be above 0 and triplet_weight 0 or more")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ConfigError(f"milestones must ascend, found {list(self.milestones)}")
        if self.encoder.neck_statistics != "batch":
            raise ConfigError("source measures statistics on batches: set encoder.neck_statistics to batch")

    def rate(self, epoch: int) -> float:
        """Give the learning rate of an epoch: linearly up from a hundredth, then down at the milestones."""
        climb = 0.01 + 0.99 * epoch / self.warmup_epochs if epoch < self.warmup_epochs else 1.0
        return self.learning_rate * climb * self.decay ** sum(epoch >= milestone for milestone in self.milestones)


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
"""What each reading sets differently from the dataclass."""


class Source:
    """The method: an encoder with classifiers, and the update.

    Args:
        settings: Its numbers.
        images: The target's images; without a source, the people to learn from.
        devices: Where it runs.
        seed: Of the batches and augmentations.
        encoder: What to start from; built from the settings where it is not given.
        source: The source's images, every person known.

    Raises:
        ConfigError: A person is unknown, there is only one, or the encoder has vectors of parts.
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
        self.learned = images if source is None else source
        if (self.learned.table.person_ids < 0).any():
            raise ConfigError(
                "source learns from people by name: give the person of every image, for a folder of crops in its "
                f"{LABELS}, or --source and a set that has them"
            )
        people, self.labels = np.unique(self.learned.table.person_ids, return_inverse=True)
        if len(people) < 2:
            raise ConfigError(f"source needs two people or more to tell apart, found {len(people)}")
        self.settings, self.seed, self.people = settings, seed, len(people)
        self.target = images if source is not None and settings.target_statistics else None
        self.devices = devices or Devices()
        encoder = encoder or build_encoder(settings.encoder, self.learned, devices=self.devices)
        network = BranchClassifier(encoder)
        network.draw_classifiers(self.people)
        network.encoder.ghost_batches = max(1, settings.ghost_batches // self.devices.world)
        self.network = self.devices.to_device(network)
        shape = (min(settings.identities, self.people) * settings.images, 3, *images.size)
        self.devices.capture_graph(network.encoder.train(), shape, "training", name="forward_with_pooled")
        self.optimizer = self.devices.adam(
            self.network.parameters(), rate=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.forward = self.devices.ddp(self.network)
        self._accuracies: list[Tensor] = []

    @property
    def encoder(self) -> Encoder:
        """What is evaluated and kept; the classifiers are not."""
        return self.network.encoder

    @property
    def clusters(self) -> None:
        """None: people are known by name."""

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """All that a checkpoint holds."""
        return {"network": self.network, "optimizer": self.optimizer}

    # -- an epoch ----------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int) -> Iterator[Ints]:
        """Set the learning rate and give the batches of the source."""
        s = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = s.rate(epoch)
        self.network.train()
        self._accuracies = []
        numbers = np.random.default_rng([self.seed, epoch])
        self.generator = torch.Generator().manual_seed(int(numbers.integers(2**62)))
        self._others = np.random.default_rng(numbers.integers(2**62))  # which images of the target are seen
        shape = (s.identities, s.images)
        cameras = self.learned.table.camera_ids
        return islice(identity_batches(self.labels, cameras, shape, numbers, pick=pick_other_cameras), s.iterations)

    def end_epoch(self) -> dict[str, float]:
        """Give the learning rate and the share of the epoch's images whose person the classifiers together named."""
        self.devices.sync_buffers(self.network)
        rate = self.optimizer.param_groups[0]["lr"]
        accuracies = [float(accuracy) for accuracy in self._accuracies]
        return {"people": float(self.people), "learning_rate": rate, "accuracy": float(np.mean(accuracies))}

    # -- a step ------------------------------------------------------------------------------------------------

    def step(self, batch: Ints) -> dict[str, Tensor]:
        """Learn from a batch of rows of the source; every process takes its share of them."""
        s = self.settings
        batch = self.devices.drop_remainder(batch)
        share = self.devices.shard(len(batch))
        everyone = torch.from_numpy(self.labels[batch]).to(self.devices.device)
        labels = everyone[share]

        images = self._augmented(self.learned, batch, share)
        with self.devices.autocast("training"):
            pooled, logits = self.forward(images)
        pooled, logits = pooled.float(), logits.float()  # losses are float32, whatever the forward pass was
        each = [cross_entropy(one, labels, label_smoothing=s.label_smoothing) for one in logits]
        losses = {"classification": s.classification_weight * torch.stack(each).mean()}
        if s.triplet_weight:
            # Pairs reach over all processes' shares, so their gradients do too.
            joined = self.encoder.split(self.devices.gather(pooled, learn=True))
            triplets = [batch_hard_triplet(vectors, everyone, margin=None)[share] for vectors in joined]
            losses["triplet"] = s.triplet_weight * torch.stack(triplets).mean()
        if self.target is not None:
            count = len(self.target)
            others = self._others.choice(count, len(batch), replace=count < len(batch))
            with torch.no_grad(), self.devices.autocast("training"):
                self.encoder(self._augmented(self.target, others, share))

        total = torch.stack(list(losses.values())).sum()  # eq. 4.1
        self.optimizer.zero_grad(set_to_none=True)
        self.devices.backward(total)
        self.optimizer.step()
        named = logits.detach().softmax(2).mean(0).argmax(1)
        self._accuracies.append(self.devices.mean((named == labels).float().mean()))
        return {f"loss/{name}": self.devices.mean(loss) for name, loss in losses.items()}

    def _augmented(self, images: Crops, batch: Ints, share: slice) -> Tensor:
        """Give this process' share of a batch, augmented."""
        draws = sample_params(self.settings.augment, len(batch), images.size, self.generator)
        pixels = images.pixels(batch[share]).to(self.devices.device)
        rows = draws.rows(share.start, share.stop)
        return apply_params(pixels, rows, color=self.settings.augment.erase_color)
