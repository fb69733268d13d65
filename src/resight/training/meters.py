"""The meter of an epoch: mean losses and speed."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from torch import Tensor

from resight.errors import RunError

LOWER = "lower the learning rate, or train in float32 (--device.training float32)"
"""The advice for numbers that are not finite."""


class Meter:
    """Mean losses and speed since the epoch began."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._unread: Mapping[str, Tensor] | None = None  # of the last step
        self._first: tuple[float, int] | None = (
            None  # the time at which the epoch's first step ended, and its number of images
        )
        self._last = 0.0
        self._steps = 0
        self._images = 0
        self._start = time.monotonic()

    def add(self, values: Mapping[str, Tensor], *, images: int) -> None:
        """Add a step's losses to the epoch's means.

        They are read when those of the next step arrive, so that the CPU does not wait for a GPU that still computes
        them.

        Raises:
            RunError: A loss of the previous step is nan or infinite.
        """
        self._read()
        self._unread = values
        self._images += images
        self._last = time.monotonic()
        self._first = self._first or (self._last, images)

    def close(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return the epoch's mean losses and its speed, and begin the next epoch.

        Raises:
            RunError: A loss of the last step is nan or infinite.
        """
        self._read()
        means = {name: total / max(self._steps, 1) for name, total in self._sums.items()}
        now = time.monotonic()
        speed = {**self._speed(), "seconds": round(now - self._start, 3)}
        self._sums, self._steps, self._images, self._first, self._start = {}, 0, 0, None, now
        return means, speed

    def _read(self) -> None:
        if self._unread is None:
            return
        for name, value in self._unread.items():
            number = float(value)
            if not math.isfinite(number):
                raise RunError(
                    f"{name} became {number} at step {self._steps} of the epoch: {LOWER}; the last checkpoint is intact"
                )
            self._sums[name] = self._sums.get(name, 0.0) + number
        self._unread = None
        self._steps += 1

    def _speed(self) -> dict[str, float]:
        """Return the images per second of training, without the first step, which warms up."""
        if self._first is None or self._steps < 2:
            return {}
        start, size = self._first
        return {"images_per_second": round((self._images - size) / max(self._last - start, 1e-9), 2)}
