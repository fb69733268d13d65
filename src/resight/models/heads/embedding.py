"""The embedding head: one short vector of the whole map, by a linear map and batch norm (thesis §5.4.2)."""

from __future__ import annotations

from torch import Tensor, nn

from resight.models.heads.necks import Neck


class EmbeddingNeck(Neck):
    """Reduces the pooled vector of a map to a short one: a linear map and a batch norm, both with a bias that learns.

    Args:
        channels: Length of the pooled vector.
        width: Length of the vector that is compared; 512 in the thesis.
        batchnorm: Whether batch norm follows.
    """

    def __init__(self, channels: int, *, width: int, batchnorm: bool = True) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, width)
        self.norm = nn.BatchNorm1d(width) if batchnorm else nn.Identity()
        nn.init.kaiming_normal_(self.linear.weight, mode="fan_in")
        nn.init.zeros_(self.linear.bias)

    def forward(self, pooled: Tensor) -> Tensor:
        """Turn ``(B, C)`` pooled features into ``(B, width)`` float32."""
        features: Tensor = self.norm(self.linear(pooled).float())
        return features

    def norm_inputs(self, pooled: Tensor) -> list[tuple[nn.BatchNorm1d, Tensor]]:
        """Return the batch norm, if there is one, with the reduced features."""
        return [(self.norm, self.linear(pooled).float())] if isinstance(self.norm, nn.BatchNorm1d) else []
