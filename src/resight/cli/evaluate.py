"""`resight evaluate MODEL --data SPEC`: score an encoder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from resight.cli.queries import choose_encoder, describe_encoder, log_notes, split_words
from resight.cli.terminal import say_json, show
from resight.compute.devices import Devices, DeviceSettings
from resight.config.settings import flags_of, read_settings
from resight.data.catalog import open_dataset, parse_spec
from resight.data.dataset import Dataset
from resight.data.label_columns import LABELS
from resight.data.settings import DataSettings
from resight.data.tracklets import TrackletSettings
from resight.data.validation import split_validation
from resight.errors import ConfigError, DataError, check_least
from resight.files import check_output, expanded, printable
from resight.models.encoder import Encoder, EncoderSettings, load_encoder
from resight.numerics.distances import squared_distances
from resight.reports.page import evaluation_page, write_page
from resight.reports.parts import parts_sections
from resight.reports.tables import scores_table_text
from resight.retrieval.cache import vectors_folder
from resight.retrieval.evaluation import evaluate
from resight.retrieval.explain import part_similarities
from resight.retrieval.protocol import distance_fn, embed, provenance_of
from resight.retrieval.ranking import rank
from resight.retrieval.statistics import adapt_statistics

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
        rerank: Re-rank by k-reciprocal neighbors first.
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
    rerank: bool = False
    cache: str = ""
    page: str = ""
    json: bool = False
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    device: DeviceSettings = field(default_factory=DeviceSettings)

    def __post_init__(self) -> None:
        if self.validation_people != "all":
            check_least(self, 0, "validation_people")


def run(arguments: Sequence[str]) -> int:
    """Run `resight evaluate`."""
    words, flags = split_words(arguments)
    if len(words) > 1:
        raise ConfigError(f"resight evaluate scores one encoder, found {len(words)}: {', '.join(words[:3])}")
    model = words[0] if words else ""
    config = expanded(model) / "config.yaml" if model else None
    run_flags = flags_of(config, "flip", "tracklet") if config is not None and config.is_file() else []
    (settings,) = read_settings([*run_flags, *flags], [EvaluateSettings], program="resight evaluate [MODEL]")
    if not settings.data:
        raise ConfigError("resight evaluate needs images: --data market1501=PATH, for example")
    if settings.page:
        check_output(expanded(settings.page), suffix=".html")  # fails before anything is embedded
    chosen = choose_encoder(model, settings.encoder, flags)
    encoder = load_encoder(chosen) if isinstance(chosen, str) else Encoder(chosen).eval()
    _, root = parse_spec(settings.data, settings.folder_settings())
    cache = vectors_folder(settings.cache, root)
    dataset = open_dataset(settings.data, settings.folder_settings())
    if dataset.unit == "images" and any(flag.startswith("--tracklet.") for flag in flags):
        raise ConfigError(f"{dataset.name} is a set of images, not of tracklets: leave out --tracklet.*")
    if settings.rerank and distance_fn(dataset, settings.tracklet) is not squared_distances:
        raise ConfigError(
            "re-ranking needs the Euclidean distance: set tracklet.distance to concatenated or leave out rerank"
        )
    if settings.validation_people:
        dataset = split_validation(dataset, settings.validation_people)
    if not len(dataset.query):
        raise DataError(f"{dataset.name} has no queries: {_advise(dataset)}")
    log_notes(dataset)
    if not model:
        logger.info("no MODEL is named: scoring %s", describe_encoder(chosen))
    devices = Devices(settings.device)
    devices.to_device(encoder)
    if settings.adapt_statistics:
        encoder = adapt_statistics(encoder, dataset.gallery, devices=devices)
    queries, gallery = (
        embed(encoder, side, dataset.unit, tracklet=settings.tracklet, devices=devices, flip=settings.flip, cache=cache)
        for side in (dataset.query, dataset.gallery)
    )
    if devices.rank > 0:  # of several processes only the first prints
        return 0
    distance = distance_fn(dataset, settings.tracklet)
    report = evaluate(
        queries,
        gallery,
        exclude=dataset.exclude,
        distractor_id=dataset.distractor_id,
        rerank=settings.rerank,
        distance_fn=distance,
        device=devices.device,
        provenance={
            "flip": settings.flip,
            "adapt_statistics": settings.adapt_statistics,
            **provenance_of(dataset, settings.tracklet),
            **devices.describe(),
        },
    )
    if settings.json:
        say_json(report.to_json())
    else:
        show(scores_table_text({dataset.name: report}))
    if settings.page:
        ranking = rank(queries, gallery, rerank=settings.rerank, distance_fn=distance, device=devices.device)
        title = f"{model or settings.encoder.backbone} on {dataset.name}"
        sections = []
        if queries.embeddings.shape[1] == encoder.dim:  # the temporal parts of a tracklet are no parts of the encoder
            parts = part_similarities(queries, gallery, ranking, encoder)
            sections = parts_sections(report, queries, gallery, ranking, parts, dataset.names)
        page = evaluation_page(
            report, queries, gallery, ranking, title=title, names=dataset.names, more_sections=sections
        )
        write_page(expanded(settings.page), page)
        logger.info("page: %s", printable(expanded(settings.page)))
    return 0


def _advise(dataset: Dataset) -> str:
    """Return how to score a data set that has no queries."""
    if dataset.train.has_people:
        return (
            "--validation_people all scores everyone in it who can be found again, --validation_people N some of them"
        )
    return f"it has no labels of people; for a folder of crops, write them in its {LABELS} (path,person,camera a line)"
