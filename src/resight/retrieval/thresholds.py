"""From embeddings to the scores of one threshold."""

from __future__ import annotations

import numpy as np

from resight.numerics.distances import normalize
from resight.numerics.verification import (
    OpenSet,
    Sides,
    best_matches,
    count_pairs,
    draw_known,
    equal_error_rate,
    identification_rate,
    join_pairs,
    true_accept_rate,
)
from resight.progress import progress
from resight.records import UNKNOWN, Exclude, Features, check_features

BLOCK = 512
"""Queries whose similarities are in memory at once."""

FALSE_ACCEPT_RATES = {"0.1%": 0.001, "1%": 0.01}
"""Shares of pairs of two people that a threshold of verification may accept."""

FALSE_ALARM_RATES = {"1%": 0.01, "10%": 0.1}
"""Shares of unknown queries that a threshold of an open-set search may pass."""


def score_thresholds(
    queries: Features,
    gallery: Features,
    *,
    exclude: Exclude = "same-camera",
    distractor_id: int | None = None,
    trials: int = 10,
    seed: int = 1,
) -> dict[str, float]:
    """Score how well one threshold on the cosine similarity tells people apart.

    Args:
        queries: ``Q`` embeddings with known people.
        gallery: ``G`` embeddings; person -1 is junk and does not count.
        exclude: As in `resight.retrieval.evaluation.evaluate`.
        distractor_id: Likewise. An open-set search leaves distractors out of the gallery.
        trials: How many times half of the gallery's people are drawn as the known ones of an open-set search.
        seed: The seed of these draws.

    Returns:
        Shares in 0..1: ``TAR@0.1%`` and ``TAR@1%``, the pairs of one person that a threshold accepts which accepts that
        share of pairs of two people; ``EER``, where both errors are equal; ``DIR@1%`` and ``DIR@10%``, the mean over
        trials of the known queries whose first result is right and above the threshold that this share of the unknown
        queries passes. nan for a search without known or unknown queries.

    Raises:
        DataError: The two come from different encoders, or there is no pair of one person or of two.
        ConfigError: ``exclude`` is unknown.
    """
    check_features(queries=queries, gallery=gallery)
    query_vectors, gallery_vectors = (normalize(side.embeddings) for side in (queries, gallery))
    people = np.setdiff1d(gallery.table.person_ids, [UNKNOWN] if distractor_id is None else [UNKNOWN, distractor_id])
    known = draw_known(people, trials=trials, seed=seed)
    pairs, matches = [], []
    for start in progress(range(0, len(queries), BLOCK), "scoring thresholds"):
        rows = slice(start, start + BLOCK)
        table = queries.table[rows]
        sides = Sides(table.person_ids, table.camera_ids, gallery.table.person_ids, gallery.table.camera_ids)
        similarities = query_vectors[rows] @ gallery_vectors.T
        pairs.append(count_pairs(similarities, sides, exclude=exclude, distractor_id=distractor_id))
        if len(people) > 1:
            matches.append(best_matches(similarities, sides, people, known, exclude=exclude))
    counts = join_pairs(pairs)
    scores = {f"TAR@{name}": true_accept_rate(counts, rate) for name, rate in FALSE_ACCEPT_RATES.items()}
    scores["EER"] = equal_error_rate(counts)
    for name, rate in FALSE_ALARM_RATES.items():
        scores[f"DIR@{name}"] = _mean(identification_rate(_join(matches), rate)) if matches else float("nan")
    return scores


def _join(parts: list[OpenSet]) -> OpenSet:
    known, right, similarity = (np.concatenate(columns, axis=1) for columns in zip(*parts, strict=True))
    return OpenSet(known, right, similarity)


def _mean(rates: np.ndarray) -> float:
    return float(np.nanmean(rates)) if np.isfinite(rates).any() else float("nan")
