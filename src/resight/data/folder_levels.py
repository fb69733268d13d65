"""The meaning of each level of sub-folders: cameras, people, tracklets, splits or nothing; set by a layout or inferred.

Telling names decide: ``cam1`` and ``entrance`` are cameras, ``query`` is a split. If names are not telling (``0001``,
``anna``), the images decide (`resight.data.folder_similarity`). If the images do not settle it either, a level has no
meaning: wrong cameras make a training worse, and a note names unknown ones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from resight.data.folder_names import classify_names, parse_split
from resight.data.folder_similarity import GroupSimilarity, people_per_group
from resight.data.label_ids import Row
from resight.errors import ConfigError, DataError, counted, nearest
from resight.files import printable

NOTHING = "-"
WORDS = ("camera", "person", "tracklet", "split", NOTHING, "none")
"""The words of a layout: ``-`` is a level without meaning; ``none`` alone means that no level has a meaning."""

_PLURALS = {"camera": "cameras", "person": "people", "tracklet": "tracklets", "split": "splits"}
_MAX_DEPTH = 4  # levels to inspect
_MAX_CAMERAS = 64  # folders that may be cameras without telling names
_MIN_SHARED = 0.3  # fraction of a level's names that several folders above must share to cross them

Images = Sequence[tuple[str, tuple[str, ...]]]
"""The path of each image, and the names of the folders between the root and the image."""

Key = Callable[[tuple[str, ...]], Any]


@dataclass(frozen=True)
class Layout:
    """The meaning of each level of a folder's sub-folders.

    Attributes:
        levels: One of `WORDS` for each level from the root down; deeper levels have no meaning.
        note: An inferred meaning, its evidence, and how to overrule it; empty if the user set the layout.
    """

    levels: tuple[str, ...] = ()
    note: str = ""


def parse_layout(text: str) -> tuple[str, ...]:
    """Parse a layout: a word for each level, separated by ``/``.

    Raises:
        ConfigError: A word is unknown or occurs twice, or ``none`` is not alone.
    """
    words = tuple(word.strip().casefold() for word in text.strip().strip("/").split("/"))
    for word in words:
        if word not in WORDS:
            raise ConfigError(
                f"layout '{printable(text)}': '{printable(word)}' is not a word for a level of folders; known are "
                f"{', '.join(WORDS)}, with / between levels from the root down, such as camera/person"
                + nearest(word, WORDS)
            )
        if word != NOTHING and words.count(word) > 1:
            raise ConfigError(f"layout '{printable(text)}': {word} occurs twice: write - for a level without meaning")
    if "none" in words and len(words) > 1:
        raise ConfigError(f"layout '{printable(text)}': none must be alone; write - for a level without meaning")
    return () if words == ("none",) else words


def infer_layout(images: Images, *, labeled: Collection[str] = (), pattern_levels: Collection[int] = ()) -> Layout:
    """Infer the meaning of each level of folders.

    Args:
        images: The path of each image, and the folders between the root and the image.
        labeled: Labels that another source provides; no level gets them.
        pattern_levels: Levels whose names a pattern reads, from 0.

    Returns:
        The layout, without levels that have no meaning at its end.

    Raises:
        DataError: Folders named like splits lie next to other folders.
    """
    depth = min(_MAX_DEPTH, max((len(folders) for _, folders in images), default=0))
    levels: list[str] = []
    evidence = "by their names"
    for level in range(depth):
        names = _names(images, level)
        _check_splits(names)
        above = levels[-1] if levels else ""
        word = NOTHING if level in pattern_levels else classify_names(names, above=above)
        if word in levels or word in labeled:
            word = NOTHING
        if not word and len(names) == 1 and len(_names(images, level + 1)):
            word = NOTHING  # one folder around everything
        labels = {*levels, *labeled}
        if not word and ("person" in levels or {"person", "camera"} <= labels):
            word = NOTHING
        if not word:
            inferred = _infer_from_images(images, level, levels)
            levels += inferred
            similar = "person" in inferred or "tracklet" in inferred
            evidence = "because the images in each folder are similar" if similar else "by their images"
            break
        levels.append(word)
    levels = [NOTHING if word == "date" or word in labeled else word for word in levels]
    while levels and levels[-1] == NOTHING:
        levels.pop()
    if depth and not levels and not {"camera", "person"} & {*labeled}:
        return Layout((), _describe_unclear(images, 0))
    return Layout(tuple(levels), _describe_layout(images, levels, evidence))


def folder_labels(folders: tuple[str, ...], levels: Sequence[str]) -> Row:
    """Return the labels of an image from its folders, by column."""
    row = {word: name for word, name in zip(levels, folders, strict=False) if word != NOTHING}
    if "tracklet" in row and "person" in row:  # tracklets of two people may have the same name
        row["tracklet"] = f"{row['person']}/{row['tracklet']}"
    return row


def _names(images: Images, level: int) -> list[str]:
    return sorted({folders[level] for _, folders in images if len(folders) > level})


def _check_splits(names: Sequence[str]) -> None:
    splits = [name for name in names if parse_split(name)]
    other_names = [name for name in names if parse_split(name) is None]
    if splits and other_names:
        raise DataError(
            f"folder: {printable(splits[0])} is the name of a split and no camera, and lies next to "
            f"{printable(', '.join(other_names[:3]))}: name one of these folders as the data set, or pass their "
            "meaning, such as --layout camera or --layout person"
        )


def _infer_from_images(images: Images, level: int, levels_above: Sequence[str]) -> list[str]:
    """Infer the meaning of a level, and perhaps of the next one, from the similarity of images."""
    similarity = GroupSimilarity()
    here = [(path, folders) for path, folders in images if len(folders) > level]
    deeper = [(path, folders) for path, folders in here if len(folders) > level + 1]

    def auc(group_by: Key, differ_in: Key = lambda _: None, among: Images = here) -> float | None:
        groups: dict[Any, list[tuple[str, Any]]] = {}
        for path, folders in among:
            groups.setdefault(group_by(folders), []).append((path, differ_in(folders)))
        return similarity.auc(groups)

    def name(folders: tuple[str, ...]) -> str:
        return folders[level]

    def two_levels(folders: tuple[str, ...]) -> tuple[str, ...]:
        return folders[level : level + 2]

    if "camera" in levels_above:
        camera_level = levels_above.index("camera")
        if (
            _names_cross(here, camera_level, level)
            and people_per_group(auc(name, lambda folders: folders[camera_level])) == "one"
        ):
            return ["person"]
        people = people_per_group(auc(lambda folders: (folders[camera_level], folders[level])))
        return ["tracklet"] if people == "one" else [NOTHING]
    num_folders = len({name(folders) for _, folders in here})
    below = classify_names(_names(deeper, level + 1), above=NOTHING) if 2 * len(deeper) > len(here) else "date"
    # Images in one folder of the next level are similar anyway, so only pairs across these folders count.
    auc_across = None if below == "date" else auc(name, two_levels)
    people = people_per_group(auc(name) if auc_across is None else auc_across)
    may_be_cameras = people == "many" and num_folders <= _MAX_CAMERAS
    # A single folder cannot be compared. One camera for all images is wrong about none of them.
    word = "person" if people == "one" else "camera" if may_be_cameras or num_folders == 1 else NOTHING
    if below == "date":
        return [word]
    one_person_below = people_per_group(auc(two_levels, among=deeper)) == "one"
    if below == "camera":  # a day or a building has many people in each of its cameras' folders
        return ["person" if one_person_below else NOTHING, below]
    if below:
        return [NOTHING if word == below else word, below]
    if word == "person":
        return [word]
    if _names_cross(deeper, level, level + 1):
        if people_per_group(auc(lambda folders: folders[level + 1], name, deeper)) == "one":
            return [word, "person"]
        if num_folders > len(_names(deeper, level + 1)):  # people by cameras rather than cameras by people
            return [NOTHING]
    return [word, "tracklet"] if word == "camera" and one_person_below else [word]


def _names_cross(images: Images, level_above: int, level: int) -> bool:
    """Return whether many of a level's names occur in several of the folders above."""
    parents: dict[str, set[str]] = {}
    for _, folders in images:
        parents.setdefault(folders[level], set()).add(folders[level_above])
    return bool(parents) and float(np.mean([len(names) > 1 for names in parents.values()])) >= _MIN_SHARED


def _describe_layout(images: Images, levels: Sequence[str], evidence: str) -> str:
    if not levels:
        return ""
    meanings = [
        f"{_PLURALS[word]} ({_describe_sizes(images, level)})" for level, word in enumerate(levels) if word != NOTHING
    ]  # fmt: skip
    other = "camera" if "camera" not in levels else "person"
    return (
        f"sub-folders are read as {', and those below as '.join(meanings)} {evidence}"
        f"{_describe_odd_cameras(images, levels, evidence)}; to change this, pass --layout {other}, for example, or "
        f"none (this is --layout {'/'.join(levels)}{_describe_deeper(images, len(levels))})"
    )


def _describe_odd_cameras(images: Images, levels: Sequence[str], evidence: str) -> str:
    """Name the folders that are read as cameras only because of the folders next to them."""
    if "camera" not in levels or evidence != "by their names":
        return ""
    odd = [name for name in _names(images, levels.index("camera")) if not classify_names([name])]
    listing = printable(", ".join(odd[:3])) + (f" and {len(odd) - 3:,} more" if odd[3:] else "")
    return f" ({listing} too, though the name is not a camera's)" if odd else ""


def _describe_deeper(images: Images, level: int) -> str:
    names = _names(images, level)
    return f"; folders below, such as {printable(names[0])}, have no meaning" if names else ""


def _describe_unclear(images: Images, level: int) -> str:
    return (
        f"the meaning of the sub-folders is unclear ({_describe_sizes(images, level)}), so they have none: pass "
        "--layout camera or --layout person"
    )


def _describe_sizes(images: Images, level: int) -> str:
    sizes: dict[str, int] = {}
    for _, folders in images:
        if len(folders) > level:
            sizes[folders[level]] = sizes.get(folders[level], 0) + 1
    median = int(np.median(list(sizes.values())))
    return f"{counted(len(sizes), 'folder')} of about {counted(median, 'image')}, such as {printable(min(sizes))}"
