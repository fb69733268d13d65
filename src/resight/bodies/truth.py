"""The true bodies of drawn people, from the settings that a drawn set keeps."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from resight.data.sets.synthetic import MAX_BYTES
from resight.errors import DataError, ResightError
from resight.files import printable, read_regular
from resight.progress import progress
from resight.synthetic.dataset import VERSION
from resight.synthetic.plan import SyntheticSettings, plan
from resight.synthetic.studio import Studio
from resight.synthetic.turns import PosedBodies, body_in


def true_bodies(paths: Iterable[str]) -> PosedBodies:
    """Return the bodies of drawn people as they were drawn.

    Args:
        paths: The crops of a drawn set, or of several.

    Returns:
        A body for each crop, in order.

    Raises:
        DataError: A crop belongs to no drawn set, or the set was drawn by another version.
    """
    rows: dict[Path, list[tuple[int, str]]] = defaultdict(list)
    for row, path in enumerate(paths):
        crop = Path(os.path.abspath(path))  # noqa: PTH100  (a link to a set is as good as the set)
        rows[crop.parents[1]].append((row, f"{crop.parent.name}/{crop.name}"))
    parts, order = [], []
    for root, crops in rows.items():
        settings = _read_settings(root)
        studio, planned = Studio(settings), {image.path: image for image in plan(settings)}
        for row, name in progress(crops, "posing bodies"):
            image = planned.get(name)
            if image is None:
                raise DataError(f"{printable(root / name)} is no image of the set in {printable(root)}: remove it")
            camera, aspect = studio.cameras[image.camera - 1], settings.width / settings.height
            parts.append(body_in(studio.body, camera, studio.shot(image), aspect))
            order.append(row)
    if not parts:
        raise DataError("there are no images whose bodies could be known: name a drawn set with images")
    return PosedBodies.concatenate(parts)[np.argsort(order)]


def _read_settings(root: Path) -> SyntheticSettings:
    path = root / "dataset.json"
    if not path.is_file():
        raise DataError(
            f"the true bodies are known of drawn people only: there is no {printable(path)}; recover them from the "
            "images instead, or name a set of resight data synthesize"
        )
    try:
        content = json.loads(read_regular(path, MAX_BYTES))
        version, settings = content["version"], SyntheticSettings(**content["settings"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = error if isinstance(error, ResightError) else type(error).__name__
        raise DataError(f"{printable(path)} has no settings of a drawn set ({reason}): draw it again") from error
    if version != VERSION:
        raise DataError(
            f"{printable(root)} was drawn by version {printable(version)} of the drawing, and this is {VERSION}: draw "
            "it again, or use structure maps in files"
        )
    return settings
