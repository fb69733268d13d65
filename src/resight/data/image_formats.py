"""Which kinds of image are read, and what to say of files that are not."""

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
"""The formats that are tried, by content and not by name; some of Pillow's others start programs (EPS)."""

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp", ".jp2"}
    | ({".avif"} if _AVIF else set())
    | ({".heic", ".heif"} if _HEIC else set())
)
"""The file-name endings, in lower case, that a folder is searched for."""

_CONVERT, _CUT = "convert them to JPEG or PNG", "cut the people out of the frames of videos"
_ADVICE = {
    **dict.fromkeys((".heic", ".heif"), "install pillow-heif to read them"),
    ".avif": "install a Pillow that reads AVIF (11.3 or later) to read them",
    **dict.fromkeys((".jxl", ".psd", ".svg", ".eps", ".tga", ".ico", ".pcx", ".exr", ".hdr", ".jpe"), _CONVERT),
    **dict.fromkeys((".dng", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"), _CONVERT),
    **dict.fromkeys((".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".wmv", ".mpg", ".mpeg", ".ts"), _CUT),
}
"""What to do about pictures that are not read here, by the ending of their names."""

_BRANDS = {b"ftyp" + brand: ".heic" for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")}
_BRANDS |= {b"ftypavif": ".avif", b"ftypavis": ".avif", b"ftypisom": ".mp4", b"ftypmp42": ".mp4", b"ftypqt  ": ".mov"}


@functools.cache
def readable_formats() -> tuple[str, ...]:
    """Give `FORMATS`; the first call makes Pillow know HEIC, where it is installed."""
    if _HEIC:
        import pillow_heif  # type: ignore[import-not-found, unused-ignore]

        pillow_heif.register_heif_opener()
    return FORMATS


def suffix_of(name: str) -> str:
    """Give the ending of a file's name, in lower case."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a Path for each of 100,000 names is slow


def is_image_name(name: str) -> bool:
    """Say whether a file's name ends like that of an image that is read here, in any case."""
    return suffix_of(name) in SUFFIXES


def advice_on(name: str) -> str:
    """Say what to do about a picture that is not read here, by its name; empty where its name is no picture's."""
    return _advice(suffix_of(name))


def advice_on_file(path: str | Path) -> str:
    """Say what to do about a file that is not read, by its content where that is a picture's, else by its name."""
    try:
        with Path(path).open("rb") as file:
            brand = _BRANDS.get(file.read(12)[4:], "")
    except OSError:
        brand = ""
    return (_advice(brand) or advice_on(str(path))).replace("them", "it")


def _advice(suffix: str) -> str:
    return "" if suffix in SUFFIXES else _ADVICE.get(suffix, "")


def skipped_files(names: Sequence[str]) -> list[str]:
    """Say of which files a folder of images leaves out what, a note for each kind.

    Args:
        names: The names of its files whose names are no image's (`is_image_name`).

    Returns:
        A note on each kind of picture that is not read here, with what to do, and one on all others.
    """
    pictures = Counter(suffix_of(name) for name in names if advice_on(name))
    notes = [
        f"{counted(number, f'{printable(suffix)} file is', f'{printable(suffix)} files are')} skipped: "
        f"{_ADVICE[suffix]}"
        for suffix, number in sorted(pictures.items())
    ]
    others = len(names) - pictures.total()
    if others:
        notes.append(counted(others, "file that is no image is skipped", "files that are no images are skipped"))
    return notes
