"""The mean teachers that ABMT is compared with: the baseline, and MMT (thesis §4.4, figure 4.3).

Both run ABMT's algorithm (`abmt.py`) on networks that end in a single branch:

- the baseline has one student, which learns from its own moving average;
- MMT has two students, pre-trained from different seeds; each gets its own augmentation and learns from the moving
  average of the other.

The baseline has no published code. Here it is ABMT without branches, with the same losses and weights, so that Table
4.3 adds one thing at a time. MMT has the weights of its own paper, with the hard triplet loss, and the losses of its
networks are summed; those of ABMT's branches are averaged.

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
"""What each variant sets differently from the dataclasses."""
