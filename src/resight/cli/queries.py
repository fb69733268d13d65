"""The images that a command names by words, folders or a list, and the images that it searches in.

Nothing here loads torch, which takes seconds: wrong arguments fail before that.
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

from resight.config.settings import flags_of
from resight.config.types import SWITCHES
from resight.data.catalog import open_dataset
from resight.data.dataset import Dataset
from resight.data.image_formats import is_image_name
from resight.data.images import image_size, open_image
from resight.data.settings import DataSettings
from resight.data.walk import walk
from resight.errors import ConfigError, DataError, counted
from resight.files import expanded, printable
from resight.models.encoder_settings import EncoderSettings
from resight.models.packaged import SYNTHETIC
from resight.records import ImageTable

LISTED = 10
"""The most messages or tables of one kind that are printed; the others are counted."""

SWITCH_FLAGS = frozenset(
    {"--json", "--flip", "--rerank", "--thresholds", "--normalize", "--device.cuda_graphs"}
    | {"--evaluate", "--show_maps", "--show_true"}
)
"""Flags that take true, false or no value."""

LONE_FLAGS = SWITCH_FLAGS | {"-h", "--help", "--print_config", "--print-config"}
"""Flags that may stand without a value."""

FRAME_WIDTH = 640
"""The least width in pixels of an image that counts as a whole frame of a camera if it is wider than high."""

_MOST_BYTES = 2**26  # of a list of paths
_SAMPLE = 1000  # paths that are checked of many

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Images:
    """The images that a user named.

    Attributes:
        paths: The files, each once, in the order they were named.
        problems: The named paths that are no images, each with the reason.
    """

    paths: tuple[str, ...]
    problems: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Answer:
    """The results of a search for one query.

    Attributes:
        query: The query's path.
        results: The path, similarity, camera and person of each result, most similar first.
        error: Why the query cannot be read; empty if it can.
    """

    query: str
    results: tuple[Mapping[str, Any], ...] = ()
    error: str = ""


def split_words(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate the words of a command line from its flags and their values; ``-k`` means ``--k``.

    Raises:
        ConfigError: A word after a switch is neither true or false nor a path.
    """
    words, flags, takes_value, switch = list[str](), list[str](), False, ""
    for argument in arguments:
        is_value = (
            takes_value and not argument.startswith("--") and argument not in ("-h", "-k")
        )  # -/camera is a layout
        if argument.startswith("-") and argument != "-" and not is_value:
            flag, equals, value = argument.partition("=")
            flags.append(("--k" if flag == "-k" else flag) + equals + value)
            takes_value = not equals and flag not in LONE_FLAGS
            switch = flag if flag in SWITCH_FLAGS and not equals else ""
        elif takes_value or (switch and argument.lower() in SWITCHES):
            flags.append(argument)
            takes_value, switch = False, ""
        else:
            if switch and not _names_file(argument):
                raise ConfigError(
                    f"{switch} takes true, false or no value, found '{printable(argument)}', which is no file either"
                )
            words.append(argument)
            switch = ""
    return words, flags


def _names_file(word: str) -> bool:
    """Return whether a word looks like a path, or is one."""
    return any(sign in word for sign in "./\\~-") or os.path.lexists(expanded(word))


def choose_encoder(model: str, encoder: EncoderSettings, flags: Sequence[str]) -> str | EncoderSettings:
    """Return what a command embeds with: a named model, the backbone that its flags set, or the installation's model.

    Raises:
        ConfigError: The flags set an encoder beside a model.
    """
    sets_encoder = encoder != EncoderSettings() or any(flag.startswith("--encoder.") for flag in flags)
    if model and sets_encoder:
        raise ConfigError(f"{model} brings its own encoder: leave out --encoder.*, or leave out {model}")
    return encoder if sets_encoder else model or SYNTHETIC


def run_flags(model: str) -> list[str]:
    """Return a run's own settings of how it scores, as flags; none for a model that is no run, or for no model."""
    config = expanded(model) / "config.yaml"
    return flags_of(config, "flip", "tracklet") if model and config.is_file() else []


def check_images_named(words: Sequence[str]) -> None:
    """Check that words name files, folders or images that are gone, so that a mistyped model is not taken for one.

    Raises:
        ConfigError: A word names none of them.
    """
    for word in words:
        if not os.path.lexists(expanded(word)) and not is_image_name(word):
            raise ConfigError(
                f"'{printable(word)[:200]}' is neither a model nor an image: there is no such file or folder"
            )


def find_images(words: Sequence[str], list_file: str = "") -> Images:
    """Find the images that words and a list name; a folder stands for all images below it.

    Args:
        words: Paths of files or folders.
        list_file: A file with one path a line, or `-` for standard input; empty for none.

    Returns:
        The files that exist, none of them opened, and the reasons for those that do not.

    Raises:
        DataError: No file exists.
        ConfigError: The list cannot be read.
    """
    paths, problems, notes = list[str](), list[tuple[str, str]](), list[str]()
    for name in [*words, *(read_list(list_file) if list_file else ())]:
        path = expanded(name)
        try:
            paths += _images_below(path, notes) if os.path.isdir(path) else [_check_file(path)]  # noqa: PTH112
        except DataError as error:
            problems.append((name, str(error).removeprefix(f"{path}: ")))
    unique = dict[str, str]()
    for file in paths:
        unique.setdefault(os.path.realpath(file), file)
    if len(unique) < len(paths):
        notes.append(counted(len(paths) - len(unique), "image was named twice", "images were named twice"))
    if not unique:
        raise DataError(_unreadable(problems))
    for note in notes:
        logger.info(printable(note))
    return Images(tuple(unique.values()), tuple(problems))


def _unreadable(problems: Sequence[tuple[str, str]]) -> str:
    """Return the message that no image can be read, with the first reason."""
    (path, reason), *others = problems
    start = f"none of the {len(problems):,} images can be read; the first is " if others else ""
    return f"{start}{path}: {reason}"


def log_queries(images: Images) -> None:
    """Log which of the named images cannot be read, and which look like whole frames."""
    log_problems(images.problems)
    _log_frames(images.paths)


def log_problems(problems: Sequence[tuple[str, str]]) -> None:
    """Log which images cannot be read, a line each; count those beyond `LISTED`."""
    for path, reason in problems[:LISTED]:
        logger.warning(printable(f"{path}: {reason}"))
    if len(problems) > LISTED:
        logger.warning("and %s more that cannot be read", f"{len(problems) - LISTED:,}")


def _log_frames(paths: Iterable[str]) -> None:
    """Warn of images that look like whole frames, which an encoder sees squeezed and with several people."""
    sizes = {path: image_size(path) or (0, 0) for path in list(paths)[:_SAMPLE]}
    frames = [path for path, (width, height) in sizes.items() if width >= FRAME_WIDTH and width > height]
    if frames:
        first = f"{frames[0]} ({' x '.join(map(str, sizes[frames[0]]))} pixels)"
        others = f" and {len(frames) - 1:,} more look like whole frames" if frames[1:] else " looks like a whole frame"
        logger.warning(printable(f"{first}{others}: cut the person out first, crops of one person are compared"))


def log_notes(dataset: Dataset) -> None:
    """Log what the user of a data set should know."""
    for note in filter(None, (dataset.unofficial, *dataset.notes)):
        logger.info(note)


def load_gallery(settings: DataSettings, k: int) -> tuple[Dataset, ImageTable]:
    """Load the data set that a search names; log its notes, and whether it has fewer images than results requested.

    Args:
        settings: What names the data set.
        k: The number of results that the search returns.

    Returns:
        The data set, and the images to search in: its gallery, or all its images if it has none.

    Raises:
        DataError: There is no image.
    """
    dataset = open_dataset(settings.data, settings.folder_settings())
    log_notes(dataset)
    gallery = dataset.gallery if len(dataset.gallery) else dataset.train
    if not len(gallery):
        raise DataError(f"{dataset.name}: {dataset.root} has no image to search in")
    if len(gallery) < k:
        logger.info("the gallery has %s, fewer than the requested k = %s", counted(len(gallery), "image"), f"{k:,}")
    return dataset, gallery


def describe_encoder(encoder: str | EncoderSettings) -> str:
    """Return in words what a command embeds with if no model is named."""
    if isinstance(encoder, str):
        return "'synthetic', the model of the installation, which has learned from drawn people"
    settings = encoder
    weights = {"imagenet": "ImageNet weights", "none": "random weights"}
    return f"{settings.backbone} with {weights.get(settings.weights, f'the weights of {settings.weights}')}"


def read_list(list_file: str) -> list[str]:
    """Read a list of paths, one a line; relative paths start at the working folder, as on the command line."""
    if list_file == "-":
        if sys.stdin is None:
            raise ConfigError("--queries - reads paths from standard input, which is closed")
        content = sys.stdin.buffer.read(_MOST_BYTES + 1)
    else:
        path = expanded(list_file)
        if not os.path.isfile(path):  # noqa: PTH113
            problem = "is no file" if os.path.exists(path) else "is not there"  # noqa: PTH110
            raise ConfigError(
                f"--queries {list_file} {problem}: expected a list with one path a line, or - for standard input"
            )
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    if b"\0" in content or len(content) > _MOST_BYTES:
        raise ConfigError(f"--queries {list_file} is no list of paths: expected text, one path a line")
    lines = [line.strip("\r") for line in content.decode("utf-8-sig", errors="surrogateescape").split("\n")]
    lines = [line for line in lines if line.strip()]
    if not lines:
        raise ConfigError(f"--queries {list_file} is empty: expected one path a line")
    paths = [_strip_line(line) for line in lines]
    if re.search(r"[,;\t]", lines[0]) and not any(os.path.exists(expanded(path)) for path in paths[:_SAMPLE]):  # noqa: PTH110
        raise ConfigError(
            f"--queries {list_file} looks like a table ('{printable(lines[0])[:60]}'): expected paths alone, one a line"
        )
    return paths


def _strip_line(line: str) -> str:
    """Return the path in a line; strip spaces and quotes if only the stripped path exists."""
    candidates = (line, line.strip(), line.strip().strip("\"'"))
    return next((path for path in candidates if os.path.exists(expanded(path))), line)  # noqa: PTH110


def _images_below(folder: Path, notes: list[str]) -> list[str]:
    skipped = list[str]()
    paths = [path for path, _ in walk(folder, skipped)]
    if not paths:
        raise DataError(f"{folder}: no image lies below this folder" + (f" ({'; '.join(skipped)})" if skipped else ""))
    notes += [f"{folder}: {note}" for note in skipped]
    return paths


def _check_file(path: Path) -> str:
    if not os.path.isfile(path):  # noqa: PTH113
        open_image(path)  # raises an error with the reason
    return str(path)
