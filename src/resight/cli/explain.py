"""`resight explain MODEL`: where it looks, and why it takes two images for the same person."""

from __future__ import annotations

import dataclasses
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
    find_images,
    load_searched,
    split_words,
    tell_fewer,
    tell_frames,
    tell_problems,
)
from resight.cli.terminal import say, say_json, show
from resight.compute.devices import Devices, DeviceSettings
from resight.config.settings import read_settings
from resight.data.catalog import folder_settings, parse_spec
from resight.data.crops import Crops, load_crops
from resight.data.images import read_image
from resight.data.transforms import to_float
from resight.errors import ConfigError, DataError
from resight.files import check_output, expanded, json_text, printable, write_atomically
from resight.models.encoder import Encoder, load_encoder
from resight.models.encoder_settings import encoder_file
from resight.records import Features, ImageTable, Ranking
from resight.reports.parts import agreement, with_parts
from resight.reports.ranked_lists import Strip, ranked_strip
from resight.reports.saliency import saliency_sheet
from resight.reports.tiles import write_png
from resight.retrieval.cache import vectors_folder
from resight.retrieval.explain import PartSimilarities, choose_parts, grad_cam, part_similarities
from resight.retrieval.extraction import extract
from resight.retrieval.ranking import rank, rank_others

LISTS = ("--images", "--parts")
"""Flags that take several words."""

PICTURES = ("matches.png", "saliency.png")
"""What is written beside `explain.json`; `matches.png` for a query only."""

MOST = 64
"""Images, or results, that one call explains: each is a row of a picture."""

_HEIGHT = 160
_WHAT = (
    "resight explain needs a model and what to explain: resight explain runs/mine --images a.jpg b.jpg, or "
    "--query a.jpg with --result b.jpg or --data folder=CROPS"
)


@dataclass(frozen=True)
class ExplainSettings:
    """What is explained.

    Attributes:
        images: Images to show where the encoder looks in, or folders of them: `--images a.jpg b.jpg`.
        query: An image to explain matches of: with `result` of that one, with `data` of what a search there finds.
        result: The image that the query is compared with.
        data: Where to search: a folder of crops, or `name=PATH` for the gallery of a data set.
        layout: What the sub-folders of a folder of crops are, from the root down: `camera`, `person`, `tracklet`,
            `split`, `-` for a level that means nothing, with `/` between them, such as `person/camera`; or `none`.
            Empty finds it out, and says what was found.
        pattern: A regular expression for the paths in a folder of crops, with groups such as `(?P<camera>cam[0-9]+)`;
            groups are `person`, `camera`, `tracklet`, `frame` and `split`.
        k: How many results of a search to explain.
        parts: Names of the encoder's parts to show where they look, `--parts "p1 whole" "p2 stripe 1 of 2"`; all where
            empty.
        out: The folder for the pictures and `explain.json`.
        cache: A folder that keeps vectors, so that the next search does not embed the same images again. Where they
            become more than 10 GB, those used longest ago go.
        json: Print the JSON instead of a table.
        device: Where it runs.
    """

    images: tuple[str, ...] = ()
    query: str = ""
    result: str = ""
    data: str = ""
    layout: str = ""
    pattern: str = ""
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
    lists, rest = take_lists(arguments)
    words, flags = split_words(rest)
    (settings,) = read_settings(flags, [ExplainSettings], program="resight explain MODEL")
    settings = dataclasses.replace(settings, **lists)
    images = [*words[1:], *settings.images]
    if not words or bool(images) == bool(settings.query):
        raise ConfigError(_WHAT)
    if settings.query and bool(settings.result) == bool(settings.data):
        raise ConfigError("--query needs what to compare it with: --result IMAGE, or --data to search in; one of them")
    asked = find_images(images) if images else _one(settings.query, "query")
    if settings.result:
        settings = dataclasses.replace(settings, result=_one(settings.result, "result").paths[0])
    if len(asked.paths) > MOST:
        raise ConfigError(f"resight explain shows {MOST} images at most, found {len(asked.paths):,}: name fewer")
    out, data = expanded(settings.out), None
    if settings.data:
        _, data = parse_spec(settings.data, folder_settings(settings.layout, settings.pattern, settings.data))
    for name in ("explain.json", *PICTURES):
        check_output(out / name, data=data)  # a mistake is said before anything is embedded
    encoder_file(words[0])  # its error names the file
    tell_problems(asked.problems)
    tell_frames(asked.paths)
    encoder = load_encoder(words[0])
    choose_parts(encoder, settings.parts)  # a mistake is said before anything is read
    devices = Devices(settings.device)
    devices.to_device(encoder)
    crops = load_crops(ImageTable(np.array(asked.paths)), encoder.settings.size)
    tell_problems(crops.problems[1:])  # the first has been said
    about, pictures = (_looks if images else _matches)(encoder, crops, settings, devices)
    if devices.rank > 0:  # of several processes one speaks
        return 0
    text = json_text(about, indent=1)
    if (out / "explain.json").is_file():  # of an earlier call, whose pictures would say something else
        for name in PICTURES:
            (out / name).unlink(missing_ok=True)
    write_atomically(out / "explain.json", text + "\n")
    for name, picture in pictures.items():
        write_png(out / name, picture)
    if settings.json:
        say_json(about, indent=1)
    else:
        show(_table(about))
        written = (str((out / name).resolve()) for name in (*pictures, "explain.json"))
        say(f"written: {', '.join(written)}")
    return 1 if asked.problems or crops.problems else 0


def _one(word: str, flag: str) -> Images:
    """Find the one image that a flag names."""
    found = find_images([word])
    if len(found.paths) > 1:
        raise ConfigError(f"--{flag} names one image, found {len(found.paths):,} below {word}")
    return found


def take_lists(arguments: Sequence[str]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Take the flags that have several words, with these words, out of a command line; the rest comes back too."""
    lists: dict[str, list[str]] = {}
    taking: list[str] | None = None
    rest: list[str] = []
    for each in arguments:
        name, equals, value = each.partition("=")
        if name in LISTS and not value.startswith("["):
            taking = lists.setdefault(name.removeprefix("--"), [])
            taking += [value] if equals else []
        elif taking is None or each.startswith("-"):
            taking = None
            rest.append(each)
        else:
            taking.append(each)
    return {name: tuple(words) for name, words in lists.items()}, rest


def _looks(
    encoder: Encoder, crops: Crops, settings: ExplainSettings, devices: Devices
) -> tuple[dict[str, Any], dict[str, Image.Image]]:
    """Show where the encoder looks in images."""
    paths = crops.table.paths.tolist()
    maps = grad_cam(encoder, _floats(crops, devices), parts=settings.parts)
    features = extract(encoder, crops, devices=devices)
    each = np.arange(len(paths))[:, None]
    # With itself an image's similarity is 1; the shares say how much of the vector each part is.
    own = part_similarities(features, features, Ranking(each, np.zeros(each.shape, np.float32)), encoder)
    images = [{"path": path, "parts": _numbers(own, row, 0, maps, row)} for row, path in enumerate(paths)]
    return {"images": images}, {"saliency.png": saliency_sheet(paths, _arrays(maps))}


def _matches(
    encoder: Encoder, crops: Crops, settings: ExplainSettings, devices: Devices
) -> tuple[dict[str, Any], dict[str, Image.Image]]:
    """Show why images match a query."""
    (query,) = crops.table.paths.tolist()
    pixels, queries = _floats(crops, devices), extract(encoder, crops, devices=devices)
    found, ranking = _results(encoder, queries, settings, devices)
    similar = part_similarities(queries, found, ranking, encoder)
    results, totals = found.table.paths.tolist(), similar.totals[0].tolist()
    others = _pixels(results, encoder, devices)
    # Each pair in both directions, a row each.
    pixels = pixels.expand_as(others)
    first, second = (torch.stack(pair, 1).flatten(0, 1) for pair in ((pixels, others), (others, pixels)))
    maps = grad_cam(encoder, first, target="match", others=second, parts=settings.parts)
    about = {
        "query": query,
        "results": [
            {
                "path": path,
                "similarity": totals[row],
                "agreement": agreement(similar, 0, row),
                "parts": _numbers(similar, 0, row, maps, 2 * row + 1),
            }
            for row, path in enumerate(results)
        ],
    }
    captions = [f"{total:.3f}" for total in totals]
    strip = ranked_strip(query, results, verdicts=["unknown"] * len(results), captions=captions, height=_HEIGHT)
    strip = with_parts(Strip(strip, "", ("unknown",) * len(results)), similar, 0, height=_HEIGHT).image
    names = [part.name for part in encoder.parts]
    sheet = saliency_sheet(
        [path for result in results for path in (query, result)],
        _arrays(maps),
        titles=[
            title for row in range(len(results)) for title in (f"query, to\nresult {row + 1}", f"result {row + 1}")
        ],
        notes=[[f"{value:.2f}" for value in np.repeat(similar.cosines[0, :, names.index(name)], 2)] for name in maps],
    )
    return about, {"matches.png": strip, "saliency.png": sheet}


def _results(
    encoder: Encoder, queries: Features, settings: ExplainSettings, devices: Devices
) -> tuple[Features, Ranking]:
    """Give the images that are compared with the query, nearest first, and their ranking."""
    if settings.result:
        gallery = extract(encoder, ImageTable(np.array([settings.result])), devices=devices)
        ranking = rank(queries, gallery, k=1, device=devices.device)
    else:
        told = folder_settings(settings.layout, settings.pattern, settings.data)
        cache = vectors_folder(settings.cache, parse_spec(settings.data, told)[1])
        _, searched = load_searched(settings.data, told)
        tell_fewer(len(searched), settings.k)
        gallery = extract(encoder, searched, devices=devices, cache=cache)
        ranking, _ = rank_others(queries, gallery, k=settings.k, device=devices.device)
        if not ranking.indices.size:
            raise DataError(f"{settings.data} holds the query alone: there is nothing to compare it with")
    return gallery[ranking.indices[0]], Ranking(np.arange(len(ranking.indices[0]))[None], ranking.distances)


def _floats(crops: Crops, devices: Devices) -> Tensor:
    """Give decoded images, ``(B, 3, H, W)`` in 0..1."""
    return to_float(crops.pixels(slice(None)).to(devices.device))


def _pixels(paths: Sequence[str], encoder: Encoder, devices: Devices) -> Tensor:
    """Read images, ``(B, 3, H, W)`` in 0..1; an error names the file and the reason."""
    images = np.stack([read_image(path, encoder.settings.size) for path in paths])
    return to_float(torch.from_numpy(images).to(devices.device))


def _arrays(maps: Mapping[str, Tensor]) -> dict[str, Any]:
    return {name: found.cpu().numpy() for name, found in maps.items()}


def _numbers(
    found: PartSimilarities, row: int, rank: int, maps: Mapping[str, Tensor], image: int
) -> list[dict[str, Any]]:
    """Say of each part how similar it is, what it adds, and where its map is highest, as shares of height and width."""
    numbers: list[dict[str, Any]] = []
    for place, part in enumerate(found.parts):
        entry = {
            "part": part.name,
            "similarity": found.cosines[row, rank, place],
            "share": found.shares[row, rank, place],
        }
        if part.name in maps:
            one = maps[part.name][image]
            down, across = divmod(int(one.argmax()), one.shape[1])
            entry["highest"] = [(down + 0.5) / one.shape[0], (across + 0.5) / one.shape[1]] if one.any() else None
        numbers.append(entry)
    return numbers


def _table(about: Mapping[str, Any]) -> Table:
    """Lay the numbers of each part out, a column for each image."""
    matches = "results" in about
    shown = about["results"] if matches else about["images"]
    title = (
        f"How similar each part is to the query's: {printable(about['query'])}"
        if matches
        else "How much of each vector a part is"
    )
    table = Table(title=Text(title), title_justify="left")
    table.add_column("part")
    for number in range(1, len(shown) + 1):
        table.add_column(f"{'result' if matches else 'image'} {number}", justify="right")
    for place, part in enumerate(shown[0]["parts"]):
        values = [entry["parts"][place]["similarity" if matches else "share"] for entry in shown]
        table.add_row(part["part"], *(f"{value:.3f}" for value in values))
    if matches:
        table.add_section()
        table.add_row("all together", *(f"{entry['similarity']:.3f}" for entry in shown))
    return table
