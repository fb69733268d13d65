"""`resight data info|verify|synthesize`: look at data, or draw some."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from resight.config import read_settings
from resight.data.dataset import DATASETS, load_dataset, parse_spec
from resight.data.verify import Description, VerifyReport, describe, verify
from resight.errors import ConfigError, nearest
from resight.files import expanded

ACTIONS = ("info", "verify", "synthesize")

_LISTED = 10
"""Things of one kind that are printed; the others are counted."""


@dataclass(frozen=True)
class DataSettings:
    """What to print.

    Attributes:
        json: Print JSON instead of tables.
        sheet: Where to write a picture of some of the images, a PNG: a row for each of a few people, or of the cameras
            where nobody is known; empty writes none.
    """

    json: bool = False
    sheet: str = ""


def run(arguments: Sequence[str]) -> int:
    """Run `resight data`."""
    action, *words = arguments or ("",)
    if action in ("-h", "--help"):
        print(
            "usage: resight data info SPEC | verify SPEC | synthesize FOLDER [settings]\n"
            f"SPEC is a folder of crops or NAME=PATH, NAME one of {', '.join(DATASETS)}"
        )
        return 0
    if action not in ACTIONS:
        raise ConfigError(f"resight data needs one of {', '.join(ACTIONS)}, found '{action}'{nearest(action, ACTIONS)}")
    where, flags = (words[0], words[1:]) if words and not words[0].startswith("-") else ("", words)
    if action == "synthesize":
        return _synthesize(where, flags)
    (settings,) = read_settings(flags, [DataSettings], program=f"resight data {action} SPEC")
    if not where:
        raise ConfigError(f"resight data {action} needs a folder: resight data {action} market1501=PATH, for example")
    dataset = load_dataset(*parse_spec(where))
    found = describe(dataset) if action == "info" else verify(dataset)
    if settings.sheet:
        from resight.reports.sheets import dataset_sheet  # matplotlib's font, which few calls need
        from resight.reports.tiles import write_png

        parts = (dataset.train, dataset.gallery, dataset.query)
        write_png(expanded(settings.sheet), dataset_sheet(next((part for part in parts if len(part)), dataset.train)))
    if settings.json:
        print(json.dumps(dataclasses.asdict(found)))
    elif isinstance(found, Description):
        _print_description(found)
    else:
        _print_verified(found)
    return 0 if isinstance(found, Description) or found.sound else 1


def _synthesize(where: str, flags: Sequence[str]) -> int:
    from resight.data.synthetic import SyntheticSettings, synthesize

    (settings,) = read_settings(flags, [SyntheticSettings], program="resight data synthesize FOLDER")
    if not where:
        raise ConfigError("resight data synthesize needs a folder to draw into: resight data synthesize people")
    drawn = synthesize(Path(where), settings=settings)
    print(
        f"{drawn.root}: {drawn.train:,} images to train on, {drawn.query:,} queries, {drawn.gallery:,} in the gallery"
    )
    if settings.tracklets:
        print(f"read it as {shlex.quote(f'synthetic={where}')}")
    elif drawn.train and drawn.query:  # the layout asks for both parts
        print(f"read it as {shlex.quote(f'market1501={where}')}")
    return 0


def _print_verified(found: VerifyReport) -> None:
    _print_description(found.description)
    _print_list("not there", found.missing)
    _print_list("cannot be read", [f"{path}: {reason}" for path, reason in found.broken])
    _print_list("very small", [f"{path}: {width} x {height} pixels" for path, width, height in found.small])
    _print_list("the same bytes twice", [", ".join(group) for group in found.duplicates])
    _print_list("in the training part and in the test part", [", ".join(group) for group in found.leaks])
    _print_list("worth knowing", found.warnings)
    print("every image can be read" if found.sound else "some images cannot be used: see above")


def _print_description(description: Description) -> None:
    published = any(facts.published for facts in description.splits.values())
    official = " (in brackets: as published)" if published and not description.official else ""
    table = Table(title=Text(f"{description.name}: {description.root}{official}"), title_justify="left")
    video = any(facts.tracklets for facts in description.splits.values())
    names = ("split", "images", *(("tracklets",) if video else ()), "people", "cameras", "per person", "unlabelled")
    for column in (*names, "distractors"):
        table.add_column(column, justify="left" if column == "split" else "right")
    for split, facts in description.splits.items():
        if not facts.images:
            continue
        low, middle, high = facts.images_per_person
        items, people = facts.published or (facts.images, facts.people)
        by_images = description.unit == "images" or not facts.published
        tracklets = [f"{facts.tracklets:,}" if by_images else _beside(facts.tracklets, items)] if video else []
        table.add_row(
            split,
            _beside(facts.images, items) if by_images else f"{facts.images:,}",
            *tracklets,
            _beside(facts.people, people),
            str(len(facts.cameras)),
            f"{low}–{high}, median {middle:g}" if facts.people else "–",
            f"{facts.unlabelled:,}",
            f"{facts.distractors:,}",
        )
    Console().print(table)
    for note in description.notes:
        print(note)
    if description.unmatched:
        print(
            f"{len(description.unmatched):,} queries have no possible match; an evaluation leaves them out and says so"
        )


def _beside(found: int, published: int) -> str:
    return f"{found:,}" if found == published else f"{found:,} [{published:,}]"


def _print_list(title: str, items: Sequence[str]) -> None:
    if items:
        print(f"{title}: {len(items):,}")
        for item in items[:_LISTED]:
            print(f"  {item}")
        if len(items) > _LISTED:
            print(f"  and {len(items) - _LISTED:,} more (--json lists all)")
