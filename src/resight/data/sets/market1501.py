"""Market-1501: 32,668 boxes of 1,501 people by six cameras in front of a supermarket, found by a detector.

Person 0 in the gallery is everybody who is none of the people (2,798 distractors), person -1 a box that is
hardly a person (3,819 junk images, which an evaluation leaves out and the published counts here do too). A
camera's frame numbers start again in each of its sequences (``s``), which the table does not keep.

License: for research; ask its authors. Nothing of it comes with resight.

References:
    Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from resight.data.dataset import Dataset
from resight.data.roots import read_market_style

PATTERN = re.compile(r"(?P<person>-1|[0-9]{1,18})_c(?P<camera>[0-9]{1,4})s[0-9]+_(?P<frame>[0-9]{1,18})_[0-9]+\.")
FORM = "PPPP_cCsS_FFFFFF_NN.jpg"
PUBLISHED = {"train": (12_936, 751), "query": (3_368, 750), "gallery": (15_913, 751)}
"""Images without junk, and person ids; in the gallery the distractors' 0 counts as one."""


def load_market1501(root: Path) -> Dataset:
    """Read Market-1501, or another set of its layout and names.

    Args:
        root: The folder with ``bounding_box_train``, ``query`` and ``bounding_box_test``, or the one above.

    Returns:
        The data set; its frames are the numbers in the names.

    Raises:
        DataError: A folder is missing or has no image of the set's names.
    """
    inside = ("Market-1501-v15.09.15", "Market-1501", "market1501", "Market1501")
    dataset = read_market_style("market1501", root, pattern=PATTERN, form=FORM, published=PUBLISHED, inside=inside)
    return replace(dataset, distractor_id=0)
