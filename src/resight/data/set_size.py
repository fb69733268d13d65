"""The size of a whole data set, as papers print it."""

from __future__ import annotations

import numpy as np

from resight.data.dataset import Dataset
from resight.records import UNKNOWN, ImageTable


def set_size(dataset: Dataset) -> dict[str, int]:
    """Count what all splits of a data set hold, each image once.

    Returns:
        ``images``, without those of person -1 (junk, or unknown people); ``tracklets`` of these images, 0 if none is
        known; ``people``, without distractors; and ``cameras`` that are known.
    """
    tested = _each_once(ImageTable.concatenate(dataset.query, dataset.gallery))
    table = _each_once(ImageTable.concatenate(dataset.train, dataset.query, dataset.gallery))
    people = np.unique(table.person_ids[~np.isin(table.person_ids, dataset.non_person_ids)])
    return {
        "images": len(table),
        # Sets may number the tracklets to train on and those to test with alike.
        "tracklets": sum(len(np.setdiff1d(part.tracklet_ids, UNKNOWN)) for part in (_each_once(dataset.train), tested)),
        "people": len(people),
        "cameras": len(np.unique(table.camera_ids[table.camera_ids != UNKNOWN])),
    }


def _each_once(table: ImageTable) -> ImageTable:
    """Return a table without repeated paths and without images of person -1."""
    table = table[np.sort(np.unique(table.paths, return_index=True)[1])]
    return table[table.person_ids != UNKNOWN]
