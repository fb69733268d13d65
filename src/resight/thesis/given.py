"""What a run of a table was given: data sets, weights, and which set takes the place of which."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resight.errors import ConfigError
from resight.files import expanded
from resight.thesis.exhibits import Exhibit, data_name
from resight.thesis.plan import Asked, jobs

if TYPE_CHECKING:
    from resight.data.dataset import Dataset


def taken(flags: Sequence[str], name: str, form: str) -> tuple[list[str], list[str]]:
    """Take a flag that may be given several times out of the others.

    Args:
        flags: All flags.
        name: The flag, ``--data``.
        form: What it takes, for the error.

    Returns:
        Its values, and the other flags.

    Raises:
        ConfigError: It stands last, without a value.
    """
    found, rest, waiting = [], [], False
    for flag in flags:
        if waiting or flag.startswith(f"{name}="):
            found.append(flag.removeprefix(f"{name}="))
            waiting = False
        elif flag == name:
            waiting = True
        else:
            rest.append(flag)
    if waiting:
        raise ConfigError(f"{name} needs {form}")
    return found, rest


def read_data(words: Sequence[str]) -> dict[str, Path]:
    """Read ``NAME=PATH`` words: folders by our names of the data sets.

    Raises:
        ConfigError: A word is of another form, its name is unknown, or a set is given twice.
    """
    found = _pairs("--data", words, "NAME=PATH, market1501=PATH for example", data_name)
    return {name: expanded(path) for name, path in found.items()}


def read_weights(words: Sequence[str]) -> dict[str, str]:
    """Read ``BACKBONE=FILE`` words: a file of weights for each backbone, or ``none`` for random ones.

    Raises:
        ConfigError: A word is of another form, there is no such file, or a backbone is given twice.
    """
    found = _pairs("--weights", words, "BACKBONE=FILE, or BACKBONE=none for random ones", str)
    for backbone, path in found.items():
        if path != "none" and not expanded(path).is_file():
            raise ConfigError(
                "--weights needs BACKBONE=FILE, or BACKBONE=none for random ones, found "
                f"'{backbone}={path}': there is no such file"
            )
    return {name: path if path == "none" else os.path.realpath(expanded(path)) for name, path in found.items()}


def read_places(words: Sequence[str], exhibit: Exhibit) -> dict[str, str]:
    """Read ``THESIS=OURS`` words: which data set of ours takes the place of which.

    Raises:
        ConfigError: A word is of another form, a name is unknown or none of the table's, or one is given twice.
    """
    found = _pairs("--instead", words, "THESIS=OURS, duke=cuhk03np-detected for example", data_name)
    found = {theirs: data_name(own) for theirs, own in found.items()}
    known = {name for job in jobs(exhibit, Asked(), resolve=False) for name in (job.group.data, job.source) if name}
    for name in found.keys() - known:
        raise ConfigError(f"{exhibit.id} is not about {name}: it is about {', '.join(sorted(known))}")
    return found


def load_data(places: Mapping[str, Path]) -> dict[str, Dataset]:
    """Read the data sets that were given.

    Args:
        places: Folders by our names, as `read_data` gives them.

    Raises:
        ConfigError: Two of them are the same images.
        DataError: A folder is not there or not what it should be.
    """
    from resight.data.catalog import load_dataset

    found = {name: load_dataset(name, root) for name, root in places.items()}
    names: dict[str, str] = {}
    for name, dataset in found.items():
        other = names.setdefault(os.path.realpath(dataset.root), name)
        if other != name:
            raise ConfigError(f"{other} and {name} are both {dataset.root}: give each set the folder of its own images")
    return found


def _pairs(flag: str, words: Sequence[str], form: str, named: Callable[[str], str]) -> dict[str, str]:
    """Read ``NAME=VALUE`` words, each name once."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        if not (name and equals and value):
            raise ConfigError(f"{flag} needs {form}; found '{word}'")
        name = named(name)
        if found.setdefault(name, value) != value:
            raise ConfigError(f"{flag} names {name} twice, {found[name]} and {value}: leave one of them out")
    return found
