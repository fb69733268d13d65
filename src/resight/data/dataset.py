"""Load a data set by its name, or by a specification such as ``market1501=/data/market``."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from resight.data import cuhk03np, dukemtmc, market1501
from resight.data.cuhk03np import load_cuhk03np
from resight.data.drawn import load_synthetic
from resight.data.dukemtmc import load_dukemtmc
from resight.data.dukevideo import load_dukevideo
from resight.data.folder import load_folder
from resight.data.formats import is_image_name
from resight.data.ilidsvid import load_ilidsvid
from resight.data.layout import MARKET_FOLDERS, list_folder
from resight.data.lsvid import load_lsvid
from resight.data.market1501 import load_market1501
from resight.data.mars import load_mars
from resight.data.msmt17 import load_msmt17
from resight.data.prid2011 import load_prid2011
from resight.data.splits import Dataset, split_validation
from resight.data.vehicleid import SIZES, load_vehicleid
from resight.data.veri776 import load_veri776
from resight.errors import ConfigError, DataError, check_given, nearest
from resight.files import expanded, printable

__all__ = ["DATASETS", "Dataset", "load_dataset", "parse_spec", "split_validation"]

DATASETS: dict[str, Callable[[Path], Dataset]] = {
    "market1501": load_market1501,
    "dukemtmc": load_dukemtmc,
    "cuhk03np": load_cuhk03np,
    "msmt17": load_msmt17,
    "mars": load_mars,
    "mars-with-queries": partial(load_mars, gallery="with-queries"),
    "dukevideo": load_dukevideo,
    "ilidsvid": load_ilidsvid,
    "prid2011": load_prid2011,
    "lsvid": load_lsvid,
    "veri776": load_veri776,
    **{f"vehicleid-{size}": partial(load_vehicleid, size=size) for size in SIZES},
    "synthetic": load_synthetic,
    "folder": load_folder,
}
"""What reads each set, by the set's name."""

# The narrower pattern first: DukeMTMC's names fit CUHK03-NP's pattern too.
_MARKET_STYLE = {
    "market1501": market1501.PATTERN,
    "dukemtmc": dukemtmc.PATTERN,
    "cuhk03np": cuhk03np.PATTERN,
}

logger = logging.getLogger(__name__)


def load_dataset(name: str, root: str | Path) -> Dataset:
    """Read a data set.

    Args:
        name: One of `DATASETS`.
        root: The set's folder, or the one above it.

    Returns:
        The data set; its `notes` say what was skipped and whether it is the official split.

    Raises:
        ConfigError: There is no such set.
        DataError: The folder is not what the set's publisher hands out, or cannot be read.
    """
    check_given("name", name, str, f"the name of a data set ({', '.join(DATASETS)}), before its folder")
    check_given("root", root, (str, os.PathLike), "the data set's folder")
    if not str(root).strip():
        raise ConfigError(f"'{root}' names no folder: give the data set's")
    load, folder = DATASETS[_known(name)], expanded(root)
    try:
        return load(folder)
    except OSError as error:
        raise DataError(f"{name}: {_unreadable(folder, error)}") from error


def parse_spec(spec: str) -> tuple[str, Path]:
    """Read what names a data set on a command line or in a recipe.

    Args:
        spec: ``name=path``, or a path alone. A path alone is a plain ``folder`` of crops, unless it has the
            folders and file names of a known set: then it is that set, and the log says so.

    Returns:
        The name of the set and the path.

    Raises:
        ConfigError: There is no such set, or the path is missing.
        DataError: The folder cannot be read.
    """
    name, equals, path = spec.partition("=")
    # A path may hold "=" itself: what stands before it is a name only if it could not be a folder's.
    if equals and not expanded(spec).exists() and not set(name) & set("/\\.~"):
        if not path.strip():
            raise ConfigError(f"'{spec}' names no folder: write {name or 'folder'}=PATH")
        return _known(name.strip()), expanded(path.strip())
    if not spec.strip() or spec in DATASETS:
        raise ConfigError(f"'{spec}' names no folder: write {spec.strip() or 'market1501'}=PATH")
    root = expanded(spec)
    try:
        style = _market_style(root)
    except OSError as error:
        raise DataError(_unreadable(root, error)) from error
    if style is None:
        return "folder", root
    logger.warning("%s has the layout of %s and is read as it; folder=%s reads it as plain crops", root, style, root)
    return style, root


def _unreadable(root: Path, error: OSError) -> str:
    """Say what cannot be read: the folder that was given where it is closed, and not what is looked for in it."""
    closed = os.path.isdir(root) and not os.access(root, os.R_OK | os.X_OK)  # noqa: PTH112
    where, why = root if closed else error.filename or root, error.strerror or error
    return f"cannot read {where} ({why}): check its rights and its disk"


def _known(name: str) -> str:
    if name not in DATASETS:
        raise ConfigError(
            f"there is no data set '{printable(name)[:80]}'; known are {', '.join(DATASETS)}{nearest(name, DATASETS)}"
        )
    return name


def _market_style(root: Path) -> str | None:
    if not all((root / folder).is_dir() for folder in MARKET_FOLDERS.values()):
        return None
    _, files = list_folder(root / MARKET_FOLDERS["query"])
    images = [file for file in files if is_image_name(file)]
    return next((name for file in images for name, pattern in _MARKET_STYLE.items() if pattern.match(file)), None)
