"""People in two random halves, ten times: how the small sets of two cameras are scored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from resight.data.dataset import Dataset
from resight.data.sets.sequences import Track, last_number, read_matrix, table_of
from resight.errors import ConfigError, DataError
from resight.records import Ints

SPLITS = 10
"""Published scores are the average over so many splits."""


def halve(name: str, people: Sequence[int], lists: Sequence[Path], split: int, notes: list[str]) -> tuple[Ints, Ints]:
    """Give the people of one of the ten splits: the published ones where their list is there.

    Two kinds of list are in use. A MATLAB file holds ``ls_set``, one permutation of the people a row (their numbers,
    or their places from 1), of which the first half is to test with. A JSON file holds, for each split, the names of
    the people under ``train`` and ``test``. Without a list the halves are drawn by a fixed seed: the same ones for the
    same people, but not the published ones.

    Args:
        name: The set's name, for the error.
        people: Whom the set shows.
        lists: Where the list may lie; the first that exists is read.
        split: Which of the ten, from 0.
        notes: Where the halves come from joins them.

    Returns:
        The people to train on and those to test with, ascending.

    Raises:
        ConfigError: There is no such split.
        DataError: There are fewer than two people, or the list cannot be read or is of other people.
    """
    if not 0 <= split < SPLITS:
        raise ConfigError(f"{name}: the splits are 0..{SPLITS - 1}, found {split}")
    able = np.unique(np.array(people, np.int64))
    if len(able) < 2:
        raise DataError(f"{name}: {len(able)} people cannot be halved: two or more are needed")
    path = next((path for path in lists if path.is_file()), None)
    if path is None:
        notes.append(
            f"split {split} of {SPLITS}: drawn by a fixed seed (no {lists[0].name} is there), so scores on it compare "
            "only roughly with published ones"
        )
        train, test = _cut(np.random.default_rng((split, len(able))).permutation(able))
    else:
        notes.append(f"split {split} of {SPLITS}, as in {path.name}; published scores are the average of all")
        train, test = _named(name, path, split) if path.suffix == ".json" else _permuted(name, path, split, able)
    named = np.concatenate([train, test])
    strangers = np.setdiff1d(named, able)
    if len(strangers):
        raise DataError(
            f"{name}: {path} names {len(strangers):,} people that the set does not hold, such as {strangers[0]}: the "
            "list and the images do not match each other"
        )
    if len(np.unique(named)) < len(named) or not len(train) or not len(test):
        raise DataError(f"{name}: split {split} of {path} does not cut the people into two halves that share nobody")
    return train, test


def _cut(order: Ints) -> tuple[Ints, Ints]:
    half = len(order) // 2
    return np.sort(order[half:]), np.sort(order[:half])


def _permuted(name: str, path: Path, split: int, able: Ints) -> tuple[Ints, Ints]:
    rows = read_matrix(name, path, "ls_set")
    if split >= len(rows):
        raise DataError(f"{name}: {path} holds {len(rows)} splits; asked for is number {split}, from 0")
    order = rows[split]
    if sorted(order.tolist()) == list(range(1, len(able) + 1)):  # places among the people, not their numbers
        order = able[order - 1]
    return _cut(order)


def _named(name: str, path: Path, split: int) -> tuple[Ints, Ints]:
    try:
        halves = json.loads(path.read_text())[split]
        train, test = (_numbers(halves[part]) for part in ("train", "test"))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(f"{name}: {path} has no split {split} with 'train' and 'test' ({error!r})") from error
    return train, test


def _numbers(names: Sequence[object]) -> Ints:
    found = [last_number(str(name)) for name in names]
    return np.array(sorted(number for number in found if number is not None), np.int64)


def halved(
    name: str,
    root: Path,
    tracks: Mapping[int, tuple[Track, Track]],
    halves: tuple[Ints, Ints],
    *,
    published: Mapping[str, tuple[int, int]],
    notes: Sequence[str],
) -> Dataset:
    """Make a set of two cameras: the first one's tracklets of the people to test with ask, the second one's answer.

    Args:
        name: The set's name.
        root: Its folder.
        tracks: The two tracklets of each person.
        halves: As `halve` gives them.
        published: The tracklets and people of each split, as published.
        notes: What is to be said of it.

    Returns:
        The data set.
    """
    train, test = (half.tolist() for half in halves)
    return Dataset(
        name,
        root,
        train=table_of(track for person in train for track in tracks[person]),
        query=table_of((tracks[person][0] for person in test), first=2 * len(train)),
        gallery=table_of((tracks[person][1] for person in test), first=2 * len(train) + len(test)),
        published=published,
        notes=tuple(notes),
        unit="tracklets",
    )
