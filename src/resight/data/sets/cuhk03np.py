"""CUHK03-NP: 14,096 boxes of 1,467 people by two cameras, under the new protocol of 767 and 700 people.

There are two kinds of boxes with different counts: drawn by hand (``labeled``) and by a detector (``detected``).
``cuhk03np-labeled`` and ``cuhk03np-detected`` read one kind; ``cuhk03np`` reads the kind it finds. Scores are computed
as on Market-1501, not by the classic protocol of one gallery image per person. Folders of image files are read, or the
original ``cuhk-03.mat`` with the lists of the protocol next to it (`resight.data.sets.cuhk03`).

License: for research; ask its authors. resight contains no data of the set.

References:
    Li et al., "DeepReID: Deep Filter Pairing Neural Network for Person Re-identification", CVPR 2014.
    Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017 (the protocol).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from resight.data.dataset import Dataset
from resight.data.roots import MARKET_FOLDERS, find_root, read_market_style
from resight.data.sets.cuhk03 import lists_of, read_new_protocol
from resight.data.sets.cuhk03_file import Boxes, find_file
from resight.errors import DataError

PATTERN = re.compile(r"(?P<person>[0-9]{1,18})_c(?P<camera>[0-9]{1,4})_")
FORM = "PPPP_cC_<name>.jpg"
PUBLISHED: Mapping[Boxes, Mapping[str, tuple[int, int]]] = {
    "detected": {"train": (7_365, 767), "query": (1_400, 700), "gallery": (5_332, 700)},
    "labeled": {"train": (7_368, 767), "query": (1_400, 700), "gallery": (5_328, 700)},
}
"""Images and person ids."""

FOLDERS: Mapping[Boxes, tuple[str, ...]] = {"detected": ("detected",), "labeled": ("labeled", "labelled")}
"""The names of the folder of each kind."""

_TOP_FOLDERS = ("", "cuhk03-np", "cuhk03np", "CUHK03-NP")


def load_cuhk03np(root: Path, *, boxes: Boxes | None = None) -> Dataset:
    """Read CUHK03-NP.

    Args:
        root: The folder with ``bounding_box_train``, ``query`` and ``bounding_box_test``, or one or two above it. Or
            that with ``cuhk-03.mat`` and the lists of the protocol.
        boxes: The boxes to read. None reads the kind it finds, recognized by the folder's name, else by the counts. If
            it finds both, it reads the detected boxes.

    Returns:
        The data set, with a note on its kind of boxes and the evidence for it.

    Raises:
        DataError: A folder is missing or has no image of the set's names; or it has the other boxes, or raw CUHK03
            without the lists of the protocol.
    """
    name = f"cuhk03np-{boxes}" if boxes else "cuhk03np"
    parts = tuple(MARKET_FOLDERS.values())
    kinds = sorted(FOLDERS, key=lambda kind: kind != boxes)  # the requested kind first, else detected
    folder_names = [f"{top}/{folder}".lstrip("/") for top in _TOP_FOLDERS for kind in kinds for folder in FOLDERS[kind]]
    try:
        folder = find_root(name, root, parts, folder_names=[*folder_names, *_TOP_FOLDERS[1:]])
    except DataError:
        raw = find_file(root)
        if raw is None:
            raise
        return _read_raw(name, raw, boxes)
    dataset = read_market_style(name, folder, pattern=PATTERN, form=FORM, published={})
    by_name, by_counts = _kind_by_name(folder), _kind_by_counts(dataset)
    detected = by_name or by_counts
    if boxes and detected and detected != boxes:
        raise DataError(
            f"{name}: expected the {boxes} boxes, found the {detected} ones in {folder} (by its "
            f"{'name' if by_name else 'counts'}): name the folder that contains {' or '.join(FOLDERS[boxes])}, or "
            f"write cuhk03np-{detected}={root}"
        )
    kind = boxes or detected or "detected"
    note = _describe_kind(kind, root, folder, by_name=by_name, by_counts=by_counts, requested=bool(boxes))
    return replace(dataset, published=PUBLISHED[kind], notes=(note, *dataset.notes))


def _kind_by_name(folder: Path) -> Boxes | None:
    """Recognize the kind of boxes by the name of the folder or of a link to it."""
    names = {path.name.lower() for path in (folder.absolute(), folder.resolve())}
    kinds = [kind for kind, folders in FOLDERS.items() if names & set(folders)]
    return kinds[0] if len(kinds) == 1 else None


def _kind_by_counts(dataset: Dataset) -> Boxes | None:
    """Recognize the kind of boxes by the published counts."""
    return next((kind for kind, counts in PUBLISHED.items() if counts == dataset.counts), None)


def _describe_kind(
    kind: Boxes, root: Path, folder: Path, *, by_name: Boxes | None, by_counts: Boxes | None, requested: bool
) -> str:
    """Describe the kind of boxes and the evidence for it."""
    other: Boxes = "labeled" if kind == "detected" else "detected"
    text = f"the {kind} boxes are read"
    if by_name:
        text += f", by the name of the folder {folder.name}"
        if by_counts and by_counts != by_name:
            text += f", though its counts are those of the {by_counts} boxes"
    elif by_counts:
        text += ", by the counts"
    elif requested:
        text += ", as requested: neither the folder's name nor its counts confirm it"
    else:
        text += f", without evidence of their kind: write cuhk03np-{other}={root} if they are the {other} ones"
    has_other = any((folder.parent / name).is_dir() for name in FOLDERS[other])
    if by_name and has_other and folder != root and not requested:
        text += f", and not the {other} ones next to them: cuhk03np-{other}={root} reads those"
    return f"{text}; counts are compared with those of the {kind} boxes"


def _read_raw(name: str, path: Path, boxes: Boxes | None) -> Dataset:
    """Read the original MATLAB file of CUHK03; without a kind of boxes, that whose lists are there."""
    kind: Boxes = boxes or ("detected" if lists_of(path, "detected") or not lists_of(path, "labeled") else "labeled")
    return replace(read_new_protocol(name, path, kind), published=PUBLISHED[kind])
