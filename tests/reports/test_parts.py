"""Bars under ranked strips."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from resight.models.heads.head import parse_head
from resight.records import Features, ImageTable, Ranking, Report
from resight.reports import parts as bars
from resight.reports import ranked_lists
from resight.retrieval.explain import PartSimilarities

HEIGHT = 128


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    paths = []
    for index in range(4):
        path = tmp_path / f"{index}.png"
        Image.new("RGB", (32, 64), (10, 10, 10 + index)).save(path)
        paths.append(str(path))
    return paths


def similar(values: np.ndarray, head: str = "p1(s2c2)") -> PartSimilarities:
    made_of = parse_head(head).parts(8)
    return PartSimilarities(made_of, values, values / len(made_of))


def drawn(pictures: list[str], values: np.ndarray) -> tuple[ranked_lists.RankedList, ranked_lists.RankedList]:
    """A strip without and with bars, of as many results as there are rows of values."""
    count = len(values)
    image = ranked_lists.draw_ranked_list(
        pictures[0], pictures[1 : 1 + count], verdicts=["right"] * count, height=HEIGHT
    )
    strip = ranked_lists.RankedList(image, "Query 0", ("right",) * count)
    return strip, bars.with_parts(strip, similar(values[None]), 0, height=HEIGHT)


def lengths(plain: ranked_lists.RankedList, shown: ranked_lists.RankedList, kind: str, results: int) -> list[list[int]]:
    """The lengths of a kind's bars: for each result the distinct ones below it, from the top."""
    pixels = np.asarray(shown.image)[plain.image.height :]
    colored = (pixels == ImageColor.getrgb(bars.KINDS[kind][0])).all(2)
    found = []
    for left, right in ranked_lists.result_edges(plain.image, results, height=HEIGHT):
        rows = colored[:, left:right].sum(1)
        starts = np.flatnonzero((rows[1:] > 0) & (rows[:-1] == 0)) + 1
        found.append([int(rows[start + 1]) for start in starts])
    return found


def test_result_edges_are_those_of_the_frames(pictures: list[str]) -> None:
    for count in (1, 3):
        image = ranked_lists.draw_ranked_list(
            pictures[0], pictures[1 : 1 + count], verdicts=["wrong"] * count, height=HEIGHT
        )
        color = (np.asarray(image) == ImageColor.getrgb(ranked_lists.VERDICT_COLORS["wrong"])).all(2)
        columns = np.flatnonzero(color.sum(0) > HEIGHT // 2)  # the sides of the frames
        edges = ranked_lists.result_edges(image, count, height=HEIGHT)
        assert {left for left, _ in edges} <= set(columns.tolist())
        assert {right - 1 for _, right in edges} <= set(columns.tolist())
        assert {left - 1 for left, _ in edges} & set(columns.tolist()) == set()
        assert {right for _, right in edges} & set(columns.tolist()) == set()


def test_bars_are_as_long_as_the_similarity_is_high(pictures: list[str]) -> None:
    values = np.array([[1.0, 0.5, 0.25, 0.1, 0.2], [0.4, -0.5, 0.8, 0.0, 0.6]])  # whole, two stripes, two groups
    plain, shown = drawn(pictures, values)
    (whole_first,), (whole_second,) = lengths(plain, shown, "whole", 2)
    stripes_first, stripes_second = lengths(plain, shown, "stripe", 2)
    groups_first, groups_second = lengths(plain, shown, "channels", 2)
    for length, value in (
        (whole_second, 0.4), (stripes_first[0], 0.5), (stripes_first[1], 0.25), (groups_first[1], 0.2),
        (stripes_second[0], 0.8), (groups_second[0], 0.6),
    ):  # fmt: skip
        assert length == pytest.approx(value * whole_first, abs=2)
    assert len(stripes_second) == 1, "what is below 0 has no bar"
    assert len(groups_second) == 1


def test_the_strip_stays_and_the_heading_says_which_part(pictures: list[str]) -> None:
    plain, shown = drawn(pictures, np.array([[0.3, 0.9, 0.1, 0.2, 0.4]]))
    assert shown.image.crop((0, 0, *plain.image.size)).tobytes() == plain.image.tobytes()
    assert shown.verdicts == plain.verdicts
    assert shown.heading == (
        "Query 0 · first result: most similar in p1 stripe 1 of 2 (0.90), least in p1 stripe 2 of 2 (0.10)"
    )
    assert shown.image.width >= 4 * HEIGHT, "words have room under a single result"


def test_a_query_without_results_has_only_names(pictures: list[str]) -> None:
    image = ranked_lists.draw_ranked_list(pictures[0], [], verdicts=[], height=HEIGHT)
    found = similar(np.full((1, 2, 5), np.nan))
    shown = bars.with_parts(ranked_lists.RankedList(image, "Query 0", ()), found, 0, height=HEIGHT)
    assert shown.heading == "Query 0"
    assert shown.image.height > image.height


def test_results_that_are_not_there_have_no_bars(pictures: list[str]) -> None:
    query, gallery = (ImageTable(np.array(paths)) for paths in (pictures[:1], pictures[1:]))
    queries, images = Features(query, np.ones((1, 1))), Features(gallery, np.ones((3, 1)))
    ranking = Ranking(np.array([[2, 0, -1]]), np.array([[0.1, 0.2, np.inf]]))
    values = np.full((1, 3, 5), 0.5)
    values[0, 2] = np.nan
    (section,) = bars.parts_sections(Report({}), queries, images, ranking, similar(values))
    assert section.title == "Why these match"
    assert "unknown, unknown" in section.body_html
    assert bars.parts_sections(Report({}), queries, images, ranking, similar(values[..., :1], "p1")) == []
