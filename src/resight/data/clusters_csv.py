"""The table of clusters that a run leaves: which image went into which."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resight.files import printable
from resight.records import UNKNOWN, Floats, ImageTable, Ints

logger = logging.getLogger(__name__)

CLUSTERS = "clusters.csv"
"""Its name in a run folder."""

COLUMNS = ("path", "cluster", "camera", "margin")

_FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the start of a formula."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """Images and their clusters.

    Attributes:
        table: The ``N`` images.
        labels: ``(N,)`` clusters ``0..C-1``; ``-1`` for images in none.
        margins: ``(N,)`` how sure each is, see `resight.numerics.margins.margins`; nan for images in none.
    """

    table: ImageTable
    labels: Ints
    margins: Floats


def clusters_csv(clusters: Clusters, names: Mapping[str, Sequence[str]]) -> str:
    """Write clusters as CSV, a line an image.

    Args:
        clusters: The clusters.
        names: What the data call their ``cameras``, in the order of the ids, where they have names.

    Returns:
        Columns ``path``, as in the table; ``cluster``, -1 for none; ``camera``, empty where unknown; ``margin``, empty
        for none. What would act on a terminal or in a spreadsheet is made harmless.
    """
    cameras = names.get("cameras", ())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    columns = (clusters.table.paths, clusters.labels, clusters.table.camera_ids, clusters.margins)
    for path, label, camera, margin in zip(*(column.tolist() for column in columns), strict=True):
        place = f"./{path}" if path.startswith(_FORMULA) else path
        writer.writerow((printable(place), label, _camera(camera, cameras), "" if label < 0 else f"{margin:.4f}"))
    return text.getvalue()


def _camera(camera: int, names: Sequence[str]) -> str:
    if camera == UNKNOWN:
        return ""
    name = printable(names[camera]) if names else str(camera)
    return f"'{name}" if name.startswith(_FORMULA) else name


def read_clusters(path: Path, table: ImageTable) -> Clusters | None:
    """Read what `clusters_csv` wrote.

    Args:
        path: The file.
        table: The images that it is of, in their order; its paths may have changed since, if their folder has moved.

    Returns:
        The clusters; None where there is no such file, or, with a warning, where it is no longer what was written: a
        spreadsheet may have saved it in another way, and that must not cost a run its report.
    """
    if not path.is_file():
        return None
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
        labels = np.array([int(row["cluster"]) for row in rows], np.int64)
        values = np.array([float(row["margin"] or "nan") for row in rows], np.float32)
    except (OSError, ValueError, OverflowError, KeyError, TypeError, csv.Error):
        labels, values = np.full(1, UNKNOWN - 1), np.full(1, np.nan, np.float32)
    inside = labels >= 0
    known = np.unique(labels[inside])
    whole = labels.min(initial=0) >= UNKNOWN and known.max(initial=-1) + 1 == len(known)
    if not whole or len(labels) != len(table) or not np.isfinite(values[inside]).all():
        logger.warning("the report shows no clusters: %s is not as the run wrote it", printable(path))
        return None
    return Clusters(table, labels, values)
