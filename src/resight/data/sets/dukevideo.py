"""DukeMTMC-VideoReID: 815,420 boxes in 4,832 tracklets of 1,404 people by eight cameras, drawn by hand.

408 people are in the gallery only, as distractors with ids of their own.

License: the authors of DukeMTMC withdrew it in 2019. resight reads copies that exist, so that older results can be
checked, and uses it nowhere by default.

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
from resight.data.roots import find_root, list_folder, skipped_names
from resight.data.sets.sequences import Track, table_of
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
        The data set, of tracklets; its frames are the numbers after the ``X`` of the names.

    Raises:
        DataError: A folder is missing, holds no tracklet or an empty one, or a tracklet is of two people or cameras.
    """
    found = find_root("dukevideo", root, FOLDERS, inside=("DukeMTMC-VideoReID", "dukemtmc-vidreid", "dukevideo"))
    notes: list[str] = []
    tables: dict[str, ImageTable] = {}
    first = 0
    for split in FOLDERS:
        tracks = _read_tracks(found / split, notes)
        tables[split] = table_of(tracks, first=first)
        first += len(tracks)
    return Dataset(
        "dukevideo",
        found,
        train=tables["train"],
        query=tables["query"],
        gallery=tables["gallery"],
        published=PUBLISHED,
        notes=tuple(notes),
        unit="tracklets",
    )


def _read_tracks(folder: Path, notes: list[str]) -> list[Track]:
    tracks, strangers = [], []
    for person in list_folder(folder)[0]:
        for below in list_folder(folder / person)[0]:
            place = folder / person / below
            files = [file for file in list_folder(place)[1] if is_image_name(file)]
            matches = [(file, match) for file in files if (match := PATTERN.match(file))]
            strangers += [file for file in files if not PATTERN.match(file)]
            if not matches:
                raise DataError(f"dukevideo: the tracklet folder {place} has no image named like {FORM}: leave it out")
            owners = {(int(match["person"]), int(match["camera"])) for _, match in matches}
            if len(owners) > 1 or (person.isdecimal() and next(iter(owners))[0] != int(person)):
                (one, by), *_ = sorted(owners)
                raise DataError(
                    f"dukevideo: {place} must hold one tracklet of person {person} by one camera; its names say "
                    f"{len(owners)} of them, such as person {one} by camera {by}"
                )
            frames = np.array([int(match["frame"]) for _, match in matches])
            order = np.argsort(frames, kind="stable").tolist()
            (owner,) = owners
            tracks.append(Track([str(place / matches[i][0]) for i in order], frames[order].tolist(), *owner))
    if not tracks:
        raise DataError(f"dukevideo: {folder} holds no tracklet: expected PERSON/TRACKLET/*.jpg in it")
    if strangers:
        notes.append(f"{folder.name}: {skipped_names(strangers, FORM)}")
    return tracks
