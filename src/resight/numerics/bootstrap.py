"""How far a difference between two models could come from the choice of people."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from resight.arrays import id_column
from resight.errors import ConfigError, DataError, number_within, whole_number

_BLOCK = 2**22
"""Weights of people in memory at once (32 MiB)."""


class Interval(NamedTuple):
    """A mean and its interval.

    Attributes:
        mean: The mean over queries.
        low: The lower end.
        high: The upper end.
    """

    mean: float
    low: float
    high: float


def bootstrap_mean(
    values: npt.ArrayLike, people: npt.ArrayLike, *, samples: int = 10_000, level: float = 0.95, seed: int = 1
) -> Interval:
    """Return the mean over queries and its bootstrap interval over people.

    Queries of one person resemble each other, so people are drawn, not queries: as many as there are, with replacement,
    each with all of their queries. For a paired comparison, the values are the differences of two models.

    Args:
        values: ``(Q,)``, a number for each query; nan is left out.
        people: ``(Q,)`` person ids.
        samples: How many times people are drawn, at least 1.
        level: The share of the drawn means within the interval, in 0..1.
        seed: The seed of the draws.

    Raises:
        DataError: No value is a number, or the lengths differ.
        ConfigError: ``samples`` or ``level`` is out of range.

    References:
        Efron and Tibshirani, An introduction to the bootstrap, 1993 (percentile intervals).
    """
    samples, level = whole_number("samples", samples, least=1), number_within("level", level, 0, 1)
    if level in (0.0, 1.0):
        raise ConfigError(f"level must be between 0 and 1, found {level}")
    numbers = np.asarray(values, np.float64)
    owners = id_column(people, "people")
    if numbers.shape != owners.shape:
        raise DataError(f"each value needs a person: found {numbers.shape} values and {owners.shape} people")
    known = ~np.isnan(numbers)
    if not known.any():
        raise DataError("there is no number to take the mean of: no query has a possible match")
    _, groups = np.unique(owners[known], return_inverse=True)
    counts, sums = np.bincount(groups), np.bincount(groups, numbers[known])
    generator = np.random.default_rng(seed)
    means = []
    size = max(1, _BLOCK // len(counts))
    for start in range(0, samples, size):
        times_drawn = generator.multinomial(
            len(counts), np.full(len(counts), 1 / len(counts)), min(size, samples - start)
        )
        means.append((times_drawn @ sums) / (times_drawn @ counts))
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(sums.sum() / counts.sum()), float(low), float(high))
