"""A search: queries and gallery to vectors, vectors to results."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from resight.cli.queries import Answer, Images, tell_problems
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

logger = logging.getLogger(__name__)


def search(
    asked: Images,
    dataset: Dataset,
    searched: ImageTable,
    *,
    encoder: str | EncoderSettings,
    k: int,
    cache: Path | None,
    device: DeviceSettings,
) -> list[Answer] | None:
    """Search for each image.

    Args:
        asked: The queries.
        dataset: What is searched in, for its names.
        searched: Its images that are searched.
        encoder: A run folder or an encoder file, or a backbone.
        k: How many results.
        cache: A folder that keeps the vectors of what is searched.
        device: Where it runs.

    Returns:
        An answer for each query, those that cannot be read last; None in all processes but the first.

    Raises:
        DataError: No query can be read.
    """
    network = load_encoder(encoder) if isinstance(encoder, str) else Encoder(encoder).eval()
    devices = Devices(device)
    devices.to_device(network)
    crops = load_crops(ImageTable(np.array(asked.paths)), network.settings.size)
    tell_problems(crops.problems[1:])  # the first has been said
    gallery = extract(network, searched, devices=devices, cache=cache)
    queries = extract(network, crops, devices=devices)
    if devices.rank > 0:
        return None
    found = _results(queries, gallery, dataset, k=k, devices=devices)
    failed = [Answer(path, error=reason) for path, reason in (*asked.problems, *crops.problems)]
    return [*(Answer(path, found[path]) for path in queries.table.paths.tolist()), *failed]


def _results(
    queries: Features, gallery: Features, dataset: Dataset, *, k: int, devices: Devices
) -> dict[str, tuple[Mapping[str, Any], ...]]:
    """Give the results of each query by its path."""
    found, inside = dict[str, tuple[Mapping[str, Any], ...]](), 0
    for start in range(0, len(queries), BLOCK):
        block = queries[start : start + BLOCK]
        ranking, own = rank_others(block, gallery, k=k, device=devices.device)
        inside += int(own.sum())
        for row, path in enumerate(block.table.paths.tolist()):
            found[path] = _described(gallery.table, ranking, row, dataset)
    if inside:
        which = f"{inside:,} of the {len(queries):,} images {'was' if inside == 1 else 'were'}"
        which = "the image itself was" if len(queries) == 1 else which
        whose = "its" if inside == 1 else "their"
        logger.info("%s found in %s, and left out of %s own results", which, printable(dataset.root), whose)
    return found


def _described(gallery: ImageTable, ranking: Ranking, row: int, dataset: Dataset) -> tuple[Mapping[str, Any], ...]:
    """Say of each result of a query what is known of it."""
    there = ranking.indices[row] >= 0
    found = gallery[ranking.indices[row][there]]
    cameras, people = (dataset.names.get(what, ()) for what in ("cameras", "people"))
    return tuple(
        {
            "path": path,
            "similarity": similarity,
            "camera": _name(camera, cameras),
            "camera_id": camera,
            "person": None if person in dataset.non_person_ids else _name(person, people),
            "person_id": person,
        }
        for path, similarity, camera, person in zip(
            found.paths.tolist(),
            ranking.similarities[row][there].tolist(),
            found.camera_ids.tolist(),
            found.person_ids.tolist(),
            strict=True,
        )
    )


def _name(number: int, names: Sequence[str]) -> str | None:
    """Say what the data call an id; None where it is unknown."""
    return None if number < 0 else names[number] if names else str(number)
