"""What is common to the sets of tracklets: folders of frames, lists in MATLAB's format."""

from __future__ import annotations

import importlib
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from resight.data.image_formats import is_image_name
from resight.data.roots import list_folder
from resight.errors import DataError, counted
from resight.records import ImageTable, Ints

_LAST_NUMBER = re.compile(r"([0-9]{1,18})\D*$")


def last_number(name: str) -> int | None:
    """Give the last number in a name, of up to 18 digits; None where it has none."""
    found = _LAST_NUMBER.search(name)
    return int(found[1]) if found else None


@dataclass(frozen=True)
class Track:
    """One tracklet.

    Attributes:
        paths: Its images, in order.
        frames: The frame number of each.
        person: Who it shows.
        camera: Which camera saw it.
    """

    paths: Sequence[str]
    frames: Sequence[int]
    person: int
    camera: int


def read_frames(name: str, folder: Path, *, person: int, camera: int) -> Track:
    """Read a folder that is one tracklet.

    Args:
        name: The set's name, for the error.
        folder: The folder.
        person: Who it shows.
        camera: Which camera saw it.

    Returns:
        Its images in the order of their names; a frame is the last number in its name, or its place where the names
        have none.

    Raises:
        DataError: There is no such folder, or no image in it.
    """
    files = [file for file in list_folder(folder)[1] if is_image_name(file)] if folder.is_dir() else []
    if not files:
        why = "holds no image" if folder.is_dir() else "is not there"
        raise DataError(f"{name}: the tracklet folder {folder} {why}: unpack the set again, or leave the tracklet out")
    numbers = [last_number(file) for file in files]
    frames = [place if number is None else number for place, number in enumerate(numbers)]
    return Track([str(folder / file) for file in files], frames, person, camera)


def table_of(sequences: Iterable[Track], *, first: int = 0) -> ImageTable:
    """Lay tracklets one after the other.

    Args:
        sequences: The tracklets.
        first: The id of the first; the others follow it.

    Returns:
        One row an image.
    """
    each = list(sequences)
    sizes = [len(one.paths) for one in each]

    def column(values: Iterable[int]) -> Ints:
        return np.repeat(np.array(list(values), np.int64), sizes)

    return ImageTable(
        np.array([path for one in each for path in one.paths], np.str_),
        column(one.person for one in each),
        column(one.camera for one in each),
        column(range(first, first + len(each))),
        np.array([frame for one in each for frame in one.frames], np.int64),
    )


def read_matrix(name: str, path: Path, key: str) -> Ints:
    """Read a matrix of whole numbers from a MATLAB file.

    Args:
        name: The set's name, for the error.
        path: The file.
        key: The variable.

    Returns:
        ``(R, C)`` int64.

    Raises:
        DataError: The file is not there or is no MATLAB file, or has no such matrix; or it is of version 7.3, which is
            HDF5, and there is no h5py to read it.
    """
    if not path.is_file():
        raise DataError(f"{name}: there is no file {path}: it comes with the set's lists")
    from scipy.io import loadmat  # it takes longer to load than all that other sets need
    from scipy.io.matlab import MatReadError

    data = path.read_bytes()
    try:
        content = loadmat(BytesIO(data))
    except NotImplementedError:
        content = _read_hdf5(name, path)
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        EOFError,
        OSError,
        OverflowError,
        MatReadError,
        zlib.error,
    ) as error:
        raise DataError(f"{name}: {path} is no MATLAB file, or a broken one ({error})") from error
    there = sorted(variable for variable in content if not variable.startswith("__"))
    matrix = np.asarray(content.get(key, np.empty(0)))
    if (
        key not in content
        or matrix.ndim != 2
        or matrix.dtype.kind not in "iuf"
        or not (matrix == np.rint(matrix)).all()
    ):
        raise DataError(f"{name}: expected a matrix '{key}' of whole numbers in {path}; found {', '.join(there)}")
    return matrix.astype(np.int64)


def _read_hdf5(name: str, path: Path) -> dict[str, Any]:
    """Read the matrices of a MATLAB file of version 7.3, which holds them transposed."""
    try:
        h5py = importlib.import_module("h5py")
    except ImportError:
        raise DataError(
            f"{name}: {path} is a MATLAB file of version 7.3: python -m pip install h5py reads it, or save it again "
            "with '-v7'"
        ) from None
    try:
        with h5py.File(path, "r") as file:
            return {key: np.asarray(value[()]).T for key, value in file.items() if hasattr(value, "shape")}
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise DataError(f"{name}: {path} is no MATLAB file, or a broken one ({error})") from error


def read_two_cameras(
    name: str, folders: tuple[Path, Path], form: re.Pattern[str], notes: list[str]
) -> dict[int, tuple[Track, Track]]:
    """Read a set of two cameras: a folder each, and in it a folder a person.

    Args:
        name: The set's name, for the error.
        folders: The folders of cameras 1 and 2.
        form: Matches a person's folder; its first group is the number.
        notes: What is skipped joins them.

    Returns:
        For each person that both cameras saw, the two tracklets, in the order of their numbers.

    Raises:
        DataError: No person was seen by both cameras, or a person's folder has no image.
    """
    seen = [
        {int(match[1]): folder / found for found in list_folder(folder)[0] if (match := form.fullmatch(found))}
        for folder in folders
    ]
    both = sorted(set(seen[0]) & set(seen[1]))
    if not both:
        raise DataError(
            f"{name}: no person was seen by both cameras: {folders[0]} shows {len(seen[0]):,} people, {folders[1]} "
            f"{len(seen[1]):,}, none of them the same"
        )
    single = len(set(seen[0]) ^ set(seen[1]))
    if single:
        one, many = "person that one camera alone saw is skipped", "people that one camera alone saw are skipped"
        notes.append(counted(single, one, many))
    return {
        person: (
            read_frames(name, seen[0][person], person=person, camera=1),
            read_frames(name, seen[1][person], person=person, camera=2),
        )
        for person in both
    }
