"""`resight explain MODEL`: show where an encoder looks, and why it ranks two images as similar."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.table import Table
from rich.text import Text
from torch import Tensor

from resight.cli.queries import (
    Images,
    check_images_named,
    describe_encoder,
    find_images,
    load_gallery,
    log_problems,
    log_queries,
    split_words,
)
from resight.cli.terminal import say, say_json, show
from resight.compute.devices import Devices, DeviceSettings
from resight.config.settings import read_settings
from resight.data.catalog import parse_spec
from resight.data.crops import Crops, load_crops
from resight.data.images import read_image
from resight.data.settings import DataSettings
from resight.data.transforms import to_float
from resight.errors import ConfigError, DataError
from resight.files import check_output, expanded, json_text, printable, write_atomically
from resight.models.encoder import Encoder, load_encoder
from resight.models.encoder_settings import encoder_file, names_encoder
from resight.models.packaged import HAND_MADE, SYNTHETIC
from resight.records import Features, ImageTable, Ranking
from resight.reports.parts import agreement, with_parts
from resight.reports.ranked_lists import RankedList, draw_ranked_list
from resight.reports.saliency import saliency_sheet
from resight.reports.tiles import write_png
from resight.retrieval.cache import vectors_folder
from resight.retrieval.explain import PartSimilarities, choose_parts, grad_cam, part_similarities
from resight.retrieval.extraction import extract
from resight.retrieval.ranking import rank, rank_others

LISTS = ("--images", "--parts")
"""The flags that take several words."""

PICTURES = ("matches.png", "saliency.png")
"""The pictures written next to `explain.json`; `matches.png` for a query only."""

MOST = 64
"""The most images, or results, that one call explains; each is a row of a picture."""

_HEIGHT = 160

logger = logging.getLogger(__name__)

_USAGE = (
    "resight explain needs what to explain: resight explain [MODEL] --images a.jpg b.jpg, or "
    "--query a.jpg with --result b.jpg or --data folder=CROPS"
)


@dataclass(frozen=True)
class ExplainSettings(DataSettings):
    """What to explain.

    Attributes:
        data: Where to search: a folder of crops, or `name=PATH` for the gallery of a data set.
        images: Images, or folders of images, in which to show where the encoder looks: `--images a.jpg b.jpg`.
        query: An image whose matches to explain: the one that `result` names, or the results of a search in `data`.
        result: The image to compare the query with.
        k: The number of results of a search to explain.
        parts: Names of the encoder's parts whose maps to show, `--parts "p1 whole" "p2 stripe 1 of 2"`; empty for all.
        out: The folder for the pictures and `explain.json`.
        cache: A folder that keeps embeddings for the next search. The same images are then not embedded again. Beyond
            10 GB, the least recently used ones are removed.
        json: Print the JSON instead of a table.
        device: The device to run on.
    """

    images: tuple[str, ...] = ()
    query: str = ""
    result: str = ""
    k: int = 3
    parts: tuple[str, ...] = ()
    out: str = "explain"
    cache: str = ""
    json: bool = False
    device: DeviceSettings = field(default_factory=DeviceSettings)

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ConfigError(f"k must be 1 or more, found {self.k}")
        if self.k > MOST:
            raise ConfigError(f"k must be {MOST} or less, found {self.k}: each result is a row of a picture")


def run(arguments: Sequence[str]) -> int:
    """Run `resight explain`."""
    lists, remaining = take_lists(arguments)
    words, flags = split_words(remaining)
    (settings,) = read_settings(flags, [ExplainSettings], program="resight explain [MODEL]")
    settings = dataclasses.replace(settings, **lists)
    model, words = (words[0], words[1:]) if words and names_encoder(expanded(words[0])) else (SYNTHETIC, words)
    check_images_named(words)
    names = [*words, *settings.images]
    if bool(names) == bool(settings.query):
        raise ConfigError(_USAGE)
    if settings.query and bool(settings.result) == bool(settings.data):
        raise ConfigError("--query needs either --result IMAGE to compare it with, or --data to search in")
    images = find_images(names) if names else _find_image(settings.query, "query")
    if settings.result:
        settings = dataclasses.replace(settings, result=_find_image(settings.result, "result").paths[0])
    if len(images.paths) > MOST:
        raise ConfigError(f"resight explain shows {MOST} images at most, found {len(images.paths):,}: name fewer")
    out, root = expanded(settings.out), None
    if settings.data:
        _, root = parse_spec(settings.data, settings.folder_settings())
    for name in ("explain.json", *PICTURES):
        check_output(out / name, data=root)  # fails before anything is embedded
    encoder_file(model)  # its error names the file
    if model in HAND_MADE:
        raise ConfigError(f"{model} is a histogram of whole stripes, which has no map to explain: name a network")
    log_queries(images)
    if model == SYNTHETIC:
        logger.info("explaining %s", describe_encoder(model))
    encoder = load_encoder(model)
    choose_parts(encoder, settings.parts)  # fails before anything is read
    devices = Devices(settings.device)
    devices.to_device(encoder)
    crops = load_crops(ImageTable(np.array(images.paths)), encoder.settings.size)
    log_problems(crops.problems[1:])  # loading has logged the first
    explain = _explain_images if names else _explain_matches
    explanation, pictures = explain(encoder, crops, settings, devices)
    if devices.rank > 0:  # of several processes only the first prints
        return 0
    text = json_text(explanation, indent=1)
    if (out / "explain.json").is_file():  # of an earlier call: its pictures would not match the new file
        for name in PICTURES:
            (out / name).unlink(missing_ok=True)
    write_atomically(out / "explain.json", text + "\n")
    for name, picture in pictures.items():
        write_png(out / name, picture)
    if settings.json:
        say_json(explanation, indent=1)
    else:
        show(_table(explanation))
        outputs = (str((out / name).resolve()) for name in (*pictures, "explain.json"))
        say(f"written: {', '.join(outputs)}")
    return 1 if images.problems or crops.problems else 0


def _find_image(path: str, flag: str) -> Images:
    """Find the single image that a flag names."""
    images = find_images([path])
    if len(images.paths) > 1:
        raise ConfigError(f"--{flag} names one image, found {len(images.paths):,} below {path}")
    return images


def take_lists(arguments: Sequence[str]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return the words of the flags that take several, by flag, and the remaining arguments."""
    lists: dict[str, list[str]] = {}
    current: list[str] | None = None
    remaining: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name in LISTS and not value.startswith("["):
            current = lists.setdefault(name.removeprefix("--"), [])
            current += [value] if equals else []
        elif current is None or argument.startswith("-"):
            current = None
            remaining.append(argument)
        else:
            current.append(argument)
    return {name: tuple(words) for name, words in lists.items()}, remaining


def _explain_images(
    encoder: Encoder, crops: Crops, settings: ExplainSettings, devices: Devices
) -> tuple[dict[str, Any], dict[str, Image.Image]]:
    """Return where the encoder looks in images, as JSON data and as pictures by file name."""
    paths = crops.table.paths.tolist()
    maps = grad_cam(encoder, _to_tensor(crops, devices), parts=settings.parts)
    features = extract(encoder, crops, devices=devices)
    rows = np.arange(len(paths))[:, None]
    # An image's similarity to itself is 1, so the shares are each part's share of the embedding.
    parts = part_similarities(features, features, Ranking(rows, np.zeros(rows.shape, np.float32)), encoder)
    images = [{"path": path, "parts": _part_entries(parts, row, 0, maps, row)} for row, path in enumerate(paths)]
    return {"images": images}, {"saliency.png": saliency_sheet(paths, _to_numpy(maps))}


def _explain_matches(
    encoder: Encoder, crops: Crops, settings: ExplainSettings, devices: Devices
) -> tuple[dict[str, Any], dict[str, Image.Image]]:
    """Return why images match a query, as JSON data and as pictures by file name."""
    (query,) = crops.table.paths.tolist()
    query_images, queries = _to_tensor(crops, devices), extract(encoder, crops, devices=devices)
    gallery, ranking = _rank_results(encoder, queries, settings, devices)
    parts = part_similarities(queries, gallery, ranking, encoder)
    results, totals = gallery.table.paths.tolist(), parts.totals[0].tolist()
    result_images = _read_images(results, encoder, devices)
    # Each pair in both directions, a row each.
    query_images = query_images.expand_as(result_images)
    pairs = ((query_images, result_images), (result_images, query_images))
    first, second = (torch.stack(pair, 1).flatten(0, 1) for pair in pairs)
    maps = grad_cam(encoder, first, target="match", others=second, parts=settings.parts)
    explanation = {
        "query": query,
        "results": [
            {
                "path": path,
                "similarity": totals[row],
                "agreement": agreement(parts, 0, row),
                "parts": _part_entries(parts, 0, row, maps, 2 * row + 1),
            }
            for row, path in enumerate(results)
        ],
    }
    captions = [f"{total:.3f}" for total in totals]
    strip = draw_ranked_list(query, results, verdicts=["unknown"] * len(results), captions=captions, height=_HEIGHT)
    strip = with_parts(RankedList(strip, "", ("unknown",) * len(results)), parts, 0, height=_HEIGHT).image
    names = [part.name for part in encoder.parts]
    sheet = saliency_sheet(
        [path for result in results for path in (query, result)],
        _to_numpy(maps),
        titles=[
            title for row in range(len(results)) for title in (f"query, to\nresult {row + 1}", f"result {row + 1}")
        ],
        notes=[[f"{value:.2f}" for value in np.repeat(parts.cosines[0, :, names.index(name)], 2)] for name in maps],
    )
    return explanation, {"matches.png": strip, "saliency.png": sheet}


def _rank_results(
    encoder: Encoder, queries: Features, settings: ExplainSettings, devices: Devices
) -> tuple[Features, Ranking]:
    """Return the images to compare with the query, nearest first, and their ranking."""
    if settings.result:
        gallery = extract(encoder, ImageTable(np.array([settings.result])), devices=devices)
        ranking = rank(queries, gallery, k=1, device=devices.device)
    else:
        _, root = parse_spec(settings.data, settings.folder_settings())
        cache = vectors_folder(settings.cache, root)
        _, table = load_gallery(settings, settings.k)
        gallery = extract(encoder, table, devices=devices, cache=cache)
        ranking, _ = rank_others(queries, gallery, k=settings.k, device=devices.device)
        if not ranking.indices.size:
            raise DataError(f"{settings.data} holds only the query: there is nothing to compare it with")
    return gallery[ranking.indices[0]], Ranking(np.arange(len(ranking.indices[0]))[None], ranking.distances)


def _to_tensor(crops: Crops, devices: Devices) -> Tensor:
    """Return decoded images on the device, ``(B, 3, H, W)`` in 0..1."""
    return to_float(crops.pixels(slice(None)).to(devices.device))


def _read_images(paths: Sequence[str], encoder: Encoder, devices: Devices) -> Tensor:
    """Read images, ``(B, 3, H, W)`` in 0..1; an error names the file and the reason."""
    images = np.stack([read_image(path, encoder.settings.size) for path in paths])
    return to_float(torch.from_numpy(images).to(devices.device))


def _to_numpy(maps: Mapping[str, Tensor]) -> dict[str, Any]:
    return {name: saliency.cpu().numpy() for name, saliency in maps.items()}


def _part_entries(
    parts: PartSimilarities, row: int, rank: int, maps: Mapping[str, Tensor], image: int
) -> list[dict[str, Any]]:
    """Return each part's similarity, its share, and where its map is highest, in shares of height and width."""
    entries: list[dict[str, Any]] = []
    for index, part in enumerate(parts.parts):
        entry = {
            "part": part.name,
            "similarity": parts.cosines[row, rank, index],
            "share": parts.shares[row, rank, index],
        }
        if part.name in maps:
            saliency = maps[part.name][image]
            height, width = saliency.shape
            down, across = divmod(int(saliency.argmax()), width)
            entry["highest"] = [(down + 0.5) / height, (across + 0.5) / width] if saliency.any() else None
        entries.append(entry)
    return entries


def _table(explanation: Mapping[str, Any]) -> Table:
    """Build the table of each part's numbers, a column for each image."""
    matches = "results" in explanation
    images = explanation["results"] if matches else explanation["images"]
    title = (
        f"How similar each part is to the query's: {printable(explanation['query'])}"
        if matches
        else "Each part's share of the embedding"
    )
    table = Table(title=Text(title), title_justify="left")
    table.add_column("part")
    for number in range(1, len(images) + 1):
        table.add_column(f"{'result' if matches else 'image'} {number}", justify="right")
    for index, part in enumerate(images[0]["parts"]):
        values = [image["parts"][index]["similarity" if matches else "share"] for image in images]
        table.add_row(part["part"], *(f"{value:.3f}" for value in values))
    if matches:
        table.add_section()
        table.add_row("all together", *(f"{image['similarity']:.3f}" for image in images))
    return table
