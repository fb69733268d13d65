"""Pictures that are read, and what is said of those that are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from resight.data import image_formats as formats
from resight.data.folder import load_folder
from resight.data.image_formats import advice_on, describe_skipped_files, is_image_name
from resight.data.images import read_image
from resight.errors import DataError


@pytest.fixture
def without_heic(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("heic", "heif"):
        monkeypatch.setattr(formats, "SUFFIXES", formats.SUFFIXES - {f".{name}"})


@pytest.mark.usefixtures("without_heic")
def test_pictures_that_are_not_read_are_named_with_what_to_do() -> None:
    names = ["a.HEIC", "b.heic", "walk.mp4", "raw.nef", "list.txt", "Thumbs.db", "x\x1b.tga\n"]
    assert describe_skipped_files(names) == [
        "2 .heic files are skipped: install pillow-heif to read them",
        "1 .mp4 file is skipped: cut the people out of the frames of videos",
        "1 .nef file is skipped: convert them to JPEG or PNG",
        "3 files that are no images are skipped",
    ]
    assert describe_skipped_files([]) == []


def test_a_name_that_is_read_needs_no_advice() -> None:
    assert is_image_name("A.JPG")
    assert is_image_name("a.webp")
    assert not is_image_name("jpg")
    assert advice_on("a.jpg") == advice_on("a.txt") == ""


@pytest.mark.usefixtures("without_heic")
def test_a_folder_says_which_pictures_it_leaves_out(tmp_path: Path, draw) -> None:
    draw(tmp_path / "crops", "c1/a.png", "c2/b.png")
    (tmp_path / "crops" / "c1" / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic")
    notes = load_folder(tmp_path / "crops").notes
    assert any("1 .heic file is skipped: install pillow-heif" in note for note in notes)


@pytest.mark.usefixtures("without_heic")
@pytest.mark.parametrize(
    ("name", "content", "advice"),
    [
        ("a.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "install pillow-heif to read it"),
        ("a.jpg", b"\0\0\0\x18ftypisom\0\0\0\0", "cut the people out"),
        ("a.heic", b"no picture at all", "install pillow-heif to read it"),
        ("a.jpg", b"no picture at all", "convert it or remove it"),
    ],
)
def test_an_image_that_is_none_says_what_it_is(name: str, content: bytes, advice: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=advice):
        read_image(tmp_path / name, (4, 4))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_read_where_pillow_can(tmp_path: Path) -> None:
    Image.new("RGB", (20, 40), (200, 30, 40)).save(tmp_path / "a.avif", quality=100)
    assert is_image_name("a.AVIF")
    np.testing.assert_allclose(read_image(tmp_path / "a.avif", (40, 20))[20, 10], (200, 30, 40), atol=4)
