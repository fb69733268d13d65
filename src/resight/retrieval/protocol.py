"""Evaluation of an encoder on a data set's queries and gallery: images or tracklets to embeddings to scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from resight.compute.devices import Devices
from resight.data.crops import Crops, fits_memory, load_crops
from resight.data.dataset import Dataset, Unit
from resight.data.tracklets import TrackletSettings
from resight.models.encoder import Encoder
from resight.numerics.distances import squared_distances
from resight.numerics.spatiotemporal import TravelTimes
from resight.records import Features, Floats, ImageTable, Report
from resight.retrieval.evaluation import evaluate
from resight.retrieval.extraction import extract, extract_tracklets
from resight.retrieval.joint import check_sightings, estimate_travel_times

Score = Callable[[Encoder], tuple[Report, Features, Features]]
"""A function that returns an encoder's report and the embeddings of queries and gallery."""


RankBy = Literal["appearance", "joint"]
"""What results are ranked by: the similarity of embeddings, or also the time between cameras."""


def make_evaluator(
    dataset: Dataset,
    size: tuple[int, int],
    *,
    devices: Devices,
    flip: bool,
    tracklet: TrackletSettings,
    rank_by: RankBy = "appearance",
) -> Score | None:
    """Return a function that scores one encoder after the other.

    Images are decoded once, and so are the chosen frames of tracklets if both sides fit into memory. Otherwise each
    evaluation decodes them again, `resight.retrieval.extraction.TRACKLETS` tracklets at a time.

    Args:
        dataset: The data set with queries and gallery.
        size: Height and width of the encoders' images, pixels.
        devices: Where to embed and to rank.
        flip: Whether to add the features of the mirrored images.
        tracklet: How to embed a tracklet, if the unit is the tracklet.
        rank_by: ``"joint"`` ranks by appearance and time; each evaluation then embeds the training images too.

    Returns:
        The function; None if the data set has no queries or no gallery.

    Raises:
        DataError: ``rank_by`` needs a camera or a frame that is unknown.
    """
    if not len(dataset.query) or not len(dataset.gallery):
        return None
    tables = [dataset.query, dataset.gallery]
    if rank_by == "joint":
        check_sightings(dataset)
        tables.append(dataset.train)
    decode_once = True
    if dataset.unit == "tracklets":
        tables = [table[np.unique(tracklet.choose(table))] for table in tables]
        decode_once = fits_memory(sum(map(len, tables)), size)
    images = [load_crops(table, size) if decode_once else table for table in tables]

    def score(encoder: Encoder) -> tuple[Report, Features, Features]:
        devices.to_device(encoder)
        queries, gallery, *train = (
            embed(encoder, side, dataset.unit, tracklet=tracklet, devices=devices, flip=flip) for side in images
        )
        report = score_features(
            dataset,
            (queries, gallery),
            tracklet=tracklet,
            device=devices.device,
            rerank=estimate_travel_times(train[0], device=devices.device) if train else False,
            provenance={"flip": flip},
        )
        return report, queries, gallery

    return score


def embed(
    encoder: Encoder,
    side: Crops | ImageTable,
    unit: Unit,
    *,
    tracklet: TrackletSettings,
    devices: Devices,
    flip: bool,
    cache: Path | None = None,
) -> Features:
    """Embed the queries or the gallery of a data set, with `extract` or `extract_tracklets`."""
    if unit == "tracklets":
        return extract_tracklets(encoder, side, tracklet=tracklet, devices=devices, flip=flip, cache=cache)
    return extract(encoder, side, devices=devices, flip=flip, cache=cache)


def score_features(
    dataset: Dataset,
    sides: tuple[Features, Features],
    *,
    tracklet: TrackletSettings,
    device: torch.device | str,
    rerank: bool | TravelTimes = False,
    provenance: dict[str, Any] | None = None,
) -> Report:
    """Score the embeddings of a data set's queries and gallery by its protocol.

    Args:
        dataset: The data set.
        sides: The embeddings of queries and gallery, from `embed`.
        tracklet: How they were made of tracklets, if the unit is the tracklet.
        device: Where to rank.
        rerank: Whether to re-rank k-reciprocally; or travel times, as in `evaluate`.
        provenance: Additional entries of the report's provenance.

    Returns:
        The scores; their provenance names the set, its notes and the settings of tracklets.

    Raises:
        DataError: As `evaluate`.
        ConfigError: As `evaluate`.
    """
    return evaluate(
        *sides,
        exclude=dataset.exclude,
        distractor_id=dataset.distractor_id,
        rerank=rerank,
        distance_fn=distance_fn(dataset, tracklet),
        device=device,
        provenance={**(provenance or {}), **provenance_of(dataset, tracklet)},
    )


def provenance_of(dataset: Dataset, tracklet: TrackletSettings) -> dict[str, Any]:
    """Return a report's entries about its data: the set, its notes, and the settings of tracklets."""
    notes = "; ".join(filter(None, (dataset.unofficial, *dataset.notes)))
    provenance: dict[str, Any] = {"data": dataset.name, "unit": dataset.unit, "notes": notes}
    return provenance | ({"tracklet": dataclasses.asdict(tracklet)} if dataset.unit == "tracklets" else {})


def distance_fn(dataset: Dataset, tracklet: TrackletSettings) -> Callable[[Floats, Floats], Floats]:
    """Return the distance function for a data set's embeddings."""
    return tracklet.distance_fn if dataset.unit == "tracklets" else squared_distances
