"""LS-VID: 2,982,685 boxes in 14,943 tracklets of 3,772 people by fifteen cameras, found by a detector.

The thesis' table 2.2 counts sixteen cameras. 842 people are for training, 200 for choosing settings, 2,730 for testing.
As in the papers, the 200 are not used for training. 3,504 test tracklets are queries, the other 7,829 are the gallery.

This parser is untested on a copy of the set. The layout is the one that public programs agree on:

- The frames are below ``tracklet_train``, ``tracklet_val`` and ``tracklet_test``, with names
  ``TRACKLET_FRAME_CAMERA_TIME.jpg``.
- ``list_sequence/list_seq_train.txt``, ``list_seq_val.txt`` and ``list_seq_test.txt`` have a line ``PREFIX PERSON`` for
  each tracklet. The prefix is the start of the paths of its frames, from the root on. The camera is in the frames'
  names.
- ``query`` in ``test/data/info_test.mat`` has the queries' lines in the test list, from 1. The file has MATLAB's
  version 7.3, and h5py is needed to read it.

Some copies have the lists in ``info/list_sequence`` and the matrix in ``info/data``. These are read too.

License: for research, on a signed agreement with its authors. resight contains no data of the set.

References:
    Li et al., "Global-Local Temporal Representations for Video Person Re-Identification", ICCV 2019.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from pathlib import Path

import numpy as np

from resight.data.dataset import Dataset
from resight.data.image_formats import is_image_name
from resight.data.matlab import read_matrix
from resight.data.roots import find_root, list_folder
from resight.data.sets.sequences import Track, build_track_table
from resight.errors import DataError

PATTERN = re.compile(r"[^_]+_(?P<frame>[0-9]{1,18})_(?P<camera>[0-9]{1,4})_[^_]*\.")
FORM = "TRACKLET_FRAME_CAMERA_TIME.jpg"
PUBLISHED = {"train": (2_831, 842), "query": (3_504, 2_730), "gallery": (7_829, 2_730)}
"""Tracklets and person ids."""

_FOLDERS = ("tracklet_train", "tracklet_test")
_LISTS = ("list_sequence", "info/list_sequence")
_QUERIES = ("test/data/info_test.mat", "info/data/info_test.mat", "list_sequence/info_test.mat", "info_test.mat")


def load_lsvid(root: Path) -> Dataset:
    """Read LS-VID.

    Args:
        root: The folder with ``list_sequence`` and the frames, or the one above it.

    Returns:
        The data set, with tracklets as unit. A note counts the validation part, which is left out.

    Raises:
        DataError: A list or a folder is missing, a line or a name has another form, or the queries do not match the
            test list.
    """
    root = find_root("lsvid", root, _FOLDERS, folder_names=("LS-VID", "LSVID", "lsvid", "ls-vid"))
    lists = _first_existing(root, _LISTS)
    query_path = _first_existing(root, _QUERIES)
    queries = read_matrix("lsvid", query_path, "query").ravel() - 1
    train, test = (_read_list(root, lists / f"list_seq_{part}.txt") for part in ("train", "test"))
    invalid = queries[(queries < 0) | (queries >= len(test))]
    if not len(queries) or len(invalid):
        mistake = (
            f"names line {invalid[0] + 1} of {len(test):,} in list_seq_test.txt" if len(invalid) else "has no query"
        )
        raise DataError(f"lsvid: {query_path} {mistake}: the lists do not match")
    test_table = build_track_table(test, first_id=len(train))
    is_query = np.isin(test_table.tracklet_ids, queries + len(train))
    notes = []
    validation = lists / "list_seq_val.txt"
    if validation.is_file():
        notes.append(f"{len(validation.read_text().splitlines()):,} tracklets of the validation part are left out")
    return Dataset(
        "lsvid",
        root,
        train=build_track_table(train),
        query=test_table[is_query],
        gallery=test_table[~is_query],
        published=PUBLISHED,
        notes=tuple(notes),
        unit="tracklets",
    )


def _first_existing(root: Path, names: tuple[str, ...]) -> Path:
    """Return the first existing path, else the usual one."""
    return next((root / name for name in names if (root / name).exists()), root / names[0])


def _read_list(root: Path, path: Path) -> list[Track]:
    if not path.is_file():
        raise DataError(f"lsvid: there is no file {path}: it comes with the set's lists")
    tracks = []
    listed: dict[Path, list[str]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        prefix, *labels = line.rsplit(maxsplit=1)
        if len(labels) != 1 or not labels[0].isdecimal():
            raise DataError(f"lsvid: line {number} of {path} must be PREFIX PERSON, found {line.strip()!r}")
        tracks.append(_read_track(root / prefix, int(labels[0]), listed))
    if not tracks:
        raise DataError(f"lsvid: {path} names no tracklet: it is empty")
    return tracks


def _read_track(prefix: Path, person: int, listed: dict[Path, list[str]]) -> Track:
    """Read the frames whose paths start with a prefix, or that are in that folder; ``listed`` caches folders."""
    folder, start = (prefix, "") if prefix.is_dir() else (prefix.parent, prefix.name)
    if folder not in listed:
        listed[folder] = list_folder(folder)[1] if folder.is_dir() else []
    names = listed[folder]
    frame_names = []
    for name in names[bisect_left(names, start) :]:
        if not name.startswith(start):
            break
        if is_image_name(name):
            frame_names.append(name)
    if not frame_names:
        raise DataError(f"lsvid: there is no frame {prefix}*: unpack the set again, or leave the tracklet out")
    cameras, frames = set(), []
    for name in frame_names:
        match = PATTERN.match(name)
        if match is None:
            raise DataError(f"lsvid: {folder / name} must be named like {FORM}")
        cameras.add(int(match["camera"]))
        frames.append(int(match["frame"]))
    if len(cameras) > 1:
        raise DataError(f"lsvid: the frames {prefix}* must be of one camera; their names are of {sorted(cameras)}")
    return Track([str(folder / name) for name in frame_names], frames, person, cameras.pop())
