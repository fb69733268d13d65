"""Contact sheets of clusters: without labels, the only way to see whether each holds one person."""

from __future__ import annotations

from html import escape

import numpy as np

from resight.data.clusters_csv import CLUSTERS, Clusters
from resight.errors import counted
from resight.files import printable
from resight.numerics.margins import means_by_cluster
from resight.records import UNKNOWN, Doubles, Ints
from resight.reports.contact_sheets import contact_sheet, spread
from resight.reports.letters import Letters
from resight.reports.page import Section
from resight.reports.tiles import Names, data_uri, display_name

SHEETS, IMAGES = 4, 8
"""The most clusters of each kind, and the most images of each cluster."""

_OUTLIER_LINES = 2
_MOST_NAMES = 4  # cameras or people in a caption
_HEIGHT = 112
_FONT_SIZE, _NAME_WIDTH = 14, 220  # of a caption, in pixels

_INTRO = (
    "The clusters that the best model learned from. Each sheet shows a cluster by images spread over its cameras, with "
    "their names above. If a sheet shows two people, the model mixes them. If two sheets show the same person, the "
    f"model separates images of one person. {CLUSTERS} next to this page lists the cluster of every image."
)

KINDS = {
    "Largest": "A cluster that grows too large joins people who have nothing in common.",
    "Most mixed by camera": "Clusters across cameras are the purpose of the training, if they show one person.",
    "Least certain": "Their images are hardly more similar to each other than to those of the next cluster.",
    "Of several people": "By the labels of the images, which the training did not use.",
    "In no cluster": "Too different from all others, or too few of a person: the training ignored them in that epoch.",
}
"""The kinds of clusters, and the reason to look at each."""


def clusters_section(clusters: Clusters, names: Names | None = None) -> Section:
    """Build the section of contact sheets: the largest, most mixed and least certain clusters, and the outliers.

    Args:
        clusters: The clusters.
        names: The data set's names of ``people`` and ``cameras``, in the order of the ids, if it has any.

    Returns:
        The section. If people are known, it also shows clusters of several people.
    """
    sheets_of = {
        kind: "".join(_sheet(clusters, number, names or {}) for number in numbers)
        for kind, numbers in choose_clusters(clusters).items()
    }
    outliers = np.flatnonzero(clusters.labels < 0)
    if len(outliers):
        caption = counted(len(outliers), "image")
        sheets_of["In no cluster"] = _figure(clusters, outliers, caption, names or {}, lines=_OUTLIER_LINES)
    body = "".join(
        f'<h3>{kind}</h3><p class="intro">{KINDS[kind]}</p><div class="sheets">{sheets}</div>'
        for kind, sheets in sheets_of.items()
    )
    return Section("Clusters to look at", body, _INTRO)


def choose_clusters(clusters: Clusters) -> dict[str, list[int]]:
    """Choose clusters to look at.

    Args:
        clusters: The clusters.

    Returns:
        A few clusters for each of `KINDS` that exists, the clearest examples first; no cluster twice.
    """
    labels, table = clusters.labels, clusters.table
    sizes = np.bincount(labels[labels >= 0])
    if not len(sizes):
        return {}
    ranked: dict[str, Doubles] = {"Largest": sizes.astype(np.float64)}
    if table.has_cameras:
        ranked["Most mixed by camera"] = _mixture(labels, table.camera_ids)
    if len(sizes) > 1:
        ranked["Least certain"] = -means_by_cluster(clusters.margins, labels)
    if table.has_people:
        labeled = np.where(table.person_ids == UNKNOWN, UNKNOWN, labels)
        ranked["Of several people"] = _mixture(labeled, table.person_ids, num_clusters=len(sizes))
    used = set[int]()
    chosen: dict[str, list[int]] = {}
    for kind, values in ranked.items():
        threshold = -np.inf if kind in ("Largest", "Least certain") else 0
        order = np.argsort(-values, kind="stable").tolist()
        chosen[kind] = [number for number in order if number not in used and values[number] > threshold][:SHEETS]
        used.update(chosen[kind])
    return {kind: numbers for kind, numbers in chosen.items() if numbers}


def _mixture(labels: Ints, ids: Ints, *, num_clusters: int = 0) -> Doubles:
    """Return the entropy of each cluster's ids, in bits: 0 for a single id, more for more and more even ids."""
    clustered = labels >= 0
    pairs, counts = np.unique(np.stack([labels[clustered], ids[clustered]]), axis=1, return_counts=True)
    owners = pairs[0]
    shares = counts / np.bincount(owners, counts)[owners]
    return np.asarray(np.bincount(owners, -shares * np.log2(shares), minlength=num_clusters), dtype=np.float64)


def _sheet(clusters: Clusters, number: int, names: Names) -> str:
    rows = np.flatnonzero(clusters.labels == number)
    words = [f"Cluster {number}", counted(len(rows), "image")]
    words += _describe_ids(clusters.table.camera_ids[rows], names, "camera", "cameras")
    words += _describe_ids(clusters.table.person_ids[rows], names, "person", "people")
    return _figure(clusters, rows, " · ".join(words), names)


def _figure(clusters: Clusters, rows: Ints, caption_html: str, names: Names, *, lines: int = 1) -> str:
    """Return the HTML of a few of some images, spread over their cameras, under a caption."""
    table = clusters.table[rows[np.argsort(clusters.table.camera_ids[rows], kind="stable")]]
    sample = table[spread(np.arange(len(table)), lines * IMAGES)]
    camera_names = [display_name(camera, names.get("cameras", ()), "camera") for camera in sample.camera_ids.tolist()]
    sheets = [
        contact_sheet(
            [sample.paths[start : start + IMAGES].tolist()],
            column_titles=camera_names[start : start + IMAGES] if any(camera_names) else (),
            height=_HEIGHT,
        )
        for start in range(0, len(sample), IMAGES)
    ]
    pictures = "".join(
        f'<img src="{data_uri(sheet)}" width="{sheet.width}" height="{sheet.height}" alt="Some of its images, by '
        f'{escape(", ".join(dict.fromkeys(filter(None, camera_names))) or "unknown cameras")}" loading="lazy">'
        for sheet in sheets
    )
    return f'<figure class="sheet"><figcaption>{caption_html}</figcaption>{pictures}</figure>'


def _describe_ids(ids: Ints, names: Names, kind: str, plural: str) -> list[str]:
    """Return the number of images of each camera or person as HTML; an empty list if none is known.

    An example is "2 cameras: hall (12), yard (3)". Long names are shortened; the tooltip has the full name.
    """
    unique_ids, counts = np.unique(ids[ids != UNKNOWN], return_counts=True)
    if not len(unique_ids):
        return []
    order = np.argsort(-counts, kind="stable")[:_MOST_NAMES].tolist()
    full_names = [display_name(int(unique_ids[i]), names.get(plural, ()), kind) for i in order]
    shortened = Letters(_FONT_SIZE).shorten(map(printable, names.get(plural, full_names)), _NAME_WIDTH)
    # Without the element bdi, a name written from right to left would move the number next to it.
    parts = [
        f'<bdi title="{escape(name)}">{escape(shortened[name])}</bdi> ({counts[i]:,})'
        for name, i in zip(full_names, order, strict=True)
    ]
    parts += [f"{len(unique_ids) - _MOST_NAMES:,} more"] if len(unique_ids) > _MOST_NAMES else []
    parts += [f"unknown ({(ids == UNKNOWN).sum():,})"] if (ids == UNKNOWN).any() else []
    return [f"{counted(len(unique_ids), kind, plural)}: {', '.join(parts)}"]
