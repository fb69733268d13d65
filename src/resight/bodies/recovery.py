"""The ways to get structure maps of the people in crops, by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from resight.bodies.files import MapFiles
from resight.bodies.maps import SIZE, DrawnMaps, StructureMaps
from resight.bodies.truth import true_bodies
from resight.errors import ConfigError, nearest
from resight.files import expanded

RECOVERIES = ("truth", "files=PATH")
"""How the body of a person can be known: drawn people's own, or structure maps in files."""


def check_recovery(recovery: str) -> None:
    """Check the name of a way to get structure maps.

    Raises:
        ConfigError: There is no such way.
    """
    name, equals, path = recovery.partition("=")
    if name == "files" and not path:
        raise ConfigError("recovery files needs the folder that holds render, render_45 ...: files=PATH")
    if (name != "files" and equals) or name not in [each.partition("=")[0] for each in RECOVERIES]:
        names = ("truth", "files")
        raise ConfigError(f"recovery must be one of {', '.join(RECOVERIES)}; found '{recovery}'{nearest(name, names)}")


def structure_maps(
    paths: Sequence[str], recovery: str, *, size: tuple[int, int] = SIZE, white: bool = True
) -> StructureMaps:
    """Return the structure maps of people in crops.

    Args:
        paths: The ``N`` crops.
        recovery: One of `RECOVERIES`.
        size: Height and width of the maps.
        white: Whether the background of maps that are drawn is white or black; those of files are as they are.

    Returns:
        The maps, row by row.

    Raises:
        ConfigError: There is no such recovery.
        DataError: The crops are not those of a drawn set, or the files do not fit.
    """
    check_recovery(recovery)
    name, _, path = recovery.partition("=")
    if name == "files":
        return MapFiles(expanded(path), paths, size=size)
    bodies = true_bodies(paths)
    return DrawnMaps(bodies, np.ones(len(bodies), np.bool_), size=size, white=white)
