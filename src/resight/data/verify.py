"""Inspect a data set before use: describe its content and find what is wrong with it."""

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
"""Pixels; a crop with a shorter side shows too little of a person."""


@dataclass(frozen=True)
class SplitFacts:
    """Counts of a split.

    Attributes:
        images: Number of images.
        tracklets: Number of tracklets, including junk; 0 if no tracklet is known.
        unlabeled: Number of images of person -1: junk if the set defines it so, else unknown.
        distractors: Number of gallery images of people without a query; 0 in the other splits.
        people: Number of person ids other than -1.
        cameras: Number of images of each camera, by camera id; -1 is unknown.
        images_per_person: The smallest, the median and the largest number; zeros if no person is known.
        published: The published numbers of images or tracklets (without unlabeled ones) and of people, or None.
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
    """The content of a data set.

    Attributes:
        name: The set's name.
        root: The set's folder.
        exclude: What an evaluation removes from the gallery for each query.
        unit: The unit of queries, gallery entries and published counts.
        official: Whether all counts are the published ones.
        splits: The counts of ``train``, ``query`` and ``gallery``.
        unmatched: The query rows without a possible match in the gallery after the exclusion; an evaluation leaves them
            out. Of a tracklet, the first row.
        notes: How the counts differ from the published ones, and the notes of the set.
        warnings: Problems of the labels, a sentence each.
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
    """The problems of a data set.

    Attributes:
        description: The content of the set.
        missing: The paths of missing images.
        broken: Path and reason of each unreadable image.
        small: Path, width and height of each image with a side below `SMALLEST_SIDE`.
        frames: Path, width and height of each image that looks like a whole camera frame instead of a crop; empty for
            vehicles.
        duplicates: The paths of each group of files with the same bytes.
        leaks: The groups with files in train and in query or gallery.
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
        """Whether every image is readable and none is in train and in query or gallery; warnings do not count."""
        return not (self.missing or self.broken or self.leaks)


def describe(dataset: Dataset, *, headers: int = 48) -> Description:
    """Describe a data set from its tables and the headers of a few images.

    Args:
        dataset: The data set.
        headers: Number of images to check for whole camera frames; vehicles are not checked.

    Returns:
        The counts of the set, with the published ones if there are any, and warnings.
    """
    check_given("dataset", dataset, Dataset, DATASET)
    headers = whole_number("headers", headers, least=0)
    query_people = set(dataset.query.person_ids.tolist())
    splits = {
        split: _count_split(table, dataset.published.get(split), query_people if split == "gallery" else None)
        for split, table in dataset.tables.items()
    }
    unmatched = _find_unmatched(dataset)
    sample = [] if dataset.vehicles else _sample_sizes(dataset.train, headers)
    description = Description(
        name=dataset.name,
        root=str(dataset.root),
        exclude=dataset.exclude,
        unit=dataset.unit,
        official=dataset.official,
        splits=splits,
        unmatched=unmatched,
        notes=tuple(filter(None, (dataset.unofficial, *dataset.notes))),
        warnings=_find_warnings(dataset, splits, unmatched),
    )
    return _warn_of_frames(description, [image for image in sample if _is_frame(*image[1:])], len(sample))


def verify(dataset: Dataset, *, progress: bool = True) -> VerifyReport:
    """Read every image of a data set and find problems.

    Args:
        dataset: The data set.
        progress: Whether to show a progress bar on a terminal, if the work takes over 2 seconds.

    Returns:
        The problems; paths are in the tables' order.
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
        if not dataset.vehicles and _is_frame(image.width, image.height):
            frames[row] = (path, image.width, image.height)
        with Path(path).open("rb") as file:
            digests[row] = hashlib.file_digest(file, "blake2b").hexdigest()

    in_threads(check, len(paths), what="checking images", progress=progress)

    groups: dict[str, list[str]] = {}
    for path, digest in zip(paths, digests, strict=True):
        if digest:
            groups.setdefault(digest, []).append(path)
    duplicates = tuple(tuple(group) for group in groups.values() if len(group) > 1)
    train_paths = set(dataset.train.paths.tolist())
    test_paths = {*dataset.query.paths.tolist(), *dataset.gallery.paths.tolist()}
    leaks = [group for group in duplicates if train_paths & set(group) and test_paths & set(group)]
    leaks += [(path,) for path in paths if path in train_paths and path in test_paths]
    return VerifyReport(
        description=_warn_of_frames(describe(dataset, headers=0), [frames[row] for row in sorted(frames)], len(paths)),
        missing=tuple(missing[row] for row in sorted(missing)),
        broken=tuple(broken[row] for row in sorted(broken)),
        small=tuple(small[row] for row in sorted(small)),
        frames=tuple(frames[row] for row in sorted(frames)),
        duplicates=duplicates,
        leaks=tuple(leaks),
    )


def _sample_sizes(table: ImageTable, most: int) -> list[tuple[str, int, int]]:
    """Return path, width and height of readable images, evenly spaced over a table."""
    rows = np.unique(np.linspace(0, len(table) - 1, min(most, len(table))).round().astype(np.int64))
    sizes = [(path, image_size(path)) for path in table.paths[rows].tolist()]
    return [(path, *size) for path, size in sizes if size is not None]


def _is_frame(width: int, height: int) -> bool:
    """Return whether an image has the shape of a camera frame: wider than tall, or 9:16 and large."""
    return width > height or (width * 16 == height * 9 and width >= 480)


def _warn_of_frames(description: Description, frames: Sequence[tuple[str, int, int]], num_checked: int) -> Description:
    """Add a warning if some of the checked images are whole frames."""
    if not frames:
        return description
    path, width, height = frames[0]
    warning = (
        f"{len(frames):,} of {counted(num_checked, 'checked image')} "
        f"{'is' if len(frames) == 1 else 'are'} wider than tall or shaped like a screen, such as {path} ({width} x "
        f"{height} pixels): these look like whole frames instead of crops of people: cut out the people first"
    )
    return replace(description, warnings=(*description.warnings, warning))


def _count_split(table: ImageTable, published: tuple[int, int] | None, query_people: set[int] | None) -> SplitFacts:
    """Count a split; ``query_people`` is None for other splits than the gallery."""
    labeled = table.person_ids[table.person_ids != UNKNOWN]
    people, sizes = np.unique(labeled, return_counts=True)
    cameras = Counter(table.camera_ids.tolist())
    return SplitFacts(
        images=len(table),
        tracklets=len(tracklet_codes(table)[0]) if (table.tracklet_ids != UNKNOWN).any() else 0,
        unlabeled=len(table) - len(labeled),
        distractors=0 if query_people is None else int((~np.isin(labeled, list(query_people))).sum()),
        people=len(people),
        cameras={camera: cameras[camera] for camera in sorted(cameras)},
        images_per_person=(
            (int(sizes.min()), float(np.median(sizes)), int(sizes.max())) if len(sizes) else (0, 0.0, 0)
        ),
        published=published,
    )


def _find_unmatched(dataset: Dataset) -> tuple[int, ...]:
    """Find the query rows without a match in the gallery after the exclusion; an unknown camera excludes nothing."""
    gallery = dataset.gallery
    by_person = Counter(gallery.person_ids.tolist())
    by_camera = Counter(zip(gallery.person_ids.tolist(), gallery.camera_ids.tolist(), strict=True))
    query = dataset.query
    query_rows = np.arange(len(query))
    if dataset.unit == "tracklets":
        _, query_rows = np.unique(tracklet_codes(query)[1], return_index=True)
    unmatched = []
    for row in query_rows.tolist():
        person, camera = int(query.person_ids[row]), int(query.camera_ids[row])
        num_excluded = by_camera[person, camera] if dataset.exclude == "same-camera" and camera != UNKNOWN else 0
        if person in dataset.non_person_ids or by_person[person] == num_excluded:
            unmatched.append(row)
    return tuple(unmatched)


def _find_warnings(dataset: Dataset, splits: Mapping[str, SplitFacts], unmatched: Sequence[int]) -> tuple[str, ...]:
    warnings = []
    train = splits["train"]
    if UNKNOWN in train.cameras:
        warnings.append(
            f"train: the camera of {counted(train.cameras[UNKNOWN], 'image')} is unknown; methods that learn across "
            "cameras need it"
            + (", and scores of these people count matches by the same camera" if train.people else "")
        )
    elif len(train.cameras) == 1:
        warnings.append("train: all images are from one camera; nothing can be learned across cameras")
    for split in ("train", "gallery"):
        facts = splits[split]
        smallest, _, largest = facts.images_per_person
        if facts.people and smallest == 1:
            people = dataset.tables[split].person_ids
            sizes = np.unique(people[people != UNKNOWN], return_counts=True)[1]
            num_single = int((sizes == 1).sum())
            subject = (
                "every person has"
                if largest == 1
                else f"{num_single:,} of {facts.people:,} people {'has' if num_single == 1 else 'have'}"
            )
            warnings.append(f"{split}: {subject} a single image")
    query = splits["query"]
    num_queries = query.images if dataset.unit == "images" else query.tracklets
    if unmatched:
        single = len(unmatched) == 1
        warnings.append(
            f"query: {len(unmatched):,} of {num_queries:,} {'has' if single else 'have'} no possible match in the "
            f"gallery and {'does' if single else 'do'} not count in an evaluation"
        )
    # A published set may number the people of train and test separately (MSMT17). Then equal ids are no evidence.
    gallery_people = set(dataset.gallery.person_ids.tolist()) - set(dataset.non_person_ids)
    shared = set(dataset.train.person_ids.tolist()) & gallery_people
    if shared and not dataset.published:
        number = counted(len(shared), "person is", "people are")
        warnings.append(f"{number} in the training part and in the gallery; scores will look too good")
    return tuple(warnings)
