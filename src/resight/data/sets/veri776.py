"""VeRi-776: 51,035 boxes of 776 vehicles by twenty cameras on one square kilometer of streets, drawn by hand.

The queries' images are in the gallery too; the exclusion ``same-camera`` removes them. Scores compare images with
images, as in today's papers. The first papers compared images with tracks (``test_track.txt``, which is not read here).

License: for research; ask its authors. resight contains no data of the set.

References:
    Liu et al., "A Deep Learning-Based Approach to Progressive Vehicle Re-identification for Urban Surveillance",
    ECCV 2016.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from resight.data.dataset import Dataset
from resight.data.roots import read_market_style

PATTERN = re.compile(r"(?P<person>[0-9]{1,18})_c(?P<camera>[0-9]{1,4})_(?P<frame>[0-9]{1,18})_[0-9]+\.")
FORM = "VVVV_cCCC_FFFFFFFF_N.jpg"
FOLDERS = {"train": "image_train", "query": "image_query", "gallery": "image_test"}
PUBLISHED = {"train": (37_778, 576), "query": (1_678, 200), "gallery": (11_579, 200)}
"""Images and vehicle ids."""


def load_veri776(root: Path) -> Dataset:
    """Read VeRi-776.

    Args:
        root: The folder with ``image_train``, ``image_query`` and ``image_test``, or the one above.

    Returns:
        The data set; ``person_ids`` are vehicles, frames are the numbers in the names.

    Raises:
        DataError: A folder is missing or has no image of the set's names.
    """
    names = ("VeRi", "VeRi-776", "veri", "VeRi_776", "veri776")
    dataset = read_market_style(
        "veri776", root, pattern=PATTERN, form=FORM, published=PUBLISHED, folder_names=names, folders=FOLDERS
    )
    return replace(dataset, vehicles=True)
