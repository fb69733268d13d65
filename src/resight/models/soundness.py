"""Whether an encoder works: its weights may be finite and its vectors not."""

from __future__ import annotations

import torch

from resight.models.encoder import Encoder


@torch.no_grad()
def embeds(encoder: Encoder) -> bool:
    """Return whether an encoder turns a random image into a vector of finite numbers that is not zero.

    Args:
        encoder: Its weights, statistics and mode stay as they are.
    """
    training = encoder.training
    image = torch.rand(1, 3, *encoder.settings.size, generator=torch.Generator().manual_seed(0))
    vector = encoder.eval().embed(image.to(encoder.mean.device))
    encoder.train(training)
    return bool(vector.isfinite().all()) and float(vector.norm()) > 0.5
