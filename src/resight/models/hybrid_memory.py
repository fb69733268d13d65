"""The hybrid memory of SpCL: people of a source, clusters, and images in no cluster as classes of one kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from resight.numerics.reliability import separate
from resight.records import Floats, Ints


class HybridMemory:
    """A unit vector for each entry, and the class of each entry.

    The first ``S`` entries are the people of a source, a class each. The other ``N`` are images; those of a cluster
    share a class, and an image in no cluster has one of its own. Nothing is ``N x N``.

    Args:
        people: S, 0 without a source.
        images: N.
        device: Where the memory lies.

    Attributes:
        vectors: ``(S + N, D)``, w and v; none until the memory is filled.
        classes: ``(S + N,)`` the class of each entry, ``0..C-1``.
    """

    def __init__(self, people: int, images: int, *, device: torch.device) -> None:
        self.people, self.images, self.device = people, images, device
        self.vectors = torch.empty(0, 0, device=device)
        self.classes = torch.empty(0, dtype=torch.int64, device=device)
        self._sizes = torch.empty(0, device=device)  # (C,)

    @property
    def filled(self) -> bool:
        """Whether the memory has vectors."""
        return len(self.vectors) > 0

    @property
    def person_vectors(self) -> Tensor:
        """The ``(S, D)`` vectors of the source's people."""
        return self.vectors[: self.people]

    @property
    def image_vectors(self) -> Tensor:
        """The ``(N, D)`` vectors of the images."""
        return self.vectors[self.people :]

    def fill(self, person_vectors: Tensor, image_vectors: Floats) -> None:
        """Replace all vectors by ``(S, D)`` and ``(N, D)`` unit vectors."""
        images = torch.from_numpy(np.array(image_vectors)).to(self.device)
        self.vectors = torch.cat([person_vectors.to(images).reshape(self.people, images.shape[1]), images])

    def assign(self, labels: Ints) -> None:
        """Set the classes of the images by ``(N,)`` clusters ``0..C-1``, -1 for an image in none."""
        classes = np.concatenate([np.arange(self.people), self.people + separate(labels)])
        self.classes = torch.from_numpy(classes).to(self.device)
        self._sizes = torch.bincount(self.classes).to(torch.float32)

    def logits(self, features: Tensor, *, temperature: float) -> Tensor:
        """Compute the similarity of features to each class: the mean of the products with its entries, divided by τ.

        That is the product with the mean of the entries, eq. 2.

        Args:
            features: ``(B, D)`` unit vectors.
            temperature: τ.

        Returns:
            ``(B, C)``.

        References:
            Ge et al., Self-paced contrastive learning with hybrid memory for domain adaptive object re-ID, 2020, eq. 1.
        """
        similarities = features @ self.vectors.T
        sums = similarities.new_zeros(len(features), len(self._sizes))
        sums = sums.scatter_add(1, self.classes.expand(len(features), -1), similarities)
        return sums / self._sizes / temperature

    @torch.no_grad()
    def update(self, features: Tensor, entries: Tensor, *, momentum: float) -> None:
        """Move entries towards the images of a batch: ``v ← normalize(m v + (1 - m) f)``.

        An entry that several images of the batch show moves towards their mean.

        Args:
            features: ``(B, D)``, normalized here.
            entries: ``(B,)`` their entries.
            momentum: m, the share of itself that an entry keeps, 0..1.

        References:
            Eq. 3 and 4.
        """
        shared = (entries[:, None] == entries).to(features)
        means = shared @ F.normalize(features) / shared.sum(1, keepdim=True)
        self.vectors[entries] = F.normalize(momentum * self.vectors[entries] + (1 - momentum) * means)

    def state_dict(self) -> dict[str, Any]:
        """Return the vectors; classes follow from clusters, which are new in each epoch."""
        return {"vectors": self.vectors}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the vectors.

        Raises:
            ValueError: They are not those of as many people and images.
        """
        vectors = state["vectors"]
        if vectors.ndim != 2 or len(vectors) != self.people + self.images:
            raise ValueError(f"a memory of {self.people} + {self.images} entries, found {tuple(vectors.shape)}")
        self.vectors = vectors.to(self.device)
