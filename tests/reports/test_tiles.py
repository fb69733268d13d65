"""Pictures are shown as training sees them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resight.data import image_limits as bounds
from resight.reports.tiles import read_picture

HEIGHT = 64


def test_a_picture_has_the_height_it_is_shown_at(tmp_path: Path) -> None:
    for width, shown in ((100, 32), (4000, 4 * HEIGHT)):
        Image.new("RGB", (width, 200)).save(tmp_path / "a.png")
        picture = read_picture(tmp_path / "a.png", HEIGHT)
        assert picture is not None
        assert picture.size == (shown, HEIGHT)


def test_gray_of_16_bits_and_transparency_look_as_they_are_learned(tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 32), 30_000, np.uint16)).save(tmp_path / "deep.png")
    Image.new("RGBA", (32, 64), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    for name, gray in (("deep.png", 117), ("clear.png", 128)):
        picture = read_picture(tmp_path / name, HEIGHT)
        assert picture is not None
        assert picture.getpixel((16, 32)) == (gray, gray, gray)


def test_what_training_cannot_read_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.full((64, 32), 0.5, np.float32)).save(tmp_path / "float.tiff")
    os.mkfifo(tmp_path / "pipe.jpg")
    Image.new("RGB", (32, 64)).save(tmp_path / "large.png")
    monkeypatch.setattr(bounds, "PIXEL_LIMIT", 1000)
    for name in ("float.tiff", "pipe.jpg", "large.png"):
        assert read_picture(tmp_path / name, HEIGHT) is None
