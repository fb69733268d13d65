"""`resight search QUERY.jpg --data FOLDER`: who looks like this person?"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from resight.config import read_settings
from resight.data.dataset import load_dataset, parse_spec
from resight.data.images import read_image
from resight.devices import Devices, DeviceSettings
from resight.errors import ConfigError
from resight.extraction import extract
from resight.files import check_output, expanded, printable
from resight.models.encoder import Encoder, EncoderSettings
from resight.ranking import rank
from resight.records import ImageTable, Ints
from resight.reports.strips import ranked_strip
from resight.reports.tiles import called, write_png
from resight.training import load_encoder


@dataclass(frozen=True)
class SearchSettings:
    """Where to search, with what, and what to show.

    Attributes:
        data: Where to search: a folder of crops, or `name=PATH` for the gallery of a data set.
        encoder: A run folder or an encoder file; empty uses the backbone's own weights.
        k: How many results.
        strip: Where to write the picture of the results, a PNG; empty writes none.
        cache: A folder that keeps vectors, so that the next search does not embed the same images again.
        json: Print JSON instead of a table: of each result the path, the similarity, and the camera and the person as
            the data call them, null where unknown, with their numbers as `camera_id` and `person_id`, -1 where unknown.
        backbone: What to search with where no encoder is named.
        device: Where it runs.
    """

    data: str = ""
    encoder: str = ""
    k: int = 10
    strip: str = ""
    cache: str = ""
    json: bool = False
    backbone: EncoderSettings = field(default_factory=EncoderSettings)
    device: DeviceSettings = field(default_factory=DeviceSettings)

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ConfigError(f"k must be 1 or more, found {self.k}")


def run(arguments: Sequence[str]) -> int:
    """Run `resight search`."""
    named = bool(arguments) and not arguments[0].startswith("-")
    flags = ["--k" if flag == "-k" else flag for flag in arguments[named:]]
    (settings,) = read_settings(flags, [SearchSettings], program="resight search QUERY.jpg")
    if not named or not settings.data:
        raise ConfigError(
            "resight search needs an image and where to search: resight search QUERY.jpg --data folder=CROPS"
        )
    if settings.encoder and settings.backbone != EncoderSettings():
        raise ConfigError(f"{settings.encoder} brings its own encoder: leave out --backbone.*, or leave out --encoder")
    query = arguments[0]
    kind, place = parse_spec(settings.data)
    strip = expanded(settings.strip) if settings.strip else None
    if strip is not None:
        if os.path.realpath(strip) == os.path.realpath(query):
            raise ConfigError(f"--strip {settings.strip} is the query itself, and would replace it: name another file")
        check_output(strip, suffix=".png", data=place)  # mistakes are said before anything is embedded
    encoder = load_encoder(settings.encoder) if settings.encoder else Encoder(settings.backbone).eval()
    read_image(query, encoder.settings.size)  # its errors name the file and the reason
    dataset = load_dataset(kind, place)
    devices = Devices(settings.device)
    devices.place(encoder)
    cache = expanded(settings.cache) if settings.cache else None
    gallery = extract(encoder, dataset.gallery if len(dataset.gallery) else dataset.train, devices=devices, cache=cache)
    queries = extract(encoder, ImageTable(np.array([query])), devices=devices)
    if devices.rank > 0:  # of several processes one speaks
        return 0
    ranking = rank(queries, gallery, k=settings.k, device=devices.device)
    ids, similarities = ranking.ids[0], 1 - ranking.distances[0] / 2
    found = gallery.table[ids]
    places = dataset.names.get("cameras", ())
    cameras = _names(found.cameras, places)
    if settings.json:
        columns: dict[str, Sequence[object]] = {
            "path": found.paths.tolist(),
            "similarity": similarities.tolist(),
            "camera": cameras,
            "camera_id": found.cameras.tolist(),
            "person": _names(found.people, dataset.names.get("people", ())),
            "person_id": found.people.tolist(),
        }
        print(json.dumps([dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]))
    else:
        _print_table(found.paths.tolist(), similarities.tolist(), cameras)
    # The picture comes last: whatever becomes of its file, the answer has been given.
    if strip is not None:
        seen_by = [called(int(camera), places, "camera") for camera in found.cameras]
        captions = [f"{similarity:.3f}\n{by}" for similarity, by in zip(similarities, seen_by, strict=True)]
        picture = ranked_strip(
            query, found.paths.tolist(), verdicts=["unknown"] * len(found), captions=captions, names=places
        )
        write_png(strip, picture)
    return 0


def _print_table(paths: Sequence[str], similarities: Sequence[float], cameras: Sequence[str | None]) -> None:
    table = Table(title="Probable matches, most similar first", title_justify="left")
    for column in ("rank", "similarity", "camera", "image"):
        wide = column == "image"  # of long paths, only the path is broken into lines
        table.add_column(column, justify="left" if wide else "right", no_wrap=not wide, overflow="fold")
    for place, (path, similarity, camera) in enumerate(zip(paths, similarities, cameras, strict=True), 1):
        shown = "–" if camera is None else printable(camera)
        table.add_row(str(place), f"{similarity:.3f}", Text(shown), Text(printable(path)))
    Console().print(table)
    print("Similarity (cosine, -1 to 1) ranks; it is no probability, and never proof of who somebody is.")


def _names(ids: Ints, names: Sequence[str]) -> list[str | None]:
    """Say what the data call each id; None where it is unknown."""
    return [None if number < 0 else names[number] if names else str(number) for number in ids.tolist()]
