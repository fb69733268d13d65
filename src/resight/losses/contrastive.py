"""Contrast with proxies and with other images of the batch.

Every function gives one value an image, ``(B,)``; the caller averages. So a batch that is split over several
processes gives the same loss as a whole one.
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
        features: ``(B, D)``; plain dot products are taken, so the caller chooses whether to normalize.
        labels: ``(B,)`` in ``0..C-1``.
        proxies: ``(C, D)`` cluster centers.
        temperature: τ_a.
        label_smoothing: Share of the target spread over all clusters; the released code uses 0.1.
        ignore_mask: ``(B, C)`` bool, clusters that an image is not pushed away from: left out of its softmax. Never its
            own cluster.

    Returns:
        ``(B,)`` losses.

    References:
        Eq. 6.5.
    """
    logits = features @ proxies.T / temperature
    if ignore_mask is None:
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)
    counted = (~ignore_mask).to(logits.dtype)
    target = label_smoothing * counted / counted.sum(1, keepdim=True)
    target[torch.arange(len(labels)), labels] += 1 - label_smoothing
    return F.cross_entropy(logits.masked_fill(ignore_mask, _far(logits)), target, reduction="none")


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
        features: ``(B, D)``; cosine similarity is taken.
        labels: ``(B,)`` clusters.
        cameras: ``(B,)`` camera ids.
        proxies: ``(P, D)`` unit vectors, their ``(P,)`` clusters and ``(P,)`` cameras.
        temperature: τ_c.
        negatives: N_neg, how many of the most similar proxies of other clusters stand in the denominator; all
            of them where fewer exist.
        own_camera: Whether the proxy of the image's own camera is a positive too (the released code) or
            not (eq. 6.7, i ≠ b).
        softmax: ``"joint"``: all positives share one denominator with the negatives (the released code);
            ``"separate"``: each positive has its own (eq. 6.7).
        ignore_mask: ``(B, P)`` bool, proxies that are nobody's negatives here; positives stay positives.

    Returns:
        ``(B,)`` losses, 0 for an image without a positive proxy.

    References:
        Eq. 6.7; Wang et al., Camera-aware proxies for unsupervised person re-identification, 2021.
    """
    vectors, proxy_labels, proxy_cameras = proxies
    logits = F.normalize(features) @ vectors.T / temperature
    same = labels[:, None] == proxy_labels
    positive = same if own_camera else same & (cameras[:, None] != proxy_cameras)
    ours = same if ignore_mask is None else same | ignore_mask
    hardest = logits.masked_fill(ours, _far(logits)).topk(min(negatives, logits.shape[1]), dim=1).values
    if softmax == "joint":
        own = logits.masked_fill(~positive, _far(logits))
        normalizer = torch.logsumexp(torch.cat([own, hardest], 1), 1, keepdim=True)
    else:
        against = torch.logsumexp(hardest, 1, keepdim=True)
        normalizer = torch.logaddexp(logits, against)
    losses = (normalizer - logits).masked_fill(~positive, 0).sum(1)
    return losses / positive.sum(1).clamp(min=1)


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
    """Match each image with its least similar positive among the keys, against the other clusters (L_h_ins).

    Args:
        anchors: ``(B, D)`` online features f of strongly augmented images.
        labels: ``(B,)`` their clusters.
        keys: ``(M, D)`` momentum features m of a second strong view; no gradient reaches them. The anchor's
            own second view is one of its positives.
        key_labels: ``(M,)`` their clusters.
        temperature: τ_h_ins.
        negatives: ``"all"``, or ``"hardest"`` (Table 6.2).
        ignore_mask: ``(B, M)`` bool, keys that are nobody's negatives here; positives stay positives.

    Returns:
        ``(B,)`` losses.

    References:
        Eq. 6.9, Table 6.2.
    """
    logits = F.normalize(anchors) @ F.normalize(keys.detach()).T / temperature
    same = labels[:, None] == key_labels
    hardest_positive = logits.masked_fill(~same, -_far(logits)).amin(1)
    others = logits.masked_fill(same if ignore_mask is None else same | ignore_mask, _far(logits))
    against = torch.logsumexp(others, 1) if negatives == "all" else others.amax(1)
    return F.softplus(against - hardest_positive)


def _far(logits: Tensor) -> float:
    """Give what a logit that must not count is set to: exp makes it 0, and unlike -inf it never makes nan."""
    return torch.finfo(logits.dtype).min
