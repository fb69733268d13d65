"""Draw a labeled multi-camera data set of synthetic people, in Market-1501's layout.

Next to the three image folders are ``silhouettes/`` (PNG files of the same names), ``annotations.csv`` (a row for each
image), ``people.json``, ``cameras.json`` and ``dataset.json``; and ``views/``, if the settings ask for views. Equal
settings give equal bytes: the random numbers of an image depend on a key of its own, and not on other images or their
order.
"""

from __future__ import annotations

import csv
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from PIL import Image

from resight.data.sets.synthetic import CORPUS
from resight.errors import DataError, check_given
from resight.files import drafted, expanded, named, printable
from resight.progress import progress
from resight.synthetic.body import Build
from resight.synthetic.corpus import draw_sites, sites
from resight.synthetic.plan import GALLERY, QUERY, TRAIN, Planned, SyntheticSettings, plan
from resight.synthetic.studio import Studio
from resight.synthetic.views import VIEWS, has_views, write_views

VERSION = 4
"""The version of the drawing; increased when the same settings give other images."""


@dataclass(frozen=True)
class SyntheticSet:
    """The folder and the counts of a written data set.

    Attributes:
        root: The folder.
        train: The number of training images.
        query: The number of query images.
        gallery: The number of gallery images, with distractors and junk.
    """

    root: Path
    train: int
    query: int
    gallery: int


def synthesize(root: Path, *, settings: SyntheticSettings) -> SyntheticSet:
    """Draw a data set of synthetic people into a folder.

    All files are first written next to the folder, which is then renamed. An interrupted call leaves no partial data
    set; the next call removes what a kill leaves. The sites of a corpus are drawn so one by one, by all cores.

    Args:
        root: The folder to create; it may exist if it is empty and not the current folder. The folder of an interrupted
            corpus is continued.
        settings: The settings of the data set.

    Returns:
        The counts.

    Raises:
        DataError: The path is a file, the current folder, or a folder that is not empty; or it holds a corpus of other
            settings.
    """
    check_given("root", root, (str, os.PathLike), "the folder to create")
    check_given("settings", settings, SyntheticSettings, "SyntheticSettings(...)")
    root = expanded(root).resolve()
    continues = settings.sites > 1 and (root / CORPUS).is_file()
    if root.exists() and not continues and (not root.is_dir() or any(root.iterdir())):
        raise DataError(f"{printable(root)} exists and is not an empty folder: choose another, or remove it first")
    if root == Path.cwd():
        raise DataError(f"{printable(root)} is the current folder, which cannot be replaced: name a folder in it")
    try:
        if settings.sites > 1:
            draw_sites(root, settings, version=VERSION, draw=_draw)
            counts = [_count(site) for site in sites(root, settings).values()]
        else:
            counts = [_draw(root, settings)]
    except OSError as error:  # a full disk
        raise named(root, error) from error
    return SyntheticSet(root, *map(sum, zip(*counts, strict=True)))


def _draw(root: Path, settings: SyntheticSettings) -> tuple[int, int, int]:
    """Draw the set of one site, and return the number of images of each split."""
    studio = Studio(settings)
    planned = plan(settings)
    with drafted(root, folder=True) as draft:
        _write(draft, studio, planned)
    return _count(settings)


def _count(settings: SyntheticSettings) -> tuple[int, int, int]:
    """Return the number of training images, queries and gallery images of one site."""
    folders = [image.path.split("/")[0] for image in plan(settings)]
    return folders.count(TRAIN), folders.count(QUERY), folders.count(GALLERY)


def _write(draft: Path, studio: Studio, planned: list[Planned]) -> None:
    settings = studio.settings
    for folder in (TRAIN, QUERY, GALLERY):
        (draft / folder).mkdir()
        if settings.silhouettes:
            (draft / "silhouettes" / folder).mkdir(parents=True)
    builds = [field.name for field in fields(Build)]
    with (draft / "annotations.csv").open("w", newline="") as handle:
        table = csv.writer(handle, lineterminator="\n")
        table.writerow([
            *("path", "label", "person", "camera", "visit", "tracklet", "frame", "shift_right", "shift_down"),
            *("scale_width", "scale_height", "yaw", "phase", "occluded"), *builds,
        ])  # fmt: skip
        for image in progress(planned, "drawing people"):
            crop, shot = studio.draw(image)
            quality = studio.cameras[image.camera - 1].quality
            Image.fromarray(crop.pixels).save(draft / image.path, quality=quality)
            if has_views(settings, image):
                write_views(draft / VIEWS, studio, image)
            if settings.silhouettes:
                path = draft / "silhouettes" / Path(image.path).with_suffix(".png")
                Image.fromarray(crop.silhouette).save(path, compress_level=1)
            numbers = [*shot.shift, *shot.scale, shot.stance.yaw, shot.stance.phase, crop.occluded]
            numbers += [getattr(shot.figure.person.build, name) for name in builds]
            table.writerow([
                image.path, image.label, image.person, image.camera, image.visit, image.tracklet, image.frame,
                *(f"{number:.4f}" for number in numbers),
            ])  # fmt: skip
    people = sorted({image.person for image in planned})
    _write_json(draft / "people.json", {str(person): asdict(studio.person(person)) for person in people})
    _write_json(draft / "cameras.json", {str(row + 1): asdict(camera) for row, camera in enumerate(studio.cameras)})
    _write_json(draft / "dataset.json", {"version": VERSION, "settings": settings.record(), "images": len(planned)})


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")
