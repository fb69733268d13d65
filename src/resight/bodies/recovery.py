"""The ways to get structure maps of the people in crops, by name."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from resight.bodies.blazepose import BlazePose
from resight.bodies.files import TurnedFiles
from resight.bodies.maps import SIZE, DrawnMaps, StructureMaps
from resight.bodies.recovered import recover_bodies
from resight.bodies.settings import split_recovery
from resight.bodies.truth import true_bodies
from resight.files import cache_folder, expanded

logger = logging.getLogger(__name__)


def structure_maps(
    paths: Sequence[str], recovery: str, *, size: tuple[int, int] = SIZE, white: bool = True
) -> StructureMaps:
    """Return the structure maps of people in crops.

    Args:
        paths: The ``N`` crops.
        recovery: One of `resight.bodies.settings.RECOVERIES`.
        size: Height and width of the maps.
        white: Whether the background of maps that are drawn is white or black; those of files are as they are.

    Returns:
        The maps, row by row.

    Raises:
        ConfigError: There is no such recovery.
        DataError: The crops are not those of a drawn set, the files do not fit, or there are no crops.
        WeightsError: The pose model is absent.
    """
    name, path = split_recovery(recovery)
    if name == "files":
        return TurnedFiles(expanded(path), paths, size=size)
    if name == "pose":
        recovered = recover_bodies(paths, BlazePose(), cache=cache_folder() / "bodies")
        logger.info("%s", recovered.summary())
        return DrawnMaps(recovered.bodies, recovered.usable, size=size, white=white)
    bodies = true_bodies(paths)
    return DrawnMaps(bodies, np.ones(len(bodies), np.bool_), size=size, white=white)
