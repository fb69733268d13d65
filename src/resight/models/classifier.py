"""An encoder with a classifier on each of its vectors: what trains when people are known by name."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from resight.models.encoder import Encoder
from resight.models.partitions import PartNeck

Classified = Literal["reduced", "pooled"]


class PartClassifier(nn.Module):
    """One fully connected classifier for each vector of an encoder; they share no weights.

    Args:
        encoder: What gives the vectors.
        people: How many there are to tell apart.
        whole: What the classifiers of whole maps see: the ``"reduced"`` vectors like those of parts (thesis §3.3.1), or
            the ``"pooled"`` features before the reduction (MGN).
    """

    def __init__(self, encoder: Encoder, people: int, *, whole: Classified = "reduced") -> None:
        super().__init__()
        self.encoder = encoder
        starts = range(0, encoder.dim, encoder.width)
        columns = tuple(slice(start, start + encoder.width) for start in starts)
        if isinstance(encoder.neck, PartNeck):
            columns = encoder.neck.columns
        self._pooled = columns[: encoder.whole] if whole == "pooled" else ()
        widths = [c.stop - c.start for c in self._pooled]
        widths += [encoder.width] * (len(columns) - len(widths))
        self.classifiers = nn.ModuleList(nn.Linear(width, people) for width in widths)
        for classifier in self.classifiers:
            nn.init.kaiming_normal_(classifier.weight, mode="fan_out")  # type: ignore[arg-type]
            nn.init.zeros_(classifier.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Give the ``(B, D)`` features and the ``(heads, B, people)`` logits of ``(B, 3, H, W)`` images in 0..1."""
        pooled, features = self.encoder.describe(images)
        vectors = self.encoder.split(features)
        inputs = [pooled[:, columns] for columns in self._pooled] + list(vectors[len(self._pooled) :])
        logits = [classifier(x) for classifier, x in zip(self.classifiers, inputs, strict=True)]
        return features, torch.stack(logits)
