"""The settings of ICE and its variants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from resight.errors import HEAVIEST, ConfigError, check_least, check_most, check_shares
from resight.losses.consistency import Divergence
from resight.methods.settings import ContrastSettings


@dataclass(frozen=True)
class ICESettings(ContrastSettings):
    """Every number of ICE; `augment` is the strong augmentation of Table 6.1.

    Attributes:
        warmup_epochs: Epochs over which the learning rate climbs linearly from a tenth.
        schedule: The learning rate after that: `constant`, or `cosine`: falling to 0 over the epochs that are left.
        momentum: α of eq. 6.2; the momentum encoder follows the online one after each step.
        supervised: Train with true person ids instead of clusters (thesis §6.4.5).
        camera_aware: Learn from the cameras: camera proxies (eq. 6.7), `center_cameras`, `negatives` and
            `cluster.k_cross_camera`. Switch it off for images of unknown cameras. Either way, a cluster's images in a
            batch come from as many known cameras as possible.
        center_cameras: Subtract each camera's mean from the features before clustering.
        negatives: Which clusters push each other away: `all`, or `shared-camera`: only those that share a camera. Two
            clusters of different cameras may be one person, and at first most clusters have one camera.
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
        proxy_momentum: Share of itself that a proxy keeps when it moves towards an image of its cluster; 1 fixes
            proxies for the epoch.
        hard_weight: λ_h of eq. 6.3.
        hard_temperature: τ_h_ins.
        hard_negatives: `all`, or `hardest` (Table 6.2).
        soft_weight: λ_s of eq. 6.3.
        soft_temperature: τ_s_ins.
        soft_divergence: The direction of eq. 6.12, or the squared difference of Table 6.3; it is trained, and it is in
            the metrics of each epoch.
        soft_target: The images of Q: `plain`, or `strong` (Table 6.3).
        shuffle: Whether momentum batches are shuffled before they are split into ghost batches.
        extra_forward: Whether the online encoder also sees the second view, only to move its statistics.
    """

    identities: int = 8
    ghost_batches: int = 4
    warmup_epochs: int = 10
    schedule: Literal["constant", "cosine"] = "constant"
    momentum: float = 0.999
    supervised: bool = False
    camera_aware: bool = True
    center_cameras: bool = False
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
    shuffle: bool = True
    extra_forward: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, 1, "cross_negatives")
        for name in ("agnostic", "cross", "hard", "soft"):
            if getattr(self, f"{name}_temperature") <= 0 or getattr(self, f"{name}_weight") < 0:
                raise ConfigError(f"{name}_temperature must be above 0 and {name}_weight 0 or more")
            check_most(self, HEAVIEST, f"{name}_weight")
        cross_weight = self.cross_weight if self.camera_aware else 0.0
        if not self.agnostic_weight + cross_weight + self.hard_weight + self.soft_weight:
            raise ConfigError("all weights of the losses are 0: set agnostic_weight or another one above 0")
        check_least(self, 0, "warmup_epochs")
        check_shares(self, "momentum", "proxy_momentum", "label_smoothing")

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch: linearly up from a tenth, then as scheduled."""
        if epoch < self.warmup_epochs:
            return self.learning_rate * (0.1 + 0.9 * epoch / self.warmup_epochs)
        if self.schedule == "constant":
            return self.learning_rate
        progress = (epoch - self.warmup_epochs) / (self.epochs - self.warmup_epochs)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


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
"""What each variant sets differently from the dataclass."""
