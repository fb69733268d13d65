"""The size of a whole data set, as papers print it."""

from __future__ import annotations

import numpy as np

from resight.data.dataset import Dataset
from resight.data.tracklets import tracklet_codes
from resight.records import UNKNOWN, ImageTable


def set_size(dataset: Dataset) -> dict[str, int]:
    """Count what all splits of a data set hold, each image once.

    Returns:
        ``images``, without those of person -1 (junk, or unknown people); ``tracklets`` of these images, 0 if none is
        known; ``people``, without distractors; and ``cameras`` that are known.
    """
    table = ImageTable.concatenate(*dataset.tables.values())
    table = table[np.sort(np.unique(table.paths, return_index=True)[1])]
    table = table[table.person_ids != UNKNOWN]
    people = np.unique(table.person_ids[~np.isin(table.person_ids, dataset.non_person_ids)])
    tracklets = table[table.tracklet_ids != UNKNOWN]
    return {
        "images": len(table),
        "tracklets": len(tracklet_codes(tracklets)[0]) if len(tracklets) else 0,
        "people": len(people),
        "cameras": len(np.unique(table.camera_ids[table.camera_ids != UNKNOWN])),
    }
