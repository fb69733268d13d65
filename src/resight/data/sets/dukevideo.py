"""DukeMTMC-VideoReID: 815,420 boxes in 4,832 tracklets of 1,404 people by eight cameras, drawn by hand.

408 people are in the gallery only, as distractors with their own ids.

License: the authors of DukeMTMC withdrew it in 2019. resight reads existing copies to check older results, and uses the
set nowhere by default.

References:
    Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking", ECCVW 2016.
    Wu et al., "Exploit the Unknown Gradually: One-Shot Video-Based Person Re-Identification by Stepwise Learning",
    CVPR 2018.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from resight.data.dataset import Dataset
from resight.data.image_formats import is_image_name
from resight.data.roots import describe_skipped_names, find_root, list_folder
from resight.data.sets.sequences import Track, build_track_table
from resight.errors import DataError
from resight.records import ImageTable

PATTERN = re.compile(r"(?P<person>[0-9]{1,18})_?C(?P<camera>[0-9]{1,4})_?F[0-9]+_?X(?P<frame>[0-9]{1,18})\.")
FORM = "PPPPCcFFFFFXNNNNN.jpg"
FOLDERS = ("train", "query", "gallery")
PUBLISHED = {"train": (2_196, 702), "query": (702, 702), "gallery": (2_636, 1_110)}
"""Tracklets and person ids."""


def load_dukevideo(root: Path) -> Dataset:
    """Read DukeMTMC-VideoReID.

    Args:
        root: The folder with ``train``, ``query`` and ``gallery``, each ``PERSON/TRACKLET/*.jpg``, or the one above.

    Returns:
        The data set, with tracklets as unit; frames are the numbers after the ``X`` of the names.

    Raises:
        DataError: A folder is missing, has no tracklet or an empty one, or a tracklet is of two people or cameras.
    """
    names = ("DukeMTMC-VideoReID", "dukemtmc-vidreid", "dukevideo")
    root = find_root("dukevideo", root, FOLDERS, folder_names=names)
    notes: list[str] = []
    tables: dict[str, ImageTable] = {}
    first = 0
    for split in FOLDERS:
        tracks = _read_tracks(root / split, notes)
        tables[split] = build_track_table(tracks, first_id=first)
        first += len(tracks)
    return Dataset(
        "dukevideo",
        root,
        tables["train"],
        tables["query"],
        tables["gallery"],
        published=PUBLISHED,
        notes=tuple(notes),
        unit="tracklets",
    )


def _read_tracks(folder: Path, notes: list[str]) -> list[Track]:
    tracks, unmatched = [], []
    for person in list_folder(folder)[0]:
        for tracklet in list_folder(folder / person)[0]:
            track_folder = folder / person / tracklet
            files = [file for file in list_folder(track_folder)[1] if is_image_name(file)]
            matches = [(file, match) for file in files if (match := PATTERN.match(file))]
            unmatched += [file for file in files if not PATTERN.match(file)]
            if not matches:
                raise DataError(
                    f"dukevideo: the tracklet folder {track_folder} has no image named like {FORM}: leave it out"
                )
            labels = {(int(match["person"]), int(match["camera"])) for _, match in matches}
            if len(labels) > 1 or (person.isdecimal() and next(iter(labels))[0] != int(person)):
                (named_person, named_camera), *_ = sorted(labels)
                raise DataError(
                    f"dukevideo: {track_folder} must have one tracklet of person {person} by one camera; its names "
                    f"are of {len(labels)}, such as person {named_person} by camera {named_camera}"
                )
            frames = np.array([int(match["frame"]) for _, match in matches])
            order = np.argsort(frames, kind="stable").tolist()
            ((person_id, camera_id),) = labels
            paths = [str(track_folder / matches[i][0]) for i in order]
            tracks.append(Track(paths, frames[order].tolist(), person_id, camera_id))
    if not tracks:
        raise DataError(f"dukevideo: {folder} has no tracklet: expected PERSON/TRACKLET/*.jpg in it")
    if unmatched:
        notes.append(f"{folder.name}: {describe_skipped_names(unmatched, FORM)}")
    return tracks
