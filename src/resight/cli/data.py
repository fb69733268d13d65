"""`resight data info|verify|synthesize`: look at data, or draw some."""

from __future__ import annotations

import dataclasses
import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from resight.cli.terminal import say, say_json, show
from resight.config.help import WIDTH
from resight.config.settings import read_settings
from resight.data.catalog import DATASETS, folder_settings, open_dataset, parse_spec
from resight.data.dataset import Unit
from resight.data.verify import Description, SplitFacts, VerifyReport, describe, verify
from resight.errors import ConfigError, counted, nearest
from resight.files import check_output, expanded
from resight.records import UNKNOWN

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
        layout: What the sub-folders of a folder of crops are, from the root down: `camera`, `person`, `tracklet`,
            `split`, `-` for a level that means nothing, with `/` between them, such as `person/camera`; or `none`.
            Empty finds it out, and says what was found.
        pattern: A regular expression for the paths in a folder of crops, with groups such as `(?P<camera>cam[0-9]+)`;
            groups are `person`, `camera`, `tracklet`, `frame` and `split`.
    """

    json: bool = False
    sheet: str = ""
    layout: str = ""
    pattern: str = ""


def run(arguments: Sequence[str]) -> int:
    """Run `resight data`."""
    action, *words = arguments or ("",)
    if action in ("-h", "--help"):
        say(
            "usage: resight data info SPEC [settings] | verify SPEC [settings] | synthesize FOLDER [settings]",
            *textwrap.wrap(f"SPEC is a folder of crops or NAME=PATH, NAME one of {', '.join(DATASETS)}", WIDTH),
            "--layout says what the sub-folders of a folder of crops are (camera, person, camera/person, ...),",
            "--pattern what its file names hold",
        )
        return 0
    if not action:
        raise ConfigError(
            f"resight data needs one of {', '.join(ACTIONS)}: resight data info folder=CROPS, for example"
        )
    if action not in ACTIONS:
        raise ConfigError(f"resight data needs one of {', '.join(ACTIONS)}, found '{action}'{nearest(action, ACTIONS)}")
    where, flags = (words[0], words[1:]) if words and not words[0].startswith("-") else ("", words)
    if action == "synthesize":
        return _synthesize(where, flags)
    (settings,) = read_settings(flags, [DataSettings], program=f"resight data {action} SPEC")
    if not where:
        raise ConfigError(f"resight data {action} needs a folder: resight data {action} market1501=PATH, for example")
    told = folder_settings(settings.layout, settings.pattern, where)
    _, place = parse_spec(where, told)
    if settings.sheet:
        check_output(expanded(settings.sheet), suffix=".png", data=place)  # a mistake is said before anything is read
    dataset = open_dataset(where, told)
    found = describe(dataset) if action == "info" else verify(dataset)
    if settings.json:
        say_json(dataclasses.asdict(found))
    elif isinstance(found, Description):
        _print_description(found)
    else:
        _print_verified(found)
    if settings.sheet:
        from resight.reports.contact_sheets import dataset_sheet  # matplotlib's font, which few calls need
        from resight.reports.tiles import write_png

        parts = (dataset.train, dataset.gallery, dataset.query)
        shown = next((part for part in parts if len(part)), dataset.train)
        write_png(expanded(settings.sheet), dataset_sheet(shown, names=dataset.names))
    return 0 if isinstance(found, Description) or found.sound else 1


def _synthesize(where: str, flags: Sequence[str]) -> int:
    from resight.synthetic import SyntheticSettings, synthesize

    (settings,) = read_settings(flags, [SyntheticSettings], program="resight data synthesize FOLDER")
    if not where:
        raise ConfigError("resight data synthesize needs a folder to draw into: resight data synthesize people")
    drawn = synthesize(Path(where), settings=settings)
    say(
        f"{drawn.root}: {counted(drawn.train, 'image')} to train on, {counted(drawn.query, 'query', 'queries')}, "
        f"{drawn.gallery:,} in the gallery"
    )
    if settings.tracklets:
        say(f"read it as {shlex.quote(f'synthetic={where}')}")
    elif drawn.train and drawn.query:  # the layout asks for both parts
        say(f"read it as {shlex.quote(f'./{where}' if where in DATASETS else where)}")
    return 0


def _print_verified(found: VerifyReport) -> None:
    _print_description(found.description)
    _print_list("not there", found.missing)
    _print_list("cannot be read", [f"{path}: {reason}" for path, reason in found.broken])
    _print_list("very small", [f"{path}: {width} x {height} pixels" for path, width, height in found.small])
    _print_list("like whole frames", [f"{path}: {width} x {height} pixels" for path, width, height in found.frames])
    _print_list("the same bytes twice", [", ".join(group) for group in found.duplicates])
    _print_list("in the training part and in the test part", [", ".join(group) for group in found.leaks])
    say("every image can be read" if found.sound else "some images cannot be used: see above")


def _print_description(description: Description) -> None:
    published = any(facts.published for facts in description.splits.values())
    official = " (in brackets: as published)" if published and not description.official else ""
    # Not the table's title, which would be broken to the table's width.
    say(f"{description.name}: {description.root}{official}")
    splits = {split: facts for split, facts in description.splits.items() if facts.images}
    columns = [_column(facts, description.unit) for facts in splits.values()]
    # A column for each split, and not a row: that fits into 80 characters, whatever the counts.
    table = Table()
    table.add_column("split")
    for split in splits:
        table.add_column(split, justify="right", no_wrap=True)
    for name in columns[0] if columns else ():
        if name != "tracklets" or any(facts.tracklets for facts in splits.values()):
            table.add_row(name, *(column[name] for column in columns))
    show(table)
    for note in description.notes:
        say(note)
    _print_list("worth knowing", description.warnings)


def _column(facts: SplitFacts, unit: Unit) -> dict[str, str]:
    low, middle, high = facts.images_per_person
    items, people = facts.published or (facts.images, facts.people)
    by_images = unit == "images" or not facts.published
    return {
        "images": _beside(facts.images, items) if by_images else f"{facts.images:,}",
        "tracklets": f"{facts.tracklets:,}" if by_images else _beside(facts.tracklets, items),
        "people": _beside(facts.people, people),
        "cameras": f"{len(facts.cameras.keys() - {UNKNOWN}):,}",
        "per person": f"{low:,}–{high:,}" if facts.people else "–",
        "median": f"{middle:,g}" if facts.people else "–",
        "unlabeled": f"{facts.unlabeled:,}",
        "distractors": f"{facts.distractors:,}",
    }


def _beside(found: int, published: int) -> str:
    return f"{found:,}" if found == published else f"{found:,} [{published:,}]"


def _print_list(title: str, items: Sequence[str]) -> None:
    if items:
        say(f"{title}: {len(items):,}")
        for item in items[:_LISTED]:
            say(f"  {item}")
        if len(items) > _LISTED:
            say(f"  and {len(items) - _LISTED:,} more (--json lists all)")
