"""Reproduce rows: one run after the other; finished runs are not repeated."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from resight.compute.devices import Devices
from resight.config.renamed import first_data_name
from resight.data.dataset import Dataset
from resight.errors import ResightError, RunError, WeightsError
from resight.files import expanded, write_atomically
from resight.records import Report
from resight.retrieval.protocol import make_evaluator
from resight.thesis.planning import TableRow
from resight.training.runs import Run
from resight.training.train import Trained, train

logger = logging.getLogger(__name__)


def read_row(row: TableRow, out: Path) -> TableRow:
    """Return a planned row with what its run folder holds: its metrics, and its result if it is done.

    Raises:
        RunError: The result is damaged, or was made on other data than the request names.
    """
    if row.options is None:
        return row
    folder = run_folder(row, out)
    row = dataclasses.replace(row, metrics=tuple(Run(folder, writes=False).metrics()))
    path = folder / row.result_name
    if not path.is_file():
        return dataclasses.replace(row, starts=tuple(read_row(start, out) for start in row.starts))
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        roots = {name: facts["root"] for name, facts in result["data"]["sets"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path} is damaged: remove it, and the row runs again") from error
    for name, root in row.roots.items():  # a set that the request does not name stays the one that was read before
        if roots.get(name, root) != root:
            raise RunError(
                f"{folder} was made on {name}={roots[name]}, but the request names {name}={root}: give another folder "
                "with --out, or the same data"
            )
    return dataclasses.replace(row, status="done", reason="", result=result)


def run_folder(row: TableRow, out: Path) -> Path:
    """Return the folder of a row's run."""
    folder = expanded(out) / "runs" / row.key
    former = folder.with_name(row.key.replace(row.data, first_data_name(row.data)))
    return former if former.is_dir() else folder


def run_rows(
    planned: Sequence[TableRow],
    datasets: Mapping[str, Dataset],
    out: Path,
    *,
    numbers: Collection[int],
    report: Callable[[list[TableRow], int], None],
) -> list[TableRow]:
    """Run the pending rows of a table.

    A run that fails is noted, and the next one begins; the same call tries it again.

    Args:
        planned: The rows as `plan_rows` returns them.
        datasets: The data sets by name.
        out: The folder of the results.
        numbers: The numbers of the rows to run; of other rows only the result is read.
        report: Called before the first and after each run with all rows and the index of the one that just ran (-1 at
            first).

    Returns:
        The rows with their status and result, in order.

    Raises:
        RunError: The folder holds results on other data.
    """
    rows = [read_row(row, out) for row in planned]
    report(rows, -1)
    for index, row in enumerate(planned):
        rows[index] = read_row(row, out)  # an equal row above may have run meanwhile
        if rows[index].status == "pending" and row.number in numbers:
            rows[index] = _run_row(row, datasets, out)
            report(rows, index)
    return rows


def _run_row(row: TableRow, datasets: Mapping[str, Dataset], out: Path) -> TableRow:
    """Run a row and the runs that it starts from; return it with its result, or with the reason of a failure."""
    for start in row.starts:
        first = read_row(start, out)
        if first.status == "pending":
            first = _run_row(start, datasets, out)
        if first.status != "done":
            people = start.source if start.method == "source" else start.data
            reason = f"the run on {people} that it starts from: {first.reason}"
            return dataclasses.replace(row, status=first.status, reason=reason)
    try:
        trained, reports = _train_row(row, datasets, out)
    except WeightsError as error:
        return dataclasses.replace(row, status="unavailable", reason=f"no weights: {error}")
    except ResightError as error:
        logger.warning("row %d, %s: %s", row.number, row.printed.name, error)
        return dataclasses.replace(row, status="failed", reason=str(error))
    sets = {}
    for name in row.sets:
        facts = {key: getattr(datasets[name], key) for key in ("official", "counts", "unit")}
        sets[name] = {"root": row.roots[name], **facts, "notes": list(datasets[name].notes)}
    folder, options = run_folder(row, out), row.surroundings
    result = {
        "scores": {which: report.scores for which, report in reports.items()},
        "seconds": sum(float(line["seconds"]) for line in trained.metrics),
        "data": {"spec": options.data + (f" from {options.source}" if row.source else ""), "sets": sets},
        "environment": json.loads((folder / "environment.json").read_text(encoding="utf-8")),
    }
    if trained.writes:
        write_atomically(folder / row.result_name, json.dumps(result, indent=1, default=str) + "\n")
    return read_row(row, out)


def _train_row(row: TableRow, datasets: Mapping[str, Dataset], out: Path) -> tuple[Trained, Mapping[str, Report]]:
    """Train and score a row."""
    start = ",".join(str(run_folder(start, out)) for start in row.starts)
    options = dataclasses.replace(row.training, run=str(run_folder(row, out)), start=start)
    dataset = datasets[row.data]
    if row.transferred:
        trained = train(row.method, datasets[row.source], row.settings, options)
    elif row.scored_separately:
        unscored = dataclasses.replace(dataset, query=dataset.query[:0], gallery=dataset.gallery[:0])
        trained = train(row.method, unscored, row.settings, options)
    else:
        source = datasets[row.source] if row.takes_source else None
        trained = train(row.method, dataset, row.settings, options, source=source)
        return trained, trained.reports
    score = make_evaluator(
        dataset,
        trained.encoder.settings.size,
        devices=Devices(row.surroundings.device),
        flip=row.surroundings.flip,
        tracklet=row.surroundings.tracklet,
    )
    return trained, {} if score is None else {"best": score(trained.encoder)[0]}
