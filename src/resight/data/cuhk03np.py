"""CUHK03-NP: 14,096 boxes of 1,467 people by two cameras, under the new protocol of 767 and 700 people.

The set comes twice: boxes drawn by hand (``labeled``) and by a detector (``detected``), whose counts differ.
Scores are computed as on Market-1501, not by the old protocol of one gallery image a person.

Licence: for research; ask its authors. Nothing of it comes with resight.

References:
    Li et al., "DeepReID: Deep Filter Pairing Neural Network for Person Re-identification", CVPR 2014.
    Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017 (the protocol).
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from resight.data.layout import MARKET_FOLDERS, find_root, read_market_style
from resight.data.splits import Dataset
from resight.errors import DataError
from resight.files import printable

PATTERN = re.compile(r"(?P<person>[0-9]{1,18})_c(?P<camera>[0-9]{1,4})_")
FORM = "PPPP_cC_<name>.jpg"
PUBLISHED_DETECTED = {"train": (7_365, 767), "query": (1_400, 700), "gallery": (5_332, 700)}
PUBLISHED_LABELED = {"train": (7_368, 767), "query": (1_400, 700), "gallery": (5_328, 700)}
"""Images and person ids."""


def load_cuhk03np(root: Path) -> Dataset:
    """Read CUHK03-NP.

    Args:
        root: The folder with ``bounding_box_train``, ``query`` and ``bounding_box_test``, or one or two above
            it. Where it holds both ``detected`` and ``labeled``, detected is read.

    Returns:
        The data set, with a note on which boxes it holds.

    Raises:
        DataError: A folder is missing or has no image of the set's names, or it is raw CUHK03.
    """
    above = ("", "cuhk03-np", "cuhk03np", "CUHK03-NP")
    inside = [f"{top}/{boxes}".lstrip("/") for top in above for boxes in ("detected", "labeled", "")]
    try:
        found = find_root("cuhk03np", root, tuple(MARKET_FOLDERS.values()), inside=[name for name in inside if name])
    except DataError:
        _refuse_raw(root)
        raise
    names = {folder.name.lower() for folder in (found.absolute(), found.resolve())}  # either may be a link's
    boxes = "labeled" if names & {"labeled", "labelled"} else "detected"
    published = PUBLISHED_LABELED if boxes == "labeled" else PUBLISHED_DETECTED
    dataset = read_market_style("cuhk03np", found, pattern=PATTERN, form=FORM, published=published)
    return replace(dataset, notes=(f"counts are compared with those of the {boxes} boxes", *dataset.notes))


def _refuse_raw(root: Path) -> None:
    """Say so where it is the set as its authors hand it out: a file of MATLAB's, without the new protocol."""
    places = (root, root / "cuhk-03.mat", root / "cuhk03_release" / "cuhk-03.mat")
    raw = next((path for path in places if path.suffix == ".mat" and path.is_file()), None)
    if raw is not None:
        raise DataError(
            f"cuhk03np: {printable(raw)} is raw CUHK03; CUHK03-NP is read from the folders "
            f"{', '.join(MARKET_FOLDERS.values())} of its images as files, as those who published that protocol hand "
            "them out: give the folder that holds these"
        )
