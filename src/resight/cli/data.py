"""`resight data info|verify|merge|synthesize`: inspect a data set, join several, or draw a synthetic one."""

from __future__ import annotations

import dataclasses
import itertools
import logging
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
from resight.data.merged import merge, write_sets
from resight.data.verify import Description, SplitFacts, VerifyReport, describe, verify
from resight.errors import ConfigError, counted, nearest
from resight.files import check_output, expanded, printable
from resight.records import UNKNOWN

ACTIONS = ("info", "verify", "merge", "synthesize")

_LISTED = 10
"""The most entries of a list that are printed; the others are counted."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PrintSettings:
    """What to print.

    Attributes:
        json: Print JSON instead of tables.
        sheet: The PNG file to write a contact sheet to: a row for each of a few people, or for each of a few cameras if
            no person is known. Empty writes none.
        layout: The levels of sub-folders in a folder of crops, such as `person/camera`. From the root down, levels are
            `camera`, `person`, `tracklet`, `split`, or `-` for a level without meaning; `none` gives no level a
            meaning. Empty detects the layout and prints it.
        pattern: A regular expression for the paths in a folder of crops. Its groups, such as `(?P<camera>cam[0-9]+)`,
            are `person`, `camera`, `tracklet`, `frame` and `split`.
    """

    json: bool = False
    sheet: str = ""
    layout: str = ""
    pattern: str = ""


@dataclass(frozen=True)
class MergeSettings:
    """How folders of crops are read that are merged.

    Attributes:
        layout: The levels of sub-folders in each folder of crops; see `resight data info --help`.
        pattern: A regular expression for the paths in each folder of crops, likewise.
    """

    layout: str = ""
    pattern: str = ""


def run(arguments: Sequence[str]) -> int:
    """Run `resight data`."""
    action, *words = arguments or ("",)
    if action in ("-h", "--help"):
        say(
            "usage: resight data info SPEC [settings] | verify SPEC [settings]",
            "       resight data merge FOLDER SPEC SPEC ... | synthesize FOLDER [settings]",
            *textwrap.wrap(f"SPEC is a folder of crops or NAME=PATH, NAME one of {', '.join(DATASETS)}", WIDTH),
            "--layout names the levels of sub-folders in a folder of crops (camera, person, camera/person, ...)",
            "--pattern reads people and cameras from its paths",
        )
        return 0
    if not action:
        raise ConfigError(
            f"resight data needs one of {', '.join(ACTIONS)}: resight data info folder=CROPS, for example"
        )
    if action not in ACTIONS:
        raise ConfigError(f"resight data needs one of {', '.join(ACTIONS)}, found '{action}'{nearest(action, ACTIONS)}")
    spec, flags = (words[0], words[1:]) if words and not words[0].startswith("-") else ("", words)
    if action == "synthesize":
        return _synthesize(spec, flags)
    if action == "merge":
        return _merge(spec, flags)
    (settings,) = read_settings(flags, [PrintSettings], program=f"resight data {action} SPEC")
    if not spec:
        raise ConfigError(f"resight data {action} needs a folder: resight data {action} market1501=PATH, for example")
    folder = folder_settings(settings.layout, settings.pattern, spec)
    _, root = parse_spec(spec, folder)
    if settings.sheet:
        check_output(expanded(settings.sheet), suffix=".png", data=root)  # fails before anything is read
    dataset = open_dataset(spec, folder)
    report = describe(dataset) if action == "info" else verify(dataset)
    if settings.json:
        say_json(dataclasses.asdict(report))
    elif isinstance(report, Description):
        _print_description(report)
    else:
        _print_verify_report(report)
    if settings.sheet:
        from resight.reports.contact_sheets import dataset_sheet  # loads matplotlib's font, which few calls need
        from resight.reports.tiles import write_png

        splits = (dataset.train, dataset.gallery, dataset.query)
        table = next((split for split in splits if len(split)), dataset.train)
        write_png(expanded(settings.sheet), dataset_sheet(table, names=dataset.names))
        logger.info("sheet: %s", printable(expanded(settings.sheet)))
    return 0 if isinstance(report, Description) or report.sound else 1


def _synthesize(folder: str, flags: Sequence[str]) -> int:
    from resight.synthetic import SyntheticSettings, synthesize
    from resight.synthetic.views import VIEWS

    (settings,) = read_settings(flags, [SyntheticSettings], program="resight data synthesize FOLDER")
    if not folder:
        raise ConfigError("resight data synthesize needs a folder to draw into: resight data synthesize people")
    people = synthesize(Path(folder), settings=settings)
    say(
        f"{people.root}: {counted(people.train, 'image')} to train on, {counted(people.query, 'query', 'queries')}, "
        f"{people.gallery:,} in the gallery"
    )
    if settings.views:
        say(f"views, as pictures and structure maps: {people.root / (VIEWS if settings.sites == 1 else '*/' + VIEWS)}")
    if settings.tracklets or settings.sites > 1:
        say(f"read it as {shlex.quote(f'synthetic={folder}')}")
    elif people.train and people.query:  # the layout of Market-1501 needs both splits
        say(f"read it as {shlex.quote(f'./{folder}' if folder in DATASETS else folder)}")
    return 0


def _merge(folder: str, arguments: Sequence[str]) -> int:
    """Write the file that names data sets to train on together."""
    specs = list(itertools.takewhile(lambda word: not word.startswith("-"), arguments))
    (settings,) = read_settings(arguments[len(specs) :], [MergeSettings], program="resight data merge FOLDER SPEC SPEC")
    if not folder or len(specs) < 2:
        raise ConfigError(
            "resight data merge needs a folder for the merged set and two or more sets: resight data merge both "
            "market1501=PATH folder=CROPS"
        )
    of_folders = folder_settings(settings.layout, settings.pattern, *specs)
    named = [parse_spec(spec, of_folders) for spec in specs]
    sets = [(f"{name}={root.resolve()}", of_folders if name == "folder" else None) for name, root in named]
    datasets = [open_dataset(spec, own) for spec, own in sets]  # fails before anything is written
    write_sets(expanded(folder), sets)
    merged = merge(datasets, expanded(folder))
    for note in merged.notes:
        logger.info("%s", printable(note))
    say(
        f"{folder}: {counted(len(merged.train), 'image')} to train on; read it as "
        f"{shlex.quote(f'./{folder}' if folder in DATASETS else folder)}"
    )
    return 0


def _print_verify_report(report: VerifyReport) -> None:
    _print_description(report.description)
    _print_list("not there", report.missing)
    _print_list("cannot be read", [f"{path}: {reason}" for path, reason in report.broken])
    _print_list("very small", [f"{path}: {width} x {height} pixels" for path, width, height in report.small])
    _print_list("like whole frames", [f"{path}: {width} x {height} pixels" for path, width, height in report.frames])
    _print_list("the same bytes twice", [", ".join(group) for group in report.duplicates])
    _print_list("in the training part and in the test part", [", ".join(group) for group in report.leaks])
    say("every image can be read" if report.sound else "some images cannot be used: see above")


def _print_description(description: Description) -> None:
    published = any(facts.published for facts in description.splits.values())
    official = " (in brackets: as published)" if published and not description.official else ""
    # As the table's title, this would be broken to the table's width.
    say(f"{description.name}: {description.root}{official}")
    splits = {split: facts for split, facts in description.splits.items() if facts.images}
    columns = [_column(facts, description.unit) for facts in splits.values()]
    # With a column for each split, not a row, the table fits into 80 characters whatever the counts.
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
    low, median, high = facts.images_per_person
    items, people = facts.published or (facts.images, facts.people)
    by_images = unit == "images" or not facts.published
    return {
        "images": _with_published(facts.images, items) if by_images else f"{facts.images:,}",
        "tracklets": f"{facts.tracklets:,}" if by_images else _with_published(facts.tracklets, items),
        "people": _with_published(facts.people, people),
        "cameras": f"{len(facts.cameras.keys() - {UNKNOWN}):,}",
        "per person": f"{low:,}–{high:,}" if facts.people else "–",
        "median": f"{median:,g}" if facts.people else "–",
        "unlabeled": f"{facts.unlabeled:,}",
        "distractors": f"{facts.distractors:,}",
    }


def _with_published(count: int, published: int) -> str:
    return f"{count:,}" if count == published else f"{count:,} [{published:,}]"


def _print_list(title: str, items: Sequence[str]) -> None:
    if items:
        say(f"{title}: {len(items):,}")
        for item in items[:_LISTED]:
            say(f"  {item}")
        if len(items) > _LISTED:
            say(f"  and {len(items) - _LISTED:,} more (--json lists all)")
