"""The work of `resight generate`: draw the sheet and score the views."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from resight.cli.generate_settings import GenerateSettings
from resight.compute.devices import Devices
from resight.data.catalog import parse_spec
from resight.data.dataset import Dataset
from resight.errors import ConfigError, DataError
from resight.files import expanded, printable
from resight.methods.generation_scores import Extractor, backbone_extractor, inception_extractor, score_views
from resight.methods.structure import SOURCES
from resight.methods.view_generators import DecodedViews, Gate, draw
from resight.methods.view_truth import Truth
from resight.models.encoder import load_encoder
from resight.records import UNKNOWN, ImageTable, Ints
from resight.reports.generation import mixing_sheet, views_sheet
from resight.reports.tiles import display_name, write_png
from resight.synthetic.turns import TURNS
from resight.synthetic.views import VIEWS
from resight.training.generators import load_generator
from resight.training.view_sources import (
    Drawing,
    Sources,
    find_pictures,
    groups_of,
    open_drawing,
    spread_order,
    structure_of,
)

TOGETHER = 4
"""How many images of a person are scored, so that two images of a person are among them."""

logger = logging.getLogger(__name__)


def generate(settings: GenerateSettings, run: str, table: ImageTable, dataset: Dataset | None) -> dict[str, Any] | None:
    """Draw the sheet and score the views, as the settings ask for.

    Args:
        settings: The settings of the command.
        run: The run folder; empty for views in a folder.
        table: The images to choose from.
        dataset: Their data set; None for named images.

    Returns:
        What is printed; None in all processes but the first.
    """
    devices = Devices(settings.device)
    extractor = inception_extractor(expanded(settings.inception), devices) if settings.inception else None
    sources = _find_sources(settings, run)
    structure = structure_of(sources)
    gate = Gate(devices.to_device(load_encoder(settings.judge)), settings.gate, devices)
    if dataset is not None:  # distractors are not all one person
        people = np.where(np.isin(table.person_ids, dataset.non_person_ids), UNKNOWN, table.person_ids)
        table = replace(table, person_ids=people)
    groups = groups_of(table, expanded(run) if run else None)
    result: dict[str, Any] = {"run": run or None, "views": settings.views or None, "structure": structure or None}
    result |= {"epochs": sources.trained.epochs if sources.trained else None, "judge": settings.judge}
    if settings.out:
        if settings.data:
            order, count = spread_order(groups, settings.seed), settings.count
        else:  # named images stay in their order
            order, count = np.arange(len(table)), 0
        drawing = open_drawing(sources, table, order, count, devices)
        make = _mix if settings.interpolate else _turn
        result |= make(settings, drawing, dataset, gate)
    if settings.evaluate:
        order = spread_order(groups, settings.seed, together=TOGETHER)
        drawing = open_drawing(sources, table, order, settings.eval_images, devices)
        result["scores"] = _score(settings, drawing, (gate, extractor or backbone_extractor(devices)))
    return result if devices.rank == 0 else None


def _find_sources(settings: GenerateSettings, run: str) -> Sources:
    """Return where views come from, with the true pictures that are there."""
    sources = Sources(load_generator(run) if run else None, settings.views, settings.structure, settings.pictures)
    structure = structure_of(sources)
    if structure and not settings.structure:
        logger.info("structure maps: %s, as the run learned from; --structure names others", printable(structure))
    if settings.show_maps and not structure:
        raise ConfigError("show_maps needs structure maps: give --structure pose, truth or FOLDER")
    if not settings.pictures and structure and (settings.evaluate or settings.show_true):
        places = [] if structure in SOURCES else [expanded(structure)]
        if settings.data:
            places.append(parse_spec(settings.data, settings.folder_settings())[1] / VIEWS)
        sources = Sources(sources.trained, sources.views, sources.structure, find_pictures(*places))
    if settings.show_true and not sources.pictures:
        raise ConfigError("show_true needs true pictures of turned people: name their folder with --pictures")
    return sources


def _turn(settings: GenerateSettings, drawing: Drawing, dataset: Dataset | None, gate: Gate) -> dict[str, Any]:
    """Draw the sheet of turned views; return what is seen on it."""
    images, rows, turns = drawing.images, _by_person(drawing), np.arange(TURNS)
    views = draw(drawing.views, rows, turns)
    cosines = gate.cosines(gate.embed(images.pixels(rows).numpy()), views)
    refused = gate.refuses(cosines)
    below = []
    if settings.show_maps and drawing.structure is not None:
        maps = drawing.structure.load(np.repeat(rows, TURNS), np.tile(turns, len(rows)))
        below.append(("structure", maps.numpy().reshape(len(rows), TURNS, *maps.shape[2:])))
    if settings.show_true and drawing.pictures is not None:
        below.append(("truth", draw(drawing.pictures, rows, turns)))
    paths, names = images.table.paths[rows].tolist(), _names(drawing, rows, dataset)
    titles = [f"{name}\nkept {kept:.2f}" for name, kept in zip(names, cosines[:, 1:].mean(1), strict=True)]
    sheet = views_sheet(paths, views, turns, titles=titles, refused=refused, below=below)
    write_png(expanded(settings.out), sheet)
    degrees = [360 * turn // TURNS for turn in turns.tolist()]
    entries = [
        {
            "path": path,
            "name": names[row],
            "cosines": dict(zip(map(str, degrees), cosines[row].tolist(), strict=True)),
            "refused": [angle for angle, bad in zip(degrees, refused[row].tolist(), strict=True) if bad],
        }
        for row, path in enumerate(paths)
    ]
    turned = refused[:, 1:]
    identity = {"own": float(cosines[:, 0].mean()), "turned": float(cosines[:, 1:].mean())}
    identity |= {"refused": int(turned.sum()), "views": turned.size, "share": float(turned.mean())}
    return {"images": entries, "identity": identity}


def _mix(settings: GenerateSettings, drawing: Drawing, dataset: Dataset | None, gate: Gate) -> dict[str, Any]:
    """Draw the sheet from each person to the next; return what is seen on it."""
    rows, count = _by_person(drawing), settings.interpolate
    if len(rows) < 2:
        raise DataError("interpolation is between two people, found 1 image with a body: raise --count")
    assert isinstance(drawing.views, DecodedViews)
    others, shares = np.roll(rows, -1), np.linspace(0, 1, count)
    pictures = drawing.views.mix(np.repeat(rows, count), np.repeat(others, count), np.tile(shares, len(rows)))
    mixed = pictures.permute(0, 2, 3, 1).numpy().reshape(len(rows), count, *pictures.shape[2:], 3)
    vectors = gate.embed(drawing.images.pixels(rows).numpy())
    ends = {"first": gate.cosines(vectors, mixed), "second": gate.cosines(np.roll(vectors, -1, 0), mixed)}
    paths, names = drawing.images.table.paths, _names(drawing, rows, dataset)
    pairs = list(zip(paths[rows].tolist(), paths[others].tolist(), strict=True))
    titles = [f"{name}\nto {names[(row + 1) % len(names)]}" for row, name in enumerate(names)]
    write_png(expanded(settings.out), mixing_sheet(pairs, mixed, shares.tolist(), titles=titles))
    entries = [
        {"first": first, "second": second, "cosines": {end: values[row].tolist() for end, values in ends.items()}}
        for row, (first, second) in enumerate(pairs)
    ]
    return {"shares": shares.tolist(), "images": entries}


def _score(settings: GenerateSettings, drawing: Drawing, judges: tuple[Gate, Extractor]) -> dict[str, Any]:
    gate, extractor = judges
    truth = None
    if drawing.pictures is not None and drawing.structure is not None:
        truth = Truth(drawing.pictures, drawing.structure)
    return score_views(drawing.views, drawing.images, gate=gate, extractor=extractor, truth=truth, seed=settings.seed)


def _by_person(drawing: Drawing) -> Ints:
    """Return all rows, ordered by person; those of unknown people as they are."""
    return np.argsort(drawing.images.table.person_ids, kind="stable")


def _names(drawing: Drawing, rows: Ints, dataset: Dataset | None) -> list[str]:
    """Return the person on each image; the name of its file if the person is unknown."""
    table, people = drawing.images.table[rows], () if dataset is None else dataset.names.get("people", ())
    return [
        display_name(person, people, "person") or printable(Path(path).name)
        for person, path in zip(table.person_ids.tolist(), table.paths.tolist(), strict=True)
    ]
