"""Draw a labelled multi-camera set of synthetic people, in Market-1501's layout.

Beside the three image folders lie ``silhouettes/`` (the same names, as PNG), ``annotations.csv`` (one row an image),
``people.json``, ``cameras.json`` and ``dataset.json``. The same settings give the same bytes: each image draws its
chance from a key of its own, whatever else is drawn, and in which order.
"""

from __future__ import annotations

import csv
import json
import math
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image

from resight.data.synthetic.appearance import Person, sample_person, sample_wardrobe
from resight.data.synthetic.body import load_body
from resight.data.synthetic.cameras import draw_scene, sample_camera
from resight.data.synthetic.outfit import Figure, dress
from resight.data.synthetic.render import Barrier, Crop, Passer, Shot, Stance, shoot
from resight.errors import ConfigError, DataError

VERSION = 1
"""Raised when the same settings begin to give other images."""

TRAIN, QUERY, GALLERY = "bounding_box_train", "query", "bounding_box_test"
"""The image folders."""

DISTRACTOR, JUNK = 0, -1
"""Person ids of the gallery's images of nobody, and of boxes too far off to count."""

_STRANGERS, _STRANGER = 40, 100_000  # people without a label: how many, and where their ids begin
_WARDROBE, _CAMERA, _PERSON, _ROUTE, _VISIT, _CROP, _QUERY, _REJECT = range(8)  # what a chance key is for
_FIGURES_KEPT = 128


@dataclass(frozen=True)
class SyntheticSettings:
    """What to draw.

    Attributes:
        people_train: People in the training part.
        people_test: People in query and gallery; nobody is in both parts.
        cameras: How many cameras, 2 to 9; each person is seen by two to all of them.
        visits: How often a person comes by a camera that sees them; each visit is a tracklet.
        crops: Images of each visit.
        seed: Decides everything; the same settings give the same bytes.
        cameras_seed: Decides the cameras alone; ``None`` takes ``seed``. Another one is another site.
        clothes_seed: Decides what people tend to wear; ``None`` takes ``seed``.
        first_person: The first person id; the others follow.
        height: Of an image, pixels.
        width: Of an image, pixels.
        occluders: Share of the images in which something stands in front, 0..1.
        distractors: Images of nobody (person 0) in the gallery, a share of its images of people.
        junk: Boxes too far off to count (person -1) in the gallery, a share of its images of people.
        silhouettes: Whether silhouettes are written.

    Raises:
        ConfigError: A number is out of its range.
    """

    people_train: int = 60
    people_test: int = 60
    cameras: int = 6
    visits: int = 1
    crops: int = 4
    seed: int = 0
    cameras_seed: int | None = None
    clothes_seed: int | None = None
    first_person: int = 1
    height: int = 128
    width: int = 64
    occluders: float = 0.15
    distractors: float = 0.04
    junk: float = 0.03
    silhouettes: bool = True

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "people_train": (0, 9999), "people_test": (0, 9999), "cameras": (2, 9), "visits": (1, 9),
            "crops": (1, 1000), "seed": (0, 2**63 - 1), "cameras_seed": (0, 2**63 - 1), "clothes_seed": (0, 2**63 - 1),
            "first_person": (1, 9999), "height": (16, 1024), "width": (8, 1024),
            "occluders": (0, 1), "distractors": (0, 1), "junk": (0, 1),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ConfigError(f"{name} must lie in {low}..{high}, found {value}")
        if self.people_train + self.people_test == 0:
            raise ConfigError("people_train and people_test are both 0: there is nobody to draw")
        last = self.first_person + self.people_train + self.people_test - 1
        if last > 9999:
            raise ConfigError(f"person ids have four digits: first_person gives ids up to {last}, lower it")


@dataclass(frozen=True)
class SyntheticSet:
    """What was written.

    Attributes:
        root: The folder.
        train: Images for training.
        query: Query images.
        gallery: Gallery images, distractors and junk among them.
    """

    root: Path
    train: int
    query: int
    gallery: int


@dataclass(frozen=True)
class Planned:
    """An image to be drawn.

    Attributes:
        path: Relative to the root.
        label: Person id in the name; 0 distractor, -1 junk.
        person: Who is drawn.
        camera: Camera id, from 1.
        visit: Which visit to this camera, from 0.
        tracklet: Id of the visit, unique in the set; -1 for distractors and junk.
        index: Place in the visit, from 0.
        frame: Frame number.
    """

    path: str
    label: int
    person: int
    camera: int
    visit: int
    tracklet: int
    index: int
    frame: int


def synthesize(
    root: Path, *, settings: SyntheticSettings, progress: Callable[[int, int], None] | None = None
) -> SyntheticSet:
    """Draw a set of synthetic people into a folder.

    Everything is first written beside the folder and then renamed: an interrupted call leaves no half set.

    Args:
        root: The folder to make; may exist if it is empty.
        settings: What to draw.
        progress: Called with the images done and all images, after each.

    Returns:
        The counts.

    Raises:
        DataError: The folder is not empty, or a file is in its place.
    """
    root = Path(root)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DataError(f"{root} exists and is not an empty folder: choose another, or remove it first")
    root.parent.mkdir(parents=True, exist_ok=True)
    studio = Studio(settings)
    planned = plan(settings)
    draft = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        draft.chmod(0o755)
        _write(draft, studio, planned, progress)
        if root.exists():
            root.rmdir()
        draft.rename(root)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    folders = [image.path.split("/")[0] for image in planned]
    return SyntheticSet(root, folders.count(TRAIN), folders.count(QUERY), folders.count(GALLERY))


def plan(settings: SyntheticSettings) -> list[Planned]:
    """List the images of a set, without drawing them.

    Args:
        settings: What to draw.

    Returns:
        The images, person by person; distractors and junk last.
    """
    images: list[Planned] = []
    tracklet = 0
    for person in range(settings.first_person, settings.first_person + settings.people_train + settings.people_test):
        training = person < settings.first_person + settings.people_train
        rng = _chance(settings.seed, _ROUTE, person)
        count = int(rng.integers(2, settings.cameras + 1))
        for camera in sorted((rng.permutation(settings.cameras)[:count] + 1).tolist()):
            asked = _chance(settings.seed, _QUERY, person, camera).integers(settings.visits * settings.crops)
            for visit in range(settings.visits):
                steps = _chance(settings.seed, _VISIT, person, camera, visit, 1)
                frame = int(steps.integers(1, 90_000))
                for index in range(settings.crops):
                    query = not training and visit * settings.crops + index == asked
                    folder = TRAIN if training else QUERY if query else GALLERY
                    name = _name(person, camera, visit, frame, 0 if query else 1)
                    images.append(
                        Planned(f"{folder}/{name}", person, person, camera, visit, tracklet, index, frame)
                    )
                    frame += int(steps.integers(4, 13))
                tracklet += 1
    tested = [image for image in images if image.path.startswith(GALLERY)]
    for label, share in ((DISTRACTOR, settings.distractors), (JUNK, settings.junk)):
        for row in range(round(share * len(tested))):
            rng = _chance(settings.seed, _REJECT, label - JUNK, row)
            like = tested[int(rng.integers(len(tested)))]
            person = like.person if label == JUNK else _STRANGER + int(rng.integers(_STRANGERS))
            name = _name(label, like.camera, like.visit, like.frame, row + 2)
            images.append(
                Planned(f"{GALLERY}/{name}", label, person, like.camera, like.visit, -1, like.index, like.frame)
            )
    return images


class Studio:
    """The people and cameras of a set, drawn when they are first needed.

    Args:
        settings: What to draw.
    """

    def __init__(self, settings: SyntheticSettings) -> None:
        self.settings = settings
        self.body = load_body()
        site = settings.seed if settings.cameras_seed is None else settings.cameras_seed
        clothes = settings.seed if settings.clothes_seed is None else settings.clothes_seed
        self.cameras = [sample_camera(_chance(site, _CAMERA, camera)) for camera in range(1, settings.cameras + 1)]
        self.scenes = [draw_scene(camera) for camera in self.cameras]
        self.wardrobe = sample_wardrobe(_chance(clothes, _WARDROBE))
        self._figures: OrderedDict[int, Figure] = OrderedDict()

    def person(self, person: int) -> Person:
        """Give a person by id."""
        return sample_person(_chance(self.settings.seed, _PERSON, person), self.wardrobe)

    def figure(self, person: int) -> Figure:
        """Give a person's mesh by id; the last ones are kept."""
        if person not in self._figures:
            self._figures[person] = dress(self.body, self.person(person))
            if len(self._figures) > _FIGURES_KEPT:
                self._figures.popitem(last=False)
        self._figures.move_to_end(person)
        return self._figures[person]

    def draw(self, image: Planned) -> tuple[Crop, Shot]:
        """Draw a planned image.

        Args:
            image: Which one.

        Returns:
            The crop, and what decided it.
        """
        key = (image.person, image.camera, image.visit, image.index, image.label - JUNK if image.label <= 0 else 2)
        rng = _chance(self.settings.seed, _CROP, *key)
        shot = self._shot(image, rng)
        camera, scene = self.cameras[image.camera - 1], self.scenes[image.camera - 1]
        size = (self.settings.height, self.settings.width)
        return shoot(self.body, camera, scene, shot, size=size, rng=rng), shot

    def _shot(self, image: Planned, rng: np.random.Generator) -> Shot:
        camera = self.cameras[image.camera - 1]
        walk = _chance(self.settings.seed, _VISIT, image.person, image.camera, image.visit)
        heading = camera.heading + walk.normal(0, camera.scatter) + math.pi * walk.integers(2)
        turning, pace = walk.normal(0, 0.12), walk.uniform(0.17, 0.4)
        yaw = heading + turning * image.index + rng.normal(0, 0.06)
        step = 0.025 * image.index
        low = max(0.62, camera.horizon + 0.2)
        spot = (
            float(walk.uniform(0.12, 0.88) + step * math.sin(heading)),
            float(walk.uniform(low, 0.96) + 0.4 * step * math.cos(heading)),
        )
        phase = (walk.random() + pace * image.index + rng.normal(0, 0.02)) % 1
        exposure = math.exp(walk.normal(0, 0.14) + rng.normal(0, 0.03))
        passers, barriers = self._others(rng, image.person)
        shift, scale = _box_error(rng, image.label)
        return Shot(
            figure=self.figure(image.person),
            stance=Stance(phase=float(phase), yaw=float(yaw % (2 * math.pi))),
            passers=passers,
            barriers=barriers,
            shift=shift,
            scale=scale,
            spot=spot,
            exposure=exposure,
        )

    def _others(self, rng: np.random.Generator, person: int) -> tuple[tuple[Passer, ...], tuple[Barrier, ...]]:
        passers: list[Passer] = []
        barriers: list[Barrier] = []

        def stranger(right: float, away: float) -> Passer:
            who = _STRANGER + int(rng.integers(_STRANGERS))
            stance = Stance(float(rng.random()), float(rng.uniform(0, 2 * math.pi)), right, away)
            return Passer(self.figure(who), stance)

        side = float(rng.choice([-1.0, 1.0]))
        if rng.random() < 0.15:
            passers.append(stranger(side * rng.uniform(0.2, 0.9), rng.uniform(0.8, 4)))
        if rng.random() < self.settings.occluders:
            kind, grey = rng.random(), rng.uniform(0.02, 0.4)
            red, green, blue = np.clip(grey * (1 + rng.normal(0, 0.25, 3)), 0.01, 0.9).tolist()
            if kind < 0.45:
                passers.append(stranger(-side * rng.uniform(0.28, 0.5), -rng.uniform(0.5, 1.2)))
            elif kind < 0.7:
                left = rng.uniform(0.05, 0.8)
                barriers.append(Barrier(left, -0.1, left + rng.uniform(0.06, 0.2), 1.1, (red, green, blue)))
            else:
                left = rng.choice([-0.3, 0.3])
                barriers.append(Barrier(left, rng.uniform(0.55, 0.85), left + 1, 1.1, (red, green, blue)))
        return tuple(passers), tuple(barriers)


def _box_error(rng: np.random.Generator, label: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Draw how far off a box is: its shift and its scale."""
    shift = rng.normal(0, 0.018, 2)
    scale = np.exp(rng.normal(0, 0.05, 2))
    kind = rng.random()
    if kind < 0.08:  # the legs are cut off
        cut = rng.uniform(0.1, 0.3)
        scale *= 1 - cut
        shift[1] -= cut / 2
    elif kind < 0.16:  # too large
        scale *= rng.uniform(1.1, 1.3)
    if label == JUNK:
        shift += rng.choice([-1, 1], 2) * rng.uniform(0.15, 0.4, 2)
        scale *= rng.uniform(0.5, 1.5)
    elif label == DISTRACTOR:  # beside the person: background, or a shoulder
        shift[0] += rng.choice([-1, 1]) * rng.uniform(0.3, 1.2)
        scale *= rng.uniform(0.6, 1.4)
    return (float(shift[0]), float(shift[1])), (float(scale[0]), float(scale[1]))


def _chance(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def _name(label: int, camera: int, visit: int, frame: int, box: int) -> str:
    person = "-1" if label == JUNK else f"{label:04d}"
    return f"{person}_c{camera}s{visit + 1}_{frame:06d}_{box:02d}.jpg"


def _write(
    draft: Path, studio: Studio, planned: list[Planned], progress: Callable[[int, int], None] | None
) -> None:
    settings = studio.settings
    for folder in (TRAIN, QUERY, GALLERY):
        (draft / folder).mkdir()
        if settings.silhouettes:
            (draft / "silhouettes" / folder).mkdir(parents=True)
    builds = [field.name for field in fields(studio.figure(settings.first_person).person.build)]
    with (draft / "annotations.csv").open("w", newline="") as handle:
        table = csv.writer(handle, lineterminator="\n")
        table.writerow([
            *("path", "label", "person", "camera", "visit", "tracklet", "frame", "shift_right", "shift_down"),
            *("scale_width", "scale_height", "yaw", "phase", "occluded"), *builds,
        ])  # fmt: skip
        for row, image in enumerate(planned):
            crop, shot = studio.draw(image)
            quality = studio.cameras[image.camera - 1].quality
            Image.fromarray(crop.pixels).save(draft / image.path, quality=quality)
            if settings.silhouettes:
                path = draft / "silhouettes" / Path(image.path).with_suffix(".png")
                Image.fromarray(crop.silhouette).save(path, compress_level=1)
            numbers = [*shot.shift, *shot.scale, shot.stance.yaw, shot.stance.phase, crop.occluded]
            numbers += [getattr(shot.figure.person.build, name) for name in builds]
            table.writerow([
                image.path, image.label, image.person, image.camera, image.visit, image.tracklet, image.frame,
                *(f"{number:.4f}" for number in numbers),
            ])  # fmt: skip
            if progress is not None:
                progress(row + 1, len(planned))
    people = sorted({image.person for image in planned})
    _write_json(draft / "people.json", {str(person): asdict(studio.person(person)) for person in people})
    _write_json(draft / "cameras.json", {str(row + 1): asdict(camera) for row, camera in enumerate(studio.cameras)})
    _write_json(draft / "dataset.json", {"version": VERSION, "settings": asdict(settings), "images": len(planned)})


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")
