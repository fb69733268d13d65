"""MARS: 1,191,003 boxes in 20,478 tracklets of 1,261 people by the six cameras of Market-1501.

Boxes and tracklets come from a detector and a tracker. Person 0 is everybody who is none of the people (3,248
distractor tracklets), person -1 a tracklet that hardly shows one (870 junk tracklets); both lie in the test part.
As on Market-1501, junk stays in the gallery's table and does not count, in an evaluation and in the counts;
distractors stay and match nobody.

A query is one of 1,980 test tracklets, and two galleries are in use:

- ``without-queries`` (``mars``): the other test tracklets, 9,330 without junk. 140 queries then have no match by
  another camera and are left out. It is how the thesis' table 3.5 and many others were scored.
- ``with-queries`` (``mars-with-queries``): all test tracklets, 11,310 without junk, as in its authors' evaluation.
  The rule ``same-camera`` takes the query itself out again, and every query has a match.

License: for research; ask its authors. Nothing of it comes with resight.

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
from resight.data.roots import find_root, list_folder, skipped_images
from resight.data.sets.sequences import Track, read_matrix, table_of
from resight.errors import ConfigError, DataError, nearest
from resight.records import ImageTable, Ints

Gallery = Literal["without-queries", "with-queries"]

PATTERN = re.compile(r"(?P<person>00-1|[0-9]{4})C(?P<camera>[0-9])T(?P<tracklet>[0-9]{4})F(?P<frame>[0-9]{1,18})\.")
FORM = "PPPPCcTTTTTFFFF.jpg"
FOLDERS = {"train": "bbox_train", "test": "bbox_test"}
PUBLISHED = {"train": (8_298, 625), "query": (1_980, 626)}
"""Tracklets without junk, and person ids."""
PUBLISHED_GALLERY = {"without-queries": (9_330, 621), "with-queries": (11_310, 635)}
"""The same of the two galleries; the distractors' 0 counts as one id."""


def load_mars(root: Path, *, gallery: Gallery = "without-queries") -> Dataset:
    """Read MARS.

    Args:
        root: The folder with ``bbox_train``, ``bbox_test`` and ``info`` (the lists ``train_name.txt``,
            ``test_name.txt``, ``tracks_train_info.mat``, ``tracks_test_info.mat`` and ``query_IDX.mat``), or the one
            above it.
        gallery: Which of the two galleries, see the module.

    Returns:
        The data set, of tracklets; a test tracklet's id is its place in the list. Frames are counted within a
        tracklet. A note says which gallery it has.

    Raises:
        DataError: A list or a folder is missing, the lists do not match each other, or a tracklet has no image.
        ConfigError: There is no such gallery.
    """
    readings = get_args(Gallery)
    if gallery not in readings:
        raise ConfigError(
            f"mars: the gallery is {' or '.join(readings)}; found '{gallery}'{nearest(gallery, readings)}"
        )
    found = find_root("mars", root, (*FOLDERS.values(), "info"), inside=("MARS", "mars", "Mars"))
    notes: list[str] = []
    train, test = (_read_tracks(found, part, notes) for part in FOLDERS)
    queries = read_matrix("mars", found / "info" / "query_IDX.mat", "query_IDX").ravel() - 1
    last = int(test.tracklet_ids.max())
    outside = queries[(queries < 0) | (queries > last)]
    if not len(queries) or len(outside):
        what = f"names tracklet {outside[0] + 1} of {last + 1:,}" if len(outside) else "is empty"
        raise DataError(f"mars: query_IDX.mat {what}: the lists in {found / 'info'} do not match each other")
    asked = np.isin(test.tracklet_ids, queries)
    if gallery == "without-queries":
        notes.insert(0, "gallery without the queries' own tracklets (9,330 are published; mars-with-queries has both)")
    else:
        notes.insert(0, "gallery with the queries' own tracklets (11,310 are published; mars is without)")
    return Dataset(
        "mars" if gallery == "without-queries" else "mars-with-queries",
        found,
        train=train,
        query=test[asked],
        gallery=test[~asked] if gallery == "without-queries" else test,
        published={**PUBLISHED, "gallery": PUBLISHED_GALLERY[gallery]},
        notes=tuple(notes),
        distractor_id=0,
        unit="tracklets",
    )


def _read_tracks(root: Path, part: str, notes: list[str]) -> ImageTable:
    """Read a part: names, and for each tracklet the first and last of them (from 1), its person and its camera."""
    path = root / "info" / f"{part}_name.txt"
    if not path.is_file():
        raise DataError(f"mars: there is no file {path}: it comes with the set's lists")
    names = path.read_text(encoding="utf-8-sig").split()
    info = read_matrix("mars", root / "info" / f"tracks_{part}_info.mat", f"track_{part}_info")
    if info.shape[1] != 4 or not len(info):
        raise DataError(
            f"mars: tracks_{part}_info.mat must have 4 columns (first, last, person, camera) and a row a tracklet; "
            f"found {info.shape[0]} x {info.shape[1]}"
        )
    folder = root / FOLDERS[part]
    there = {below: set(list_folder(folder / below)[1]) for below in list_folder(folder)[0]}
    tracks: list[Track] = []
    missing: list[str] = []
    for row, values in enumerate(info):
        tracks.append(_track(names, values, f"tracklet {row + 1} of tracks_{part}_info.mat", folder, there, missing))
    if missing:
        notes.append(f"{part}: {skipped_images(missing, 'that is not there', 'that are not there')}")
    return table_of(tracks)


def _track(
    names: list[str], info: Ints, where: str, folder: Path, there: dict[str, set[str]], missing: list[str]
) -> Track:
    first, last, person, camera = info.tolist()
    if not 1 <= first <= last <= len(names):
        raise DataError(f"mars: {where} is of the images {first} to {last}, of {len(names):,} in the list of names")
    below = names[first - 1][:4]  # the folder: of one person, as is checked of every name
    place, files = str(folder / below), there.get(below, set())
    paths, frames = [], []
    for name in names[first - 1 : last]:
        match = PATTERN.match(name)
        if not match:
            raise DataError(f"mars: {where} names an image {name!r}, expected a name like {FORM}")
        named = (-1 if match["person"] == "00-1" else int(match["person"]), int(match["camera"]))
        if named != (person, camera):
            raise DataError(
                f"mars: {where} is of person {person} by camera {camera}, its image {name} is not: the list of names "
                "and the tracks do not match each other"
            )
        if name in files:
            paths.append(f"{place}{os.sep}{name}")
            frames.append(int(match["frame"]))
        else:
            missing.append(name)
    if not paths:
        raise DataError(f"mars: {where} has none of its {last - first + 1} images in {place}: unpack it again")
    return Track(paths, frames, person, camera)
