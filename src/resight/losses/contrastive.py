"""Contrastive losses with proxies, with other images of the batch and with a memory of all images.

Every loss returns one value per image, ``(B,)``; the caller averages. So a batch that is split over several
processes has the same loss as a single one.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def proxy_contrast(
    features: Tensor,
    labels: Tensor,
    proxies: Tensor,
    *,
    temperature: float,
    label_smoothing: float = 0.0,
    ignore_mask: Tensor | None = None,
) -> Tensor:
    """Pull each image to the proxy of its cluster and away from all others (L_agnostic).

    Args:
        features: ``(B, D)``; similarities are plain dot products, so the caller chooses whether to normalize.
        labels: ``(B,)`` in ``0..C-1``.
        proxies: ``(C, D)`` cluster centers.
        temperature: τ_a.
        label_smoothing: Share of the target to spread over all clusters; the released code uses 0.1.
        ignore_mask: ``(B, C)`` bool, clusters that the image's softmax ignores, so it is not pushed away from them;
            never its own cluster.

    Returns:
        ``(B,)`` losses.

    References:
        Eq. 6.5.
    """
    logits = features @ proxies.T / temperature
    if ignore_mask is None:
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)
    is_counted = (~ignore_mask).to(logits.dtype)
    target = label_smoothing * is_counted / is_counted.sum(1, keepdim=True)
    target[torch.arange(len(labels)), labels] += 1 - label_smoothing
    return F.cross_entropy(logits.masked_fill(ignore_mask, _lowest(logits)), target, reduction="none")


def camera_contrast(
    features: Tensor,
    labels: Tensor,
    cameras: Tensor,
    *,
    proxies: tuple[Tensor, Tensor, Tensor],
    temperature: float,
    negatives: int = 50,
    own_camera: bool = True,
    softmax: Literal["joint", "separate"] = "joint",
    ignore_mask: Tensor | None = None,
) -> Tensor:
    """Pull each image to its cluster's proxies in the cameras, away from the nearest other proxies (L_cross).

    Args:
        features: ``(B, D)``; similarities are cosines.
        labels: ``(B,)`` clusters.
        cameras: ``(B,)`` camera ids.
        proxies: ``(P, D)`` unit vectors, their ``(P,)`` clusters and ``(P,)`` cameras.
        temperature: τ_c.
        negatives: N_neg, the number of the most similar proxies of other clusters in the denominator; all
            proxies of other clusters if there are fewer.
        own_camera: Whether the proxy of the image's own camera is a positive too (the released code) or
            not (eq. 6.7, i ≠ b).
        softmax: ``"joint"``: all positives share one denominator with the negatives (the released code);
            ``"separate"``: each positive has its own (eq. 6.7).
        ignore_mask: ``(B, P)`` bool, proxies that are no negatives of the image; positives stay positives.

    Returns:
        ``(B,)`` losses, 0 for an image without a positive proxy.

    References:
        Eq. 6.7; Wang et al., Camera-aware proxies for unsupervised person re-identification, 2021.
    """
    vectors, proxy_labels, proxy_cameras = proxies
    logits = F.normalize(features) @ vectors.T / temperature
    same = labels[:, None] == proxy_labels
    positive = same if own_camera else same & (cameras[:, None] != proxy_cameras)
    no_negative = same if ignore_mask is None else same | ignore_mask
    hardest = logits.masked_fill(no_negative, _lowest(logits)).topk(min(negatives, logits.shape[1]), dim=1).values
    if softmax == "joint":
        positive_logits = logits.masked_fill(~positive, _lowest(logits))
        normalizer = torch.logsumexp(torch.cat([positive_logits, hardest], 1), 1, keepdim=True)
    else:
        negative_term = torch.logsumexp(hardest, 1, keepdim=True)
        normalizer = torch.logaddexp(logits, negative_term)
    losses = (normalizer - logits).masked_fill(~positive, 0).sum(1)
    return losses / positive.sum(1).clamp(min=1)


def camera_weights(cameras: Tensor) -> Tensor:
    """Weigh images so that the weighted sum of their losses is the sum over cameras of the mean over their images.

    Args:
        cameras: ``(B,)`` camera ids.

    Returns:
        ``(B,)``, one over the number of images of the image's camera.
    """
    return 1 / (cameras[:, None] == cameras).sum(1)


def hard_instance_contrast(
    anchors: Tensor,
    labels: Tensor,
    keys: Tensor,
    key_labels: Tensor,
    *,
    temperature: float,
    negatives: Literal["all", "hardest"] = "all",
    ignore_mask: Tensor | None = None,
) -> Tensor:
    """Pull each image to its least similar positive among the keys, away from other clusters (L_h_ins).

    Args:
        anchors: ``(B, D)`` online features f of strongly augmented images.
        labels: ``(B,)`` their clusters.
        keys: ``(M, D)`` momentum features m of a second strong view; they get no gradient. The anchor's
            own second view is one of its positives.
        key_labels: ``(M,)`` their clusters.
        temperature: τ_h_ins.
        negatives: ``"all"``, or ``"hardest"`` (Table 6.2).
        ignore_mask: ``(B, M)`` bool, keys that are no negatives of the image; positives stay positives.

    Returns:
        ``(B,)`` losses.

    References:
        Eq. 6.9, Table 6.2.
    """
    logits = F.normalize(anchors) @ F.normalize(keys.detach()).T / temperature
    same = labels[:, None] == key_labels
    hardest_positive = logits.masked_fill(~same, -_lowest(logits)).amin(1)
    negative_logits = logits.masked_fill(same if ignore_mask is None else same | ignore_mask, _lowest(logits))
    negative_term = torch.logsumexp(negative_logits, 1) if negatives == "all" else negative_logits.amax(1)
    return F.softplus(negative_term - hardest_positive)


def view_contrast(
    left: Tensor,
    right: Tensor,
    pushed: Tensor,
    memory: Tensor,
    *,
    negatives: Tensor,
    temperature: float,
) -> Tensor:
    """Pull two views of a person together, and push a view away from the memory of others (L_vi).

    log(1 + Σ exp(sim(p, k)/τ) / exp(sim(u, v)/τ)), summed over the negatives k.

    Args:
        left: ``(B, D)`` u, one view of each person.
        right: ``(B, D)`` v, the other view. Detach it if it is of the memory.
        pushed: ``(B, D)`` p, the view that the negatives push: f'_new in all three terms of GCL, which is meant so
            (§5.3.2).
        memory: ``(M, D)`` features of all images; they get no gradient.
        negatives: ``(B, M)`` bool, which of them are the K negatives of each person (`choose_negatives`).
        temperature: τ.

    Returns:
        ``(B,)`` losses, 0 for a person without a negative.

    References:
        Eq. 5.6, 5.7 and 5.8; van den Oord et al., Representation learning with contrastive predictive coding, 2018.
    """
    logits = F.normalize(pushed) @ F.normalize(memory.detach()).T / temperature
    negative_term = torch.logsumexp(logits.masked_fill(~negatives, _lowest(logits)), 1)
    positive = (F.normalize(left) * F.normalize(right)).sum(1) / temperature
    return F.softplus(negative_term - positive).masked_fill(~negatives.any(1), 0)


def choose_positives(labels: Tensor, memory_labels: Tensor, draws: Tensor) -> Tensor:
    """Choose an image of its cluster for each image, perhaps itself.

    Args:
        labels: ``(B,)`` clusters of the images.
        memory_labels: ``(M,)`` clusters of all images.
        draws: ``(B, M)`` random numbers of 0 or more; the image of the largest is chosen.

    Returns:
        ``(B,)`` images.
    """
    return draws.masked_fill(labels[:, None] != memory_labels, -1).argmax(1)


def choose_negatives(labels: Tensor, memory_labels: Tensor, order: Tensor, *, most: int, outliers: bool) -> Tensor:
    """Choose images of other clusters for each image, as many as there are, at most ``most``.

    Args:
        labels: ``(B,)`` clusters of the images.
        memory_labels: ``(M,)`` clusters of all images, -1 outside every cluster.
        order: ``(M,)`` a random order of all images; the first ``most`` of other clusters are chosen.
        most: K.
        outliers: Whether images outside every cluster may be chosen.

    Returns:
        ``(B, M)`` bool.
    """
    allowed = labels[:, None] != memory_labels
    if not outliers:
        allowed &= memory_labels >= 0
    ordered = allowed[:, order]
    chosen = torch.zeros_like(allowed)
    chosen[:, order] = ordered & (ordered.cumsum(1) <= most)
    return chosen


def _lowest(logits: Tensor) -> float:
    """Return the value of a masked logit: its exp is 0, and unlike -inf it never leads to nan."""
    return torch.finfo(logits.dtype).min
