"""`resight train METHOD`: train, score, and write the report."""

from __future__ import annotations

import itertools
import logging
import textwrap
from collections.abc import Sequence
from typing import Any

from resight.cli.terminal import say, show
from resight.config.help import WIDTH
from resight.config.recipes import find_recipe, load_recipe, shipped_paths
from resight.config.settings import recipes_of
from resight.data.catalog import open_dataset
from resight.data.clusters_csv import CLUSTERS
from resight.data.dataset import Dataset
from resight.errors import ConfigError, nearest
from resight.methods import METHODS
from resight.models.encoder_settings import DEFAULT_BACKBONE
from resight.reports.tables import scores_table_text
from resight.training.report import PAGE, train_and_report
from resight.training.train import Trained, TrainSettings, read_flags

logger = logging.getLogger(__name__)

SMALL = 2**14
"""The most pixels of an image with which a training of the default length is possible without a GPU."""


def run(arguments: Sequence[str]) -> int:
    """Run `resight train`."""
    name, *flags = arguments or ("",)
    if name in ("-h", "--help"):
        say(
            "usage: resight train METHOD --data SPEC [--source SPEC] [--from MODEL] [--config RECIPE] [--run FOLDER] "
            "[settings]",
            *textwrap.wrap(f"METHOD is one of {', '.join(METHODS)}", WIDTH),
            "resight train ice --help lists the first settings, resight recipes the recipes",
        )
        return 0
    if name not in METHODS:
        raise ConfigError(
            f"resight train needs a method, found '{name}'{nearest(name, METHODS)} (known: {', '.join(METHODS)}); "
            f"then settings: resight train {next(iter(METHODS))} --print_config"
        )
    check_from(flags)
    settings, options = read_flags(name, "", flags)
    if not options.data:
        raise ConfigError(
            "resight train needs images: --data folder=CROPS, or market1501=PATH (see resight data --help)"
        )
    dataset = open_data(options)
    for warning in _warnings(name, settings, options, recipes_of(flags)):
        logger.warning(warning)
    train_and_print(name, dataset, settings, options)
    return 0


def check_from(flags: Sequence[str]) -> None:
    """Check that ``--from`` names a model.

    Raises:
        ConfigError: ``--start`` is given, or ``--from`` without a model.
    """
    for flag, value in itertools.pairwise([*flags, "--"]):
        if flag.partition("=")[0] == "--start":
            raise ConfigError("--start is called --from now: --from MODEL")
        if flag in ("--from", "--from=") and (flag == "--from=" or value.startswith("--")):
            raise ConfigError("--from needs a model: a run folder or an encoder file (resight train makes one)")


def open_data(options: TrainSettings) -> Dataset:
    """Load the data set to train on."""
    return open_dataset(options.data, options.folder_settings(options.source))


def _warnings(name: str, settings: Any, options: TrainSettings, recipes: Sequence[str]) -> list[str]:
    """Return warnings about a training without a recipe, or with a recipe of another method."""
    loaded = [load_recipe(find_recipe(recipe)) for recipe in recipes]
    if loaded:
        return [
            f"{recipe.name} is a recipe of {recipe.method} ({recipe.command}): {name} takes what it sets, and its own "
            "numbers for the rest"
            for recipe in loaded
            if recipe.method in METHODS and METHODS[recipe.method].build != METHODS[name].build
        ]
    encoder = settings.encoder
    fixed = settings.iterations and not getattr(settings, "passes", 0)
    steps = f"{settings.epochs * settings.iterations:,} steps" if fixed else f"{settings.epochs} epochs"
    batch = settings.identities * settings.images
    downloads = not options.start and encoder.weights == "imagenet" and encoder.backbone != DEFAULT_BACKBONE
    download = ", weights to download" if downloads else ""
    own_recipes = [recipe for recipe in map(load_recipe, shipped_paths()) if name in recipe.methods]
    sites = [recipe for recipe in own_recipes if recipe.method == name and "site" in recipe.name]
    advice = f"; --config {sites[-1].name}: {sites[-1].purpose}" if sites else ""
    return [
        f"no --config: {name} has its default settings, {encoder.backbone}{download}, {steps} of {batch} images of "
        f"{encoder.height} x {encoder.width}{', which needs a GPU' if encoder.height * encoder.width > SMALL else ''}"
        f"{advice}{f' (resight recipes {name} lists all)' if own_recipes else ''}"
    ]


def train_and_print(name: str, dataset: Dataset, settings: Any, options: TrainSettings) -> Trained:
    """Train; print the scores and the paths of the results. Of several processes only the first prints."""
    trained = train_and_report(name, dataset, settings, options)
    if not trained.writes:
        return trained
    if trained.reports:
        show(scores_table_text(trained.reports))
        say(f"best: the epoch selected by {options.select}")
        before, best = (round(100 * trained.reports[which].scores["mAP"], 1) for which in ("before", "best"))
        if best < before:
            logger.warning("the training made the scores worse: mAP %.1f before, %.1f after", before, best)
    say(f"report: {(trained.folder / PAGE).resolve()}")
    if trained.clusters is not None:
        say(f"clusters: {(trained.folder / CLUSTERS).resolve()}")
    say(f"encoder: {(trained.folder / 'encoder-best.safetensors').resolve()}")
    return trained
