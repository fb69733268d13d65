"""The synthetic sets of `resight data synthesize`, with their tracklets.

They have Market-1501's layout and can be read as such. In addition, ``annotations.csv`` next to the images groups the
images of each visit into a tracklet; this parser reads it. If queries are whole visits, the unit is the tracklet.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

from resight.data.dataset import Dataset, Unit
from resight.data.roots import MARKET_FOLDERS, find_root
from resight.errors import DataError
from resight.files import printable, read_regular
from resight.records import ImageTable

MAX_BYTES = 2**20
"""The most bytes of ``dataset.json``; it has a few hundred."""

_COLUMNS = ("label", "camera", "tracklet", "frame")


def load_synthetic(root: Path) -> Dataset:
    """Read a set of synthetic people.

    Args:
        root: The folder with ``annotations.csv`` and ``dataset.json``.

    Returns:
        The data set; a tracklet is a visit, and distractors and junk of an image set have none.

    Raises:
        DataError: A file is missing or invalid.
    """
    root = find_root("synthetic", root, ("annotations.csv", "dataset.json"))
    path = root / "dataset.json"
    try:
        video = bool(json.loads(read_regular(path, MAX_BYTES))["settings"].get("tracklets", False))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = type(error).__name__
        raise DataError(
            f"synthetic: {printable(path)} has no settings of a synthetic set ({reason}): synthesize it again"
        ) from error
    unit: Unit = "tracklets" if video else "images"
    tables = _read_annotations(root)
    return Dataset("synthetic", root, tables["train"], tables["query"], tables["gallery"], distractor_id=0, unit=unit)


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
