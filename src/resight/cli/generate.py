"""`resight generate RUN --data CROPS --out SHEET.png`: draw people turned, with the generator of a run of GCL.

torch takes seconds to load. What needs it is loaded when the work begins, so that help and errors do not wait for it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from resight.cli.queries import find_images, log_notes, log_queries, split_words
from resight.cli.terminal import say, say_json, show
from resight.compute.settings import DeviceSettings
from resight.config.settings import read_settings
from resight.data.catalog import open_dataset, parse_spec
from resight.data.settings import DataSettings
from resight.errors import ConfigError, DataError, check_least, counted
from resight.files import check_output, expanded, printable
from resight.models.encoder_settings import encoder_file
from resight.models.packaged import SYNTHETIC
from resight.records import ImageTable
from resight.reports.generation_tables import score_tables
from resight.reports.tables import percent, text_table

PROGRAM = "resight generate RUN [IMAGE ...]"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GenerateSettings(DataSettings):
    """Whom to draw turned, with what, and what to measure.

    Attributes:
        data: The data set: `name=PATH` or a path. You may name images after RUN instead.
        out: The PNG file for the sheet: a row for each person with the crop, its reconstruction and seven turned views.
        structure: Where bodies come from: `pose`, `truth` or a folder of renderings, as in training. Empty takes what
            the run learned from.
        views: A folder of turned views, `view`, `view_45` ... `view_315`, in place of the run's generator, which then
            need not be named.
        pictures: A folder of true pictures of the turned people, likewise. Empty takes those beside the renderings, or
            of a drawn set, if there are any.
        split: The images to draw from: `train`, `query`, `gallery` or `all`.
        count: The number of images on the sheet, of as many people (or clusters of the run) as there are.
        seed: Decides which images are drawn.
        interpolate: Draw this many steps from one person's code to the next one's, in the first one's pose, in place of
            turned views (thesis figure 5.9).
        show_maps: Also show the structure map under each view.
        show_true: Also show the true picture under each view.
        judge: The encoder that tells whether the person is kept: a run, a file, or `synthetic`. It should be another
            one than the run's own, with which the generator has learned.
        gate: The least cosine, by the judge, of image and view. Views below it are refused: struck out on the sheet,
            left out of the scores. -1 refuses none.
        evaluate: Print scores of the views.
        eval_images: The number of images that are scored; 0 for all.
        inception: A file with the weights of the Inception network, to measure the FID.
        json: Print JSON instead of lines and tables.
        device: The device to run on.
    """

    out: str = ""
    structure: str = ""
    views: str = ""
    pictures: str = ""
    split: Literal["train", "query", "gallery", "all"] = "train"
    count: int = 12
    seed: int = 1
    interpolate: int = 0
    show_maps: bool = False
    show_true: bool = False
    judge: str = SYNTHETIC
    gate: float = -1.0
    evaluate: bool = False
    eval_images: int = 200
    inception: str = ""
    json: bool = False
    device: DeviceSettings = field(default_factory=DeviceSettings)

    def __post_init__(self) -> None:
        check_least(self, 0, "eval_images", "seed")
        for name, low, high in (("count", 1, 100), ("interpolate", 0, 20), ("gate", -1, 1)):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"{name} must lie in {low}..{high}, found {getattr(self, name)}")
        if self.interpolate == 1:
            raise ConfigError("interpolate needs two steps or more, the first person and the second: found 1")
        if self.interpolate and self.views:
            raise ConfigError("interpolate mixes codes, which views in a folder do not have: leave out --views")
        if self.interpolate and (self.show_maps or self.show_true):
            raise ConfigError("show_maps and show_true are for turned views: leave them out, or --interpolate")
        if self.inception and not self.evaluate:
            raise ConfigError("inception is for scores: add --evaluate")


def run(arguments: Sequence[str]) -> int:
    """Run `resight generate`."""
    words, flags = split_words(arguments)
    (settings,) = read_settings(flags, [GenerateSettings], program=PROGRAM)
    name, images = _split_run(words, settings)
    if bool(images) == bool(settings.data):
        raise ConfigError("resight generate draws either images that you name after RUN, or those of --data")
    if not settings.out and not settings.evaluate:
        raise ConfigError("resight generate needs --out SHEET.png to draw to, or --evaluate")
    folder = settings.folder_settings()
    root = parse_spec(settings.data, folder)[1] if settings.data else None
    if settings.out:
        check_output(expanded(settings.out), suffix=".png", data=root)  # fails before anything is drawn
    encoder_file(settings.judge)  # its error names the file
    if images:
        found = find_images(images)
        log_queries(found)
        dataset, table = None, ImageTable(np.array(found.paths))
    else:
        dataset = open_dataset(settings.data, folder)
        log_notes(dataset)
        tables = [table for split, table in dataset.tables.items() if settings.split in (split, "all")]
        table = ImageTable.concatenate(*tables)
        if not len(table):
            raise DataError(f"{settings.data} has no {settings.split} image: choose another --split")
    from resight.cli.generating import generate

    result = generate(settings, name, table, dataset)
    if result is None:  # of several processes only the first prints
        return 0
    if settings.json:
        say_json(result, indent=1)
    else:
        _print(settings, result)
    return 0


def _split_run(words: Sequence[str], settings: GenerateSettings) -> tuple[str, list[str]]:
    """Return the run that words name, which views in a folder do not need, and the images."""
    first, *rest = words or [""]
    if settings.views and not (expanded(first) / "config.yaml").is_file():
        return "", list(words)
    if not first:
        raise ConfigError(
            "resight generate needs a run of GCL and images: resight generate runs/gcl --data folder=CROPS --out "
            "sheet.png"
        )
    return first, rest


def _print(settings: GenerateSettings, result: Mapping[str, Any]) -> None:
    """Print the numbers of a sheet, and the scores."""
    if settings.out:
        drawn = counted(len(result["images"]), "image")
        what = f"{counted(settings.interpolate, 'step')} from each of {drawn} to the next"
        say(f"{settings.out}: {what if settings.interpolate else f'eight views of {drawn}'}")
    if "identity" in result:
        kept = result["identity"]
        say(
            f"cosine of image and view, by {printable(settings.judge)}: {kept['own']:.2f} unturned, "
            f"{kept['turned']:.2f} turned"
        )
        if settings.gate > -1:
            say(f"the gate refuses {kept['refused']} of {kept['views']} turned views ({percent(kept['share'])} %)")
    if "scores" in result:
        for title, head, rows in score_tables(result["scores"], settings.judge):
            show(text_table(title, head, rows, left=("",)))
