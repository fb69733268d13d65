"""An encoder with a batch norm after it that only its training uses (MMCL)."""

from __future__ import annotations

from torch import Tensor, nn

from resight.models.encoder import Encoder


class NormedEncoder(nn.Module):
    """Normalizes the features of an encoder while it trains; what the encoder itself returns is compared afterwards.

    Args:
        encoder: Computes the features.
        norm: Whether there is a batch norm; one that ends in a neck of batch norm needs none.

    Attributes:
        norm: The batch norm, weight and bias of which learn, or the identity.
    """

    def __init__(self, encoder: Encoder, *, norm: bool = True) -> None:
        super().__init__()
        self.encoder = encoder
        self.norm = nn.BatchNorm1d(encoder.dim) if norm else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Return the ``(B, D)`` float32 features of ``(B, 3, H, W)`` images in 0..1."""
        features: Tensor = self.norm(self.encoder(images).float())
        return features
