"""`resight bodies`: write structure maps of the people in crops, from eight sides.

torch takes seconds to load. What needs it is loaded when the work begins, so that help and errors do not wait for it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from resight.bodies.settings import split_recovery
from resight.cli.terminal import say
from resight.config.settings import read_settings
from resight.data.catalog import open_dataset, parse_spec
from resight.data.settings import DataSettings
from resight.errors import ConfigError, DataError, counted
from resight.files import check_outside, drafted, expanded, named, printable
from resight.progress import progress
from resight.records import ImageTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resight.bodies.maps import StructureMaps

SHEET = "sheet.png"
"""The contact sheet in the output folder."""


@dataclass(frozen=True)
class BodiesSettings(DataSettings):
    """Whose bodies to write, and how.

    Attributes:
        data: The data set: `name=PATH` or a path.
        out: The folder to create, with `render`, `render_45` ... `render_315` and `sheet.png`.
        recovery: How bodies are known. `pose` recovers them from the crops, with the pose model of `resight models get
            pose`; `truth` takes those of drawn people; `files=PATH` reads maps of another program, from folders of the
            same names.
        split: The images whose bodies to write: `train`, `query`, `gallery` or `all`.
        height: The height of a map, pixels.
        width: The width of a map, pixels.
        white: Whether the background of maps is white or black.
        rows: The number of crops on the contact sheet.
    """

    out: str = ""
    recovery: str = "pose"
    split: Literal["train", "query", "gallery", "all"] = "train"
    height: int = 256
    width: int = 128
    white: bool = True
    rows: int = 16

    def __post_init__(self) -> None:
        split_recovery(self.recovery)
        for name, most in (("height", 1024), ("width", 1024), ("rows", 200)):
            if not 1 <= getattr(self, name) <= most:
                raise ConfigError(f"{name} must lie in 1..{most:,}, found {getattr(self, name)}")


def run(arguments: Sequence[str]) -> int:
    """Run `resight bodies`."""
    (settings,) = read_settings(arguments, [BodiesSettings], program="resight bodies")
    if not settings.data or not settings.out:
        raise ConfigError(
            "resight bodies needs images and a folder to write to: resight bodies --data folder=CROPS --out bodies"
        )
    out, (_, root) = expanded(settings.out), parse_spec(settings.data, settings.folder_settings())
    check_outside(out, root)
    if os.path.exists(out) and (not os.path.isdir(out) or os.listdir(out)):  # noqa: PTH110, PTH112, PTH208
        raise DataError(f"{printable(out)} exists and is not an empty folder: choose another, or remove it first")
    dataset = open_dataset(settings.data, settings.folder_settings())
    tables = [table for split, table in dataset.tables.items() if settings.split in (split, "all")]
    table = ImageTable.concatenate(*tables)
    if not len(table):
        raise DataError(f"{settings.data} has no {settings.split} image: choose another --split")
    from resight.bodies.files import map_names, write_maps
    from resight.bodies.recovery import structure_maps

    paths = table.paths.tolist()
    maps = structure_maps(paths, settings.recovery, size=(settings.height, settings.width), white=settings.white)
    if not maps.usable.any():
        raise DataError(f"no image of {settings.data} has a body: give crops of people, whole and one in each image")
    try:
        with drafted(out, folder=True) as draft:
            names = progress(map_names(paths, dataset.root), "writing structure maps")
            written = write_maps(draft, names, maps)
            _write_sheet(draft / SHEET, table, maps, settings.rows)
    except OSError as error:
        raise named(out, error) from error
    say(f"{settings.out}: structure maps of {counted(written, 'image')} of {len(paths):,}, from eight sides")
    say(f"look at {Path(settings.out) / SHEET}; use the maps as {shlex.quote(f'files={settings.out}')}")
    return 0


def _write_sheet(path: Path, table: ImageTable, maps: StructureMaps, rows: int) -> None:
    """Write a contact sheet of images spread evenly over all."""
    from resight.reports.bodies import body_sheet
    from resight.reports.contact_sheets import spread
    from resight.reports.tiles import write_png
    from resight.synthetic.turns import TURNS

    chosen = spread(np.arange(len(table)), rows)
    turns = np.arange(TURNS)
    views = [
        maps.load(np.full(TURNS, row), turns)[:, 0].numpy() if maps.usable[row] else None for row in chosen.tolist()
    ]
    write_png(path, body_sheet(table.paths[chosen].tolist(), views))
