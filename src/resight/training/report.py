"""A training as a command runs it: with a log, warnings and the HTML report."""

from __future__ import annotations

import dataclasses
import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from resight.data.dataset import Dataset
from resight.data.verify import describe
from resight.errors import RunError
from resight.files import check_output, printable, write_atomically
from resight.logs import OneLine, one_line
from resight.reports.page import write_page
from resight.reports.training import training_page
from resight.retrieval.explain import part_similarities
from resight.retrieval.protocol import distance_fn
from resight.retrieval.ranking import rank
from resight.training.runs import WARNINGS
from resight.training.train import Trained, TrainSettings, train

logger = logging.getLogger(__name__)

PAGE = "report.html"
"""The name of the report in a run folder."""

_MOST_WARNINGS = 200  # in a run's report; log.txt has all


def train_and_report(
    name: str, dataset: Dataset, settings: Any, options: TrainSettings, *, source: Dataset | None = None
) -> Trained:
    """Train, log to the run folder and write the report there.

    Args:
        name: The name of the method.
        dataset: The data set to train on.
        settings: The method's settings.
        options: The settings of the training.
        source: The data set to adapt from.

    Returns:
        As `train`. Of several processes only the first writes.

    Raises:
        RunError: As `train`, or the run folder is gone before the report is written.
    """
    log = RunLog()
    library = logging.getLogger("resight")
    library.addHandler(log)
    try:
        description = describe(dataset)
        for note in description.notes:
            logger.info("%s", printable(note))
        for warning in description.warnings:
            logger.warning("%s", printable(warning))
        trained = train(name, dataset, settings, options, source=source, claimed=log.open)
    finally:
        library.removeHandler(log)
        log.close()
    if trained.writes:
        _write_page(name, dataset, settings, options, trained, log.warnings)
    return trained


def _write_page(
    name: str, dataset: Dataset, settings: Any, options: TrainSettings, trained: Trained, warnings: list[str]
) -> None:
    ranked = parts = None
    if trained.queries is not None and trained.gallery is not None:
        distance = distance_fn(dataset, options.tracklet)
        ranking = rank(trained.queries, trained.gallery, k=10, distance_fn=distance)
        ranked = (trained.queries, trained.gallery, ranking)
        if (
            trained.queries.embeddings.shape[1] == trained.encoder.dim
        ):  # the temporal parts of a tracklet are no parts of the encoder
            parts = part_similarities(*ranked, trained.encoder)
    page = training_page(
        trained.reports,
        trained.metrics,
        title=f"{name.upper()} on {dataset.name}",
        ranked=ranked,
        names=dataset.names,
        clusters=trained.clusters,
        parts=parts,
        problems=trained.problems,
        settings={**dataclasses.asdict(options), name: dataclasses.asdict(settings)},
        warnings=warnings,
    )
    if not trained.folder.is_dir():
        raise RunError(
            f"{printable(trained.folder)} was removed or renamed before its report was written: there is no report"
        )
    write_page(trained.folder / PAGE, page)


class RunLog(logging.Handler):
    """Writes `log.txt` once the run has claimed its folder; collects the warnings of all sessions for the report."""

    def __init__(self) -> None:
        super().__init__()
        self._warnings: dict[str, None] = {}  # each once, in order
        self._early_records: list[logging.LogRecord] = []  # from before the folder was claimed
        self._file: logging.Handler | None = None
        self._warnings_path: Path | None = None

    @property
    def warnings(self) -> list[str]:
        """The warnings so far, those of earlier sessions first."""
        return list(self._warnings)

    def open(self, folder: Path) -> None:
        """Write to a folder from now on; also write the earlier records."""
        check_output(folder / "log.txt")  # opening a pipe would wait for its reader
        self._file = _LogFile(folder / "log.txt", encoding="utf-8", errors="backslashreplace")
        self._file.setFormatter(OneLine("%(asctime)s %(levelname)s %(message)s"))
        for record in self._early_records:
            self._file.handle(record)
        self._warnings_path = folder / WARNINGS
        self._warnings = dict.fromkeys(_read_warnings(self._warnings_path)) | self._warnings
        self._write_warnings()

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record, and collect it if it is a warning."""
        message = one_line(record.getMessage())
        if record.levelno >= logging.WARNING and message not in self._warnings:
            self._warnings[message] = None
            self._write_warnings()
        if self._file is None:
            self._early_records.append(record)
        else:
            self._file.handle(record)

    def _write_warnings(self) -> None:
        if self._warnings_path is not None and self._warnings:
            with suppress(OSError):  # a full disk also stops the checkpoint, whose error says what to do
                write_atomically(self._warnings_path, json.dumps(self.warnings[:_MOST_WARNINGS], indent=1) + "\n")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        super().close()


def _read_warnings(path: Path) -> list[str]:
    """Read the warnings of earlier sessions; return none for a damaged file."""
    try:
        warnings = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return []
    return [text for text in warnings if isinstance(text, str)] if isinstance(warnings, list) else []


class _LogFile(logging.FileHandler):
    """A log file that ignores a full disk, because the checkpoint's error says what to do."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the name is logging's)
        pass

    def close(self) -> None:
        with suppress(OSError):
            super().close()
