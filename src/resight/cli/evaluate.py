"""`resight evaluate ENCODER --data SPEC`: score an encoder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from resight.config import read_settings
from resight.data.dataset import load_dataset, parse_spec
from resight.data.splits import split_validation
from resight.devices import Devices, DeviceSettings
from resight.errors import ConfigError, DataError
from resight.evaluation import evaluate
from resight.extraction import extract
from resight.models.encoder import Encoder, EncoderSettings
from resight.ranking import rank
from resight.reports.page import evaluation_page, write_page
from resight.reports.tables import scores_table_text
from resight.training import load_encoder


@dataclass(frozen=True)
class EvaluateSettings:
    """What is scored, and how.

    Attributes:
        data: The data set: `name=PATH` or a path.
        validation_people: Score so many people held out of the training part instead of the test people.
        flip: Add the features of the mirrored images.
        rerank: Re-rank by k-reciprocal neighbours first.
        cache: A folder that keeps vectors, so that the same encoder on the same images is not run again.
        page: Where to write the HTML page; empty writes none.
        json: Print JSON instead of a table.
        encoder: What to score where no encoder is named: a backbone as its weights are.
        device: Where it runs.
    """

    data: str = ""
    validation_people: int = 0
    flip: bool = False
    rerank: bool = False
    cache: str = ""
    page: str = ""
    json: bool = False
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    device: DeviceSettings = field(default_factory=DeviceSettings)


def run(arguments: Sequence[str]) -> int:
    """Run `resight evaluate`."""
    named = bool(arguments) and not arguments[0].startswith("-")
    flags = [("--json=true" if flag == "--json" else flag) for flag in arguments[named:]]
    (settings,) = read_settings(flags, [EvaluateSettings], program="resight evaluate [RUN or ENCODER]")
    if not settings.data:
        raise ConfigError("resight evaluate needs images: --data market1501=PATH, for example")
    encoder = load_encoder(arguments[0]) if named else Encoder(settings.encoder).eval()
    dataset = load_dataset(*parse_spec(settings.data))
    if settings.validation_people:
        dataset = split_validation(dataset, settings.validation_people)
    if not len(dataset.query):
        raise DataError(f"{dataset.name} has no queries: label some people, or hold some out with --validation_people")
    devices = Devices(settings.device)
    cache = Path(settings.cache).expanduser() if settings.cache else None
    devices.place(encoder)
    sides = [
        extract(encoder, side, devices=devices, flip=settings.flip, cache=cache)
        for side in (dataset.query, dataset.gallery)
    ]
    known = {"data": dataset.name, "flip": settings.flip, **devices.describe()}
    report = evaluate(
        *sides, rule=dataset.rule, distractor=dataset.distractor, re_ranking=settings.rerank, provenance=known
    )
    if settings.page:
        queries, gallery = sides
        ranking = rank(queries, gallery, k=10)
        title = f"{arguments[0] if named else settings.encoder.backbone} on {dataset.name}"
        write_page(settings.page, evaluation_page(report, queries.table, gallery.table, ranking, title=title))
    if settings.json:
        print(json.dumps(report.to_json()))
    else:
        Console().print(scores_table_text({dataset.name: report}))
        for note in dataset.notes:
            print(note)
    return 0
