"""Distances between vectors, and their normalization."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from resight.arrays import real_numbers
from resight.errors import DataError
from resight.records import Floats


def as_vectors(values: npt.ArrayLike, name: str = "vectors") -> Floats:
    """Check vectors and return them as a contiguous float32 array.

    Args:
        values: ``(N, D)`` finite numbers.
        name: Their name in error messages.

    Returns:
        ``(N, D)`` float32, C-contiguous, read-only; without a copy if the values already are such an array.

    Raises:
        DataError: The shape is not ``(N, D)``, or a value (or a squared length) is not finite in float32.
    """
    vectors = np.ascontiguousarray(real_numbers(values, name))
    if vectors.ndim != 2:
        raise DataError(f"{name} must have shape (N, D), found {np.shape(values)}")
    if not np.isfinite(squared_lengths(vectors)).all():
        raise DataError(f"{name} hold nan, inf or lengths beyond float32: check their source, or normalize them")
    return read_only(vectors)


def read_only(array: Floats) -> Floats:
    """Return a read-only view of an array.

    Numba compiles a kernel again for read-only arrays, such as the columns of records. Kernels that only read large
    arrays always get read-only views, so they compile once.
    """
    view = array.view()
    view.setflags(write=False)
    return view


def squared_lengths(vectors: Floats) -> Floats:
    """Compute the squared Euclidean length of each row, ``(N, D)`` float32 to ``(N,)`` float32."""
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
        power: 0 only centers and rotates the vectors, 1 gives all directions the same variance.

    Returns:
        ``(N, K)`` float32, centered; K is the number of directions in which the vectors vary.

    Raises:
        DataError: The shape is not ``(N, D)`` or a value is not finite.

    References:
        Jégou and Chum, "Negative evidences and co-occurrences in image retrieval: the benefit of PCA and whitening",
            ECCV 2012 (power 1).
    """
    rows = as_vectors(vectors)
    centered = rows - rows.mean(0, dtype=np.float64).astype(np.float32)
    if len(rows) < rows.shape[1]:  # the smaller product has the same spectrum, and its eigenvectors are the result
        variances, coordinates = np.linalg.eigh((centered @ centered.T).astype(np.float64) / max(1, len(rows)))
        varies = variances > variances[-1] * 1e-6
        scales = variances[varies] ** ((1 - power) / 2)
        whitened: Floats = (coordinates[:, varies] * scales * np.sqrt(len(rows))).astype(np.float32)
        return whitened
    variances, directions = np.linalg.eigh((centered.T @ centered).astype(np.float64) / max(1, len(rows)))
    varies = variances > variances[-1] * 1e-6  # smaller variances are rounding errors
    scaled_directions = directions[:, varies] / variances[varies] ** (power / 2)
    rotated: Floats = centered @ scaled_directions.astype(np.float32)
    return rotated


def squared_distances(a: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    """Compute the squared Euclidean distance between every row of one set and every row of another.

    For L2-normalized rows this is ``2 - 2 cos``. It comes from one matrix product, so its error is a few float32
    roundings of the squared lengths, and equal rows may be that far from 0. (`neighbors.k_nearest` measures its results
    again.) If ``A x B`` numbers do not fit into memory, call it on blocks of rows.

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


def measure_distances(distance_fn: Callable[[Floats, Floats], Floats], a: Floats, b: Floats) -> Floats:
    """Call a user's distance function and check its result, whatever its type.

    Args:
        distance_fn: Returns ``(A, B)`` distances between rows ``(A, D)`` and ``(B, D)``.
        a: ``(A, D)``.
        b: ``(B, D)``.

    Returns:
        ``(A, B)`` float32.

    Raises:
        DataError: It returns something else, or nan.
    """
    distances = real_numbers(distance_fn(a, b), "the distances")
    if distances.shape != (len(a), len(b)):
        raise DataError(
            f"distance_fn must return the distances ({len(a)}, {len(b)}) of its arrays, found {distances.shape}"
        )
    if np.isnan(distances).any():
        raise DataError("the distances hold nan: check the result of distance_fn")
    return distances


def block_distances(rows: Floats, vectors: Floats, lengths: Floats) -> Floats:
    """Compute `squared_distances` of checked arrays, not clipped, from the squared lengths of ``vectors``."""
    distances: Floats = rows @ vectors.T
    distances *= -2
    distances += squared_lengths(rows)[:, None]
    distances += lengths
    return distances


def sum_of_part_distances(a: npt.ArrayLike, b: npt.ArrayLike, *, parts: int = 3) -> Floats:
    """Add up the Euclidean distances of every part of one row to every part of another.

    Each row is ``parts`` concatenated vectors, as temporal partition pooling returns them. Every part of one row is
    compared with every part of the other, also across times: a walk that starts in its middle is no farther away than
    one that starts at its beginning. A row is not at distance 0 from itself, unless its parts are equal. Each distance
    is the square root of one from `squared_distances`, whose rounding errors weigh more near 0.

    Args:
        a: ``(A, parts * D)`` finite numbers.
        b: ``(B, parts * D)`` finite numbers.
        parts: Number of vectors in a row.

    Returns:
        ``(A, B)`` float32, never negative: a sum of ``parts ** 2`` distances.

    Raises:
        DataError: As in `squared_distances`, or the rows cannot be cut into ``parts`` equal parts.

    References:
        The released code of the thesis' section 3.4.3; the text itself describes a concatenation.
    """
    left, right = as_vectors(a, "a"), as_vectors(b, "b")
    if parts < 1 or left.shape[1] % parts or right.shape[1] % parts:
        raise DataError(f"rows of {left.shape[1]} and {right.shape[1]} numbers cannot be cut into {parts} equal parts")
    total = np.zeros((len(left), len(right)), np.float32)
    for left_part in np.split(left, parts, axis=1):
        for right_part in np.split(right, parts, axis=1):
            total += np.sqrt(squared_distances(left_part, right_part))
    return total
