"""Contact sheets: many images of a data set in one picture.

An image that cannot be read becomes a gray tile with a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from resight.errors import DataError, counted
from resight.records import ImageTable, Ints
from resight.reports.letters import Letters
from resight.reports.tiles import INK, PAPER, Names, display_name, draw_tile, read_picture, tile_width

ROWS, COLUMNS = 12, 12
"""The most people, or cameras, on the sheet of a data set, and the most images of each."""


def dataset_sheet(table: ImageTable, *, names: Names | None = None, height: int = 128) -> Image.Image:
    """Draw a sample of people, a row each, ordered by camera.

    If no person is known, the rows are cameras; if no camera is known either, they are a sample of all images. Rows,
    and the images of each, are spread evenly over all.

    Args:
        table: The images.
        names: The data set's names of ``people`` and ``cameras``, in the order of the ids, if it has any.
        height: Height of each picture in pixels.

    Returns:
        The sheet.
    """
    people, camera_names = ((names or {}).get(kind, ()) for kind in ("people", "cameras"))
    labeled_rows = np.flatnonzero(table.person_ids >= 0)
    if len(labeled_rows):
        titles = {
            person: f"{display_name(person, people, 'person')}\n"
            + counted(len(set(table.camera_ids[table.person_ids == person].tolist())), "camera")
            for person in spread(np.unique(table.person_ids[labeled_rows]), ROWS).tolist()
        }
        groups = [labeled_rows[table.person_ids[labeled_rows] == person] for person in titles]
        groups = [rows[np.argsort(table.camera_ids[rows], kind="stable")] for rows in groups]
        row_titles = list(titles.values())
    elif table.has_cameras:
        cameras = spread(np.unique(table.camera_ids), ROWS).tolist()
        groups = [np.flatnonzero(table.camera_ids == camera) for camera in cameras]
        row_titles = [
            f"{display_name(camera, camera_names, 'camera')}\n{counted(len(rows), 'image')}"
            for camera, rows in zip(cameras, groups, strict=True)
        ]
    else:
        chosen = spread(np.arange(len(table)), ROWS * COLUMNS)
        groups, row_titles = [chosen[start : start + COLUMNS] for start in range(0, len(chosen), COLUMNS)], []
    rows = [table.paths[spread(group, COLUMNS)].tolist() for group in groups]
    return contact_sheet(rows, row_titles=row_titles, height=height)


def spread(values: Ints, most: int) -> Ints:
    """Return values spread evenly from the first to the last."""
    chosen: Ints = values[np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(np.int64)]
    return chosen


def contact_sheet(
    rows: Sequence[Sequence[str | Path | Image.Image]],
    *,
    row_titles: Sequence[str] = (),
    column_titles: Sequence[str] = (),
    height: int = 128,
) -> Image.Image:
    """Draw images in rows, such as a row for each cluster or person.

    Args:
        rows: The image files, or images, of each row; rows may differ in length.
        row_titles: A title to the left of each row, with newlines between its lines; empty for none.
        column_titles: A title above each column; empty for none. Long titles are shortened so that different titles
            stay different.
        height: Height of each picture in pixels.

    Returns:
        The sheet, in mode RGB; a small blank one if there are no rows.

    Raises:
        DataError: There are row titles, but not one for each row.
    """
    if row_titles and len(row_titles) != len(rows):
        raise DataError(f"expected one title for each of the {len(rows)} rows, found {len(row_titles)}")
    pictures = [[read_picture(image, height) for image in row] for row in rows]
    width = tile_width([picture for row in pictures for picture in row], height)
    columns = max([len(column_titles), *(len(row) for row in rows)])
    gap = max(4, height // 24)
    letters = Letters(max(9, height // 11))
    line, lines = round(1.3 * letters.size), [title.split("\n") for title in row_titles]
    longest = max((round(letters.length(text)) for title in lines for text in title), default=-gap)
    side = min(3 * height, longest) + gap
    top = round(letters.size * 1.4) if column_titles else 0
    sheet = Image.new("RGB", (gap + side + columns * (width + gap), gap + top + len(rows) * (height + gap)), PAPER)
    draw = ImageDraw.Draw(sheet)
    heads = letters.shorten(column_titles, width)
    for column, title in enumerate(column_titles):
        middle = gap + side + column * (width + gap) + width // 2
        letters.write(draw, (middle, gap // 2), heads[title], INK, "ma")
    sides = letters.shorten(chain.from_iterable(lines), side - gap)
    for index, row in enumerate(pictures):
        upper = gap + top + index * (height + gap)
        for number, text in enumerate(lines[index] if lines else ()):
            middle = upper + height // 2 + round((number + 0.5 - len(lines[index]) / 2) * line)
            letters.write(draw, (gap, middle), sides[text], INK, "lm")
        for column, picture in enumerate(row):
            corner = (gap + side + column * (width + gap), upper)
            draw_tile(sheet, picture, corner, (width, height), 0, INK)
    return sheet
