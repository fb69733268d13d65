"""Read image files as (H, W, 3) uint8 RGB, or raise one clear error.

How each kind of file is read:

- The EXIF orientation is applied. With unreadable EXIF data the image counts as upright.
- Gray, palette, CMYK, YCbCr, HSV and 1-bit pixels become RGB. Transparency (alpha, of a palette or of a color key) is
  blended with mid gray (128), so that a cut-out person has no black or white halo.
- 16-bit gray is scaled to 8 bit (``65535 -> 255``, rounded). Pillow drops the lower byte of 16-bit color.
- An animation or a document of many pages gives its first frame.
- Floating-point pixels, and integers outside 0..65535, have no known range: an error.
- Empty, truncated and broken files, and files of a format outside `FORMATS`, are errors. So are files that cost too
  much to read (`resight.data.image_limits`), mostly before decoding.
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
"""Pixels to convert to RGB at once: intermediate results are several times the size of an image."""

_LARGE = 2**24
"""Images of this many pixels or more are decoded one at a time, even with many threads."""

_one_large = threading.Lock()

logger = logging.getLogger(__name__)


def read_image(path: str | Path, size: tuple[int, int]) -> Pixels:
    """Read an image at a given size; the module describes how each kind of file is read.

    Args:
        path: The file.
        size: Height and width in pixels; the image is stretched to this size (bicubic).

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        DataError: The file cannot be read as an image. One line names the file, the reason and the remedy.
        ConfigError: The size is not two positive numbers.
    """
    height, width = check_image_size(size)

    return _read(path, lambda image: _resize(image, height, width))


def resize_picture(picture: Any, size: tuple[int, int], name: str = "image") -> Pixels:
    """Convert a picture in memory to a given size, as `read_image` does with a file.

    Args:
        picture: ``(H, W, 3)`` uint8 RGB, or a Pillow image.
        size: As in `read_image`.
        name: The name of the picture, for the error.

    Raises:
        DataError: The picture has another type or shape, or cannot be decoded.
    """
    height, width = check_image_size(size)
    if isinstance(picture, np.ndarray):
        if np.ma.is_masked(picture):
            raise DataError(f"{name} must not have masked pixels: fill them first, with array.filled(128), for example")
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
            raise DataError(f"{name} must be (H, W, 3) uint8 RGB, found {picture.shape} of {picture.dtype}")
        picture = Image.fromarray(np.ascontiguousarray(picture))
    elif not isinstance(picture, Image.Image):
        raise DataError(f"{name} must be a path, an (H, W, 3) uint8 array or a Pillow image, found {shown(picture)}")
    try:
        picture.load()
    except Exception as error:  # the file is closed or broken; Pillow's readers raise errors of any type
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{name} cannot be decoded ({printable(reason)}): load it while its file is open") from None
    return _resize(_rgb(_upright(picture), name), height, width)


def open_image(path: str | Path, *, least: tuple[int, int] | None = None) -> Image.Image:
    """Read an image at its own size, upright and in RGB.

    Args:
        path: The file.
        least: A sufficient width and height. Formats that can be decoded smaller are, down to twice
            this size.

    Returns:
        A decoded Pillow image of mode ``RGB``.

    Raises:
        DataError: As `read_image`.
    """
    return _read(path, Image.Image.copy, least=least)  # the copy outlives the open file


def _read(
    path: str | Path, convert: Callable[[Image.Image], Result], *, least: tuple[int, int] | None = None
) -> Result:
    """Convert an image, upright and in RGB, while its file is open."""
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{path}: not a file: give the path of an image")
        if status.st_size == 0:
            raise DataError(f"{path}: the file is empty (0 bytes): copy it again or remove it")
        check_size(status.st_size)
        # Pillow maps a file that it opens itself into memory. If such a file shrinks meanwhile, the process ends, and
        # rotated TIFFs come out scrambled (Pillow 13.0 maps them at the wrong width). So open the file here.
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
                return convert(_rgb(_upright(image), path))
    except DataError:
        raise
    except TooMuchError as error:
        raise DataError(f"{path}: {error}") from None
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{path}: there is no such file: check the path") from None
    except PermissionError:
        raise DataError(f"{path}: no permission to read the file: change its permissions") from None
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
    # Pillow's readers raise errors of any type (OSError, SyntaxError, ValueError, struct.error, IndexError, ...). To
    # the caller each of them means that this file is broken.
    except Exception as error:
        # Errors of the operating system repeat the path after the reason.
        reason = " ".join((getattr(error, "strerror", None) or str(error)).split()) or type(error).__name__
        raise DataError(f"{path}: the image is broken ({reason}): copy it again or remove it") from None


def image_size(path: str | Path) -> tuple[int, int] | None:
    """Return an upright image's width and height from its header alone; None if it is unreadable."""
    try:
        if not os.path.isfile(path):  # noqa: PTH113
            return None
        with _quiet_pillow(), BoundedFile(path) as file, Image.open(file, formats=readable_formats()) as image:
            rotated = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
            return (image.height, image.width) if rotated else image.size
    except Exception:  # Pillow's readers raise errors of any type
        return None


def check_image_size(size: tuple[int, int]) -> tuple[int, int]:
    """Check and return a size of images: height and width in pixels.

    Raises:
        ConfigError: The size is not two positive numbers.
    """
    if len(size) != 2 or min(size) < 1:
        raise ConfigError(f"an image size is (height, width), both above 0; found {size}")
    return int(size[0]), int(size[1])


def _upright(image: Image.Image) -> Image.Image:
    try:
        transpose = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # the EXIF data are broken, the pixels are not
        transpose = None
    return image if transpose is None else image.transpose(transpose)


def _resize(image: Image.Image, height: int, width: int) -> Pixels:
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.array(image, dtype=np.uint8)


def _rgb(image: Image.Image, path: str | Path) -> Image.Image:
    """Return an image in RGB, itself if it is RGB already; a large image is converted band by band."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "F":
        raise DataError(f"{path}: floating-point pixels have no known range: convert it to 8 bit")
    if image.width * image.height <= _BAND:
        return _band_rgb(image, path)
    rgb, rows = Image.new("RGB", image.size), max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        rgb.paste(_band_rgb(band, path), (0, top))
    return rgb


def _band_rgb(image: Image.Image, path: str | Path) -> Image.Image:
    if image.mode.startswith("I"):
        return _from_16_bit(image, path).convert("RGB")
    if image.has_transparency_data:
        background = Image.new("RGBA", image.size, _BACKGROUND)
        return Image.alpha_composite(background, image.convert("RGBA")).convert("RGB")
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

    The filters of `warnings` belong to the process, and `catch_warnings` in two threads at once can change them
    permanently. So the first thread to enter sets them, and the last one to leave restores them.
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
