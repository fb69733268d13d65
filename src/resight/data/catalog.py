"""Load a data set by its name, or by a specification such as ``market1501=/data/market``."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from resight.data.dataset import Dataset
from resight.data.folder import FolderSettings, load_folder
from resight.data.roots import MARKET_FOLDERS, list_folder, unpacked
from resight.data.sets.cuhk03np import load_cuhk03np
from resight.data.sets.dukemtmc import load_dukemtmc
from resight.data.sets.dukevideo import load_dukevideo
from resight.data.sets.file_names import style_of
from resight.data.sets.ilidsvid import load_ilidsvid
from resight.data.sets.lsvid import load_lsvid
from resight.data.sets.market1501 import load_market1501
from resight.data.sets.mars import load_mars
from resight.data.sets.msmt17 import load_msmt17
from resight.data.sets.prid2011 import load_prid2011
from resight.data.sets.synthetic import load_synthetic
from resight.data.sets.vehicleid import SIZES, load_vehicleid
from resight.data.sets.veri776 import load_veri776
from resight.errors import ConfigError, DataError, check_given, nearest
from resight.files import expanded, printable

DATASETS: dict[str, Callable[[Path], Dataset]] = {
    "market1501": load_market1501,
    "dukemtmc": load_dukemtmc,
    "cuhk03np": load_cuhk03np,
    "cuhk03np-labeled": partial(load_cuhk03np, boxes="labeled"),
    "cuhk03np-detected": partial(load_cuhk03np, boxes="detected"),
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


def load_dataset(name: str, root: str | Path | None = None, told: FolderSettings | None = None) -> Dataset:
    """Read a data set.

    Args:
        name: One of `DATASETS`; or, without a root, what `open_dataset` takes.
        root: The set's folder, or the one above it.
        told: How a folder of crops is read; no other set looks at it.

    Returns:
        The data set; its `notes` say what was skipped and what was assumed.

    Raises:
        ConfigError: There is no such set.
        DataError: The folder is not what the set's publisher hands out, or cannot be read.
    """
    check_given("name", name, str, f"the name of a data set ({', '.join(DATASETS)}), before its folder")
    if root is None:
        return open_dataset(name, told)
    check_given("root", root, (str, os.PathLike), "the data set's folder")
    if name not in DATASETS and str(root) in DATASETS:
        raise ConfigError(f"the name of the data set comes first: load_dataset('{root}', '{printable(name)[:80]}')")
    if not str(root).strip():
        raise ConfigError(f"'{root}' names no folder: give the data set's")
    load, folder = DATASETS[_known(name)], expanded(root)
    try:
        return load_folder(folder, told) if name == "folder" else load(folder)
    except OSError as error:
        raise DataError(f"{name}: {_unreadable(folder, error)}") from error


def open_dataset(spec: str, told: FolderSettings | None = None) -> Dataset:
    """Read what a command line or a recipe names.

    Args:
        spec: As for `parse_spec`.
        told: How a folder of crops is read; no other set looks at it.

    Returns:
        The data set. Where a path alone has the layout of a published set, a note says so, and its counts are the
        published ones or are not compared: nobody said that it is that set.

    Raises:
        ConfigError: As `parse_spec`.
        DataError: As `load_dataset`.
    """
    name, root = parse_spec(spec, told)
    dataset = load_dataset(name, root, told)
    if name == "folder" or _named(spec) is not None:
        return dataset
    shown = printable(root)
    note = f"{shown} has the layout of {name} and is read as it; {name}={shown} compares its counts with the published"
    return replace(dataset, notes=(note, *dataset.notes), published=dataset.published if dataset.official else {})


def folder_settings(layout: str, pattern: str, *specs: str) -> FolderSettings | None:
    """Give what the flags ``--layout`` and ``--pattern`` say of a command's folders of crops.

    Args:
        layout: As in `FolderSettings`.
        pattern: Likewise.
        specs: The data sets that the command reads, as for `parse_spec`; empty ones are none.

    Returns:
        None where neither is given.

    Raises:
        ConfigError: One is given and none of the data sets is a folder of crops, or it cannot be read.
    """
    if not layout and not pattern:
        return None
    kinds = [_named(spec) or ("folder", spec) for spec in specs if spec]
    if kinds and not any(kind == "folder" for kind, _ in kinds):
        flag = "--layout" if layout else "--pattern"
        raise ConfigError(f"{flag} says how a folder of crops is read, and {kinds[0][0]} is none: leave it out")
    return FolderSettings(pattern=pattern, layout=layout)


def parse_spec(spec: str, told: FolderSettings | None = None) -> tuple[str, Path]:
    """Read what names a data set on a command line or in a recipe.

    Args:
        spec: ``name=path``, or a path alone. A path alone is a plain ``folder`` of crops, unless it has the
            folders and file names of a known set: then it is that set.
        told: How a folder of crops is read; a path alone is one where it is given.

    Returns:
        The name of the set and the path.

    Raises:
        ConfigError: There is no such set, or the path is missing.
        DataError: The folder cannot be read.
    """
    named = _named(spec)
    if named is not None:
        name, path = named
        if not path:
            raise ConfigError(f"'{printable(spec)}' names no folder: write {printable(name) or 'folder'}=PATH")
        return _known(name), expanded(path)
    if not spec.strip() or spec in DATASETS:
        raise ConfigError(f"'{spec}' names no folder: write {spec.strip() or 'market1501'}=PATH")
    root = expanded(spec)
    try:
        return ((_market_style(root) if told is None else None) or "folder"), root
    except OSError as error:
        raise DataError(_unreadable(root, error)) from error


def _named(spec: str) -> tuple[str, str] | None:
    """Give the name of the set and the path where both are there; None of a path alone."""
    name, equals, path = spec.partition("=")
    # A path may hold "=" itself: what stands before it is a name only if it could not be a folder's.
    if equals and not expanded(spec).exists() and not set(name) & set("/\\.~"):
        return name.strip(), path.strip()
    return None


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
    root = unpacked(root)
    if not all((root / folder).is_dir() for folder in MARKET_FOLDERS.values()):
        return None
    style = style_of(list_folder(root / MARKET_FOLDERS["query"])[1])
    return None if style == "msmt17" else style  # whose own folders are others
