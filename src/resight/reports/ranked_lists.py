"""Ranked strips: pictures of what a search gave.

An image that cannot be read becomes a gray tile that says so: one broken file never costs the whole page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from resight.errors import DataError, nearest
from resight.files import printable
from resight.records import UNKNOWN, Features, Ints, Ranking, Report
from resight.reports.letters import Letters
from resight.reports.tiles import INK, MUTED, PAPER, Names, called, data_uri, draw_tile, read_picture, tile_width
from resight.retrieval.ranking import similarities

VERDICT_COLORS = {"right": "#009e73", "wrong": "#d55e00", "junk": "#9aa0a6", "unknown": "#6a87a8"}
"""The frame of each verdict. The green and the red stay apart for every common kind of color blindness."""

_RESULTS = 10


@dataclass(frozen=True)
class Strip:
    """A ranked strip and the words that go with it.

    Attributes:
        image: The picture.
        heading: What it shows: the query, its person and camera, its score.
        verdicts: The verdicts in rank order.
    """

    image: Image.Image
    heading: str
    verdicts: tuple[str, ...]

    def data_uri(self) -> str:
        """Return the picture as a JPEG in a data URI."""
        return data_uri(self.image)


def verdicts(query_person: int, query_camera: int, people: Ints, cameras: Ints) -> list[str]:
    """Judge results by what is known of the query and of each result.

    Args:
        query_person: The query's person, ``-1`` unknown.
        query_camera: The query's camera, ``-1`` unknown.
        people: ``(K,)`` the results' people.
        cameras: ``(K,)`` the results' cameras.

    Returns:
        For each result ``"right"`` (same person, another camera), ``"junk"`` (person ``-1``, or same person
        and same camera: neither right nor wrong), ``"wrong"``; or ``"unknown"`` where the query's person is
        not known. Two unknown cameras do not count as the same one.
    """
    if query_person == UNKNOWN:
        return ["unknown"] * len(people)
    same_person = people == query_person
    same_camera = (cameras == query_camera) & (query_camera != UNKNOWN)
    junk = (people == UNKNOWN) | (same_person & same_camera)
    return [str(verdict) for verdict in np.select([junk, same_person], ["junk", "right"], "wrong")]


def first_judged(
    queries: Features, gallery: Features, ranking: Ranking, *, exclude: str, count: int
) -> list[list[tuple[str, str]]]:
    """Return for each query the files and verdicts of its first results that are not junk.

    Args:
        queries: The queries, a row each.
        gallery: What was searched.
        ranking: The ranking, a row for each query.
        exclude: What does not count, as of a data set: ``"same-camera"`` or ``"none"``.
        count: How many results a query has at most.
    """
    judged = []
    for person, camera, indices in zip(
        queries.table.person_ids, queries.table.camera_ids, ranking.indices, strict=True
    ):
        table = gallery.table[indices[indices >= 0]]
        own_camera = int(camera) if exclude == "same-camera" else UNKNOWN
        pairs = zip(
            map(str, table.paths), verdicts(int(person), own_camera, table.person_ids, table.camera_ids), strict=True
        )
        judged.append([pair for pair in pairs if pair[1] != "junk"][:count])
    return judged


def by_precision(report: Report) -> list[int]:
    """Return the scored queries, as rows of the query table, the lowest average precision first."""
    precision = np.asarray(report.per_query.get("average_precision", ()), dtype=np.float64)
    order = np.argsort(precision, kind="stable")
    rows = np.asarray(report.per_query.get("query", np.arange(len(precision))))
    return [int(rows[i]) for i in order if np.isfinite(precision[i])]


def sample_queries(report: Report, ranking: Ranking, count: int) -> list[int]:
    """Choose queries, spread evenly from the best found to the worst.

    Args:
        report: The evaluation; without scores, any queries are chosen.
        ranking: The ranking, one row a query.
        count: How many to choose at most.

    Returns:
        Rows of the query table.
    """
    # Without scores, every query of the ranking is as good an example as any other.
    scored = len(report.per_query.get("average_precision", ())) > 0
    ordered = by_precision(report)[::-1] if scored else list(range(len(ranking)))
    spread = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)
    return [ordered[place] for place in spread]


def query_strips(
    queries: Features,
    gallery: Features,
    ranking: Ranking,
    *,
    rows: Sequence[int],
    report: Report | None = None,
    names: Names | None = None,
    height: int = 128,
) -> list[Strip]:
    """Draw the ranked strip of each chosen query, ten results each, with similarity and camera.

    Args:
        queries: The ``Q`` queries.
        gallery: What they were ranked against.
        ranking: The ranking, one row a query.
        rows: The queries to draw, as rows of ``queries``.
        report: Where the queries' scores come from, and the rule they were made by; no scores are told without it.
        names: What the data call their ``people`` and ``cameras``, in the order of the ids, where they have names.
        height: Height of the pictures in pixels.

    Returns:
        A strip for each of ``rows``, in their order.
    """
    people, places = ((names or {}).get(what, ()) for what in ("people", "cameras"))
    # Where the rule removes nothing, a result of the query's own camera counts like any other.
    by_camera = report is None or report.provenance.get("exclude") != "none"
    score_rows = {} if report is None else {int(q): i for i, q in enumerate(report.per_query.get("query", ()))}
    query, others = queries.table, gallery.table
    alike = similarities(queries, gallery, ranking, rows=rows)
    drawn = []
    for place, row in enumerate(rows):
        found = np.flatnonzero(ranking.indices[row] >= 0)[:_RESULTS]
        ids = ranking.indices[row][found]
        person, camera = int(query.person_ids[row]), int(query.camera_ids[row])
        judged = verdicts(person, camera if by_camera else UNKNOWN, others.person_ids[ids], others.camera_ids[ids])
        captions = [
            f"{similarity:.3f}\n{called(int(seen_by), places, 'camera')}"
            for similarity, seen_by in zip(alike[place][found], others.camera_ids[ids], strict=True)
        ]
        image = ranked_strip(
            query.paths[row],
            list(others.paths[ids]),
            verdicts=judged,
            captions=captions,
            names=places,
            height=height,
        )
        words = [
            f"Query {row}",
            called(person, people, "person") or "person unknown",
            called(camera, places, "camera"),
        ]
        if report is not None and row in score_rows:
            words += _scored(report, score_rows[row])
        drawn.append(Strip(image, " · ".join(word for word in words if word), tuple(judged)))
    return drawn


def ranked_strip(
    query: str | Path,
    results: Sequence[str | Path],
    *,
    verdicts: Sequence[str],
    captions: Sequence[str] = (),
    names: Sequence[str] = (),
    height: int = 128,
) -> Image.Image:
    """Draw a query and what it found, most similar first.

    The query stands left, in a dark border. Each result has a frame in the color of its verdict and a badge
    that says the same without color: a tick, a cross, a dash (junk) or a ring (not known).

    Args:
        query: The query's image file.
        results: The results' image files, in rank order.
        verdicts: One of ``"right"``, ``"wrong"``, ``"junk"``, ``"unknown"`` for each result.
        captions: A short text under each result, lines parted by a newline; none where empty. Lines that are too long
            are cut so that those that differ still do.
        names: What else such a line may be in other strips: it is cut to differ from these too.
        height: Height of the pictures in pixels, without frame and caption.

    Returns:
        The strip, in mode RGB.

    Raises:
        DataError: There are more or fewer verdicts or captions than results, or a verdict is not known.
    """
    if len(verdicts) != len(results) or (captions and len(captions) != len(results)):
        raise DataError(
            f"a strip needs one verdict for each result, and no captions or one for each: found "
            f"{len(results)} results, {len(verdicts)} verdicts, {len(captions)} captions"
        )
    for verdict in verdicts:
        if verdict not in VERDICT_COLORS:
            known = ", ".join(VERDICT_COLORS)
            hint = nearest(verdict, VERDICT_COLORS)
            raise DataError(f"a verdict must be one of {known}; found '{verdict}'{hint}")

    pictures = [read_picture(path, height) for path in (query, *results)]
    width = tile_width(pictures, height)
    frame, gap, margin = _spacing(height)
    letters = Letters(max(9, height // 13))
    line = round(letters.size * 1.3)
    texts = [caption.split("\n") for caption in captions]
    lines = max([1, *map(len, texts)])
    room = width + 2 * frame + gap - 2
    cut = {**letters.apart(chain.from_iterable(texts), room), **letters.apart(map(printable, names), room)}
    step = width + 2 * frame + gap
    first = margin + step + 3 * gap  # the wide gap sets the query apart
    columns = max(len(results), 1)
    strip = Image.new(
        "RGB",
        (first + columns * step - gap + margin, 2 * margin + height + 2 * frame + gap + lines * line),
        PAPER,
    )
    draw = ImageDraw.Draw(strip)
    below = margin + height + 2 * frame + gap // 2

    draw_tile(strip, pictures[0], (margin, margin), (width, height), frame, INK)
    letters.write(draw, (margin + frame + width // 2, below), "query", INK, "ma")
    for rank, picture in enumerate(pictures[1:]):
        left = first + rank * step
        color = VERDICT_COLORS[verdicts[rank]]
        draw_tile(strip, picture, (left, margin), (width, height), frame, color)
        _badge(draw, verdicts[rank], (left, margin), max(12, height // 8))
        for row, text in enumerate(texts[rank] if captions else ()):
            letters.write(draw, (left + frame + width // 2, below + row * line), cut[text], MUTED, "ma")
    if not results:
        letters.write(draw, (first + width // 2, margin + height // 2), "no result", MUTED, "ma")
    return strip


def stacked(strips: Sequence[Image.Image], labels: Sequence[str] = ()) -> Image.Image:
    """Stack strips below each other, each with its label on the left if there are labels."""
    letters = Letters(14)
    left = 16 + round(max(map(letters.length, labels))) if labels else 0
    size = (left + max(strip.width for strip in strips), sum(strip.height for strip in strips))
    sheet = Image.new("RGB", size, PAPER)
    draw, top = ImageDraw.Draw(sheet), 0
    for index, strip in enumerate(strips):
        if labels:
            letters.write(draw, (8, top + strip.height // 2), labels[index], INK, "lm")
        sheet.paste(strip, (left, top))
        top += strip.height
    return sheet


def result_edges(strip: Image.Image, results: int, *, height: int = 128) -> list[tuple[int, int]]:
    """Return where the results stand in a ranked strip, for what is drawn below them.

    Args:
        strip: What `ranked_strip` gave.
        results: How many results it shows.
        height: Height that it was drawn at.

    Returns:
        For each result the left and the right edge of its frame, in pixels; the right one is outside.
    """
    _, gap, margin = _spacing(height)
    step = (strip.width - 2 * margin - 2 * gap) // (max(results, 1) + 1)  # the query stands in a column too
    first = margin + step + 3 * gap
    return [(first + rank * step, first + (rank + 1) * step - gap) for rank in range(results)]


def _spacing(height: int) -> tuple[int, int, int]:
    """Return the width of frames, of gaps between tiles and of a strip's margin."""
    return max(3, height // 32), max(5, height // 22), max(6, height // 18)


def _scored(report: Report, entry: int) -> list[str]:
    """Say how one query scored."""
    precision = float(report.per_query["average_precision"][entry])
    if not np.isfinite(precision):
        return ["no possible match in the gallery: not scored"]
    words = [f"average precision {100 * precision:.1f} %"]
    if "first_rank" in report.per_query:
        words.append(f"first right result at rank {int(report.per_query['first_rank'][entry]) + 1}")
    return words


def _badge(draw: ImageDraw.ImageDraw, verdict: str, corner: tuple[int, int], size: int) -> None:
    """Draw the verdict's mark in white, in a square of its color."""
    left, top = corner
    draw.rectangle((left, top, left + size - 1, top + size - 1), fill=VERDICT_COLORS[verdict])

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(left + x * size, top + y * size) for x, y in points]

    stroke = max(2, size // 8)
    if verdict == "right":
        draw.line(at((0.24, 0.52), (0.43, 0.72), (0.78, 0.28)), fill="#ffffff", width=stroke, joint="curve")
    elif verdict == "wrong":
        draw.line(at((0.27, 0.27), (0.73, 0.73)), fill="#ffffff", width=stroke)
        draw.line(at((0.73, 0.27), (0.27, 0.73)), fill="#ffffff", width=stroke)
    elif verdict == "junk":
        draw.line(at((0.25, 0.5), (0.75, 0.5)), fill="#ffffff", width=stroke)
    else:
        draw.ellipse(at((0.28, 0.28), (0.72, 0.72)), outline="#ffffff", width=stroke)
