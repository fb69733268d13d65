"""Sheets and tables of generated pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image

from resight.reports.generation import mixing_sheet, turn_title, views_sheet

TURNS = np.arange(8)


def colors(sheet: Image.Image) -> set[tuple[int, int, int]]:
    return {color for _, color in sheet.getcolors(1 << 16) or []}


def views(count: int, value: int = 100) -> np.ndarray:
    return np.full((count, 8, 64, 32, 3), value, np.uint8)


def test_a_row_shows_the_crop_and_its_views_and_marks_the_refused(pictures: list[str]) -> None:
    refused = np.zeros((2, 8), np.bool_)
    plain = views_sheet(pictures[:2], views(2), TURNS, titles=["a\nkept 0.50", "b"], refused=refused)
    red = (0xD0, 0x34, 0x2C)
    assert (100, 100, 100) in colors(plain)
    assert red not in colors(plain)
    refused[1, 3] = True
    marked = views_sheet(pictures[:2], views(2), TURNS, titles=["a\nkept 0.50", "b"], refused=refused)
    assert marked.size == plain.size
    changed = np.argwhere((np.asarray(marked) != np.asarray(plain)).any(2))
    assert changed[:, 0].min() > plain.height // 2, "in the second row only"
    assert (changed[:, 1].max() - changed[:, 1].min()) < plain.width // 8, "in one column"


def test_maps_and_true_pictures_stand_below(pictures: list[str]) -> None:
    refused, maps = np.zeros((1, 8), np.bool_), np.full((1, 8, 64, 32), 55, np.uint8)
    alone = views_sheet(pictures[:1], views(1), TURNS, titles=["a"], refused=refused)
    below = [("structure", maps), ("truth", views(1, 77))]
    sheet = views_sheet(pictures[:1], views(1), TURNS, titles=["a"], refused=refused, below=below)
    assert sheet.height > 2.5 * alone.height
    assert {(55, 55, 55), (77, 77, 77), (100, 100, 100)} <= colors(sheet)


def test_a_row_goes_from_one_person_to_the_other(pictures: list[str]) -> None:
    mixed = np.stack([np.full((64, 32, 3), 50 * step, np.uint8) for step in range(4)])[None]
    sheet = mixing_sheet([(pictures[0], pictures[1])], mixed, [0, 1 / 3, 2 / 3, 1], titles=["a\nto b"])
    assert {(50 * step,) * 3 for step in range(4)} <= colors(sheet)
    wider = mixing_sheet([(pictures[0], pictures[1])], mixed[:, :3], [0, 0.5, 1], titles=["a\nto b"])
    assert wider.width < sheet.width


def test_turns_are_named_in_degrees() -> None:
    assert [turn_title(turn) for turn in (0, 1, 7)] == ["0° (own)", "45°", "315°"]
