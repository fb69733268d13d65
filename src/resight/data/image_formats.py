"""The image formats that resight reads, and advice on other files."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from PIL import features

from resight.errors import counted
from resight.files import printable

_HEIC = importlib.util.find_spec("pillow_heif") is not None
_AVIF = bool(features.check("avif"))

FORMATS = (
    *("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "JPEG2000"),
    *(("AVIF",) if _AVIF else ()),
    *(("HEIF",) if _HEIC else ()),
)
"""The formats to try, by content and not by name. Some other formats of Pillow start programs (EPS)."""

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp", ".jp2"}
    | ({".avif"} if _AVIF else set())
    | ({".heic", ".heif"} if _HEIC else set())
)
"""The file-name endings of images in a folder, in lower case."""

_CONVERT, _CUT = "convert them to JPEG or PNG", "cut the people out of the frames of videos"
_ADVICE = {
    **dict.fromkeys((".heic", ".heif"), "install pillow-heif to read them"),
    ".avif": "install a Pillow that reads AVIF (11.3 or later) to read them",
    **dict.fromkeys((".jxl", ".psd", ".svg", ".eps", ".tga", ".ico", ".pcx", ".exr", ".hdr", ".jpe"), _CONVERT),
    **dict.fromkeys((".dng", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"), _CONVERT),
    **dict.fromkeys((".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".wmv", ".mpg", ".mpeg", ".ts"), _CUT),
}
"""Advice on pictures of other formats, by the ending of their names."""

_BRANDS = {b"ftyp" + brand: ".heic" for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")}
_BRANDS |= {b"ftypavif": ".avif", b"ftypavis": ".avif", b"ftypisom": ".mp4", b"ftypmp42": ".mp4", b"ftypqt  ": ".mov"}


@functools.cache
def readable_formats() -> tuple[str, ...]:
    """Return `FORMATS`; the first call registers HEIC with Pillow if it is installed."""
    if _HEIC:
        import pillow_heif  # type: ignore[import-not-found, unused-ignore]

        pillow_heif.register_heif_opener()
    return FORMATS


def lower_suffix(name: str) -> str:
    """Return the ending of a file's name, in lower case."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - 100,000 Path objects are slow


def is_image_name(name: str) -> bool:
    """Return whether a file's name has the ending of a readable image, in any case."""
    return lower_suffix(name) in SUFFIXES


def advice_on(name: str) -> str:
    """Return advice on a picture of another format, by its name; empty if its name is not a picture's."""
    return _advice(lower_suffix(name))


def advice_on_file(path: str | Path) -> str:
    """Return advice on an unreadable file, by its content if that is a picture's, else by its name."""
    try:
        with Path(path).open("rb") as file:
            brand = _BRANDS.get(file.read(12)[4:], "")
    except OSError:
        brand = ""
    return (_advice(brand) or advice_on(str(path))).replace("them", "it")


def _advice(suffix: str) -> str:
    return "" if suffix in SUFFIXES else _ADVICE.get(suffix, "")


def describe_skipped_files(names: Sequence[str]) -> list[str]:
    """Describe the files that a folder of images leaves out, a note for each kind.

    Args:
        names: The names of the files that are not images (`is_image_name`).

    Returns:
        A note with advice on each other format of pictures, and one note on all other files.
    """
    pictures = Counter(lower_suffix(name) for name in names if advice_on(name))
    notes = [
        f"{counted(number, f'{printable(suffix)} file is', f'{printable(suffix)} files are')} skipped: "
        f"{_ADVICE[suffix]}"
        for suffix, number in sorted(pictures.items())
    ]
    num_others = len(names) - pictures.total()
    if num_others:
        notes.append(counted(num_others, "file that is no image is skipped", "files that are no images are skipped"))
    return notes
