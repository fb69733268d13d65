"""Losses of a generator of images and of the discriminator that it must fool.

Every function returns one value per image, ``(B,)``; the caller averages. A discriminator scores the patches of an
image at several scales: ``(B, 1, h, w)`` for each. A loss is the sum over scales of the mean over patches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Adversarial = Literal["least-squares", "log"]
"""What a score is: close to 1 if a patch is real and to 0 if not, or the logit of the probability that it is real."""


def realness_loss(scores: Sequence[Tensor], *, form: Adversarial) -> Tensor:
    """Compute what the discriminator loses on real images: (D - 1)², or -log D.

    Args:
        scores: Of ``B`` real images.
        form: ``"least-squares"``, the released code, or ``"log"``, eq. 5.3.

    Returns:
        ``(B,)`` losses, 0 or more.

    References:
        Eq. 5.3; Mao et al., Least squares generative adversarial networks, 2017.
    """
    return _over_patches([(score - 1).square() if form == "least-squares" else F.softplus(-score) for score in scores])


def fakeness_loss(scores: Sequence[Tensor], *, form: Adversarial) -> Tensor:
    """Compute what the discriminator loses on generated images: D², or -log(1 - D); arguments as `realness_loss`."""
    return _over_patches([score.square() if form == "least-squares" else F.softplus(score) for score in scores])


def fooling_loss(scores: Sequence[Tensor], *, form: Adversarial) -> Tensor:
    """Compute what the generator loses on its images: (D - 1)², or log(1 - D), which eq. 5.3 has and which is below 0.

    Arguments as `realness_loss`.
    """
    return realness_loss(scores, form=form) if form == "least-squares" else -fakeness_loss(scores, form=form)


def gradient_penalty(scores: Sequence[Tensor], images: Tensor) -> Tensor:
    """Compute R1: the squared length of the gradient of the scores of real images, summed over scales.

    Args:
        scores: Of the images, each depending on no image but its own.
        images: ``(B, 3, H, W)``, which need a gradient.

    Returns:
        ``(B,)`` penalties, 0 or more; the weights of the discriminator get a gradient from them.

    References:
        Mescheder et al., Which training methods for GANs do actually converge?, 2018.
    """
    gradients = [torch.autograd.grad(score.sum(), images, create_graph=True)[0] for score in scores]
    return torch.stack([gradient.square().sum((1, 2, 3)) for gradient in gradients]).sum(0)


def reconstruction(values: Tensor, targets: Tensor) -> Tensor:
    """Compute how far images or features are from what they should be: the mean absolute difference.

    Args:
        values: ``(B, ...)`` reconstructed images, or features of such.
        targets: ``(B, ...)`` what they should be; they get no gradient.

    Returns:
        ``(B,)`` losses, 0 or more.

    References:
        Eq. 5.1 and 5.2.
    """
    return (values - targets.detach()).abs().flatten(1).mean(1)


def _over_patches(losses: list[Tensor]) -> Tensor:
    return torch.stack([loss.flatten(1).mean(1) for loss in losses]).sum(0)
