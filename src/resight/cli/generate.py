"""`resight generate RUN --data CROPS --out SHEET.png`: draw people turned, with the generator of a run of GCL.

torch takes seconds to load. What needs it is loaded when the work begins, so that help and errors do not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from resight.cli.generate_settings import GenerateSettings
from resight.cli.queries import find_images, log_notes, log_queries, split_words
from resight.cli.terminal import say, say_json, show
from resight.config.settings import read_settings
from resight.data.catalog import open_dataset, parse_spec
from resight.errors import ConfigError, DataError, counted
from resight.files import check_output, expanded, printable
from resight.models.encoder_settings import encoder_file
from resight.records import ImageTable
from resight.reports.generation_tables import score_tables
from resight.reports.tables import percent, text_table

PROGRAM = "resight generate RUN [IMAGE ...]"


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
    problems: tuple[tuple[str, str], ...] = ()
    if images:
        found = find_images(images)
        log_queries(found)
        dataset, table, problems = None, ImageTable(np.array(found.paths)), found.problems
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
    return 1 if problems else 0


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
