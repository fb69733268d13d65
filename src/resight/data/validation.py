"""Hold people out of the training part of a data set, to score by them."""

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
    """Hold people out of the training part, to choose settings on without looking at the test part.

    The same people, queries and gallery come out for a seed, whatever the order of the files. With exclude
    ``same-camera`` the people are drawn from those that two cameras or more saw. Each of their cameras gives
    one query, and the rest is the gallery, except that a camera with a single image leaves it to the gallery:
    as a query it could take from another camera's query its only match. Where every camera has a single
    image, the first gives a query. So each query has a match. With ``none`` all cameras count as
    one, and a person needs two images. Where the unit is the tracklet, all this holds of tracklets.

    Args:
        dataset: A data set whose training images have people.
        people: How many people to hold out; ``"all"`` for everybody who can be, which leaves nobody to train on: the
            images of other known people join the gallery then.
        seed: The seed of the draw.

    Returns:
        The held-out people as query and gallery, the others as train; ``+validation<people>`` joins the name.

    Raises:
        DataError: The training part has too few such people, or nothing would be left to train on.
        ConfigError: ``people`` is below 1.
    """
    check_given("dataset", dataset, Dataset, DATASET)
    everybody, seed = people == "all", whole_number("seed", seed, least=0)
    if isinstance(people, str) and not everybody:
        raise ConfigError(f"people must be a whole number of 1 or more, or 'all', found {shown(people)}")
    people = people if isinstance(people, str) else whole_number("people", people, least=1)
    if dataset.unit == "tracklets":
        return _whole_tracklets(dataset, people, seed)
    train = dataset.train
    cameras = train.camera_ids if dataset.exclude == "same-camera" else np.zeros(len(train), np.int64)
    # Rows by person, camera and path: from here on nothing depends on the order of the files.
    rows = np.lexsort((train.paths, cameras, train.person_ids))
    rows = rows[~np.isin(train.person_ids[rows], dataset.non_person_ids)]
    by_person = {int(train.person_ids[group[0]]): group for group in _runs(rows, train.person_ids)}
    if dataset.exclude == "same-camera":
        able = [person for person, own in by_person.items() if len(np.unique(cameras[own])) > 1]
        need = "seen by two cameras or more"
    else:
        able = [person for person, own in by_person.items() if len(own) > 1]
        need = "with two images or more"
    number = max(1, len(able)) if isinstance(people, str) else people  # of nobody one at least is missing
    if number > len(able):
        advice = "ask for fewer" if able else f"label more, for a folder of crops in its {LABELS}"
        raise DataError(
            f"{dataset.name}: cannot hold {number} people out of the training part: {len(able)} of its "
            f"{len(by_person)} people are {need}; {advice}"
        )

    random = np.random.default_rng(seed)
    chosen = [able[i] for i in np.sort(random.permutation(len(able))[:number])]
    queries: list[int] = []
    for person in chosen:
        groups = _runs(by_person[person], cameras)
        several = [group for group in groups if len(group) > 1] or groups[:1]
        queries.extend(int(group[random.integers(len(group))]) for group in several)

    held = np.isin(train.person_ids, chosen)
    if everybody:
        held = ~np.isin(train.person_ids, dataset.non_person_ids)
    elif held.all():
        raise DataError(f"{dataset.name}: holding out {number} people leaves no image to train on; ask for fewer")
    asked = np.zeros(len(train), np.bool_)
    asked[queries] = True
    others = "; the images of the others are in the gallery too" if everybody and number < len(by_person) else ""
    return replace(
        dataset,
        name=f"{dataset.name}+validation-all" if everybody else f"{dataset.name}+validation{number}",
        train=train[~held],
        query=train[held & asked],
        gallery=train[held & ~asked],
        published={},
        notes=(
            *dataset.notes,
            f"validation: {number} of the {len(by_person)} training people are held out as query and gallery "
            f"(seed {seed}){others}",
        ),
    )


def _whole_tracklets(dataset: Dataset, people: int | Literal["all"], seed: int) -> Dataset:
    """Split by the first image of each tracklet, and let the others follow it."""
    groups = {str(dataset.train.paths[rows[0]]): rows for rows in group_tracklets(dataset.train)}
    heads = dataset.train[np.array([rows[0] for rows in groups.values()], np.int64)]
    split = split_validation(replace(dataset, train=heads, unit="images"), people, seed=seed)

    def follow(table: ImageTable) -> ImageTable:
        rows = [groups[path] for path in table.paths.tolist()]
        return dataset.train[np.concatenate([np.empty(0, np.int64), *rows])]

    return replace(
        split, train=follow(split.train), query=follow(split.query), gallery=follow(split.gallery), unit="tracklets"
    )


def _runs(rows: Ints, column: Ints) -> list[Ints]:
    """Cut sorted rows where their value in the column changes."""
    return [run for run in np.split(rows, np.flatnonzero(np.diff(column[rows])) + 1) if len(run)]
