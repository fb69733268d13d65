"""Whether an encoder still is one: weights may be finite and all that comes out of them not."""

from __future__ import annotations

import torch

from resight.models.encoder import Encoder


@torch.no_grad()
def embeds(encoder: Encoder) -> bool:
    """Say whether an encoder gives a drawn image a vector of finite numbers, and not of zeros.

    Args:
        encoder: Whose weights, statistics and mode stay as they are.
    """
    training = encoder.training
    image = torch.rand(1, 3, *encoder.settings.size, generator=torch.Generator().manual_seed(0))
    vector = encoder.eval().embed(image.to(encoder.mean.device))
    encoder.train(training)
    return bool(vector.isfinite().all()) and float(vector.norm()) > 0.5
