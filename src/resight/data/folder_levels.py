"""What the levels of sub-folders are: cameras, people, tracklets, splits or nothing; as told, or from what is there.

Names that say it decide: ``cam1`` and ``entrance`` are cameras, ``query`` is a split. Where they say nothing
(``0001``, ``anna``), images decide (`resight.data.folder_similarity`). If these do not either, a level means nothing:
wrong cameras make a training worse, and unknown ones are said.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from resight.data.folder_names import said_by, split_of
from resight.data.folder_similarity import Likeness, verdict
from resight.data.label_ids import Row
from resight.errors import ConfigError, DataError, counted, nearest
from resight.files import printable

NOTHING = "-"
WORDS = ("camera", "person", "tracklet", "split", NOTHING, "none")
"""What a level is; ``-`` means nothing, and ``none`` alone means that no level does."""

_PLURALS = {"camera": "cameras", "person": "people", "tracklet": "tracklets", "split": "splits"}
_DEEPEST = 4  # levels that are looked at
_MOST_CAMERAS = 64  # folders that may be cameras though their names do not say so
_CROSSED = 0.3  # of a level's names stand below several folders, if they go across these

Images = Sequence[tuple[str, tuple[str, ...]]]
"""The path of each image, and the names of the folders between it and the root."""

Key = Callable[[tuple[str, ...]], Any]


@dataclass(frozen=True)
class Reading:
    """What the levels of a folder's sub-folders are.

    Attributes:
        words: One of `WORDS` for each level from the root down; deeper ones mean nothing.
        note: What was taken for what, why, and how to say otherwise; empty where it was told.
    """

    words: tuple[str, ...] = ()
    note: str = ""


def parse_layout(text: str) -> tuple[str, ...]:
    """Read a layout: a word for each level, with ``/`` between them.

    Raises:
        ConfigError: A word is unknown or stands twice, or none stands beside another.
    """
    words = tuple(word.strip().casefold() for word in text.strip().strip("/").split("/"))
    for word in words:
        if word not in WORDS:
            raise ConfigError(
                f"layout '{printable(text)}': '{printable(word)}' is no word for a level of folders; known are "
                f"{', '.join(WORDS)}, with / between levels from the root down, such as camera/person"
                + nearest(word, WORDS)
            )
        if word != NOTHING and words.count(word) > 1:
            raise ConfigError(f"layout '{printable(text)}': {word} stands twice: name - for a level that means nothing")
    if "none" in words and len(words) > 1:
        raise ConfigError(f"layout '{printable(text)}': none stands alone; a level that means nothing is -")
    return () if words == ("none",) else words


def guess(images: Images, *, taken: Collection[str] = (), spanned: Collection[int] = ()) -> Reading:
    """Say what the levels of folders are.

    Args:
        images: Each image's path, and the folders between it and the root.
        taken: What is known from elsewhere, and is not looked for.
        spanned: Levels whose names a pattern reads, from 0.

    Returns:
        The reading; levels that mean nothing at the end are left out.

    Raises:
        DataError: Names of splits stand beside others.
    """
    depth = min(_DEEPEST, max((len(below) for _, below in images), default=0))
    words: list[str] = []
    why = "by their names"
    for level in range(depth):
        names = _names(images, level)
        _check_splits(names)
        above = words[-1] if words else ""
        said = NOTHING if level in spanned else said_by(names, above=above)
        if said in words or said in taken:
            said = NOTHING
        if not said and len(names) == 1 and len(_names(images, level + 1)):
            said = NOTHING  # a folder around everything
        known = {*words, *taken}
        if not said and ("person" in words or {"person", "camera"} <= known):
            said = NOTHING
        if not said:
            found = _seen(images, level, words)
            words += found
            why = "because images in each are alike" if "person" in found or "tracklet" in found else "by their images"
            break
        words.append(said)
    words = [NOTHING if word == "date" or word in taken else word for word in words]
    while words and words[-1] == NOTHING:
        words.pop()
    if depth and not words and not {"camera", "person"} & {*taken}:
        return Reading((), _unclear(images, 0))
    return Reading(tuple(words), _said(images, words, why))


def values(below: tuple[str, ...], words: Sequence[str]) -> Row:
    """Give what an image's folders say of it, by column."""
    row = {word: name for word, name in zip(words, below, strict=False) if word != NOTHING}
    if "tracklet" in row and "person" in row:  # tracklets of two people may be called alike
        row["tracklet"] = f"{row['person']}/{row['tracklet']}"
    return row


def _names(images: Images, level: int) -> list[str]:
    return sorted({below[level] for _, below in images if len(below) > level})


def _check_splits(names: Sequence[str]) -> None:
    splits = [name for name in names if split_of(name)]
    others = [name for name in names if split_of(name) is None]
    if splits and others:
        raise DataError(
            f"folder: {printable(splits[0])} is the name of a split and no camera, and stands beside "
            f"{printable(', '.join(others[:3]))}: give one of these folders, or say what they are: "
            "--layout camera or --layout person, for example"
        )


def _seen(images: Images, level: int, words: Sequence[str]) -> list[str]:
    """Say what a level is, and perhaps the one below it, from what images show."""
    likeness = Likeness()
    here = [(path, below) for path, below in images if len(below) > level]
    deeper = [(path, below) for path, below in here if len(below) > level + 1]

    def alike(key: Key, apart: Key = lambda _: None, among: Images = here) -> float | None:
        groups: dict[Any, list[tuple[str, Any]]] = {}
        for path, below in among:
            groups.setdefault(key(below), []).append((path, apart(below)))
        return likeness.chance(groups)

    def name(below: tuple[str, ...]) -> str:
        return below[level]

    def leaf(below: tuple[str, ...]) -> tuple[str, ...]:
        return below[level : level + 2]

    if "camera" in words:
        above = words.index("camera")
        if _crossed(here, above, level) and verdict(alike(name, lambda below: below[above])) == 1:
            return ["person"]
        return ["tracklet"] if verdict(alike(lambda below: (below[above], below[level]))) == 1 else [NOTHING]
    folders = len({name(below) for _, below in here})
    beneath = said_by(_names(deeper, level + 1), above=NOTHING) if 2 * len(deeper) > len(here) else "date"
    chance = None if beneath == "date" else alike(name, leaf)  # what lies in one folder below is alike anyway
    found = verdict(alike(name) if chance is None else chance)
    many = found == -1 and folders <= _MOST_CAMERAS
    # A folder alone is told from no other: one camera for all images is wrong about none of them.
    own = "person" if found == 1 else "camera" if many or folders == 1 else NOTHING
    if beneath == "date":
        return [own]
    single = verdict(alike(leaf, among=deeper)) == 1
    if beneath == "camera":  # a day or a building has many people in each of its cameras' folders
        return ["person" if single else NOTHING, beneath]
    if beneath:
        return [NOTHING if own == beneath else own, beneath]
    if own == "person":
        return [own]
    if _crossed(deeper, level, level + 1):
        if verdict(alike(lambda below: below[level + 1], name, deeper)) == 1:
            return [own, "person"]
        if folders > len(_names(deeper, level + 1)):  # people by cameras, rather than cameras by people
            return [NOTHING]
    return [own, "tracklet"] if own == "camera" and single else [own]


def _crossed(images: Images, above: int, level: int) -> bool:
    """Say whether a level's names stand below several of the folders above."""
    owners: dict[str, set[str]] = {}
    for _, below in images:
        owners.setdefault(below[level], set()).add(below[above])
    return bool(owners) and float(np.mean([len(own) > 1 for own in owners.values()])) >= _CROSSED


def _said(images: Images, words: Sequence[str], why: str) -> str:
    if not words:
        return ""
    what = [
        f"{_PLURALS[word]} ({_counted(images, level)})" for level, word in enumerate(words) if word != NOTHING
    ]  # fmt: skip
    other = "camera" if "camera" not in words else "person"
    return (
        f"sub-folders are taken for {', and those below for '.join(what)} {why}"
        f"{_odd(images, words, why)}; if they are something else, say it: "
        f"--layout {other}, for example, or none (this is --layout {'/'.join(words)}{_deeper(images, len(words))})"
    )


def _odd(images: Images, words: Sequence[str], why: str) -> str:
    """Say which folders are taken for cameras because of those beside them."""
    if "camera" not in words or why != "by their names":
        return ""
    odd = [name for name in _names(images, words.index("camera")) if not said_by([name])]
    listed = printable(", ".join(odd[:3])) + (f" and {len(odd) - 3:,} more" if odd[3:] else "")
    return f" ({listed} too, though the name does not say it)" if odd else ""


def _deeper(images: Images, level: int) -> str:
    names = _names(images, level)
    return f"; folders below, such as {printable(names[0])}, are taken for nothing" if names else ""


def _unclear(images: Images, level: int) -> str:
    return (
        f"what the sub-folders are is not clear ({_counted(images, level)}), so they are taken for nothing: say it, "
        "--layout camera or --layout person"
    )


def _counted(images: Images, level: int) -> str:
    sizes: dict[str, int] = {}
    for _, below in images:
        if len(below) > level:
            sizes[below[level]] = sizes.get(below[level], 0) + 1
    about = int(np.median(list(sizes.values())))
    return f"{counted(len(sizes), 'folder')} of about {counted(about, 'image')}, such as {printable(min(sizes))}"
