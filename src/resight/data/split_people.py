"""Ten random splits of people into halves, the protocol of the small sets of two cameras."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from resight.data.dataset import Dataset
from resight.data.sets.sequences import Track, build_track_table, last_number, read_matrix
from resight.errors import ConfigError, DataError
from resight.records import Ints

SPLITS = 10
"""The number of splits; published scores are their average."""


def split_people(
    name: str, people: Sequence[int], lists: Sequence[Path], split: int, notes: list[str]
) -> tuple[Ints, Ints]:
    """Return the people of one of the ten splits, as published if a list of the splits exists.

    Two formats of lists are in use. A MATLAB file contains ``ls_set``, one permutation of the people per row (their
    numbers, or their positions from 1); its first half is the test half. A JSON file contains, for each split, the
    names of the people under ``train`` and ``test``. Without a list, a fixed seed draws the halves. They are the same
    for the same people, but not the published ones.

    Args:
        name: The set's name, for the error.
        people: The people of the set.
        lists: Possible paths of the list; the first that exists is read.
        split: Index of the split, 0..9.
        notes: Gets a note on the origin of the split.

    Returns:
        The people to train on and the people to test on, ascending.

    Raises:
        ConfigError: There is no such split.
        DataError: There are fewer than two people, or the list is unreadable or names other people.
    """
    if not 0 <= split < SPLITS:
        raise ConfigError(f"{name}: the splits are 0..{SPLITS - 1}, found {split}")
    person_ids = np.unique(np.array(people, np.int64))
    if len(person_ids) < 2:
        raise DataError(f"{name}: {len(person_ids)} people cannot be split: two or more are needed")
    path = next((path for path in lists if path.is_file()), None)
    if path is None:
        notes.append(
            f"split {split} of {SPLITS}: drawn with a fixed seed (there is no {lists[0].name}), so scores on it "
            "compare only roughly with published ones"
        )
        train, test = _cut_in_half(np.random.default_rng((split, len(person_ids))).permutation(person_ids))
    else:
        notes.append(f"split {split} of {SPLITS}, as in {path.name}; published scores are the average of all")
        if path.suffix == ".json":
            train, test = _read_json(name, path, split)
        else:
            train, test = _read_permutation(name, path, split, person_ids)
    listed = np.concatenate([train, test])
    unknown = np.setdiff1d(listed, person_ids)
    if len(unknown):
        raise DataError(
            f"{name}: {path} names {len(unknown):,} people that the set does not contain, such as {unknown[0]}: the "
            "list and the images do not match"
        )
    if len(np.unique(listed)) < len(listed) or not len(train) or not len(test):
        raise DataError(f"{name}: split {split} of {path} does not cut the people into two disjoint halves")
    return train, test


def _cut_in_half(order: Ints) -> tuple[Ints, Ints]:
    half = len(order) // 2
    return np.sort(order[half:]), np.sort(order[:half])


def _read_permutation(name: str, path: Path, split: int, person_ids: Ints) -> tuple[Ints, Ints]:
    rows = read_matrix(name, path, "ls_set")
    if split >= len(rows):
        raise DataError(f"{name}: {path} has {len(rows)} splits, numbered from 0; found no split {split}")
    order = rows[split]
    if sorted(order.tolist()) == list(range(1, len(person_ids) + 1)):  # positions from 1 instead of person ids
        order = person_ids[order - 1]
    return _cut_in_half(order)


def _read_json(name: str, path: Path, split: int) -> tuple[Ints, Ints]:
    try:
        halves = json.loads(path.read_text())[split]
        train, test = (_numbers(halves[half]) for half in ("train", "test"))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(f"{name}: {path} has no split {split} with 'train' and 'test' ({error!r})") from error
    return train, test


def _numbers(names: Sequence[object]) -> Ints:
    numbers = [last_number(str(name)) for name in names]
    return np.array(sorted(number for number in numbers if number is not None), np.int64)


def two_camera_dataset(
    name: str,
    root: Path,
    tracks: Mapping[int, tuple[Track, Track]],
    people: tuple[Ints, Ints],
    *,
    published: Mapping[str, tuple[int, int]],
    notes: Sequence[str],
) -> Dataset:
    """Build a set of two cameras: tracklets of the test people by the first are queries, by the second the gallery.

    Args:
        name: The set's name.
        root: The set's folder.
        tracks: The two tracklets of each person.
        people: The people to train on and to test on, from `split_people`.
        published: The published numbers of tracklets and people of each split.
        notes: The notes of the set.

    Returns:
        The data set.
    """
    train, test = (person_ids.tolist() for person_ids in people)
    return Dataset(
        name,
        root,
        train=build_track_table(track for person in train for track in tracks[person]),
        query=build_track_table((tracks[person][0] for person in test), first_id=2 * len(train)),
        gallery=build_track_table((tracks[person][1] for person in test), first_id=2 * len(train) + len(test)),
        published=published,
        notes=tuple(notes),
        unit="tracklets",
    )
