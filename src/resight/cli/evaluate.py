"""`resight evaluate ENCODER --data SPEC`: score an encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch

from resight.cli.queries import split_words, tell_notes
from resight.config import flags_of, read_settings
from resight.data.columns import LABELS
from resight.data.dataset import folder_settings, open_dataset, parse_spec
from resight.data.splits import Dataset, split_validation
from resight.data.tracklets import TrackletSettings
from resight.devices import Devices, DeviceSettings
from resight.errors import ConfigError, DataError, check_least
from resight.evaluation import evaluate
from resight.explain import part_similarities
from resight.files import check_output, expanded
from resight.models.encoder import Encoder, EncoderSettings, load_encoder
from resight.numerics.distances import squared_distances
from resight.numerics.jaccard import rerank
from resight.ranking import rank
from resight.records import Features, Floats, Ranking
from resight.reports.page import evaluation_page, write_page
from resight.reports.parts import parts_sections
from resight.reports.tables import scores_table_text
from resight.scoring import about, embed, measure
from resight.terminal import say_json, show
from resight.vectors import vectors_folder


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
            everybody of it who can be found again, of a labelled folder all whom two cameras or more saw.
        flip: Add the features of the mirrored images; a run's own choice where a run is named.
        tracklet: How a tracklet becomes a vector, on sets of tracklets; likewise.
        rerank: Re-rank by k-reciprocal neighbours first.
        cache: A folder that keeps vectors, so that the same encoder on the same images is not run again. Where they
            become more than 10 GB, those used longest ago go.
        page: Where to write the HTML page; empty writes none.
        json: Print JSON instead of a table.
        encoder: What to score where no run or encoder file is named: a backbone as its weights are.
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
    (settings,) = read_settings([*scored, *given], [EvaluateSettings], program="resight evaluate [RUN or ENCODER]")
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
    if settings.rerank and measure(dataset, settings.tracklet) is not squared_distances:
        raise ConfigError(
            "re-ranking stands on the Euclidean distance: set tracklet.distance to concatenated or leave out rerank"
        )
    if settings.validation_people:
        dataset = split_validation(dataset, settings.validation_people)
    if not len(dataset.query):
        raise DataError(f"{dataset.name} has no queries: {_needed(dataset)}")
    tell_notes(dataset)
    devices = Devices(settings.device)
    devices.place(encoder)
    queries, gallery = (
        embed(encoder, side, dataset.unit, tracklet=settings.tracklet, devices=devices, flip=settings.flip, cache=cache)
        for side in (dataset.query, dataset.gallery)
    )
    if devices.rank > 0:  # of several processes one speaks
        return 0
    distance = measure(dataset, settings.tracklet)
    report = evaluate(
        queries,
        gallery,
        rule=dataset.rule,
        distractor=dataset.distractor,
        re_ranking=settings.rerank,
        distance=distance,
        device=devices.device,
        provenance={"flip": settings.flip, **about(dataset, settings.tracklet), **devices.describe()},
    )
    if settings.json:
        say_json(report.to_json())
    else:
        show(scores_table_text({dataset.name: report}))
    if settings.page:
        found = ranking(queries, gallery, re_ranking=settings.rerank, distance=distance, device=devices.device)
        title = f"{model or settings.encoder.backbone} on {dataset.name}"
        why = []
        if queries.vectors.shape[1] == encoder.dim:  # parts of a tracklet's time are no encoder's parts
            parts = part_similarities(queries, gallery, found, encoder)
            why = parts_sections(report, queries, gallery, found, parts, dataset.names)
        page = evaluation_page(report, queries, gallery, found, title=title, names=dataset.names, more_sections=why)
        write_page(expanded(settings.page), page)
    return 0


def _needed(dataset: Dataset) -> str:
    """Say what a data set without queries needs to be scored."""
    if dataset.train.has_people:
        return (
            "--validation_people all scores everybody in it who can be found again, --validation_people N some of them"
        )
    return f"nobody in it is known; name people, for a folder of crops in its {LABELS} (path,person,camera a line)"


def ranking(
    queries: Features,
    gallery: Features,
    *,
    re_ranking: bool,
    k: int = 10,
    distance: Callable[[Floats, Floats], Floats] = squared_distances,
    device: torch.device | str = "cpu",
) -> Ranking:
    """Rank as the evaluation did.

    Args:
        queries: ``Q`` vectors.
        gallery: ``G`` vectors of the same encoder.
        re_ranking: Whether distances are k-reciprocal re-ranked first.
        k: How many results to give, at most ``G``.
        distance: As for `rank`, where nothing is re-ranked.
        device: Where to search or to re-rank.

    Returns:
        Gallery rows and distances ``(Q, k)``, nearest first.
    """
    if not re_ranking:
        return rank(queries, gallery, k=k, distance=distance, device=device)
    distances = rerank(queries.vectors, gallery.vectors, device=device)
    ids = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return Ranking(ids, np.take_along_axis(distances, ids, axis=1))
