"""LS-VID: 2,982,685 boxes in 14,943 tracklets of 3,772 people by fifteen cameras, found by a detector.

The thesis' table 2.2 counts sixteen cameras. 842 people are to train on, 200 to choose settings on, 2,730 to test
with. As in the papers the 200 are not trained on either. A query is one of 3,504 test tracklets, the gallery the other
7,829.

No copy of the set was at hand when this was written. What is expected of it is therefore said in full: three lists
``list_sequence/list_seq_train.txt``, ``list_seq_val.txt`` and ``list_seq_test.txt`` whose lines are ``FOLDER PERSON
CAMERA`` (the folder of a tracklet's frames, below the root), and ``info_test.mat`` (beside the lists, in the root or
in ``test/data``) whose ``query`` holds the queries' lines in the test list, from 1.

Licence: for research, on a signed agreement with its authors. Nothing of it comes with resight.

References:
    Li et al., "Global-Local Temporal Representations for Video Person Re-Identification", ICCV 2019.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from resight.data.layout import find_root, with_note_on_counts
from resight.data.sequences import Track, read_frames, read_matrix, table_of
from resight.data.splits import Dataset
from resight.errors import DataError

PUBLISHED = {"train": (2_831, 842), "query": (3_504, 2_730), "gallery": (7_829, 2_730)}
"""Tracklets and person ids."""

_LISTS = {part: f"list_sequence/list_seq_{part}.txt" for part in ("train", "val", "test")}
_QUERIES = ("list_sequence/info_test.mat", "info_test.mat", "test/data/info_test.mat")


def load_lsvid(root: Path) -> Dataset:
    """Read LS-VID.

    Args:
        root: The folder with ``list_sequence`` and the frames, or the one above it.

    Returns:
        The data set, of tracklets; its frames are the last numbers of the names. A note counts the validation part,
        which is left out.

    Raises:
        DataError: A list or a folder is missing, a line is of another form, or the queries do not match the test list.
    """
    needed = (_LISTS["train"], _LISTS["test"])
    found = find_root("lsvid", root, needed, inside=("LS-VID", "LSVID", "lsvid", "ls-vid", "LS-VID/info"))
    place = next((found / name for name in _QUERIES if (found / name).is_file()), found / _QUERIES[0])
    queries = read_matrix("lsvid", place, "query").ravel() - 1
    train, test = (_read_list(found, found / _LISTS[part]) for part in ("train", "test"))
    outside = queries[(queries < 0) | (queries >= len(test))]
    if not len(queries) or len(outside):
        what = f"names line {outside[0] + 1} of {len(test):,} in list_seq_test.txt" if len(outside) else "has no query"
        raise DataError(f"lsvid: {place} {what}: the lists do not match each other")
    both = table_of(test, first=len(train))
    asked = np.isin(both.tracklets, queries + len(train))
    held = found / _LISTS["val"]
    notes = [f"{len(held.read_text().splitlines()):,} tracklets of the validation part are left out"] * held.is_file()
    dataset = Dataset(
        "lsvid",
        found,
        train=table_of(train),
        query=both[asked],
        gallery=both[~asked],
        published=PUBLISHED,
        notes=tuple(notes),
        unit="tracklets",
    )
    return with_note_on_counts(dataset)


def _read_list(root: Path, path: Path) -> list[Track]:
    tracks = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        folder, *labels = line.rsplit(maxsplit=2)
        if len(labels) != 2 or not all(label.isdecimal() for label in labels):
            raise DataError(f"lsvid: line {number} of {path} must be FOLDER PERSON CAMERA, found {line.strip()!r}")
        person, camera = (int(label) for label in labels)
        tracks.append(read_frames("lsvid", root / folder, person=person, camera=camera))
    if not tracks:
        raise DataError(f"lsvid: {path} names no tracklet: it is empty")
    return tracks
