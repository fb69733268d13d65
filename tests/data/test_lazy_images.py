"""Images that are decoded when asked for: the same pixels, and what stands in for those that cannot be read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from resight.data import crops
from resight.data import lazy_images as reading
from resight.data.crops import fits_memory, load_crops, open_crops
from resight.data.images import read_image
from resight.errors import DataError
from resight.records import ImageTable

SIZE = (24, 12)


@pytest.fixture
def table(draw: Callable[..., Path], tmp_path: Path) -> ImageTable:
    """Person 1 in tracklets 7 and 8, person 2 in 9, and two images of which nothing is known."""
    names = [f"{row}.png" for row in range(9)]
    root = draw(tmp_path, *names)
    people, tracklets = np.array([1, 1, 1, 1, 1, 2, 2, -1, -1]), np.array([7, 7, 7, 8, 8, 9, 9, -1, -1])
    return ImageTable(np.array([str(root / name) for name in names]), people, people, tracklets, np.arange(9))


def broken(table: ImageTable, *rows: int) -> None:
    for row in rows:
        Path(table.paths[row]).write_bytes(b"broken")


def test_pixels_are_those_that_are_decoded_at_once(table: ImageTable) -> None:
    opened, loaded = open_crops(table, SIZE), load_crops(table, SIZE)
    assert opened.size == loaded.size == SIZE
    assert len(opened) == len(opened.store) == 9
    for rows in (slice(None), slice(2, 5), np.array([3, 0, 3])):
        assert (opened.pixels(rows) == loaded.pixels(rows)).all()
        assert (opened[1:].pixels(np.array([2])) == loaded.pixels(np.array([3]))).all()
    assert opened.pixels(np.empty(0, np.int64)).shape == (0, *SIZE, 3)
    assert opened.problems == ()


def test_what_cannot_be_read_is_tried_once(table: ImageTable, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(table, 0)
    tried: list[str] = []
    monkeypatch.setattr(reading, "read_image", lambda path, size: tried.append(path) or read_image(path, size))
    opened = open_crops(table, SIZE)
    for _ in range(3):
        opened.pixels(np.array([0]))
    assert tried == [table.paths[0], *[table.paths[1]] * 3]


@pytest.mark.parametrize(
    ("gone", "asked", "instead"),
    [
        ((1,), 1, 0),  # of the two neighbors the first
        ((0, 1), 0, 2),
        ((1, 2), 2, 0),  # of its tracklet, though the next row is nearer
        ((0, 1, 2), 2, 3),  # else of its person
        ((0, 1, 2, 3), 0, 4),
        ((3, 4), 4, 2),
    ],
)
def test_the_nearest_of_its_tracklet_then_of_its_person_stands_in(
    table: ImageTable, gone: tuple[int, ...], asked: int, instead: int
) -> None:
    whole = load_crops(table, SIZE).pixels(slice(None))
    broken(table, *gone)
    opened = open_crops(table, SIZE)
    for _ in range(2):
        assert (opened.pixels(np.array([asked]))[0] == whole[instead]).all()
    assert {path for path, _ in opened.problems} <= {table.paths[row] for row in gone}
    assert table.paths[asked] in {path for path, _ in opened.problems}
    assert all("not an image" in reason for _, reason in opened.problems)


def test_what_nothing_can_stand_in_for_is_one_clear_line(table: ImageTable) -> None:
    broken(table, 5, 6, 7)
    for row in (6, 7):
        with pytest.raises(DataError, match=rf"{row}.png: not an image.*no other image of its tracklet") as error:
            open_crops(table, SIZE).pixels(np.array([row]))
        assert "\n" not in str(error.value)


def test_the_first_problem_is_logged_and_all_are_listed(table: ImageTable, caplog: pytest.LogCaptureFixture) -> None:
    broken(table, 0, 5)
    opened = open_crops(table, SIZE)
    with caplog.at_level(logging.WARNING):
        opened.pixels(slice(0, 7))
    assert [path for path, _ in opened.problems] == [table.paths[0], table.paths[5]]
    assert caplog.text.count("cannot be read are replaced") == 1


def test_what_fits_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crops, "MEMORY_LIMIT", 3 * 24 * 12 * 10)
    assert fits_memory(10, SIZE)
    assert not fits_memory(11, SIZE)
