"""Why images match, part by part: bars under a ranked strip, and the section of a report that shows them."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image, ImageDraw

from resight.records import Features, Ranking, Report
from resight.reports import ranked_lists as strips
from resight.reports.letters import Letters
from resight.reports.page import Section, strips_section
from resight.reports.ranked_lists import Strip, result_edges
from resight.reports.tiles import INK, MUTED, PAPER, Names
from resight.retrieval.explain import Part, PartSimilarities

KINDS = {
    "whole": ("#545b66", "the whole picture"),
    "stripe": ("#1a86c7", "a horizontal stripe of the picture, counted from the top"),
    "channels": ("#b4540a", "a group of learned characteristics, wherever in the picture they are"),
}
"""The color of each kind of part, and what it is called."""

_TRACK = "#dfe2e7"
_LEGEND = (
    "bar: how alike this part of the result is to the same part of the query, by cosine similarity (full: 1, the "
    "same). p1, p2, ...: branches of the network"
)
_QUERIES = 4
_STRIP_HEIGHT = 160
_INTRO = (
    "The encoder describes a picture by several vectors: of the whole picture, of horizontal stripes and of groups of "
    "learned characteristics. The bars say how alike each is to the same one of the query (cosine similarity: a full "
    "bar is 1, the same; an empty one is 0 or less). A few queries, spread evenly from the best found to the worst."
)


def with_parts(strip: Strip, found: PartSimilarities, row: int, *, height: int = 128) -> Strip:
    """Draw bars below a ranked strip: how alike each part of each result is to the query's.

    Args:
        strip: The strip of a query.
        found: The similarities of the parts.
        row: The query's row there.
        height: Height that the strip was drawn at.

    Returns:
        The strip with a line of bars for each part, the key of their colors, and in its heading which part of the
        first result agrees most and which least.
    """
    results = len(strip.verdicts)
    cosines = found.cosines[row, :results]
    letters = Letters(max(9, height // 14))
    line, margin = round(1.35 * letters.size), max(6, height // 18)
    examples = {part.kind: part for part in found.parts}
    top = strip.image.height
    below = top + line * len(found.parts) + margin
    width = max(strip.image.width, 4 * height)  # room for words, however few the results
    legend = letters.wrap(_LEGEND, width - 2 * margin)
    image = Image.new("RGB", (width, below + line * (len(examples) + len(legend)) + margin), PAPER)
    image.paste(strip.image, (0, 0))
    draw = ImageDraw.Draw(image)
    edges = result_edges(strip.image, results, height=height)
    words = margin + line
    for place, part in enumerate(found.parts):
        middle = top + line * place + line // 2
        _icon(draw, margin, middle, line - 3, part)
        room = (edges[0][0] if edges else image.width) - words - margin
        letters.write(draw, (words, middle), letters.fit(part.name, room), INK, "lm")
        for (left, right), values in zip(edges, cosines, strict=True):
            _bar(draw, left, right, middle, float(values[place]), color=KINDS[part.kind][0], letters=letters)
    for place, (kind, part) in enumerate(examples.items()):
        middle = below + line * place + line // 2
        _icon(draw, margin, middle, line - 3, part)
        text = letters.fit(f"{kind}: {KINDS[kind][1]}", image.width - words - margin)
        letters.write(draw, (words, middle), text, MUTED, "lm")
    for place, text in enumerate(legend, len(examples)):
        letters.write(draw, (margin, below + line * place + line // 2), text, MUTED, "lm")
    heading = strip.heading if not results else f"{strip.heading} · first result: {agreement(found, row, 0)}"
    return replace(strip, image=image, heading=heading)


def agreement(found: PartSimilarities, row: int, rank: int) -> str:
    """Say which part of a result agrees most with the query, and which least.

    Args:
        found: The similarities of the parts.
        row: The query's row there.
        rank: The result's place, from 0.
    """
    cosines = found.cosines[row, rank]
    most, least = int(cosines.argmax()), int(cosines.argmin())
    return (
        f"most alike in {found.parts[most].name} ({cosines[most]:.2f}), "
        f"least in {found.parts[least].name} ({cosines[least]:.2f})"
    )


def parts_sections(
    report: Report,
    queries: Features,
    gallery: Features,
    ranking: Ranking,
    found: PartSimilarities,
    names: Names | None = None,
) -> list[Section]:
    """Show why images match, for a few queries.

    Args:
        report: The evaluation; without scores, any queries are shown.
        queries: The ``Q`` queries.
        gallery: What they were ranked against.
        ranking: The ranking, one row a query.
        found: The similarities of the parts, of these queries and this ranking.
        names: What the data call their ``people`` and ``cameras``, in the order of the ids, where they have names.

    Returns:
        The section; none where the encoder has a single part, which explains nothing.
    """
    if len(found.parts) < 2:
        return []
    rows = strips.sample_queries(report, ranking, _QUERIES)
    drawn = strips.query_strips(queries, gallery, ranking, rows=rows, report=report, names=names, height=_STRIP_HEIGHT)
    shown = [with_parts(strip, found, row, height=_STRIP_HEIGHT) for strip, row in zip(drawn, rows, strict=True)]
    return [strips_section("Why these match", shown, _INTRO)]


def _bar(
    draw: ImageDraw.ImageDraw,
    left: int,
    right: int,
    middle: int,
    value: float,
    *,
    color: str,
    letters: Letters,
) -> None:
    """Draw a value in -1..1 as a bar between two edges, and write it right of it; below 0 the bar is empty."""
    number = round(letters.length("-0.00")) + 2
    end, half = right - number, max(2, round(letters.size / 3))
    draw.rectangle((left, middle - half, end, middle + half), fill=_TRACK)
    if value > 0:
        draw.rectangle((left, middle - half, left + round((end - left) * min(value, 1)), middle + half), fill=color)
    letters.write(draw, (right, middle), f"{value:.2f}", INK, "rm")


def _icon(draw: ImageDraw.ImageDraw, left: int, middle: int, size: int, part: Part) -> None:
    """Draw what a part is cut from as a small upright picture, with the part filled."""
    width, top = round(0.6 * size), middle - size // 2
    draw.rectangle((left, top, left + width, top + size), outline=MUTED)
    first, last = part.index / part.count, (part.index + 1) / part.count
    box = (left, top + round(first * size), left + width, top + round(last * size))
    if part.kind == "channels":
        box = (left + round(first * width), top, left + round(last * width), top + size)
    draw.rectangle(box, fill=KINDS[part.kind][0])
