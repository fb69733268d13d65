"""Distances within a person against distances between people.

Every function takes a whole batch and gives one value an image, ``(B,)``; the caller averages. An image without
anybody else in its batch costs nothing.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

SoftTriplet = Literal["two-class", "positive-share"]


def euclidean(features: Tensor) -> Tensor:
    """Give the ``(B, B)`` Euclidean distances between ``(B, D)`` features, gradient 0 where two are equal."""
    # The differences, not |a|² + |b|² - 2ab: close pairs keep their digits, and the square root its gradient.
    return torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")


def batch_hard_triplet(features: Tensor, labels: Tensor, *, margin: float | None) -> Tensor:
    """Ask that the farthest image of a person is nearer than the nearest image of any other, by a margin.

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
    """Ask that a student's two hardest distances stand to each other as a teacher's distances of the same images do.

    For each image the student's features choose its farthest p of the same person and its nearest n of another; with
    them ``T = exp(|a - p|) / (exp(|a - p|) + exp(|a - n|))``, of the student and of the teacher.

    Args:
        features: ``(B, D)`` of the student, not normalized, before the neck.
        target_features: ``(B, E)`` of the teacher, of the same images; it learns nothing.
        labels: ``(B,)`` people.
        variant: ``"two-class"`` is the cross-entropy of the student's (T, 1 - T) with the teacher's, what the released
            code computes; ``"positive-share"`` is ``-T' log T``, eq. 4.6 and 4.7 to the letter, which is the smaller
            the farther a person's images are from each other.

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
    logs = distances.gather(1, hardest).log_softmax(1)
    shares = targets.gather(1, hardest).softmax(1)
    each = -(shares * logs)
    losses = each.sum(1) if variant == "two-class" else each[:, 0]
    return losses.masked_fill(same.all(1), 0)


def quadruplet(features: Tensor, labels: Tensor, *, margins: tuple[float, float]) -> Tensor:
    """Add to the batch-hard triplet that a person's images are nearer than any two other people are to each other.

    ``[max_p |a - p| - min_n |a - n| + α]_+ + [max_p |a - p| - min_{k,l} |k - l| + β]_+``, where k and l are images of
    two people who differ from each other and from the anchor's.

    Args:
        features: ``(B, D)``.
        labels: ``(B,)`` people.
        margins: (α, β) in units of distance; the paper's β is the smaller one.

    Returns:
        ``(B,)`` losses, 0 or more. With two people in the batch the second term is 0.

    References:
        Chen et al., Beyond triplet loss: a deep quadruplet network for person re-identification, 2017, eq. 5, with the
        hardest of the batch in each place and the triplet's distance in place of a squared learned metric.
    """
    distances = euclidean(features)
    positive, negative = _hardest(distances, labels)
    other = labels[:, None] != labels
    # (anchor, k, l): k and l differ, and neither is the anchor's person.
    apart = other & other[:, :, None] & other[:, None, :]
    between = distances.expand_as(apart).masked_fill(~apart, torch.inf).flatten(1).amin(1)
    return _hinge(positive - negative, margins[0]) + _hinge(positive - between, margins[1])


def circle(features: Tensor, labels: Tensor, *, margin: float = 0.25, scale: float = 128.0) -> Tensor:
    """Pull and push each similarity the more, the farther it is from where it should be.

    ``softplus(logsumexp_n γ α_n (s_n - m) + logsumexp_p -γ α_p (s_p - 1 + m))`` with the weights
    ``α_n = [s_n + m]_+`` and ``α_p = [1 + m - s_p]_+``, through which no gradient passes, as in the paper's eq. 9.

    Args:
        features: ``(B, D)``; cosine similarity is taken.
        labels: ``(B,)`` people.
        margin: m: positives should be above ``1 - m``, negatives below ``m``.
        scale: γ.

    Returns:
        ``(B,)`` losses, 0 or more; 0 for an image without another of its person or without anybody else.

    References:
        Sun et al., Circle loss: a unified perspective of pair similarity optimization, 2020, eq. 6 and 8.
    """
    unit = F.normalize(features)
    similar = unit @ unit.T
    other = labels[:, None] != labels
    positive = ~other & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    fixed = similar.detach()
    pushed = scale * (fixed + margin).clamp(min=0) * (similar - margin)
    pulled = -scale * (1 + margin - fixed).clamp(min=0) * (similar - 1 + margin)
    far = torch.finfo(similar.dtype).min / 4  # exp makes it 0; two of them add up to something finite
    sums = [torch.logsumexp(x.masked_fill(~chosen, far), 1) for x, chosen in ((pushed, other), (pulled, positive))]
    return F.softplus(sums[0] + sums[1])


def _hardest(distances: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Give each image's largest distance to its person and its smallest to others, infinite without others."""
    same = labels[:, None] == labels
    return distances.masked_fill(~same, -torch.inf).amax(1), distances.masked_fill(same, torch.inf).amin(1)


def _hinge(differences: Tensor, margin: float | None) -> Tensor:
    return F.softplus(differences) if margin is None else (differences + margin).clamp(min=0)
