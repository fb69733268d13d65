"""Look at a data set before it is used: what it holds, and what is wrong with it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from resight.data.dataset import DATASET, Dataset, Unit
from resight.data.images import image_size, open_image
from resight.data.threads import in_threads
from resight.data.tracklets import tracklet_codes
from resight.errors import DataError, check_given, counted, whole_number
from resight.records import UNKNOWN, ImageTable

SMALLEST_SIDE = 16
"""Pixels; a crop with a shorter side shows too little of a person to be recognized."""


@dataclass(frozen=True)
class SplitFacts:
    """What a split holds.

    Attributes:
        images: All images.
        tracklets: The tracklets, junk among them; 0 where no image's tracklet is known.
        unlabeled: The images of person -1: junk, where the set says so, or nobody knows.
        distractors: The gallery images of people that no query shows; 0 in the other splits.
        people: The person ids other than -1.
        cameras: The images of each camera, by camera id; -1 is unknown.
        images_per_person: The smallest, the median and the largest number; zeros where no person is known.
        published: Images or tracklets (without the unlabeled) and people as its publisher states them, or None.
    """

    images: int
    tracklets: int
    unlabeled: int
    distractors: int
    people: int
    cameras: Mapping[int, int]
    images_per_person: tuple[int, float, int]
    published: tuple[int, int] | None


@dataclass(frozen=True)
class Description:
    """What a data set holds.

    Attributes:
        name: The set's name.
        root: Its folder.
        exclude: What an evaluation removes from the gallery for each query.
        unit: What a query and an entry of the gallery is, and what the published counts count.
        official: Whether all counts are the published ones.
        splits: The facts of ``train``, ``query`` and ``gallery``.
        unmatched: The query rows without a possible match in the gallery under the rule; an evaluation leaves
            them out. Of a tracklet, the first row.
        notes: How its counts differ from the published ones, and the set's own.
        warnings: What its labels will make difficult, a sentence each.
    """

    name: str
    root: str
    exclude: str
    unit: Unit
    official: bool
    splits: Mapping[str, SplitFacts]
    unmatched: tuple[int, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class VerifyReport:
    """What is wrong with a data set.

    Attributes:
        description: What it holds.
        missing: The paths of images that are not there.
        broken: Path and reason of the images that are there and cannot be read.
        small: Path, width and height of the images with a side below `SMALLEST_SIDE`.
        frames: Path, width and height of the images that look like whole frames of a camera and no crops; not of
            vehicles.
        duplicates: The paths of each group of files with the same bytes.
        leaks: Those groups that lie in the training part and in query or gallery.
    """

    description: Description
    missing: tuple[str, ...]
    broken: tuple[tuple[str, str], ...]
    small: tuple[tuple[str, int, int], ...]
    frames: tuple[tuple[str, int, int], ...]
    duplicates: tuple[tuple[str, ...], ...]
    leaks: tuple[tuple[str, ...], ...]

    @property
    def sound(self) -> bool:
        """Whether every image can be read and none is in both parts; warnings do not count."""
        return not (self.missing or self.broken or self.leaks)


def describe(dataset: Dataset, *, headers: int = 48) -> Description:
    """Count what a data set holds, from its tables and the headers of a few images.

    Args:
        dataset: The set.
        headers: How many images to look at, whether they are whole frames and no crops; none of vehicles.

    Returns:
        Its facts, beside the published counts where there are some.
    """
    check_given("dataset", dataset, Dataset, DATASET)
    headers = whole_number("headers", headers, least=0)
    shown = set(dataset.query.person_ids.tolist())
    splits = {
        split: _facts(table, dataset.published.get(split), shown if split == "gallery" else None)
        for split, table in dataset.tables.items()
    }
    unmatched = _unmatched(dataset)
    looked = [] if dataset.vehicles else _headers(dataset.train, headers)
    description = Description(
        name=dataset.name,
        root=str(dataset.root),
        exclude=dataset.exclude,
        unit=dataset.unit,
        official=dataset.official,
        splits=splits,
        unmatched=unmatched,
        notes=tuple(filter(None, (dataset.unofficial, *dataset.notes))),
        warnings=_warnings(dataset, splits, unmatched),
    )
    return _with_frames(description, [image for image in looked if _like_a_frame(*image[1:])], len(looked))


def verify(dataset: Dataset, *, progress: bool = True) -> VerifyReport:
    """Read every image of a data set and say what is wrong with it.

    Args:
        dataset: The set.
        progress: Whether to show a bar on a terminal, where the work takes over 2 seconds.

    Returns:
        What was found; paths come in the tables' order.
    """
    check_given("dataset", dataset, Dataset, DATASET)
    paths = list(dict.fromkeys(path for table in dataset.tables.values() for path in table.paths.tolist()))
    missing: dict[int, str] = {}
    broken: dict[int, tuple[str, str]] = {}
    small: dict[int, tuple[str, int, int]] = {}
    frames: dict[int, tuple[str, int, int]] = {}
    digests = [""] * len(paths)

    def check(row: int) -> None:
        path = paths[row]
        try:
            image = open_image(path)
        except DataError as error:
            if isinstance(error.__context__, FileNotFoundError):
                missing[row] = path
            else:
                broken[row] = (path, str(error).removeprefix(f"{path}: "))
            return
        if min(image.size) < SMALLEST_SIDE:
            small[row] = (path, image.width, image.height)
        if not dataset.vehicles and _like_a_frame(image.width, image.height):
            frames[row] = (path, image.width, image.height)
        with Path(path).open("rb") as file:
            digests[row] = hashlib.file_digest(file, "blake2b").hexdigest()

    in_threads(check, len(paths), what="checking images", progress=progress)

    groups: dict[str, list[str]] = {}
    for path, digest in zip(paths, digests, strict=True):
        if digest:
            groups.setdefault(digest, []).append(path)
    duplicates = tuple(tuple(group) for group in groups.values() if len(group) > 1)
    trained = set(dataset.train.paths.tolist())
    tested = {*dataset.query.paths.tolist(), *dataset.gallery.paths.tolist()}
    leaks = [group for group in duplicates if trained & set(group) and tested & set(group)]
    leaks += [(path,) for path in paths if path in trained and path in tested]
    return VerifyReport(
        description=_with_frames(describe(dataset, headers=0), [frames[row] for row in sorted(frames)], len(paths)),
        missing=tuple(missing[row] for row in sorted(missing)),
        broken=tuple(broken[row] for row in sorted(broken)),
        small=tuple(small[row] for row in sorted(small)),
        frames=tuple(frames[row] for row in sorted(frames)),
        duplicates=duplicates,
        leaks=tuple(leaks),
    )


def _headers(table: ImageTable, most: int) -> list[tuple[str, int, int]]:
    """Give path, width and height of some images all over a table, of those that can be opened."""
    rows = np.unique(np.linspace(0, len(table) - 1, min(most, len(table))).round().astype(np.int64))
    sizes = [(path, image_size(path)) for path in table.paths[rows].tolist()]
    return [(path, *size) for path, size in sizes if size is not None]


def _like_a_frame(width: int, height: int) -> bool:
    """Say whether an image is shaped like a camera's frame, lying or standing; a crop of a person stands."""
    return width > height or (width * 16 == height * 9 and width >= 480)


def _with_frames(description: Description, frames: Sequence[tuple[str, int, int]], looked: int) -> Description:
    """Add a warning of images that are whole frames, if there are some among those that were looked at."""
    if not frames:
        return description
    path, width, height = frames[0]
    warning = (
        f"{len(frames):,} of {counted(looked, 'image')} that were looked at "
        f"{'is' if len(frames) == 1 else 'are'} wider than tall or shaped like a screen, such as {path} ({width} x "
        f"{height} pixels): these look like whole frames and no crops of people: cut people out first"
    )
    return replace(description, warnings=(*description.warnings, warning))


def _facts(table: ImageTable, published: tuple[int, int] | None, shown: set[int] | None) -> SplitFacts:
    known = table.person_ids[table.person_ids != UNKNOWN]
    people, sizes = np.unique(known, return_counts=True)
    cameras = Counter(table.camera_ids.tolist())
    return SplitFacts(
        images=len(table),
        tracklets=len(tracklet_codes(table)[0]) if (table.tracklet_ids != UNKNOWN).any() else 0,
        unlabeled=len(table) - len(known),
        distractors=0 if shown is None else int((~np.isin(known, list(shown))).sum()),
        people=len(people),
        cameras={camera: cameras[camera] for camera in sorted(cameras)},
        images_per_person=(
            (int(sizes.min()), float(np.median(sizes)), int(sizes.max())) if len(sizes) else (0, 0.0, 0)
        ),
        published=published,
    )


def _unmatched(dataset: Dataset) -> tuple[int, ...]:
    """Give the query rows whose person is in no gallery image that the rule leaves; an unknown camera is no camera."""
    gallery = dataset.gallery
    by_person = Counter(gallery.person_ids.tolist())
    by_camera = Counter(zip(gallery.person_ids.tolist(), gallery.camera_ids.tolist(), strict=True))
    query = dataset.query
    asked = np.arange(len(query))
    if dataset.unit == "tracklets":
        _, asked = np.unique(tracklet_codes(query)[1], return_index=True)
    rows = []
    for row in asked.tolist():
        person, camera = int(query.person_ids[row]), int(query.camera_ids[row])
        removed = by_camera[person, camera] if dataset.exclude == "same-camera" and camera != UNKNOWN else 0
        if person in dataset.non_person_ids or by_person[person] == removed:
            rows.append(row)
    return tuple(rows)


def _warnings(dataset: Dataset, splits: Mapping[str, SplitFacts], unmatched: Sequence[int]) -> tuple[str, ...]:
    found = []
    train = splits["train"]
    if UNKNOWN in train.cameras:
        found.append(
            f"train: the camera of {counted(train.cameras[UNKNOWN], 'image')} is unknown; methods that learn across "
            "cameras need it"
            + (", and scores of these people count matches by the same camera" if train.people else "")
        )
    elif len(train.cameras) == 1:
        found.append("train: all images are from one camera; nothing can be learned across cameras")
    for split in ("train", "gallery"):
        facts = splits[split]
        smallest, _, largest = facts.images_per_person
        if facts.people and smallest == 1:
            people = dataset.tables[split].person_ids
            sizes = np.unique(people[people != UNKNOWN], return_counts=True)[1]
            single = int((sizes == 1).sum())
            every = (
                "every person has"
                if largest == 1
                else f"{single:,} of {facts.people:,} people {'has' if single == 1 else 'have'}"
            )
            found.append(f"{split}: {every} a single image")
    shown = splits["query"]
    queries = shown.images if dataset.unit == "images" else shown.tracklets
    if unmatched:
        one = len(unmatched) == 1
        found.append(
            f"query: {len(unmatched):,} of {queries:,} {'has' if one else 'have'} no possible match in the "
            f"gallery and {'does' if one else 'do'} not count in an evaluation"
        )
    # A published set may number the people of its two parts apart (MSMT17), so the same id says nothing there.
    both = set(dataset.train.person_ids.tolist()) & set(dataset.gallery.person_ids.tolist()) - set(
        dataset.non_person_ids
    )
    if both and not dataset.published:
        shared = counted(len(both), "person is", "people are")
        found.append(f"{shared} in the training part and in the gallery; scores will look too good")
    return tuple(found)
