"""Structure maps in files: written by resight, or by any other program.

The form is that of released programs. One folder for each angle, ``render``, ``render_45`` ... ``render_315``, holds a
gray picture for each crop. A picture has the name of its crop, with any ending. It may lie below the same folders as
its crop, which tells apart crops of the same name.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from resight.bodies.maps import SIZE, StructureMaps, check_usable
from resight.data.image_formats import is_image_name
from resight.data.images import open_image, read_image
from resight.data.threads import open_pool
from resight.errors import DataError, counted
from resight.files import printable
from resight.records import Ints
from resight.synthetic.cameras import Pixels
from resight.synthetic.turns import TURNS, angle_folder

KIND, PICTURES = "render", "view"
"""The names of the folders of unturned maps and pictures, and how those of the turned ones begin."""

logger = logging.getLogger(__name__)


class TurnedFiles:
    """Pictures in the folders of angles.

    An image without a picture of each angle is not usable; a line in the log counts such images, and pictures of no
    image.

    Args:
        folder: The folder that holds ``render``, ``render_45`` and so on.
        paths: ``N`` paths of crops.
        size: Height and width to which pictures are scaled.
        kind: `KIND`, or `PICTURES` for true pictures of turned people.
        turns: How many angles are needed, from the unturned one on.

    Attributes:
        usable: ``(N,)`` bool, the images that have a picture of each of these angles.

    Raises:
        DataError: A folder is missing, no crop has its pictures, or two crops share one.
    """

    def __init__(
        self,
        folder: Path,
        paths: Iterable[str],
        *,
        size: tuple[int, int] = SIZE,
        kind: str = KIND,
        turns: int = TURNS,
    ) -> None:
        self.size, self.kind = size, kind
        crops, folders = list(paths), [folder / angle_folder(kind, turn) for turn in range(turns)]
        self._files = [_match(each, crops, kind) for each in folders]
        self.usable = np.array([all(row in files for files in self._files) for row in range(len(crops))], np.bool_)
        _report(folders, crops, self._files, int((~self.usable).sum()))

    def load(self, rows: Ints, turns: Ints) -> Tensor:
        """Read pictures: ``(B, 1, H, W)`` or, of `PICTURES`, ``(B, 3, H, W)``; see `StructureMaps.load`."""
        rows = np.asarray(rows)
        check_usable(self.usable, rows)
        files = [self._files[turn % TURNS][row] for row, turn in zip(rows.tolist(), turns.tolist(), strict=True)]
        read = read_map if self.kind == KIND else read_image
        with open_pool() as pool:
            pictures = list(pool.map(lambda path: read(path, self.size), files))
        channels = 1 if self.kind == KIND else 3
        pixels = np.stack(pictures) if pictures else np.zeros((0, *self.size, channels), np.uint8)
        return torch.from_numpy(pixels.reshape(-1, *self.size, channels)).permute(0, 3, 1, 2)


def read_map(path: Path, size: tuple[int, int]) -> Pixels:
    """Read a structure map as 8-bit gray of a size.

    Raises:
        DataError: The file cannot be read as an image.
    """
    picture = open_image(path).convert("L")
    if picture.size != (size[1], size[0]):
        picture = picture.resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.array(picture)


def write_maps(folder: Path, names: Iterable[str], maps: StructureMaps) -> int:
    """Write the maps of usable images from all sides.

    Args:
        folder: The folder for ``render``, ``render_45`` and so on.
        names: The relative path of each image below the folders of angles; its ending becomes ``.png``.
        maps: The maps of the images.

    Returns:
        The number of images with maps.

    Raises:
        DataError: Two images differ in the ending of their names only.
    """
    stems: set[Path] = set()
    written = 0
    for row, name in enumerate(names):
        if not maps.usable[row]:
            continue
        stem = Path(name).with_suffix("")
        if stem in stems:
            raise DataError(
                f"two crops are named {printable(stem)}, but for the ending, and so would be their maps: rename one"
            )
        stems.add(stem)
        views = maps.load(np.full(TURNS, row), np.arange(TURNS))
        for turns in range(TURNS):
            path = (folder / angle_folder(KIND, turns) / name).with_suffix(".png")
            path.parent.mkdir(parents=True, exist_ok=True)
            buffer = io.BytesIO()
            Image.fromarray(views[turns, 0].numpy()).save(buffer, "PNG", compress_level=1)
            path.write_bytes(buffer.getvalue())
        written += 1
    return written


def map_names(paths: Sequence[str], root: Path) -> list[str]:
    """Return names for the maps of images, in any case those of the images.

    Args:
        paths: The images.
        root: The folder of their set.

    Returns:
        Names alone, which every program reads; paths below the root if names would not tell images apart.
    """
    names = [PurePath(path).name for path in paths]
    if len({PurePath(name).stem for name in names}) == len(names):
        return names
    below = (Path(path).is_relative_to(root) for path in paths)
    return [
        os.path.relpath(path, root) if is_below else PurePath(path).name
        for path, is_below in zip(paths, below, strict=True)
    ]


def _match(folder: Path, crops: list[str], kind: str) -> dict[int, Path]:
    """Return the picture of each crop's row: the file whose path below the folder fits the end of the crop's best."""
    if not folder.is_dir():
        raise DataError(
            f"no folder {printable(folder)} of turned people: expected {angle_folder(kind, 0)}, "
            f"{angle_folder(kind, 1)} ... {angle_folder(kind, TURNS - 1)} side by side; name the folder that holds them"
        )
    files = _list_files(folder)
    deepest = max((len(parts) for parts in files), default=0)
    matched: dict[int, Path] = {}
    taken: dict[Path, int] = {}
    for row, crop in enumerate(crops):
        exact, stem = Path(crop).parts, Path(crop).with_suffix("").parts
        ends = (parts[-n:] for n in range(deepest, 0, -1) for parts in (exact, stem))
        path = next((files[parts] for parts in ends if parts in files), None)
        if path is None:
            continue
        if path in taken:
            raise DataError(
                f"{printable(path)} would be of two crops, {printable(crops[taken[path]])} and {printable(crop)}: put "
                "turned pictures below the same folders as their crops"
            )
        matched[row], taken[path] = path, row
    return matched


def _list_files(folder: Path) -> dict[tuple[str, ...], Path]:
    """Return the pictures below a folder by the parts of their path in it, with and without their ending."""
    pictures = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names if is_image_name(name)]
    exact = {picture.relative_to(folder).parts: picture for picture in pictures}
    return {(*parts[:-1], PurePath(parts[-1]).stem): picture for parts, picture in sorted(exact.items())} | exact


def _report(folders: list[Path], crops: list[str], files: list[dict[int, Path]], missing: int) -> None:
    """Log how many crops lack a picture and how many pictures have no crop, with the first of each."""
    if not missing:
        return
    lacking = ((row, turns) for row in range(len(crops)) for turns in range(len(folders)) if row not in files[turns])
    row, turns = next(lacking)
    example = printable(Path(folders[turns].name) / PurePath(crops[row]).name)
    used = {path for matched in files for path in matched.values()}
    strays = [
        path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path not in used and is_image_name(path.name)
    ]
    stray = (
        f"; {counted(len(strays), 'picture fits', 'pictures fit')} no crop, first {printable(strays[0])}"
        if strays
        else ""
    )
    text = (
        f"{counted(missing, 'crop')} of {len(crops):,} {'lacks' if missing == 1 else 'lack'} a turned picture in "
        f"{printable(folders[0].parent)}, first {example}{stray}"
    )
    if missing == len(crops):
        raise DataError(f"{text}: pictures must be named as their crops")
    logger.warning("%s", text)
