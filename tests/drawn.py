"""Inputs of the numerics that are drawn anew from a seed, and ways to look at what comes out."""

import numpy as np

from resight.numerics.distances import normalize


def people(seed, size=140, spread=0.35, width=16):
    """Unit vectors in clusters of uneven size, with strays and a few duplicates."""
    rng = np.random.default_rng(seed)
    owners = np.minimum(rng.geometric(0.12, size) - 1, 11)
    vectors = rng.normal(size=(12, width))[owners] + spread * rng.normal(size=(size, width)) * width**0.5 / 2
    vectors[:: size // 6] = rng.normal(size=vectors[:: size // 6].shape)
    vectors[5] = vectors[6] = vectors[9]
    return normalize(vectors)


def dense(graph):
    """The distances with 1 for what is not stored."""
    full = np.ones(graph.shape, np.float32)
    rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    full[rows, graph.indices] = graph.data
    return full


def scene(seed, queries=25, gallery=120, tied=False):
    """Random distances and columns with junk, distractors and unknown cameras among them."""
    rng = np.random.default_rng(seed)
    distances = rng.random((queries, gallery), np.float32)
    if tied:
        distances = np.round(distances * 4) / 4
    columns = []
    for size in (queries, gallery):
        columns += [rng.integers(-1, 7, size), rng.integers(-1, 4, size)]
    return distances, *columns


def pairs(people, cameras):
    return list(zip(people.tolist(), cameras.tolist(), strict=True))
