"""The similarity of each part: bars under a ranked list, and the section of a report with them."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image, ImageDraw

from resight.records import Features, Ranking, Report
from resight.reports import ranked_lists
from resight.reports.letters import Letters
from resight.reports.page import Section, ranked_lists_section
from resight.reports.ranked_lists import RankedList, result_edges
from resight.reports.tiles import INK, MUTED, PAPER, Names
from resight.retrieval.explain import Part, PartSimilarities

KINDS = {
    "whole": ("#545b66", "the whole picture"),
    "stripe": ("#1a86c7", "a horizontal stripe of the picture, counted from the top"),
    "channels": ("#b4540a", "a group of learned characteristics, wherever in the picture they are"),
}
"""The color and the description of each kind of part."""

_TRACK = "#dfe2e7"
_LEGEND = (
    "bar: the cosine similarity of this part of the result and the same part of the query (full: 1, identical). "
    "p1, p2, ...: branches of the network"
)
_QUERIES = 4
_HEIGHT = 160
_INTRO = (
    "The encoder describes a picture by several vectors: of the whole picture, of horizontal stripes and of groups of "
    "learned characteristics. A bar shows the cosine similarity of one of them to that of the query: a full bar is 1 "
    "(identical), an empty bar is 0 or less. The queries are spread evenly from the best to the worst score."
)


def with_parts(ranked: RankedList, similarities: PartSimilarities, row: int, *, height: int = 128) -> RankedList:
    """Draw bars below a ranked list: the similarity of each part of each result to the query's.

    Args:
        ranked: The ranked list of a query.
        similarities: The similarities of the parts.
        row: The query's row in them.
        height: The height at which the ranked list was drawn.

    Returns:
        The ranked list with a line of bars for each part and a key of their colors. Its heading names the parts in
        which the first result is most and least similar.
    """
    results = len(ranked.verdicts)
    cosines = similarities.cosines[row, :results]
    letters = Letters(max(9, height // 14))
    line, margin = round(1.35 * letters.size), max(6, height // 18)
    examples = {part.kind: part for part in similarities.parts}
    top = ranked.image.height
    bottom = top + line * len(similarities.parts) + margin
    width = max(ranked.image.width, 4 * height)  # wide enough for the key, however few the results
    legend = letters.wrap(_LEGEND, width - 2 * margin)
    image = Image.new("RGB", (width, bottom + line * (len(examples) + len(legend)) + margin), PAPER)
    image.paste(ranked.image, (0, 0))
    draw = ImageDraw.Draw(image)
    edges = result_edges(ranked.image, results, height=height)
    text_left = margin + line
    for index, part in enumerate(similarities.parts):
        middle = top + line * index + line // 2
        _icon(draw, margin, middle, line - 3, part)
        text_width = (edges[0][0] if edges else image.width) - text_left - margin
        letters.write(draw, (text_left, middle), letters.fit(part.name, text_width), INK, "lm")
        for (left, right), values in zip(edges, cosines, strict=True):
            _bar(draw, left, right, middle, float(values[index]), color=KINDS[part.kind][0], letters=letters)
    for index, (kind, part) in enumerate(examples.items()):
        middle = bottom + line * index + line // 2
        _icon(draw, margin, middle, line - 3, part)
        text = letters.fit(f"{kind}: {KINDS[kind][1]}", image.width - text_left - margin)
        letters.write(draw, (text_left, middle), text, MUTED, "lm")
    for index, text in enumerate(legend, len(examples)):
        letters.write(draw, (margin, bottom + line * index + line // 2), text, MUTED, "lm")
    heading = ranked.heading
    if results:
        heading = f"{heading} · first result: {agreement(similarities, row, 0)}"
    return replace(ranked, image=image, heading=heading)


def agreement(similarities: PartSimilarities, row: int, rank: int) -> str:
    """Return in words in which part a result is most similar to the query, and in which least.

    Args:
        similarities: The similarities of the parts.
        row: The query's row in them.
        rank: The rank of the result, from 0.
    """
    cosines = similarities.cosines[row, rank]
    most, least = int(cosines.argmax()), int(cosines.argmin())
    return (
        f"most similar in {similarities.parts[most].name} ({cosines[most]:.2f}), "
        f"least in {similarities.parts[least].name} ({cosines[least]:.2f})"
    )


def parts_sections(
    report: Report,
    queries: Features,
    gallery: Features,
    ranking: Ranking,
    similarities: PartSimilarities,
    names: Names | None = None,
) -> list[Section]:
    """Build the section that shows, for a few queries, why images match.

    Args:
        report: The evaluation; without scores, any queries are shown.
        queries: The ``Q`` queries.
        gallery: The ranked gallery.
        ranking: The ranking, a row for each query.
        similarities: The similarities of the parts, for these queries and this ranking.
        names: The data set's names of ``people`` and ``cameras``, in the order of the ids, if it has any.

    Returns:
        The section; an empty list if the encoder has a single part, which explains nothing.
    """
    if len(similarities.parts) < 2:
        return []
    rows = ranked_lists.sample_queries(report, ranking, _QUERIES)
    lists = ranked_lists.draw_query_lists(
        queries, gallery, ranking, rows=rows, report=report, names=names, height=_HEIGHT
    )
    lists = [with_parts(ranked, similarities, row, height=_HEIGHT) for ranked, row in zip(lists, rows, strict=True)]
    return [ranked_lists_section("Why these match", lists, _INTRO)]


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
    """Draw a value in -1..1 as a bar between two edges, and the number right of it; below 0 the bar is empty."""
    number_width = round(letters.length("-0.00")) + 2
    end, half = right - number_width, max(2, round(letters.size / 3))
    draw.rectangle((left, middle - half, end, middle + half), fill=_TRACK)
    if value > 0:
        draw.rectangle((left, middle - half, left + round((end - left) * min(value, 1)), middle + half), fill=color)
    letters.write(draw, (right, middle), f"{value:.2f}", INK, "rm")


def _icon(draw: ImageDraw.ImageDraw, left: int, middle: int, size: int, part: Part) -> None:
    """Draw a small upright picture in which the part is filled."""
    width, top = round(0.6 * size), middle - size // 2
    draw.rectangle((left, top, left + width, top + size), outline=MUTED)
    first, last = part.index / part.count, (part.index + 1) / part.count
    box = (left, top + round(first * size), left + width, top + round(last * size))
    if part.kind == "channels":
        box = (left + round(first * width), top, left + round(last * width), top + size)
    draw.rectangle(box, fill=KINDS[part.kind][0])
