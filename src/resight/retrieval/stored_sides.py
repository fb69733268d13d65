"""Stored vectors in place of an encoder: as a data set of their own, or for the images of a data set."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from resight.data.dataset import Dataset, Unit
from resight.data.tracklets import TrackletSettings, group_tracklets, pool_tracklets
from resight.data.validation import split_validation
from resight.errors import DataError, counted
from resight.files import printable
from resight.numerics.distances import normalize
from resight.records import UNKNOWN, Exclude, Features, ImageTable
from resight.retrieval.feature_files import StoredFeatures
from resight.retrieval.path_matching import match_paths

logger = logging.getLogger(__name__)


def normalized(stored: StoredFeatures) -> StoredFeatures:
    """Return stored vectors scaled to unit length, so that the Euclidean distance ranks as the cosine does."""
    features = stored.features
    return replace(stored, features=Features(features.table, normalize(features.embeddings), features.encoder))


def stored_dataset(stored: StoredFeatures) -> Dataset:
    """Return the data set that a file of vectors describes by itself.

    Args:
        stored: The vectors.

    Returns:
        Its rows by split, or all as ``train`` if it has no splits. Queries of unknown people and rows without a split
        beside others are left out. `exclude` is ``none`` unless every row has a known camera. A row is an image.
    """
    table, splits, notes = stored.features.table, stored.splits, list(stored.notes)
    if (splits == "").all():
        splits = np.full(len(table), "train")
    if left_out := int((splits == "").sum()):
        notes.append(f"{counted(left_out, 'row of no split is', 'rows of no split are')} left out")
    is_query = (splits == "query") & (table.person_ids != UNKNOWN)
    if num_unknown := int((splits == "query").sum() - is_query.sum()):
        notes.append(
            f"{counted(num_unknown, 'query of an unknown person is', 'queries of unknown people are')} left out"
        )
    exclude: Exclude = "same-camera" if table.has_cameras else "none"
    if exclude == "none":
        notes.append("a row has no known camera: nothing is excluded from a query's gallery")
    return Dataset(
        stored.path.stem,
        stored.path.absolute().parent,
        table[splits == "train"],
        table[is_query],
        table[splits == "gallery"],
        exclude,
        notes=tuple(notes),
        names=stored.names,
    )


def scored_dataset(stored: StoredFeatures) -> Dataset:
    """Return the queries and the gallery that a file of vectors is scored on by itself.

    Args:
        stored: The vectors.

    Returns:
        As `stored_dataset`; without splits, everyone in it who can be found again, see `split_validation`.

    Raises:
        DataError: It has no labels of people, or no splits and nobody who can be found again.
    """
    dataset = stored_dataset(stored)
    if not stored.features.table.has_people:
        raise DataError(f"{stored.path} has no labels of people to score: add person_ids, or name the images by --data")
    return split_validation(dataset, "all") if (stored.splits == "").all() else dataset


def match_rows(stored: StoredFeatures, datasets: Sequence[Dataset]) -> dict[str, int]:
    """Find the vectors of a data set's images by their paths; log what matches in part.

    Args:
        stored: The vectors.
        datasets: A data set, or several splits of one.

    Returns:
        The row of the vector of each image that has one.

    Raises:
        DataError: No image has a vector.
    """
    tables = [table for dataset in datasets for table in dataset.tables.values()]
    wanted = list(dict.fromkeys(path for table in tables for path in table.paths.tolist()))
    paths = stored.features.table.paths.tolist()
    found = {image: row for image, row in zip(wanted, match_paths(wanted, paths).tolist(), strict=True) if row >= 0}
    name, set_name = printable(stored.path.name), datasets[0].name
    if not found:
        raise DataError(
            f"{stored.path} has no vector of an image of {set_name}: it names '{printable(paths[0])[:80]}' first, the "
            f"set '{printable(wanted[0] if wanted else '')[:80]}'; paths must share their ends"
        )
    by_end = [(image, paths[row]) for image, row in found.items() if image != paths[row]]
    if by_end:
        example = " is that of ".join(f"'{printable(path)[:120]}'" for path in by_end[0][::-1])
        logger.info("%s: %s matched by the end of the path: %s", name, counted(len(by_end), "vector"), example)
    taken = set(found.values())
    extra = [path for row, path in enumerate(paths) if row not in taken]
    if extra:
        what = counted(len(extra), "vector is", "vectors are")
        first = printable(extra[0])[:120]
        logger.info("%s: %s not used, because %s has no such image; the first is '%s'", name, what, set_name, first)
    return found


def select_stored(
    stored: StoredFeatures, rows: Mapping[str, int], table: ImageTable, unit: Unit, *, tracklet: TrackletSettings
) -> tuple[Features, list[str]]:
    """Select the vectors of a table's images or tracklets.

    Args:
        stored: The vectors.
        rows: The row of each image's vector, from `match_rows`.
        table: The images.
        unit: Whether to return a vector for each image or each tracklet. One vector of a tracklet is taken as it is,
            several are pooled.
        tracklet: How to pool them.

    Returns:
        The vectors with the labels of the table; and the path of each image, or the first of each tracklet, that has
        none.
    """
    groups = group_tracklets(table) if unit == "tracklets" else list(np.arange(len(table))[:, None])
    places = [[place for place in group.tolist() if str(table.paths[place]) in rows] for group in groups]
    missing = [str(table.paths[group[0]]) for group, found in zip(groups, places, strict=True) if not found]
    kept = np.array([place for found in places for place in found], np.int64)
    chosen = np.array([rows[str(path)] for path in table.paths[kept]], np.int64)
    features = Features(table[kept], stored.features.embeddings[chosen], stored.features.encoder)
    if any(len(found) > 1 for found in places):
        logger.info("the vectors of each tracklet are pooled: %s", tracklet.pooling)
        features = pool_tracklets(features, tracklet.pooling)
    return features, missing


def stored_sides(
    stored: StoredFeatures, datasets: Sequence[Dataset], *, tracklet: TrackletSettings
) -> list[tuple[Features, Features]]:
    """Select the vectors of queries and gallery of a data set; log how many have none.

    Args:
        stored: The vectors.
        datasets: A data set, or several splits of one.
        tracklet: As in `select_stored`.

    Returns:
        The vectors of queries and gallery of each split.

    Raises:
        DataError: As `match_rows`.
    """
    rows = match_rows(stored, datasets)
    sides, missing = list[tuple[Features, Features]](), dict[str, None]()
    for dataset in datasets:
        queries, gallery = (
            select_stored(stored, rows, table, dataset.unit, tracklet=tracklet)
            for table in (dataset.query, dataset.gallery)
        )
        sides.append((queries[0], gallery[0]))
        missing |= dict.fromkeys([*queries[1], *gallery[1]])
    log_missing(stored, datasets[0], list(missing))
    return sides


def log_missing(stored: StoredFeatures, dataset: Dataset, missing: Sequence[str]) -> None:
    """Log how many images or tracklets of a data set have no vector, and name the first."""
    if missing:
        unit = dataset.unit.removesuffix("s")
        one, many = (
            f"{unit} of {dataset.name} has no vector and is",
            f"{unit}s of {dataset.name} have no vector and are",
        )
        what = counted(len(missing), one, many)
        first = printable(missing[0])[:120]
        logger.warning("%s: %s left out; the first is '%s'", printable(stored.path.name), what, first)
