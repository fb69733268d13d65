"""From what images' splits are called to the parts of a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from resight.data.folder_names import folded, split_of
from resight.data.label_ids import is_unknown
from resight.errors import DataError, counted
from resight.files import printable
from resight.records import UNKNOWN, ImageTable

_PARTS = ("train", "query", "gallery")
_BOTH = "train_all"  # holds the images of train and of val


def divide(
    table: ImageTable, names: Sequence[str | None], notes: list[str]
) -> tuple[ImageTable, ImageTable, ImageTable]:
    """Part images by the names of their splits.

    Args:
        table: The ``N`` images.
        names: What the split of each is called; None throughout where there are no splits.
        notes: What each name was taken for, and what is left out, joins these.

    Returns:
        The images to train on, the queries and the gallery; all are to train on where there are no splits. Queries
        of an unknown person are left out, and so is what is of no split or of one that is none of these.

    Raises:
        DataError: No name is that of a split.
    """
    if all(name is None for name in names):
        return table, table[:0], table[:0]
    called = [name or "" for name in names]
    meant = {name: "" if is_unknown(name) else split_of(name) or "" for name in set(called)}
    if any(folded(name) == _BOTH for name in meant):
        meant |= {name: "" for name, part in meant.items() if part == "train" and folded(name) != _BOTH}
    said = [
        f"{printable(', '.join(own))} is {part}"
        for part in _PARTS
        if (own := sorted(name for name in meant if meant[name] == part))
    ]
    if not said:
        shown = printable(", ".join(sorted(meant)[:5]))
        raise DataError(f"folder: none of {shown} is the name of a split: train, query and gallery (or test) are")
    notes.append(f"splits: {', '.join(said)}")
    for name, number in sorted(Counter(name for name in called if not meant[name]).items()):
        where = f"of '{printable(name)}'" if name else "of no split"
        notes.append(f"splits: {counted(number, 'image')} {where} {'is' if number == 1 else 'are'} left out")
    part = np.array([meant[name] for name in called])
    asking = (part == "query") & (table.person_ids != UNKNOWN)
    unasked = int((part == "query").sum() - asking.sum())
    if unasked:
        notes.append(f"splits: {counted(unasked, 'query', 'queries')} of an unknown person are left out")
    if not asking.any() and (part == "gallery").any():
        notes.append("splits: there are no queries, so nothing is scored on them")
    return table[part == "train"], table[asking], table[part == "gallery"]
