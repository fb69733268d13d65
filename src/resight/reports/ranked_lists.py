"""Ranked lists: pictures of a query and its results.

An image that cannot be read becomes a gray tile with a note, so that a broken file does not stop the page.
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
from resight.reports.tiles import INK, MUTED, PAPER, Names, data_uri, display_name, draw_tile, read_picture, tile_width
from resight.retrieval.ranking import add_similarities

VERDICT_COLORS = {"right": "#009e73", "wrong": "#d55e00", "junk": "#9aa0a6", "unknown": "#6a87a8"}
"""The color of each verdict's frame. Green and red stay distinct for every common kind of color blindness."""

_RESULTS = 10


@dataclass(frozen=True)
class RankedList:
    """The picture of a ranked list, with its heading.

    Attributes:
        image: The picture.
        heading: The query, its person and camera, and its score.
        verdicts: The verdicts in rank order.
    """

    image: Image.Image
    heading: str
    verdicts: tuple[str, ...]

    def data_uri(self) -> str:
        """Return the picture as a JPEG in a data URI."""
        return data_uri(self.image)


def judge(query_person: int, query_camera: int, person_ids: Ints, camera_ids: Ints) -> list[str]:
    """Judge results by the labels of the query and of each result.

    Args:
        query_person: The query's person, ``-1`` unknown.
        query_camera: The query's camera, ``-1`` unknown.
        person_ids: ``(K,)`` the results' people.
        camera_ids: ``(K,)`` the results' cameras.

    Returns:
        For each result ``"right"`` (same person, another camera), ``"junk"`` (person ``-1``, or same person and same
        camera: neither right nor wrong) or ``"wrong"``; ``"unknown"`` for all if the query's person is unknown. Two
        unknown cameras do not count as the same one.
    """
    if query_person == UNKNOWN:
        return ["unknown"] * len(person_ids)
    same_person = person_ids == query_person
    same_camera = (camera_ids == query_camera) & (query_camera != UNKNOWN)
    junk = (person_ids == UNKNOWN) | (same_person & same_camera)
    return [str(verdict) for verdict in np.select([junk, same_person], ["junk", "right"], "wrong")]


def judge_first_results(
    queries: Features, gallery: Features, ranking: Ranking, *, exclude: str, count: int
) -> list[list[tuple[str, str]]]:
    """Return for each query the files and verdicts of its first results that are not junk.

    Args:
        queries: The queries, a row each.
        gallery: The ranked gallery.
        ranking: The ranking, a row for each query.
        exclude: As `Dataset.exclude`: ``"same-camera"`` or ``"none"``.
        count: The most results of a query.
    """
    results = []
    for person, camera, indices in zip(
        queries.table.person_ids, queries.table.camera_ids, ranking.indices, strict=True
    ):
        table = gallery.table[indices[indices >= 0]]
        own_camera = int(camera) if exclude == "same-camera" else UNKNOWN
        pairs = zip(
            map(str, table.paths), judge(int(person), own_camera, table.person_ids, table.camera_ids), strict=True
        )
        results.append([pair for pair in pairs if pair[1] != "junk"][:count])
    return results


def sort_by_precision(report: Report) -> list[int]:
    """Return the scored queries as rows of the query table, lowest average precision first."""
    precision = np.asarray(report.per_query.get("average_precision", ()), dtype=np.float64)
    order = np.argsort(precision, kind="stable")
    rows = np.asarray(report.per_query.get("query", np.arange(len(precision))))
    return [int(rows[i]) for i in order if np.isfinite(precision[i])]


def sample_queries(report: Report, ranking: Ranking, count: int) -> list[int]:
    """Choose queries, spread evenly from the best to the worst score.

    Args:
        report: The evaluation; without scores, the queries are spread over the ranking.
        ranking: The ranking, a row for each query.
        count: The most queries to choose.

    Returns:
        Rows of the query table.
    """
    scored = len(report.per_query.get("average_precision", ())) > 0
    ordered = sort_by_precision(report)[::-1] if scored else list(range(len(ranking)))
    spread = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)
    return [ordered[index] for index in spread]


def draw_query_lists(
    queries: Features,
    gallery: Features,
    ranking: Ranking,
    *,
    rows: Sequence[int],
    report: Report | None = None,
    names: Names | None = None,
    height: int = 128,
) -> list[RankedList]:
    """Draw the ranked list of each chosen query: ten results, with their similarity and camera.

    Args:
        queries: The ``Q`` queries.
        gallery: The ranked gallery.
        ranking: The ranking, a row for each query.
        rows: The queries to draw, as rows of ``queries``.
        report: The evaluation, for the queries' scores and the excluded results; without it, headings have no scores.
        names: The data set's names of ``people`` and ``cameras``, in the order of the ids, if it has any.
        height: Height of the pictures in pixels.

    Returns:
        A ranked list for each of ``rows``, in their order.
    """
    people, cameras = ((names or {}).get(kind, ()) for kind in ("people", "cameras"))
    # If the evaluation excludes nothing, a result of the query's own camera counts like any other.
    excludes_camera = report is None or report.provenance.get("exclude") != "none"
    score_rows = {} if report is None else {int(q): i for i, q in enumerate(report.per_query.get("query", ()))}
    if not ranking.similarities.size:
        ranking = add_similarities(ranking, queries, gallery)
    lists = []
    for row in rows:
        columns = np.flatnonzero(ranking.indices[row] >= 0)[:_RESULTS]
        results = gallery.table[ranking.indices[row][columns]]
        person, camera = int(queries.table.person_ids[row]), int(queries.table.camera_ids[row])
        own_camera = camera if excludes_camera else UNKNOWN
        verdicts = judge(person, own_camera, results.person_ids, results.camera_ids)
        captions = [
            f"{similarity:.3f}\n{display_name(int(result_camera), cameras, 'camera')}"
            for similarity, result_camera in zip(ranking.similarities[row][columns], results.camera_ids, strict=True)
        ]
        image = draw_ranked_list(
            queries.table.paths[row],
            list(results.paths),
            verdicts=verdicts,
            captions=captions,
            names=cameras,
            height=height,
        )
        words = [
            f"Query {row}",
            display_name(person, people, "person") or "person unknown",
            display_name(camera, cameras, "camera"),
        ]
        if report is not None and row in score_rows:
            words += _score_words(report, score_rows[row])
        lists.append(RankedList(image, " · ".join(word for word in words if word), tuple(verdicts)))
    return lists


def draw_ranked_list(
    query: str | Path,
    results: Sequence[str | Path],
    *,
    verdicts: Sequence[str],
    captions: Sequence[str] = (),
    names: Sequence[str] = (),
    height: int = 128,
) -> Image.Image:
    """Draw a query and its results, most similar first.

    The query is on the left, in a dark frame. Each result has a frame in the color of its verdict and a badge for
    readers without color: a tick, a cross, a dash (junk) or a ring (unknown).

    Args:
        query: The query's image file.
        results: The results' image files, in rank order.
        verdicts: One of ``"right"``, ``"wrong"``, ``"junk"``, ``"unknown"`` for each result.
        captions: A short text under each result, with newlines between its lines; empty for none. Long lines are
            shortened so that different lines stay different.
        names: Lines that occur in other ranked lists; shortened lines differ from these too.
        height: Height of the pictures in pixels, without frame and caption.

    Returns:
        The picture, in mode RGB.

    Raises:
        DataError: The number of verdicts or captions differs from that of results, or a verdict is unknown.
    """
    if len(verdicts) != len(results) or (captions and len(captions) != len(results)):
        raise DataError(
            f"a ranked list needs one verdict for each result, and no captions or one for each: found "
            f"{len(results)} results, {len(verdicts)} verdicts, {len(captions)} captions"
        )
    for verdict in verdicts:
        if verdict not in VERDICT_COLORS:
            choices = ", ".join(VERDICT_COLORS)
            hint = nearest(verdict, VERDICT_COLORS)
            raise DataError(f"a verdict must be one of {choices}; found '{verdict}'{hint}")

    pictures = [read_picture(path, height) for path in (query, *results)]
    width = tile_width(pictures, height)
    frame, gap, margin = _spacing(height)
    letters = Letters(max(9, height // 13))
    line = round(letters.size * 1.3)
    texts = [caption.split("\n") for caption in captions]
    lines = max([1, *map(len, texts)])
    text_width = width + 2 * frame + gap - 2
    shortened = {
        **letters.shorten(chain.from_iterable(texts), text_width),
        **letters.shorten(map(printable, names), text_width),
    }
    step = width + 2 * frame + gap
    first = margin + step + 3 * gap  # a wide gap after the query
    columns = max(len(results), 1)
    image = Image.new(
        "RGB",
        (first + columns * step - gap + margin, 2 * margin + height + 2 * frame + gap + lines * line),
        PAPER,
    )
    draw = ImageDraw.Draw(image)
    bottom = margin + height + 2 * frame + gap // 2

    draw_tile(image, pictures[0], (margin, margin), (width, height), frame, INK)
    letters.write(draw, (margin + frame + width // 2, bottom), "query", INK, "ma")
    for rank, picture in enumerate(pictures[1:]):
        left = first + rank * step
        color = VERDICT_COLORS[verdicts[rank]]
        draw_tile(image, picture, (left, margin), (width, height), frame, color)
        _badge(draw, verdicts[rank], (left, margin), max(12, height // 8))
        for row, text in enumerate(texts[rank] if captions else ()):
            letters.write(draw, (left + frame + width // 2, bottom + row * line), shortened[text], MUTED, "ma")
    if not results:
        letters.write(draw, (first + width // 2, margin + height // 2), "no result", MUTED, "ma")
    return image


def stack(images: Sequence[Image.Image], labels: Sequence[str] = ()) -> Image.Image:
    """Stack ranked lists below each other, each with its label on the left if there are labels."""
    letters = Letters(14)
    left = 16 + round(max(map(letters.length, labels))) if labels else 0
    size = (left + max(image.width for image in images), sum(image.height for image in images))
    sheet = Image.new("RGB", size, PAPER)
    draw, top = ImageDraw.Draw(sheet), 0
    for index, image in enumerate(images):
        if labels:
            letters.write(draw, (8, top + image.height // 2), labels[index], INK, "lm")
        sheet.paste(image, (left, top))
        top += image.height
    return sheet


def result_edges(image: Image.Image, results: int, *, height: int = 128) -> list[tuple[int, int]]:
    """Return the horizontal positions of the results in a ranked list, to draw below them.

    Args:
        image: A picture from `draw_ranked_list`.
        results: The number of results in it.
        height: The height at which it was drawn.

    Returns:
        For each result the left edge of its frame and the first pixel after it.
    """
    _, gap, margin = _spacing(height)
    step = (image.width - 2 * margin - 2 * gap) // (max(results, 1) + 1)  # one more column for the query
    first = margin + step + 3 * gap
    return [(first + rank * step, first + (rank + 1) * step - gap) for rank in range(results)]


def _spacing(height: int) -> tuple[int, int, int]:
    """Return the width of frames, of gaps between tiles and of the margin."""
    return max(3, height // 32), max(5, height // 22), max(6, height // 18)


def _score_words(report: Report, entry: int) -> list[str]:
    """Return the score of a query in words."""
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
