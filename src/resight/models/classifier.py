"""Encoders with identity classifiers on each of their vectors."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resight.errors import ConfigError
from resight.models.encoder import Encoder

Classified = Literal["reduced", "pooled"]


class PartClassifier(nn.Module):
    """One fully connected classifier for each vector of an encoder; they share no weights.

    Args:
        encoder: Computes the vectors.
        people: Number of classes.
        classified: Input of the classifiers of global features: the ``"reduced"`` vectors like those of parts (thesis
            §3.3.1), or the ``"pooled"`` features before the reduction (MGN).
    """

    def __init__(self, encoder: Encoder, people: int, *, classified: Classified = "reduced") -> None:
        super().__init__()
        self.encoder = encoder
        columns = tuple(part.columns for part in encoder.parts)
        self._pooled = columns[: encoder.num_global] if classified == "pooled" else ()
        widths = [c.stop - c.start for c in self._pooled]
        widths += [encoder.width] * (len(columns) - len(widths))
        self.classifiers = nn.ModuleList(nn.Linear(width, people) for width in widths)
        for classifier in self.classifiers:
            nn.init.kaiming_normal_(classifier.weight, mode="fan_out")  # type: ignore[arg-type]
            nn.init.zeros_(classifier.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ``(B, D)`` features and the ``(heads, B, people)`` logits of ``(B, 3, H, W)`` images in 0..1."""
        pooled, features = self.encoder.forward_with_pooled(images)
        vectors = self.encoder.split(features)
        inputs = [pooled[:, columns] for columns in self._pooled] + list(vectors[len(self._pooled) :])
        logits = [classifier(x) for classifier, x in zip(self.classifiers, inputs, strict=True)]
        return features, torch.stack(logits)


class BranchClassifier(nn.Module):
    """An encoder and, once they are set, a classifier without bias on each branch's features after the neck.

    Args:
        encoder: It has global features only, not reduced: one, or one of each branch.
        dropout: Probability that a feature is zeroed before the classifiers while training, 0 or more, below 1.

    Raises:
        ConfigError: The encoder reduces its vectors, as partitions do.
    """

    def __init__(self, encoder: Encoder, *, dropout: float = 0.0) -> None:
        super().__init__()
        if encoder.head.reduces:
            raise ConfigError(
                f"a classifier of branches needs head global, or asymmetric branches such as a+m1; found "
                f"'{encoder.settings.head}'"
            )
        self.encoder = encoder
        self.dropout = dropout
        self.classifiers = nn.ModuleList()

    def draw_classifiers(self, people: int) -> None:
        """Set classifiers of ``people`` classes with small random weights."""
        self._make([torch.randn(people, self.encoder.width) * 1e-3 for _ in range(self.encoder.num_global)])

    def set_classifiers(self, centers: Tensor) -> None:
        """Set classifiers whose weights are the centers of classes.

        Args:
            centers: ``(C, D)`` means of the classes' unit vectors; each branch's part of them is normalized again.

        References:
            Thesis §4.3.3, dynamic classifiers.
        """
        self._make([F.normalize(part) for part in self.encoder.split(centers)])

    def _make(self, weights: list[Tensor]) -> None:
        self.classifiers = nn.ModuleList()
        for weight in weights:
            # A linear map draws random weights when it is built; with one output, as few as possible. Drawing none
            # would change what dropout draws next, and so the numbers of recorded runs.
            classifier = nn.Linear(weight.shape[1], 1, bias=False)
            classifier.out_features = len(weight)
            classifier.weight = nn.Parameter(weight.to(self.encoder.mean.device).contiguous())
            self.classifiers.append(classifier)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(B, P)`` pooled features and ``(branches, B, C)`` logits of ``(B, 3, H, W)`` images in 0..1."""
        pooled, features = self.encoder.forward_with_pooled(images)
        if self.dropout:
            features = F.dropout(features, self.dropout, self.training)
        pairs = zip(self.classifiers, self.encoder.split(features), strict=True)
        return pooled, torch.stack([classifier(vectors) for classifier, vectors in pairs])
