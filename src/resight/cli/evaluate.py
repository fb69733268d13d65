"""`resight evaluate MODEL --data SPEC`: score an encoder, or vectors in a file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from resight.cli.queries import choose_encoder, describe_encoder, log_notes, run_flags, split_words
from resight.cli.stored import open_stored
from resight.cli.terminal import say_json, show
from resight.compute.devices import Devices, DeviceSettings
from resight.config.settings import read_settings
from resight.data.catalog import open_dataset, open_splits, parse_spec
from resight.data.dataset import Dataset
from resight.data.label_columns import LABELS
from resight.data.settings import DataSettings
from resight.data.tracklets import TrackletSettings
from resight.data.validation import split_validation
from resight.errors import ConfigError, DataError, check_least, counted
from resight.files import check_output, expanded, printable
from resight.models.encoder import Encoder, EncoderSettings, load_encoder
from resight.numerics.distances import squared_distances
from resight.numerics.spatiotemporal import TravelTimes
from resight.records import Features, Report
from resight.reports.page import evaluation_page, write_page
from resight.reports.parts import parts_sections
from resight.reports.tables import scores_table_text, thresholds_table_text
from resight.retrieval.cache import vectors_folder
from resight.retrieval.explain import part_similarities
from resight.retrieval.joint import check_sightings, estimate_travel_times
from resight.retrieval.protocol import RankBy, distance_fn, score_features
from resight.retrieval.ranking import rank
from resight.retrieval.sources import Source, embed_sides, embed_train
from resight.retrieval.statistics import adapt_statistics, center_sides
from resight.retrieval.stored_sides import scored_dataset, stored_dataset
from resight.retrieval.thresholds import score_thresholds
from resight.retrieval.trials import average_reports

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluateSettings(DataSettings):
    """What to score, and how.

    Attributes:
        validation_people: Score held-out people instead of the test people; this number of them is taken from the
            training part. `all` scores everyone in it who can be found again: in a labeled folder, all people seen by
            two or more cameras.
        flip: Add the features of the mirrored images. For a run, the default is the run's own setting.
        tracklet: How the frames of a tracklet become one vector, on sets of tracklets. For a run, the defaults are the
            run's own settings.
        adapt_statistics: Give the encoder the batch-norm statistics of the gallery's images first, which takes seconds
            and no labels.
        center_cameras: Subtract the mean of each camera in the gallery from its vectors, without labels. It helps where
            each camera has seen many people.
        normalize: Scale the vectors of a file to unit length, to compare them by the cosine. A model's have it.
        rerank: Re-rank by k-reciprocal neighbors first.
        rank_by: `appearance`, or `joint`: also by how plausible the time between two cameras is (JVTC+), as clusters of
            the training images show it. It needs the camera and the frame number of every image.
        thresholds: Also score one threshold on the similarity: the share of right pairs that it accepts (TAR) at a
            share of wrong ones, the equal error rate (EER), and the share of known people whom an open-set search finds
            (DIR) at a share of unknown ones whom it takes for somebody.
        trials: Average the scores of this number of splits of a set that has several, such as `viper`; the table adds
            their standard deviation. 0 scores one split.
        cache: A folder that keeps embeddings for the next call. The same encoder then does not embed the same images
            again. Beyond 10 GB, the least recently used ones are removed.
        page: The file to write the HTML report to; empty writes none.
        json: Print JSON instead of a table.
        encoder: A backbone with its own weights to score, in place of a model: `--encoder.weights imagenet`. Without
            either, you score `synthetic`, the model of the installation.
        device: The device to run on.
    """

    validation_people: int | Literal["all"] = 0
    flip: bool = False
    tracklet: TrackletSettings = field(default_factory=TrackletSettings)
    adapt_statistics: bool = False
    center_cameras: bool = False
    normalize: bool = False
    rerank: bool = False
    rank_by: RankBy = "appearance"
    thresholds: bool = False
    trials: int = 0
    cache: str = ""
    page: str = ""
    json: bool = False
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    device: DeviceSettings = field(default_factory=DeviceSettings)

    def __post_init__(self) -> None:
        if self.validation_people != "all":
            check_least(self, 0, "validation_people")
        check_least(self, 0, "trials")
        if self.rerank and self.rank_by != "appearance":
            raise ConfigError("rerank and rank_by joint each give an order: leave out one of them")
        for name in ("validation_people", "adapt_statistics", "page"):
            if self.trials and getattr(self, name):
                raise ConfigError(f"{name} is for one split, and trials averages several: leave out one of them")


def run(arguments: Sequence[str]) -> int:
    """Run `resight evaluate`."""
    words, flags = split_words(arguments)
    if len(words) > 1:
        raise ConfigError(f"resight evaluate scores one encoder, found {len(words)}: {', '.join(words[:3])}")
    model = words[0] if words else ""
    (settings,) = read_settings([*run_flags(model), *flags], [EvaluateSettings], program="resight evaluate [MODEL]")
    if settings.page:
        check_output(expanded(settings.page), suffix=".html")  # fails before anything is embedded
    stored = open_stored(model, flags, normalize=settings.normalize)
    if not settings.data and stored is None:
        raise ConfigError("resight evaluate needs images: --data market1501=PATH, for example")
    if not settings.data and settings.trials:
        raise ConfigError("trials average the splits of a data set: name it by --data")
    folder = settings.folder_settings()
    chosen: str | EncoderSettings
    source: Source
    if stored is not None:
        chosen, source, cache = model, stored, None
    else:
        chosen = choose_encoder(model, settings.encoder, flags)
        source = load_encoder(chosen) if isinstance(chosen, str) else Encoder(chosen).eval()
        cache = vectors_folder(settings.cache, parse_spec(settings.data, folder)[1])
    splits = open_splits(settings.data, settings.trials, folder) if settings.trials else []
    if stored is not None and not settings.data:
        dataset = scored_dataset(stored) if not settings.validation_people else stored_dataset(stored)
    else:
        dataset = splits[0] if splits else open_dataset(settings.data, folder)
        dataset = replace(dataset, notes=(*dataset.notes, *(stored.notes if stored is not None else ())))
    if dataset.unit == "images" and any(flag.startswith("--tracklet.") for flag in flags):
        raise ConfigError(f"{dataset.name} is a set of images, not of tracklets: leave out --tracklet.*")
    joint = settings.rank_by == "joint"
    wanted = {
        "rerank": settings.rerank,
        "rank_by joint": joint,
        "thresholds": settings.thresholds,
        "center_cameras": settings.center_cameras,
    }
    for name, is_wanted in wanted.items():
        if is_wanted and distance_fn(dataset, settings.tracklet) is not squared_distances:
            raise ConfigError(
                f"{name} needs the Euclidean distance: set tracklet.distance to concatenated or leave out {name}"
            )
    if settings.validation_people:
        dataset = split_validation(dataset, settings.validation_people)
    if not len(dataset.query):
        raise DataError(f"{dataset.name} has no queries: {_advise(dataset)}")
    log_notes(dataset)
    if joint:
        for split in splits or [dataset]:
            check_sightings(split)
    if splits:
        logger.info("trials: the splits 0 to %d", len(splits) - 1)
    if not model:
        logger.info("no MODEL is named: scoring %s", describe_encoder(chosen))
    devices = Devices(settings.device)
    if isinstance(source, Encoder):
        devices.to_device(source)
        if settings.adapt_statistics:
            source = adapt_statistics(source, dataset.gallery, devices=devices)
    splits = splits or [dataset]
    sides = embed_sides(source, splits, tracklet=settings.tracklet, devices=devices, flip=settings.flip, cache=cache)
    if settings.center_cameras:
        sides = [center_sides(query, gallery) for query, gallery in sides]
    reranks: list[bool | TravelTimes] = [settings.rerank] * len(splits)
    if joint:
        reranks = [
            estimate_travel_times(
                embed_train(
                    source, split, tracklet=settings.tracklet, devices=devices, flip=settings.flip, cache=cache
                ),
                device=devices.device,
            )
            for split in splits
        ]
    if devices.rank > 0:  # of several processes only the first prints
        return 0
    made_by: dict[str, str | bool] = {"flip": settings.flip, "adapt_statistics": settings.adapt_statistics}
    if stored is not None:
        made_by = {"features": model}
    provenance = {**made_by, "center_cameras": settings.center_cameras, **devices.describe()}
    reports = [
        score_features(
            split,
            own,
            tracklet=settings.tracklet,
            device=devices.device,
            rerank=rerank,
            provenance=provenance,
        )
        for split, own, rerank in zip(splits, sides, reranks, strict=True)
    ]
    if settings.thresholds:
        reports = [
            _with_thresholds(report, split, own) for report, split, own in zip(reports, splits, sides, strict=True)
        ]
    report = average_reports(reports) if settings.trials else reports[0]
    if settings.json:
        say_json(report.to_json())
    else:
        rows = _rows(dataset.name, report)
        show(scores_table_text(rows))
        if settings.thresholds:
            show(thresholds_table_text(rows))
    if settings.page:
        queries, gallery = sides[0]
        distance = distance_fn(dataset, settings.tracklet)
        ranking = rank(queries, gallery, rerank=reranks[0], distance_fn=distance, device=devices.device)
        title = f"{chosen if isinstance(chosen, str) else chosen.backbone} on {dataset.name}"
        sections = []
        # The temporal parts of a tracklet are no parts of the encoder.
        if isinstance(source, Encoder) and queries.embeddings.shape[1] == source.dim:
            parts = part_similarities(queries, gallery, ranking, source)
            sections = parts_sections(report, queries, gallery, ranking, parts, dataset.names)
        page = evaluation_page(
            report, queries, gallery, ranking, title=title, names=dataset.names, more_sections=sections
        )
        write_page(expanded(settings.page), page)
        logger.info("page: %s", printable(expanded(settings.page)))
    return 0


def _with_thresholds(report: Report, dataset: Dataset, sides: tuple[Features, Features]) -> Report:
    """Return a report with the scores of one threshold."""
    scores = score_thresholds(*sides, exclude=dataset.exclude, distractor_id=dataset.distractor_id)
    return replace(report, scores={**report.scores, **scores})


def _rows(name: str, report: Report) -> dict[str, Report]:
    """Return the rows of the score table: a report, and the standard deviation of an average."""
    if "trials" not in report.provenance:
        return {name: report}
    rows = {f"{name}, mean of {counted(len(report.provenance['trials']), 'trial')}": report}
    return rows | {"standard deviation": Report(report.provenance["deviation"])}


def _advise(dataset: Dataset) -> str:
    """Return how to score a data set that has no queries."""
    if dataset.train.has_people:
        return (
            "--validation_people all scores everyone in it who can be found again, --validation_people N some of them"
        )
    return f"it has no labels of people; for a folder of crops, write them in its {LABELS} (path,person,camera a line)"
