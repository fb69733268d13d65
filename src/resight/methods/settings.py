"""Settings that methods share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from resight.config.types import check_types
from resight.data.transforms import AugmentSettings
from resight.errors import check_least, check_parts, check_schedule, check_shares
from resight.models.encoder_settings import EncoderSettings
from resight.numerics.clustering import ClusterSettings


@dataclass(frozen=True)
class PseudoLabelSettings:
    """The settings of a method that clusters its images and contrasts them with a memory.

    Attributes:
        encoder: What is trained.
        cluster: How images are clustered.
        cluster_feature: What is clustered: features after the `neck`, as everything else sees them, or `pooled`
            features before it. A neck scales every feature to the same variance, also those that only carry noise.
        whiten: Flatten the spectrum of the features before clustering by this power: 0 not at all, 1 until all
            directions vary alike. Otherwise a few directions, such as light, decide which images are near each other.
        augment: How images are augmented.
        epochs: How many times the images are clustered again.
        iterations: Steps of an epoch.
        identities: P, clusters in a batch (ICE: N_P).
        images: K, images of each cluster in a batch (ICE: N_K).
        learning_rate: Of Adam.
        weight_decay: Of Adam, added to the gradient (L2).
        clip: Largest norm of the gradient of a step; 0 for no limit.
        ghost_batches: Number of ghost batches: batch-norm statistics are computed for each part of a batch; the first
            part moves the running statistics.
    """

    encoder: EncoderSettings = field(default_factory=lambda: EncoderSettings(backbone="resnet50"))
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    cluster_feature: Literal["neck", "pooled"] = "neck"
    whiten: float = 0.0
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    epochs: int = 40
    iterations: int = 400
    identities: int = 16
    images: int = 4
    learning_rate: float = 3.5e-4
    weight_decay: float = 5e-4
    clip: float = 0.0
    ghost_batches: int = 1

    def __post_init__(self) -> None:
        check_types(self)
        check_least(self, 1, "epochs", "iterations", "images", "ghost_batches")
        check_least(self, 2, "identities")
        check_parts(self.identities, self.ghost_batches)
        check_least(self, 0, "learning_rate", "weight_decay", "clip")
        check_schedule(self)
        check_shares(self, "whiten")
