"""The numbers of ICE, and the two readings of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from resight.config.types import check_types
from resight.data.transforms import AugmentSettings
from resight.errors import HEAVIEST, ConfigError, check_least, check_most, check_parts, check_schedule, check_shares
from resight.losses.consistency import Divergence
from resight.models.encoder_settings import EncoderSettings
from resight.numerics.clustering import ClusterSettings


@dataclass(frozen=True)
class ICESettings:
    """Every number of ICE.

    Attributes:
        encoder: What is trained.
        cluster: How images are clustered.
        cluster_feature: What is clustered: features after the `neck`, as everything else sees them, or `pooled`, before
            it. A neck scales every feature to the same variance, those that only carry noise too.
        augment: The strong augmentation of Table 6.1.
        epochs: How many times the images are clustered anew.
        iterations: Steps of an epoch.
        identities: N_P, clusters in a batch.
        images: N_K, images of each cluster in a batch.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
        warmup_epochs: Epochs over which the learning rate climbs linearly from a tenth.
        schedule: The learning rate after that: `constant`, or `cosine`: falling to 0 over the epochs that are left.
        clip: Largest norm of the gradient of a step; 0 for no limit.
        momentum: α of eq. 6.2; the momentum encoder follows the online one after each step.
        supervised: Train with true people in place of clusters (thesis §6.4.5).
        camera_aware: Learn from the cameras: camera proxies (eq. 6.7), `center_cameras`, `negatives` and
            `cluster.k_cross_camera`. Off for images whose cameras are unknown. Either way a cluster's images in a batch
            come from as many of the cameras that are known as possible.
        center_cameras: Take each camera's mean away from the features before clustering.
        whiten: Flatten the spectrum of the features before clustering by this power: 0 not at all, 1 until all
            directions vary alike. A few directions, such as light, else decide who is near whom.
        negatives: Which clusters push each other away: `all`, or `shared-camera`: only those that a camera has seen
            both of. Two clusters of different cameras may be one person, and at first most clusters are of one camera.
        agnostic_weight: Weight of eq. 6.5.
        agnostic_similarity: `dot` is the dot product of eq. 6.5 with features after the neck; `cosine` normalizes.
        agnostic_temperature: τ_a.
        label_smoothing: Of eq. 6.5.
        cross_weight: Weight of eq. 6.7 in eq. 6.8.
        cross_temperature: τ_c.
        cross_negatives: N_neg.
        cross_own_camera: Whether the proxy of the image's own camera is a positive.
        cross_softmax: `joint` or `separate` denominators of the positives.
        cross_average: `camera-sum` sums the means over each camera's images; `batch` takes the batch's mean.
        proxy_momentum: Share that a proxy keeps when an image of its cluster is seen; 1 fixes proxies for the epoch.
        hard_weight: λ_h of eq. 6.3.
        hard_temperature: τ_h_ins.
        hard_negatives: `all`, or `hardest` (Table 6.2).
        soft_weight: λ_s of eq. 6.3.
        soft_temperature: τ_s_ins.
        soft_divergence: The direction of eq. 6.12, or the squared difference of Table 6.3; what is trained and what
            each epoch's metrics hold.
        soft_target: The images of Q: `plain`, or `strong` (Table 6.3).
        ghost_batches: Parts of a batch that batch norm sees apart; the first moves the running statistics.
        shuffle: Whether momentum batches are shuffled before they are cut into those parts.
        extra_forward: Whether the online encoder also sees the second view, only to move its statistics.
    """

    encoder: EncoderSettings = field(default_factory=lambda: EncoderSettings(backbone="resnet50"))
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    cluster_feature: Literal["neck", "pooled"] = "neck"
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    epochs: int = 40
    iterations: int = 400
    identities: int = 8
    images: int = 4
    learning_rate: float = 3.5e-4
    weight_decay: float = 5e-4
    warmup_epochs: int = 10
    schedule: Literal["constant", "cosine"] = "constant"
    clip: float = 0.0
    momentum: float = 0.999
    supervised: bool = False
    camera_aware: bool = True
    center_cameras: bool = False
    whiten: float = 0.0
    negatives: Literal["all", "shared-camera"] = "all"
    agnostic_weight: float = 1.0
    agnostic_similarity: Literal["dot", "cosine"] = "dot"
    agnostic_temperature: float = 0.5
    label_smoothing: float = 0.1
    cross_weight: float = 0.5
    cross_temperature: float = 0.07
    cross_negatives: int = 50
    cross_own_camera: bool = True
    cross_softmax: Literal["joint", "separate"] = "joint"
    cross_average: Literal["camera-sum", "batch"] = "camera-sum"
    proxy_momentum: float = 1.0
    hard_weight: float = 1.0
    hard_temperature: float = 0.1
    hard_negatives: Literal["all", "hardest"] = "all"
    soft_weight: float = 10.0
    soft_temperature: float = 0.4
    soft_divergence: Divergence = "target-prediction"
    soft_target: Literal["plain", "strong"] = "plain"
    ghost_batches: int = 4
    shuffle: bool = True
    extra_forward: bool = True

    def __post_init__(self) -> None:
        check_types(self)
        check_least(self, 1, "epochs", "iterations", "images", "cross_negatives", "ghost_batches")
        check_least(self, 2, "identities")
        check_parts(self.identities, self.ghost_batches)
        for name in ("agnostic", "cross", "hard", "soft"):
            if getattr(self, f"{name}_temperature") <= 0 or getattr(self, f"{name}_weight") < 0:
                raise ConfigError(f"{name}_temperature must be above 0 and {name}_weight 0 or more")
            check_most(self, HEAVIEST, f"{name}_weight")
        check_least(self, 0, "learning_rate", "weight_decay", "warmup_epochs", "clip")
        check_schedule(self)
        check_shares(self, "momentum", "proxy_momentum", "label_smoothing", "whiten")

    def rate(self, epoch: int) -> float:
        """Give the learning rate of an epoch: linearly up from a tenth, then as scheduled."""
        if epoch < self.warmup_epochs:
            return self.learning_rate * (0.1 + 0.9 * epoch / self.warmup_epochs)
        if self.schedule == "constant":
            return self.learning_rate
        done = (epoch - self.warmup_epochs) / (self.epochs - self.warmup_epochs)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


VARIANTS: dict[str, dict[str, Any]] = {
    "code": {},
    "thesis": {
        "label_smoothing": 0.0,
        "cross_own_camera": False,
        "cross_softmax": "separate",
        "cross_average": "batch",
        "soft_divergence": "prediction-target",
        "ghost_batches": 1,
        "shuffle": False,
        "extra_forward": False,
    },
}
"""What each reading sets differently from the dataclass."""
