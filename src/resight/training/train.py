"""Training: the loop over epochs, and its setup from settings."""

from __future__ import annotations

import dataclasses
import logging
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from resight.compute.devices import Devices, DeviceSettings
from resight.config.settings import read_settings, requests_of, write_settings
from resight.config.types import check_types
from resight.data.catalog import open_dataset
from resight.data.clusters_csv import CLUSTERS, Clusters, clusters_csv, read_clusters
from resight.data.crops import fits_memory, load_crops, open_crops
from resight.data.dataset import DATASET, Dataset
from resight.data.fingerprint import content_digest
from resight.data.settings import DataSettings
from resight.data.tracklets import TrackletSettings
from resight.data.validation import split_validation
from resight.errors import ConfigError, check_given, check_least, nearest
from resight.files import check_outside, expanded
from resight.methods import METHODS, MethodSpec
from resight.methods.protocol import Method
from resight.models.encoder import Encoder, load_encoder
from resight.progress import progress
from resight.records import Features, ImageTable, Report
from resight.retrieval.protocol import RankBy, make_evaluator
from resight.training.runs import Run, environment
from resight.training.selection import SELECT, Select, is_best
from resight.training.starts import load_starts, split_starts

logger = logging.getLogger(__name__)

FIRST = (
    "data",
    "source",
    "config",
    "run",
    "start",
    "structure",
    "epochs",
    "identities",
    "images",
    "cluster.eps",
    "encoder.backbone",
    "encoder.weights",
    "validation_people",
    "device.accelerator",
)
"""The settings that the help lists, as far as the method has them."""


@dataclass(frozen=True)
class TrainSettings(DataSettings):
    """The settings of a training besides the method's: data, run folder, selection, device.

    Attributes:
        data: The data set: `name=PATH` or a path; see `resight data info`.
        source: A second, labeled data set to adapt from, for methods that take one; empty for none.
        run: The run folder. Rerun the same command to resume an interrupted run.
        seed: The seed of all random numbers.
        variant: The method's defaults: `code` as in the authors' code, or `thesis` as printed. Settings that you give
            override them.
        start: A run folder or an encoder file to start from; empty starts from the backbone's weights. For the two
            networks of `mmt`, two with a comma between them.
        validation_people: The number of people to hold out of the training part and to score instead of the test
            people.
        eval_every: Score after every this many epochs; 0 scores only before and after the training.
        select: The rule for selecting the best epoch. `stability` needs no labels: the last epoch whose stability x
            coverage of the clusters is at least 90 % of the run's best. `last`, `validation` (best mAP on the held-out
            people) or `test` (best mAP on the test people, as in the thesis).
        flip: Whether scores add the features of the mirrored images.
        rank_by: What scores rank by: `appearance`, or `joint` for the similarity of appearance and time between cameras
            (JVTC+), which needs the camera and the frame number of every image.
        tracklet: How the frames of a tracklet become one vector for the scores, on sets of tracklets; training takes
            single frames.
        device: The device to run on.
    """

    source: str = ""
    run: str = "runs/last"
    seed: int = 1
    variant: Literal["code", "thesis"] = "code"
    start: str = ""
    validation_people: int = 0
    eval_every: int = 0
    select: Literal["stability", "last", "validation", "test"] = "stability"
    flip: bool = False
    rank_by: RankBy = "appearance"
    tracklet: TrackletSettings = field(default_factory=TrackletSettings)
    device: DeviceSettings = field(default_factory=DeviceSettings)

    def __post_init__(self) -> None:
        check_types(self)
        check_least(self, 0, "seed", "validation_people", "eval_every")
        if self.select == "validation" and not self.validation_people:
            raise ConfigError("select validation needs people to validate on: set validation_people, 60 for example")
        if self.select in ("validation", "test") and not self.eval_every:
            raise ConfigError(f"select {self.select} needs scores of epochs: set eval_every, 1 for every epoch")
        if self.select == "test" and self.validation_people:
            raise ConfigError("select test and validation_people exclude each other: the held-out people are scored")


@dataclass(frozen=True)
class Trained:
    """The results of a finished run.

    Attributes:
        folder: The run folder.
        encoder: The encoder of the best epoch.
        reports: The scores `before`, `last` and `best`; empty if the data set has no queries.
        metrics: A line for each epoch.
        problems: The images that could not be read, with the reason.
        queries: The queries' embeddings by the best encoder; None if the data set has no queries.
        gallery: The gallery's embeddings by the best encoder, likewise.
        clusters: The clusters that the best epoch learned from; None if the method learned from labels.
        writes: Whether this process writes files; of several processes only the first does.
    """

    folder: Path
    encoder: Encoder
    reports: Mapping[str, Report]
    metrics: tuple[Mapping[str, Any], ...]
    problems: tuple[tuple[str, str], ...]
    queries: Features | None = None
    gallery: Features | None = None
    clusters: Clusters | None = None
    writes: bool = True


def train(
    name: str,
    dataset: Dataset,
    settings: Any = None,
    options: TrainSettings | None = None,
    *,
    source: Dataset | None = None,
    claimed: Callable[[Path], None] | None = None,
) -> Trained:
    """Train a method on a data set, or resume an interrupted run.

    Args:
        name: The method, a key of `METHODS`.
        dataset: The data set to train on; scored if it has queries and a gallery.
        settings: The method's settings; if None, the defaults of `options.variant`.
        options: The settings of the training.
        source: The data set to adapt from; if None, `options.source` is loaded.
        claimed: Called with the run folder once this run has claimed it; nothing is written there before.

    Returns:
        The encoder, the scores and the run folder.

    Raises:
        ConfigError: The method or a setting is unknown, or a source or a second start is given that it does not take.
        RunError: The run folder holds something else, or another process trains in it.
    """
    spec = _find_method(name)
    options = TrainSettings() if options is None else options
    check_given("dataset", dataset, Dataset, DATASET)
    check_given("options", options, TrainSettings, "TrainSettings(...)")
    check_given("settings", settings, (spec.settings, type(None)), f"{spec.settings.__name__}(...), which {name} takes")
    check_given("source", source, (Dataset, type(None)), DATASET)
    if not options.run:
        raise ConfigError("run must name a folder, runs/mine for example")
    settings = settings or read_recipe(name, "", f"--variant={options.variant}")[0]
    starts = split_starts(options.start)
    _check_arguments(name, spec, {"source": bool(source or options.source), "peer": len(starts) > 1})
    if source is None and options.source:
        source = open_dataset(options.source, options.folder_settings(options.source))
    devices = Devices(options.device)
    if options.validation_people:
        dataset = split_validation(dataset, options.validation_people)
    for data in (dataset, source):
        if data is not None:
            check_outside(expanded(options.run), data.root)
    run = Run(Path(options.run), seed=options.seed, writes=devices.rank == 0)
    with run.lock():
        arguments: dict[str, Any] = {}
        if starts:
            encoders = load_starts(starts, settings.encoder)
            settings = dataclasses.replace(settings, encoder=encoders[0].settings)
            arguments = dict(zip(("encoder", "peer"), encoders, strict=False))
        run.claim(write_settings([options, settings]))
        if claimed is not None and run.writes:
            claimed(run.folder)
        devices.warn_if_cpu_busy()
        # The frames of many videos do not fit into memory, and an epoch needs few of them.
        in_memory = dataset.unit == "images" or fits_memory(len(dataset.train), settings.encoder.size)
        images = (load_crops if in_memory else open_crops)(dataset.train, settings.encoder.size)
        if source is not None:
            arguments["source"] = load_crops(source.train, settings.encoder.size)
        tables = [images.table, dataset.query, dataset.gallery, *([] if source is None else [source.train])]
        run.images = devices.broadcast(content_digest(*tables) if devices.rank == 0 else "")
        seed_epoch(options.seed, 0)
        method: Method = spec.build(settings, images, devices=devices, seed=options.seed, **arguments)
        if source is None and getattr(getattr(settings, "cluster", None), "source_weight", 0.0) > 0:
            logger.warning("cluster.source_weight has no effect: this training has no source")
        run.write(
            "environment.json",
            {**environment(), **devices.describe(), "weights": dataclasses.asdict(method.encoder.provenance)},
        )
        logger.info("on %(device)s: training in %(training)s, embedding in %(inference)s", devices.describe())
        score = make_evaluator(
            dataset,
            settings.encoder.size,
            devices=devices,
            flip=options.flip,
            tracklet=options.tracklet,
            rank_by=options.rank_by,
        )
        reports = {} if score is None else {"before": score(method.encoder)[0]}
        fit(
            method,
            run,
            epochs=settings.epochs,
            iterations=None if getattr(settings, "passes", 0) else settings.iterations or None,
            evaluate=None if score is None else (lambda trained: score(trained.encoder)[0]),
            eval_every=options.eval_every,
            select=SELECT[options.select],
            on_best=lambda trained: _write_clusters(run, trained, images.table, dataset.names),
        )
        devices.barrier()
        best, last = load_encoder(run.folder), load_encoder(run.folder, which="last")
        queries = gallery = None
        if score is not None:
            best_report, queries, gallery = score(best)
            reports["last"] = best_report if best.digest() == last.digest() else score(last)[0]
            reports["best"] = best_report
        run.write("report.json", {which: report.to_json() for which, report in reports.items()})
        problems = images.problems + (arguments["source"].problems if source is not None else ())
        clusters = None
        if method.clusters is not None and (run.folder / CLUSTERS).is_file():  # the best epoch may not have clustered
            clusters = read_clusters(run.folder / CLUSTERS, images.table)
        metrics = tuple(run.metrics())
        return Trained(run.folder, best, reports, metrics, problems, queries, gallery, clusters, run.writes)


def _write_clusters(run: Run, method: Method, table: ImageTable, names: Mapping[str, Sequence[str]]) -> None:
    """Write the clusters that an epoch learned from, if the method clusters."""
    labels = method.clusters
    if labels is not None:
        run.write(CLUSTERS, clusters_csv(Clusters(table, labels.labels, labels.margins), names))


def read_recipe(method: str, recipe: str = "", *flags: str) -> tuple[Any, TrainSettings]:
    """Read the settings that `train` takes from a recipe.

    Args:
        method: A key of `METHODS`.
        recipe: A YAML file or the name of a recipe of the installation, ``"site"`` for example.
        flags: Changes to the recipe, as on the command line: ``"--epochs=5"``.

    Returns:
        The method's settings, and the settings of the training.

    Raises:
        ConfigError: Something is unknown or out of range, or a flag requests help.
    """
    for name, text in (("recipe", recipe), *(("flags", flag) for flag in flags)):
        check_given(name, text, (str, os.PathLike), "text: read_recipe('ice', 'site', '--epochs=5')")
    if printing := requests_of(flags):
        raise ConfigError(f"{printing[0]} is for the command line: read_recipe returns settings and prints none")
    return read_flags(method, recipe, flags)


def read_flags(method: str, recipe: str, flags: Sequence[str]) -> tuple[Any, TrainSettings]:
    """Read the settings that `train` takes from a recipe and the flags of a command.

    Args:
        method: A key of `METHODS`.
        recipe: As for `read_recipe`.
        flags: Words of the command line; ``--help`` and ``--print_config`` print.

    Returns:
        As `read_recipe`.

    Raises:
        ConfigError: Something is unknown or out of range.
        SystemExit: The help or the settings were requested, and are printed.
    """
    spec = _find_method(method)
    arguments = [f"--config={recipe}", *flags] if recipe else list(flags)
    program, classes = f"resight train {method}", [TrainSettings, spec.settings]
    options, settings = read_settings(arguments, classes, program=program, variants=spec.variants, first=FIRST)
    return settings, options


def _find_method(name: str) -> MethodSpec:
    check_given("the method", name, str, f"one of {', '.join(METHODS)}")
    if name not in METHODS:
        raise ConfigError(f"no method is called '{name}'{nearest(name, METHODS)} (known: {', '.join(METHODS)})")
    return METHODS[name]


def fit(
    method: Method,
    run: Run,
    *,
    epochs: int,
    iterations: int | None = None,
    evaluate: Callable[[Method], Report] | None = None,
    eval_every: int = 0,
    select: Select | None = None,
    on_best: Callable[[Method], None] | None = None,
) -> None:
    """Train a method for some epochs, from the epoch at which the run folder stopped.

    Args:
        method: The method to train.
        run: The run folder to write to.
        epochs: The total number of epochs.
        iterations: The number of steps of an epoch, if known, for the progress bar's estimate.
        evaluate: Scores the method every ``eval_every`` epochs.
        eval_every: The number of epochs between two scores; 0 never scores.
        select: The rule for selecting the best epoch. An epoch without a number is the best only until another has
            one. Without a rule the last epoch is the best.
        on_best: Called after an epoch that is the best so far, before it is saved.
    """
    start = run.resume(method)
    if start:
        done = f"has all {epochs} epochs" if start >= epochs else f"resumes after epoch {start}"
        logger.info("%s %s", run.name, done)
    for epoch in range(start, epochs):
        seed_epoch(run.seed, epoch)
        for batch in progress(method.begin_epoch(epoch), f"epoch {epoch + 1} of {epochs}", total=iterations):
            run.meter(method.step(batch), images=len(batch))
        values = method.end_epoch()
        run.check(method)  # first, because its errors say more than those of the evaluation
        if evaluate is not None and eval_every and (epoch + 1) % eval_every == 0:
            values |= evaluate(method).scores
        line = run.log(epoch, values)
        logger.info("epoch %d of %d: %s%s", epoch + 1, epochs, _summary(line), _remaining(line, epochs - epoch - 1))
        best = is_best(run.metrics(), line, select)
        if best and on_best is not None:
            on_best(method)
        run.checkpoint(epoch, method, best=best)


def seed_epoch(seed: int, epoch: int) -> None:
    """Seed every generator from the run's seed and the epoch, so that their states need no saving."""
    number = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002 - libraries use it
    torch.manual_seed(number)


def _check_arguments(name: str, spec: MethodSpec, given: Mapping[str, bool]) -> None:
    """Check that a method takes the arguments that are given."""
    words = {
        "source": "images of a source: leave --source out",
        "peer": "second encoder to start from: give one --from",
    }
    for argument, is_given in given.items():
        if is_given and not spec.takes(argument):
            raise ConfigError(f"{name} takes no {words[argument]}")


def _remaining(line: Mapping[str, Any], epochs: int) -> str:
    """Return how long the remaining epochs will take at the speed of this one."""
    minutes = epochs * float(line["seconds"]) / 60
    return f", about {minutes:.0f} min left" if minutes >= 1 else ""


def _summary(line: Mapping[str, Any]) -> str:
    """Return the summary of an epoch in one line; metrics.jsonl has all its numbers."""
    losses = {name.removeprefix("loss/"): f"{value:.2f}" for name, value in line.items() if name.startswith("loss/")}
    parts = [f"losses {', '.join(f'{name} {value}' for name, value in losses.items())}"] if losses else []
    if "clusters" in line:
        eps = f" at eps {line['eps']:.3g}" if line.get("eps") else ""
        parts.insert(0, f"{line['clusters']:.0f} clusters{eps}, {100 * line.get('outlier_share', 0):.0f} % in none")
    parts += [f"{name} {100 * line[name]:.1f}" for name in ("mAP", "rank-1") if name in line]
    if "images_per_second" in line:
        parts.append(f"{line['images_per_second']:.0f} images/s")
    return ", ".join([*parts, f"{line['seconds']:.0f} s"])
