"""Load a data set by its name, or by a specification such as ``market1501=/data/market``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from resight.data.dataset import Dataset
from resight.data.folder import FolderSettings, load_folder
from resight.data.image_formats import is_image_name
from resight.data.merged import MERGED, merge, read_sets
from resight.data.roots import MARKET_FOLDERS, innermost_folder, list_folder
from resight.data.sets.caviar4reid import load_caviar4reid
from resight.data.sets.cuhk01 import load_cuhk01
from resight.data.sets.cuhk02 import load_cuhk02
from resight.data.sets.cuhk03 import SPLITS as CUHK03_SPLITS
from resight.data.sets.cuhk03 import load_cuhk03_classic
from resight.data.sets.cuhk03np import load_cuhk03np
from resight.data.sets.cuhksysu import load_cuhksysu
from resight.data.sets.dukemtmc import load_dukemtmc
from resight.data.sets.dukevideo import load_dukevideo
from resight.data.sets.file_names import detect_style
from resight.data.sets.grid import load_grid
from resight.data.sets.ilids import load_ilids
from resight.data.sets.ilidsvid import load_ilidsvid
from resight.data.sets.lsvid import load_lsvid
from resight.data.sets.market1501 import load_market1501, load_market1501_500k
from resight.data.sets.mars import load_mars
from resight.data.sets.msmt17 import load_msmt17
from resight.data.sets.occludedduke import load_occludedduke
from resight.data.sets.person30k import load_person30k
from resight.data.sets.personx import load_personx
from resight.data.sets.prid2011 import load_prid2011
from resight.data.sets.prid2011_single_shot import load_prid2011_single_shot
from resight.data.sets.randperson import load_randperson
from resight.data.sets.synthetic import CORPUS, load_synthetic
from resight.data.sets.unrealperson import load_unrealperson
from resight.data.sets.vehicleid import SIZES, load_vehicleid
from resight.data.sets.veri776 import load_veri776
from resight.data.sets.viper import load_viper
from resight.data.split_people import SPLITS as PEOPLE_SPLITS
from resight.data.split_people import check_split
from resight.errors import ConfigError, DataError, check_given, nearest
from resight.files import expanded, printable

DATASETS: dict[str, Callable[..., Dataset]] = {
    "market1501": load_market1501,
    "market1501-500k": load_market1501_500k,
    "dukemtmc": load_dukemtmc,
    "occludedduke": load_occludedduke,
    "cuhk03np": load_cuhk03np,
    "cuhk03np-labeled": partial(load_cuhk03np, boxes="labeled"),
    "cuhk03np-detected": partial(load_cuhk03np, boxes="detected"),
    "cuhk03-classic-labeled": partial(load_cuhk03_classic, boxes="labeled"),
    "cuhk03-classic-detected": partial(load_cuhk03_classic, boxes="detected"),
    "msmt17": load_msmt17,
    "viper": load_viper,
    "grid": load_grid,
    "prid2011-single-shot": load_prid2011_single_shot,
    "ilids": load_ilids,
    "caviar4reid": load_caviar4reid,
    "caviar4reid-multi-shot": partial(load_caviar4reid, shots="multi"),
    "cuhk01": load_cuhk01,
    "cuhk01-multi-shot": partial(load_cuhk01, shots="multi"),
    "cuhk02": load_cuhk02,
    "cuhksysu": load_cuhksysu,
    "person30k": load_person30k,
    "personx": load_personx,
    "randperson": load_randperson,
    "unrealperson": load_unrealperson,
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

SPLITS: dict[str, int] = {
    **dict.fromkeys(
        (
            *("viper", "grid", "prid2011-single-shot", "ilids", "caviar4reid", "caviar4reid-multi-shot"),
            *("cuhk01", "cuhk01-multi-shot", "ilidsvid", "prid2011"),
            *(f"vehicleid-{size}" for size in SIZES),
        ),
        PEOPLE_SPLITS,
    ),
    **dict.fromkeys(("cuhk03-classic-labeled", "cuhk03-classic-detected"), CUHK03_SPLITS),
}
"""The number of splits whose scores are averaged, of sets that have several. Their loaders take a ``split``, from 0."""

LAYOUTS: dict[str, tuple[tuple[str, ...], re.Pattern[str]]] = {
    "viper": (("cam_a", "cam_b"), re.compile(r"[0-9]{3}_(0|45|90|135|180)\.bmp")),
    "grid": (("probe", "gallery"), re.compile(r"[0-9]{4}_[0-9]_[0-9]+(_[0-9]+){4}\.jpeg")),
}
"""The folders and file names of the sets that a path alone is recognized by, besides those of Market-1501's layout."""

_SPLIT = re.compile(r"(?P<name>.+)-split(?P<split>[0-9]{1,4})")


def load_dataset(name: str, root: str | Path | None = None, settings: FolderSettings | None = None) -> Dataset:
    """Load a data set.

    Args:
        name: One of `DATASETS`; without a root, a specification as for `open_dataset`. ``-split3`` after the name of a
            set in `SPLITS` reads its fourth split instead of its first.
        root: The set's folder, or the one above it.
        settings: How to read a folder of crops; other sets ignore it.

    Returns:
        The data set. Its `notes` name skipped files and assumptions.

    Raises:
        ConfigError: The name is unknown.
        DataError: The folder lacks parts of the published set, or cannot be read.
    """
    sets = [known for known in DATASETS if "-" not in known or known.partition("-")[0] not in DATASETS]  # no variants
    check_given("name", name, str, f"the name of a data set ({', '.join(sets)}), before its folder")
    if root is None:
        return open_dataset(name, settings)
    check_given("root", root, (str, os.PathLike), "the data set's folder")
    base, options = _parse_name(name)
    if base not in DATASETS and str(root) in DATASETS:
        raise ConfigError(f"the name of the data set comes first: load_dataset('{root}', '{printable(name)[:80]}')")
    if not str(root).strip():
        raise ConfigError(f"'{root}' names no folder: give the data set's")
    load, folder = DATASETS[_check_name(base)], expanded(root)
    try:
        return load_folder(folder, settings) if name == "folder" else load(folder, **options)
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


def open_splits(spec: str, trials: int, settings: FolderSettings | None = None) -> list[Dataset]:
    """Load the first splits of a data set that has several.

    Args:
        spec: As for `parse_spec`, without the number of a split.
        trials: How many splits.
        settings: As for `parse_spec`.

    Returns:
        The splits 0 to ``trials - 1``.

    Raises:
        ConfigError: As `parse_spec`; or the set has fewer splits.
        DataError: As `load_dataset`.
    """
    name, root = parse_spec(spec, settings)
    base, options = _parse_name(name)
    if options or base not in SPLITS:
        several = f"sets with several are {', '.join(SPLITS)}"
        raise ConfigError(
            f"trials average the splits of a set, and {name} is a single one: leave out trials, or write {base}=PATH"
            if options
            else f"trials average the splits of a set, and {name} has one: leave out trials; {several}"
        )
    if trials > SPLITS[base]:
        raise ConfigError(f"{base} has {SPLITS[base]} splits, found {trials} trials: ask for {SPLITS[base]} or fewer")
    return [load_dataset(f"{base}-split{split}", root) for split in range(trials)]


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
        _check_name(_parse_name(name)[0])
        return name, expanded(path)
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


def _parse_name(name: str) -> tuple[str, dict[str, int]]:
    """Split the name of a set into that in `DATASETS` and the options of its loader: the split, if one is named.

    Raises:
        ConfigError: The set has no splits, or no such one.
    """
    match = _SPLIT.fullmatch(name)
    if match is None or match["name"] not in DATASETS:
        return name, {}
    base, split = match["name"], int(match["split"])
    if base not in SPLITS:
        raise ConfigError(f"{base} has one split: write {base}=PATH; sets with several are {', '.join(SPLITS)}")
    check_split(base, split, SPLITS[base])
    return base, {"split": split}


def _check_name(name: str) -> str:
    """Return the name of a data set, or raise `ConfigError` if it is unknown."""
    if name not in DATASETS:
        raise ConfigError(
            f"there is no data set '{printable(name)[:80]}'; known are {', '.join(DATASETS)}{nearest(name, DATASETS)}"
        )
    return name


def _detect_set(root: Path) -> str | None:
    """Return the set whose folders and file names a folder has; None if there is none."""
    for marker, name in ((CORPUS, "synthetic"), (MERGED, "merged")):
        if (root / marker).is_file():
            return name
    root = innermost_folder(root)
    for name, (folders, pattern) in LAYOUTS.items():
        if all((root / folder).is_dir() and _has_names(root / folder, pattern) for folder in folders):
            return name
    if not all((root / folder).is_dir() for folder in MARKET_FOLDERS.values()):
        return None
    style = detect_style(list_folder(root / MARKET_FOLDERS["query"])[1])
    return None if style == "msmt17" else style  # MSMT17 has other folders


def _has_names(folder: Path, pattern: re.Pattern[str]) -> bool:
    """Return whether a folder has images, all of which are named as a set names them."""
    images = [name for name in list_folder(folder)[1] if is_image_name(name)]
    return bool(images) and all(map(pattern.fullmatch, images))
