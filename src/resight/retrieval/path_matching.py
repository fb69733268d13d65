"""Match the paths of one machine to those of another, by their ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from resight.records import Ints


def match_paths(wanted: Sequence[str], stored: Sequence[str]) -> Ints:
    """Find for each path the same path, or else the one that shares the longest unambiguous end with it.

    An end is one or more whole names: ``cam1/0001.jpg``. It is unambiguous if a single path on either side has it.

    Args:
        wanted: ``N`` different paths.
        stored: ``M`` different paths.

    Returns:
        ``(N,)`` int64 rows of ``stored``, each at most once; -1 if there is none.
    """
    row_of = {path: row for row, path in enumerate(stored)}
    rows = np.array([row_of.get(path, -1) for path in wanted], np.int64)
    if (rows >= 0).all():
        return rows
    wanted_names, stored_names = ([_names(path) for path in paths] for paths in (wanted, stored))
    taken = set(rows.tolist())
    groups = [(list(range(len(wanted))), list(range(len(stored))), 1)]
    while groups:
        left, right, length = groups.pop()
        lefts, rights = _by_name(left, wanted_names, length), _by_name(right, stored_names, length)
        for name, images in lefts.items():
            vectors = rights.get(name, [])
            if len(images) == len(vectors) == 1:
                if rows[images[0]] < 0 and vectors[0] not in taken:
                    rows[images[0]] = vectors[0]
            elif vectors:
                groups.append((images, vectors, length + 1))
    return rows


def _names(path: str) -> tuple[str, ...]:
    """Return the names in a path from its end; a backslash separates names too."""
    return PurePosixPath(path.replace("\\", "/")).parts[::-1]


def _by_name(members: Sequence[int], names: Sequence[tuple[str, ...]], length: int) -> dict[str, list[int]]:
    """Group paths that share an end by the name before it; those without one are left out."""
    groups: dict[str, list[int]] = {}
    for member in members:
        if len(names[member]) >= length:
            groups.setdefault(names[member][length - 1], []).append(member)
    return groups
