"""Heat laid over pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resight.errors import DataError
from resight.reports import saliency, tiles
from resight.reports.letters import Letters


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    paths = []
    for index in range(2):
        path = tmp_path / f"{index}.png"
        Image.new("RGB", (32, 64), (200, 90 + 40 * index, 40)).save(path)
        paths.append(str(path))
    return paths


def test_no_heat_is_the_gray_picture_and_full_heat_is_yellow() -> None:
    picture = Image.merge("RGB", [Image.effect_noise((32, 64), spread) for spread in (80, 60, 40)])
    cold = np.asarray(saliency.overlay(picture, np.zeros((4, 2))))
    np.testing.assert_array_equal(cold, np.asarray(picture.convert("L").convert("RGB")))
    hot = np.asarray(saliency.overlay(picture, np.ones((4, 2)))).astype(int)
    assert (hot[..., 0] > 150).all()
    assert (hot[..., 0] - hot[..., 2] > 100).all()
    # The picture can still be seen under it.
    assert np.corrcoef(hot[..., 0].ravel(), cold[..., 0].ravel())[0, 1] > 0.99


def test_heat_lies_where_the_map_is_high() -> None:
    gray = Image.new("RGB", (40, 80), (90, 90, 90))
    heat = np.zeros((4, 2))
    heat[3, 0] = 1
    shown = np.asarray(saliency.overlay(gray, heat)).astype(int)
    colored = np.ptp(shown, axis=2)
    assert colored[70, 10] > 100
    assert colored[:40].max() == 0
    assert colored[70, 38] < colored[70, 10] / 4
    assert np.unravel_index(colored.argmax(), colored.shape)[0] >= 60


@pytest.mark.parametrize(
    "values", [[0.5], [[1.5]], [[-0.1]], [[np.nan]], np.zeros((0, 2)), np.zeros((2, 2, 2))], ids=str
)
def test_what_is_no_map_is_refused(values: object) -> None:
    with pytest.raises(DataError, match=r"\(h, w\) with values in 0..1"):
        saliency.overlay(Image.new("RGB", (8, 8)), values)


def test_a_sheet_has_a_row_for_each_image_and_a_column_for_each_part(pictures: list[str]) -> None:
    maps = {"p1 whole": np.zeros((2, 4, 2)), "p2 stripe 1 of 2": np.zeros((2, 4, 2))}
    maps["p1 whole"][1] = 1
    sheet = saliency.saliency_sheet(pictures, maps, height=128)
    one = saliency.saliency_sheet(pictures[:1], {name: found[:1] for name, found in maps.items()}, height=128)
    assert sheet.height - one.height == 128 + 128 // 24
    narrow = saliency.saliency_sheet(pictures, {"p1 whole": maps["p1 whole"]}, height=128)
    assert sheet.width - narrow.width == 64 + 128 // 24
    pixels = np.asarray(sheet).astype(int)
    hot = (pixels[..., 0] - pixels[..., 2] > 100) & (pixels[..., 0] > 150)
    # The images themselves are orange; so is the one map that is full.
    left, middle, right = (
        hot[:, gap + column * 69 : gap + column * 69 + 64].sum() for column, gap in enumerate([5] * 3)
    )
    assert left == 2 * 64 * 128
    assert middle == 64 * 128
    assert right == 0


def test_titles_and_notes_are_written(pictures: list[str]) -> None:
    maps = {"p1 whole": np.zeros((2, 4, 2))}
    plain = saliency.saliency_sheet(pictures, maps)
    titled = saliency.saliency_sheet(pictures, maps, titles=["query", "result 1"])
    assert titled.width > plain.width
    noted, empty = (
        np.asarray(saliency.saliency_sheet(pictures, maps, notes=[[note, ""]])).astype(int) for note in ("0.25", "")
    )
    assert len(noted) > plain.height, "the numbers are explained"
    changed = (noted != empty).any(2)
    assert changed.any()
    assert np.nonzero(changed)[1].min() >= 80, "notes stand on maps, and not on the image itself"


def test_an_unreadable_image_is_a_gray_tile(pictures: list[str]) -> None:
    sheet = saliency.saliency_sheet([pictures[0], "/nowhere.png"], {"whole": np.ones((2, 4, 2))})
    colors = {color for _, color in sheet.getcolors(1 << 20) or []}
    assert tuple(bytes.fromhex(tiles.UNREADABLE[1:])) in colors


@pytest.mark.parametrize(
    ("maps", "more"),
    [
        ({"whole": np.ones((1, 4, 2))}, {}),
        ({"whole": np.ones((2, 4, 2))}, {"titles": ["one"]}),
        ({"whole": np.ones((2, 4, 2))}, {"notes": [["one"]]}),
    ],
)
def test_counts_that_differ_are_refused(pictures: list[str], maps: dict, more: dict) -> None:
    with pytest.raises(DataError, match="for each of the 2 images"):
        saliency.saliency_sheet(pictures, maps, **more)


def test_words_are_broken_to_a_width() -> None:
    letters = Letters(12)
    lines = letters.wrap("one two three\nfour incomprehensibilities", 60)
    assert lines[:3] == ["one two", "three", "four"]
    assert lines[3].endswith("…")
    assert all(letters.length(line) <= 60 for line in lines)
    assert letters.wrap("", 60) == [""]
    assert letters.wrap("spatial-channel parts", 60) == ["spatial-", "channel", "parts"]
