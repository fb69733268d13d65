"""Clusters to look at: without labels, the only way to see whether they hold one person each."""

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
from resight.reports.tiles import Names, called, data_uri

SHEETS, IMAGES = 4, 8
"""The most clusters of each kind, and images of each, that are shown."""

_LINES_OF_NONE = 2
_NAMED = 4  # cameras or people in a caption
_HEIGHT = 112
_LETTERS, _ROOM = 14, 220  # pixels: of a caption, and what a name may take of it

_INTRO = (
    "The clusters that the kept model learned from; each is shown once, by images spread over its cameras, whose names "
    "stand above them. A sheet that shows two people: the model mixes them. Two sheets that show the same person: it "
    f"holds them apart. Which image is in which cluster is in {CLUSTERS} beside this page."
)

KINDS = {
    "Largest": "Where a cluster grows too large, it joins people who have nothing in common.",
    "Most mixed by camera": "Cameras that are joined are what training is for, if they show one person.",
    "Least certain": "Their images are hardly more alike to each other than to those of the next cluster.",
    "Of several people": "By the labels of these images, which training did not see.",
    "In no cluster": "Too unlike all others, or seen too rarely: nothing was learned from them in that epoch.",
}
"""Why clusters of each kind are looked at."""


def clusters_section(clusters: Clusters, names: Names | None = None) -> Section:
    """Show contact sheets of the largest clusters, the most mixed, the least certain, and of images in none.

    Args:
        clusters: The clusters.
        names: What the data call their ``people`` and ``cameras``, in the order of the ids, where they have names.

    Returns:
        The section. Where people are known, clusters of several are shown too.
    """
    shown = {
        kind: "".join(_sheet(clusters, number, names or {}) for number in numbers)
        for kind, numbers in chosen_clusters(clusters).items()
    }
    none = np.flatnonzero(clusters.labels < 0)
    if len(none):
        shown["In no cluster"] = _figure(clusters, none, counted(len(none), "image"), names or {}, lines=_LINES_OF_NONE)
    body = "".join(
        f'<h3>{kind}</h3><p class="intro">{KINDS[kind]}</p><div class="sheets">{sheets}</div>'
        for kind, sheets in shown.items()
    )
    return Section("Clusters to look at", body, _INTRO)


def chosen_clusters(clusters: Clusters) -> dict[str, list[int]]:
    """Choose clusters to look at.

    Args:
        clusters: The clusters.

    Returns:
        For each of `KINDS` that there are any of, a few clusters, the most telling first; none twice.
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
        known = np.where(table.person_ids == UNKNOWN, UNKNOWN, labels)
        ranked["Of several people"] = _mixture(known, table.person_ids, clusters=len(sizes))
    taken = set[int]()
    found: dict[str, list[int]] = {}
    for kind, values in ranked.items():
        least = -np.inf if kind in ("Largest", "Least certain") else 0
        order = np.argsort(-values, kind="stable").tolist()
        found[kind] = [number for number in order if number not in taken and values[number] > least][:SHEETS]
        taken.update(found[kind])
    return {kind: numbers for kind, numbers in found.items() if numbers}


def _mixture(labels: Ints, kinds: Ints, *, clusters: int = 0) -> Doubles:
    """Return the entropy of each cluster's kinds: 0 for a single one, the larger the more and the more evenly."""
    inside = labels >= 0
    pairs, counts = np.unique(np.stack([labels[inside], kinds[inside]]), axis=1, return_counts=True)
    owners = pairs[0]
    shares = counts / np.bincount(owners, counts)[owners]
    return np.asarray(np.bincount(owners, -shares * np.log2(shares), minlength=clusters), dtype=np.float64)


def _sheet(clusters: Clusters, number: int, names: Names) -> str:
    rows = np.flatnonzero(clusters.labels == number)
    words = [f"Cluster {number}", counted(len(rows), "image")]
    words += _seen(clusters.table.camera_ids[rows], names, "camera", "cameras")
    words += _seen(clusters.table.person_ids[rows], names, "person", "people")
    return _figure(clusters, rows, " · ".join(words), names)


def _figure(clusters: Clusters, rows: Ints, words_html: str, names: Names, *, lines: int = 1) -> str:
    """Draw a few of some images, spread over their cameras, under the words that tell what they are."""
    table = clusters.table[rows[np.argsort(clusters.table.camera_ids[rows], kind="stable")]]
    picked = table[spread(np.arange(len(table)), lines * IMAGES)]
    places = [called(camera, names.get("cameras", ()), "camera") for camera in picked.camera_ids.tolist()]
    sheets = [
        contact_sheet(
            [picked.paths[start : start + IMAGES].tolist()],
            column_titles=places[start : start + IMAGES] if any(places) else (),
            height=_HEIGHT,
        )
        for start in range(0, len(picked), IMAGES)
    ]
    pictures = "".join(
        f'<img src="{data_uri(sheet)}" width="{sheet.width}" height="{sheet.height}" alt="Some of its images, by '
        f'{escape(", ".join(dict.fromkeys(filter(None, places))) or "unknown cameras")}" loading="lazy">'
        for sheet in sheets
    )
    return f'<figure class="sheet"><figcaption>{words_html}</figcaption>{pictures}</figure>'


def _seen(ids: Ints, names: Names, what: str, many: str) -> list[str]:
    """Say of which cameras or people images are, and how many of each, as HTML; nothing where none is known.

    Such as "2 cameras: hall (12), yard (3)". Long names are cut, and whole when the pointer rests on them.
    """
    known, counts = np.unique(ids[ids != UNKNOWN], return_counts=True)
    if not len(known):
        return []
    order = np.argsort(-counts, kind="stable")[:_NAMED].tolist()
    whole = [called(int(known[i]), names.get(many, ()), what) for i in order]
    short = Letters(_LETTERS).apart(map(printable, names.get(many, whole)), _ROOM)
    # A name that is written from right to left would carry the number beside it along, but for the element bdi.
    each = [
        f'<bdi title="{escape(name)}">{escape(short[name])}</bdi> ({counts[i]:,})'
        for name, i in zip(whole, order, strict=True)
    ]
    each += [f"{len(known) - _NAMED:,} more"] if len(known) > _NAMED else []
    each += [f"unknown ({(ids == UNKNOWN).sum():,})"] if (ids == UNKNOWN).any() else []
    return [f"{counted(len(known), what, many)}: {', '.join(each)}"]
