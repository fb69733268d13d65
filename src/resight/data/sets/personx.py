"""PersonX: 273,456 images of 1,266 drawn people before six backgrounds, each from 36 viewpoints.

The backgrounds are the cameras. Each has a folder of its own (``1`` to ``6``), with Market-1501's folders. resight
reads all of them together, or one of them: then there is one camera, and no query has a match by another. A later
version of the set, made for domain adaptation, has Market-1501's folders at the top and other cameras; it is read too.

License: see its authors' page; no person is real. resight contains no data of the set.

References:
    Sun and Zheng, "Dissecting Person Re-identification from the Viewpoint of Viewpoint", CVPR 2019.
"""

from __future__ import annotations

import re
from pathlib import Path

from resight.data.dataset import Dataset
from resight.data.roots import MARKET_FOLDERS, find_root, list_folder, read_split
from resight.errors import DataError
from resight.records import ImageTable

PATTERN = re.compile(r"(?P<person>[0-9]{1,18})_c(?P<camera>[0-9]{1,4})s[0-9]+_(?P<frame>[0-9]{1,18})\.")
FORM = "PPPP_cCsS_VV.jpg"
IMAGES, PEOPLE = 273_456, 1_266
"""The published images of all backgrounds, and their people."""

_NAMES = ("PersonX_v1", "PersonX", "personx")


def load_personx(root: Path) -> Dataset:
    """Read PersonX.

    Args:
        root: The folder with the folders of the backgrounds, or one of them; or the one above.

    Returns:
        The data set; frames are the numbers of the viewpoints. A note tells how many images the set has, and how many
        are published.

    Raises:
        DataError: A folder is missing or has no image of the set's names.
    """
    parts = tuple(MARKET_FOLDERS.values())
    folders = _find_backgrounds(root) or [find_root("personx", root, parts, folder_names=_NAMES)]
    notes: list[str] = []
    tables: dict[str, list[ImageTable]] = {split: [] for split in MARKET_FOLDERS}
    for folder in folders:
        for split, part in MARKET_FOLDERS.items():
            if not (folder / part).is_dir():
                raise DataError(f"personx: expected {', '.join(parts)} in {folder}; missing {part}")
            table, skipped = read_split("personx", folder / part, PATTERN, FORM)
            tables[split].append(table)
            notes += [f"{folder.name}: {note}" for note in skipped]
    joined = {split: ImageTable.concatenate(*own) for split, own in tables.items()}
    images = sum(map(len, joined.values()))
    notes.append(f"{images:,} images of {len(folders)} of 6 folders of backgrounds ({IMAGES:,} images are published)")
    top = folders[0].parent if len(folders) > 1 else folders[0]
    return Dataset("personx", top, joined["train"], joined["query"], joined["gallery"], notes=tuple(notes))


def _find_backgrounds(root: Path) -> list[Path]:
    """Find the folders ``1`` to ``6`` in a folder or in one below it."""
    for top in (root, *(root / name for name in _NAMES)):
        names = [name for name in list_folder(top)[0] if re.fullmatch("[1-6]", name)] if top.is_dir() else []
        if names:
            return [top / name for name in names]
    return []
