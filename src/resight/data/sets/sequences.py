"""Read folders of frames, for the sets of tracklets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resight.data.image_formats import is_image_name
from resight.data.roots import list_folder
from resight.errors import DataError, counted
from resight.records import ImageTable, Ints

_LAST_NUMBER = re.compile(r"([0-9]{1,18})\D*$")


def last_number(name: str) -> int | None:
    """Return the last number in a name, of up to 18 digits; None if there is none."""
    match = _LAST_NUMBER.search(name)
    return int(match[1]) if match else None


@dataclass(frozen=True)
class Track:
    """One tracklet.

    Attributes:
        paths: The images, in order.
        frames: The frame number of each image.
        person: The person id.
        camera: The camera id.
    """

    paths: Sequence[str]
    frames: Sequence[int]
    person: int
    camera: int


def read_frames(name: str, folder: Path, *, person: int, camera: int) -> Track:
    """Read the tracklet in a folder.

    Args:
        name: The set's name, for the error.
        folder: The folder.
        person: The person id.
        camera: The camera id.

    Returns:
        The images in the order of their names. A frame is the last number in the name, or the index of a name without
        number.

    Raises:
        DataError: There is no such folder, or no image in it.
    """
    files = [file for file in list_folder(folder)[1] if is_image_name(file)] if folder.is_dir() else []
    if not files:
        problem = "has no image" if folder.is_dir() else "does not exist"
        raise DataError(
            f"{name}: the tracklet folder {folder} {problem}: unpack the set again, or leave the tracklet out"
        )
    numbers = [last_number(file) for file in files]
    frames = [index if number is None else number for index, number in enumerate(numbers)]
    return Track([str(folder / file) for file in files], frames, person, camera)


def build_track_table(tracks: Iterable[Track], *, first_id: int = 0) -> ImageTable:
    """Build a table of tracklets with one row per image.

    Args:
        tracks: The tracklets.
        first_id: The id of the first tracklet; the others count up from it.

    Returns:
        The images of the tracklets, in order.
    """
    tracks = list(tracks)
    sizes = [len(track.paths) for track in tracks]

    def column(values: Iterable[int]) -> Ints:
        return np.repeat(np.array(list(values), np.int64), sizes)

    return ImageTable(
        np.array([path for track in tracks for path in track.paths], np.str_),
        column(track.person for track in tracks),
        column(track.camera for track in tracks),
        column(range(first_id, first_id + len(tracks))),
        np.array([frame for track in tracks for frame in track.frames], np.int64),
    )


def read_two_cameras(
    name: str, folders: tuple[Path, Path], form: re.Pattern[str], notes: list[str]
) -> dict[int, tuple[Track, Track]]:
    """Read a set of two cameras: a folder per camera, with a folder per person.

    Args:
        name: The set's name, for the error.
        folders: The folders of cameras 1 and 2.
        form: Matches a person's folder; its first group is the person id.
        notes: Gets a note on skipped people.

    Returns:
        The two tracklets of each person that both cameras saw, in the order of the person ids.

    Raises:
        DataError: No person was seen by both cameras, or a person's folder has no image.
    """
    first, second = (
        {int(match[1]): folder / person for person in list_folder(folder)[0] if (match := form.fullmatch(person))}
        for folder in folders
    )
    shared = sorted(set(first) & set(second))
    if not shared:
        raise DataError(
            f"{name}: no person was seen by both cameras: {folders[0]} shows {len(first):,} people, {folders[1]} "
            f"{len(second):,}, none of them the same"
        )
    num_single = len(set(first) ^ set(second))
    if num_single:
        one, many = "person seen by only one camera is skipped", "people seen by only one camera are skipped"
        notes.append(counted(num_single, one, many))
    return {
        person: (
            read_frames(name, first[person], person=person, camera=1),
            read_frames(name, second[person], person=person, camera=2),
        )
        for person in shared
    }
