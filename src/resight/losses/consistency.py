"""Consistency of the similarities between images before and after augmentation."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

Divergence = Literal["target-prediction", "prediction-target", "squared"]


def soft_instance_consistency(
    anchors: Tensor,
    keys: Tensor,
    target_anchors: Tensor,
    target_keys: Tensor,
    *,
    temperature: float,
    divergence: Divergence = "target-prediction",
) -> Tensor:
    """Compare an image's similarities to the batch after augmentation with those before (L_s_ins).

    P = softmax(⟨f_A·m⟩/τ) over the batch after strong augmentation; Q = softmax(⟨m_A·m⟩/τ) without augmentation.

    Args:
        anchors: ``(B, D)`` online features of strongly augmented images; only these get a gradient.
        keys: ``(M, D)`` momentum features of strongly augmented images.
        target_anchors: ``(B, D)`` momentum features of the anchors' images without augmentation.
        target_keys: ``(M, D)`` momentum features of the keys' images without augmentation.
        temperature: τ_s_ins.
        divergence: ``"target-prediction"`` is KL(Q‖P), as in the released code; ``"prediction-target"`` is
            KL(P‖Q), eq. 6.12 as printed; ``"squared"`` is the mean squared difference of the two distributions
            (Table 6.3).

    Returns:
        ``(B,)`` divergences, 0 or more.

    References:
        Eq. 6.10 to 6.12, Table 6.3.
    """
    prediction = (F.normalize(anchors) @ F.normalize(keys.detach()).T / temperature).log_softmax(1)
    target = F.normalize(target_anchors.detach()) @ F.normalize(target_keys.detach()).T / temperature
    target = target.log_softmax(1)
    if divergence == "squared":
        return (prediction.exp() - target.exp()).square().mean(1)
    if divergence == "prediction-target":
        return (prediction.exp() * (prediction - target)).sum(1)
    return (target.exp() * (target - prediction)).sum(1)
