"""An encoder with a second feature after its own, which only its training uses (UDAP and ACT)."""

from __future__ import annotations

from torch import Tensor, nn

from resight.models.encoder import Encoder


class ProjectedEncoder(nn.Module):
    """Returns the features of an encoder, x1, and a projection of them, x2.

    Args:
        encoder: Computes x1.
        projection: Whether there is an x2: a linear map without bias to as many numbers, batch norm and ReLU.
    """

    def __init__(self, encoder: Encoder, *, projection: bool = True) -> None:
        super().__init__()
        self.encoder = encoder
        self.projection: nn.Module | None = None
        if projection:
            linear = nn.Linear(encoder.dim, encoder.dim, bias=False)
            nn.init.kaiming_normal_(linear.weight, mode="fan_out")
            self.projection = nn.Sequential(linear, nn.BatchNorm1d(encoder.dim), nn.ReLU())

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return x1 and, if there is one, x2, ``(B, D)`` each, of ``(B, 3, H, W)`` images in 0..1."""
        features = self.encoder(images)
        return (features,) if self.projection is None else (features, self.projection(features))
