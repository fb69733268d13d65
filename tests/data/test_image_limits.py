"""What reading one image may cost, tried with files that ask for more."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resight.data import image_limits as bounds
from resight.data import images
from resight.data.image_limits import count_scans
from resight.data.images import image_size, open_image, read_image
from resight.errors import DataError


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def noise(mode: str = "RGB", size: tuple[int, int] = (37, 64)) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    picture = Image.fromarray(values)
    return picture.convert("P", palette=Image.Palette.ADAPTIVE) if mode == "P" else picture.convert(mode)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def gray_png(width: int, height: int, *, before: bytes = b"") -> bytes:
    """A whole PNG, black, of one bit a pixel."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = (b"\0" * ((width + 7) // 8 + 1)) * height
    body = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def jpeg(scans: int = 0, *, behind: bytes = b"", **options: object) -> bytes:
    """A JPEG of many passes, whose last scan stands in it so many times more."""
    whole = encoded(noise("L"), "JPEG", progressive=True, **options)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + last * scans + b"\xff\xd9" + behind


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "too wide": (lambda: gray_png(30_001, 1), r"30001 x 1 pixels, above the limit of 30,000 along a side"),
    "too high": (lambda: gray_png(1, 100_000), r"1 x 100000 pixels, above the limit of 30,000 along a side"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_cost_too_much_is_one_line(kind: str, tmp_path: Path) -> None:
    make, expected = REFUSED[kind]
    (tmp_path / "image.jpg").write_bytes(make())
    with pytest.raises(DataError, match=expected) as caught:
        read_image(tmp_path / "image.jpg", (32, 16))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        jpeg,
        lambda: jpeg(behind=b"\xff\xda" * 500),  # a film behind the picture, as telephones write them
        lambda: jpeg(exif=b"Exif\0\0" + b"\xff\xda" * 500),
    ],
)
def test_what_only_looks_costly_is_read(
    make: Callable[[], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "SCANNED_LIMIT", 20 * 37 * 64)
    (tmp_path / "image").write_bytes(make())
    assert read_image(tmp_path / "image", (32, 16)).shape == (32, 16, 3)


def test_scans_are_counted_from_marker_to_marker() -> None:
    plain = io.BufferedReader(io.BytesIO(encoded(noise(), "JPEG")))  # type: ignore[arg-type]
    assert count_scans(plain) == 1
    five = count_scans(io.BufferedReader(io.BytesIO(jpeg(5, behind=b"\xff\xda"))))  # type: ignore[arg-type]
    none = count_scans(io.BufferedReader(io.BytesIO(jpeg())))  # type: ignore[arg-type]
    assert five == none + 5


def test_passes_over_an_image_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "SCANNED_LIMIT", 20 * 37 * 64)
    (tmp_path / "image").write_bytes(jpeg(100))
    with pytest.raises(DataError, match=r"a JPEG of 10\d scans, above the limit of 20: save it again"):
        read_image(tmp_path / "image", (32, 16))
    (tmp_path / "image").write_bytes(jpeg(5))
    assert read_image(tmp_path / "image", (32, 16)).shape == (32, 16, 3)


def test_a_file_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse.jpg"
    path.write_bytes(jpeg())
    os.truncate(path, 3 * 2**30)
    with pytest.raises(DataError, match=r"a file of 3,221 MB, above the limit of 268 MB"):
        read_image(path, (32, 16))


def test_a_format_that_is_slow_may_have_fewer_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "image").write_bytes(encoded(noise(), "JPEG2000"))
    assert open_image(tmp_path / "image").size == (37, 64)
    monkeypatch.setitem(bounds.LOWER_PIXEL_LIMITS, "JPEG2000", 2000)
    with pytest.raises(DataError, match="37 x 64 pixels, above the limit of 0 million of JPEG2000"):
        open_image(tmp_path / "image")


def test_a_header_may_not_be_large_nor_take_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "image").write_bytes(gray_png(8, 8, before=chunk(b"tEXt", b"a\0b") * 300))
    assert open_image(tmp_path / "image").size == (8, 8)
    monkeypatch.setattr(bounds, "HEADER_LIMIT", 3000)
    with pytest.raises(DataError, match="besides its pixels"):
        open_image(tmp_path / "image")
    monkeypatch.undo()
    monkeypatch.setattr(bounds, "HEADER_SECONDS", -1.0)
    with pytest.raises(DataError, match="too many seconds to read"):
        open_image(tmp_path / "image")
    assert image_size(tmp_path / "image") is None


def test_pixels_in_digits_may_not_take_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "image").write_bytes(b"P2 500 500 255\n" + b"7 " * 250_000)
    assert open_image(tmp_path / "image").size == (500, 500)
    monkeypatch.setattr(bounds, "PIXEL_SECONDS", -1.0)
    with pytest.raises(DataError, match="too many seconds to read"):
        open_image(tmp_path / "image")


def test_the_pixels_of_a_file_may_be_larger_than_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "HEADER_LIMIT", 60_000)
    (tmp_path / "image").write_bytes(encoded(noise(size=(300, 300)), "PNG"))
    assert (tmp_path / "image").stat().st_size > 120_000
    assert open_image(tmp_path / "image").size == (300, 300)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "L", "1", "P", "CMYK", "I;16"])
def test_an_image_that_is_turned_band_by_band_is_the_same(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = noise("L" if mode == "I;16" else mode)
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 200)
    more = {"transparency": 3} if mode == "P" else {}
    (tmp_path / "image").write_bytes(encoded(picture, "TIFF" if mode == "CMYK" else "PNG", **more))
    at_once = np.asarray(open_image(tmp_path / "image"))
    monkeypatch.setattr(images, "_BAND", 37 * 7)  # the last band is a row
    np.testing.assert_array_equal(np.asarray(open_image(tmp_path / "image")), at_once)


def test_large_images_are_decoded_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[bool] = []
    monkeypatch.setattr(images, "_LARGE", 37 * 64)
    whole = images._rgb
    monkeypatch.setattr(images, "_rgb", lambda *each: held.append(images._one_large.locked()) or whole(*each))
    for size in ((37, 64), (37, 63)):
        (tmp_path / "image").write_bytes(encoded(noise(size=size), "PNG"))
        open_image(tmp_path / "image")
    assert held == [True, False]
