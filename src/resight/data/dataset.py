"""A data set: images to train on, and queries and a gallery to test with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from resight.data.tracklets import tracklet_codes
from resight.errors import ConfigError, DataError, check_given, shown
from resight.records import EXCLUSIONS, UNKNOWN, Exclude, ImageTable

DATASET = "a Dataset, as resight.load_dataset('folder', PATH) gives it"
"""The expected argument, for errors."""

Unit = Literal["images", "tracklets"]
"""The unit of queries, gallery entries and counts."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images to train on, and queries and a gallery to test with.

    People and cameras keep the numbers of the files, with gaps. ``-1`` is unknown, or junk if the set defines it so.
    Nothing is dropped: junk and distractors stay in the gallery, and the evaluation handles them.

    Attributes:
        name: The set's short name, as in `resight.data.catalog.DATASETS`.
        root: The folder that the set was read from.
        train: The images to train on.
        query: The images to search with; may be empty.
        gallery: The images to search in; may be empty.
        exclude: What an evaluation removes from the gallery for each query, one of `EXCLUSIONS`.
        published: For each split, the published numbers of images or tracklets (without junk) and of person ids; empty
            if there are none.
        notes: What users must know: skipped files, the meaning of folders, how ids were made.
        names: For ``people``, ``cameras`` or ``tracklets`` with names instead of numbers, the name of each id in order.
        distractor_id: The person id of distractors (0 in Market-1501), which never match. None if every id is a person.
        vehicles: Whether the set shows vehicles, whose images may be wider than tall, instead of people.
        unit: The unit of queries, gallery entries and counts. The tables always have one row per image. With
            ``tracklets``, `resight.data.tracklets` pools the embeddings of a tracklet before an evaluation.

    Raises:
        ConfigError: A field has the wrong type, or `exclude` is not one of `EXCLUSIONS`.
        DataError: The folder `root` does not exist.
    """

    name: str
    root: Path
    train: ImageTable
    query: ImageTable
    gallery: ImageTable
    exclude: Exclude = "same-camera"
    published: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    distractor_id: int | None = None
    unit: Unit = "images"
    vehicles: bool = False

    def __post_init__(self) -> None:
        check_given("name", self.name, str, "the name of the data set")
        check_given("root", self.root, (str, os.PathLike), "the folder of the data set")
        if not os.path.isdir(self.root):  # noqa: PTH112  (Path.is_dir raises if a parent is closed)
            raise DataError(
                f"root must be the folder of the data set; there is no folder {shown(os.fspath(self.root))}"
            )
        object.__setattr__(self, "root", Path(self.root))
        for name, table in self.tables.items():
            check_given(name, table, ImageTable, "an ImageTable of paths, people and cameras")
        if self.exclude not in EXCLUSIONS:
            raise ConfigError(f"exclude must be one of {', '.join(EXCLUSIONS)}; found '{self.exclude}'")

    @property
    def tables(self) -> dict[str, ImageTable]:
        """The splits by name: ``train``, ``query`` and ``gallery``."""
        return {"train": self.train, "query": self.query, "gallery": self.gallery}

    @property
    def non_person_ids(self) -> tuple[int, ...]:
        """The person ids that are not a person: -1 (unknown or junk) and the distractor id."""
        return (UNKNOWN,) if self.distractor_id is None else (UNKNOWN, self.distractor_id)

    @property
    def counts(self) -> dict[str, tuple[int, int]]:
        """For each split, the numbers of images or tracklets and of person ids, without person -1."""
        return {split: count(table, self.unit) for split, table in self.tables.items()}

    @property
    def unofficial(self) -> str:
        """How the counts differ from the published ones, to note next to scores; empty if they do not differ."""
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
        """Whether every count is the published one; False if none is published."""
        return bool(self.published) and self.published.items() <= self.counts.items()


def count(table: ImageTable, unit: Unit = "images") -> tuple[int, int]:
    """Count the images (or tracklets) of people other than -1, and these people."""
    labeled = table[table.person_ids != UNKNOWN]
    items = len(labeled) if unit == "images" else len(tracklet_codes(labeled)[0])
    return items, len(np.unique(labeled.person_ids))
