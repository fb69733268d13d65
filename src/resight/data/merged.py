"""Several data sets to train on as one: people, cameras and tracklets are kept apart, and each set is a domain."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from resight.data.dataset import Dataset
from resight.data.folder import FolderSettings
from resight.errors import ConfigError, DataError
from resight.files import printable, read_regular, write_atomically
from resight.records import UNKNOWN, ImageTable, Ints

MERGED = "merged.json"
"""The file that names the sets; a folder with it is read as the sets together."""

_MOST_BYTES = 2**20


def merge(datasets: Sequence[Dataset], root: Path) -> Dataset:
    """Join the training parts of data sets.

    Args:
        datasets: Two or more data sets.
        root: The folder of the merged set.

    Returns:
        A set without queries and gallery. Its people, cameras and tracklets are those of the sets, numbered through;
        its domains are the sets, or their own domains if they have any.
    """
    names = [dataset.name for dataset in datasets]
    titles = [f"{name}-{number}" if names.count(name) > 1 else name for number, name in enumerate(names, 1)]
    columns: dict[str, list[Ints]] = {name: [] for name in ("people", "cameras", "tracklets")}
    labels: dict[str, list[str]] = {name: [] for name in columns}
    domains, num_domains = list[Ints](), 0
    for title, dataset in zip(titles, datasets, strict=True):
        table = dataset.train
        for kind, ids in (
            ("people", table.person_ids), ("cameras", table.camera_ids), ("tracklets", table.tracklet_ids)
        ):  # fmt: skip
            known, places = np.unique(ids[ids != UNKNOWN], return_inverse=True)
            merged = np.full(len(ids), UNKNOWN)
            merged[ids != UNKNOWN] = places + len(labels[kind])
            columns[kind].append(merged)
            own = dataset.names.get(kind)
            labels[kind] += [f"{title}/{own[number] if own else number}" for number in known.tolist()]
        inner = np.unique(table.domain_ids, return_inverse=True)[1]
        domains.append(inner + num_domains)
        num_domains += int(inner.max(initial=-1)) + 1
    train = ImageTable(
        np.concatenate([dataset.train.paths for dataset in datasets]),
        person_ids=np.concatenate(columns["people"]),
        camera_ids=np.concatenate(columns["cameras"]),
        tracklet_ids=np.concatenate(columns["tracklets"]),
        frame_ids=np.concatenate([dataset.train.frame_ids for dataset in datasets]),
        domain_ids=np.concatenate(domains),
    )
    notes = [f"{title}: {note}" for title, dataset in zip(titles, datasets, strict=True) for note in dataset.notes]
    empty = ImageTable(np.empty(0, np.str_))
    named = {kind: tuple(words) for kind, words in labels.items() if words}
    return Dataset("merged", root, train, empty, empty, notes=tuple(notes), names=named)


def write_sets(root: Path, specs: Sequence[tuple[str, FolderSettings | None]]) -> None:
    """Write the file that names the sets of a merged set.

    Args:
        root: Its folder, which is made.
        specs: The sets as on the command line, with absolute paths, and how their folders of crops are read.

    Raises:
        DataError: The folder holds something else.
    """
    root.mkdir(parents=True, exist_ok=True)
    if {path.name for path in root.iterdir()} - {MERGED}:
        raise DataError(f"{printable(root)} holds other files: name a new folder for the merged set")
    sets = [
        {"data": spec, "layout": folder.layout if folder else "", "pattern": folder.pattern if folder else ""}
        for spec, folder in specs
    ]
    write_atomically(root / MERGED, json.dumps({"sets": sets}, indent=1) + "\n")


def read_sets(root: Path) -> list[tuple[str, FolderSettings | None]]:
    """Read what `write_sets` wrote.

    Raises:
        DataError: The file is missing or damaged.
    """
    path = root / MERGED
    try:
        entries = json.loads(read_regular(path, _MOST_BYTES))["sets"]
        sets = [_read_set(entry) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ConfigError) as error:
        raise DataError(
            f"{printable(path)} names no sets ({type(error).__name__}): merge them again with resight data merge"
        ) from error
    if not sets:
        raise DataError(f"{printable(path)} names no sets: merge them again with resight data merge")
    return sets


def _read_set(entry: dict[str, Any]) -> tuple[str, FolderSettings | None]:
    spec, layout, pattern = str(entry["data"]), str(entry.get("layout", "")), str(entry.get("pattern", ""))
    return spec, FolderSettings(layout=layout, pattern=pattern) if layout or pattern else None
