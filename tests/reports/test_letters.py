"""Names in pictures: of any script, told apart, and within their room."""

from __future__ import annotations

import itertools

import pytest
from PIL import Image, ImageDraw

from resight.reports.letters import Letters
from resight.reports.ranked_lists import draw_ranked_list
from resight.reports.tiles import display_name

LETTERS = Letters(14)
ROOM = 80


def drawn(text: str) -> bytes:
    picture = Image.new("L", (400, 24))
    LETTERS.write(ImageDraw.Draw(picture), (2, 2), text, "#ffffff", "la")
    return picture.tobytes()


@pytest.mark.parametrize(
    "pair", ["ÜÉ", "ßø", "Łł", "αω", "ЯЖ", "门口", "門开", "さク", "한국", "אב", "عم", "กข", "हि", "😀🚗"]
)
def test_letters_that_differ_are_drawn_differently(pair: str) -> None:
    first, second = (drawn(3 * letter) for letter in pair)
    assert first != second
    assert any(first)
    assert any(second)


@pytest.mark.parametrize("text", ["ÜéßøŁ", "Ωμέγα", "Яблоко", "门口 camera_1", "さくら", "카메라", "מצלמה"])
def test_what_a_font_has_is_drawn_and_not_escaped(text: str) -> None:
    assert drawn(text) != drawn(text.encode("unicode_escape").decode())


@pytest.mark.parametrize("text", ["a\u200bb", "a\xa0b", "a\u202eb", "\ue000", "ก", "\U0001f697", "\udc80"])
def test_what_nobody_could_see_is_escaped(text: str) -> None:
    assert drawn(text) == drawn(text.encode("unicode_escape").decode())


def test_scripts_are_mixed_and_nothing_stops_a_picture() -> None:
    odd = "cam كاميرا 门 e\u0301 \u0301 ‍👨‍👩‍👧 \x07 \n מ"
    assert any(drawn(odd))
    assert LETTERS.length("门") > LETTERS.length("i") > LETTERS.length("") == 0


def test_names_are_cut_so_that_they_differ() -> None:
    names = [
        "site_47_building_b_car_park_north",
        "site_47_building_b_car_park_south",
        "the_same_beginning_NORTH_and_the_same_end",
        "the_same_beginning_SOUTH_and_the_same_end",
        "入口" * 20 + "门",
        "入口" * 20 + "口",
        "a" * 50,
        "a" * 51,
        "a" * 52,
        "\u00e9",
        "e\u0301",
        "gate",
    ]
    cut = LETTERS.shorten(names, ROOM)
    for first, second in itertools.combinations(names, 2):
        assert drawn(cut[first]) != drawn(cut[second]), (first, second)
    assert all(LETTERS.length(text) <= ROOM for text in cut.values())
    assert cut["gate"] == "gate"
    assert cut[names[0]].endswith("north")
    assert cut[names[1]].endswith("south")
    assert "NO" in cut[names[2]]


def test_three_hundred_cameras_differ_on_a_narrow_tile() -> None:
    names = [f"camera_{number:03}_of_the_whole_site" for number in range(300)]
    cut = Letters(9).shorten(names, 40)
    assert len(set(cut.values())) == 300
    assert all(Letters(9).length(text) <= 40 for text in cut.values())


def test_a_strip_cuts_a_name_to_differ_from_those_of_other_strips(pictures: list[str]) -> None:
    names = [f"the_same_beginning_{side}_and_the_same_end" for side in ("NORTH", "SOUTH")]
    strips = [
        draw_ranked_list(pictures[0], pictures[1:2], verdicts=["unknown"], captions=[f"0.9\n{name}"], names=names)
        for name in names
    ]
    assert strips[0].tobytes() != strips[1].tobytes()
    assert display_name(0, ["a\nb"], "camera") == "a\\nb"
