"""`resight evaluate MODEL --data SPEC`: score an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from resight.cli.queries import split_words, tell_notes
from resight.cli.terminal import say_json, show
from resight.compute.devices import Devices, DeviceSettings
from resight.config.settings import flags_of, read_settings
from resight.data.catalog import folder_settings, open_dataset, parse_spec
from resight.data.dataset import Dataset
from resight.data.label_columns import LABELS
from resight.data.tracklets import TrackletSettings
from resight.data.validation import split_validation
from resight.errors import ConfigError, DataError, check_least
from resight.files import check_output, expanded
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


@dataclass(frozen=True)
class EvaluateSettings:
    """What is scored, and how.

    Attributes:
        data: The data set: `name=PATH` or a path.
        layout: What the sub-folders of a folder of crops are, from the root down: `camera`, `person`, `tracklet`,
            `split`, `-` for a level that means nothing, with `/` between them, such as `person/camera`; or `none`.
            Empty finds it out, and says what was found.
        pattern: A regular expression for the paths in a folder of crops, with groups such as `(?P<camera>cam[0-9]+)`;
            groups are `person`, `camera`, `tracklet`, `frame` and `split`.
        validation_people: Score so many people held out of the training part instead of the test people; `all` scores
            everybody of it who can be found again, of a labeled folder all whom two cameras or more saw.
        flip: Add the features of the mirrored images; a run's own choice where a run is named.
        tracklet: How a tracklet becomes a vector, on sets of tracklets; likewise.
        rerank: Re-rank by k-reciprocal neighbors first.
        cache: A folder that keeps vectors, so that the same encoder on the same images is not run again. Where they
            become more than 10 GB, those used longest ago go.
        page: Where to write the HTML page; empty writes none.
        json: Print JSON instead of a table.
        encoder: What to score if no model is named: a backbone with its own weights.
        device: Where it runs.
    """

    data: str = ""
    layout: str = ""
    pattern: str = ""
    validation_people: int | Literal["all"] = 0
    flip: bool = False
    tracklet: TrackletSettings = field(default_factory=TrackletSettings)
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
    words, given = split_words(arguments)
    if len(words) > 1:
        raise ConfigError(f"resight evaluate scores one encoder, found {len(words)}: {', '.join(words[:3])}")
    model = words[0] if words else ""
    own = expanded(model) / "config.yaml" if model else None
    scored = flags_of(own, "flip", "tracklet") if own is not None and own.is_file() else []
    (settings,) = read_settings([*scored, *given], [EvaluateSettings], program="resight evaluate [MODEL]")
    if not settings.data:
        raise ConfigError("resight evaluate needs images: --data market1501=PATH, for example")
    if settings.page:
        check_output(expanded(settings.page), suffix=".html")  # a mistake is said before anything is embedded
    if model and settings.encoder != EncoderSettings():
        raise ConfigError(f"{model} brings its own encoder: leave out --encoder.*, or leave out {model}")
    encoder = load_encoder(model) if model else Encoder(settings.encoder).eval()
    told = folder_settings(settings.layout, settings.pattern, settings.data)
    cache = vectors_folder(settings.cache, parse_spec(settings.data, told)[1])
    dataset = open_dataset(settings.data, told)
    if dataset.unit == "images" and any(flag.startswith("--tracklet.") for flag in given):
        raise ConfigError(f"{dataset.name} is a set of images, not of tracklets: leave out --tracklet.*")
    if settings.rerank and distance_fn(dataset, settings.tracklet) is not squared_distances:
        raise ConfigError(
            "re-ranking stands on the Euclidean distance: set tracklet.distance to concatenated or leave out rerank"
        )
    if settings.validation_people:
        dataset = split_validation(dataset, settings.validation_people)
    if not len(dataset.query):
        raise DataError(f"{dataset.name} has no queries: {_needed(dataset)}")
    tell_notes(dataset)
    devices = Devices(settings.device)
    devices.to_device(encoder)
    queries, gallery = (
        embed(encoder, side, dataset.unit, tracklet=settings.tracklet, devices=devices, flip=settings.flip, cache=cache)
        for side in (dataset.query, dataset.gallery)
    )
    if devices.rank > 0:  # of several processes one speaks
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
        provenance={"flip": settings.flip, **provenance_of(dataset, settings.tracklet), **devices.describe()},
    )
    if settings.json:
        say_json(report.to_json())
    else:
        show(scores_table_text({dataset.name: report}))
    if settings.page:
        ranking = rank(queries, gallery, rerank=settings.rerank, distance_fn=distance, device=devices.device)
        title = f"{model or settings.encoder.backbone} on {dataset.name}"
        why = []
        if queries.embeddings.shape[1] == encoder.dim:  # parts of a tracklet's time are no encoder's parts
            parts = part_similarities(queries, gallery, ranking, encoder)
            why = parts_sections(report, queries, gallery, ranking, parts, dataset.names)
        page = evaluation_page(report, queries, gallery, ranking, title=title, names=dataset.names, more_sections=why)
        write_page(expanded(settings.page), page)
    return 0


def _needed(dataset: Dataset) -> str:
    """Say what a data set without queries needs to be scored."""
    if dataset.train.has_people:
        return (
            "--validation_people all scores everybody in it who can be found again, --validation_people N some of them"
        )
    return f"nobody in it is known; name people, for a folder of crops in its {LABELS} (path,person,camera a line)"
