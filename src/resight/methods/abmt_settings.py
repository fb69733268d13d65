"""The settings of ABMT and its variants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from resight.data.transforms import AugmentSettings
from resight.errors import HEAVIEST, ConfigError, check_least, check_most, check_shares
from resight.losses.triplet import SoftTriplet
from resight.methods.settings import PseudoLabelSettings
from resight.models.encoder_settings import EncoderSettings
from resight.models.heads.grammar import ABMT as BRANCHES
from resight.numerics.clustering import ClusterSettings


@dataclass(frozen=True)
class ABMTSettings(PseudoLabelSettings):
    """Every number of ABMT and of the mean teachers that it is compared with.

    Attributes:
        encoder: What is trained; its `head` says the branches: `a+m1`, or `global` for a single one.
        cluster: How images are clustered; `cluster.source_weight` needs images of a source.
        freeze_eps: Keep the eps that `cluster.rho`, `cluster.pairs_per_image` or `cluster.eps` auto gives in the first
            epoch; after an epoch in which one cluster held more than 30 % of the images, it is measured again.
        learning_rate: Of Adam, the same in all epochs.
        reset_optimizer: Whether Adam forgets its moments when the images are clustered again.
        momentum: α of eq. 4.3; the teacher follows the student after each step.
        ramp: Whether α climbs as 1 - 1/(t+1) until it is `momentum`; if not, only the first step copies.
        networks: How many students there are, each with its teacher: 1, or 2 (MMT).
        cross_branch: Whether a student's branch learns from another branch of the teacher; with two networks, from the
            other teacher. If not, each learns from its own.
        classification_weight: λ_ce of eq. 4.8.
        label_smoothing: Of eq. 4.2.
        soft_classification_weight: λ_sce of eq. 4.8.
        triplet_weight: Of the batch-hard triplet loss with the soft margin, which ABMT leaves out.
        soft_triplet_weight: λ_stri of eq. 4.8.
        soft_triplet: `two-class`, or `positive-share`: eq. 4.6 and 4.7 to the letter.
        branch_reduction: How the branches' losses are reduced: `mean`, or `sum` (eq. 4.8 to the letter; MMT's two
            networks).
        dropout: Probability that a feature is zeroed before the classifiers; student and teacher draw their own.
        stochastic_augmentation: Whether the teacher's images get their own augmentation.
        num_eval_images: Number of images, evenly spread over all, on which the distances between teachers and students
            are measured at the end of an epoch; 0 measures nothing.
    """

    encoder: EncoderSettings = field(
        default_factory=lambda: EncoderSettings(backbone="resnet50_linear_stem", head=BRANCHES)
    )
    cluster: ClusterSettings = field(default_factory=lambda: ClusterSettings(k1=20, variant="abmt", rho=2e-3))
    augment: AugmentSettings = field(default_factory=lambda: AugmentSettings(blur=0.0, erase=0.5))
    ghost_batches: int = 4
    freeze_eps: bool = False
    reset_optimizer: bool = True
    momentum: float = 0.999
    ramp: bool = True
    networks: int = 1
    cross_branch: bool = True
    classification_weight: float = 0.5
    label_smoothing: float = 0.1
    soft_classification_weight: float = 0.5
    triplet_weight: float = 0.0
    soft_triplet_weight: float = 1.0
    soft_triplet: SoftTriplet = "two-class"
    branch_reduction: Literal["mean", "sum"] = "mean"
    dropout: float = 0.0
    stochastic_augmentation: bool = False
    num_eval_images: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.networks not in (1, 2):
            raise ConfigError(f"networks must be 1 or 2, found {self.networks}")
        weights = ("classification_weight", "soft_classification_weight", "triplet_weight", "soft_triplet_weight")
        check_least(self, 0, "num_eval_images", *weights)
        check_most(self, HEAVIEST, *weights)
        if not self.classification_weight + self.soft_classification_weight:
            raise ConfigError("classification_weight and soft_classification_weight must not both be 0")
        check_shares(self, "momentum", "label_smoothing")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be 0 or more and below 1, found {self.dropout}")


LITERAL: dict[str, Any] = {
    "label_smoothing": 0.0,
    "soft_triplet": "positive-share",
    "branch_reduction": "sum",
    "ramp": False,
    "reset_optimizer": False,
    "ghost_batches": 1,
}
"""What the text sets differently, for every network."""

VARIANTS: dict[str, dict[str, Any]] = {
    "code": {},
    "thesis": {**LITERAL, "encoder": EncoderSettings(backbone="resnet50", head=BRANCHES)},
}
"""What each variant sets differently from the dataclass."""
