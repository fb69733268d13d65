"""Scores over several splits of a data set: each image is embedded once, and scores are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from resight.compute.devices import Devices
from resight.data.dataset import Dataset, Unit
from resight.data.tracklets import TrackletSettings, group_tracklets
from resight.errors import DataError
from resight.models.encoder import Encoder
from resight.records import Features, ImageTable, Ints, Report
from resight.retrieval.protocol import embed

PER_TRIAL = ("notes", "gallery", "cmc")
"""The entries of a report's provenance that differ from trial to trial."""


def embed_splits(
    encoder: Encoder,
    splits: Sequence[Dataset],
    *,
    tracklet: TrackletSettings,
    devices: Devices,
    flip: bool,
    cache: Path | None = None,
) -> list[tuple[Features, Features]]:
    """Embed the queries and galleries of several splits of a data set, each image or tracklet once.

    Args:
        encoder: The encoder.
        splits: The splits.
        tracklet: How to embed a tracklet, if the unit is the tracklet. Random frames are drawn for all splits at once;
            they are not those of a split that is embedded alone.
        devices: Where to embed.
        flip: Whether to add the features of the mirrored images.
        cache: As in `resight.retrieval.extraction.extract`.

    Returns:
        The embeddings of queries and gallery of each split, in the order of its tables.
    """
    unit = splits[0].unit
    sides = [side for split in splits for side in (split.query, split.gallery)]
    table, keys = join_tables(sides, unit)
    features = embed(encoder, table, unit, tracklet=tracklet, devices=devices, flip=flip, cache=cache)
    places = features.table.tracklet_ids.tolist() if unit == "tracklets" else features.table.paths.tolist()
    rows = {keys[place] if unit == "tracklets" else place: row for row, place in enumerate(places)}
    selected = [_select(features, rows, side, unit) for side in sides]
    return list(zip(selected[::2], selected[1::2], strict=True))


def join_tables(tables: Sequence[ImageTable], unit: Unit) -> tuple[ImageTable, list[str]]:
    """Join tables, each image or tracklet once.

    Args:
        tables: Tables of one data set, which share images.
        unit: Whether they share images or whole tracklets. A tracklet is known by its first frame.

    Returns:
        The joined table, in which tracklets are numbered through; and the first path of each image or tracklet in it.
    """
    keys: dict[str, int] = {}
    parts = []
    for table in tables:
        groups = _groups(table, unit)
        new = [rows for rows in groups if str(table.paths[rows[0]]) not in keys]
        for rows in new:
            keys[str(table.paths[rows[0]])] = len(keys)
        order = np.concatenate([np.empty(0, np.int64), *new])
        part = table[order]
        if unit == "tracklets":
            first = len(keys) - len(new)
            ids = np.repeat(np.arange(first, len(keys)), [len(rows) for rows in new])
            part = ImageTable(part.paths, part.person_ids, part.camera_ids, ids, part.frame_ids, part.domain_ids)
        parts.append(part)
    return ImageTable.concatenate(*parts), list(keys)


def average_reports(reports: Sequence[Report]) -> Report:
    """Average the reports of several trials.

    Args:
        reports: A report for each trial, in order.

    Returns:
        The mean of each score, without values of single queries. In the provenance, ``deviation`` has the standard
        deviation of each score over the trials (of a sample: divided by their number less one; nan for one trial), and
        ``trials`` has scores and notes of each. ``cmc`` is the mean curve.

    Raises:
        DataError: There is no report.
    """
    if not reports:
        raise DataError("there is no trial to average: give one report or more")
    names = [name for name in reports[0].scores if all(name in report.scores for report in reports)]
    values = {name: np.array([report.scores[name] for report in reports]) for name in names}
    deviation = {name: float(np.std(own, ddof=1)) if len(own) > 1 else float("nan") for name, own in values.items()}
    trials = [
        {
            "scores": dict(report.scores),
            **{name: report.provenance[name] for name in ("notes", "gallery") if name in report.provenance},
        }
        for report in reports
    ]
    shared = {name: value for name, value in reports[0].provenance.items() if name not in PER_TRIAL}
    curves = [report.provenance["cmc"] for report in reports if "cmc" in report.provenance]
    length = min(map(len, curves), default=0)
    cmc = np.mean([curve[:length] for curve in curves], axis=0).tolist() if length else []
    return Report(
        {name: float(own.mean()) for name, own in values.items()},
        provenance={**shared, "cmc": cmc, "deviation": deviation, "trials": trials},
    )


def _groups(table: ImageTable, unit: Unit) -> list[Ints]:
    """Group the rows of a table: each image alone, or the images of each tracklet."""
    return group_tracklets(table) if unit == "tracklets" else list(np.arange(len(table))[:, None])


def _select(features: Features, rows: dict[str, int], table: ImageTable, unit: Unit) -> Features:
    """Select the features of a table's images or tracklets; those that could not be read are left out."""
    firsts = [int(group[0]) for group in _groups(table, unit)]
    found = [(first, rows[path]) for first in firsts if (path := str(table.paths[first])) in rows]
    if not found:
        raise DataError("no query or no gallery image of a split can be read: resight data verify names the reasons")
    kept, chosen = np.array(found, np.int64).T
    return Features(table[kept], features.embeddings[chosen], features.encoder)
