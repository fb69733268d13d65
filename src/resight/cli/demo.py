"""`resight demo`: the whole job on drawn people, from unlabeled crops to a report and a first search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from resight.cli.terminal import say, show
from resight.cli.train import train_and_print
from resight.config.settings import read_settings
from resight.data.catalog import load_dataset
from resight.data.dataset import Dataset
from resight.data.image_store import load_images
from resight.errors import DataError
from resight.files import expanded, locked, printable, remove_folder, tidy
from resight.records import Features, Report
from resight.reports.ranked_lists import query_strips
from resight.reports.tables import scores_table_text
from resight.reports.tiles import write_png
from resight.retrieval.evaluation import evaluate
from resight.retrieval.ranking import rank
from resight.synthetic import SyntheticSettings, stripe_histogram, synthesize
from resight.training.train import TrainSettings, read_recipe

PEOPLE = SyntheticSettings(people_train=120, people_test=60, cameras=6, crops=4)
"""The people of the demo, but for their seed."""

PARTS = ("people", "run", "search.png")
"""What a demo leaves in its folder."""


@dataclass(frozen=True)
class DemoSettings:
    """What the demo does.

    Attributes:
        folder: Where people, run and report go; an earlier demo there is replaced.
        seed: Of the people and of the training.
        epochs: How long to train.
    """

    folder: str = "demo"
    seed: int = 1
    epochs: int = 6


def run(arguments: Sequence[str]) -> int:
    """Run `resight demo`."""
    (demo,) = read_settings(arguments, [DemoSettings], program="resight demo")
    folder = expanded(demo.folder)
    drawn = replace(PEOPLE, seed=demo.seed)
    name = "ice"
    flags = [f"--data=market1501={folder / 'people'}", f"--run={folder / 'run'}", f"--seed={demo.seed}"]
    settings, options = read_recipe(name, "site", *flags, f"--epochs={demo.epochs}", "--iterations=30")
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder) as handle:
        if handle is None:
            raise DataError(
                f"another demo runs in {printable(folder)}: wait until it has ended, or name another folder"
            )
        _clear(folder)  # the last thing before the work: a mistake above costs no earlier demo
        _show(folder, drawn, name, settings, options)
    return 0


def _show(folder: Path, drawn: SyntheticSettings, name: str, settings: Any, options: TrainSettings) -> None:
    say("1 drawing people: nobody in this demo exists")
    people = synthesize(folder / "people", settings=drawn)
    dataset = replace(load_dataset("market1501", people.root), name="drawn people", notes=())
    say(f"  {people.train:,} crops to train on, without their labels; {people.query:,} queries")
    colors = _histogram(dataset)

    say("2 training without labels (ICE, recipe `site`)")
    trained = train_and_print(name, dataset, settings, options)

    say("3 before and after, beside a color histogram")
    rows = {"color histogram": colors, "ImageNet weights": trained.reports["before"], "ICE": trained.reports["best"]}
    show(scores_table_text(rows))
    assert trained.queries is not None
    assert trained.gallery is not None
    ranking = rank(trained.queries, trained.gallery, k=10)
    first = query_strips(trained.queries, trained.gallery, ranking, rows=[0], report=trained.reports["best"])
    write_png(folder / "search.png", first[0].image)
    say(f"a first search: {(folder / 'search.png').resolve()}")
    say(f"the report:     {(trained.folder / 'report.html').resolve()}")
    say("Now yours: resight train ice --config site --data folder=CROPS --run runs/mine")


def _clear(folder: Path) -> None:
    """Remove an earlier demo, and nothing else; what a kill left half drawn is none of it."""
    tidy(folder)
    found = {path.name for path in folder.iterdir()}
    if found and not (found <= set(PARTS) and (folder / "people" / "dataset.json").is_file()):
        raise DataError(
            f"{printable(folder)} exists and holds more than an earlier demo: name another folder with --folder"
        )
    for part in (folder / name for name in reversed(PARTS)):  # the people, by which a demo is known, go last
        if part.is_dir():
            remove_folder(part)
        else:
            part.unlink(missing_ok=True)


def _histogram(dataset: Dataset) -> Report:
    """Score what colors alone give."""
    sides = []
    for table in (dataset.query, dataset.gallery):
        store = load_images(table, (PEOPLE.height, PEOPLE.width))
        sides.append(Features(table, stripe_histogram(store.pixels), "stripe histogram"))
    return evaluate(sides[0], sides[1], exclude=dataset.exclude, distractor_id=dataset.distractor_id)
