"""From ranked lists to scores."""

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
from resight.numerics.metrics import METRICS, cumulative_matches, first_ranks, join_ranks, positive_ranks
from resight.records import EXCLUSIONS, UNKNOWN, Exclude, Features, Floats, Report, check_features

BLOCK = 512
"""Queries whose distances are held at once."""


def evaluate(
    queries: Features,
    gallery: Features,
    *,
    exclude: Exclude = "same-camera",
    distractor_id: int | None = None,
    rerank: bool = False,
    distance_fn: Callable[[Floats, Floats], Floats] = squared_distances,
    device: torch.device | str = "cpu",
    provenance: dict[str, Any] | None = None,
) -> Report:
    """Score how well queries find their people in a gallery.

    Args:
        queries: ``Q`` vectors with known people.
        gallery: ``G`` vectors; person -1 is junk and does not count.
        exclude: ``"same-camera"`` leaves out the gallery images of the query's person by the query's camera; ``"none"``
            leaves out junk alone, as where cameras are not known.
        distractor_id: The person id that is nobody's match (0 in Market-1501); None where every id is a person.
        rerank: Whether distances are k-reciprocal re-ranked first; needs the whole ``Q x G``.
        distance_fn: What gives the distances ``(Q, G)`` between rows ``(Q, D)`` and ``(G, D)``; re-ranking has its own.
        device: Where squared distances are formed and ranked, in float32, or re-ranked; another distance is the CPU's.
        provenance: What to write into the report beside what is known here.

    Returns:
        The scores of `resight.numerics.metrics.METRICS` (``mAP``, ``mINP``, ``rank-1``, ``rank-5``, ``rank-10``, in
        0..1) over the queries that have a possible match, how many have none, the curve up to rank 50, and the values
        of each query.

    Raises:
        DataError: No query has a possible match, the two were made by different encoders, or the distances are none.
        ConfigError: `exclude` is not known, or there are too few images to re-rank, or these are to be at another
            distance.
    """
    rerank = yes_or_no("rerank", rerank)
    if rerank and distance_fn is not squared_distances:
        raise ConfigError("re-ranking stands on the squared Euclidean distance: leave out one of the two")
    check_features(queries=queries, gallery=gallery)
    check_given("distance_fn", distance_fn, Callable, "a function of two arrays, (Q, D) and (G, D)")
    check_given("provenance", provenance, (Mapping, type(None)), "a dict")
    if exclude not in EXCLUSIONS:
        raise ConfigError(f"exclude must be one of {', '.join(EXCLUSIONS)}, found {shown(exclude)}")
    if distractor_id is not None:
        distractor_id = whole_number("distractor_id", distractor_id, least=UNKNOWN)
    if len(queries) == 0 or len(gallery) == 0:
        raise DataError(f"evaluation needs queries and a gallery, found {len(queries)} and {len(gallery)}")
    distances = _distances(queries, gallery, None if rerank else distance_fn, device)
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
        nobody = [UNKNOWN] if distractor_id is None else [UNKNOWN, distractor_id]
        present = np.isin(queries.table.person_ids, np.setdiff1d(gallery.table.person_ids, nobody)).any()
        raise DataError(
            f"none of the {len(queries)} queries has a possible match: "
            + ("each person was seen by one camera only" if present else "the gallery holds none of their people")
        )
    values = {name: metric(ranks, offsets) for name, metric in METRICS.items()}
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
    known = {"encoder": queries.encoder, "exclude": exclude, "rerank": rerank, "gallery": len(gallery)}
    return Report(scores, per_query, {**known, "cmc": curve.tolist(), **(provenance or {})})


def _distances(
    queries: Features,
    gallery: Features,
    distance: Callable[[Floats, Floats], Floats] | None,
    device: torch.device | str,
) -> Callable[[slice], Floats | Tensor]:
    """Give what gives the distances of some queries to the gallery; without a distance, the re-ranked ones."""
    if distance is None:
        whole = rerank(queries.embeddings, gallery.embeddings, device=device)
        return lambda rows: whole[rows]
    if distance is squared_distances and gpu.used_for(device):
        asked, held = (gpu.on_device(as_vectors(side.embeddings), device) for side in (queries, gallery))
        return lambda rows: gpu.squared_distances(asked[rows], held)
    return lambda rows: measure_distances(distance, queries.embeddings[rows], gallery.embeddings)
