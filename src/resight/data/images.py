"""Read image files: whatever Pillow makes of a file, as (H, W, 3) uint8 RGB or as one clear error.

What happens to each kind of file:

- The EXIF orientation is applied; EXIF data that cannot be read count as upright.
- Gray, palette, CMYK, YCbCr, HSV and 1-bit pixels become RGB. Alpha, and a palette's or a color key's
  transparency, is laid over mid gray (128), so that a cut-out person has no black or white halo.
- 16-bit gray is scaled to 8 bit (``65535 -> 255``, rounded); 16-bit color loses its lower byte, in Pillow.
- An animation or a document of many pages gives its first frame.
- Floating-point pixels, and integers outside 0..65535, have no known range: an error.
- Empty, truncated and broken files, files that are no image or of a format other than `FORMATS`, and files
  that would cost too much to read (`resight.data.image_limits`) are errors too, mostly found before decoding.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from resight.data.image_formats import FORMATS, advice_on_file, readable_formats
from resight.data.image_limits import PIXEL_LIMIT, BoundedFile, TooMuchError, check_pixels, check_scans, check_size
from resight.errors import ConfigError, DataError, shown
from resight.files import printable

Pixels = npt.NDArray[np.uint8]
Result = TypeVar("Result")

_BACKGROUND = (128, 128, 128, 255)
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BAND = 2**22
"""Pixels that are turned into RGB at once: what an image becomes on the way would be several times its size."""

_LARGE = 2**24
"""From so many pixels on, images are decoded one at a time, in whatever many threads."""

_one_large = threading.Lock()

logger = logging.getLogger(__name__)


def read_image(path: str | Path, size: tuple[int, int]) -> Pixels:
    """Read an image at a given size; the module says what happens to each kind of file.

    Args:
        path: The file.
        size: Height and width in pixels; the image is stretched to it, bicubic.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        DataError: The file cannot be read as an image; one line says which, why and what to do.
        ConfigError: The size is not two positive numbers.
    """
    height, width = check_image_size(size)

    def resized(image: Image.Image) -> Pixels:
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BICUBIC)
        return np.array(image, dtype=np.uint8)

    return _opened(path, resized)


def pixels_of(image: Any, size: tuple[int, int], name: str = "image") -> Pixels:
    """Give a picture in memory at a given size, as `read_image` gives a file.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, or a Pillow image.
        size: As in `read_image`.
        name: What it is called, for the error.

    Raises:
        DataError: It is something else.
    """
    height, width = check_image_size(size)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise DataError(f"{name} must be (H, W, 3) uint8 RGB, found {image.shape} of {image.dtype}")
        image = Image.fromarray(np.ascontiguousarray(image))
    elif not isinstance(image, Image.Image):
        raise DataError(f"{name} must be a path, an (H, W, 3) uint8 array or a Pillow image, found {shown(image)}")
    try:
        image.load()
    except Exception as error:  # its file is closed or broken, and Pillow's readers raise whatever they stumble on
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{name} cannot be decoded ({printable(reason)}): load it while its file is open") from None
    picture = _rgb(_upright(image), name)
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    return np.array(picture, dtype=np.uint8)


def open_image(path: str | Path, *, least: tuple[int, int] | None = None) -> Image.Image:
    """Read an image at its own size, upright and in RGB.

    Args:
        path: The file.
        least: A width and height that is enough: a format that can be decoded smaller is, down to twice that.

    Returns:
        A decoded Pillow image of mode ``RGB``.

    Raises:
        DataError: As `read_image`.
    """
    return _opened(path, Image.Image.copy, least=least)  # the caller's image outlives the open file


def _opened(path: str | Path, use: Callable[[Image.Image], Result], *, least: tuple[int, int] | None = None) -> Result:
    """Give what a function makes of an image, upright and in RGB, while its file is open."""
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{path}: not a file: give the path of an image")
        if status.st_size == 0:
            raise DataError(f"{path}: the file is empty (0 bytes): copy it again or remove it")
        check_size(status.st_size)
        # Opened here, because Pillow maps a file that it opens itself into memory: a file that shrinks meanwhile then
        # ends the process, and turned TIFFs come out scrambled (Pillow 13.0 maps them at the wrong width).
        with _quiet_pillow(), BoundedFile(path) as file, Image.open(file, formats=readable_formats()) as image:
            pixels = image.width * image.height
            check_pixels(*image.size, image.format)
            if image.format in ("JPEG", "MPO"):
                check_scans(file, status.st_size, pixels)
            file.open_pixels(status.st_size)
            if least is not None:
                image.draft(None, (2 * least[0], 2 * least[1]))
            with _one_large if pixels >= _LARGE else contextlib.nullcontext():
                image.load()
                return use(_rgb(_upright(image), path))
    except DataError:
        raise
    except TooMuchError as error:
        raise DataError(f"{path}: {error}") from None
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{path}: there is no such file: check the path") from None
    except PermissionError:
        raise DataError(f"{path}: no permission to read the file: change its rights") from None
    except Image.DecompressionBombError:
        limit = f"{PIXEL_LIMIT // 10**6} million"
        raise DataError(
            f"{path}: far too many pixels, above the limit of {limit}: cut out the people or shrink it"
        ) from None
    except UnidentifiedImageError:
        advice = advice_on_file(path) or "convert it or remove it"
        raise DataError(f"{path}: not an image, or not of a known format ({', '.join(FORMATS)}): {advice}") from None
    except MemoryError:
        raise DataError(f"{path}: not enough memory to decode the image: make it smaller") from None
    # Pillow's readers raise whatever their parsing stumbles on (OSError, SyntaxError, ValueError,
    # struct.error, IndexError, ...); to the caller each of them means that this one file is broken.
    except Exception as error:
        # The system's errors name the path again after their reason.
        reason = " ".join((getattr(error, "strerror", None) or str(error)).split()) or type(error).__name__
        raise DataError(f"{path}: the image is broken ({reason}): copy it again or remove it") from None


def image_size(path: str | Path) -> tuple[int, int] | None:
    """Give an upright image's width and height, from its header alone; None where it cannot be read."""
    try:
        if not os.path.isfile(path):  # noqa: PTH113
            return None
        with _quiet_pillow(), BoundedFile(path) as file, Image.open(file, formats=readable_formats()) as image:
            lying = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
            return (image.height, image.width) if lying else image.size
    except Exception:  # whatever Pillow's readers stumble on
        return None


def check_image_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return a size of images, after making sure that it is one: height and width, pixels.

    Raises:
        ConfigError: It is none.
    """
    if len(size) != 2 or min(size) < 1:
        raise ConfigError(f"an image size is (height, width), both above 0; found {size}")
    return int(size[0]), int(size[1])


def _upright(image: Image.Image) -> Image.Image:
    try:
        turn = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken EXIF data say nothing about the pixels, which are whole
        turn = None
    return image if turn is None else image.transpose(turn)


def _rgb(image: Image.Image, path: str | Path) -> Image.Image:
    """Give an image in RGB, itself where it is so; a large one is turned band by band."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "F":
        raise DataError(f"{path}: floating-point pixels have no known range: convert it to 8 bit")
    if image.width * image.height <= _BAND:
        return _band_rgb(image, path)
    whole, rows = Image.new("RGB", image.size), max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        whole.paste(_band_rgb(band, path), (0, top))
    return whole


def _band_rgb(image: Image.Image, path: str | Path) -> Image.Image:
    if image.mode.startswith("I"):
        return _from_16_bit(image, path).convert("RGB")
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, _BACKGROUND)
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _from_16_bit(image: Image.Image, path: str | Path) -> Image.Image:
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise DataError(f"{path}: pixels outside 0..65535 have no known range: convert it to 8 bit")
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))


_quiet_lock = threading.Lock()
_quiet_threads = 0
_quiet_filters = contextlib.ExitStack()


@contextlib.contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Hide Pillow's warnings while at least one thread reads.

    The filters of `warnings` belong to the process, and `catch_warnings` in two threads at once can leave
    them changed for good. So the first thread in sets them and the last one out puts them back.
    """
    global _quiet_threads
    with _quiet_lock:
        if _quiet_threads == 0:
            _quiet_filters.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL(\.|$)")
        _quiet_threads += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_threads -= 1
            if _quiet_threads == 0:
                _quiet_filters.close()
