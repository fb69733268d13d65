"""The centers of people's features, which follow the features while they move."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Centers(nn.Module):
    """The center of each person for each global feature of an encoder; centers start at 0, batch norm's mean.

    Args:
        shape: (vectors, people, width).

    Attributes:
        values: ``(vectors, people, width)`` float32; a checkpoint holds them.
    """

    values: Tensor

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.register_buffer("values", torch.zeros(shape))

    @torch.no_grad()
    def update(self, vectors: Sequence[Tensor], labels: Tensor, *, rate: float) -> None:
        """Move the center of each person in a batch towards the person's images; other centers stay.

        c_j ← c_j - α Σ_i (c_j - x_i) / (1 + n_j) over the n_j images of person j.

        Args:
            vectors: For each set of centers ``(B, width)`` features.
            labels: ``(B,)`` people, in ``0..people-1``.
            rate: α, 0..1.

        References:
            Wen et al., A discriminative feature learning approach for deep face recognition, 2016, eq. 3 and 4. A
            gradient step of the loss would be weighted like the loss; this rule does not depend on its weight.
        """
        membership = F.one_hot(labels, self.values.shape[1]).T.to(self.values.dtype)
        counts = membership.sum(1, keepdim=True)
        for centers, features in zip(self.values, vectors, strict=True):
            centers.sub_(rate * (counts * centers - membership @ features) / (1 + counts))
