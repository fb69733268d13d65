"""Draw the planned images: the people and cameras of a data set, and the contents of each shot."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import replace

import numpy as np

from resight.records import Floats
from resight.synthetic.appearance import Person, sample_person, sample_wardrobe
from resight.synthetic.body import load_body
from resight.synthetic.cameras import Camera, sample_camera
from resight.synthetic.gait import Gait
from resight.synthetic.outfit import Figure, dress
from resight.synthetic.paint import linear
from resight.synthetic.plan import DISTRACTOR, JUNK, STRANGER, STRANGERS, Key, Planned, SyntheticSettings, chance
from resight.synthetic.render import Barrier, Crop, Passer, Shot, Stance, shoot
from resight.synthetic.scenes import SCENE_HEIGHT, draw_scene

_MOST_FIGURES = 128  # in memory
_PASSAGE = 3  # steps for which other people and barriers stay in view
_STEP = 0.35  # meters of a step, from one image of a visit to the next, unless they are close


class Studio:
    """The people and cameras of a data set; figures and backgrounds are made when they are first needed.

    Args:
        settings: The settings of the data set.
    """

    def __init__(self, settings: SyntheticSettings) -> None:
        self.settings = settings
        self.body = load_body()
        site = settings.seed if settings.cameras_seed is None else settings.cameras_seed
        clothes = settings.seed if settings.clothes_seed is None else settings.clothes_seed
        self.cameras = [
            sample_camera(
                chance(site, Key.CAMERA, camera),
                site_seed=int(chance(site, Key.CAMERA).integers(1 << 31)),
                variation=settings.variation,
            )
            for camera in range(1, settings.cameras + 1)
        ]
        self._scenes: dict[int, Floats] = {}
        self.wardrobe = sample_wardrobe(chance(clothes, Key.WARDROBE))
        self._figures: OrderedDict[int, Figure] = OrderedDict()

    def person(self, person: int) -> Person:
        """Return a person by id."""
        return sample_person(chance(self.settings.seed, Key.PERSON, person), self.wardrobe)

    def scene(self, camera: int) -> Floats:
        """Return the background of a camera by id, drawn when it is first needed."""
        if camera not in self._scenes:
            self._scenes[camera] = _scene(self.cameras[camera - 1])
        return self._scenes[camera]

    def figure(self, person: int) -> Figure:
        """Return a person's figure by id, from a cache of the last ones used."""
        if person not in self._figures:
            self._figures[person] = dress(self.body, self.person(person))
            if len(self._figures) > _MOST_FIGURES:
                self._figures.popitem(last=False)
        self._figures.move_to_end(person)
        return self._figures[person]

    def draw(self, image: Planned, *, turn: float = 0.0) -> tuple[Crop, Shot]:
        """Draw a planned image.

        Args:
            image: The planned image.
            turn: Radians by which the person is turned; everything else in the picture stays as it is.

        Returns:
            The crop, and the shot that determines it.
        """
        shot, rng = self._plan_shot(image)
        shot = replace(shot, turn=turn)
        camera, scene = self.cameras[image.camera - 1], self.scene(image.camera)
        size = (self.settings.height, self.settings.width)
        return shoot(self.body, camera, scene, shot, size=size, rng=rng), shot

    def shot(self, image: Planned) -> Shot:
        """Return everything that determines a planned image, without drawing it."""
        return self._plan_shot(image)[0]

    def _plan_shot(self, image: Planned) -> tuple[Shot, np.random.Generator]:
        rng = chance(self.settings.seed, Key.CROP, image.person, image.camera, image.visit, image.index, image.box)
        return self._shot(image, rng), rng

    def _shot(self, image: Planned, rng: np.random.Generator) -> Shot:
        camera = self.cameras[image.camera - 1]
        walk = chance(self.settings.seed, Key.VISIT, image.person, image.camera, image.visit)
        heading = camera.heading + walk.normal(0, camera.scatter) + math.pi * walk.integers(2)
        turning, pace = walk.normal(0, 0.12), walk.uniform(0.17, 0.4)
        course = heading + turning * image.steps
        yaw = course + rng.normal(0, 0.06)
        step = 0.025 * image.steps
        low = max(0.62, camera.horizon + 0.2)
        spot = (
            float(walk.uniform(0.12, 0.88) + step * math.sin(heading)),
            float(walk.uniform(low, 0.96) + 0.4 * step * math.cos(heading)),
        )
        phase = (walk.random() + pace * image.steps + rng.normal(0, 0.02)) % 1
        exposure = math.exp(walk.normal(0, 0.11) + rng.normal(0, 0.03))
        passers, barriers = self._others(image, course)
        shift, scale = _box_error(rng, image.label)
        figure = self.figure(image.person)
        gait = _visit_gait(figure.person.gait, walk)
        umbrella = bicycle = None
        if figure.person.bicycle and walk.random() < 0.85:
            gait, bicycle = replace(gait, rides=True, lean=18.0, phone=False), linear(figure.person.bicycle)
        elif walk.random() < camera.umbrellas:
            gait, umbrella = replace(gait, phone=True), linear(figure.person.umbrella)
        return Shot(
            figure=figure,
            stance=Stance(phase=float(phase), yaw=float(yaw % (2 * math.pi)), gait=gait),
            passers=passers,
            barriers=barriers,
            shift=shift,
            scale=scale,
            spot=spot,
            exposure=exposure,
            umbrella=umbrella,
            bicycle=bicycle,
        )

    def _others(self, image: Planned, course: float) -> tuple[tuple[Passer, ...], tuple[Barrier, ...]]:
        """Return the other people and the barriers of an image; consecutive images share them, at later positions.

        ``course`` is the direction in which the person walks, as in `Stance.yaw`.
        """
        key = (self.settings.seed, Key.PASSAGE, image.person, image.camera, image.visit)
        # A visit may start in the middle of a passage, so that occluders come and go at any of its images.
        passage, passage_step = divmod(image.steps + int(chance(*key).integers(_PASSAGE)), _PASSAGE)
        rng = chance(*key, int(passage))
        steps = passage_step - (_PASSAGE - 1) / 2
        passers: list[Passer] = []
        barriers: list[Barrier] = []

        def stranger(right: float, away: float, yaw: float) -> Passer:
            figure = self.figure(STRANGER + int(rng.integers(STRANGERS)))
            phase = (rng.random() + rng.uniform(0.17, 0.4) * steps) % 1
            drift = _STEP * steps * (math.sin(yaw) - math.sin(course))
            return Passer(figure, Stance(float(phase), yaw % (2 * math.pi), right + drift, away))

        side = float(rng.choice([-1.0, 1.0]))
        if rng.random() < 0.15:
            passers.append(stranger(side * rng.uniform(0.2, 0.9), rng.uniform(0.8, 4), rng.uniform(0, 2 * math.pi)))
        if rng.random() < self.settings.occluders:
            kind, gray = rng.random(), rng.uniform(0.02, 0.4)
            red, green, blue = np.clip(gray * (1 + rng.normal(0, 0.25, 3)), 0.01, 0.9).tolist()
            drift = -_STEP * steps * math.sin(course)  # fixed things fall behind; a crop is about a meter wide
            if kind < 0.45:  # someone walks along; someone who crosses would hide the person of the box
                yaw = course + rng.normal(0, 0.15)
                passers.append(stranger(-side * rng.uniform(0.32, 0.48), -rng.uniform(0.5, 1.2), yaw))
            elif kind < 0.7:
                middle, width = rng.uniform(0.4, 0.6) + drift, rng.uniform(0.06, 0.2)
                barriers.append(Barrier(middle - width / 2, -0.1, middle + width / 2, 1.1, (red, green, blue)))
            else:
                left = rng.choice([-0.3, 0.3]) + drift
                barriers.append(Barrier(left, rng.uniform(0.55, 0.85), left + 1, 1.1, (red, green, blue)))
        return tuple(passers), tuple(barriers)


def _scene(camera: Camera) -> Floats:
    meter = camera.person_pixels / 1.7 / SCENE_HEIGHT
    return draw_scene(horizon=camera.horizon, meter=meter, site_seed=camera.site_seed, scene_seed=camera.scene_seed)


def _visit_gait(gait: Gait, rng: np.random.Generator) -> Gait:
    """Return a person's gait during a visit: some people stand, hold something in front of them, or telephone."""
    kind = rng.random()
    if kind < 0.15:
        return replace(gait, stride=gait.stride * rng.uniform(0, 0.3), swing=gait.swing * rng.uniform(0, 0.4))
    if kind < 0.27:
        return replace(gait, bend=rng.uniform(60, 110), swing=0.2 * gait.swing)
    return replace(gait, phone=True) if kind < 0.32 else gait


def _box_error(rng: np.random.Generator, label: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Sample the error of a box: its shift and its scale."""
    shift = rng.normal(0, 0.022, 2)
    scale = np.exp(rng.normal(0, (0.09, 0.06)))
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
    elif label == DISTRACTOR:  # next to the person: background, or a shoulder
        shift[0] += rng.choice([-1, 1]) * rng.uniform(0.3, 1.2)
        scale *= rng.uniform(0.6, 1.4)
    return (float(shift[0]), float(shift[1])), (float(scale[0]), float(scale[1]))
