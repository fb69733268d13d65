"""The mean teachers that ABMT is compared with: the baseline, and MMT (thesis §4.4, figure 4.3).

Both are ABMT's algorithm (`abmt.py`) on networks that end in a single branch:

- the baseline has one student, which learns from its own moving average;
- MMT has two, pre-trained from different seeds; each sees the images augmented in its own way and learns from the
  moving average of the other.

The baseline was not released; here it is what is left of ABMT without branches, losses and weights unchanged, so that
Table 4.3 adds one thing at a time. MMT has its own paper's weights, with the hard triplet loss, and the losses of its
networks are added up, where those of ABMT's branches are averaged.

References:
    Tarvainen and Valpola, Mean teachers are better role models, 2017. Ge et al., Mutual mean-teaching: pseudo label
    refinery for unsupervised domain adaptation on person re-identification, 2020.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from resight.methods.abmt_settings import LITERAL, ABMTSettings
from resight.models.encoder import EncoderSettings
from resight.numerics.clustering import ClusterSettings


def _one_branch() -> EncoderSettings:
    return EncoderSettings(backbone="resnet50_linear_stem")


@dataclass(frozen=True)
class MeanTeacherSettings(ABMTSettings):
    """The settings of ABMT, for one network of a single branch."""

    encoder: EncoderSettings = field(default_factory=_one_branch)


@dataclass(frozen=True)
class MMTSettings(ABMTSettings):
    """The settings of ABMT, for two networks of a single branch each."""

    encoder: EncoderSettings = field(default_factory=_one_branch)
    cluster: ClusterSettings = field(default_factory=lambda: ClusterSettings(k1=20, variant="abmt", rho=1.6e-3))
    freeze_eps: bool = True
    networks: int = 2
    branch_reduction: Literal["mean", "sum"] = "sum"
    triplet_weight: float = 0.2
    soft_triplet_weight: float = 0.8


VARIANTS: dict[str, dict[str, Any]] = {
    "code": {},
    "thesis": {**LITERAL, "encoder": EncoderSettings(backbone="resnet50")},
}
"""What each reading sets differently from the dataclasses."""
