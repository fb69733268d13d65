"""Vectors from a model or from a file: what `evaluate`, `compare`, `extract` and `cluster` take in the same place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from resight.compute.devices import Devices
from resight.data.dataset import Dataset
from resight.data.tracklets import TrackletSettings
from resight.errors import DataError, counted
from resight.files import printable
from resight.models.encoder import Encoder
from resight.records import Features, ImageTable
from resight.retrieval.feature_files import StoredFeatures
from resight.retrieval.protocol import embed
from resight.retrieval.stored_sides import log_missing, match_rows, select_stored, stored_sides
from resight.retrieval.trials import embed_splits

Source = Encoder | StoredFeatures
"""What gives the vectors of images."""


def embed_sides(
    source: Source,
    datasets: Sequence[Dataset],
    *,
    tracklet: TrackletSettings,
    devices: Devices,
    flip: bool = False,
    cache: Path | None = None,
) -> list[tuple[Features, Features]]:
    """Return the vectors of the queries and the gallery of a data set.

    Args:
        source: An encoder that embeds the images, or stored vectors that are found by their paths.
        datasets: The data set, or several splits of it.
        tracklet: How to embed or pool a tracklet, if the unit is the tracklet.
        devices: Where to embed.
        flip: Whether to add the features of the mirrored images; for an encoder.
        cache: As in `resight.retrieval.extraction.extract`; for an encoder.

    Returns:
        The vectors of queries and gallery of each split.

    Raises:
        DataError: No image can be read, or none has a stored vector.
    """
    if isinstance(source, StoredFeatures):
        return stored_sides(source, datasets, tracklet=tracklet)
    if len(datasets) > 1:
        return embed_splits(source, datasets, tracklet=tracklet, devices=devices, flip=flip, cache=cache)
    (dataset,) = datasets
    queries, gallery = (
        embed(source, side, dataset.unit, tracklet=tracklet, devices=devices, flip=flip, cache=cache)
        for side in (dataset.query, dataset.gallery)
    )
    return [(queries, gallery)]


def embed_train(
    source: Source,
    dataset: Dataset,
    *,
    tracklet: TrackletSettings,
    devices: Devices,
    flip: bool = False,
    cache: Path | None = None,
) -> Features:
    """Return the vectors of the training part of a data set; arguments and errors as for `embed_sides`."""
    if isinstance(source, StoredFeatures):
        rows = match_rows(source, [dataset])
        return select_stored(source, rows, dataset.train, dataset.unit, tracklet=tracklet)[0]
    return embed(source, dataset.train, dataset.unit, tracklet=tracklet, devices=devices, flip=flip, cache=cache)


def embed_dataset(
    source: Source,
    dataset: Dataset,
    *,
    tracklet: TrackletSettings,
    devices: Devices,
    flip: bool = False,
    cache: Path | None = None,
) -> tuple[Features, npt.NDArray[np.str_]]:
    """Return the vectors of all images or tracklets of a data set, each once.

    Args:
        source: As in `embed_sides`.
        dataset: The data set.
        tracklet: As in `embed_sides`.
        devices: As in `embed_sides`.
        flip: As in `embed_sides`.
        cache: As in `embed_sides`.

    Returns:
        ``N`` vectors and the split of each: its first one in the order ``train``, ``query``, ``gallery``.

    Raises:
        DataError: The data set has no image, or as `embed_sides`.
    """
    rows = match_rows(source, [dataset]) if isinstance(source, StoredFeatures) else {}
    parts, splits, missing = list[Features](), list[str](), list[str]()
    seen = set[str]()
    for split, table in dataset.tables.items():
        if not len(table):
            continue
        if isinstance(source, StoredFeatures):
            features, without = select_stored(source, rows, table, dataset.unit, tracklet=tracklet)
            missing += without
        else:
            # Each split alone, as an evaluation embeds it: the same batches give the same last digits.
            features = embed(source, table, dataset.unit, tracklet=tracklet, devices=devices, flip=flip, cache=cache)
        new = np.array([path not in seen for path in features.table.paths.tolist()], np.bool_)
        seen |= set(features.table.paths.tolist())
        parts.append(features[new])
        splits += [split] * int(new.sum())
    if not parts:
        raise DataError(f"{dataset.name}: {printable(dataset.root)} has no image")
    if isinstance(source, StoredFeatures):
        log_missing(source, dataset, missing)
    table = ImageTable.concatenate(*(part.table for part in parts))
    return Features(table, np.concatenate([part.embeddings for part in parts]), parts[0].encoder), np.array(splits)


def check_same_images(
    first: tuple[Features, Features], second: tuple[Features, Features], names: tuple[str, str]
) -> None:
    """Check that two models or files gave vectors of the same queries and the same gallery.

    Args:
        first: The vectors of queries and gallery.
        second: Those of the other.
        names: The names of both, for the error.

    Raises:
        DataError: One has an image that the other lacks.
    """
    for side, own, other in zip(("queries", "gallery"), first, second, strict=True):
        paths = [features.table.paths.tolist() for features in (own, other)]
        if paths[0] == paths[1]:
            continue
        for have, lack, name, lacking in ((*paths, *names), (*paths[::-1], *names[::-1])):
            only = sorted(set(have) - set(lack))
            if only:
                raise DataError(
                    f"{name} has {counted(len(only), 'image')} of the {side} that {lacking} has not, first "
                    f"'{printable(only[0])[:120]}': compare on the same images"
                )
        raise DataError(f"{names[0]} and {names[1]} have their {side} in another order: compare on the same images")
