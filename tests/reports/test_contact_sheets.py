import numpy as np
import pytest
from PIL import Image, ImageColor

from resight.errors import DataError
from resight.records import ImageTable
from resight.reports import contact_sheets as sheets
from resight.reports import tiles

HEIGHT, WIDTH = 128, 64


def shown(
    monkeypatch: pytest.MonkeyPatch, table: ImageTable, **given: dict[str, tuple[str, ...]]
) -> tuple[list[list[str]], list[str]]:
    """The rows and titles of a data set's sheet."""
    taken: list[tuple[list[list[str]], list[str]]] = []

    def keep(rows: list[list[str]], *, row_titles: list[str], height: int) -> Image.Image:
        taken.append((rows, list(row_titles)))
        return Image.new("RGB", (1, 1))

    monkeypatch.setattr(sheets, "contact_sheet", keep)
    sheets.dataset_sheet(table, **given)
    return taken[0]


def test_rows_have_the_names_of_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"people": ("anna", "ben"), "cameras": ("door", "hall")}
    people = ImageTable(np.array(["a", "b", "c"]), np.array([0, 1, 1]), np.array([0, 0, 1]))
    assert shown(monkeypatch, people, names=names)[1] == ["anna\n1 camera", "ben\n2 cameras"]
    cameras = ImageTable(np.array(["a", "b", "c"]), np.full(3, -1), np.array([0, 1, 1]))
    assert shown(monkeypatch, cameras, names=names)[1] == ["door\n1 image", "hall\n2 images"]
    assert shown(monkeypatch, cameras)[1] == ["camera 0\n1 image", "camera 1\n2 images"]


def test_contact_sheet(pictures: list[str]) -> None:
    sheet = sheets.contact_sheet(
        [pictures[:3], [pictures[3], "/nowhere.png"]], row_titles=["a", "b"], column_titles=["x", "y", "z"]
    )
    assert sheet.width > 3 * WIDTH
    assert sheet.height > 2 * HEIGHT
    colors = {color for _, color in sheet.getcolors(1 << 16) or []}
    assert {(0, 90, 200), (120, 90, 200), ImageColor.getrgb(tiles.UNREADABLE)} <= colors
    assert sheets.contact_sheet([]).size[0] > 0
    with pytest.raises(DataError, match="2 rows"):
        sheets.contact_sheet([[], []], row_titles=["one"])


def test_people_are_rows_ordered_by_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = np.array([f"{i}" for i in range(7)])
    table = ImageTable(paths, np.array([2, 0, 0, -1, 0, 2, -1]), np.array([1, 3, 1, 1, 2, 1, 1]))
    assert shown(monkeypatch, table) == ([["2", "4", "1"], ["0", "5"]], ["person 0\n3 cameras", "person 2\n1 camera"])


def test_cameras_are_rows_where_nobody_is_known_and_many_are_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    table = ImageTable(np.array([f"{i}" for i in range(45)]), camera_ids=np.array([7] * 23 + [9] * 22))
    rows, titles = shown(monkeypatch, table)
    assert titles == ["camera 7\n23 images", "camera 9\n22 images"]
    assert rows[0] == [str(i) for i in range(0, 23, 2)]
    assert (rows[1][0], rows[1][-1], len(rows[1])) == ("23", "44", sheets.COLUMNS)


def test_without_people_and_cameras_the_images_fill_the_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, titles = shown(monkeypatch, ImageTable(np.array([f"{i}" for i in range(14)])))
    assert titles == []
    assert [len(row) for row in rows] == [12, 2]
    assert rows[0] + rows[1] == [str(i) for i in range(14)]
