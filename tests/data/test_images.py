"""Each kind of file that Pillow may meet, drawn here, and the store of decoded images."""

from __future__ import annotations

import errno
import io
import logging
import os
import struct
import threading
import time
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resight.data import image_store
from resight.data.image_store import load_images
from resight.data.images import open_image, read_image
from resight.data.threads import in_threads
from resight.errors import ConfigError, DataError
from resight.records import ImageTable

RED = (200, 30, 40)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def noise(size: tuple[int, int] = (64, 128)) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds almost no pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def animation() -> bytes:
    frames = [Image.new("RGB", (20, 40), color) for color in (RED, (0, 0, 255))]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def see_through_palette() -> bytes:
    image = Image.new("P", (20, 40), 1)
    image.putpalette([255, 255, 255, *RED])
    image.paste(0, (0, 0, 20, 20))
    # Transparency as bytes is what makes Pillow warn.
    return encoded(image, "PNG", transparency=bytes([0, 255]))


def gray_16_bit() -> bytes:
    values = np.full((40, 20), 65535, np.uint16)
    values[:20] = 32768
    return encoded(Image.fromarray(values), "PNG")


# What was written, and the colors of the upper and the lower half that must come back.
READABLE: dict[str, tuple[Callable[[], bytes], tuple[int, int, int], tuple[int, int, int]]] = {
    "rgb": (lambda: encoded(Image.new("RGB", (20, 40), RED), "PNG"), RED, RED),
    "gray": (lambda: encoded(Image.new("L", (20, 40), 77), "PNG"), (77, 77, 77), (77, 77, 77)),
    "black and white": (lambda: encoded(Image.new("1", (20, 40), 1), "PNG"), (255,) * 3, (255,) * 3),
    "cmyk": (lambda: encoded(Image.new("CMYK", (20, 40), (0, 255, 255, 0)), "TIFF"), (255, 0, 0), (255, 0, 0)),
    "16 bit": (gray_16_bit, (128,) * 3, (255,) * 3),
    "16 bit pgm": (lambda: b"P5 20 40 65535 " + b"\x80\x00" * 400 + b"\xff\xff" * 400, (128,) * 3, (255,) * 3),
    "palette with transparency": (see_through_palette, (128, 128, 128), RED),
    "gray with alpha": (lambda: encoded(Image.new("LA", (20, 40), (255, 0)), "PNG"), (128,) * 3, (128,) * 3),
    "alpha": (lambda: encoded(Image.new("RGBA", (20, 40), (*RED, 0)), "PNG"), (128,) * 3, (128,) * 3),
    "animation": (animation, RED, RED),
    "many pages": (
        lambda: encoded(
            Image.new("RGB", (20, 40), RED), "TIFF", save_all=True, append_images=[Image.new("RGB", (20, 40))]
        ),
        RED,
        RED,
    ),
    "webp": (lambda: encoded(Image.new("RGB", (20, 40), RED), "WEBP", lossless=True), RED, RED),
}


@pytest.mark.parametrize("kind", READABLE)
def test_each_kind_of_file_becomes_rgb(tmp_path: Path, kind: str) -> None:
    make, upper, lower = READABLE[kind]
    path = tmp_path / "image.jpg"  # the name's ending must not matter
    path.write_bytes(make())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = read_image(path, (40, 20))
    assert pixels.shape == (40, 20, 3)
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels[4, 10], upper, atol=1)
    np.testing.assert_allclose(pixels[35, 10], lower, atol=1)


def test_cmyk_jpeg_is_not_inverted(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100))
    np.testing.assert_allclose(read_image(path, (16, 16))[8, 8], (255, 0, 0), atol=4)


@pytest.mark.parametrize(("form", "mode"), [("PNG", "RGB"), ("WEBP", "RGB"), ("TIFF", "RGB"), ("TIFF", "L")])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied_once(tmp_path: Path, orientation: int, form: str, mode: str) -> None:
    upright = np.zeros((40, 20, 3), np.uint8)
    upright[:20, :10] = 200 if mode == "L" else RED  # the upper left quarter
    # Where a camera that is held so stores the picture: the inverse of what a viewer does.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "image"
    picture = Image.fromarray(np.ascontiguousarray(stored)).convert(mode)
    path.write_bytes(encoded(picture, form, exif=exif, lossless=True))
    np.testing.assert_array_equal(read_image(path, (40, 20)), upright)


def test_broken_exif_data_count_as_upright(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(encoded(Image.new("RGB", (20, 40), RED), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_image(path).size == (20, 40)


def test_resizing_is_bicubic(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    noise().save(path)
    expected = np.asarray(noise().resize((30, 50), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(read_image(str(path), (50, 30)), expected)


UNREADABLE: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "empty"),
    "text": (lambda: b"this is a letter, not a photograph\n" * 20, "not an image"),
    "truncated jpeg": (lambda: encoded(noise(), "JPEG")[:2000], "truncated"),
    "jpeg header only": (lambda: encoded(noise(), "JPEG")[:30], "not an image|broken"),
    "truncated png": (lambda: encoded(noise(), "PNG")[:9000], "truncated|broken"),
    "truncated gif": (lambda: encoded(noise(), "GIF")[:3000], "truncated|broken"),
    "truncated bmp": (lambda: encoded(noise(), "BMP")[:3000], "truncated|broken"),
    "truncated tiff": (lambda: encoded(noise(), "TIFF")[:3000], "truncated|broken|not an image"),
    "truncated webp": (lambda: encoded(noise(), "WEBP")[:900], "truncated|broken|not an image"),
    "bad checksum": (lambda: encoded(noise(), "PNG").replace(b"IDAT", b"IDAX"), "broken|truncated"),
    "bomb": (lambda: png_header(60_000, 60_000), "limit of 64 million"),
    "large": (lambda: png_header(8_001, 8_000), "8001 x 8000 pixels, above the limit of 64 million"),
    "above Pillow's own warning": (lambda: png_header(10_000, 10_000), "10000 x 10000 pixels"),
    "vector graphic": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not of a known format"),
    "floating point": (lambda: encoded(Image.new("F", (4, 4), 0.5), "TIFF"), "floating-point"),
    "32 bit": (lambda: encoded(Image.new("I", (4, 4), 70_000), "TIFF"), "outside 0..65535"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_each_broken_file_is_one_clear_line(tmp_path: Path, kind: str) -> None:
    make, expected = UNREADABLE[kind]
    path = tmp_path / "image.jpg"
    path.write_bytes(make())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=expected) as caught:
            read_image(path, (128, 64))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "PPM", "JPEG2000"])
def test_a_file_cut_anywhere_is_an_error(tmp_path: Path, form: str) -> None:
    path = tmp_path / "image"
    whole = encoded(noise((16, 32)), form)
    for end in range(1, int(0.95 * len(whole)), len(whole) // 25):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError):
            read_image(path, (32, 16))


def test_what_is_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_image(tmp_path / "absent.jpg", (4, 4))
    with pytest.raises(DataError, match="not a file"):
        read_image(tmp_path, (4, 4))
    os.mkfifo(tmp_path / "pipe.jpg")  # opening it would wait for ever
    with pytest.raises(DataError, match="not a file"):
        read_image(tmp_path / "pipe.jpg", (4, 4))
    with pytest.raises(DataError, match="broken"):
        read_image("a\0b.jpg", (4, 4))
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    with pytest.raises(DataError) as caught:
        read_image(tmp_path / "loop.jpg", (4, 4))
    assert str(caught.value).count("loop.jpg") == 1, "the path stands in it once"
    noise().save(tmp_path / "file.png")
    with pytest.raises(DataError, match="no such file"):
        read_image(tmp_path / "file.png" / "inside.jpg", (4, 4))


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (OSError("bad"), "broken"),
        (SyntaxError("bad"), "broken"),
        (struct.error("bad"), "broken"),
        (ValueError(), "broken"),
        (KeyError("x"), "broken"),
        (MemoryError(), "not enough memory"),
        (PermissionError(), "no permission"),
    ],
)
def test_whatever_a_reader_raises_is_a_data_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception, said: str
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise raised

    path = tmp_path / "image.png"
    noise().save(path)
    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(DataError, match=said):
        read_image(path, (4, 4))


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (4,)])
def test_a_size_must_be_two_positive_numbers(size: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="height, width"):
        read_image("any.png", size)


def test_reading_in_threads_leaves_the_warning_filters_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(see_through_palette())
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: read_image(path, (8, 4)), range(200)))
    assert list(warnings.filters) == before


@pytest.fixture
def mixed(tmp_path: Path) -> ImageTable:
    """Eighty images in a row; each seventh cannot be read."""
    for i in range(80):
        path = tmp_path / f"{i:03}.png"
        if i % 7 == 0:
            path.write_bytes(b"")
        else:
            Image.new("RGB", (8, 16), (i, 0, 0)).save(path)
    return ImageTable(np.array([str(tmp_path / f"{i:03}.png") for i in range(80)]))


@pytest.mark.parametrize("limit", [10**9, 0])
def test_the_store_keeps_the_order_and_the_problems(
    mixed: ImageTable, tmp_path: Path, caplog: pytest.LogCaptureFixture, limit: int
) -> None:
    cache = tmp_path / "cache"
    with caplog.at_level(logging.WARNING):
        store = load_images(mixed, (16, 8), memory_limit=limit, cache=cache)
    assert len(store) == 80
    broken = np.arange(80) % 7 == 0
    np.testing.assert_array_equal(store.readable, ~broken)
    np.testing.assert_array_equal(store.pixels[:, 0, 0, 0], np.where(broken, 0, np.arange(80)))
    assert [path for path, _ in store.problems] == mixed.paths[broken].tolist()
    assert all(reason.startswith("the file is empty") for _, reason in store.problems)
    assert "12 of 80 images cannot be read" in caplog.text
    with pytest.raises(ValueError, match="read-only"):
        store.pixels[0] = 1
    assert isinstance(store.pixels, np.memmap) == (limit == 0)
    if limit == 0:
        assert not list(cache.iterdir()), "the file has no name, so that a killed process leaves none"


def test_each_image_is_decoded_once(mixed: ImageTable, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counting(path: str, size: tuple[int, int]) -> image_store.Pixels:
        read.append(path)
        return read_image(path, size)

    monkeypatch.setattr(image_store, "read_image", counting)
    load_images(mixed, (16, 8), progress=False)
    assert sorted(read) == mixed.paths.tolist()


def test_an_error_that_is_not_the_images_is_raised(mixed: ImageTable, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str, size: tuple[int, int]) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(image_store, "read_image", fail)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        load_images(mixed, (16, 8))


def test_no_readable_image_is_an_error(tmp_path: Path) -> None:
    paths = np.array([str(tmp_path / name) for name in ("a.jpg", "b.jpg")])
    for path in paths:
        Path(path).write_bytes(b"")
    with pytest.raises(DataError, match=r"none of the 2 images can be read; the first is .*a.jpg: the file is empty"):
        load_images(ImageTable(paths), (8, 4))
    with pytest.raises(DataError, match=r"^.*a.jpg: the file is empty"):
        load_images(ImageTable(paths[:1]), (8, 4))


def test_an_empty_table_gives_an_empty_store() -> None:
    assert load_images(ImageTable(np.array([], np.str_)), (8, 4)).pixels.shape == (0, 8, 4, 3)


def test_a_full_disk_is_an_error_before_the_work(mixed: ImageTable, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"240000.0 GB .* \(.* GB are free\): set TMPDIR"):
        load_images(mixed, (10**6, 10**6), memory_limit=0, cache=tmp_path)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no way to take room on a disk beforehand")
def test_a_disk_that_another_process_fills_is_an_error_before_the_work(
    mixed: ImageTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match=r"\(No space left on device\): set TMPDIR"):
        load_images(mixed, (16, 8), memory_limit=0, cache=tmp_path)


def test_a_cache_that_is_no_folder_is_an_error(mixed: ImageTable, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DataError, match=r"cannot be kept in .*taken"):
        load_images(mixed, (16, 8), memory_limit=0, cache=tmp_path / "taken")


def test_nothing_is_printed_where_there_is_no_terminal(mixed: ImageTable, capsys: pytest.CaptureFixture[str]) -> None:
    load_images(mixed, (16, 8))
    assert "reading images" not in "".join(capsys.readouterr())


def test_an_interrupt_does_not_wait_for_what_threads_are_at() -> None:
    """Each of many rows is a large image; a row fails, as an interrupt would."""
    let_go, begun, done = threading.Event(), threading.Event(), []

    def work(row: int) -> None:
        if row == 0:
            begun.wait(10)
            raise KeyboardInterrupt
        begun.set()
        let_go.wait(10)
        done.append(row)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        in_threads(work, 1000, what="", progress=False)
    assert time.monotonic() - started < 5
    let_go.set()
    time.sleep(0.2)
    assert len(done) <= 32, "each thread ends with the row that it is at"
