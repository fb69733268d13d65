from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from resight.errors import DataError
from resight.records import Features, ImageTable, Ranking, Report
from resight.reports import ranked_lists, tiles
from resight.reports.letters import Letters

HEIGHT, WIDTH, FRAME, GAP, MARGIN = 128, 64, 4, 5, 7


def features_of(table: ImageTable) -> Features:
    """Vectors of which neighbors are opposite."""
    return Features(table, np.array([[1, 0], [-1, 0]] * len(table))[: len(table)])


def left_of(rank: int) -> int:
    """The left edge of a result's frame at the default height, from the layout in words: margin, tiles, gaps."""
    step = WIDTH + 2 * FRAME + GAP
    return MARGIN + step + 3 * GAP + rank * step


def inside(rank: int) -> tuple[int, int]:
    return left_of(rank) + FRAME + WIDTH // 2, MARGIN + FRAME + HEIGHT // 2


@pytest.mark.parametrize("verdict", ranked_lists.VERDICT_COLORS)
def test_the_frame_has_the_color_of_the_verdict(pictures: list[str], verdict: str) -> None:
    others = [name for name in ranked_lists.VERDICT_COLORS if name != verdict]
    strip = ranked_lists.draw_ranked_list(pictures[0], pictures[1:5], verdicts=[verdict, *others])
    color = ImageColor.getrgb(ranked_lists.VERDICT_COLORS[verdict])
    middle = MARGIN + FRAME + HEIGHT // 2
    for x in (left_of(0), left_of(0) + FRAME - 1, left_of(0) + 2 * FRAME + WIDTH - 1):
        assert strip.getpixel((x, middle)) == color
    assert strip.getpixel((left_of(0) + WIDTH, MARGIN + 2 * FRAME + HEIGHT - 1)) == color
    assert strip.getpixel((left_of(0) - 1, middle)) == ImageColor.getrgb(tiles.PAPER)
    assert strip.getpixel((MARGIN, middle)) == ImageColor.getrgb(tiles.INK)


def test_pictures_stand_in_rank_order(pictures: list[str]) -> None:
    strip = ranked_lists.draw_ranked_list(pictures[0], pictures[1:5], verdicts=["right"] * 4)
    assert [strip.getpixel(inside(rank)) for rank in range(4)] == [(40 * (r + 1), 90, 200) for r in range(4)]
    assert strip.getpixel((MARGIN + FRAME + 32, MARGIN + 64)) == (0, 90, 200)


def test_verdicts_differ_without_color(pictures: list[str]) -> None:
    marks = set()
    for verdict in ranked_lists.VERDICT_COLORS:
        strip = ranked_lists.draw_ranked_list(pictures[0], pictures[1:2], verdicts=[verdict])
        badge = np.asarray(strip.crop((left_of(0), MARGIN, left_of(0) + 16, MARGIN + 16)))
        white = (badge > 240).all(axis=2)
        assert white.any()
        marks.add(white.tobytes())
    assert len(marks) == len(ranked_lists.VERDICT_COLORS)


@pytest.mark.parametrize("content", [None, b"", b"not an image", b"\xff\xd8\xff\xe0 cut short"])
def test_an_unreadable_image_is_a_gray_tile(pictures: list[str], tmp_path: Path, content: bytes | None) -> None:
    broken = tmp_path / "broken.jpg"
    if content is not None:
        broken.write_bytes(content)
    strip = ranked_lists.draw_ranked_list(broken, [broken, pictures[1]], verdicts=["wrong", "right"])
    corner = (left_of(0) + FRAME + 2, MARGIN + FRAME + HEIGHT - 3)
    assert strip.getpixel(corner) == ImageColor.getrgb(tiles.UNREADABLE)
    tile = np.asarray(strip.crop((left_of(0) + FRAME, MARGIN + 40, left_of(0) + FRAME + WIDTH, MARGIN + 100)))
    assert (tile.max(axis=2) < 80).any(), "the tile says nothing"
    assert strip.getpixel(inside(1)) == (40, 90, 200)


def test_a_file_cut_short_is_a_gray_tile(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (128, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole)
    half = tmp_path / "half.jpg"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    strip = ranked_lists.draw_ranked_list(whole, [half], verdicts=["unknown"])
    corner = (left_of(0) + FRAME + 2, MARGIN + FRAME + HEIGHT - 3)
    assert strip.getpixel(corner) == ImageColor.getrgb(tiles.UNREADABLE)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
def test_every_mode_can_be_shown(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "picture.tif"
    Image.new(mode, (20, 50)).save(path)
    strip = ranked_lists.draw_ranked_list(path, [path], verdicts=["right"])
    assert strip.getpixel((left_of(0) + FRAME + WIDTH // 2, MARGIN + 64)) != ImageColor.getrgb(tiles.UNREADABLE)


def test_odd_shapes_keep_the_tiles_even(tmp_path: Path) -> None:
    for name, size in (("wide", (900, 10)), ("tall", (1, 700)), ("car", (120, 80))):
        Image.new("RGB", size, "#336699").save(tmp_path / f"{name}.png")
    paths = [tmp_path / f"{name}.png" for name in ("wide", "tall", "car")]
    strip = ranked_lists.draw_ranked_list(paths[2], paths, verdicts=["wrong"] * 3)
    assert strip.height < 220
    assert strip.width < 5 * 250


def test_no_results_and_long_captions(pictures: list[str]) -> None:
    assert ranked_lists.draw_ranked_list(pictures[0], [], verdicts=[]).width > 100
    short = ranked_lists.draw_ranked_list(pictures[0], pictures[1:2], verdicts=["right"], captions=["0.1"])
    long = ranked_lists.draw_ranked_list(pictures[0], pictures[1:2], verdicts=["right"], captions=["0.123 " * 99])
    assert short.size == long.size


@pytest.mark.parametrize(
    ("marks", "captions", "message"),
    [
        (["right"], [], "one verdict for each result"),
        (["right", "wrong"], ["a"], "1 captions"),
        (["right", "right!"], [], "did you mean 'right'"),
    ],
)
def test_mistakes_are_named(pictures: list[str], marks: list[str], captions: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ranked_lists.draw_ranked_list(pictures[0], pictures[1:3], verdicts=marks, captions=captions)


def test_verdicts_by_hand() -> None:
    people = np.array([7, 7, 8, -1, 8, 7])
    cameras = np.array([1, 2, 1, 1, 2, -1])
    assert ranked_lists.judge(7, 1, people, cameras) == ["junk", "right", "wrong", "junk", "wrong", "right"]
    assert ranked_lists.judge(-1, 1, people, cameras) == ["unknown"] * 6
    # Two cameras that are not known are not one camera.
    assert ranked_lists.judge(7, -1, people, cameras)[-1] == "right"
    assert ranked_lists.judge(7, 1, people[:0], cameras[:0]) == []


def test_the_strips_judge_by_the_rule_of_the_report(pictures: list[str]) -> None:
    query = features_of(ImageTable(np.array(pictures[:1]), person_ids=np.array([7]), camera_ids=np.array([1])))
    gallery = features_of(ImageTable(np.array(pictures[1:3]), person_ids=np.array([7, 7]), camera_ids=np.array([1, 2])))
    ranking = Ranking(np.array([[0, 1]]), np.array([[0.1, 0.2]]))
    for exclude, first in (("same-camera", "junk"), ("none", "right")):
        (strip,) = ranked_lists.draw_query_lists(
            query, gallery, ranking, rows=[0], report=Report({}, provenance={"exclude": exclude})
        )
        assert strip.verdicts == (first, "right")


def test_query_strips_say_what_they_show(pictures: list[str]) -> None:
    query = features_of(ImageTable(np.array(pictures[:2]), np.array([7, -1]), np.array([1, -1])))
    gallery = features_of(ImageTable(np.array(pictures[2:]), np.array([7, 7, 8, -1]), np.array([1, 2, 1, 1])))
    ranking = Ranking(np.array([[2, 1, 0, -1], [0, 1, 2, 3]]), np.array([[0.1, 0.2, 0.3, np.inf], [0, 0, 0, 0]]))
    report = Report(
        {},
        {"query": np.array([0]), "average_precision": np.array([0.5]), "first_rank": np.array([1])},
    )
    first, second = ranked_lists.draw_query_lists(query, gallery, ranking, rows=[0, 1], report=report)
    assert first.verdicts == ("wrong", "right", "junk")
    assert first.heading == "Query 0 · person 7 · camera 1 · average precision 50.0 % · first right result at rank 2"
    assert second.verdicts == ("unknown",) * 4
    assert second.heading == "Query 1 · person unknown"
    assert first.data_uri().startswith("data:image/jpeg;base64,")


def test_query_strips_use_the_names_of_the_data(pictures: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    query = features_of(ImageTable(np.array(pictures[:2]), np.array([1, -1]), np.array([0, -1])))
    gallery = features_of(ImageTable(np.array(pictures[2:4]), np.array([1, 0]), np.array([1, -1])))
    ranking = Ranking(np.array([[1, 0], [0, 1]]), np.array([[0.1, 0.2], [0.1, 0.2]]))
    names = {"people": ("anna", "ben\x1b"), "cameras": ("gate", "yard")}
    written: list[str] = []
    monkeypatch.setattr(Letters, "write", lambda letters, draw, place, text, *rest: written.append(text))
    first, second = ranked_lists.draw_query_lists(query, gallery, ranking, rows=[0, 1], names=names)
    assert first.heading == "Query 0 · ben\\x1b · gate"
    assert second.heading == "Query 1 · person unknown"
    assert written[:5] == ["query", "-1.000", "", "1.000", "yard"], "similarity: larger is more alike"
