"""From embeddings to scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from resight.errors import ConfigError, DataError, check_given, shown, whole_number, yes_or_no
from resight.numerics import gpu
from resight.numerics.distances import as_vectors, measure_distances, squared_distances
from resight.numerics.jaccard import rerank
from resight.numerics.metrics import METRICS, Metric, cumulative_matches, first_ranks, join_ranks, positive_ranks
from resight.numerics.spatiotemporal import TravelTimes
from resight.records import EXCLUSIONS, UNKNOWN, Doubles, Exclude, Features, Floats, Ints, Report, check_features
from resight.retrieval.joint import joint_rows

BLOCK = 512
"""Queries whose distances are in memory at once."""


def evaluate(
    queries: Features,
    gallery: Features,
    *,
    exclude: Exclude = "same-camera",
    distractor_id: int | None = None,
    rerank: bool | TravelTimes = False,
    distance_fn: Callable[[Floats, Floats], Floats] = squared_distances,
    device: torch.device | str = "cpu",
    provenance: dict[str, Any] | None = None,
) -> Report:
    """Score how well queries find their people in a gallery.

    Args:
        queries: ``Q`` embeddings with known people.
        gallery: ``G`` embeddings; person -1 is junk and does not count.
        exclude: ``"same-camera"`` leaves out the gallery images of the query's person by the query's camera. ``"none"``
            only leaves out junk, for example if cameras are unknown.
        distractor_id: The person id of distractors, which match no query (0 in Market-1501); None if every id is a
            person.
        rerank: Whether to re-rank k-reciprocally, which needs memory for ``Q x G`` distances; or travel times, to rank
            by the joint similarity of appearance and time (`resight.retrieval.joint.estimate_travel_times`).
        distance_fn: Returns the distances ``(Q, G)`` between rows ``(Q, D)`` and ``(G, D)``; not with re-ranking.
        device: Where to compute and rank squared distances, in float32, or to re-rank; other distances run on the CPU.
        provenance: Additional entries of the report's provenance.

    Returns:
        The scores of `resight.numerics.metrics.METRICS` (``mAP``, ``mINP``, ``rank-1``, ``rank-5``, ``rank-10``, in
        0..1) over the queries with a possible match. Also the number of queries without one, the curve up to rank 50,
        and the values of each query.

    Raises:
        DataError: No query has a possible match, the two come from different encoders, or ``distance_fn`` returns no
            distances; or a camera or a frame is unknown that the travel times need.
        ConfigError: `exclude` is unknown, or there are too few images to re-rank, or ``rerank`` comes with another
            distance.
    """
    times = rerank if isinstance(rerank, TravelTimes) else None
    reranks = times is not None or yes_or_no("rerank", rerank)
    if reranks and distance_fn is not squared_distances:
        raise ConfigError("re-ranking needs the squared Euclidean distance: leave out distance_fn or rerank")
    check_features(queries=queries, gallery=gallery)
    check_given("distance_fn", distance_fn, Callable, "a function of two arrays, (Q, D) and (G, D)")
    check_given("provenance", provenance, (Mapping, type(None)), "a dict")
    if exclude not in EXCLUSIONS:
        raise ConfigError(f"exclude must be one of {', '.join(EXCLUSIONS)}, found {shown(exclude)}")
    if distractor_id is not None:
        distractor_id = whole_number("distractor_id", distractor_id, least=UNKNOWN)
    if len(queries) == 0 or len(gallery) == 0:
        raise DataError(f"evaluation needs queries and a gallery, found {len(queries)} and {len(gallery)}")
    if times is not None:
        distances: Callable[[slice], Floats | Tensor] = joint_rows(queries, gallery, times, device)
    else:
        distances = _make_distances(queries, gallery, None if reranks else distance_fn, device)
    parts = []
    for start in range(0, len(queries), BLOCK):
        rows = slice(start, start + BLOCK)
        parts.append(
            positive_ranks(
                distances(rows),
                queries.table.person_ids[rows],
                queries.table.camera_ids[rows],
                gallery.table.person_ids,
                gallery.table.camera_ids,
                exclude=exclude,
                distractor_id=distractor_id,
            )
        )
    ranks, offsets = join_ranks(parts)
    matches = np.diff(offsets)
    if not matches.any():
        no_person = [UNKNOWN] if distractor_id is None else [UNKNOWN, distractor_id]
        shared = np.isin(queries.table.person_ids, np.setdiff1d(gallery.table.person_ids, no_person)).any()
        raise DataError(
            f"none of the {len(queries)} queries has a possible match: "
            + ("each person was seen by one camera only" if shared else "the gallery holds none of their people")
        )
    values = {name: _apply(name, metric, ranks, offsets) for name, metric in METRICS.items()}
    scores = {
        **{name: float(np.nanmean(per_query)) for name, per_query in values.items()},
        "queries": float(len(queries)),
        "queries_without_match": float((matches == 0).sum()),
    }
    first = first_ranks(ranks, offsets)
    per_query = {
        "query": np.arange(len(queries)),
        "average_precision": values["mAP"],
        "inverse_negative_penalty": values["mINP"],
        "first_rank": first,
        "matches": matches,
    }
    curve = cumulative_matches(first)
    how = reranks if times is None else "joint"
    settings = {"encoder": queries.encoder, "exclude": exclude, "rerank": how, "gallery": len(gallery)}
    return Report(scores, per_query, {**settings, "cmc": curve.tolist(), **(provenance or {})})


def _apply(name: str, metric: Metric, ranks: Ints, offsets: Ints) -> Doubles:
    """Return a metric's value for each query, ``(Q,)``.

    Raises:
        ConfigError: An added metric returns something else, or has no number for a query with a positive.
    """
    values = np.asarray(metric(ranks, offsets))
    shape = (len(offsets) - 1,)
    if values.shape != shape or values.dtype.kind not in "biuf":
        raise ConfigError(
            f"metric '{name}' must return one number for each query, shape {shape}; found {values.dtype} {values.shape}"
        )
    if not np.isfinite(values[np.diff(offsets) > 0]).all():
        raise ConfigError(f"metric '{name}' is nan or inf for a query that has a positive: return a number for each")
    return values.astype(np.float64)


def _make_distances(
    queries: Features,
    gallery: Features,
    distance_fn: Callable[[Floats, Floats], Floats] | None,
    device: torch.device | str,
) -> Callable[[slice], Floats | Tensor]:
    """Return a function that computes the distances of a block of queries; re-ranked ones without ``distance_fn``."""
    if distance_fn is None:
        reranked = rerank(queries.embeddings, gallery.embeddings, device=device)
        return lambda rows: reranked[rows]
    if distance_fn is squared_distances and gpu.used_for(device):
        query_tensor, gallery_tensor = (
            gpu.on_device(as_vectors(side.embeddings), device) for side in (queries, gallery)
        )
        return lambda rows: gpu.squared_distances(query_tensor[rows], gallery_tensor)
    return lambda rows: measure_distances(distance_fn, queries.embeddings[rows], gallery.embeddings)
