"""BlazePose as a landmark model: two looks at each crop.

The first look has the whole crop in the middle of the network's square. The second is mirrored, and has the region that
the first proposes. The landmarks are the mean of both, and their spread tells how far the two agree.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from resight.bodies.landmarks import NUM_LANDMARKS, USED, Landmarks
from resight.errors import ConfigError
from resight.models.pose import SHA256, read_pose
from resight.records import Doubles, Floats
from resight.synthetic.cameras import Pixels

SIDE = 256
"""Side of the network's square of pixels."""

SHARE = 0.8
"""Share of the square's side that the longer side of a crop takes in the first look."""

REGION = 1.25
"""Side of the second look's region, relative to the diameter of the circle around the person."""

_GRAY = 128
_CENTER, _RIM = 33, 34  # auxiliary landmarks: the middle of the circle around the person, and a point on it
_PAIRS = [(1, 4), (2, 5), (3, 6), (7, 8), (9, 10), *((left, left + 1) for left in range(11, NUM_LANDMARKS, 2))]
_SHAPES = {"landmarks": (1, 195), "presence": (1, 1), "world": (1, 117)}

Place = tuple[float, float, float, float]
"""Where a crop lies in the square: left, top, width and height, pixels."""


class BlazePose:
    """The pose model, read from the cache; several threads may use it at once.

    Raises:
        ConfigError: The library that runs it is not installed.
        WeightsError: The model is absent or damaged.
    """

    identity = f"blazepose {SHA256[:16]} two looks"

    def __init__(self) -> None:
        self._content = read_pose()
        self._local = threading.local()
        self._interpreter()  # fails here, and not in a thread

    def find(self, pixels: Pixels) -> Landmarks:
        """Return the landmarks of the person in a crop; see `LandmarkModel.find`."""
        crop = Image.fromarray(pixels)
        scale = SHARE * SIDE / max(crop.size)
        size = max(1, round(crop.width * scale)), max(1, round(crop.height * scale))
        first, region = self._look(crop, ((SIDE - size[0]) / 2, (SIDE - size[1]) / 2, *size))
        mirrored = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        left, top, width, height = region
        second, _ = self._look(mirrored, (SIDE - left - width, top, width, height))
        return mean_of(first, mirror(second))

    def _look(self, crop: Image.Image, place: Place) -> tuple[Landmarks, Place]:
        """Look once at a crop.

        Args:
            crop: The crop.
            place: Where it lies in the square.

        Returns:
            The landmarks, and where the crop lies in a square that has the person in its middle.
        """
        left, top = round(place[0]), round(place[1])
        width, height = max(1, round(place[2])), max(1, round(place[3]))
        square = Image.new("RGB", (SIDE, SIDE), (_GRAY,) * 3)
        square.paste(crop.resize((width, height), Image.Resampling.BICUBIC), (left, top))
        answers = self._run(np.asarray(square, np.float32)[None] / np.float32(255))
        found = answers["landmarks"].reshape(-1, 5).astype(np.float64)
        world = answers["world"].reshape(-1, 3)[:NUM_LANDMARKS]
        landmarks = Landmarks(
            positions=np.stack([world[:, 0], world[:, 2], -world[:, 1]], axis=1),
            points=((found[:NUM_LANDMARKS, :2] - (left, top)) / (width, height)).astype(np.float32),
            visibility=(1 / (1 + np.exp(-found[:NUM_LANDMARKS, 3]))).astype(np.float32),
            presence=float(answers["presence"][0, 0]),
        )
        return landmarks, _region(found[_CENTER, :2], found[_RIM, :2], (left, top, width, height))

    def _run(self, pixels: Floats) -> dict[str, Floats]:
        interpreter = self._interpreter()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
        interpreter.invoke()
        outputs = {tuple(output["shape"]): output["index"] for output in interpreter.get_output_details()}
        return {name: interpreter.get_tensor(outputs[shape]) for name, shape in _SHAPES.items()}

    def _interpreter(self) -> Any:
        """Return the interpreter of this thread."""
        if not hasattr(self._local, "interpreter"):
            try:
                from ai_edge_litert.interpreter import Interpreter
            except ImportError as error:
                raise ConfigError(
                    "recovery pose needs the library that runs the pose model: pip install 'resight[pose]'"
                ) from error
            with _quiet():
                self._local.interpreter = Interpreter(model_content=self._content, num_threads=1)
                self._local.interpreter.allocate_tensors()
        return self._local.interpreter


def mirror(landmarks: Landmarks) -> Landmarks:
    """Return the landmarks of a picture from those of its mirror image."""
    order = np.arange(NUM_LANDMARKS)
    for left, right in _PAIRS:
        order[left], order[right] = right, left
    positions, points = landmarks.positions[order].copy(), landmarks.points[order].copy()
    positions[:, 0] *= -1
    points[:, 0] = 1 - points[:, 0]
    return Landmarks(positions, points, landmarks.visibility[order], landmarks.presence, landmarks.spread)


def mean_of(first: Landmarks, second: Landmarks) -> Landmarks:
    """Return the mean of two looks, with the lower presence and the distance between them."""
    used = list(USED)
    apart = np.linalg.norm(first.positions[used] - second.positions[used], axis=1)
    half = np.float32(0.5)
    return Landmarks(
        half * (first.positions + second.positions),
        half * (first.points + second.points),
        half * (first.visibility + second.visibility),
        min(first.presence, second.presence),
        float(apart.mean()),
    )


def _region(center: Doubles, rim: Doubles, place: Place) -> Place:
    """Return where the crop lies once the circle around the person fills the square; as before if that is absurd."""
    left, top, width, height = place
    side = 2 * REGION * float(np.linalg.norm(rim - center))
    inside = left <= center[0] <= left + width and top <= center[1] <= top + height
    if not inside or not 0.4 * SIDE < side < 3 * SIDE:
        return place
    grow = SIDE / side
    return ((left - center[0]) * grow + SIDE / 2, (top - center[1]) * grow + SIDE / 2, width * grow, height * grow)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide what the library writes to standard error, a line for each interpreter that it makes."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
