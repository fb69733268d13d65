"""Distances between vectors, and their normalization."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from resight.arrays import real_numbers
from resight.errors import DataError
from resight.records import Floats


def as_vectors(values: npt.ArrayLike, name: str = "vectors") -> Floats:
    """Check vectors and give them as a contiguous float32 array.

    Args:
        values: ``(N, D)`` finite numbers.
        name: What the error message calls them.

    Returns:
        ``(N, D)`` float32, C-contiguous, read-only; the same memory where it is so already.

    Raises:
        DataError: The shape is not ``(N, D)``, or a value (or a squared length) is not finite in float32.
    """
    vectors = np.ascontiguousarray(real_numbers(values, name))
    if vectors.ndim != 2:
        raise DataError(f"{name} must have shape (N, D), found {np.shape(values)}")
    if not np.isfinite(squared_lengths(vectors)).all():
        raise DataError(f"{name} hold nan, inf or lengths beyond float32: check what made them, or normalize them")
    return read_only(vectors)


def read_only(array: Floats) -> Floats:
    """Give a read-only view of an array.

    Kernels are compiled once for arrays that may be written and once for those that may not, as the columns of
    records; what only reads large arrays takes them as read-only, always, and is compiled once.
    """
    view = array.view()
    view.setflags(write=False)
    return view


def squared_lengths(vectors: Floats) -> Floats:
    """Give the squared Euclidean length of each row, ``(N, D)`` float32 to ``(N,)`` float32."""
    lengths: Floats = np.einsum("nd,nd->n", vectors, vectors)
    return lengths


def normalize(vectors: npt.ArrayLike) -> Floats:
    """Scale each row to Euclidean length 1.

    Args:
        vectors: ``(N, D)`` finite numbers.

    Returns:
        ``(N, D)`` float32; a zero row stays zero.

    Raises:
        DataError: The shape is not ``(N, D)`` or a value is not finite.
    """
    rows = as_vectors(vectors)
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    scaled: Floats = (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return scaled


def whiten(vectors: npt.ArrayLike, power: float) -> Floats:
    """Flatten the spectrum of vectors: divide each principal direction by its standard deviation to a power.

    Args:
        vectors: ``(N, D)`` finite numbers.
        power: 0 only turns the vectors about their mean, 1 makes all directions vary alike.

    Returns:
        ``(N, K)`` float32 about the mean, K the directions in which the vectors vary.

    Raises:
        DataError: The shape is not ``(N, D)`` or a value is not finite.

    References:
        Jégou and Chum, "Negative evidences and co-occurrences in image retrieval: the benefit of PCA and whitening",
            ECCV 2012 (power 1).
    """
    rows = as_vectors(vectors)
    about = rows - rows.mean(0, dtype=np.float64).astype(np.float32)
    if len(rows) < rows.shape[1]:  # the smaller product has the same spectrum, and gives the turned vectors at once
        variances, sides = np.linalg.eigh((about @ about.T).astype(np.float64) / max(1, len(rows)))
        kept = variances > variances[-1] * 1e-6
        found: Floats = (sides[:, kept] * variances[kept] ** ((1 - power) / 2) * np.sqrt(len(rows))).astype(np.float32)
        return found
    variances, directions = np.linalg.eigh((about.T @ about).astype(np.float64) / max(1, len(rows)))
    kept = variances > variances[-1] * 1e-6  # what is left is rounding
    scaled = directions[:, kept] / variances[kept] ** (power / 2)
    turned: Floats = about @ scaled.astype(np.float32)
    return turned


def squared_distances(a: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    """Give the squared Euclidean distance between every row of one set and every row of another.

    For L2-normalized rows this is ``2 - 2 cos``. It is one matrix product, so a value is off by a few float32
    roundings of the squared lengths, and equal rows may be that far from 0; `neighbors.k_nearest` measures
    again what it returns. Call it on blocks of rows where ``A x B`` numbers do not fit the memory.

    Args:
        a: ``(A, D)`` finite numbers.
        b: ``(B, D)`` finite numbers.

    Returns:
        ``(A, B)`` float32, never negative.

    Raises:
        DataError: A shape is wrong, the dimensions differ or a value is not finite.
    """
    left, right = as_vectors(a, "a"), as_vectors(b, "b")
    if left.shape[1] != right.shape[1]:
        raise DataError(f"a and b must have the same dimension, found {left.shape[1]} and {right.shape[1]}")
    distances = block_distances(left, right, squared_lengths(right))
    return np.maximum(distances, 0, out=distances)


def measured(distance: Callable[[Floats, Floats], Floats], a: Floats, b: Floats) -> Floats:
    """Give the distances that a user's function measures, whatever type it gives them in.

    Args:
        distance: Gives ``(A, B)`` distances between rows ``(A, D)`` and ``(B, D)``.
        a: ``(A, D)``.
        b: ``(B, D)``.

    Returns:
        ``(A, B)`` float32.

    Raises:
        DataError: It gives something else, or nan.
    """
    found = real_numbers(distance(a, b), "the distances")
    if found.shape != (len(a), len(b)):
        raise DataError(f"distance_fn must give the distances ({len(a)}, {len(b)}) of its arrays, found {found.shape}")
    if np.isnan(found).any():
        raise DataError("the distances hold nan: check what distance_fn gives")
    return found


def block_distances(rows: Floats, vectors: Floats, lengths: Floats) -> Floats:
    """Give `squared_distances` of checked arrays, not clipped, from the squared lengths of ``vectors``."""
    distances: Floats = rows @ vectors.T
    distances *= -2
    distances += squared_lengths(rows)[:, None]
    distances += lengths
    return distances


def sum_of_part_distances(a: npt.ArrayLike, b: npt.ArrayLike, *, parts: int = 3) -> Floats:
    """Add up the Euclidean distances of every part of one row to every part of another.

    Each row is ``parts`` vectors one after the other, as temporal partition pooling gives them. Every part of one
    is compared with every part of the other, also with those of another time: a walk seen from its middle is not
    farther away than one seen from its beginning. A row is not at distance 0 from itself, unless its parts are equal.
    Each distance is the root of one of `squared_distances`, whose rounding weighs more near 0.

    Args:
        a: ``(A, parts * D)`` finite numbers.
        b: ``(B, parts * D)`` finite numbers.
        parts: The vectors in a row.

    Returns:
        ``(A, B)`` float32, never negative: a sum of ``parts ** 2`` distances.

    Raises:
        DataError: As `squared_distances`, or the rows cannot be cut into so many parts.

    References:
        The released code of the thesis' section 3.4.3, which reads there as a concatenation.
    """
    left, right = as_vectors(a, "a"), as_vectors(b, "b")
    if parts < 1 or left.shape[1] % parts or right.shape[1] % parts:
        raise DataError(f"rows of {left.shape[1]} and {right.shape[1]} numbers cannot be cut into {parts} equal parts")
    total = np.zeros((len(left), len(right)), np.float32)
    for one in np.split(left, parts, axis=1):
        for other in np.split(right, parts, axis=1):
            total += np.sqrt(squared_distances(one, other))
    return total
