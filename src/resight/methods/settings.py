"""Settings that methods share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from resight.config.types import check_types
from resight.data.transforms import AugmentSettings
from resight.errors import HEAVIEST, ConfigError, check_least, check_most, check_parts, check_schedule, check_shares
from resight.models.encoder_settings import EncoderSettings
from resight.numerics.clustering import ClusterSettings
from resight.records import Ints


@dataclass(frozen=True)
class MethodSettings:
    """The settings of every method.

    Attributes:
        encoder: What is trained.
        augment: How images are augmented.
        epochs: How many epochs.
        iterations: Steps of an epoch.
        identities: P, people or clusters in a batch.
        images: K, images of each person or cluster in a batch.
        learning_rate: Of Adam.
        weight_decay: Of Adam, added to the gradient (L2).
    """

    encoder: EncoderSettings = field(default_factory=lambda: EncoderSettings(backbone="resnet50"))
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    epochs: int = 40
    iterations: int = 400
    identities: int = 16
    images: int = 4
    learning_rate: float = 3.5e-4
    weight_decay: float = 5e-4

    def __post_init__(self) -> None:
        check_types(self)
        check_least(self, 1, "epochs", "images")
        check_least(self, 2, "identities")
        check_least(self, 0, "iterations", "learning_rate", "weight_decay")
        check_schedule(self)


@dataclass(frozen=True)
class LabeledSettings(MethodSettings):
    """The settings of a method that learns from person ids.

    Attributes:
        milestones: Epochs, counted from 0, from which on the learning rate is multiplied by `decay` once more.
        decay: What the learning rate is multiplied by.
        classification_weight: Of the mean of the classification losses.
        label_smoothing: Of the classification losses.
    """

    milestones: tuple[int, ...] = ()
    decay: float = 0.1
    classification_weight: float = 1.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_most(self, HEAVIEST, "classification_weight")
        check_shares(self, "decay", "label_smoothing")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ConfigError(f"milestones must ascend, found {list(self.milestones)}")
        if self.encoder.neck_statistics != "batch":
            raise ConfigError("person ids are learned from batches: set encoder.neck_statistics to batch")


@dataclass(frozen=True)
class PseudoLabelSettings(MethodSettings):
    """The settings of a method that clusters its images; `epochs` is how many times it clusters them.

    Attributes:
        cluster: How images are clustered.
        passes: How often an epoch shows each image that is in a cluster, on average: it then has as many steps as that
            takes, however many images there are. 0 leaves the number of steps to `iterations`.
        ghost_batches: Number of ghost batches: batch-norm statistics are computed for each part of a batch; the first
            part moves the running statistics.
    """

    fewest_iterations: ClassVar[int] = 1  # 0 in methods that then count the steps of an epoch themselves

    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    passes: float = 0.0
    ghost_batches: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, 0, "passes")
        check_most(self, 1_000, "passes")
        check_least(self, self.fewest_iterations, "iterations")
        check_least(self, 1, "ghost_batches")
        check_parts(self.identities, self.ghost_batches)

    def num_steps(self, labels: Ints) -> int:
        """Return the number of steps of an epoch: `iterations`, or as many as `passes` over images with a label take.

        Args:
            labels: ``(N,)`` the identities that batches are drawn from, -1 for images left out.
        """
        if not self.passes:
            return self.iterations
        shown = labels[labels >= 0]
        batch = min(self.identities, max(1, len(np.unique(shown)))) * self.images
        return max(1, round(self.passes * len(shown) / batch))


@dataclass(frozen=True)
class ContrastSettings(PseudoLabelSettings):
    """The settings of a method that contrasts its images with a memory of their clusters.

    Attributes:
        cluster_feature: What is clustered: features after the `neck`, as everything else sees them, or `pooled`
            features before it. A neck scales every feature to the same variance, also those that only carry noise.
        whiten: Flatten the spectrum of the features before clustering by this power: 0 not at all, 1 until all
            directions vary alike. Otherwise a few directions, such as light, decide which images are near each other.
        clip: Largest norm of the gradient of a step; 0 for no limit.
    """

    cluster_feature: Literal["neck", "pooled"] = "neck"
    whiten: float = 0.0
    clip: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, 0, "clip")
        check_shares(self, "whiten")
