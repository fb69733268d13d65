"""Bodies that are kept by the content of their images, so that no image is looked at twice.

They lie in files of some hundred. Each file is written at once and has a checksum: a kill loses the last bodies only,
and a damaged file those in it.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from resight.checksums import DamagedError, seal, unseal
from resight.files import printable, read_regular, write_atomically
from resight.records import Floats
from resight.synthetic.body import load_body
from resight.synthetic.turns import BUILD, PosedBodies

_MOST = 2**27  # bytes of an image

logger = logging.getLogger(__name__)


def content_digest(path: str) -> str:
    """Return the SHA-256 of an image's file, in hex.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no file, or too large.
    """
    return hashlib.sha256(read_regular(Path(path), _MOST)).hexdigest()


def to_row(body: PosedBodies) -> Floats:
    """Return one body as a row of numbers, for `from_rows`."""
    return np.concatenate([getattr(body, field.name).ravel() for field in fields(body)]).astype(np.float32)


def from_rows(rows: Floats) -> PosedBodies:
    """Return bodies from rows of `to_row`."""
    parts, columns = {}, 0
    for name, shape in _shapes().items():
        size = int(np.prod(shape, dtype=np.int64))
        parts[name] = np.ascontiguousarray(rows[:, columns : columns + size].reshape(len(rows), *shape))
        columns += size
    return PosedBodies(**parts)


def load_kept(folder: Path, extra: int) -> dict[str, Floats]:
    """Read all kept rows.

    Args:
        folder: The folder; it may be absent.
        extra: The number of numbers that a row has before those of the body.

    Returns:
        The rows by the digests of their images. Damaged files are named in the log and removed.
    """
    known: dict[str, Floats] = {}
    length = extra + sum(int(np.prod(shape, dtype=np.int64)) for shape in _shapes().values())
    for path in sorted(folder.glob("*.safetensors")):
        try:
            tensors, _ = unseal(path, [])
            digests, rows = tensors["digests"].numpy(), tensors["bodies"].numpy()
            if digests.shape != (len(rows), 32) or digests.dtype != np.uint8 or rows.shape != (len(digests), length):
                raise DamagedError("its bodies have another form")
        except (OSError, DamagedError, KeyError) as error:
            logger.warning("the kept bodies in %s are damaged (%s): recovering them again", printable(path), error)
            path.unlink(missing_ok=True)
            continue
        known |= {digest.tobytes().hex(): row for digest, row in zip(digests, rows, strict=True)}
    return known


def save_kept(folder: Path, rows: Mapping[str, Floats]) -> None:
    """Write rows into a new file, if the disk has room."""
    digests = np.frombuffer(b"".join(map(bytes.fromhex, rows)), np.uint8).reshape(-1, 32)
    content = {"digests": torch.from_numpy(digests.copy()), "bodies": torch.from_numpy(np.stack(list(rows.values())))}
    try:
        write_atomically(folder / f"{secrets.token_hex(16)}.safetensors", seal(content, {}))
    except OSError as error:
        logger.warning("cannot keep the bodies: %s %s", printable(folder), error.strerror)


def _shapes() -> dict[str, tuple[int, ...]]:
    """Return the shape of each field of one body."""
    shapes = {"builds": (len(BUILD),), "rotations": (len(load_body().joints), 3, 3), "boxes": (4,)}
    return {field.name: shapes.get(field.name, ()) for field in fields(PosedBodies)}
