"""`resight search MODEL QUERY.jpg --data FOLDER`: rank images by their similarity to a person.

With a file of vectors in the place of the model, its rows are searched, and QUERY is a path in it or another such file.

torch takes seconds to load. It is loaded with `resight.cli.searching`, when the search begins, so that help and errors
do not wait for it.
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
    check_images_named,
    choose_encoder,
    describe_encoder,
    find_images,
    load_gallery,
    log_queries,
    read_list,
    split_words,
)
from resight.cli.terminal import say, say_json, show
from resight.compute.settings import DeviceSettings
from resight.config.settings import read_settings
from resight.data.catalog import parse_spec
from resight.data.dataset import Dataset
from resight.data.settings import DataSettings
from resight.errors import ConfigError, counted
from resight.files import check_output, check_outside, expanded, printable
from resight.models.encoder_settings import EncoderSettings, encoder_file, names_encoder
from resight.reports.tables import MISSING
from resight.retrieval.feature_files import names_features

MOST_QUERIES = 20
"""The most queries that one picture shows."""

MOST_RESULTS = 50
"""The most results that a picture shows of each query."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SearchSettings(DataSettings):
    """Where to search, with which model, and what to print.

    Attributes:
        data: Where to search: a folder of crops, or `name=PATH` for the gallery of a data set.
        queries: A list of more images to search for: a file with one path a line, or `-` for standard input.
        normalize: Scale the vectors of a file to unit length, to rank them by the cosine. A model's have it.
        adapt_statistics: Give the model the batch-norm statistics of the images in which you search, which takes
            seconds and no labels.
        center_cameras: Subtract the mean of each camera from its vectors, without labels. It helps where each camera
            has seen many people. A query that is no file of the data set takes the mean of all.
        k: The number of results for each image. The image's own file is left out.
        ranked_list: The PNG file to draw the results in; empty draws none.
        cache: A folder that keeps embeddings for the next search. The same images are then not embedded again. Beyond
            10 GB, the least recently used ones are removed.
        json: Print JSON instead of tables: for each image its path as `query` and its `results`, or its `error` if it
            cannot be read. A result has its path, its similarity, and the names of its camera and person, null if
            unknown, with their ids as `camera_id` and `person_id`, -1 if unknown.
        encoder: A backbone with its own weights to search with, in place of a model: `--encoder.weights imagenet`.
            Without either, you search with `synthetic`, the model of the installation.
        device: The device to run on.
    """

    queries: str = ""
    normalize: bool = False
    adapt_statistics: bool = False
    center_cameras: bool = False
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
    if any(map(names_features, words)):
        return _search_stored(words, flags, settings)
    models = [word for word in words if names_encoder(expanded(word))]
    if len(models) > 1:
        raise ConfigError(f"resight search takes one model, found {' and '.join(models[:3])}")
    model, words = "".join(models), [word for word in words if word not in models]
    if not (words or settings.queries) or not settings.data:
        raise ConfigError(
            "resight search needs an image and where to search: resight search [MODEL] QUERY.jpg --data folder=CROPS; "
            "several images, a folder of them, or a list by --queries FILE"
        )
    check_images_named(words)
    encoder = choose_encoder(model, settings.encoder, flags)
    _, root = parse_spec(settings.data, settings.folder_settings())
    images = find_images(words, settings.queries)
    if settings.ranked_list:
        folders = [word for word in map(expanded, words) if os.path.isdir(word)]  # noqa: PTH112
        _check_picture(settings.ranked_list, images, [root, *folders])
    if settings.cache:
        check_outside(expanded(settings.cache), root)
    if model:
        encoder_file(model)  # its error names the file
    dataset, gallery = load_gallery(settings, settings.k)
    log_queries(images)
    if not model:
        logger.info("no MODEL is named: searching with %s", describe_encoder(encoder))
    from resight.cli.searching import search

    answers = search(
        images,
        dataset,
        gallery,
        encoder=encoder,
        adapt=settings.adapt_statistics,
        center=settings.center_cameras,
        k=settings.k,
        cache=expanded(settings.cache) if settings.cache else None,
        device=settings.device,
    )
    if answers is None:  # of several processes only the first prints
        return 0
    return _show_answers(answers, settings, dataset, people=gallery.has_people)


def _search_stored(words: Sequence[str], flags: Sequence[str], settings: SearchSettings) -> int:
    """Search in a file of vectors."""
    file, *queries = words
    if not names_features(file):
        raise ConfigError(f"the file to search in comes first: resight search {printable(words[-1])} QUERY")
    if settings.data:
        raise ConfigError(
            f"{printable(file)} is read as vectors, which you search: leave out --data; weights of a backbone go into "
            f"--encoder.weights {printable(file)}"
        )
    queries += read_list(settings.queries) if settings.queries else []
    if not queries:
        raise ConfigError(f"resight search {printable(file)} needs a path in it, or another file of vectors")
    if settings.ranked_list:
        check_output(expanded(settings.ranked_list), suffix=".png")
    from resight.cli.searching_stored import search_stored

    found = search_stored(
        file,
        queries,
        flags,
        k=settings.k,
        normalize=settings.normalize,
        center=settings.center_cameras,
        device=settings.device,
    )
    if found is None:  # of several processes only the first prints
        return 0
    answers, dataset, people = found
    return _show_answers(answers, settings, dataset, people=people)


def _show_answers(answers: Sequence[Answer], settings: SearchSettings, dataset: Dataset, *, people: bool) -> int:
    """Print the answers and draw the picture; return the exit status."""
    if settings.json:
        say_json([_answer_json(answer) for answer in answers])
    else:
        _print_tables([answer for answer in answers if not answer.error], people=people)
    # The picture comes last, so that the answer is printed even if its file cannot be written.
    if settings.ranked_list:
        _write_picture(expanded(settings.ranked_list), [answer for answer in answers if not answer.error], dataset)
        logger.info("picture: %s", printable(expanded(settings.ranked_list)))
    return 1 if any(answer.error for answer in answers) else 0


def _check_picture(picture: str, images: Images, folders: Sequence[Path]) -> None:
    """Check, before anything is embedded, that the picture replaces no image and lies in no folder of images."""
    path = expanded(picture)
    if os.path.realpath(path) in map(os.path.realpath, images.paths):
        raise ConfigError(f"--ranked_list {picture} is the query itself, and would replace it: name another file")
    for folder in folders:
        check_output(path, suffix=".png", data=folder)


def _answer_json(answer: Answer) -> dict[str, Any]:
    if answer.error:
        return {"query": answer.query, "error": answer.error}
    return {"query": answer.query, "results": list(answer.results)}


def _print_tables(answers: Sequence[Answer], *, people: bool) -> None:
    """Print a table for each query or, for many queries, one table with the first result of each."""
    many = len(answers) > LISTED
    if many:
        rows = [[printable(answer.query), *row[1:]] for answer in answers for row in _rows(answer, people)[:1]]
        show(_table(f"The most similar to each of {len(answers):,} images", "query", rows, people))
        say("--json lists the other results")
    else:
        for answer in answers:
            title = f"Probable matches for {answer.query}, most similar first"
            show(_table(printable(title), "rank", _rows(answer, people), people))
            say()
    say("Similarity (cosine, -1 to 1) ranks results. It is no probability, and never proof of who somebody is.")


def _rows(answer: Answer, people: bool) -> list[list[str]]:
    """Return the cells of a query's results, a row each."""
    columns = ["person", "camera"] if people else ["camera"]
    return [
        [
            str(rank),
            f"{result['similarity']:.3f}",
            *(MISSING if result[column] is None else printable(result[column]) for column in columns),
            printable(result["path"]),
        ]
        for rank, result in enumerate(answer.results, 1)
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
    """Draw the ranked list of each query, a row each."""
    from resight.reports.ranked_lists import draw_ranked_list, stack
    from resight.reports.tiles import display_name, write_png

    cameras, people = (dataset.names.get(kind, ()) for kind in ("cameras", "people"))
    lists = []
    for answer in answers[:MOST_QUERIES]:
        results = answer.results[:MOST_RESULTS]
        captions = [
            "\n".join(
                [
                    f"{result['similarity']:.3f}",
                    display_name(result["camera_id"], cameras, "camera"),
                    *([display_name(result["person_id"], people, "person")] if result["person"] is not None else []),
                ]
            )
            for result in results
        ]
        paths = [result["path"] for result in results]
        lists.append(
            draw_ranked_list(
                answer.query,
                paths,
                verdicts=["unknown"] * len(paths),
                captions=captions,
                names=[*cameras, *people],
            )
        )
    write_png(path, stack(lists))
    if len(answers) > MOST_QUERIES or any(len(answer.results) > MOST_RESULTS for answer in answers):
        num_shown = counted(min(len(answers), MOST_QUERIES), "image")
        logger.info(
            "%s shows %s of %s, at most %d results of each",
            printable(path),
            num_shown,
            f"{len(answers):,}",
            MOST_RESULTS,
        )
