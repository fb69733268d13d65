"""Identity classification losses: cross-entropy, distillation and center loss.

Every function returns one value per image, ``(B,)``; the caller averages.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Compute the negative log of the softmax probability of the true class.

    Args:
        logits: ``(B, C)``.
        labels: ``(B,)`` in ``0..C-1``.
        label_smoothing: Share of the target to spread over all classes, 0..1; SCR uses none.

    Returns:
        ``(B,)`` losses, 0 or more.

    References:
        Eq. 3.1; Szegedy et al., Rethinking the Inception architecture, 2016 (label smoothing).
    """
    return F.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)


def soft_cross_entropy(logits: Tensor, target_logits: Tensor) -> Tensor:
    """Compute the cross-entropy of the student's softmax with the teacher's.

    ``- sum_c softmax(t)_c log softmax(s)_c``. The teacher gets no gradient.

    Args:
        logits: ``(B, C)`` of the student, s.
        target_logits: ``(B, C)`` of the teacher, t.

    Returns:
        ``(B,)`` losses, 0 or more. The minimum is the entropy of the target, when both softmaxes are equal.

    References:
        Eq. 4.4 and 4.5; Hinton et al., Distilling the knowledge in a neural network, 2015.
    """
    return -(target_logits.detach().softmax(1) * logits.log_softmax(1)).sum(1)


def center_loss(features: Tensor, labels: Tensor, centers: Tensor) -> Tensor:
    """Compute half the squared distance of each image to the center of its class.

    Args:
        features: ``(B, D)``.
        labels: ``(B,)`` in ``0..C-1``.
        centers: ``(C, D)``; `models.centers.Centers` moves them by the paper's rule.

    Returns:
        ``(B,)`` losses, 0 or more.

    References:
        Wen et al., A discriminative feature learning approach for deep face recognition, 2016, eq. 2.
    """
    return 0.5 * (features - centers[labels]).square().sum(1)
