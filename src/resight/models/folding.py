"""Networks that only run forward, without their batch norms."""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from resight.models.encoder import Encoder

TOLERANCE = 1e-4
"""By how much the cosine of the vectors of an encoder and of its copy may fall short of one."""


@torch.no_grad()
def folded(encoder: Encoder) -> Encoder:
    """Give a copy of an encoder whose batch norms are part of the convolutions before them: faster on a CPU.

    A batch norm is taken to follow the convolution that was registered just before it. Where that is not so the copy
    does not give the vectors of the encoder, which is tried with a drawn image.

    Args:
        encoder: In evaluation mode.

    Returns:
        The copy, or the encoder itself where the copy does not do the same.
    """
    changed = copy.deepcopy(encoder)
    for parent in list(changed.modules()):
        children = list(parent.named_children())
        for (_, one), (name, other) in pairwise(children):
            if isinstance(one, nn.Conv2d) and isinstance(other, nn.BatchNorm2d):
                _fold(one, other)
                # Those of timm go on with an activation.
                rest = [getattr(other, part) for part in ("drop", "act") if hasattr(other, part)]
                setattr(parent, name, nn.Sequential(*rest))
    changed.to(memory_format=torch.channels_last)
    images = torch.rand(1, 3, *encoder.settings.size, generator=torch.Generator().manual_seed(0)).to(encoder.mean)
    same = (changed.embed(images) * encoder.embed(images)).sum(1) > 1 - TOLERANCE
    return changed if bool(same.all()) else encoder


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
