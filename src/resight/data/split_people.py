"""Ten splits of people, the protocol of the small sets of two cameras."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resight.data.dataset import Dataset
from resight.data.matlab import read_matrix
from resight.data.sets.sequences import Track, build_track_table, last_number
from resight.errors import ConfigError, DataError
from resight.records import Ints

SPLITS = 10
"""The number of splits; published scores are their average."""


@dataclass(frozen=True)
class SplitRule:
    """How a set's people are split.

    Attributes:
        test: The number of people to test on if the split is drawn; None is half of them, rounded down.
        read: Returns the people to train on and the people to test on of a split in a list, from the set's name, the
            list's path, the split and the set's people.
    """

    test: int | None = None
    read: Callable[[str, Path, int, Ints], tuple[Ints, Ints]] | None = None


def split_people(
    name: str, people: Sequence[int] | Ints, lists: Sequence[Path], split: int, notes: list[str],
    rule: SplitRule = SplitRule(),
) -> tuple[Ints, Ints]:  # fmt: skip
    """Return the people of one of the ten splits, as published if a list of the splits exists.

    Two formats of lists are in use for tracklets. A MATLAB file contains ``ls_set``, one permutation of the people per
    row (their numbers, or their positions from 1); its first half is the test half. A JSON file contains, for each
    split, the names of the people under ``train`` and ``test``. Without a list, the split is drawn; its number is the
    seed. Drawn splits are the same for the same people, but not the published ones.

    Args:
        name: The set's name, for the error.
        people: The people of the set.
        lists: Possible paths of the list; the first that exists is read. Empty if no list is published.
        split: Index of the split, 0..9.
        notes: Gets a note on the origin of the split.
        rule: The number of people to test on, and the format of the list.

    Returns:
        The people to train on and the people to test on, ascending.

    Raises:
        ConfigError: There is no such split.
        DataError: There are too few people, or the list is unreadable or names other people.
    """
    check_split(name, split, SPLITS)
    person_ids = np.unique(np.asarray(people, np.int64))
    num_test = len(person_ids) // 2 if rule.test is None else rule.test
    if not 0 < num_test < len(person_ids):
        raise DataError(f"{name}: {len(person_ids)} people cannot be split: {max(1, num_test) + 1} or more are needed")
    path = next((path for path in lists if path.is_file()), None)
    if path is None:
        reason = f"there is no {lists[0].name}" if lists else "no list of the splits is published"
        notes.append(
            f"split {split} of {SPLITS}: drawn with a fixed seed ({reason}), so scores on it compare only roughly with "
            "published ones"
        )
        order = np.random.default_rng((split, len(person_ids))).permutation(person_ids)
        train, test = np.sort(order[num_test:]), np.sort(order[:num_test])
    else:
        notes.append(f"split {split} of {SPLITS}, as in {path.name}; published scores are the average of all")
        read = rule.read or (_read_json if path.suffix == ".json" else _read_permutation)
        train, test = read(name, path, split, person_ids)
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


def check_split(name: str, split: int, splits: int) -> None:
    """Check the number of a split.

    Raises:
        ConfigError: It is not in ``0..splits-1``.
    """
    if not 0 <= split < splits:
        raise ConfigError(f"{name}: the splits are 0..{splits - 1}, found {split}")


def missing_split(name: str, path: Path, splits: int, split: int) -> DataError:
    """Return the error for a list that has fewer splits than the protocol."""
    return DataError(f"{name}: {path} has {splits} splits, numbered from 0; found no split {split}")


def _cut_in_half(order: Ints) -> tuple[Ints, Ints]:
    half = len(order) // 2
    return np.sort(order[half:]), np.sort(order[:half])


def _read_permutation(name: str, path: Path, split: int, person_ids: Ints) -> tuple[Ints, Ints]:
    rows = read_matrix(name, path, "ls_set")
    if split >= len(rows):
        raise missing_split(name, path, len(rows), split)
    order = rows[split]
    if sorted(order.tolist()) == list(range(1, len(person_ids) + 1)):  # positions from 1 instead of person ids
        order = person_ids[order - 1]
    return _cut_in_half(order)


def _read_json(name: str, path: Path, split: int, _: Ints) -> tuple[Ints, Ints]:
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
