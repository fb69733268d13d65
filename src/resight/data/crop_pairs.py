"""Sets of crops from two cameras: the images of one ask for the people that the other shows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from resight.data.dataset import Dataset
from resight.data.roots import read_split
from resight.errors import DataError
from resight.records import ImageTable, Ints

Shots = Literal["single", "multi"]
"""How many images of each person are in the gallery: one, or all of the gallery's camera."""


@dataclass(frozen=True, eq=False)
class CropPairs:
    """The crops of two cameras.

    Attributes:
        name: The set's name.
        root: The set's folder.
        first: The images of the camera that asks.
        second: The images of the camera that answers.
    """

    name: str
    root: Path
    first: ImageTable
    second: ImageTable

    @property
    def people(self) -> Ints:
        """The people that both cameras saw, ascending.

        Raises:
            DataError: There are none.
        """
        first, second = (np.unique(side.person_ids) for side in (self.first, self.second))
        shared: Ints = first[np.isin(first, second)]
        if not len(shared):
            raise DataError(
                f"{self.name}: no person was seen by both cameras: the first shows {len(first):,} people, the second "
                f"{len(second):,}, none of them the same: is {self.root} complete?"
            )
        return shared

    def dataset(
        self,
        halves: tuple[Ints, Ints],
        gallery: ImageTable,
        *,
        published: Mapping[str, tuple[int, int]],
        notes: list[str],
        distractor_id: int | None = None,
    ) -> Dataset:
        """Build the data set of a split.

        Args:
            halves: The people to train on and to test on.
            gallery: The images to search in.
            published: The published numbers of images and people of each split.
            notes: The notes of the set.
            distractor_id: As in `Dataset`.

        Returns:
            Images of both cameras of the first people to train on, and the first camera's of the others to ask with.
        """
        train, test = halves
        both = [side[np.isin(side.person_ids, train)] for side in (self.first, self.second)]
        return Dataset(
            self.name,
            self.root,
            train=ImageTable.concatenate(*both),
            query=self.first[np.isin(self.first.person_ids, test)],
            gallery=gallery,
            published=published,
            notes=tuple(notes),
            distractor_id=distractor_id,
        )

    def gallery(self, people: Ints, shots: Shots, split: int) -> ImageTable:
        """Return the second camera's images of people: all, or one of each.

        Args:
            people: The people to test on.
            shots: How many images of each.
            split: The split, which is the seed of the choice.
        """
        images = self.second[np.isin(self.second.person_ids, people)]
        return one_image_each(images, split) if shots == "single" else images


def one_image_each(table: ImageTable, split: int) -> ImageTable:
    """Choose a random image of each person of a table.

    Args:
        table: The images.
        split: The split, which is the seed. The same seed gives the same images, whatever the order of the table.

    Returns:
        The chosen images, in the order of the people.
    """
    table = table[np.lexsort((table.paths, table.person_ids))]
    _, starts, sizes = np.unique(table.person_ids, return_index=True, return_counts=True)
    return table[starts + np.random.default_rng((split, len(sizes))).integers(sizes)]


def read_cameras(
    name: str, root: Path, folders: tuple[str, str], pattern: re.Pattern[str], form: str, notes: list[str]
) -> CropPairs:
    """Read a set with a folder of images for each of two cameras.

    Args:
        name: The set's name.
        root: The set's folder.
        folders: The folders of the cameras 1 and 2, in the root.
        pattern: Matches a file name, as in `read_split`; the camera is that of the folder.
        form: An example of such a name, for messages.
        notes: Gets a note on each kind of skipped file.

    Returns:
        The images of both.

    Raises:
        DataError: A folder has no image with such a name.
    """
    sides = []
    for camera, folder in enumerate(folders, 1):
        table, skipped = read_split(name, root / folder, pattern, form)
        sides.append(replace(table, camera_ids=np.full(len(table), camera)))
        notes += skipped
    return CropPairs(name, root, *sides)
