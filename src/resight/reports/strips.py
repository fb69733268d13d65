"""Ranked strips and contact sheets: pictures of what a search gave.

An image that cannot be read becomes a grey tile that says so: one broken file never costs the whole page.
"""

from __future__ import annotations

import base64
import io
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from resight.errors import DataError, nearest
from resight.records import UNKNOWN, ImageTable, Ints, Ranking, Report

VERDICT_COLOURS = {"right": "#009e73", "wrong": "#d55e00", "junk": "#9aa0a6", "unknown": "#6a87a8"}
"""The frame of each verdict. The green and the red stay apart for every common kind of colour blindness."""

PAPER = "#f4f5f7"
INK = "#1b1f27"
MUTED = "#545b66"
UNREADABLE = "#c9cdd3"

# Tile shapes, width over height. Snapping to a few of them makes the strips of one data set line up.
_SHAPES = (0.5, 0.75, 1.0, 1.5)

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
        """Give the picture as a JPEG in a data URI."""
        buffer = io.BytesIO()
        self.image.save(buffer, "JPEG", quality=85, optimize=True)
        return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


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


def query_strips(
    query: ImageTable,
    gallery: ImageTable,
    ranking: Ranking,
    *,
    rows: Sequence[int],
    report: Report | None = None,
    height: int = 128,
) -> list[Strip]:
    """Draw the ranked strip of each chosen query, ten results each, with distance and camera.

    Args:
        query: The ``Q`` queries.
        gallery: The images they were ranked against.
        ranking: The ranking, one row a query.
        rows: The queries to draw, as rows of ``query``.
        report: Where the queries' scores come from, and the rule they were made by; no scores are told without it.
        height: Height of the pictures in pixels.

    Returns:
        A strip for each of ``rows``, in their order.
    """
    # Where the rule removes nothing, a result of the query's own camera counts like any other.
    by_camera = report is None or report.provenance.get("rule") != "none"
    score_rows = {} if report is None else {int(q): i for i, q in enumerate(report.per_query.get("query", ()))}
    drawn = []
    for row in rows:
        found = np.flatnonzero(ranking.ids[row] >= 0)[:_RESULTS]
        ids = ranking.ids[row][found]
        person, camera = int(query.people[row]), int(query.cameras[row])
        judged = verdicts(person, camera if by_camera else UNKNOWN, gallery.people[ids], gallery.cameras[ids])
        captions = [
            f"{distance:.3f}\n{_camera(int(seen_by))}"
            for distance, seen_by in zip(ranking.distances[row][found], gallery.cameras[ids], strict=True)
        ]
        image = ranked_strip(
            query.paths[row], list(gallery.paths[ids]), verdicts=judged, captions=captions, height=height
        )
        words = [
            f"Query {row}",
            "person unknown" if person == UNKNOWN else f"person {person}",
            _camera(camera),
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
    height: int = 128,
) -> Image.Image:
    """Draw a query and what it found, nearest first.

    The query stands left, in a dark border. Each result has a frame in the colour of its verdict and a badge
    that says the same without colour: a tick, a cross, a dash (junk) or a ring (not known).

    Args:
        query: The query's image file.
        results: The results' image files, in rank order.
        verdicts: One of ``"right"``, ``"wrong"``, ``"junk"``, ``"unknown"`` for each result.
        captions: A short text under each result, lines parted by a newline; none where empty.
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
        if verdict not in VERDICT_COLOURS:
            known = ", ".join(VERDICT_COLOURS)
            hint = nearest(verdict, VERDICT_COLOURS)
            raise DataError(f"a verdict must be one of {known}; found '{verdict}'{hint}")

    pictures = [_read(path, height) for path in (query, *results)]
    width = _tile_width(pictures, height)
    frame, gap, margin = max(3, height // 32), max(5, height // 22), max(6, height // 18)
    font = _font(max(9, height // 13))
    line = round(font.size * 1.3)
    lines = max([1, *(caption.count("\n") + 1 for caption in captions)])
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

    _framed(strip, pictures[0], (margin, margin), (width, height), frame, INK)
    _write(draw, "query", (margin + frame + width // 2, below), font, width + 2 * frame, INK)
    for rank, picture in enumerate(pictures[1:]):
        left = first + rank * step
        colour = VERDICT_COLOURS[verdicts[rank]]
        _framed(strip, picture, (left, margin), (width, height), frame, colour)
        _badge(draw, verdicts[rank], (left, margin), max(12, height // 8))
        for row, text in enumerate(captions[rank].split("\n") if captions else ()):
            middle = (left + frame + width // 2, below + row * line)
            _write(draw, text, middle, font, width + 2 * frame + gap - 2, MUTED)
    if not results:
        _write(draw, "no result", (first + width // 2, margin + height // 2), font, width + 2 * frame, MUTED)
    return strip


def contact_sheet(
    rows: Sequence[Sequence[str | Path]],
    *,
    row_titles: Sequence[str] = (),
    column_titles: Sequence[str] = (),
    height: int = 128,
) -> Image.Image:
    """Lay images out in rows, such as one cluster or one person a row.

    Args:
        rows: The image files of each row; rows may differ in length.
        row_titles: A title left of each row; none where empty.
        column_titles: A title above each column; none where empty.
        height: Height of each picture in pixels.

    Returns:
        The sheet, in mode RGB; a small blank one where there are no rows.

    Raises:
        DataError: There are row titles, but not one for each row.
    """
    if row_titles and len(row_titles) != len(rows):
        raise DataError(f"expected one title for each of the {len(rows)} rows, found {len(row_titles)}")
    pictures = [[_read(path, height) for path in row] for row in rows]
    width = _tile_width([picture for row in pictures for picture in row], height)
    columns = max([len(column_titles), *(len(row) for row in rows)])
    gap = max(4, height // 24)
    font = _font(max(9, height // 11))
    side = min(3 * height, max((round(font.getlength(title)) for title in row_titles), default=-gap) + gap)
    top = round(font.size * 1.4) if column_titles else 0
    sheet = Image.new("RGB", (gap + side + columns * (width + gap), gap + top + len(rows) * (height + gap)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(column_titles):
        _write(draw, title, (gap + side + column * (width + gap) + width // 2, gap // 2), font, width, INK)
    for index, row in enumerate(pictures):
        upper = gap + top + index * (height + gap)
        if row_titles:
            text = _fitted(row_titles[index], font, side)
            draw.text((gap, upper + height // 2), text, fill=INK, font=font, anchor="lm")
        for column, picture in enumerate(row):
            place = (gap + side + column * (width + gap), upper)
            _framed(sheet, picture, place, (width, height), 0, INK)
    return sheet


def _camera(camera: int) -> str:
    return "" if camera == UNKNOWN else f"camera {camera}"


def _scored(report: Report, entry: int) -> list[str]:
    """Say how one query scored."""
    precision = float(report.per_query["average_precision"][entry])
    if not np.isfinite(precision):
        return ["no possible match in the gallery: not scored"]
    words = [f"average precision {100 * precision:.1f} %"]
    if "first_rank" in report.per_query:
        words.append(f"first right result at rank {int(report.per_query['first_rank'][entry]) + 1}")
    return words


def _font(size: float) -> ImageFont.FreeTypeFont:
    """Give Pillow's built-in font, which needs no file of the system."""
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size))


def _read(path: str | Path, height: int) -> Image.Image | None:
    """Read an image at about the height it is shown at; None where it cannot be read."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", (4 * height, 2 * height))
            picture = ImageOps.exif_transpose(image).convert("RGB")
        width = round(picture.width * height / picture.height)
        return picture.resize((min(max(width, 1), 4 * height), height), Image.Resampling.LANCZOS)
    except Exception:  # Pillow's decoders raise many kinds, and a broken file must not cost the page
        return None


def _tile_width(pictures: Sequence[Image.Image | None], height: int) -> int:
    """Choose one width for all tiles: the usual shape of the pictures, snapped to a few shapes."""
    shapes = [picture.width / picture.height for picture in pictures if picture is not None]
    usual = statistics.median(shapes) if shapes else _SHAPES[0]
    return round(height * min(_SHAPES, key=lambda shape: abs(shape - usual)))


def _framed(
    sheet: Image.Image,
    picture: Image.Image | None,
    corner: tuple[int, int],
    size: tuple[int, int],
    frame: int,
    colour: str,
) -> None:
    """Put a picture, whole and centred, in a tile with a frame; ``corner`` is the frame's upper left."""
    draw = ImageDraw.Draw(sheet)
    (left, top), (width, height) = corner, size
    draw.rectangle((left, top, left + width + 2 * frame - 1, top + height + 2 * frame - 1), fill=colour)
    inner = (left + frame, top + frame, left + frame + width - 1, top + frame + height - 1)
    draw.rectangle(inner, fill=UNREADABLE if picture is None else "#ffffff")
    if picture is None:
        font = _font(max(8, min(height // 11, width // 6)))
        middle = (left + frame + width // 2, top + frame + height // 2)
        draw.multiline_text(middle, "cannot\nbe read", fill=INK, font=font, anchor="mm", align="center", spacing=2)
        return
    fitted = ImageOps.contain(picture, size, Image.Resampling.LANCZOS)
    offset = (left + frame + (width - fitted.width) // 2, top + frame + (height - fitted.height) // 2)
    sheet.paste(fitted, offset)


def _badge(draw: ImageDraw.ImageDraw, verdict: str, corner: tuple[int, int], size: int) -> None:
    """Draw the verdict's mark in white, in a square of its colour."""
    left, top = corner
    draw.rectangle((left, top, left + size - 1, top + size - 1), fill=VERDICT_COLOURS[verdict])

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


def _write(
    draw: ImageDraw.ImageDraw,
    text: str,
    middle: tuple[int, int],
    font: ImageFont.FreeTypeFont,
    width: int,
    colour: str,
) -> None:
    """Write one line, centred under its upper middle, cut to the width."""
    draw.text(middle, _fitted(text, font, width), fill=colour, font=font, anchor="ma")


def _fitted(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Cut a text to a width in pixels, with an ellipsis."""
    text = text.replace("\n", " ")
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
