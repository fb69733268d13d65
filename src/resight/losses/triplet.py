"""Triplet losses: distances within a person against distances between people.

Every function takes a complete batch and returns one value per image, ``(B,)``; the caller averages. The loss of an
image is 0 if its batch has no other person.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

SoftTriplet = Literal["two-class", "positive-share"]


def euclidean(features: Tensor) -> Tensor:
    """Compute the ``(B, B)`` Euclidean distances of ``(B, D)`` features; the gradient between equal features is 0."""
    # Differences, not |a|² + |b|² - 2ab: close pairs keep their digits, and the square root keeps its gradient.
    return torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")


def batch_hard_triplet(features: Tensor, labels: Tensor, *, margin: float | None) -> Tensor:
    """Pull the farthest image of a person closer than the nearest image of any other person, by a margin.

    ``[max_p |a - p| - min_n |a - n| + α]_+``, or ``log(1 + exp(max_p |a - p| - min_n |a - n|))``.

    Args:
        features: ``(B, D)``, not normalized in SCR.
        labels: ``(B,)`` people.
        margin: α in units of distance; None for the soft margin.

    Returns:
        ``(B,)`` losses, 0 or more.

    References:
        Eq. 2.5 and 3.2; Hermans et al., In defense of the triplet loss for person re-identification, 2017.
    """
    positive, negative = _hardest(euclidean(features), labels)
    return _hinge(positive - negative, margin)


def soft_triplet(
    features: Tensor, target_features: Tensor, labels: Tensor, *, variant: SoftTriplet = "two-class"
) -> Tensor:
    """Match the ratio of a student's two hardest distances to the teacher's ratio for the same images.

    For each image, the student's features choose the farthest image p of the same person and the nearest image n of
    another. Student and teacher then have ``T = exp(|a - p|) / (exp(|a - p|) + exp(|a - n|))`` each.

    Args:
        features: ``(B, D)`` of the student, not normalized, before the neck.
        target_features: ``(B, E)`` of the teacher, of the same images; they get no gradient.
        labels: ``(B,)`` people.
        variant: ``"two-class"`` is the cross-entropy of the student's (T, 1 - T) with the teacher's, as in the released
            code. ``"positive-share"`` is ``-T' log T``, eq. 4.6 and 4.7 as printed; it shrinks as a person's images
            move away from each other.

    Returns:
        ``(B,)`` losses, 0 or more.

    References:
        Eq. 4.6 and 4.7; Ge et al., Mutual mean-teaching, 2020, eq. 7.
    """
    distances, targets = euclidean(features), euclidean(target_features.detach())
    same = labels[:, None] == labels
    hardest = torch.stack(
        [distances.masked_fill(~same, -torch.inf).argmax(1), distances.masked_fill(same, torch.inf).argmin(1)], 1
    )
    log_predictions = distances.gather(1, hardest).log_softmax(1)
    target_shares = targets.gather(1, hardest).softmax(1)
    terms = -(target_shares * log_predictions)
    losses = terms.sum(1) if variant == "two-class" else terms[:, 0]
    return losses.masked_fill(same.all(1), 0)


def quadruplet(features: Tensor, labels: Tensor, *, margins: tuple[float, float]) -> Tensor:
    """Extend the batch-hard triplet: a person's images come closer than any two other people are to each other.

    ``[max_p |a - p| - min_n |a - n| + α]_+ + [max_p |a - p| - min_{k,l} |k - l| + β]_+``. Here k and l are images of
    two people, different from each other and from the anchor's person.

    Args:
        features: ``(B, D)``.
        labels: ``(B,)`` people.
        margins: (α, β) in units of distance; the paper's β is the smaller one.

    Returns:
        ``(B,)`` losses, 0 or more. With two people in the batch the second term is 0.

    References:
        Chen et al., Beyond triplet loss: a deep quadruplet network for person re-identification, 2017, eq. 5. Here each
        term takes the hardest of the batch, and the triplet's distance instead of a squared learned metric.
    """
    distances = euclidean(features)
    positive, negative = _hardest(distances, labels)
    other = labels[:, None] != labels
    # (anchor, k, l): k and l differ, and neither is the anchor's person.
    is_other_pair = other & other[:, :, None] & other[:, None, :]
    other_pair = distances.expand_as(is_other_pair).masked_fill(~is_other_pair, torch.inf).flatten(1).amin(1)
    return _hinge(positive - negative, margins[0]) + _hinge(positive - other_pair, margins[1])


def circle(features: Tensor, labels: Tensor, *, margin: float = 0.25, scale: float = 128.0) -> Tensor:
    """Weight the pull or push of each similarity by its distance from the optimum.

    ``softplus(logsumexp_n γ α_n (s_n - m) + logsumexp_p -γ α_p (s_p - 1 + m))`` with the weights
    ``α_n = [s_n + m]_+`` and ``α_p = [1 + m - s_p]_+``. The weights get no gradient, as in the paper's eq. 9.

    Args:
        features: ``(B, D)``; similarities are cosines.
        labels: ``(B,)`` people.
        margin: m: positives should be above ``1 - m``, negatives below ``m``.
        scale: γ.

    Returns:
        ``(B,)`` losses, 0 or more; 0 for an image without another image of its person, or without another person.

    References:
        Sun et al., Circle loss: a unified perspective of pair similarity optimization, 2020, eq. 6 and 8.
    """
    unit = F.normalize(features)
    similar = unit @ unit.T
    other = labels[:, None] != labels
    positive = ~other & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    fixed = similar.detach()
    push = scale * (fixed + margin).clamp(min=0) * (similar - margin)
    pull = -scale * (1 + margin - fixed).clamp(min=0) * (similar - 1 + margin)
    lowest = torch.finfo(similar.dtype).min / 4  # its exp is 0, and the sum of two stays finite
    sums = [torch.logsumexp(terms.masked_fill(~mask, lowest), 1) for terms, mask in ((push, other), (pull, positive))]
    return F.softplus(sums[0] + sums[1])


def _hardest(distances: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return each image's largest distance to its person and its smallest to other people, infinite without others."""
    same = labels[:, None] == labels
    return distances.masked_fill(~same, -torch.inf).amax(1), distances.masked_fill(same, torch.inf).amin(1)


def _hinge(differences: Tensor, margin: float | None) -> Tensor:
    return F.softplus(differences) if margin is None else (differences + margin).clamp(min=0)
