"""Training: the only loop, and the verb that sets it up from settings."""

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
from resight.config.settings import read_settings, write_settings
from resight.config.types import check_types
from resight.data.catalog import folder_settings, open_dataset
from resight.data.clusters_csv import CLUSTERS, Clusters, clusters_csv, read_clusters
from resight.data.crops import fits_memory, load_crops, open_crops
from resight.data.dataset import DATASET, Dataset
from resight.data.fingerprint import content_digest
from resight.data.tracklets import TrackletSettings
from resight.data.validation import split_validation
from resight.errors import ConfigError, check_given, check_least, nearest
from resight.files import check_apart, expanded
from resight.methods import METHODS, MethodSpec
from resight.methods.protocol import Method
from resight.models.backbones import build_backbone
from resight.models.encoder import Encoder, EncoderSettings, load_encoder
from resight.progress import progress
from resight.records import Features, ImageTable, Report
from resight.retrieval.protocol import make_evaluator
from resight.training.runs import Run, environment
from resight.training.selection import SELECT, Select, is_best

logger = logging.getLogger(__name__)

BUILD = ("backbone", "last_stride", "pooling", "head", "head_width", "neck")
"""What an encoder is built by: these settings of one that a run starts from stay as they are."""


FIRST = (
    "data",
    "source",
    "config",
    "run",
    "start",
    "epochs",
    "identities",
    "images",
    "cluster.eps",
    "encoder.backbone",
    "encoder.weights",
    "validation_people",
    "device.accelerator",
)
"""The settings that whoever trains needs first, as far as the method has them."""


@dataclass(frozen=True)
class TrainSettings:
    """What surrounds a method: data, run folder, selection, device.

    Attributes:
        data: The data set: `name=PATH` or a path; see `resight data info`.
        source: A second, labeled data set that methods which adapt from one to the other start from; empty for none.
        layout: What the sub-folders of a folder of crops are, from the root down: `camera`, `person`, `tracklet`,
            `split`, `-` for a level that means nothing, with `/` between them, such as `person/camera`; or `none`.
            Empty finds it out, and says what was found.
        pattern: A regular expression for the paths in a folder of crops, with groups such as `(?P<camera>cam[0-9]+)`;
            groups are `person`, `camera`, `tracklet`, `frame` and `split`.
        run: The run folder; the same command continues a run that was killed.
        seed: Of everything that is drawn.
        variant: `code` is the reading of the released code, `thesis` the text to the letter. It decides the method's
            defaults; settings that are given are what they are.
        start: A run folder or an encoder file to start from; empty starts from the backbone's weights. Two with a comma
            between them for the two networks of `mmt`.
        validation_people: How many people to hold out of the training part and to score instead of the test people.
        eval_every: Score every so many epochs, and after the last; 0 scores only before and after.
        select: How the best epoch is chosen: `stability` (without labels: the last epoch in which clusters agree with
            the epoch before, and hold images, nearly as well as they ever did), `last`, `validation` (mAP of the
            held-out people) or `test` (the thesis' habit: best mAP on the test people).
        flip: Whether scores add the features of the mirrored images.
        tracklet: How scores make a vector of a tracklet, on sets of tracklets; training takes single frames.
        device: Where it runs.
    """

    data: str = ""
    source: str = ""
    layout: str = ""
    pattern: str = ""
    run: str = "runs/last"
    seed: int = 1
    variant: Literal["code", "thesis"] = "code"
    start: str = ""
    validation_people: int = 0
    eval_every: int = 0
    select: Literal["stability", "last", "validation", "test"] = "stability"
    flip: bool = False
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
    """What a finished run leaves.

    Attributes:
        folder: The run folder.
        encoder: The encoder of the best epoch.
        reports: Scores `before`, `last` and `best`, where the data set can be scored.
        metrics: One line an epoch.
        problems: Images that could not be read, with the reason.
        queries: The queries' vectors by the best encoder, where the data set can be scored.
        gallery: The gallery's vectors by the best encoder, likewise.
        clusters: The clusters that the best epoch learned from; None where people were known by name.
        writes: Whether this process is the one that writes; of several, only the first.
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
    """Train a method on a data set, or go on with a run that was killed.

    Args:
        name: The method, a key of `METHODS`.
        dataset: What it trains on; scored where it has queries and a gallery.
        settings: The method's settings; the defaults of `options.variant` where absent.
        options: What surrounds it.
        source: The data set that it is adapted from; loaded by `options.source` where it is not given.
        claimed: Called with the run folder as soon as it is this run's; before that nothing is written there.

    Returns:
        The encoder, the scores and the run folder.

    Raises:
        ConfigError: The method or a setting is not known, or it takes no source or no second start and has one.
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
    starts = _starts(options.start)
    _check_taken(name, spec, {"source": bool(source or options.source), "peer": len(starts) > 1})
    if source is None and options.source:
        told = folder_settings(options.layout, options.pattern, options.data, options.source)
        source = open_dataset(options.source, told)
    devices = Devices(options.device)
    if options.validation_people:
        dataset = split_validation(dataset, options.validation_people)
    for data in (dataset, source):
        if data is not None:
            check_apart(expanded(options.run), data.root)
    run = Run(Path(options.run), seed=options.seed, writes=devices.rank == 0)
    with run.alone():
        given: dict[str, Any] = {}
        if starts:
            loaded = [load_encoder(path) for path in starts]
            settings = dataclasses.replace(settings, encoder=_continued(settings.encoder, loaded[0].settings))
            given = dict(zip(("encoder", "peer"), (_rebuilt(each, settings.encoder) for each in loaded), strict=False))
        run.claim(write_settings([options, settings]))
        if claimed is not None and run.writes:
            claimed(run.folder)
        devices.warn_if_cpu_busy()
        # The frames of many videos would not fit, and an epoch looks at few of them.
        keep = dataset.unit == "images" or fits_memory(len(dataset.train), settings.encoder.size)
        images = (load_crops if keep else open_crops)(dataset.train, settings.encoder.size)
        if source is not None:
            given["source"] = load_crops(source.train, settings.encoder.size)
        tables = [images.table, dataset.query, dataset.gallery, *([] if source is None else [source.train])]
        run.images = devices.broadcast(content_digest(*tables) if devices.rank == 0 else "")
        seed_epoch(options.seed, 0)
        method: Method = spec.build(settings, images, devices=devices, seed=options.seed, **given)
        run.write(
            "environment.json",
            {**environment(), **devices.describe(), "weights": dataclasses.asdict(method.encoder.provenance)},
        )
        logger.info("on %(device)s: training in %(training)s, embedding in %(inference)s", devices.describe())
        score = make_evaluator(
            dataset, settings.encoder.size, devices=devices, flip=options.flip, tracklet=options.tracklet
        )
        reports = {} if score is None else {"before": score(method.encoder)[0]}
        fit(
            method,
            run,
            epochs=settings.epochs,
            iterations=settings.iterations or None,
            evaluate=None if score is None else (lambda trained: score(trained.encoder)[0]),
            eval_every=options.eval_every,
            select=SELECT[options.select],
            kept=lambda trained: _keep_clusters(run, trained, images.table, dataset.names),
        )
        devices.barrier()
        chosen, last = load_encoder(run.folder), load_encoder(run.folder, which="last")
        queries = gallery = None
        if score is not None:
            best, queries, gallery = score(chosen)
            reports["last"] = best if chosen.digest() == last.digest() else score(last)[0]
            reports["best"] = best
        run.write("report.json", {which: report.to_json() for which, report in reports.items()})
        problems = images.problems + (given["source"].problems if source is not None else ())
        clusters = None if method.clusters is None else read_clusters(run.folder / CLUSTERS, images.table)
        metrics = tuple(run.metrics())
        return Trained(run.folder, chosen, reports, metrics, problems, queries, gallery, clusters, run.writes)


def _keep_clusters(run: Run, method: Method, table: ImageTable, names: Mapping[str, Sequence[str]]) -> None:
    """Write down the clusters that an epoch learned from."""
    found = method.clusters
    if found is not None:
        run.write(CLUSTERS, clusters_csv(Clusters(table, found.labels, found.margins), names))


def read_recipe(method: str, recipe: str = "", *flags: str) -> tuple[Any, TrainSettings]:
    """Read what `train` needs from a recipe.

    Args:
        method: A key of `METHODS`.
        recipe: A YAML file or the name of a recipe that comes with the installation, ``"site"`` for example.
        flags: What to change, as on the command line: ``"--epochs=5"``.

    Returns:
        The method's settings and what surrounds it.

    Raises:
        ConfigError: Something is unknown or out of range.
    """
    spec = _find_method(method)
    for name, text in (("recipe", recipe), *(("flags", flag) for flag in flags)):
        check_given(name, text, (str, os.PathLike), "text: read_recipe('ice', 'site', '--epochs=5')")
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
    kept: Callable[[Method], None] | None = None,
) -> None:
    """Train a method for some epochs, going on where the run folder stopped.

    Args:
        method: What trains.
        run: Where it is written down.
        epochs: How many epochs in all.
        iterations: How many steps an epoch has, where that is known before, for the estimate of what is left of it.
        evaluate: Scores the method every ``eval_every`` epochs.
        eval_every: How often; 0 never.
        select: How the best epoch is told; an epoch without a number is the best only until one has a number. Without
            it the last epoch is the best.
        kept: Called after an epoch that is the best so far, before it is saved.
    """
    for epoch in range(run.resume(method), epochs):
        seed_epoch(run.seed, epoch)
        for batch in progress(method.begin_epoch(epoch), f"epoch {epoch + 1} of {epochs}", total=iterations):
            run.meter(method.step(batch), images=len(batch))
        values = method.end_epoch()
        run.check(method)  # before it is scored, which says less
        if evaluate is not None and eval_every and (epoch + 1) % eval_every == 0:
            values |= evaluate(method).scores
        line = run.log(epoch, values)
        logger.info("epoch %d of %d: %s%s", epoch + 1, epochs, _summary(line), _left(line, epochs - epoch - 1))
        best = is_best(run.metrics(), line, select)
        if best and kept is not None:
            kept(method)
        run.checkpoint(epoch, method, best=best)


def seed_epoch(seed: int, epoch: int) -> None:
    """Seed every generator from the run's seed and the epoch, so that no state of theirs needs saving."""
    number = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002 - libraries draw from it
    torch.manual_seed(number)


def _starts(text: str) -> list[str]:
    """Give the paths to start from: none, one, or two with a comma between them."""
    if not text or expanded(text).exists():  # a path may hold a comma itself
        return [text] if text else []
    paths = [path.strip() for path in text.split(",")]
    if len(paths) > 2 or not all(paths):
        raise ConfigError(f"start names one encoder, or two with a comma between them; found '{text}'")
    return paths


def _check_taken(name: str, spec: MethodSpec, given: Mapping[str, bool]) -> None:
    """Make sure that a method takes what it was given."""
    words = {
        "source": "images of a source: leave --source out",
        "peer": "second encoder to start from: give one --from",
    }
    for argument, is_given in given.items():
        if is_given and not spec.takes(argument):
            raise ConfigError(f"{name} takes no {words[argument]}")


def _continued(asked: Any, start: Any) -> Any:
    """Give the encoder settings of a run that starts from an encoder: its build, the recipe's way to train it."""
    if asked.size != start.size:
        (height, width), (own_height, own_width) = asked.size, start.size
        logger.warning(
            f"the encoder to start from was trained on images of {own_height} x {own_width}, this run shows it "
            f"{height} x {width}: unless that is meant, add --encoder.height {own_height} --encoder.width {own_width}"
        )
    own = {name: getattr(start, name) for name in BUILD}
    other = [
        f"{name} {value} (asked: {getattr(asked, name)})"
        for name, value in own.items()
        if value != getattr(asked, name)
    ]
    if other:
        logger.warning(f"the encoder to start from stays as it is built, whatever this run asks: {', '.join(other)}")
    return dataclasses.replace(asked, **own)


def _rebuilt(start: Encoder, settings: EncoderSettings) -> Encoder:
    """Give an encoder of the start's weights that freezes what these settings say, and not what the start's said."""
    own = start.settings
    backbone, _ = build_backbone(own.backbone, weights="none", last_stride=own.last_stride, size=own.size)
    encoder = Encoder(settings, backbone, start.provenance)
    try:
        encoder.load_state_dict(start.state_dict())
    except RuntimeError as error:
        raise ConfigError("the two encoders to start from are not built alike: train them with one recipe") from error
    return encoder


def _left(line: Mapping[str, Any], epochs: int) -> str:
    """Say how long so many more epochs will take, if they take as long as this one."""
    minutes = epochs * float(line["seconds"]) / 60
    return f", about {minutes:.0f} min left" if minutes >= 1 else ""


def _summary(line: Mapping[str, Any]) -> str:
    """Say in a line what happened in an epoch; the whole of it is in metrics.jsonl."""
    losses = {name.removeprefix("loss/"): f"{value:.2f}" for name, value in line.items() if name.startswith("loss/")}
    parts = [f"{name} {value}" for name, value in losses.items()]
    if "clusters" in line:
        parts.insert(0, f"{line['clusters']:.0f} clusters, {100 * line.get('outlier_share', 0):.0f} % in none")
    parts += [f"{name} {100 * line[name]:.1f}" for name in ("mAP", "rank-1") if name in line]
    if "images_per_second" in line:
        parts.append(f"{line['images_per_second']:.0f} images/s")
    return ", ".join([*parts, f"{line['seconds']:.0f} s"])
