"""The synthetic sets of `resight data synthesize`, with their tracklets.

They have Market-1501's layout and can be read as such. In addition, ``annotations.csv`` next to the images groups the
images of each visit into a tracklet; this parser reads it. If queries are whole visits, the unit is the tracklet.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from resight.data.dataset import Dataset, Unit
from resight.data.roots import MARKET_FOLDERS, find_root
from resight.errors import DataError
from resight.files import printable, read_regular
from resight.records import ImageTable, Ints

CORPUS = "corpus.json"
"""The file that marks a corpus of sites, and holds its settings."""

_SITE = 10_000
"""What the ids of a corpus' next site are higher by; a site's have four digits."""

_NAME = re.compile(r"site-[0-9]{4}")

MAX_BYTES = 2**20
"""The most bytes of ``dataset.json``; it has a few hundred."""

_COLUMNS = ("label", "camera", "tracklet", "frame")


def load_synthetic(root: Path) -> Dataset:
    """Read a set of synthetic people, or a corpus of such sets.

    Args:
        root: The folder with ``annotations.csv`` and ``dataset.json``, or that of a corpus.

    Returns:
        The data set; a tracklet is a visit, and distractors and junk of an image set have none. The people and cameras
        of a corpus are numbered site by site.

    Raises:
        DataError: A file is missing or invalid.
    """
    if (root / CORPUS).is_file():
        return _load_corpus(root)
    root = find_root("synthetic", root, ("annotations.csv", "dataset.json"))
    video = bool(_read_settings(root / "dataset.json").get("tracklets", False))
    unit: Unit = "tracklets" if video else "images"
    tables = _read_annotations(root)
    return Dataset("synthetic", root, tables["train"], tables["query"], tables["gallery"], distractor_id=0, unit=unit)


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(read_regular(path, MAX_BYTES))["settings"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = type(error).__name__
        raise DataError(
            f"synthetic: {printable(path)} has no settings of a synthetic set ({reason}): synthesize it again"
        ) from error


def _load_corpus(root: Path) -> Dataset:
    """Read the sites of a corpus as one set; person p and camera c of site s become 10,000 s + p and 10,000 s + c."""
    folders = {int(folder.name[5:]): folder for folder in sorted(root.iterdir()) if _NAME.fullmatch(folder.name)}
    if not folders:
        raise DataError(f"synthetic: {printable(root)} holds no site yet: synthesize it again, which continues it")
    sites = {number: load_synthetic(folder) for number, folder in folders.items()}
    wanted = _read_settings(root / CORPUS).get("sites")
    if not isinstance(wanted, int):
        raise DataError(f"synthetic: {printable(root / CORPUS)} has no number of sites: synthesize the corpus again")
    tables, tracklets = [], 0
    for number, site in sites.items():
        tables.append({split: _renumber(table, number, tracklets) for split, table in site.tables.items()})
        tracklets += 1 + max(int(table.tracklet_ids.max(initial=0)) for table in site.tables.values())
    missing = (f"{len(folders)} of {wanted} sites are there: synthesize it again, which continues it",)
    return Dataset(
        "synthetic",
        root,
        train=ImageTable.concatenate(*(site["train"] for site in tables)),
        query=ImageTable.concatenate(*(site["query"] for site in tables)),
        gallery=ImageTable.concatenate(*(site["gallery"] for site in tables)),
        notes=() if len(folders) == wanted else missing,
        distractor_id=0,
        unit=next(iter(sites.values())).unit,
    )


def _renumber(table: ImageTable, site: int, tracklets: int) -> ImageTable:
    def moved(ids: Ints, offset: int) -> Ints:
        return np.where(ids > 0, ids + offset, ids)

    return replace(
        table,
        person_ids=moved(table.person_ids, site * _SITE),
        camera_ids=table.camera_ids + site * _SITE,
        tracklet_ids=np.where(table.tracklet_ids >= 0, table.tracklet_ids + tracklets, table.tracklet_ids),
        domain_ids=np.full(len(table), site),
    )


def _read_annotations(root: Path) -> dict[str, ImageTable]:
    path = root / "annotations.csv"
    splits = {folder: split for split, folder in MARKET_FOLDERS.items()}
    rows: dict[str, list[tuple[str, list[int]]]] = {split: [] for split in MARKET_FOLDERS}
    with path.open(newline="", encoding="utf-8") as handle:
        reader = csv.DictReader(handle)
        for row in reader:
            try:
                split = splits[row["path"].partition("/")[0]]
                rows[split].append((str(root / row["path"]), [int(row[column]) for column in _COLUMNS]))
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                location = f"line {reader.line_num} of {path}"
                expected = f"path (in one of {', '.join(splits)}), {', '.join(_COLUMNS)}"
                raise DataError(f"synthetic: {location} must have {expected}: {error!r}") from error
    if not any(rows.values()):
        raise DataError(f"synthetic: {path} lists no image: synthesize the set again")
    tables = {}
    for split, images in rows.items():
        numbers = np.array([values for _, values in images], np.int64).reshape(-1, len(_COLUMNS))
        tables[split] = ImageTable(np.array([name for name, _ in images], np.str_), *numbers.T)
    return tables
