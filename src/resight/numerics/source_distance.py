"""The source term of unsupervised domain adaptation: the distance of images to a labeled set.

With ``s_i = min over the source of (1 - exp(-|t_i - s|²))``, divided by the largest of them, the distance of two
images becomes ``(1 - w) * Jaccard + w * (s_i + s_j)``. Images unlike anything in the source join clusters later.

References:
    Song et al., "Unsupervised domain adaptive re-identification: theory and practice", Pattern Recognition 2020;
    thesis, section 4.3 (its clustering follows that paper, w = 0.1).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from resight.errors import DataError
from resight.numerics.jaccard import blend, entries
from resight.numerics.neighbors import k_nearest
from resight.records import Doubles


def source_terms(vectors: npt.ArrayLike, source: npt.ArrayLike, *, device: torch.device | str = "cpu") -> Doubles:
    """Compute the distance of each image to its nearest image of the source.

    Args:
        vectors: ``(N, D)``, meant to be L2-normalized.
        source: ``(S, D)`` vectors of the source, by the same encoder.
        device: Where to search.

    Returns:
        ``(N,)`` float64 in [0, 1], the largest of them 1; all 0 if every image equals an image of the source.

    Raises:
        DataError: A shape is wrong, the dimensions differ, the source is empty or a value is not finite.
    """
    if np.ndim(source) == 2 and not len(np.asarray(source)):
        raise DataError("the source has no vectors: give the labeled images, or leave out the source term")
    squared, _ = k_nearest(source, 1, queries=vectors, device=device)
    terms: Doubles = -np.expm1(-squared[:, 0].astype(np.float64))
    return terms / (terms.max() or 1)


def add_source_term(graph: sparse.csr_array, terms: Doubles, weight: float) -> sparse.csr_array:
    """Return the graph of ``(1 - weight) * distance + weight * (s_i + s_j)``, symmetric to the last bit.

    Args:
        graph: ``(N, N)``, as `jaccard_graph` returns it.
        terms: ``(N,)`` s, as `source_terms` returns them.
        weight: w, in [0, 1); see `resight.numerics.jaccard.blend` about pairs that are not stored.

    Raises:
        ConfigError: The weight is out of range.
        DataError: The terms do not fit the graph.
    """
    if terms.shape != (graph.shape[0],):
        raise DataError(f"source terms must have shape ({graph.shape[0]},), found {terms.shape}")
    rows, columns = entries(graph)
    return blend(graph, terms[rows] + terms[columns], weight)
