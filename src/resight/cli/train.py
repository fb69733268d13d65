"""`resight train METHOD`: train, score, write the report."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from resight.cli.terminal import OneLine, one_line, say, show
from resight.config.recipes import find_recipe, load_recipe, shipped_paths
from resight.config.settings import recipes_of
from resight.data.catalog import folder_settings, open_dataset
from resight.data.clusters_csv import CLUSTERS
from resight.data.dataset import Dataset
from resight.data.verify import describe
from resight.errors import ConfigError, RunError, nearest
from resight.files import check_output, printable, write_atomically
from resight.methods import METHODS
from resight.models.encoder_settings import DEFAULT_BACKBONE
from resight.reports.page import write_page
from resight.reports.tables import scores_table_text
from resight.reports.training import training_page
from resight.retrieval.explain import part_similarities
from resight.retrieval.protocol import distance_fn
from resight.retrieval.ranking import rank
from resight.training.runs import WARNINGS
from resight.training.train import Trained, TrainSettings, read_recipe, train

logger = logging.getLogger(__name__)

_MOST_WARNINGS = 200  # that a run remembers; log.txt has all


def run(arguments: Sequence[str]) -> int:
    """Run `resight train`."""
    name, *flags = arguments or ("",)
    if name in ("-h", "--help"):
        say(
            "usage: resight train METHOD --data SPEC [--source SPEC] [--config RECIPE] [--run FOLDER] [settings]",
            f"METHOD is one of {', '.join(METHODS)}",
            "resight train ice --help says what is set first, resight recipes which recipes there are",
        )
        return 0
    if name not in METHODS:
        raise ConfigError(
            f"resight train needs a method, found '{name}'{nearest(name, METHODS)} (known: {', '.join(METHODS)}); "
            f"then settings: resight train {next(iter(METHODS))} --print_config"
        )
    settings, options = read_recipe(name, "", *flags)
    if not options.data:
        raise ConfigError(
            "resight train needs images: --data folder=CROPS, or market1501=PATH (see resight data --help)"
        )
    dataset = open_data(options)
    for warning in _warnings(name, settings, options, recipes_of(flags)):
        logger.warning(warning)
    train_and_report(name, dataset, settings, options)
    return 0


def open_data(options: TrainSettings) -> Dataset:
    """Read what is trained on."""
    return open_dataset(options.data, folder_settings(options.layout, options.pattern, options.data, options.source))


def _warnings(name: str, settings: Any, options: TrainSettings, recipes: Sequence[str]) -> list[str]:
    """Say what a training without a recipe, or with another method's, is about to do."""
    known = [load_recipe(find_recipe(recipe)) for recipe in recipes]
    strange = [recipe for recipe in known if recipe.method in METHODS and METHODS[recipe.method][0] != METHODS[name][0]]
    if known:
        return [
            f"{recipe.name} is a recipe of {recipe.method} ({recipe.command}): {name} takes what it sets, and its own "
            "numbers for the rest"
            for recipe in strange
        ]
    encoder = settings.encoder
    steps = f"{settings.epochs * settings.iterations:,} steps" if settings.iterations else f"{settings.epochs} epochs"
    batch = settings.identities * settings.images
    asked = not options.start and encoder.weights == "imagenet" and encoder.backbone != DEFAULT_BACKBONE
    download = ", weights to download" if asked else ""
    sites = [recipe for recipe in map(load_recipe, shipped_paths()) if recipe.method == name and "site" in recipe.name]
    instead = f"; --config {sites[-1].name}: {sites[-1].purpose}" if sites else ""
    return [
        f"no --config, so {name} has the thesis' numbers: {encoder.backbone}{download}, {steps} of {batch} images of "
        f"{encoder.height} x {encoder.width}, which asks for a GPU{instead} (resight recipes {name} lists all)"
    ]


def train_and_report(name: str, dataset: Dataset, settings: Any, options: TrainSettings) -> Trained:
    """Train, print the scores and write the page; with several processes only the first speaks."""
    log = _Log()
    library = logging.getLogger("resight")
    library.addHandler(log)
    try:
        description = describe(dataset)
        for note in description.notes:
            logger.info("%s", printable(note))
        for warning in description.warnings:
            logger.warning("%s", printable(warning))
        trained = train(name, dataset, settings, options, claimed=log.open)
    finally:
        library.removeHandler(log)
        log.close()
    if not trained.writes:
        return trained
    if trained.reports:
        show(scores_table_text(trained.reports))
    found = parts = None
    if trained.queries is not None and trained.gallery is not None:
        distance = distance_fn(dataset, options.tracklet)
        found = (trained.queries, trained.gallery, rank(trained.queries, trained.gallery, k=10, distance_fn=distance))
        if (
            trained.queries.embeddings.shape[1] == trained.encoder.dim
        ):  # parts of a tracklet's time are no encoder's parts
            parts = part_similarities(*found, trained.encoder)
    page = training_page(
        trained.reports,
        trained.metrics,
        title=f"{name.upper()} on {dataset.name}",
        found=found,
        names=dataset.names,
        clusters=trained.clusters,
        parts=parts,
        problems=trained.problems,
        settings={**dataclasses.asdict(options), name: dataclasses.asdict(settings)},
        warnings=log.warnings,
    )
    if not trained.folder.is_dir():
        raise RunError(f"{printable(trained.folder)} was removed or renamed as its report was made: nothing is written")
    path = trained.folder / "report.html"
    write_page(path, page)
    say(f"report: {path.resolve()}")
    if trained.clusters is not None:
        say(f"clusters: {(trained.folder / CLUSTERS).resolve()}")
    say(f"encoder: {(trained.folder / 'encoder-best.safetensors').resolve()}")
    return trained


class _Log(logging.Handler):
    """Writes `log.txt`, once the folder is the run's own, and keeps the warnings of all its sessions for the report."""

    def __init__(self) -> None:
        super().__init__()
        self._warnings: dict[str, None] = {}  # each once, in order
        self._before: list[logging.LogRecord] = []
        self._file: logging.Handler | None = None
        self._kept: Path | None = None

    @property
    def warnings(self) -> list[str]:
        """The warnings so far, those of earlier sessions first."""
        return list(self._warnings)

    def open(self, folder: Path) -> None:
        """Write to a folder from now on, and what was said before."""
        check_output(folder / "log.txt")  # a pipe would wait for its reader
        self._file = _File(folder / "log.txt", encoding="utf-8", errors="backslashreplace")
        self._file.setFormatter(OneLine("%(asctime)s %(levelname)s %(message)s"))
        for record in self._before:
            self._file.handle(record)
        self._kept = folder / WARNINGS
        self._warnings = dict.fromkeys(_earlier(self._kept)) | self._warnings
        self._keep()

    def emit(self, record: logging.LogRecord) -> None:
        message = one_line(record.getMessage())
        if record.levelno >= logging.WARNING and message not in self._warnings:
            self._warnings[message] = None
            self._keep()
        if self._file is None:
            self._before.append(record)
        else:
            self._file.handle(record)

    def _keep(self) -> None:
        if self._kept is not None and self._warnings:
            with suppress(OSError):  # of a full disk; the checkpoint, which it stops too, says what to do
                write_atomically(self._kept, json.dumps(self.warnings[:_MOST_WARNINGS], indent=1) + "\n")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        super().close()


def _earlier(path: Path) -> list[str]:
    """Read the warnings of earlier sessions; of a damaged file, none."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return []
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []


class _File(logging.FileHandler):
    """A log that a full disk cuts short; the checkpoint, which it stops too, says what to do."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the name is logging's)
        pass

    def close(self) -> None:
        with suppress(OSError):
            super().close()
