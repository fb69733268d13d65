"""CUHK-SYSU, as crops: 34,574 boxes of 11,934 people from street photos and films.

The set is one of whole frames, to search for people in. Papers on re-identification cut the people out of the frames,
and use all of them to train on: ``pPPPPP_nNN_sSSSSS_hardH.png`` is image N of person P, out of frame S. The frames have
no cameras, so no camera is known. This parser reads the crops; it does not cut them out.

License: for research, on an agreement with its authors. resight contains no data of the set.

References:
    Xiao et al., "Joint Detection and Identification Feature Learning for Person Search", CVPR 2017.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from resight.data.dataset import Dataset
from resight.data.roots import find_root, read_split
from resight.errors import DataError
from resight.records import ImageTable

PATTERN = re.compile(r"p(?P<person>[0-9]{1,18})_n(?P<frame>[0-9]{1,18})_s[0-9]+_")
FORM = "pPPPPP_nNN_sSSSSS_hardH.png"
FOLDERS = ("cropped_images", "cropped_image")
PUBLISHED = {"train": (34_574, 11_934)}
"""Images and person ids."""


def load_cuhksysu(root: Path) -> Dataset:
    """Read the crops of CUHK-SYSU.

    Args:
        root: The folder with ``cropped_images`` (or ``cropped_image``), or the one above it.

    Returns:
        The data set, with everything to train on and without cameras. Frames are the numbers of a person's images.

    Raises:
        DataError: The folder is missing or has no image of the set's names, or the people are not cut out yet.
    """
    names = ("CUHK-SYSU", "cuhk_sysu", "cuhksysu", "cuhk-sysu", "cuhk-sysu/CUHK-SYSU")
    tops = [root, *(root / name for name in names)]
    folder = next((top / part for top in tops for part in FOLDERS if (top / part).is_dir()), None)
    if folder is None:
        frames = next((top for top in tops if (top / "Image").is_dir() and (top / "annotation").is_dir()), None)
        if frames is not None:
            raise DataError(
                f"cuhksysu: {frames} has whole frames: cut the people of annotation/Person.mat out of them, into "
                f"{FOLDERS[0]}/{FORM}"
            )
        folder = find_root("cuhksysu", root, FOLDERS[:1], folder_names=names) / FOLDERS[0]
    train, notes = read_split("cuhksysu", folder, PATTERN, FORM)
    empty = ImageTable(np.empty(0, np.str_))
    return Dataset(
        "cuhksysu", folder.parent, train, empty, empty, "none", published=PUBLISHED, notes=tuple(notes)
    )  # fmt: skip
