"""Making our values: one run after the other, each kept, none done twice."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resight.compute.devices import Devices
from resight.data.dataset import Dataset
from resight.errors import ResightError, RunError, WeightsError
from resight.files import expanded, write_atomically
from resight.models.encoder import Encoder
from resight.records import Report
from resight.retrieval.protocol import make_evaluator
from resight.thesis.exhibits import load_scale
from resight.thesis.plan import Asked, Job
from resight.training.runs import Run
from resight.training.train import train

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        job: The job.
        state: ``done``, ``left`` (it can be made and is not), ``failed`` or ``cannot``.
        reason: Why it failed or cannot be made.
        result: What its file in the run's folder holds; empty unless done.
        epochs: How many of its epochs are done.
        metrics: A line for each of them.
        before: The keys of the runs that it starts from and that are not done yet.
    """

    job: Job
    state: str
    reason: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    epochs: int = 0
    metrics: tuple[Mapping[str, Any], ...] = ()
    before: tuple[str, ...] = ()


def look(job: Job, out: Path) -> Outcome:
    """Say what is there of a job.

    Raises:
        RunError: It was done on other data than is asked for now.
    """
    if job.options is None:
        return Outcome(job, "cannot", job.reason)
    folder = run_folder(job, out)
    metrics = tuple(Run(folder, writes=False).metrics())
    path = folder / job.result
    if not path.is_file():
        before = tuple(start.key for start in job.starts if look(start, out).state == "left")
        state = "cannot" if job.reason else "left"
        return Outcome(job, state, job.reason, epochs=len(metrics), metrics=metrics, before=before)
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        made = {name: each["root"] for name, each in result["data"]["sets"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path} is damaged: remove it, and the row is made again") from error
    for name, root in job.roots.items():  # a set that is not given now is still what was read before
        if made.get(name, root) != root:
            raise RunError(
                f"{folder} was made on {name}={made[name]}, asked for is {name}={root}: give another folder with "
                "--out, or the same data"
            )
    return Outcome(job, "done", "", result, len(metrics), metrics)


def run_folder(job: Job, out: Path) -> Path:
    """Give where a job's run lies."""
    return expanded(out) / "runs" / job.key


def run_jobs(
    planned: Sequence[Job],
    data: Mapping[str, Dataset],
    out: Path,
    *,
    rows: Collection[int],
    tell: Callable[[list[Outcome], int], None],
) -> list[Outcome]:
    """Make what can be made and is not there yet.

    A run that goes wrong is noted and the next one begins; the same call tries it again.

    Args:
        planned: The jobs of a table.
        data: The data sets, by our names.
        out: Where the runs lie.
        rows: The numbers of those that are made; of the others only what is there is said.
        tell: Is called before the first and after each run, with all outcomes so far and the place of the one that was
            just made (-1 at first).

    Returns:
        What became of each job, in order.

    Raises:
        RunError: The folder holds results on other data.
    """
    outcomes = [look(job, out) for job in planned]
    tell(outcomes, -1)
    for index, job in enumerate(planned):
        outcomes[index] = before = look(job, out)  # an equal row above may have made it meanwhile
        if before.state != "left" or job.number not in rows:
            continue
        outcomes[index] = _made(job, data, out)
        tell(outcomes, index)
    return outcomes


def minutes_left(outcomes: Sequence[Outcome], asked: Asked, rows: Collection[int]) -> tuple[float, str]:
    """Estimate how long the jobs of these rows that are left will take.

    Returns:
        Minutes, and what the estimate stands on.
    """
    wanted = [outcome for outcome in outcomes if outcome.job.number in rows]
    left = {outcome.job.key: outcome for outcome in wanted if outcome.state == "left"}
    scale = load_scale(asked.scale)
    seconds: dict[str, list[float]] = {}
    for outcome in outcomes:
        if outcome.state == "done":
            seconds.setdefault(outcome.job.group.data, []).append(float(outcome.result["seconds"]))
    everything = [value for values in seconds.values() for value in values]
    total = 0.0
    for outcome in left.values():
        same = seconds.get(outcome.job.group.data, everything)
        whole = sum(same) / len(same) / 60 if same else scale.minutes
        total += whole * (1 - min(outcome.epochs / outcome.job.settings.epochs, 1))
    total += scale.minutes * len({key for outcome in left.values() for key in outcome.before})
    basis = (
        f"from {len(everything)} done here"
        if everything
        else f"one takes about {scale.minutes:g} min: {scale.measured}"
    )
    return total, basis


def _made(job: Job, data: Mapping[str, Dataset], out: Path) -> Outcome:
    """Make a job and what it starts from, or say why it went wrong."""
    assert job.options is not None
    folder, dataset = run_folder(job, out), data[job.group.data]
    options = dataclasses.replace(job.training, run=str(folder))
    for start in job.starts:
        before = look(start, out)
        if before.state == "left":
            before = _made(start, data, out)
        if before.state != "done":
            return Outcome(job, before.state, f"the run on {job.source} that it starts from: {before.reason}")
    options = dataclasses.replace(options, start=",".join(str(run_folder(start, out)) for start in job.starts))
    try:
        if job.transferred:
            trained = train(job.ours.method, data[job.source], job.settings, options)
            reports = _scored(job, dataset, trained.encoder)
        elif job.scored_apart:
            bare = dataclasses.replace(dataset, query=dataset.query[:0], gallery=dataset.gallery[:0])
            trained = train(job.ours.method, bare, job.settings, options)
            reports = _scored(job, dataset, trained.encoder)
        else:
            trained = train(job.ours.method, dataset, job.settings, options, source=data.get(job.source))
            reports = trained.reports
    except WeightsError as error:
        return Outcome(job, "cannot", f"no weights: {error}")
    except ResightError as error:
        logger.warning("row %d, %s: %s", job.number, job.row.name, error)
        return Outcome(job, "failed", str(error))
    environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    sets = {name: {"root": job.roots[name], **_described(data[name])} for name in job.sets}
    result = {
        "scores": {which: report.scores for which, report in reports.items()},
        "seconds": sum(float(line["seconds"]) for line in trained.metrics),
        "data": {"spec": job.spec, "sets": sets},
        "environment": environment,
    }
    if trained.writes:
        write_atomically(folder / job.result, json.dumps(result, indent=1, default=str) + "\n")
    return look(job, out)


def _described(dataset: Dataset) -> dict[str, Any]:
    """Say what was read of a data set."""
    facts = {"official": dataset.official, "counts": dataset.counts, "unit": dataset.unit}
    return {**facts, "notes": list(dataset.notes)}


def _scored(job: Job, dataset: Dataset, encoder: Encoder) -> Mapping[str, Report]:
    """Score a trained encoder as the row asks for."""
    assert job.options is not None
    devices, size = Devices(job.options.device), encoder.settings.size
    score = make_evaluator(dataset, size, devices=devices, flip=job.options.flip, tracklet=job.options.tracklet)
    return {} if score is None else {"best": score(encoder)[0]}
