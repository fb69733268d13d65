"""`resight demo`: from unlabeled crops of synthetic people to a report and a first search."""

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
from resight.errors import DataError
from resight.files import expanded, locked, printable, remove_folder, tidy
from resight.models.encoder import load_encoder
from resight.models.packaged import SYNTHETIC
from resight.records import Report
from resight.reports.ranked_lists import draw_query_lists
from resight.reports.tables import scores_table_text
from resight.reports.tiles import write_png
from resight.retrieval.evaluation import evaluate
from resight.retrieval.extraction import extract
from resight.retrieval.ranking import rank
from resight.synthetic import SyntheticSettings, synthesize
from resight.training.train import TrainSettings, read_recipe

PEOPLE = SyntheticSettings(people_train=120, people_test=60, cameras=6, crops=4)
"""The synthetic people of the demo; the demo's seed replaces theirs."""

OUTPUTS = ("people", "run", "search.png")
"""The entries of a demo's folder."""


@dataclass(frozen=True)
class DemoSettings:
    """What the demo does.

    Attributes:
        folder: The folder for people, run and report. An earlier demo in it is replaced.
        seed: The seed of the people and of the training.
        epochs: The number of epochs to train for.
    """

    folder: str = "demo"
    seed: int = 1
    epochs: int = 6


def run(arguments: Sequence[str]) -> int:
    """Run `resight demo`."""
    (demo,) = read_settings(arguments, [DemoSettings], program="resight demo")
    folder = expanded(demo.folder)
    people_settings = replace(PEOPLE, seed=demo.seed)
    method = "ice"
    # The model of the installation knows drawn people already, so a training from it would have nothing to show.
    weights = "--encoder.weights=imagenet"
    flags = [f"--data=market1501={folder / 'people'}", f"--run={folder / 'run'}", f"--seed={demo.seed}", weights]
    settings, options = read_recipe(method, "site", *flags, f"--epochs={demo.epochs}", "--iterations=30")
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder) as handle:
        if handle is None:
            raise DataError(
                f"another demo runs in {printable(folder)}: wait until it has ended, or name another folder"
            )
        _clear(folder)  # last, so that a wrong setting does not cost the earlier demo
        _run_demo(folder, people_settings, method, settings, options)
    return 0


def _run_demo(
    folder: Path, people_settings: SyntheticSettings, method: str, settings: Any, options: TrainSettings
) -> None:
    say("1 drawing people: all people in this demo are synthetic")
    people = synthesize(folder / "people", settings=people_settings)
    dataset = replace(load_dataset("market1501", people.root), name="synthetic people", notes=())
    say(f"  {people.train:,} crops to train on, without their labels; {people.query:,} queries")
    histogram_report, shipped_report = _score("hsv", dataset), _score(SYNTHETIC, dataset)

    say("2 training without labels (ICE, recipe `site`, from ImageNet's weights)")
    trained = train_and_print(method, dataset, settings, options)

    say("3 before and after, compared with a color histogram")
    reports = {
        "color histogram": histogram_report,
        "ImageNet weights": trained.reports["before"],
        "ICE": trained.reports["best"],
        "synthetic, not trained here": shipped_report,
    }
    show(scores_table_text(reports))
    say("`synthetic`, the model of the installation, has learned from people of this very drawing")
    assert trained.queries is not None
    assert trained.gallery is not None
    ranking = rank(trained.queries, trained.gallery, k=10)
    lists = draw_query_lists(trained.queries, trained.gallery, ranking, rows=[0], report=trained.reports["best"])
    write_png(folder / "search.png", lists[0].image)
    say(f"a first search: {(folder / 'search.png').resolve()}")
    say(f"the report:     {(trained.folder / 'report.html').resolve()}")
    say("Now yours: resight train ice --config site --data folder=CROPS --run runs/mine")


def _clear(folder: Path) -> None:
    """Remove an earlier demo and drafts that a killed process left; refuse a folder with anything else in it."""
    tidy(folder)
    names = {path.name for path in folder.iterdir()}
    if names and not (names <= set(OUTPUTS) and (folder / "people" / "dataset.json").is_file()):
        raise DataError(
            f"{printable(folder)} exists and holds more than an earlier demo: name another folder with --folder"
        )
    for path in (folder / name for name in reversed(OUTPUTS)):  # the people, which mark a demo, go last
        if path.is_dir():
            remove_folder(path)
        else:
            path.unlink(missing_ok=True)


def _score(model: str, dataset: Dataset) -> Report:
    """Score a search with a model of the installation."""
    encoder = load_encoder(model)
    queries, gallery = (extract(encoder, table) for table in (dataset.query, dataset.gallery))
    return evaluate(queries, gallery, exclude=dataset.exclude, distractor_id=dataset.distractor_id)
