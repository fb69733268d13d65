"""`resight evaluate ENCODER --data SPEC`: score an encoder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from rich.console import Console

from resight.config import flags_of, read_settings
from resight.data.dataset import load_dataset, parse_spec
from resight.data.sheet import LABELS
from resight.data.splits import split_validation
from resight.data.tracklets import TrackletSettings
from resight.devices import Devices, DeviceSettings
from resight.errors import ConfigError, DataError
from resight.evaluation import evaluate
from resight.explain import part_similarities
from resight.files import check_output, expanded, printable
from resight.models.encoder import Encoder, EncoderSettings
from resight.numerics.distances import squared_distances
from resight.numerics.jaccard import rerank
from resight.ranking import rank
from resight.records import Features, Floats, Ranking
from resight.reports.page import evaluation_page, write_page
from resight.reports.parts import parts_sections
from resight.reports.tables import scores_table_text
from resight.scoring import about, embed, measure
from resight.training import load_encoder


@dataclass(frozen=True)
class EvaluateSettings:
    """What is scored, and how.

    Attributes:
        data: The data set: `name=PATH` or a path.
        validation_people: Score so many people held out of the training part instead of the test people.
        flip: Add the features of the mirrored images; a run's own choice where a run is named.
        tracklet: How a tracklet becomes a vector, on sets of tracklets; likewise.
        rerank: Re-rank by k-reciprocal neighbours first.
        cache: A folder that keeps vectors, so that the same encoder on the same images is not run again.
        page: Where to write the HTML page; empty writes none.
        json: Print JSON instead of a table.
        encoder: What to score where no run or encoder file is named: a backbone as its weights are.
        device: Where it runs.
    """

    data: str = ""
    validation_people: int = 0
    flip: bool = False
    tracklet: TrackletSettings = field(default_factory=TrackletSettings)
    rerank: bool = False
    cache: str = ""
    page: str = ""
    json: bool = False
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    device: DeviceSettings = field(default_factory=DeviceSettings)


def run(arguments: Sequence[str]) -> int:
    """Run `resight evaluate`."""
    named = bool(arguments) and not arguments[0].startswith("-")
    given = arguments[named:]
    own = expanded(arguments[0]) / "config.yaml" if named else None
    scored = flags_of(own, "flip", "tracklet") if own is not None and own.is_file() else []
    (settings,) = read_settings([*scored, *given], [EvaluateSettings], program="resight evaluate [RUN or ENCODER]")
    if not settings.data:
        raise ConfigError("resight evaluate needs images: --data market1501=PATH, for example")
    if settings.page:
        check_output(expanded(settings.page), suffix=".html")  # a mistake is said before anything is embedded
    if named and settings.encoder != EncoderSettings():
        raise ConfigError(f"{arguments[0]} brings its own encoder: leave out --encoder.*, or leave out {arguments[0]}")
    encoder = load_encoder(arguments[0]) if named else Encoder(settings.encoder).eval()
    dataset = load_dataset(*parse_spec(settings.data))
    if dataset.unit == "images" and any(flag.startswith("--tracklet.") for flag in given):
        raise ConfigError(f"{dataset.name} is a set of images, not of tracklets: leave out --tracklet.*")
    if settings.rerank and measure(dataset, settings.tracklet) is not squared_distances:
        raise ConfigError(
            "re-ranking stands on the Euclidean distance: set tracklet.distance to concatenated or leave out rerank"
        )
    if settings.validation_people:
        dataset = split_validation(dataset, settings.validation_people)
    if not len(dataset.query):
        raise DataError(
            f"{dataset.name} has no queries: hold people out with --validation_people, who are labelled, for "
            f"a folder of crops, in its {LABELS}"
        )
    devices = Devices(settings.device)
    cache = expanded(settings.cache) if settings.cache else None
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
        print(json.dumps(report.to_json()))
    else:
        Console().print(scores_table_text({dataset.name: report}))
        for note in dataset.notes:
            print(printable(note))
    if settings.page:
        found = ranking(queries, gallery, re_ranking=settings.rerank, distance=distance, device=devices.device)
        title = f"{arguments[0] if named else settings.encoder.backbone} on {dataset.name}"
        why = []
        if queries.vectors.shape[1] == encoder.dim:  # parts of a tracklet's time are no encoder's parts
            parts = part_similarities(queries, gallery, found, encoder)
            why = parts_sections(report, queries, gallery, found, parts, dataset.names)
        page = evaluation_page(report, queries, gallery, found, title=title, names=dataset.names, more_sections=why)
        write_page(expanded(settings.page), page)
    return 0


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
