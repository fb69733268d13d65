"""Divide the images of a folder into train, query and gallery by the names of their splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from resight.data.folder_names import normalize_name, parse_split
from resight.data.label_ids import is_unknown
from resight.errors import DataError, counted
from resight.files import printable
from resight.records import UNKNOWN, ImageTable

_SPLITS = ("train", "query", "gallery")
_TRAIN_ALL = "train_all"  # contains the images of train and of val


def divide_splits(
    table: ImageTable, names: Sequence[str | None], notes: list[str]
) -> tuple[ImageTable, ImageTable, ImageTable]:
    """Divide images by the names of their splits.

    Args:
        table: The ``N`` images.
        names: The name of each image's split; all None if there are no splits.
        notes: Gets a note on the meaning of each name, and on images that are left out.

    Returns:
        The training images, the queries and the gallery. Without splits, all images are training images. Queries of an
        unknown person are left out, and so are images of no split or of another split.

    Raises:
        DataError: No name is a split's.
    """
    if all(name is None for name in names):
        return table, table[:0], table[:0]
    row_names = [name or "" for name in names]
    split_of_name = {name: "" if is_unknown(name) else parse_split(name) or "" for name in set(row_names)}
    if any(normalize_name(name) == _TRAIN_ALL for name in split_of_name):
        split_of_name |= {
            name: "" for name, split in split_of_name.items() if split == "train" and normalize_name(name) != _TRAIN_ALL
        }
    meanings = [
        f"{printable(', '.join(synonyms))} is {split}"
        for split in _SPLITS
        if (synonyms := sorted(name for name in split_of_name if split_of_name[name] == split))
    ]
    if not meanings:
        listing = printable(", ".join(sorted(split_of_name)[:5]))
        raise DataError(f"folder: none of {listing} is the name of a split: use train, query and gallery (or test)")
    notes.append(f"splits: {', '.join(meanings)}")
    for name, count in sorted(Counter(name for name in row_names if not split_of_name[name]).items()):
        origin = f"of '{printable(name)}'" if name else "of no split"
        notes.append(f"splits: {counted(count, 'image')} {origin} {'is' if count == 1 else 'are'} left out")
    splits = np.array([split_of_name[name] for name in row_names])
    is_query = (splits == "query") & (table.person_ids != UNKNOWN)
    num_unknown = int((splits == "query").sum() - is_query.sum())
    if num_unknown:
        notes.append(f"splits: {counted(num_unknown, 'query', 'queries')} of an unknown person are left out")
    if not is_query.any() and (splits == "gallery").any():
        notes.append("splits: there are no queries, so nothing can be scored")
    return table[splits == "train"], table[is_query], table[splits == "gallery"]
