"""Where views of people come from: which images, their structure maps, and what draws them turned."""

from __future__ import annotations

import csv
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from resight.bodies.files import PICTURES, TurnedFiles
from resight.bodies.maps import SIZE, DrawnMaps, StructureMaps
from resight.compute.devices import Devices
from resight.data.clusters_csv import CLUSTERS
from resight.data.crops import Crops, load_crops, open_crops
from resight.errors import ConfigError, DataError, counted
from resight.files import expanded, printable
from resight.methods.structure import SOURCES, ViewGenerator, open_structure
from resight.methods.view_generators import DecodedViews
from resight.records import UNKNOWN, ImageTable, Ints
from resight.synthetic.turns import TURNS, angle_folder
from resight.training.generators import TrainedGenerator

logger = logging.getLogger(__name__)

SPARE = 2
"""How many times more images get a structure map than are drawn, because some may have none."""


@dataclass(frozen=True)
class Sources:
    """Where views and what goes with them come from.

    Attributes:
        trained: The generator of a run; None for views in files.
        views: A folder of turned views; empty for those of the run.
        structure: `pose`, `truth` or a folder; empty for none, and for the run's own.
        pictures: A folder of true pictures; empty for none.
    """

    trained: TrainedGenerator | None
    views: str = ""
    structure: str = ""
    pictures: str = ""


@dataclass(frozen=True, eq=False)
class Drawing:
    """``N`` images and what is known of their people.

    Attributes:
        images: The images.
        views: What draws them turned.
        structure: Their structure maps, if views are drawn from them or a structure is named.
        pictures: True pictures of them turned, if there are any.
    """

    images: Crops
    views: ViewGenerator
    structure: StructureMaps | None
    pictures: ViewGenerator | None


class Chosen:
    """Turned pictures or structure maps of some of the images that they are of."""

    def __init__(self, turned: ViewGenerator | StructureMaps, rows: Ints) -> None:
        self._turned, self._rows, self.usable = turned, rows, turned.usable[rows]

    def load(self, rows: Ints, turns: Ints) -> Tensor:
        """Load them; see `StructureMaps.load`."""
        return self._turned.load(self._rows[rows], turns)


def open_drawing(sources: Sources, table: ImageTable, order: Ints, count: int, devices: Devices) -> Drawing:
    """Open the views of the first images that have some.

    Args:
        sources: Where they come from.
        table: The images.
        order: The rows of the images, in the order in which they are taken.
        count: How many to take; 0 for all.
        devices: Where to compute.

    Raises:
        DataError: No image has views, or the files do not fit.
    """
    count = count or len(order)
    structure, trained = structure_of(sources), sources.trained
    if structure in SOURCES:  # each costs time
        order = order[: SPARE * count]
    ordered, size = table[order], trained.settings.encoder.size if trained is not None else SIZE
    maps = _open_structure(sources, structure, open_crops(ordered, size)) if structure else None
    paths = ordered.paths.tolist()
    views, pictures = (
        TurnedFiles(expanded(folder), paths, size=size, kind=PICTURES) if folder else None
        for folder in (sources.views, sources.pictures)
    )
    opened = [each for each in (maps, views, pictures) if each is not None]
    usable = np.flatnonzero(np.logical_and.reduce([each.usable for each in opened]))
    if not len(usable):
        raise DataError(
            f"none of {counted(len(order), 'image')} has views to draw: see that the images show people, whole and one "
            "in each, and that renderings and views have their names"
        )
    images = load_crops(ordered[usable[:count]], size)
    rows = usable[:count][images.rows]
    chosen = None if maps is None else _chosen_maps(maps, rows)
    if views is not None:
        drawn: ViewGenerator = Chosen(views, rows)
    else:
        assert trained is not None
        assert chosen is not None
        drawn = DecodedViews(trained.encoder, trained.generator, images=images, structure=chosen, devices=devices)
    return Drawing(images, drawn, chosen, None if pictures is None else Chosen(pictures, rows))


def structure_of(sources: Sources) -> str:
    """Return where structure maps come from: as named, or as the run had them."""
    if sources.structure or sources.trained is None or sources.views:
        return sources.structure
    return sources.trained.settings.structure


def _open_structure(sources: Sources, structure: str, images: Crops) -> StructureMaps:
    if sources.structure:
        return open_structure(structure, images, turns=TURNS)
    try:
        return open_structure(structure, images, turns=TURNS)
    except (ConfigError, DataError) as error:
        raise DataError(
            f"{error} (the run learned with --structure {printable(structure)}; give --structure pose, truth or FOLDER "
            "for these images)"
        ) from error


def _chosen_maps(maps: StructureMaps, rows: Ints) -> StructureMaps:
    if isinstance(maps, DrawnMaps):
        return DrawnMaps(maps.bodies[rows], maps.usable[rows], size=maps.size, white=maps.white)
    return Chosen(maps, rows)


def find_pictures(*folders: Path) -> str:
    """Return the first folder that holds true pictures of turned people; empty if none does."""
    return next((str(folder) for folder in folders if (folder / angle_folder(PICTURES, 1)).is_dir()), "")


def groups_of(table: ImageTable, run: Path | None) -> Ints:
    """Return who is on each image: the person if any is known, else the cluster of the run; -1 for nobody's.

    Args:
        table: ``N`` images.
        run: The run folder; None if there is none.
    """
    people = table.person_ids
    if (people != UNKNOWN).any() or run is None or not (run / CLUSTERS).is_file():
        return people
    try:
        with (run / CLUSTERS).open(newline="", encoding="utf-8") as file:
            clusters = {row["path"]: int(row["cluster"]) for row in csv.DictReader(file, strict=True)}
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return people
    return np.array([clusters.get(printable(path), UNKNOWN) for path in table.paths.tolist()], np.int64)


def spread_order(groups: Ints, seed: int, *, together: int = 1) -> Ints:
    """Order images so that the first ones are of as many people as possible.

    Args:
        groups: ``(N,)`` who is on each image; those of -1 are each a person's.
        seed: Decides between images and between people.
        together: How many images of a person follow each other.

    Returns:
        ``(N,)`` rows: some images of each person in random order, then further ones of each, and so on.
    """
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(groups))
    owners = np.where(groups >= 0, groups, -2 - np.arange(len(groups)))[shuffled]
    order = np.argsort(owners, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(owners[order]) != 0][: len(order)])
    sizes = np.diff(np.r_[starts, len(order)])
    number = np.arange(len(order)) - np.repeat(starts, sizes)  # of each image among its person's
    turn = np.repeat(rng.permutation(len(starts)), sizes)  # of each person
    rows: Ints = shuffled[order][np.lexsort((number, turn, number // together))]
    return rows
