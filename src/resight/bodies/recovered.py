"""Recover the bodies of people in crops with a landmark model."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np

from resight.bodies.bank import stand_in
from resight.bodies.fitting import estimate_tilt, fit_body
from resight.bodies.kept import content_digest, from_rows, load_kept, save_kept, to_row
from resight.bodies.landmarks import NUM_LANDMARKS, LandmarkModel, Landmarks
from resight.data.images import open_image
from resight.data.threads import open_pool
from resight.errors import DataError, counted
from resight.files import printable
from resight.progress import progress
from resight.records import Floats, Ints, Mask
from resight.synthetic.turns import PosedBodies, place, to_pixels

VERSION = 1
"""Increased when the same landmarks give another body."""

LEAST_PRESENCE = 0.2
"""Presence below which there is no person, so that there is no body either."""

LEAST_CONFIDENCE = 0.3
"""Confidence below which a stand-in replaces the body."""

HEIGHTS = (0.45, 2.5)
"""The least and the most that a body's height may be, relative to the crop's; a stand-in replaces others."""

MOST_TILT = 0.7
"""The most that a person may be tilted towards the camera or away from it, radians; a stand-in replaces others."""

_PIECE = 128  # bodies that are kept at once: some seconds of work
_EXTRA = 2  # numbers of a row before those of the body: outcome and confidence

logger = logging.getLogger(__name__)


class Outcome(IntEnum):
    """What came of an image."""

    NOBODY = 0
    REPLACED = 1
    RECOVERED = 2


@dataclass(frozen=True, eq=False)
class Recovered:
    """The bodies of people in images.

    Attributes:
        bodies: ``N`` bodies; those without a person are stand-ins too.
        outcomes: ``(N,)`` int64, an `Outcome` for each.
        confidences: ``(N,)`` float32, 0..1; see `Landmarks.confidence`.
    """

    bodies: PosedBodies
    outcomes: Ints
    confidences: Floats

    @property
    def usable(self) -> Mask:
        """``(N,)`` whether there is a body, recovered or a stand-in."""
        usable: Mask = self.outcomes != Outcome.NOBODY
        return usable

    def summary(self) -> str:
        """Return how many bodies were recovered, replaced, and not there."""
        counts = {outcome: int((self.outcomes == outcome).sum()) for outcome in Outcome}
        return (
            f"{counted(counts[Outcome.RECOVERED], 'body is', 'bodies are')} recovered, "
            f"{counts[Outcome.REPLACED]:,} replaced by a walking pose, {counts[Outcome.NOBODY]:,} without a person"
        )


def recover_body(landmarks: Landmarks, aspect: float) -> tuple[PosedBodies, Outcome]:
    """Return the body of landmarks, or a stand-in if they are not to be trusted.

    Args:
        landmarks: The landmarks.
        aspect: Width of the crop over its height.

    Returns:
        One body, and what it is.
    """
    if landmarks.presence < LEAST_PRESENCE:
        return stand_in(landmarks, aspect), Outcome.NOBODY
    if landmarks.confidence >= LEAST_CONFIDENCE and abs(estimate_tilt(landmarks)) <= MOST_TILT:
        body = fit_body(landmarks, aspect)
        height = float(np.ptp(to_pixels(body, 0, place(body, 0)[0], (1, 1))[:, 1]))
        if HEIGHTS[0] <= height <= HEIGHTS[1]:
            return body, Outcome.RECOVERED
    return stand_in(landmarks, aspect), Outcome.REPLACED


def recover_bodies(paths: Sequence[str], model: LandmarkModel, *, cache: Path | None = None) -> Recovered:
    """Recover the bodies of people in images.

    Args:
        paths: The ``N`` images. One that cannot be read has no body; the log counts them.
        model: Finds landmarks; several threads use it at once.
        cache: A folder that keeps bodies; None keeps none.

    Returns:
        The bodies, row by row.

    Raises:
        DataError: There are no images.
    """
    if not paths:
        raise DataError("there are no images to recover bodies from: name a data set with images")
    identity = hashlib.sha256(f"{model.identity} {VERSION}".encode()).hexdigest()[:16]
    folder = cache / identity if cache else None
    known = load_kept(folder, _EXTRA) if folder else {}
    digests, problems = _digests(paths)
    missing = {digest: path for digest, path in zip(digests, paths, strict=True) if digest and digest not in known}
    with open_pool() as pool:
        work = _recover_files(list(missing.items()), model, pool)
        fresh: dict[str, Floats] = {}
        for digest, row in progress(work, "recovering bodies", total=len(missing)):
            if isinstance(row, str):
                problems.append(row)
                continue
            fresh[digest] = known[digest] = row
            if folder and len(fresh) >= _PIECE:
                save_kept(folder, fresh)
                fresh = {}
        if folder and fresh:
            save_kept(folder, fresh)
    if problems:
        images = counted(len(problems), "image has", "images have")
        logger.warning("%s no body, because they cannot be read, first %s", images, printable(problems[0]))
    nobody = np.concatenate([[Outcome.NOBODY, 0.0], to_row(_nobody())]).astype(np.float32)
    table = np.stack([known.get(digest, nobody) for digest in digests])
    return Recovered(from_rows(table[:, _EXTRA:]), table[:, 0].astype(np.int64), table[:, 1])


def _recover_files(
    images: list[tuple[str, str]], model: LandmarkModel, pool: ThreadPoolExecutor
) -> Iterator[tuple[str, Floats | str]]:
    """Yield of each image its digest, and what `_recover_file` returns; some wait in the pool."""
    for start in range(0, len(images), _PIECE):
        piece = images[start : start + _PIECE]
        rows = pool.map(lambda image: _recover_file(image[1], model), piece)
        yield from zip((digest for digest, _ in piece), rows, strict=True)


def _recover_file(path: str, model: LandmarkModel) -> Floats | str:
    """Return the outcome, the confidence and the body of an image in a row of numbers, or why it cannot be read."""
    try:
        picture = open_image(path)
    except DataError as error:
        return str(error)
    landmarks = model.find(np.asarray(picture))
    body, outcome = recover_body(landmarks, picture.width / picture.height)
    return np.concatenate([[outcome, landmarks.confidence], to_row(body)]).astype(np.float32)


def _digests(paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the digest of each image's content, empty for those that cannot be read, and why they cannot."""
    digests, problems = [], []
    for path in progress(paths, "comparing images"):
        try:
            digests.append(content_digest(path))
        except (OSError, ValueError) as error:
            digests.append("")
            problems.append(f"{path}: {getattr(error, 'strerror', None) or error}")
    return digests, problems


def _nobody() -> PosedBodies:
    zeros = np.zeros((NUM_LANDMARKS, 3), np.float32)
    return stand_in(Landmarks(zeros, zeros[:, :2], zeros[:, 0], 0.0), 0.5)
