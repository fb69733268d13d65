"""A data set: images to train on, and queries and a gallery to test with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from resight.data.tracklets import tracklet_codes
from resight.errors import ConfigError, check_given
from resight.records import EXCLUSIONS, UNKNOWN, Exclude, ImageTable

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
        name: The set's short name, as in `resight.data.catalog.DATASETS`.
        root: The folder it was read from.
        train: The images to train on.
        query: The images to search with; may be empty.
        gallery: The images to search in; may be empty.
        exclude: What an evaluation removes from the gallery for each query, one of `EXCLUSIONS`.
        published: For each split, the images or tracklets (without junk) and the person ids that its publisher
            states; empty where nobody did.
        notes: What its user should know: skipped files, what folders were taken for, how ids were made.
        names: For ``people``, ``cameras`` or ``tracklets`` that had names and not numbers: the name of each
            id, in order.
        distractor_id: The person id of distractors (0 in Market-1501): never a match. None if every id is a person.
        vehicles: Whether it shows vehicles, whose images are wider than tall, and not people.
        unit: What a query and an entry of the gallery is, and what is counted. The tables always have one row an
            image; where the unit is the tracklet, `resight.data.tracklets` pools their vectors before an evaluation.

    Raises:
        ConfigError: `exclude` is not one of `EXCLUSIONS`.
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
        """The person ids that are no one person: unknown or junk, and the distractor."""
        return (UNKNOWN,) if self.distractor_id is None else (UNKNOWN, self.distractor_id)

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
    known = table[table.person_ids != UNKNOWN]
    items = len(known) if unit == "images" else len(tracklet_codes(known)[0])
    return items, len(np.unique(known.person_ids))
