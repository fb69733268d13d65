"""Hold people out of the training split of a data set, to score a model on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from resight.data.dataset import DATASET, Dataset
from resight.data.label_columns import LABELS
from resight.data.tracklets import group_tracklets
from resight.errors import ConfigError, DataError, check_given, shown, whole_number
from resight.records import ImageTable, Ints


def split_validation(dataset: Dataset, people: int | Literal["all"], *, seed: int = 0) -> Dataset:
    """Hold people out of the training split, to choose settings without the test split.

    The same seed gives the same people, queries and gallery, whatever the order of the files.

    With ``exclude="same-camera"``, people seen by two or more cameras can be held out. Each of their cameras gives one
    query; the other images are the gallery. The only image of a camera goes to the gallery, because it may be the only
    match of another camera's query. If every camera has a single image, the first camera gives the query. So each query
    has a match.

    With ``exclude="none"``, all cameras count as one, and a person needs two images. If the unit is the tracklet, all
    of this applies to tracklets instead of images.

    Args:
        dataset: A data set with people in its training split.
        people: Number of people to hold out. ``"all"`` holds out everybody who has enough images. The images of other
            known people then join the gallery, and nobody is left to train on.
        seed: Seed of the choice of people and queries.

    Returns:
        The held-out people as query and gallery, the others as train; ``+validation<people>`` is added to the name.

    Raises:
        DataError: The training split has too few such people, or no image would be left to train on.
        ConfigError: ``people`` is below 1.
    """
    check_given("dataset", dataset, Dataset, DATASET)
    hold_out_all, seed = isinstance(people, str) and people == "all", whole_number("seed", seed, least=0)
    if isinstance(people, str) and not hold_out_all:
        raise ConfigError(f"people must be a whole number of 1 or more, or 'all', found {shown(people)}")
    people = people if isinstance(people, str) else whole_number("people", people, least=1)
    if dataset.unit == "tracklets":
        return _split_tracklets(dataset, people, seed)
    train = dataset.train
    cameras = train.camera_ids if dataset.exclude == "same-camera" else np.zeros(len(train), np.int64)
    # Sort rows by person, camera and path, so that nothing below depends on the order of the files.
    rows = np.lexsort((train.paths, cameras, train.person_ids))
    rows = rows[~np.isin(train.person_ids[rows], dataset.non_person_ids)]
    by_person = {int(train.person_ids[group[0]]): group for group in _runs(rows, train.person_ids)}
    if dataset.exclude == "same-camera":
        candidates = [person for person, images in by_person.items() if len(np.unique(cameras[images])) > 1]
        condition = "seen by two cameras or more"
    else:
        candidates = [person for person, images in by_person.items() if len(images) > 1]
        condition = "with two images or more"
    num_people = max(1, len(candidates)) if isinstance(people, str) else people  # "all" of nobody is an error
    if num_people > len(candidates):
        advice = "hold out fewer" if candidates else f"label more, for a folder of crops in its {LABELS}"
        raise DataError(
            f"{dataset.name}: cannot hold {num_people} people out of the training part: {len(candidates)} of its "
            f"{len(by_person)} people are {condition}; {advice}"
        )

    random = np.random.default_rng(seed)
    held_out = [candidates[i] for i in np.sort(random.permutation(len(candidates))[:num_people])]
    query_rows: list[int] = []
    for person in held_out:
        groups = _runs(by_person[person], cameras)
        groups = [group for group in groups if len(group) > 1] or groups[:1]
        query_rows.extend(int(group[random.integers(len(group))]) for group in groups)

    is_test = np.isin(train.person_ids, held_out)
    if hold_out_all:
        is_test = ~np.isin(train.person_ids, dataset.non_person_ids)
    elif is_test.all():
        raise DataError(f"{dataset.name}: holding out {num_people} people leaves no image to train on; hold out fewer")
    is_query = np.zeros(len(train), np.bool_)
    is_query[query_rows] = True
    has_others = hold_out_all and num_people < len(by_person)
    addition = "; the images of the others are in the gallery too" if has_others else ""
    return replace(
        dataset,
        name=f"{dataset.name}+validation-all" if hold_out_all else f"{dataset.name}+validation{num_people}",
        train=train[~is_test],
        query=train[is_test & is_query],
        gallery=train[is_test & ~is_query],
        published={},
        notes=(
            *dataset.notes,
            f"validation: {num_people} of the {len(by_person)} training people are held out as query and gallery "
            f"(seed {seed}){addition}",
        ),
    )


def _split_tracklets(dataset: Dataset, people: int | Literal["all"], seed: int) -> Dataset:
    """Split the first images of the tracklets, then add the other images of each tracklet."""
    groups = {str(dataset.train.paths[rows[0]]): rows for rows in group_tracklets(dataset.train)}
    first_images = dataset.train[np.array([rows[0] for rows in groups.values()], np.int64)]
    split = split_validation(replace(dataset, train=first_images, unit="images"), people, seed=seed)

    def all_images(table: ImageTable) -> ImageTable:
        rows = [groups[path] for path in table.paths.tolist()]
        return dataset.train[np.concatenate([np.empty(0, np.int64), *rows])]

    return replace(
        split,
        train=all_images(split.train),
        query=all_images(split.query),
        gallery=all_images(split.gallery),
        unit="tracklets",
    )


def _runs(rows: Ints, column: Ints) -> list[Ints]:
    """Split sorted rows into runs of equal values in a column."""
    return [run for run in np.split(rows, np.flatnonzero(np.diff(column[rows])) + 1) if len(run)]
