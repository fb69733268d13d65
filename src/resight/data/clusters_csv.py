"""The table of clusters that a run writes: the cluster of each image."""

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
"""The name of the table in a run folder."""

COLUMNS = ("path", "cluster", "camera", "margin")

_FORMULA = ("=", "+", "-", "@")
"""The characters at which a spreadsheet starts a formula."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """Images and their clusters.

    Attributes:
        table: The ``N`` images.
        labels: ``(N,)`` clusters ``0..C-1``; ``-1`` for images in none.
        margins: ``(N,)`` the margin of each image, see `resight.numerics.margins.margins`; nan for images in none.
    """

    table: ImageTable
    labels: Ints
    margins: Floats


def clusters_csv(clusters: Clusters, names: Mapping[str, Sequence[str]]) -> str:
    """Write clusters as CSV, one line per image.

    Args:
        clusters: The clusters.
        names: The names of the data set's ``cameras``, in the order of the ids, if they have names.

    Returns:
        Columns ``path``, as in the table; ``cluster``, -1 for none; ``camera``, empty if unknown; ``margin``, empty
        for images in no cluster. Text that a terminal or a spreadsheet would execute is escaped.
    """
    cameras = names.get("cameras", ())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    columns = (clusters.table.paths, clusters.labels, clusters.table.camera_ids, clusters.margins)
    for path, label, camera, margin in zip(*(column.tolist() for column in columns), strict=True):
        cell = f"./{path}" if path.startswith(_FORMULA) else path
        writer.writerow((printable(cell), label, _camera_cell(camera, cameras), "" if label < 0 else f"{margin:.4f}"))
    return text.getvalue()


def _camera_cell(camera: int, names: Sequence[str]) -> str:
    if camera == UNKNOWN:
        return ""
    name = printable(names[camera]) if names else str(camera)
    return f"'{name}" if name.startswith(_FORMULA) else name


def read_clusters(path: Path, table: ImageTable) -> Clusters | None:
    """Read the clusters that `clusters_csv` wrote.

    Args:
        path: The file.
        table: The images of the clusters, in order. Their paths may differ from the file's if the folder has moved.

    Returns:
        The clusters; None if there is no such file. If the file was changed, for example by a spreadsheet, None with a
        warning: a run still gets its report.
    """
    if not path.is_file():
        return None
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
        labels = np.array([int(row["cluster"]) for row in rows], np.int64)
        margins = np.array([float(row["margin"] or "nan") for row in rows], np.float32)
    except (OSError, ValueError, OverflowError, KeyError, TypeError, csv.Error):
        labels, margins = np.full(1, UNKNOWN - 1), np.full(1, np.nan, np.float32)
    clustered = labels >= 0
    clusters = np.unique(labels[clustered])
    no_gaps = labels.min(initial=0) >= UNKNOWN and clusters.max(initial=-1) + 1 == len(clusters)
    if not no_gaps or len(labels) != len(table) or not np.isfinite(margins[clustered]).all():
        logger.warning("the report shows no clusters: %s is not as the run wrote it", printable(path))
        return None
    return Clusters(table, labels, margins)
