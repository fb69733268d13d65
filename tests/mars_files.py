"""A made-up copy of MARS' files: three tracklets to train on, six to test with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.io import savemat

TRAIN = [("0001", 1, 1, 3), ("0001", 2, 1, 2), ("0003", 1, 1, 1)]
TEST = [
    ("00-1", 1, 1, 1),
    ("0000", 2, 1, 2),
    ("0002", 1, 1, 3),
    ("0002", 1, 2, 2),
    ("0002", 3, 1, 2),
    ("0004", 2, 1, 2),
]
"""Person, camera, tracklet and number of frames; the queries are the third, the fifth and the last."""


def touch(root: Path, *names: str) -> Path:
    """Make empty files: what only lists names does not open them."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def write_mars(root: Path, *, queries: tuple[int, ...] = (3, 5, 6), draw: Callable[..., Path] = touch) -> Path:
    """Write the lists and the images; `draw` makes pictures of them."""
    (root / "info").mkdir(parents=True)
    for part, tracks in (("train", TRAIN), ("test", TEST)):
        names, info = [], []
        for person, camera, tracklet, size in tracks:
            own = [f"{person}C{camera}T{tracklet:04}F{frame:03}.jpg" for frame in range(1, size + 1)]
            info.append([len(names) + 1, len(names) + size, int(person.replace("00-1", "-1")), camera])
            names += own
        (root / "info" / f"{part}_name.txt").write_text("\n".join(names) + "\n")
        savemat(root / "info" / f"tracks_{part}_info.mat", {f"track_{part}_info": np.array(info)})
        draw(root, *(f"bbox_{part}/{name[:4]}/{name}" for name in names))
    savemat(root / "info" / "query_IDX.mat", {"query_IDX": np.array([queries])})
    return root
