"""SCR: spatial-channel partitions, training with known people (thesis ch. 3).

A shared trunk ends in three branches; whole maps, horizontal stripes and groups of channels each become a short vector.
Each step of P people with K images

- classifies the person of each vector (eq. 3.1),
- pulls each global feature nearer to its person's than to anybody else's (eq. 3.2),
- and, with `center_weight`, which the thesis does not have, pulls it to the center of its person.

Images are compared by all vectors together. Smaller arrangements, PCB, MGN and a plain trunk are other values of
`encoder.head` (`models/heads/partitions.py`).

The defaults follow the authors' code; `VARIANTS["thesis"]` follows the text. They differ in these settings: images in a
batch (code 4 x 4, text 8 x 4); Random Erasing (code with probability 0.5, text none); losses of a batch (code mean,
text sum); features of the mirrored image at test (code adds them, text does not mention them); the distance of two
tracklets (code sum over pairs of parts, text that of the parts as one vector).

On tracklets, SCR learns from single frames: a batch has K frames of each person, from any of the person's tracklets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

import torch
from torch import Tensor

from resight.compute.devices import Devices
from resight.compute.tensor_files import Stateful
from resight.data.crops import Crops
from resight.data.samplers import identity_batches, pick_random
from resight.data.tracklets import TrackletSettings
from resight.data.transforms import AugmentSettings
from resight.errors import HEAVIEST, ConfigError, check_least, check_most, check_shares
from resight.losses.classification import center_loss, cross_entropy
from resight.losses.triplet import batch_hard_triplet, circle, quadruplet
from resight.methods.batches import epoch_generators, load_shard
from resight.methods.labeled import LabeledMethod, person_labels
from resight.methods.settings import LabeledSettings
from resight.methods.updates import (
    Accuracy,
    mean_losses,
    minimize,
    set_learning_rate,
    stepped_rate,
)
from resight.models.centers import Centers
from resight.models.classifier import Classified, PartClassifier
from resight.models.encoder import Encoder, EncoderSettings
from resight.models.heads.grammar import SCR as ARRANGEMENT
from resight.records import Ints

AUGMENT = AugmentSettings(pad=0, blur=0.0, erase=0.5, erase_color=(0.485, 0.456, 0.406))
"""Mirroring and Random Erasing; 0 in normalized images is ImageNet's mean color."""


@dataclass(frozen=True)
class SCRSettings(LabeledSettings):
    """Every number of SCR.

    Attributes:
        encoder: What is trained; its `head` is the arrangement.
        augment: Mirroring, and Random Erasing in the released code.
        epochs: How many epochs; an epoch shows each person once.
        iterations: Steps of an epoch; 0 for one pass over all people.
        amsgrad: Whether Adam divides by the largest of its second moments so far.
        classification_weight: λ of eq. 3.3.
        classified: Input of the classifiers of global features: `reduced` vectors like those of parts, or `pooled`
            features before the reduction (MGN).
        label_smoothing: Of eq. 3.1.
        pair_weight: Weight of the second term of eq. 3.3; 0 leaves it out (Table 3.4).
        pair_loss: The loss of global features: `triplet` (eq. 3.2), `soft-triplet` (without a margin),
            `quadruplet` or `circle`.
        margin: α of eq. 3.2, in units of distance.
        second_margin: β of the quadruplet loss.
        circle_margin: m of the circle loss.
        circle_scale: γ of the circle loss.
        center_weight: Weight of the center loss of global features; 0 leaves it out. Luo et al. use 0.0005.
        center_rate: α of the rule that moves the centers, 0..1.
        over_batch: How a batch's losses are reduced: `mean`, or `sum` (eq. 3.1 and 3.2 to the letter).
    """

    encoder: EncoderSettings = field(
        default_factory=lambda: EncoderSettings(
            backbone="resnet50", height=384, width=192, pooling="max", head=ARRANGEMENT
        )
    )
    augment: AugmentSettings = AUGMENT
    epochs: int = 500
    iterations: int = 0
    identities: int = 4
    learning_rate: float = 2e-4
    milestones: tuple[int, ...] = (300, 400)
    classification_weight: float = 2.0
    amsgrad: bool = True
    classified: Classified = "reduced"
    pair_weight: float = 1.0
    pair_loss: Literal["triplet", "soft-triplet", "quadruplet", "circle"] = "triplet"
    margin: float = 1.2
    second_margin: float = 0.6
    circle_margin: float = 0.25
    circle_scale: float = 128.0
    center_weight: float = 0.0
    center_rate: float = 0.5
    over_batch: Literal["mean", "sum"] = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, 0, "margin", "second_margin", "circle_scale", "center_weight")
        check_most(self, HEAVIEST, "pair_weight", "center_weight", "circle_scale")
        check_shares(self, "circle_margin", "center_rate")
        if min(self.classification_weight, self.pair_weight) < 0 or not self.classification_weight + self.pair_weight:
            raise ConfigError("classification_weight and pair_weight must be 0 or more, and not both 0")


VARIANTS: dict[str, dict[str, Any]] = {
    "code": {"flip": True, "tracklet": TrackletSettings(pooling="tpp", distance="sum")},
    "thesis": {
        "tracklet": TrackletSettings(pooling="tpp", distance="concatenated"),
        "augment": dataclasses.replace(AUGMENT, erase=0.0),
        "identities": 8,
        "over_batch": "sum",
    },
}
"""What each variant sets differently from the dataclasses; `flip` and `tracklet` are of `TrainSettings`."""


class SCR(LabeledMethod):
    """The training method: an encoder with classifiers, and the update.

    Args:
        settings: Every number of the method.
        images: The training images, with all person ids.
        devices: Where it runs.
        seed: Seed of the batches and augmentations.
        encoder: The encoder to start from; built from the settings if absent.

    Raises:
        ConfigError: A person id is unknown, there is only one person, or a loss of global features has none.
    """

    def __init__(
        self,
        settings: SCRSettings,
        images: Crops,
        *,
        devices: Devices | None = None,
        seed: int = 1,
        encoder: Encoder | None = None,
    ) -> None:
        self.labels = person_labels(images, method="scr", remedy="train with ice")
        self.settings, self.images, self.seed = settings, images, seed
        self.num_people = int(self.labels.max()) + 1
        self.devices = devices or Devices()
        encoder = encoder or Encoder(settings.encoder)
        for name, weight in (("pair", settings.pair_weight), ("center", settings.center_weight)):
            if weight and not encoder.num_global:
                raise ConfigError(
                    f"the {name} loss needs a global feature and head '{settings.encoder.head}' has none: "
                    f"set {name}_weight to 0"
                )

        self.network = self.devices.to_device(PartClassifier(encoder, self.num_people, classified=settings.classified))
        batch_shape = (min(settings.identities, self.num_people) * settings.images, 3, *images.size)
        self.devices.capture_graph(self.network.train(), batch_shape, "training")
        self._forward = self.devices.ddp(self.network)
        self.optimizer = self.devices.adam(
            self.network.parameters(),
            rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            amsgrad=settings.amsgrad,
        )
        self.centers: Centers | None = None
        if settings.center_weight:
            self.centers = self.devices.to_device(Centers((encoder.num_global, self.num_people, encoder.width)))
        self.generator = torch.Generator()  # of augmentations; seeded again in each epoch
        self.accuracy = Accuracy()

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """Everything a checkpoint holds."""
        return super().parts if self.centers is None else {**super().parts, "centers": self.centers}

    # -- an epoch ----------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int) -> Iterator[Ints]:
        """Set the learning rate and return the batches: each person once, in a random order."""
        s = self.settings
        rate = stepped_rate(s.learning_rate, epoch, milestones=s.milestones, decay=s.decay)
        set_learning_rate(self.optimizer, rate)
        self.network.train()
        self.accuracy.reset()
        batch_generator, self.generator = epoch_generators(self.seed, epoch)
        cameras, shape = self.images.table.camera_ids, (s.identities, s.images)
        batches = identity_batches(self.labels, cameras, shape, batch_generator, pick=pick_random)
        return islice(batches, s.iterations or max(1, self.num_people // s.identities))

    # -- a step ------------------------------------------------------------------------------------------------

    def step(self, batch: Ints) -> dict[str, Tensor]:
        """Learn from a batch of rows; each process learns from its shard."""
        s = self.settings
        shard = load_shard(self.images, batch, self.devices)
        batch_labels = shard.lookup(self.labels)
        labels = batch_labels[shard.span]

        with self.devices.autocast("training"):
            features, logits = self._forward(shard.augmented(s.augment, self.generator))
        features, logits = features.float(), logits.float()  # losses are float32, whatever the precision before

        vector_losses = [cross_entropy(vector, labels, label_smoothing=s.label_smoothing) for vector in logits]
        losses = {"classification": s.classification_weight * self._over_batch(vector_losses)}  # eq. 3.1
        if s.pair_weight:
            # Pairs reach over the shards of all processes, so their gradients do too.
            global_features = self._global_features(self.devices.gather(features, learn=True))
            pair_losses = [self._pair_losses(vectors, batch_labels)[shard.span] for vectors in global_features]
            losses["pairs"] = s.pair_weight * self._over_batch(pair_losses)  # eq. 3.2
        if self.centers is not None:
            pairs = zip(self._global_features(features), self.centers.values, strict=True)
            center_losses = [center_loss(vectors, labels, centers) for vectors, centers in pairs]
            losses["centers"] = s.center_weight * self._over_batch(center_losses)

        minimize(losses, self.optimizer, devices=self.devices)  # eq. 3.3
        if self.centers is not None:
            global_features = self._global_features(self.devices.gather(features))
            self.centers.update(global_features, batch_labels, rate=s.center_rate)
        self.accuracy.add(logits, labels, self.devices)
        return mean_losses(losses, self.devices)

    def _global_features(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return the global features among ``(B, D)`` features: ``(B, width)`` each."""
        return self.encoder.split(features)[: self.encoder.num_global]

    def _pair_losses(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """Compare a batch's ``(B, width)`` vectors with each other, ``(B,)``."""
        s = self.settings
        if s.pair_loss == "circle":
            return circle(vectors, labels, margin=s.circle_margin, scale=s.circle_scale)
        if s.pair_loss == "quadruplet":
            return quadruplet(vectors, labels, margins=(s.margin, s.second_margin))
        return batch_hard_triplet(vectors, labels, margin=s.margin if s.pair_loss == "triplet" else None)

    def _over_batch(self, vector_losses: list[Tensor]) -> Tensor:
        """Reduce the ``(S,)`` losses of each vector to one loss; its mean over the processes is the whole batch's."""
        losses = torch.stack(vector_losses).mean(0)
        return losses.mean() if self.settings.over_batch == "mean" else losses.sum() * self.devices.world
