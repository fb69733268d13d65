"""Load a data set by its name, or by a specification such as ``market1501=/data/market``."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from resight.data.dataset import Dataset
from resight.data.folder import FolderSettings, load_folder
from resight.data.merged import MERGED, merge, read_sets
from resight.data.roots import MARKET_FOLDERS, innermost_folder, list_folder
from resight.data.sets.cuhk03np import load_cuhk03np
from resight.data.sets.dukemtmc import load_dukemtmc
from resight.data.sets.dukevideo import load_dukevideo
from resight.data.sets.file_names import detect_style
from resight.data.sets.ilidsvid import load_ilidsvid
from resight.data.sets.lsvid import load_lsvid
from resight.data.sets.market1501 import load_market1501
from resight.data.sets.mars import load_mars
from resight.data.sets.msmt17 import load_msmt17
from resight.data.sets.prid2011 import load_prid2011
from resight.data.sets.synthetic import CORPUS, load_synthetic
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
    "merged": lambda root: merge([open_dataset(spec, settings) for spec, settings in read_sets(root)], root),
    "folder": load_folder,
}
"""The loader of each data set, by name."""


def load_dataset(name: str, root: str | Path | None = None, settings: FolderSettings | None = None) -> Dataset:
    """Load a data set.

    Args:
        name: One of `DATASETS`; without a root, a specification as for `open_dataset`.
        root: The set's folder, or the one above it.
        settings: How to read a folder of crops; other sets ignore it.

    Returns:
        The data set. Its `notes` name skipped files and assumptions.

    Raises:
        ConfigError: The name is unknown.
        DataError: The folder lacks parts of the published set, or cannot be read.
    """
    check_given("name", name, str, f"the name of a data set ({', '.join(DATASETS)}), before its folder")
    if root is None:
        return open_dataset(name, settings)
    check_given("root", root, (str, os.PathLike), "the data set's folder")
    if name not in DATASETS and str(root) in DATASETS:
        raise ConfigError(f"the name of the data set comes first: load_dataset('{root}', '{printable(name)[:80]}')")
    if not str(root).strip():
        raise ConfigError(f"'{root}' names no folder: give the data set's")
    load, folder = DATASETS[_check_name(name)], expanded(root)
    try:
        return load_folder(folder, settings) if name == "folder" else load(folder)
    except OSError as error:
        raise DataError(f"{name}: {_describe_unreadable(folder, error)}") from error


def open_dataset(spec: str, settings: FolderSettings | None = None) -> Dataset:
    """Load the data set that a command line or a recipe names.

    Args:
        spec: As for `parse_spec`.
        settings: How to read a folder of crops; other sets ignore it.

    Returns:
        The data set. If a path alone has the layout of a published set, a note says so. Counts that differ from the
        published ones are then not compared, because the user did not name the set.

    Raises:
        ConfigError: As `parse_spec`.
        DataError: As `load_dataset`.
    """
    name, root = parse_spec(spec, settings)
    dataset = load_dataset(name, root, settings)
    if name == "folder" or _split_spec(spec) is not None:
        return dataset
    path = printable(root)
    note = f"{path} has the layout of {name} and is read as it"
    if dataset.published:
        note += f"; {name}={path} compares its counts with the published"
    return replace(dataset, notes=(note, *dataset.notes), published=dataset.published if dataset.official else {})


def folder_settings(layout: str, pattern: str, *specs: str) -> FolderSettings | None:
    """Build the settings of a command's folders of crops from its flags ``--layout`` and ``--pattern``.

    Args:
        layout: As in `FolderSettings`.
        pattern: As in `FolderSettings`.
        specs: The data sets that the command reads, as for `parse_spec`; empty ones are ignored.

    Returns:
        The settings; None if both flags are empty.

    Raises:
        ConfigError: A flag is set and no data set is a folder of crops, or the flag is invalid.
    """
    if not layout and not pattern:
        return None
    names = [(_split_spec(spec) or ("folder", spec))[0] for spec in specs if spec]
    if names and "folder" not in names:
        flag = "--layout" if layout else "--pattern"
        raise ConfigError(f"{flag} says how a folder of crops is read, and {names[0]} is none: leave it out")
    return FolderSettings(pattern=pattern, layout=layout)


def parse_spec(spec: str, settings: FolderSettings | None = None) -> tuple[str, Path]:
    """Parse the specification of a data set on a command line or in a recipe.

    Args:
        spec: ``name=path``, or a path alone. A path alone is a ``folder`` of crops, unless it has the folders and file
            names of a known set. Then it is that set.
        settings: How to read a folder of crops. With them, a path alone is always a folder of crops.

    Returns:
        The name of the set and the path.

    Raises:
        ConfigError: The name is unknown, or the path is missing.
        DataError: The folder cannot be read.
    """
    name_and_path = _split_spec(spec)
    if name_and_path is not None:
        name, path = name_and_path
        if not path:
            raise ConfigError(f"'{printable(spec)}' names no folder: write {printable(name) or 'folder'}=PATH")
        return _check_name(name), expanded(path)
    if not spec.strip() or spec in DATASETS:
        raise ConfigError(f"'{spec}' names no folder: write {spec.strip() or 'market1501'}=PATH")
    root = expanded(spec)
    try:
        return ((_detect_set(root) if settings is None else None) or "folder"), root
    except OSError as error:
        raise DataError(_describe_unreadable(root, error)) from error


def _split_spec(spec: str) -> tuple[str, str] | None:
    """Split ``name=path`` into its name and its path; return None for a path alone."""
    name, equals, path = spec.partition("=")
    # A path may contain "=" itself. The text before it is a name only if it cannot be a path.
    if equals and not expanded(spec).exists() and not set(name) & set("/\\.~"):
        return name.strip(), path.strip()
    return None


def _describe_unreadable(root: Path, error: OSError) -> str:
    """Describe an unreadable path: the user's folder if it is closed itself, else the path in it that failed."""
    closed = os.path.isdir(root) and not os.access(root, os.R_OK | os.X_OK)  # noqa: PTH112
    path, reason = root if closed else error.filename or root, error.strerror or error
    return f"cannot read {path} ({reason}): check its permissions and its disk"


def _check_name(name: str) -> str:
    """Return the name of a data set, or raise `ConfigError` if it is unknown."""
    if name not in DATASETS:
        raise ConfigError(
            f"there is no data set '{printable(name)[:80]}'; known are {', '.join(DATASETS)}{nearest(name, DATASETS)}"
        )
    return name


def _detect_set(root: Path) -> str | None:
    """Return the set of Market-1501's layout whose file names a folder has; None if there is none."""
    for marker, name in ((CORPUS, "synthetic"), (MERGED, "merged")):
        if (root / marker).is_file():
            return name
    root = innermost_folder(root)
    if not all((root / folder).is_dir() for folder in MARKET_FOLDERS.values()):
        return None
    style = detect_style(list_folder(root / MARKET_FOLDERS["query"])[1])
    return None if style == "msmt17" else style  # MSMT17 has other folders
