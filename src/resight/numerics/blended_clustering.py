"""Clusters of the Jaccard distance blended with the distance that its neighbors were searched by, as in JVTC."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from resight.errors import ConfigError
from resight.numerics import gpu
from resight.numerics.clustering import ClusterSettings, dbscan
from resight.numerics.distances import as_vectors, normalize
from resight.numerics.eps import rho_eps, stable_eps
from resight.numerics.jaccard import Base, blend, entries, jaccard_graph, list_length
from resight.numerics.neighbors import k_nearest_and_farthest
from resight.records import Doubles, Floats, Ints

PAIRS = 2**20
"""Pairs whose distances are computed at once."""


def visual_base(vectors: Floats, k: int, *, device: torch.device | str = "cpu") -> Base:
    """Build the squared Euclidean distance of unit vectors, divided by the largest one of all.

    Args:
        vectors: ``(N, D)``; only their directions matter.
        k: Length of the neighbor lists, ``1..N``.
        device: Where to search.
    """
    rows = as_vectors(normalize(vectors))
    _, ids, farthest = k_nearest_and_farthest(rows, k, device=device)
    largest = max(float(farthest.max()), 1e-12)
    directions = gpu.on_device(rows, device)

    def of_pairs(first: Tensor, second: Tensor) -> Tensor:
        differences = directions[first].double() - directions[second].double()
        return differences.square().sum(1) / largest

    return Base(ids, (farthest / largest).astype(np.float32), of_pairs)


def blended_labels(
    vectors: Floats,
    base: Base,
    settings: ClusterSettings,
    *,
    weight: float,
    eps_scale: float = 1.0,
    device: torch.device | str = "cpu",
) -> tuple[Ints, float]:
    """Cluster images by ``(1 - weight) * Jaccard + weight * base``, with DBSCAN.

    Args:
        vectors: ``(N, D)`` unit vectors.
        base: The distance in which neighbors are searched, within 0..1.
        settings: k1, k2, variant, eps or rho, min_samples; the rest does not count.
        weight: λ, in [0, 1).
        eps_scale: What eps is multiplied by if ``rho`` (or ``pairs_per_image``) measures it.
        device: Where to compare neighbors.

    Returns:
        The ``(N,)`` labels, -1 for images in no cluster, and the eps.

    Raises:
        ConfigError: A setting is out of range, or eps would join images without a common neighbor.
    """
    graph = jaccard_graph(vectors, k1=settings.k1, k2=settings.k2, variant=settings.variant, base=base, device=device)
    first, second = entries(graph)
    terms = np.empty(len(first))
    for start in range(0, len(first), PAIRS):
        part = slice(start, start + PAIRS)
        pairs = (gpu.on_device(ids[part], device) for ids in (first, second))
        terms[part] = base.of_pairs(*pairs).cpu().numpy()
    blended = blend(graph, terms, weight)
    rho = settings.share(len(vectors))

    def unstored(part: slice) -> Doubles:
        others = torch.arange(len(vectors), device=device)
        rows = [base.of_pairs(torch.full_like(others, row), others) for row in range(part.start, part.stop)]
        distances: Doubles = 1 - weight + weight * torch.stack(rows).cpu().numpy()
        return distances

    beyond = (1 - weight + weight * base.least) * (1 - 1e-6)  # of images without a common neighbor; float32 rounds
    if rho is not None:
        eps = eps_scale * rho_eps(blended, rho, beyond=beyond, unstored=unstored)
    else:
        eps = stable_eps(blended, settings.min_samples) if isinstance(settings.eps, str) else settings.eps
    if eps >= beyond:
        raise ConfigError(
            f"an eps of {eps:.3f} would join images without a common neighbor, {beyond:.3f} or more apart: lower eps "
            "(rho, pairs_per_image) or eps_scale, or raise k1"
        )
    return dbscan(blended, eps, settings.min_samples), eps


def base_length(settings: ClusterSettings) -> int:
    """Return the length of the neighbor lists that `blended_labels` needs."""
    return list_length(settings.k1, settings.variant)
