"""Necks: what turns pooled features into the features that are compared."""

from __future__ import annotations

from torch import Tensor, nn


class Neck(nn.Module):
    """A neck; it says which batch norms it has, so that their statistics can be set."""

    def norm_inputs(self, pooled: Tensor) -> list[tuple[nn.BatchNorm1d, Tensor]]:
        """Return each batch norm of the neck with what it normalizes of ``(N, P)`` pooled features."""
        return []


class BatchNormNeck(nn.BatchNorm1d, Neck):
    """Batch norm with its bias frozen at 0.

    References:
        Luo et al., Bag of tricks and a strong baseline for deep person re-identification, 2019.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.bias.requires_grad_(False)

    def norm_inputs(self, pooled: Tensor) -> list[tuple[nn.BatchNorm1d, Tensor]]:
        """Return the neck itself with all pooled features."""
        return [(self, pooled)]


class NoNeck(nn.Identity, Neck):
    """Pooled features as they are."""
