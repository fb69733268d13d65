"""The sets that `resight data synthesize` draws, with their tracklets.

They have Market-1501's layout, and can be read as that; beside the images, ``annotations.csv`` holds what their names
do not: which images belong to one visit. It is read here. Where a query was drawn as a whole visit, the unit is the
tracklet.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

from resight.data.dataset import Dataset
from resight.data.roots import MARKET_FOLDERS, find_root
from resight.errors import DataError
from resight.files import printable, read_regular
from resight.records import ImageTable

LARGEST = 2**20
"""The most bytes of ``dataset.json``; it has some hundred."""

_COLUMNS = ("label", "camera", "tracklet", "frame")


def load_synthetic(root: Path) -> Dataset:
    """Read a set of synthetic people.

    Args:
        root: The folder with ``annotations.csv`` and ``dataset.json``.

    Returns:
        The data set; a tracklet is a visit, and distractors and junk of an image set have none.

    Raises:
        DataError: A file is missing, or is not as it was written.
    """
    found = find_root("synthetic", root, ("annotations.csv", "dataset.json"))
    path = found / "dataset.json"
    try:
        video = bool(json.loads(read_regular(path, LARGEST))["settings"].get("tracklets", False))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = type(error).__name__
        raise DataError(
            f"synthetic: {printable(path)} holds no settings of a drawn set ({reason}): draw it again"
        ) from error
    tables = _read_annotations(found)
    return Dataset(
        "synthetic", found, tables["train"], tables["query"], tables["gallery"], distractor_id=0,
        unit="tracklets" if video else "images",
    )  # fmt: skip


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
                where = f"line {reader.line_num} of {path}"
                expected = f"path (in one of {', '.join(splits)}), {', '.join(_COLUMNS)}"
                raise DataError(f"synthetic: {where} must have {expected}: {error!r}") from error
    if not any(rows.values()):
        raise DataError(f"synthetic: {path} lists no image: draw the set again")
    tables = {}
    for split, images in rows.items():
        numbers = np.array([values for _, values in images], np.int64).reshape(-1, len(_COLUMNS))
        tables[split] = ImageTable(np.array([name for name, _ in images], np.str_), *numbers.T)
    return tables
