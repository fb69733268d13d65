"""A search: embed the queries and the gallery, rank the gallery, and describe the results."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from resight.cli.queries import Answer, Images, log_problems
from resight.compute.devices import Devices
from resight.compute.settings import DeviceSettings
from resight.data.crops import load_crops
from resight.data.dataset import Dataset
from resight.files import printable
from resight.models.encoder import Encoder, load_encoder
from resight.models.encoder_settings import EncoderSettings
from resight.records import Features, ImageTable, Ranking
from resight.retrieval.extraction import extract
from resight.retrieval.ranking import BLOCK, rank_others
from resight.retrieval.statistics import adapt_statistics, center_cameras

logger = logging.getLogger(__name__)


def search(
    images: Images,
    dataset: Dataset,
    gallery: ImageTable,
    *,
    encoder: str | EncoderSettings,
    adapt: bool,
    center: bool,
    k: int,
    cache: Path | None,
    device: DeviceSettings,
) -> list[Answer] | None:
    """Search for each image.

    Args:
        images: The queries.
        dataset: The data set of the gallery, for its names.
        gallery: The images to search in.
        encoder: A run folder, an encoder file, or the settings of a backbone.
        adapt: Whether to give the encoder the statistics of the gallery.
        center: Whether to subtract the mean of each camera from its vectors.
        k: The number of results for each query.
        cache: A folder that keeps the gallery's embeddings, and an adapted encoder.
        device: The device to run on.

    Returns:
        An answer for each query, unreadable queries last; None in all processes but the first.

    Raises:
        DataError: No query can be read.
    """
    network = load_encoder(encoder) if isinstance(encoder, str) else Encoder(encoder).eval()
    devices = Devices(device)
    devices.to_device(network)
    if adapt:
        network = adapt_statistics(network, gallery, devices=devices, cache=cache)
    crops = load_crops(ImageTable(np.array(images.paths)), network.settings.size)
    log_problems(crops.problems[1:])  # loading has logged the first
    gallery_features = extract(network, gallery, devices=devices, cache=cache)
    queries = extract(network, crops, devices=devices)
    if devices.rank > 0:
        return None
    if center:
        queries = _with_cameras(queries, dataset)
        queries, gallery_features = (center_cameras(side, gallery_features) for side in (queries, gallery_features))
    results = rank_results(queries, gallery_features, dataset, k=k, devices=devices)
    failed = [Answer(path, error=reason) for path, reason in (*images.problems, *crops.problems)]
    return [*(Answer(path, results[path]) for path in queries.table.paths.tolist()), *failed]


def _with_cameras(queries: Features, dataset: Dataset) -> Features:
    """Return queries with the camera of each file that the data set holds too; others stay unknown."""
    camera_of: dict[str, int] = {}
    for table in (dataset.train, dataset.query, dataset.gallery):
        camera_of |= zip(map(os.path.realpath, table.paths.tolist()), table.camera_ids.tolist(), strict=True)
    cameras = [camera_of.get(os.path.realpath(path), -1) for path in queries.table.paths.tolist()]
    return replace(queries, table=replace(queries.table, camera_ids=np.array(cameras, np.int64)))


def rank_results(
    queries: Features,
    gallery: Features,
    dataset: Dataset,
    *,
    k: int,
    devices: Devices,
    searched: Path | None = None,
) -> dict[str, tuple[Mapping[str, Any], ...]]:
    """Rank a gallery for each query.

    Args:
        queries: The queries.
        gallery: Where to search.
        dataset: The data set of the gallery, for its names.
        k: The number of results for each query.
        devices: Where to search.
        searched: What was searched, for the log; the data set's folder by default.

    Returns:
        The results of each query by its path; its own file is left out.
    """
    results, num_in_gallery = dict[str, tuple[Mapping[str, Any], ...]](), 0
    for start in range(0, len(queries), BLOCK):
        block = queries[start : start + BLOCK]
        ranking, in_gallery = rank_others(block, gallery, k=k, device=devices.device)
        num_in_gallery += int(in_gallery.sum())
        for row, path in enumerate(block.table.paths.tolist()):
            results[path] = _describe_results(gallery.table, ranking, row, dataset)
    if num_in_gallery:
        which = f"{num_in_gallery:,} of the {len(queries):,} images {'was' if num_in_gallery == 1 else 'were'}"
        which = "the image itself was" if len(queries) == 1 else which
        whose = "its" if num_in_gallery == 1 else "their"
        where = printable(dataset.root if searched is None else searched)
        logger.info("%s found in %s, and left out of %s own results", which, where, whose)
    return results


def _describe_results(
    gallery: ImageTable, ranking: Ranking, row: int, dataset: Dataset
) -> tuple[Mapping[str, Any], ...]:
    """Return the path, the similarity, the camera and the person of each result of a query."""
    valid = ranking.indices[row] >= 0
    table = gallery[ranking.indices[row][valid]]
    cameras, people = (dataset.names.get(kind, ()) for kind in ("cameras", "people"))
    return tuple(
        {
            "path": path,
            "similarity": similarity,
            "camera": _name_of(camera, cameras),
            "camera_id": camera,
            "person": None if person in dataset.non_person_ids else _name_of(person, people),
            "person_id": person,
        }
        for path, similarity, camera, person in zip(
            table.paths.tolist(),
            ranking.similarities[row][valid].tolist(),
            table.camera_ids.tolist(),
            table.person_ids.tolist(),
            strict=True,
        )
    )


def _name_of(number: int, names: Sequence[str]) -> str | None:
    """Return the data set's name of an id, or the id as text; None if it is unknown."""
    return None if number < 0 else names[number] if names else str(number)
