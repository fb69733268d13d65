"""The memory bank of GCL, JVTC and MMCL: a feature of each image, which follows its newest one (thesis §5.3.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resight.records import Floats


class InstanceMemory(nn.Module):
    """A feature of each image; 0 until it is filled.

    Args:
        size: N, images.
        dim: D, numbers of a feature.
        normalize: Whether features stay of unit length; eq. 5.5 does not say so, the authors' code does it.

    Attributes:
        features: ``(N, D)`` float32; a checkpoint holds them.
    """

    features: Tensor

    def __init__(self, size: int, dim: int, *, normalize: bool = True) -> None:
        super().__init__()
        self.normalize = normalize
        self.register_buffer("features", torch.zeros(size, dim))

    @property
    def is_empty(self) -> bool:
        """Whether nothing has filled it yet."""
        return not self.features.any()

    def fill(self, embeddings: Floats) -> None:
        """Replace all features by ``(N, D)`` unit vectors."""
        self.features.copy_(torch.from_numpy(embeddings))

    @torch.no_grad()
    def update(self, rows: Tensor, features: Tensor, *, momentum: float) -> None:
        """Move the features of some images: M[i] ← α M[i] + (1 - α) f, eq. 5.5.

        Args:
            rows: ``(B,)`` images, none of them twice.
            features: ``(B, D)``, normalized here.
            momentum: α, the share of itself that a feature keeps, 0..1.
        """
        moved = momentum * self.features[rows] + (1 - momentum) * F.normalize(features)
        self.features[rows] = F.normalize(moved) if self.normalize else moved
