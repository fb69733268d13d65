"""A data set: images to train on, and queries and a gallery to test with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from resight.data.columns import LABELS
from resight.data.tracklets import group_tracklets, tracklet_codes
from resight.errors import ConfigError, DataError, check_given, shown, whole_number
from resight.records import RULES, UNKNOWN, ImageTable, Ints, Rule

DATASET = "a Dataset, as resight.load_dataset('folder', PATH) gives it"
"""What to give where a data set is needed, for errors."""

Unit = Literal["images", "tracklets"]
"""What a query and an entry of the gallery is."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images to train on, and queries and a gallery to test with.

    People and cameras are numbered as in the files, with gaps; ``-1`` is unknown, or junk where the set says
    so. Nothing is dropped: junk and distractors stay in the gallery, and the evaluation treats them.

    Attributes:
        name: The set's short name, as in `resight.data.dataset.DATASETS`.
        root: The folder it was read from.
        train: The images to train on.
        query: The images to search with; may be empty.
        gallery: The images to search in; may be empty.
        rule: What an evaluation removes from the gallery for each query, one of `RULES`.
        published: For each split, the images or tracklets (without junk) and the person ids that its publisher
            states; empty where nobody did.
        notes: What its user should know: skipped files, what folders were taken for, how ids were made.
        names: For ``people``, ``cameras`` or ``tracklets`` that had names and not numbers: the name of each
            id, in order.
        distractor: The person id that means nobody in particular (0 in Market-1501): never a match. None where every id
            is a person.
        vehicles: Whether it shows vehicles, whose images are wider than tall, and not people.
        unit: What a query and an entry of the gallery is, and what is counted. The tables always have one row an
            image; where the unit is the tracklet, `resight.data.tracklets` pools their vectors before an evaluation.

    Raises:
        ConfigError: The rule is not one of `RULES`.
    """

    name: str
    root: Path
    train: ImageTable
    query: ImageTable
    gallery: ImageTable
    rule: Rule = "same-camera"
    published: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    distractor: int | None = None
    unit: Unit = "images"
    vehicles: bool = False

    def __post_init__(self) -> None:
        for name, table in self.tables.items():
            check_given(name, table, ImageTable, "an ImageTable of paths, people and cameras")
        if self.rule not in RULES:
            raise ConfigError(f"the rule of a data set is one of {', '.join(RULES)}; found '{self.rule}'")

    @property
    def tables(self) -> dict[str, ImageTable]:
        """The splits by name: ``train``, ``query`` and ``gallery``."""
        return {"train": self.train, "query": self.query, "gallery": self.gallery}

    @property
    def nobody(self) -> tuple[int, ...]:
        """The person ids that are no one person: unknown or junk, and the distractor."""
        return (UNKNOWN,) if self.distractor is None else (UNKNOWN, self.distractor)

    @property
    def counts(self) -> dict[str, tuple[int, int]]:
        """For each split, the images or tracklets without those of person -1, and the person ids."""
        return {split: count(table, self.unit) for split, table in self.tables.items()}

    @property
    def unofficial(self) -> str:
        """How its counts differ from the published ones, for whoever reads scores; empty where they do not."""
        if self.official or not self.published:
            return ""
        counts = ", ".join(
            f"{split} {items:,} {self.unit} of {people:,} people (published {self.published[split][0]:,} of "
            f"{self.published[split][1]:,})"
            for split, (items, people) in self.counts.items()
            if split in self.published
        )
        return f"not the official split, so scores on it do not compare with published ones: {counts}"

    @property
    def official(self) -> bool:
        """Whether every count is the published one; False where none is published."""
        return bool(self.published) and self.published.items() <= self.counts.items()


def count(table: ImageTable, unit: Unit = "images") -> tuple[int, int]:
    """Count the images (or tracklets) of a person other than -1, and the ids of these people."""
    known = table[table.people != UNKNOWN]
    items = len(known) if unit == "images" else len(tracklet_codes(known)[0])
    return items, len(np.unique(known.people))


def split_validation(dataset: Dataset, people: int | Literal["all"], *, seed: int = 0) -> Dataset:
    """Hold people out of the training part, to choose settings on without looking at the test part.

    The same people, queries and gallery come out for a seed, whatever the order of the files. Under the rule
    ``same-camera`` the people are drawn from those that two cameras or more saw. Each of their cameras gives
    one query, and the rest is the gallery, except that a camera with a single image leaves it to the gallery:
    as a query it could take from another camera's query its only match. Where every camera has a single
    image, the first gives a query. So each query has a match. Under the rule ``none`` all cameras count as
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
    cameras = train.cameras if dataset.rule == "same-camera" else np.zeros(len(train), np.int64)
    # Rows by person, camera and path: from here on nothing depends on the order of the files.
    rows = np.lexsort((train.paths, cameras, train.people))
    rows = rows[~np.isin(train.people[rows], dataset.nobody)]
    by_person = {int(train.people[group[0]]): group for group in _runs(rows, train.people)}
    if dataset.rule == "same-camera":
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

    held = np.isin(train.people, chosen)
    if everybody:
        held = ~np.isin(train.people, dataset.nobody)
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
