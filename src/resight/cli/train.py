"""`resight train METHOD`: train, score, write the report."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console

from resight.data.dataset import load_dataset, parse_spec
from resight.data.splits import Dataset
from resight.errors import ConfigError, nearest
from resight.explain import part_similarities
from resight.files import check_output
from resight.methods import METHODS
from resight.ranking import rank
from resight.reports.page import write_page
from resight.reports.tables import scores_table_text
from resight.reports.training import training_page
from resight.scoring import measure
from resight.training import Trained, TrainSettings, read_recipe, train

logger = logging.getLogger(__name__)


def run(arguments: Sequence[str]) -> int:
    """Run `resight train`."""
    name, *flags = arguments or ("",)
    if name in ("-h", "--help"):
        print(
            "usage: resight train METHOD --data SPEC [--source SPEC] [--config RECIPE] [--run FOLDER] [settings]\n"
            f"METHOD is one of {', '.join(METHODS)}; resight train {next(iter(METHODS))} --help lists its settings"
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
    train_and_report(name, load_dataset(*parse_spec(options.data)), settings, options)
    return 0


def train_and_report(name: str, dataset: Dataset, settings: Any, options: TrainSettings) -> Trained:
    """Train, print the scores and write the page; with several processes only the first speaks."""
    log = _Log()
    library = logging.getLogger("resight")
    library.addHandler(log)
    try:
        for note in dataset.notes:
            logger.info(note)
        trained = train(name, dataset, settings, options, claimed=log.open)
    finally:
        library.removeHandler(log)
        log.close()
    if not trained.writes:
        return trained
    if trained.reports:
        Console().print(scores_table_text(trained.reports))
    found = parts = None
    if trained.queries is not None and trained.gallery is not None:
        distance = measure(dataset, options.tracklet)
        found = (trained.queries, trained.gallery, rank(trained.queries, trained.gallery, k=10, distance=distance))
        if trained.queries.vectors.shape[1] == trained.encoder.dim:  # parts of a tracklet's time are no encoder's parts
            parts = part_similarities(*found, trained.encoder)
    page = training_page(
        trained.reports,
        trained.metrics,
        title=f"{name.upper()} on {dataset.name}",
        found=found,
        names=dataset.names,
        parts=parts,
        problems=trained.problems,
        settings={**dataclasses.asdict(options), name: dataclasses.asdict(settings)},
        warnings=log.warnings,
    )
    path = trained.folder / "report.html"
    write_page(path, page)
    print(f"report: {path.resolve()}")
    print(f"encoder: {(trained.folder / 'encoder-best.safetensors').resolve()}")
    return trained


class _Log(logging.Handler):
    """Writes `log.txt`, once the folder is the run's own, and keeps the warnings for the report."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []
        self._before: list[logging.LogRecord] = []
        self._file: logging.Handler | None = None

    def open(self, folder: Path) -> None:
        """Write to a folder from now on, and what was said before."""
        check_output(folder / "log.txt")  # a pipe would wait for its reader
        self._file = _File(folder / "log.txt", encoding="utf-8", errors="backslashreplace")
        self._file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        for record in self._before:
            self._file.handle(record)

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.levelno >= logging.WARNING and message not in self.warnings:
            self.warnings.append(message)
        if self._file is None:
            self._before.append(record)
        else:
            self._file.handle(record)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        super().close()


class _File(logging.FileHandler):
    """A log that a full disk cuts short; the checkpoint, which it stops too, says what to do."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the name is logging's)
        pass

    def close(self) -> None:
        with suppress(OSError):
            super().close()
