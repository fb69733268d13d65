"""Landmark models that know the answer."""

from __future__ import annotations

import hashlib

import numpy as np

from resight.bodies.landmarks import Landmarks
from resight.synthetic.body import Build, load_body, shape_body
from resight.synthetic.cameras import Pixels
from resight.synthetic.turns import PosedBodies, place


class Known:
    """Gives the landmarks that it was told for pixels, and counts how often it is asked."""

    identity = "known"

    def __init__(self, answers: dict[str, Landmarks], *, stop_after: int | None = None) -> None:
        self.answers, self.stop_after = answers, stop_after
        self.asked: list[tuple[int, ...]] = []

    @staticmethod
    def key(pixels: Pixels) -> str:
        return hashlib.sha256(pixels.tobytes()).hexdigest()

    def find(self, pixels: Pixels) -> Landmarks:
        if self.stop_after is not None and len(self.asked) >= self.stop_after:
            raise KeyboardInterrupt
        self.asked.append(pixels.shape)
        return self.answers[self.key(pixels)]


def distance(first: PosedBodies, second: PosedBodies) -> float:
    """Mean distance of the joints of two bodies around their hips, meters, and over the ground."""
    hips = [load_body().joint("hip_left"), load_body().joint("hip_right")]
    joints = [place(bodies, 0)[1] for bodies in (first, second)]
    centered = [each - each[hips].mean(0) for each in joints]
    return float(np.linalg.norm(centered[0] - centered[1], axis=1).mean())


def average(build: Build | None = None) -> float:
    """Height of a body, meters."""
    return float(shape_body(load_body(), build or Build())[0][:, 2].max())
