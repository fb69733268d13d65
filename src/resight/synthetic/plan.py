"""The list of images of a synthetic data set, decided before any is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from itertools import groupby

import numpy as np

from resight.config.types import check_types
from resight.data.roots import MARKET_FOLDERS
from resight.errors import ConfigError

TRAIN, QUERY, GALLERY = (MARKET_FOLDERS[split] for split in ("train", "query", "gallery"))
"""The image folders."""

DISTRACTOR, JUNK = 0, -1
"""Person ids of distractors, which show no person of the data set, and of junk: boxes too inaccurate to count."""

STRANGERS, STRANGER = 40, 100_000
"""People without a label, who pass by or are distractors: their number, and their first id."""

STEP_FRAMES = 8
"""Frames of a step: about a third of a second, the average time between two images of a visit."""


class Key(IntEnum):
    """The purpose of a random number generator; the number is part of its key."""

    WARDROBE = 0
    CAMERA = 1
    PERSON = 2
    ROUTE = 3
    VISIT = 4
    CROP = 5
    QUERY = 6
    REJECT = 7
    PASSAGE = 8
    SITE = 9
    VIEW = 10


@dataclass(frozen=True)
class SyntheticSettings:
    """What to draw.

    Attributes:
        people_train: The number of people in the training part.
        people_test: The number of people in query and gallery; no person is in both parts.
        sites: The number of sites. Above 1, the folder becomes a corpus: `site-0001` and so on are sets of these
            settings, each with its own people, cameras and clothes. An interrupted corpus is continued.
        cameras: The number of cameras, 2 to 9; two or more of them see each person.
        visits: The number of visits of a person to each camera that sees them; each visit is a tracklet.
        crops: The number of images of each visit, or the least number.
        crops_most: The most images of a visit, whose number is then random; ``None`` gives each visit ``crops``.
        gap: Frames from one image of a visit to the next, at 25 a second; 0 draws 4 to 12 each time. 1 is a video.
        duration: Frames in which visits begin. The shorter, the more people a camera sees at once.
        tracklets: Whether queries, distractors and junk are complete visits; else each is one image.
        seed: The seed of everything; equal settings give equal bytes.
        cameras_seed: The seed of the cameras; ``None`` takes ``seed``. Another seed is another site.
        clothes_seed: The seed of the clothes that people tend to wear; ``None`` takes ``seed``.
        variation: How far the cameras' light and colors differ, 0 (not at all) to 3; 1 is an ordinary site.
        first_person: The first person id; the others follow.
        height: The height of an image, pixels.
        width: The width of an image, pixels.
        occluders: Share of the images in which something is in front of the person, 0..1; it stays for a few images of
            a visit.
        distractors: Images (or visits) of no person of the data set (person 0) in the gallery, as a share of those of
            people.
        junk: Images (or visits) of boxes too inaccurate to count (person -1) in the gallery, as a share of those of
            people.
        silhouettes: Whether to write silhouettes.
        views: The number of sides from which to also draw people, with structure maps: 0 (none), 2, 4 or 8.
        view_share: Share of the images of people that get these views, 0..1.

    Raises:
        ConfigError: A number is out of its range, there are no people to draw, or queries would leave no gallery.
    """

    people_train: int = 60
    people_test: int = 60
    sites: int = 1
    cameras: int = 6
    visits: int = 1
    crops: int = 4
    crops_most: int | None = None
    gap: int = 0
    duration: int = 90_000
    tracklets: bool = False
    seed: int = 0
    cameras_seed: int | None = None
    clothes_seed: int | None = None
    variation: float = 1.0
    first_person: int = 1
    height: int = 128
    width: int = 64
    occluders: float = 0.15
    distractors: float = 0.04
    junk: float = 0.03
    silhouettes: bool = True
    views: int = 0
    view_share: float = 1.0

    def __post_init__(self) -> None:
        check_types(self)
        ranges: dict[str, tuple[float, float]] = {
            "people_train": (0, 9999), "people_test": (0, 9999), "sites": (1, 9999), "cameras": (2, 9),
            "visits": (1, 9), "crops": (1, 1000), "crops_most": (self.crops, 1000), "gap": (0, 100),
            "duration": (2, 900_000),
            "seed": (0, 2**63 - 1), "cameras_seed": (0, 2**63 - 1), "clothes_seed": (0, 2**63 - 1),
            "first_person": (1, 9999), "height": (16, 1024), "width": (8, 1024),
            "variation": (0, 3), "occluders": (0, 1), "distractors": (0, 1), "junk": (0, 1),
            "view_share": (0, 1),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ConfigError(f"{name} must lie in {low}..{high}, found {value}")
        if self.views not in (0, 2, 4, 8):
            raise ConfigError(f"views must be 0, 2, 4 or 8, found {self.views}")
        if self.people_train + self.people_test == 0:
            raise ConfigError("people_train and people_test are both 0: there are no people to draw")
        if self.people_test and self.tracklets and self.visits < 2:
            raise ConfigError(
                "tracklets needs visits of 2 or more: one visit of each person and camera is the query, which leaves "
                "none for the gallery; raise visits, or set people_test to 0"
            )
        if self.people_test and self.visits * self.crops < 2:
            raise ConfigError(
                "crops and visits are both 1: one image of each person and camera is the query, which leaves none for "
                "the gallery; raise one of them, or set people_test to 0"
            )
        last = self.first_person + self.people_train + self.people_test - 1
        if last > 9999:
            raise ConfigError(f"person ids have four digits: first_person gives ids up to {last}, lower it")

    def record(self) -> dict[str, object]:
        """Return the settings as files keep them: without those of views where none are drawn.

        A set without views therefore has the bytes that it had before there were views, and its corpus is continued.
        """
        content = asdict(self)
        return content if self.views else {name: content[name] for name in content if not name.startswith("view")}


@dataclass(frozen=True)
class Planned:
    """An image to draw.

    Attributes:
        path: The path relative to the root.
        label: Person id in the name; 0 distractor, -1 junk.
        person: Id of the person in the image.
        camera: Camera id, from 1.
        visit: Number of the visit to this camera, from 0.
        tracklet: Id of the visit, unique in the data set; -1 for distractors and junk of one image.
        index: Index in the visit, from 0.
        steps: Steps walked since the visit began.
        frame: Frame number.
        box: Last number of the name: 0 for a query, 1 for the other images of people, from 2 for distractors and junk.
    """

    path: str
    label: int
    person: int
    camera: int
    visit: int
    tracklet: int
    index: int
    steps: float
    frame: int
    box: int


def plan(settings: SyntheticSettings) -> list[Planned]:
    """Return the images of a data set, without drawing them.

    Args:
        settings: The settings of the data set.

    Returns:
        The images, person by person; distractors and junk last.
    """
    images: list[Planned] = []
    tracklet = 0
    for person in range(settings.first_person, settings.first_person + settings.people_train + settings.people_test):
        training = person < settings.first_person + settings.people_train
        rng = chance(settings.seed, Key.ROUTE, person)
        count = int(rng.integers(2, settings.cameras + 1))
        for camera in sorted((rng.permutation(settings.cameras)[:count] + 1).tolist()):
            sizes = [_visit_size(settings, person, camera, visit) for visit in range(settings.visits)]
            choices = settings.visits if settings.tracklets else sum(sizes)
            query_index = chance(settings.seed, Key.QUERY, person, camera).integers(choices)
            for visit, size in enumerate(sizes):
                steps = chance(settings.seed, Key.VISIT, person, camera, visit, 1)
                frame = int(steps.integers(1, settings.duration))
                for index in range(size):
                    choice = visit if settings.tracklets else sum(sizes[:visit]) + index
                    is_query = not training and choice == query_index
                    folder = TRAIN if training else QUERY if is_query else GALLERY
                    box = 0 if is_query else 1
                    walked = index * settings.gap / STEP_FRAMES if settings.gap else float(index)
                    path = f"{folder}/{_name(person, camera, visit, frame, box)}"
                    images.append(Planned(path, person, person, camera, visit, tracklet, index, walked, frame, box))
                    frame += settings.gap or int(steps.integers(4, 13))
                tracklet += 1
    return images + _rejects(settings, [image for image in images if image.path.startswith(GALLERY)], tracklet)


def _visit_size(settings: SyntheticSettings, person: int, camera: int, visit: int) -> int:
    if settings.crops_most is None:
        return settings.crops
    return int(
        chance(settings.seed, Key.VISIT, person, camera, visit, 2).integers(settings.crops, settings.crops_most + 1)
    )


def _rejects(settings: SyntheticSettings, tested: Sequence[Planned], tracklet: int) -> list[Planned]:
    """Return distractors and junk: each at the camera and time of a person, for one image or a complete visit."""
    images: list[Planned] = []
    if settings.tracklets:
        visits = [list(visit) for _, visit in groupby(tested, key=lambda image: image.tracklet)]
    else:
        visits = [[image] for image in tested]
    for label, share in ((DISTRACTOR, settings.distractors), (JUNK, settings.junk)):
        for row in range(round(share * len(visits))):
            rng = chance(settings.seed, Key.REJECT, label - JUNK, row)
            model = visits[int(rng.integers(len(visits)))]
            person = model[0].person if label == JUNK else STRANGER + int(rng.integers(STRANGERS))
            for image in model:
                path = f"{GALLERY}/{_name(label, image.camera, image.visit, image.frame, row + 2)}"
                reject = replace(image, path=path, label=label, person=person, tracklet=-1, box=row + 2)
                images.append(replace(reject, tracklet=tracklet) if settings.tracklets else reject)
            tracklet += 1
    return images


def chance(*key: int) -> np.random.Generator:
    """Return a random number generator.

    Args:
        key: Non-negative numbers: the seed, a `Key`, and the ids of its subject.

    Returns:
        A generator that depends only on the key, so that images do not depend on the order of drawing.
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def _name(label: int, camera: int, visit: int, frame: int, box: int) -> str:
    person = "-1" if label == JUNK else f"{label:04d}"
    return f"{person}_c{camera}s{visit + 1}_{frame:06d}_{box:02d}.jpg"
