"""CUHK03-NP: 14,096 boxes of 1,467 people by two cameras, under the new protocol of 767 and 700 people.

The set comes twice: boxes drawn by hand (``labeled``) and by a detector (``detected``), whose counts differ.
``cuhk03np-labeled`` and ``cuhk03np-detected`` ask for one of them, ``cuhk03np`` takes what is there. Scores are
computed as on Market-1501, not by the old protocol of one gallery image a person.

License: for research; ask its authors. Nothing of it comes with resight.

References:
    Li et al., "DeepReID: Deep Filter Pairing Neural Network for Person Re-identification", CVPR 2014.
    Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017 (the protocol).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from resight.data.dataset import Dataset
from resight.data.roots import MARKET_FOLDERS, find_root, read_market_style
from resight.errors import DataError
from resight.files import printable

Boxes = Literal["labeled", "detected"]
"""Who drew the boxes that people were cut out by: a hand or a detector."""

PATTERN = re.compile(r"(?P<person>[0-9]{1,18})_c(?P<camera>[0-9]{1,4})_")
FORM = "PPPP_cC_<name>.jpg"
PUBLISHED: Mapping[Boxes, Mapping[str, tuple[int, int]]] = {
    "detected": {"train": (7_365, 767), "query": (1_400, 700), "gallery": (5_332, 700)},
    "labeled": {"train": (7_368, 767), "query": (1_400, 700), "gallery": (5_328, 700)},
}
"""Images and person ids."""

FOLDERS: Mapping[Boxes, tuple[str, ...]] = {"detected": ("detected",), "labeled": ("labeled", "labelled")}
"""What the folder of each kind is called."""

ABOVE = ("", "cuhk03-np", "cuhk03np", "CUHK03-NP")


def load_cuhk03np(root: Path, *, boxes: Boxes | None = None) -> Dataset:
    """Read CUHK03-NP.

    Args:
        root: The folder with ``bounding_box_train``, ``query`` and ``bounding_box_test``, or one or two above
            it.
        boxes: Which boxes to read. None for those that are there, told by the folder's name, else by the counts; where
            both are there, detected.

    Returns:
        The data set, with a note on which boxes it holds and how that is known.

    Raises:
        DataError: A folder is missing or has no image of the set's names, or it holds the other boxes, or raw CUHK03.
    """
    name = f"cuhk03np-{boxes}" if boxes else "cuhk03np"
    parts = tuple(MARKET_FOLDERS.values())
    folders = sorted(FOLDERS, key=lambda kind: kind != boxes)  # those that are asked for first, else detected
    inside = [f"{top}/{folder}".lstrip("/") for top in ABOVE for kind in folders for folder in FOLDERS[kind]]
    try:
        found = find_root(name, root, parts, inside=[*inside, *ABOVE[1:]])
    except DataError:
        _refuse_raw(root)
        raise
    dataset = read_market_style(name, found, pattern=PATTERN, form=FORM, published={})
    said, counted = _named(found), _counted(dataset)
    there = said or counted
    if boxes and there and there != boxes:
        raise DataError(
            f"{name}: expected the {boxes} boxes, found the {there} ones in {found} (by its "
            f"{'name' if said else 'counts'}): give the folder that holds {' or '.join(FOLDERS[boxes])}, or say "
            f"cuhk03np-{there}={root}"
        )
    own = boxes or there or "detected"
    notes = (_read(own, root, found, said=said, counted=counted, asked=bool(boxes)), *dataset.notes)
    return replace(dataset, published=PUBLISHED[own], notes=notes)


def _named(found: Path) -> Boxes | None:
    """Tell the boxes by the folder's name: its own or a link's."""
    names = {folder.name.lower() for folder in (found.absolute(), found.resolve())}
    kinds = [kind for kind, folders in FOLDERS.items() if names & set(folders)]
    return kinds[0] if len(kinds) == 1 else None


def _counted(dataset: Dataset) -> Boxes | None:
    """Tell the boxes by their counts, where these are the published ones of either."""
    return next((kind for kind, counts in PUBLISHED.items() if counts == dataset.counts), None)


def _read(own: Boxes, root: Path, found: Path, *, said: Boxes | None, counted: Boxes | None, asked: bool) -> str:
    """Say which boxes are read and how that is known."""
    other: Boxes = "labeled" if own == "detected" else "detected"
    text = f"the {own} boxes are read"
    if said:
        text += f", as the folder {found.name} says"
        if counted and counted != said:
            text += f", though its counts are those of the {counted} boxes"
    elif counted:
        text += ", as the counts say"
    elif asked:
        text += ", as you say: neither the folder's name nor its counts do"
    else:
        text += f", as nothing says which they are: cuhk03np-{other}={root} if they are the {other} ones"
    beside = next((found.parent / folder for folder in FOLDERS[other] if (found.parent / folder).is_dir()), None)
    if said and beside and found != root and not asked:
        text += f", and not the {other} ones beside them: cuhk03np-{other}={root} reads those"
    return f"{text}; counts are compared with those of the {own} boxes"


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
