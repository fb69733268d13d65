"""MARS: 1,191,003 boxes in 20,478 tracklets of 1,261 people by the six cameras of Market-1501.

Boxes and tracklets come from a detector and a tracker. Person 0 is any other person (3,248 distractor tracklets).
Person -1 is a tracklet that barely shows a person (870 junk tracklets). Both are in the test part. As on Market-1501,
junk stays in the gallery's table, but evaluation and counts ignore it. Distractors stay and match no query.

1,980 test tracklets are queries. Two galleries are in use:

- ``without-queries`` (``mars``): the other test tracklets, 9,330 without junk. 140 queries have no match by another
  camera and are left out. The thesis' table 3.5 and many papers use this gallery.
- ``with-queries`` (``mars-with-queries``): all test tracklets, 11,310 without junk, as in its authors' evaluation. The
  exclusion ``same-camera`` removes the query itself, and every query has a match.

License: for research; ask its authors. resight contains no data of the set.

References:
    Zheng et al., "MARS: A Video Benchmark for Large-Scale Person Re-identification", ECCV 2016.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from resight.data.dataset import Dataset
from resight.data.matlab import read_matrix
from resight.data.roots import describe_missing_images, find_root, list_folder
from resight.data.sets.sequences import Track, build_track_table
from resight.errors import ConfigError, DataError, nearest
from resight.records import ImageTable, Ints

Gallery = Literal["without-queries", "with-queries"]

PATTERN = re.compile(r"(?P<person>00-1|[0-9]{4})C(?P<camera>[0-9])T(?P<tracklet>[0-9]{4})F(?P<frame>[0-9]{1,18})\.")
FORM = "PPPPCcTTTTTFFFF.jpg"
FOLDERS = {"train": "bbox_train", "test": "bbox_test"}
PUBLISHED = {"train": (8_298, 625), "query": (1_980, 626)}
"""Tracklets without junk, and person ids."""
PUBLISHED_GALLERY = {"without-queries": (9_330, 621), "with-queries": (11_310, 635)}
"""The same for the two galleries; the distractors' 0 counts as one id."""


def load_mars(root: Path, *, gallery: Gallery = "without-queries") -> Dataset:
    """Read MARS.

    Args:
        root: The folder with ``bbox_train``, ``bbox_test`` and ``info`` (the lists ``train_name.txt``,
            ``test_name.txt``, ``tracks_train_info.mat``, ``tracks_test_info.mat`` and ``query_IDX.mat``), or the one
            above it.
        gallery: One of the two galleries, see the module.

    Returns:
        The data set, with tracklets as unit. The id of a test tracklet is its index in the list. Frames are numbered
        within a tracklet. A note names the gallery.

    Raises:
        DataError: A list or a folder is missing, the lists do not match, or a tracklet has no image.
        ConfigError: The gallery is unknown.
    """
    galleries = get_args(Gallery)
    if gallery not in galleries:
        raise ConfigError(
            f"mars: the gallery is {' or '.join(galleries)}; found '{gallery}'{nearest(gallery, galleries)}"
        )
    root = find_root("mars", root, (*FOLDERS.values(), "info"), folder_names=("MARS", "mars", "Mars"))
    notes: list[str] = []
    train, test = (_read_tracks(root, part, notes) for part in FOLDERS)
    queries = read_matrix("mars", root / "info" / "query_IDX.mat", "query_IDX").ravel() - 1
    last = int(test.tracklet_ids.max())
    invalid = queries[(queries < 0) | (queries > last)]
    if not len(queries) or len(invalid):
        mistake = f"names tracklet {invalid[0] + 1} of {last + 1:,}" if len(invalid) else "is empty"
        raise DataError(f"mars: query_IDX.mat {mistake}: the lists in {root / 'info'} do not match")
    is_query = np.isin(test.tracklet_ids, queries)
    if gallery == "without-queries":
        notes.insert(0, "gallery without the queries' own tracklets (9,330 are published; mars-with-queries has both)")
    else:
        notes.insert(0, "gallery with the queries' own tracklets (11,310 are published; mars is without)")
    return Dataset(
        "mars" if gallery == "without-queries" else "mars-with-queries",
        root,
        train=train,
        query=test[is_query],
        gallery=test[~is_query] if gallery == "without-queries" else test,
        published={**PUBLISHED, "gallery": PUBLISHED_GALLERY[gallery]},
        notes=tuple(notes),
        distractor_id=0,
        unit="tracklets",
    )


def _read_tracks(root: Path, part: str, notes: list[str]) -> ImageTable:
    """Read a part: a list of names, and a matrix with first and last name (from 1), person and camera per tracklet."""
    path = root / "info" / f"{part}_name.txt"
    if not path.is_file():
        raise DataError(f"mars: there is no file {path}: it comes with the set's lists")
    names = path.read_text(encoding="utf-8-sig").split()
    info = read_matrix("mars", root / "info" / f"tracks_{part}_info.mat", f"track_{part}_info")
    if info.shape[1] != 4 or not len(info):
        raise DataError(
            f"mars: tracks_{part}_info.mat must have 4 columns (first, last, person, camera) and a row per tracklet; "
            f"found {info.shape[0]} x {info.shape[1]}"
        )
    folder = root / FOLDERS[part]
    files_of = {person: set(list_folder(folder / person)[1]) for person in list_folder(folder)[0]}
    tracks: list[Track] = []
    missing: list[str] = []
    for row, values in enumerate(info):
        title = f"tracklet {row + 1} of tracks_{part}_info.mat"
        tracks.append(_build_track(names, values, title, folder, files_of, missing))
    if missing:
        notes.append(f"{part}: {describe_missing_images(missing)}")
    return build_track_table(tracks)


def _build_track(
    names: list[str], info: Ints, title: str, folder: Path, files_of: dict[str, set[str]], missing: list[str]
) -> Track:
    """Build a tracklet from its names and its row of the matrix; names without a file join ``missing``."""
    first, last, person, camera = info.tolist()
    if not 1 <= first <= last <= len(names):
        raise DataError(f"mars: {title} has the images {first} to {last}, of {len(names):,} in the list of names")
    folder_name = names[first - 1][:4]  # the person's folder; the loop checks that all names are of this person
    person_folder, files = str(folder / folder_name), files_of.get(folder_name, set())
    paths, frames = [], []
    for name in names[first - 1 : last]:
        match = PATTERN.match(name)
        if not match:
            raise DataError(f"mars: {title} names an image {name!r}, expected a name like {FORM}")
        labels = (-1 if match["person"] == "00-1" else int(match["person"]), int(match["camera"]))
        if labels != (person, camera):
            raise DataError(
                f"mars: {title} is of person {person} by camera {camera}, its image {name} is not: the list of names "
                "and the tracks do not match"
            )
        if name in files:
            paths.append(f"{person_folder}{os.sep}{name}")
            frames.append(int(match["frame"]))
        else:
            missing.append(name)
    if not paths:
        raise DataError(f"mars: {title} has none of its {last - first + 1} images in {person_folder}: unpack it again")
    return Track(paths, frames, person, camera)
