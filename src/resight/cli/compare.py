"""`resight compare MODEL MODEL --data SPEC`: two models on the same queries, and whether they differ.

A file of vectors stands where a model stands; two files need no data set.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from resight.cli.queries import log_notes, run_flags, split_words
from resight.cli.stored import open_stored
from resight.cli.terminal import say, say_json, show
from resight.compute.devices import Devices, DeviceSettings
from resight.config.settings import read_settings
from resight.data.catalog import open_dataset
from resight.data.dataset import Dataset
from resight.data.settings import DataSettings
from resight.data.tracklets import TrackletSettings
from resight.data.validation import split_validation
from resight.errors import ConfigError, DataError, check_least, counted
from resight.files import check_output, expanded, printable, write_atomically
from resight.models.encoder import load_encoder
from resight.models.encoder_settings import encoder_file
from resight.numerics.distances import squared_distances
from resight.records import Features, ImageTable
from resight.reports.comparison import Side, comparison_page, difference_rows
from resight.reports.figures import to_svg
from resight.reports.page import write_page
from resight.reports.people_map import choose_people, people_map
from resight.reports.tables import scores_table_text, text_table
from resight.retrieval.comparison import compare
from resight.retrieval.feature_files import StoredFeatures, names_features
from resight.retrieval.protocol import Score, distance_fn, make_evaluator, score_features
from resight.retrieval.ranking import rank
from resight.retrieval.sources import check_same_images, embed_sides
from resight.retrieval.statistics import center_sides
from resight.retrieval.stored_sides import scored_dataset, stored_dataset

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CompareSettings(DataSettings):
    """What to compare on.

    Attributes:
        validation_people: Compare on held-out people instead of the test people; this number of them is taken from the
            training part. `all` takes everyone in it who can be found again.
        normalize: Scale the vectors of files to unit length, to compare them by the cosine. A model's have it.
        center_cameras: Subtract the mean of each camera in the gallery from the vectors of both models, without labels.
        samples: How many times people are drawn for the intervals.
        seed: The seed of these draws.
        page: The file to write the HTML page to; empty writes none.
        people_map: The SVG file to write a map (t-SNE) of ten people by both models to; `seed` chooses them. Empty
            writes none.
        json: Print JSON instead of tables.
        device: The device to run on.
    """

    validation_people: int | Literal["all"] = 0
    normalize: bool = False
    center_cameras: bool = False
    samples: int = 10_000
    seed: int = 1
    page: str = ""
    people_map: str = ""
    json: bool = False
    device: DeviceSettings = field(default_factory=DeviceSettings)

    def __post_init__(self) -> None:
        if self.validation_people != "all":
            check_least(self, 0, "validation_people")
        check_least(self, 1, "samples")


@dataclass(frozen=True)
class _ModelSettings:
    """How a run scores: its settings, not those of the command."""

    flip: bool = False
    tracklet: TrackletSettings = field(default_factory=TrackletSettings)


Evaluators = dict[tuple[tuple[int, int], _ModelSettings], Score | None]
"""The evaluations by image size and settings: two models that share both share the decoded images."""


def run(arguments: Sequence[str]) -> int:
    """Run `resight compare`."""
    words, flags = split_words(arguments)
    (settings,) = read_settings(flags, [CompareSettings], program="resight compare MODEL MODEL")
    if len(words) != 2 or not (settings.data or all(map(names_features, words))):
        raise ConfigError(
            "resight compare needs two models and images: resight compare synthetic runs/mine --data market1501=PATH"
        )
    if settings.page:
        check_output(expanded(settings.page), suffix=".html")  # fails before anything is embedded
    if settings.people_map:
        check_output(expanded(settings.people_map), suffix=".svg")
    files = [open_stored(word, (), normalize=settings.normalize) for word in words]
    for model, stored in zip(words, files, strict=True):
        if stored is None:
            encoder_file(model)  # its error names the file
    dataset = _open_dataset(settings, [stored for stored in files if stored is not None])
    if not len(dataset.query):
        raise DataError(f"{dataset.name} has no queries: --validation_people all takes everyone who can be found again")
    log_notes(dataset)
    devices = Devices(settings.device)
    names = words if words[0] != words[1] else [f"{words[0]} (1)", f"{words[1]} (2)"]
    evaluators: Evaluators = {}
    first, second = (
        _score_model(model, printable(name), dataset, devices, evaluators, center=settings.center_cameras)
        if stored is None
        else _score_stored(stored, printable(name), dataset, devices, center=settings.center_cameras)
        for model, name, stored in zip(words, names, files, strict=True)
    )
    if devices.rank > 0:  # of several processes only the first prints
        return 0
    check_same_images((first.queries, first.gallery), (second.queries, second.gallery), (first.name, second.name))
    table = first.queries.table
    comparison = compare(first.report, second.report, table, samples=settings.samples, seed=settings.seed)
    reports = {side.name: side.report for side in (first, second)}
    if settings.json:
        scores = {name: report.to_json() for name, report in reports.items()}
        say_json({"models": list(reports), "reports": scores, **comparison.to_json()})
    else:
        show(scores_table_text(reports))
        rows = difference_rows(comparison, dataset.names.get("cameras", ()))
        title = f"{second.name} minus {first.name}, points of percent"
        show(text_table(title, ("", "difference", "95 % interval", ""), rows, left=("",)))
        wins, losses = (counted(number, "query", "queries") for number in (comparison.wins, comparison.losses))
        say(f"Better for {wins}, worse for {losses}. An interval that holds 0 may be chance: other people, other sign.")
    if settings.page:
        title = f"{second.name} beside {first.name} on {dataset.name}"
        page = comparison_page(comparison, (first, second), title=title, names=dataset.names)
        write_page(expanded(settings.page), page)
        logger.info("page: %s", printable(expanded(settings.page)))
    if settings.people_map:
        models = {side.name: _joined(side) for side in (first, second)}
        shown = choose_people(models[first.name].table, without=dataset.non_person_ids, seed=settings.seed)
        models = {name: features[shown] for name, features in models.items()}
        figure = people_map(models, names=dataset.names, seed=settings.seed)
        write_atomically(expanded(settings.people_map), to_svg(figure))
        logger.info("map: %s", printable(expanded(settings.people_map)))
    return 0


def _joined(side: Side) -> Features:
    """Return the vectors of the queries and the gallery together."""
    table = ImageTable.concatenate(side.queries.table, side.gallery.table)
    return Features(table, np.concatenate([side.queries.embeddings, side.gallery.embeddings]), side.queries.encoder)


def _open_dataset(settings: CompareSettings, files: Sequence[StoredFeatures]) -> Dataset:
    """Open the data set to compare on; without one, the labels and splits of the first file."""
    notes = tuple(note for stored in files for note in stored.notes)
    if settings.data:
        dataset = open_dataset(settings.data, settings.folder_settings())
        dataset = replace(dataset, notes=(*dataset.notes, *notes))
    else:
        dataset = stored_dataset(files[0]) if settings.validation_people else scored_dataset(files[0])
        dataset = replace(dataset, notes=(*dataset.notes, *files[1].notes))
    return split_validation(dataset, settings.validation_people) if settings.validation_people else dataset


def _score_stored(stored: StoredFeatures, name: str, dataset: Dataset, devices: Devices, *, center: bool) -> Side:
    """Score the vectors of a file."""
    tracklet = TrackletSettings()
    ((queries, gallery),) = embed_sides(stored, [dataset], tracklet=tracklet, devices=devices)
    if center:
        queries, gallery = center_sides(queries, gallery)
    report = score_features(dataset, (queries, gallery), tracklet=tracklet, device=devices.device)
    return Side(name, report, queries, gallery, rank(queries, gallery, device=devices.device))


def _score_model(
    model: str, name: str, dataset: Dataset, devices: Devices, evaluators: Evaluators, *, center: bool
) -> Side:
    """Score a model as `resight evaluate` does, by its run's own settings of flip and tracklets."""
    (settings,) = read_settings(run_flags(model), [_ModelSettings], program=f"the settings of {model}")
    distance = distance_fn(dataset, settings.tracklet)
    if center and distance is not squared_distances:
        raise ConfigError(
            f"center_cameras needs the Euclidean distance, and {name} compares tracklets by another: leave it out"
        )
    encoder = load_encoder(model)
    key = (encoder.settings.size, settings)
    if key not in evaluators:
        evaluators[key] = make_evaluator(
            dataset, encoder.settings.size, devices=devices, flip=settings.flip, tracklet=settings.tracklet
        )
    score = evaluators[key]
    if score is None:
        raise DataError(f"{dataset.name} has no gallery to search in")
    report, queries, gallery = score(encoder)
    if center:
        queries, gallery = center_sides(queries, gallery)
        report = score_features(dataset, (queries, gallery), tracklet=settings.tracklet, device=devices.device)
    return Side(name, report, queries, gallery, rank(queries, gallery, distance_fn=distance, device=devices.device))
