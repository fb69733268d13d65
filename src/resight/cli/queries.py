"""The images that a command is given, as words, folders or a list, and where it searches for them.

Nothing here loads torch: a mistake is said before the seconds that this takes.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resight.data.catalog import open_dataset
from resight.data.dataset import Dataset
from resight.data.folder import FolderSettings
from resight.data.images import image_size, open_image
from resight.data.walk import walk
from resight.errors import ConfigError, DataError, counted
from resight.files import expanded, printable
from resight.records import ImageTable

LISTED = 10
"""Things of one kind that are said one by one; the others are counted."""

ALONE = frozenset(
    {"-h", "--help", "--print_config", "--print-config", "--json", "--flip", "--rerank", "--device.cuda_graphs"}
)
"""Flags that may stand without a value."""

FRAME_WIDTH = 640
"""Pixels from which on an image that is wider than high is taken for a whole frame of a camera, and not for a crop."""

_LONGEST = 2**26
_LOOKED_AT = 1000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Images:
    """The images that a user named.

    Attributes:
        paths: The files, each once, in the order they were named.
        problems: What was named and is no image, with the reason.
    """

    paths: tuple[str, ...]
    problems: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a search found for one query.

    Attributes:
        query: Its path.
        results: Of each result its path, similarity, camera and person.
        error: Why the query cannot be read; empty where it can.
    """

    query: str
    results: tuple[Mapping[str, Any], ...] = ()
    error: str = ""


def split_words(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part the words of a command line, wherever they stand, from its flags and their values; ``-k`` is ``--k``."""
    words, flags, takes, switch = list[str](), list[str](), False, False
    for each in arguments:
        follows = takes and not each.startswith("--") and each not in ("-h", "-k")  # -/camera is a layout
        if each.startswith("-") and each != "-" and not follows:
            flag, equals, value = each.partition("=")
            flags.append(("--k" if flag == "-k" else flag) + equals + value)
            switch = flag in ALONE
            takes = not equals and not switch
        elif takes or (switch and each.lower() in ("true", "false")):
            flags.append(each)
            takes = switch = False
        else:
            words.append(each)
            switch = False
    return words, flags


def find_images(words: Sequence[str], listed: str = "") -> Images:
    """Find the images that words and a list name; a folder stands for all images below it.

    Args:
        words: Paths of files or folders.
        listed: A file with one path a line, `-` for standard input; none where empty.

    Returns:
        The files that are there, none of them opened, and what is not.

    Raises:
        DataError: There is none.
        ConfigError: The list cannot be read.
    """
    paths, problems, notes = list[str](), list[tuple[str, str]](), list[str]()
    for name in [*words, *(_lines(listed) if listed else ())]:
        place = expanded(name)
        try:
            paths += _below(place, notes) if os.path.isdir(place) else [_file(place)]  # noqa: PTH112
        except DataError as error:
            problems.append((name, str(error).removeprefix(f"{place}: ")))
    once = dict[str, str]()
    for path in paths:
        once.setdefault(os.path.realpath(path), path)
    if len(once) < len(paths):
        notes.append(counted(len(paths) - len(once), "image was named twice", "images were named twice"))
    if not once:
        raise DataError(none_readable(problems))
    for note in notes:
        logger.info(printable(note))
    return Images(tuple(once.values()), tuple(problems))


def none_readable(problems: Sequence[tuple[str, str]]) -> str:
    """Say that no image can be read, and why."""
    (path, reason), *others = problems
    begin = f"none of the {len(problems):,} images can be read; the first is " if others else ""
    return f"{begin}{path}: {reason}"


def tell_problems(problems: Sequence[tuple[str, str]]) -> None:
    """Say which images cannot be read, a line each, the others as a number."""
    for path, reason in problems[:LISTED]:
        logger.warning(printable(f"{path}: {reason}"))
    if len(problems) > LISTED:
        logger.warning("and %s more that cannot be read", f"{len(problems) - LISTED:,}")


def tell_frames(paths: Iterable[str]) -> None:
    """Say which images look like whole frames: an encoder sees them squeezed, with everybody on them."""
    sizes = {path: image_size(path) or (0, 0) for path in list(paths)[:_LOOKED_AT]}
    whole = [path for path, (width, height) in sizes.items() if width >= FRAME_WIDTH and width > height]
    if whole:
        first = f"{whole[0]} ({' x '.join(map(str, sizes[whole[0]]))} pixels)"
        others = f" and {len(whole) - 1:,} more look like whole frames" if whole[1:] else " looks like a whole frame"
        logger.warning(printable(f"{first}{others}: cut the person out first, crops of one person are compared"))


def tell_notes(dataset: Dataset) -> None:
    """Say what a data set's user should know."""
    for note in filter(None, (dataset.unofficial, *dataset.notes)):
        logger.info(note)


def load_searched(spec: str, told: FolderSettings | None) -> tuple[Dataset, ImageTable]:
    """Read a data set, say its notes, and give the images to search in: its gallery, where it has one, or all.

    Raises:
        DataError: There is no image.
    """
    dataset = open_dataset(spec, told)
    tell_notes(dataset)
    searched = dataset.gallery if len(dataset.gallery) else dataset.train
    if not len(searched):
        raise DataError(f"{dataset.name}: {dataset.root} has no image to search in")
    return dataset, searched


def tell_fewer(searched: int, k: int) -> None:
    """Say that there are fewer images than results were asked for."""
    if searched < k:
        logger.info("%s to search in, fewer than the %s results that k asks for", counted(searched, "image"), f"{k:,}")


def _lines(listed: str) -> list[str]:
    """Read a list of paths, one a line; they start from the working folder, as words do."""
    if listed == "-":
        if sys.stdin is None:
            raise ConfigError("--queries - reads paths from standard input, which is closed")
        content = sys.stdin.buffer.read(_LONGEST + 1)
    else:
        file = expanded(listed)
        if not os.path.isfile(file):  # noqa: PTH113
            what = "is no file" if os.path.exists(file) else "is not there"  # noqa: PTH110
            raise ConfigError(
                f"--queries {listed} {what}: expected a list with one path a line, or - for standard input"
            )
        with file.open("rb") as opened:
            content = opened.read(_LONGEST + 1)
    if b"\0" in content or len(content) > _LONGEST:
        raise ConfigError(f"--queries {listed} is no list of paths: expected text, one path a line")
    lines = [line.strip("\r") for line in content.decode("utf-8-sig", errors="surrogateescape").split("\n")]
    lines = [line for line in lines if line.strip()]
    if not lines:
        raise ConfigError(f"--queries {listed} is empty: expected one path a line")
    found = [_as_meant(line) for line in lines]
    if re.search(r"[,;\t]", lines[0]) and not any(os.path.exists(expanded(path)) for path in found[:_LOOKED_AT]):  # noqa: PTH110
        raise ConfigError(
            f"--queries {listed} looks like a table ('{printable(lines[0])[:60]}'): expected paths alone, one a line"
        )
    return found


def _as_meant(line: str) -> str:
    """Give the path of a line, without spaces and quotes around it where only then it is there."""
    ways = (line, line.strip(), line.strip().strip("\"'"))
    return next((way for way in ways if os.path.exists(expanded(way))), line)  # noqa: PTH110


def _below(place: Path, notes: list[str]) -> list[str]:
    skipped = list[str]()
    below = [path for path, _ in walk(place, skipped)]
    if not below:
        raise DataError(f"{place}: no image lies below this folder" + (f" ({'; '.join(skipped)})" if skipped else ""))
    notes += [f"{place}: {note}" for note in skipped]
    return below


def _file(place: Path) -> str:
    if not os.path.isfile(place):  # noqa: PTH113
        open_image(place)  # says why not
    return str(place)
