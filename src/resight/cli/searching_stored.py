"""A search in a file of vectors, for some of its paths or for the vectors of another file."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from resight.cli.queries import Answer, log_notes, log_problems
from resight.cli.searching import rank_results
from resight.cli.stored import open_stored
from resight.compute.devices import Devices
from resight.compute.settings import DeviceSettings
from resight.data.dataset import Dataset
from resight.errors import ConfigError, DataError, counted
from resight.files import expanded, printable
from resight.records import Features
from resight.retrieval.feature_files import StoredFeatures, names_features
from resight.retrieval.path_matching import match_paths
from resight.retrieval.statistics import center_cameras
from resight.retrieval.stored_sides import stored_dataset

logger = logging.getLogger(__name__)


def search_stored(
    file: str,
    queries: Sequence[str],
    flags: Sequence[str],
    *,
    k: int,
    normalize: bool,
    center: bool,
    device: DeviceSettings,
) -> tuple[list[Answer], Dataset, bool] | None:
    """Search in a file of vectors: in its gallery, or in all its rows if it has none.

    Args:
        file: The file.
        queries: Paths in it, or the ends of such paths; or another file, of which the queries are searched for, or all
            rows if it has no splits.
        flags: The flags of the command line.
        k: The number of results for each query.
        normalize: Whether to scale all vectors to unit length.
        center: Whether to subtract the mean of each camera from its vectors.
        device: The device to search on.

    Returns:
        An answer for each query, the data set that the file describes, and whether it knows people; None
        in all processes but the first.

    Raises:
        DataError: A file cannot be read, or has none of the paths.
        ConfigError: Files and paths are mixed, or a flag says how to embed.
    """
    stored, other = (open_stored(word, flags, normalize=normalize) for word in (file, queries[0]))
    assert stored is not None
    if any(map(names_features, queries)) and len(queries) > 1:
        raise ConfigError("search for paths, or for the rows of one other file: found several words")
    dataset = stored_dataset(stored)
    log_notes(dataset)
    is_gallery = stored.splits == "gallery"
    gallery = stored.features[is_gallery] if is_gallery.any() else stored.features
    if len(gallery) < k:
        logger.info("the gallery has %s, fewer than the requested k = %s", counted(len(gallery), "row"), f"{k:,}")
    if other is None:
        chosen, problems = _rows_of(stored, queries)
    else:
        for note in other.notes:
            logger.info(note)
        is_query = other.splits == "query"
        chosen, problems = other.features[is_query] if is_query.any() else other.features, []
    log_problems(problems)
    devices = Devices(device)
    if devices.rank > 0:
        return None
    if center:
        chosen, gallery = (center_cameras(side, gallery) for side in (chosen, gallery))
    results = rank_results(chosen, gallery, dataset, k=k, devices=devices, searched=stored.path)
    failed = [Answer(path, error=reason) for path, reason in problems]
    answers = [*(Answer(path, results[path]) for path in chosen.table.paths.tolist()), *failed]
    return answers, dataset, gallery.table.has_people


def _rows_of(stored: StoredFeatures, words: Sequence[str]) -> tuple[Features, list[tuple[str, str]]]:
    """Return the rows of paths, and the paths that have none, each with the reason."""
    paths = stored.features.table.paths.tolist()
    row_of = {path: row for row, path in enumerate(paths)}
    rows, problems = list[int](), list[tuple[str, str]]()
    for word in dict.fromkeys(words):
        row = row_of.get(word, -1)
        row = row if row >= 0 else int(match_paths([str(expanded(word))], paths)[0])
        if row >= 0:
            rows.append(row)
        else:
            problems.append((word, f"it is not in {stored.path}, or several paths end so"))
    if not rows:
        first = f"its first path is '{printable(paths[0])[:120]}'"
        raise DataError(f"'{printable(words[0])[:120]}' is not in {stored.path}, or several paths end so: {first}")
    return stored.features[np.unique(rows)], problems
