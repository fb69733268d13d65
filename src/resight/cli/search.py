"""`resight search MODEL QUERY.jpg --data FOLDER`: who looks like this person?

torch and what stands on it take seconds to load. That is done with `resight.cli.searching`, where the search begins:
help and mistakes do not wait for it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from resight.cli.queries import (
    LISTED,
    Answer,
    Images,
    find_images,
    load_searched,
    split_words,
    tell_fewer,
    tell_frames,
    tell_problems,
)
from resight.cli.terminal import say, say_json, show
from resight.compute.settings import DeviceSettings
from resight.config.settings import read_settings
from resight.data.catalog import folder_settings, parse_spec
from resight.data.dataset import Dataset
from resight.errors import ConfigError, counted
from resight.files import check_apart, check_output, expanded, printable
from resight.models.encoder_settings import EncoderSettings, encoder_file, names_encoder
from resight.reports.tables import MISSING

STRIPS = 20
"""Queries that one picture shows."""

RESULTS = 50
"""Results that a picture shows of each."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SearchSettings:
    """Where to search, with what, and what to show.

    Attributes:
        data: Where to search: a folder of crops, or `name=PATH` for the gallery of a data set.
        layout: What the sub-folders of a folder of crops are, from the root down: `camera`, `person`, `tracklet`,
            `split`, `-` for a level that means nothing, with `/` between them, such as `person/camera`; or `none`.
            Empty finds it out, and says what was found.
        pattern: A regular expression for the paths in a folder of crops, with groups such as `(?P<camera>cam[0-9]+)`;
            groups are `person`, `camera`, `tracklet`, `frame` and `split`.
        queries: A list of more images to search for, a file with one path a line; `-` reads it from standard input.
        k: How many results for each image. Its own file is not among them.
        ranked_list: Where to write the picture of the results, a PNG; empty writes none.
        cache: A folder that keeps vectors, so that the next search does not embed the same images again. Where they
            become more than 10 GB, those used longest ago go.
        json: Print JSON instead of tables: for each image its path as `query` and its `results`, or the `error` where
            it cannot be read. Of each result the path, the similarity, and the camera and the person as the data call
            them, null where unknown, with their numbers as `camera_id` and `person_id`, -1 where unknown.
        encoder: What to search with if no model is named: a backbone with its own weights.
        device: Where it runs.
    """

    data: str = ""
    layout: str = ""
    pattern: str = ""
    queries: str = ""
    k: int = 10
    ranked_list: str = ""
    cache: str = ""
    json: bool = False
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    device: DeviceSettings = field(default_factory=DeviceSettings)

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ConfigError(f"k must be 1 or more, found {self.k}")


def run(arguments: Sequence[str]) -> int:
    """Run `resight search`."""
    words, flags = split_words(arguments)
    for flag in flags:
        if flag.partition("=")[0] == "--encoder":
            raise ConfigError("--encoder is gone: name the model first, resight search MODEL QUERY.jpg --data ...")
    (settings,) = read_settings(flags, [SearchSettings], program="resight search [MODEL] QUERY.jpg")
    models = [word for word in words if names_encoder(expanded(word))]
    if len(models) > 1:
        raise ConfigError(f"resight search takes one model, found {' and '.join(models[:3])}")
    model, words = "".join(models), [word for word in words if word not in models]
    if not (words or settings.queries) or not settings.data:
        raise ConfigError(
            "resight search needs an image and where to search: resight search [MODEL] QUERY.jpg --data folder=CROPS; "
            "several images, a folder of them, or a list by --queries FILE"
        )
    if model and settings.encoder != EncoderSettings():
        raise ConfigError(f"{model} brings its own encoder: leave out --encoder.*, or leave out {model}")
    told = folder_settings(settings.layout, settings.pattern, settings.data)
    _, place = parse_spec(settings.data, told)
    asked = find_images(words, settings.queries)
    if settings.ranked_list:
        folders = [word for word in map(expanded, words) if os.path.isdir(word)]  # noqa: PTH112
        _check_picture(settings.ranked_list, asked, [place, *folders])
    if settings.cache:
        check_apart(expanded(settings.cache), place)
    if model:
        encoder_file(model)  # its error names the file
    dataset, searched = load_searched(settings.data, told)
    tell_problems(asked.problems)
    tell_frames(asked.paths)
    tell_fewer(len(searched), settings.k)
    from resight.cli.searching import search

    answers = search(
        asked,
        dataset,
        searched,
        encoder=model or settings.encoder,
        k=settings.k,
        cache=expanded(settings.cache) if settings.cache else None,
        device=settings.device,
    )
    if answers is None:  # of several processes one speaks
        return 0
    if settings.json:
        say_json([_plain(answer) for answer in answers])
    else:
        _print_tables([answer for answer in answers if not answer.error], people=searched.has_people)
    # The picture comes last: whatever becomes of its file, the answer has been given.
    if settings.ranked_list:
        _write_picture(expanded(settings.ranked_list), [answer for answer in answers if not answer.error], dataset)
    return 1 if any(answer.error for answer in answers) else 0


def _check_picture(picture: str, asked: Images, folders: Sequence[Path]) -> None:
    """Make sure that the picture replaces no image and goes among none; nothing is embedded before."""
    path = expanded(picture)
    if os.path.realpath(path) in map(os.path.realpath, asked.paths):
        raise ConfigError(f"--ranked_list {picture} is the query itself, and would replace it: name another file")
    for folder in folders:
        check_output(path, suffix=".png", data=folder)


def _plain(answer: Answer) -> dict[str, Any]:
    if answer.error:
        return {"query": answer.query, "error": answer.error}
    return {"query": answer.query, "results": list(answer.results)}


def _print_tables(answers: Sequence[Answer], *, people: bool) -> None:
    """Print a table for each query, or, of many, one with the first result of each."""
    many = len(answers) > LISTED
    if many:
        rows = [[printable(answer.query), *row[1:]] for answer in answers for row in _rows(answer, people)[:1]]
        show(_table(f"The most similar to each of {len(answers):,} images", "query", rows, people))
        say("--json lists the other results of each")
    else:
        for answer in answers:
            title = f"Probable matches for {answer.query}, most similar first"
            show(_table(printable(title), "rank", _rows(answer, people), people))
            say()
    say("Similarity (cosine, -1 to 1) ranks; it is no probability, and never proof of who somebody is.")


def _rows(answer: Answer, people: bool) -> list[list[str]]:
    """Give the cells of a query's results."""
    columns = ["person", "camera"] if people else ["camera"]
    return [
        [
            str(place),
            f"{result['similarity']:.3f}",
            *(MISSING if result[column] is None else printable(result[column]) for column in columns),
            printable(result["path"]),
        ]
        for place, result in enumerate(answer.results, 1)
    ]


def _table(title: str, first: str, rows: Sequence[Sequence[str]], people: bool) -> Table:
    table = Table(title=Text(title), title_justify="left")
    for column in (first, "similarity", *(["person"] if people else []), "camera", "image"):
        if column in ("query", "image"):
            table.add_column(column, overflow="fold")
        else:
            table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _write_picture(path: Path, answers: Sequence[Answer], dataset: Dataset) -> None:
    """Draw the results of each query, a row each."""
    from resight.reports.ranked_lists import ranked_strip, stacked
    from resight.reports.tiles import called, write_png

    cameras, people = (dataset.names.get(what, ()) for what in ("cameras", "people"))
    drawn = []
    for answer in answers[:STRIPS]:
        results = answer.results[:RESULTS]
        captions = [
            "\n".join(
                [
                    f"{result['similarity']:.3f}",
                    called(result["camera_id"], cameras, "camera"),
                    *([called(result["person_id"], people, "person")] if result["person"] is not None else []),
                ]
            )
            for result in results
        ]
        paths = [result["path"] for result in results]
        drawn.append(
            ranked_strip(
                answer.query,
                paths,
                verdicts=["unknown"] * len(paths),
                captions=captions,
                names=[*cameras, *people],
            )
        )
    write_png(path, stacked(drawn))
    if len(answers) > STRIPS or any(len(answer.results) > RESULTS for answer in answers):
        shown = f"{counted(min(len(answers), STRIPS), 'image')} of {len(answers):,}, {RESULTS} results of each at most"
        logger.info("%s shows %s", printable(path), shown)
