"""Losses over all images at once, which share labels: those of JVTC and of MMCL.

Every function returns one value per image, ``(B,)``; the caller averages.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def shared_label_contrast(features: Tensor, memory: Tensor, positives: Tensor, *, temperature: float) -> Tensor:
    """Pull each image to all images of its label, away from all others (the global loss of JVTC).

    ``-1/|P| Σ_{p in P} log softmax(f·M / τ)_p``.

    Args:
        features: ``(B, D)``, normalized here.
        memory: ``(N, D)`` M; similarities are plain dot products with it, and it gets no gradient.
        positives: ``(B, N)`` bool, P: the images of each image's label; at least one.
        temperature: τ.

    Returns:
        ``(B,)`` losses, 0 or more.

    References:
        Li and Zhang, Joint visual and temporal consistency (JVTC), 2020.
    """
    log_shares = (F.normalize(features) @ memory.detach().T / temperature).log_softmax(1)
    return -log_shares.masked_fill(~positives, 0).sum(1) / positives.sum(1)


def multi_label_loss(
    features: Tensor, memory: Tensor, positives: Tensor, *, positive_weight: float, hardest: float
) -> Tensor:
    """Push similarities to positives to 1 and those to the hardest negatives to -1 (MMCL).

    ``δ/|P| Σ_{p in P} (f·M_p - 1)² + 1/|H| Σ_{n in H} (f·M_n + 1)²``. H are the negatives of the largest similarity.

    Args:
        features: ``(B, D)``, normalized here.
        memory: ``(N, D)`` M, of unit length; it gets no gradient.
        positives: ``(B, N)`` bool, P: the images whose labels each image has; at least one. All others are negatives.
        positive_weight: δ.
        hardest: Share of the negatives that count, 0..1; their number is rounded up.

    Returns:
        ``(B,)`` losses, 0 or more; without a negative, those of the positives.

    References:
        Wang and Zhang, Unsupervised person re-identification via multi-label classification (MMCL), 2020.
    """
    similarities = F.normalize(features) @ memory.detach().T
    pull = (similarities - 1).square().masked_fill(~positives, 0).sum(1) / positives.sum(1)
    lowest = torch.finfo(similarities.dtype).min
    ordered, order = similarities.masked_fill(positives, lowest).sort(1, descending=True)
    negatives = (~positives).sum(1, keepdim=True)
    # The small number keeps 1 % of 100 at one: 0.01 is above a hundredth in floating point.
    count = (hardest * negatives - 1e-6).ceil().clamp(min=1).minimum(negatives)
    is_hard = torch.arange(len(memory), device=order.device) < count
    push = (ordered + 1).masked_fill(~is_hard, 0).square().sum(1) / count.squeeze(1).clamp(min=1)
    return positive_weight * pull + push


@torch.no_grad()
def agreed_positives(memory: Tensor, rows: Tensor, *, threshold: float, least: int) -> Tensor:
    """Predict which images share the label of some images: similar ones that agree (MPLP of MMCL).

    The candidates of an image are the k images most similar to it, itself first: all above the threshold, at least
    ``least``. They are taken from the most similar one on, up to the first that does not have the image among its own k
    most similar ones.

    Args:
        memory: ``(N, D)`` of unit length, or 0 for an image that was not yet seen.
        rows: ``(B,)`` images.
        threshold: Similarity above which an image is a candidate.
        least: The fewest candidates, the image itself included.

    Returns:
        ``(B, N)`` bool; an image is always its own positive.

    References:
        Wang and Zhang 2020.
    """
    positives = torch.zeros(len(rows), len(memory), dtype=torch.bool, device=memory.device)
    similarities = memory[rows] @ memory.T
    similarities[torch.arange(len(rows), device=memory.device), rows] = torch.inf  # first, whatever rounding says
    counts = (similarities > threshold).sum(1).clamp(min=min(least, len(memory))).tolist()
    order = similarities.argsort(dim=1, descending=True, stable=True)
    for number, (row, count) in enumerate(zip(rows.tolist(), counts, strict=True)):
        candidates = order[number, :count]
        theirs = memory[candidates] @ memory.T
        theirs[torch.arange(count, device=memory.device), candidates] = torch.inf
        closer = (theirs > theirs[:, row, None]).sum(1)  # images more similar to the candidate than this one
        agrees = (closer < count).cummin(0).values
        positives[number, candidates[agrees]] = True
    positives[torch.arange(len(rows), device=memory.device), rows] = True
    return positives
