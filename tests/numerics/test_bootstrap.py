"""The bootstrap over people beside scipy's, and where it must not depend on anything else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from messages import one_line
from resight.errors import ConfigError, DataError
from resight.numerics import bootstrap
from resight.numerics.bootstrap import bootstrap_mean

RANDOM = np.random.default_rng(3)
VALUES = RANDOM.normal(0.1, 1.0, 60)


def test_with_a_query_a_person_it_is_the_usual_bootstrap() -> None:
    interval = bootstrap_mean(VALUES, np.arange(60))
    expected = stats.bootstrap(
        (VALUES,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(0)
    )
    assert interval.mean == pytest.approx(VALUES.mean())
    assert [interval.low, interval.high] == pytest.approx(list(expected.confidence_interval), abs=0.02)


def test_queries_of_one_person_stay_together() -> None:
    people = np.repeat(np.arange(20), 3)
    repeated = np.repeat(VALUES[:20], 3)
    interval, alone = bootstrap_mean(repeated, people), bootstrap_mean(VALUES[:20], np.arange(20))
    assert interval == pytest.approx(alone), "three equal queries of a person say no more than one"
    naive = [repeated[np.isin(people, [p])].mean() for p in range(20)]
    assert interval.mean == pytest.approx(np.mean(naive))


def test_a_naive_loop_draws_the_same_means() -> None:
    people, values = np.array([4, 4, 9, 9, 9, 2]), VALUES[:6]
    drawn = np.random.default_rng(5).multinomial(3, np.full(3, 1 / 3), 200)
    means = []
    for weights in drawn:
        chosen = [value for person, times in zip([2, 4, 9], weights, strict=True) for _ in range(times)
                  for value in values[people == person]]  # fmt: skip
        means.append(np.mean(chosen))
    interval = bootstrap_mean(values, people, samples=200, seed=5)
    assert [interval.low, interval.high] == pytest.approx(np.quantile(means, [0.025, 0.975]))


def test_blocks_and_unknown_values_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bootstrap_mean(VALUES, np.arange(60), samples=500)
    monkeypatch.setattr(bootstrap, "_BLOCK", 60 * 7)
    assert bootstrap_mean(VALUES, np.arange(60), samples=500) == pytest.approx(whole)
    with_unknown = bootstrap_mean(np.append(VALUES, np.nan), np.arange(61), samples=500)
    assert with_unknown == pytest.approx(whole)
    assert bootstrap_mean(np.zeros(3), [1, 2, 3]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("values", "people", "settings", "error", "words"),
    [
        ([1.0, 2.0], [1], {}, DataError, "needs a person"),
        ([np.nan], [1], {}, DataError, "no number"),
        ([1.0], [1], {"samples": 0}, ConfigError, "samples"),
        ([1.0], [1], {"level": 1.0}, ConfigError, "level"),
    ],
)
def test_what_cannot_be_drawn_is_said(values, people, settings, error, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=words) as raised:
        bootstrap_mean(values, people, **settings)
    assert one_line(raised)
