"""The pictures of figures whose rows are runs: where their encoders look, and what they find."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from resight.compute.devices import Devices
from resight.data.crops import load_crops
from resight.data.dataset import Dataset
from resight.data.transforms import to_float
from resight.models.encoder import load_encoder
from resight.records import UNKNOWN, Features
from resight.reports.letters import Letters
from resight.reports.ranked_lists import ranked_strip, verdicts
from resight.reports.saliency import saliency_sheet
from resight.reports.tiles import INK, PAPER
from resight.retrieval.explain import grad_cam
from resight.retrieval.extraction import extract
from resight.retrieval.ranking import rank
from resight.thesis.running import Outcome, run_folder

IMAGES = 3
"""How many queries are drawn, a row each; the first of so many people."""


def looks(outcomes: Sequence[Outcome], dataset: Dataset, out: Path) -> Image.Image | None:
    """Draw where the encoders of the runs that are done look in the same images.

    Args:
        outcomes: What became of a figure's jobs, all on one data set.
        dataset: That data set.
        out: Where the runs lie.

    Returns:
        A row for each image, a column for each run's parts, of whole maps where a run has no others; None where no run
        is done.
    """
    _, first = np.unique(dataset.query.person_ids, return_index=True)
    chosen = dataset.query[first[:IMAGES]]
    columns: dict[str, npt.NDArray[np.float32]] = {}
    for outcome in outcomes:
        if outcome.state != "done":
            continue
        encoder = load_encoder(run_folder(outcome.job, out))
        crops = load_crops(chosen, encoder.settings.size)
        chosen = crops.table  # an image that cannot be read is left out of all columns
        parts = [part.name for part in encoder.parts if part.kind != "whole"] or [encoder.parts[0].name]
        maps = grad_cam(encoder, to_float(crops.pixels(slice(None))), parts=parts)
        columns |= {f"{outcome.job.row.name}: {name}": found.numpy() for name, found in maps.items()}
    return saliency_sheet(chosen.paths.tolist(), columns) if columns else None


RESULTS = 5
"""How many results of each query are drawn."""

DEPTH = 50
"""How far down a list results are looked for; its first ones may all be of the query's own camera."""


def mistakes(outcomes: Sequence[Outcome], dataset: Dataset, out: Path) -> Image.Image | None:
    """Draw queries that the first run mismatches and the last one does not, with what each of the runs finds.

    Args:
        outcomes: What became of a figure's jobs, all on one data set.
        dataset: That data set.
        out: Where the runs lie.

    Returns:
        For each of a few queries, of as many people, a ranked strip of each run; None where fewer than two runs are
        done, or no query is such.
    """
    done = [outcome for outcome in outcomes if outcome.state == "done"]
    if len(done) < 2:
        return None
    found = [_found(outcome, dataset, out) for outcome in done]
    before, after = (
        {name: hits[0][1] == "right" for name, hits in each.items() if hits} for each in (found[0], found[-1])
    )
    people = dict(zip(dataset.query.paths.tolist(), dataset.query.person_ids.tolist(), strict=True))
    chosen: dict[int, str] = {}
    for name, right in after.items():
        if right and before.get(name) is False:
            chosen.setdefault(people[name], name)
    names = list(chosen.values())[:IMAGES]
    strips = [
        (outcome.job.row.name, ranked_strip(name, [path for path, _ in hits], verdicts=[each for _, each in hits]))
        for name in names
        for outcome, hits in zip(done, (each[name] for each in found), strict=True)
    ]
    return _stacked(strips) if strips else None


def _found(outcome: Outcome, dataset: Dataset, out: Path) -> dict[str, list[tuple[str, str]]]:
    """Give the first results of each query that count, by its file: their files and verdicts."""
    assert outcome.job.options is not None
    encoder, devices = load_encoder(run_folder(outcome.job, out)), Devices(outcome.job.options.device)
    queries, gallery = (
        extract(encoder, table, devices=devices, flip=outcome.job.options.flip)
        for table in (dataset.query, dataset.gallery)
    )
    ranking = rank(queries, gallery, k=DEPTH, device=devices.device)
    return {
        str(name): _counting(queries, gallery, row, ranking.indices[row], dataset)
        for row, name in enumerate(queries.table.paths)
    }


def _counting(
    queries: Features, gallery: Features, row: int, ids: npt.NDArray[np.int64], dataset: Dataset
) -> list[tuple[str, str]]:
    camera = int(queries.table.camera_ids[row]) if dataset.exclude == "same-camera" else UNKNOWN
    table = gallery.table[ids[ids >= 0]]
    judged = verdicts(int(queries.table.person_ids[row]), camera, table.person_ids, table.camera_ids)
    return [(str(path), each) for path, each in zip(table.paths, judged, strict=True) if each != "junk"][:RESULTS]


def _stacked(strips: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Lay strips out below each other, each with its run's name left of it."""
    letters = Letters(14)
    side = 16 + round(max(letters.length(name) for name, _ in strips))
    size = (side + max(strip.width for _, strip in strips), sum(strip.height for _, strip in strips))
    sheet = Image.new("RGB", size, PAPER)
    draw, top = ImageDraw.Draw(sheet), 0
    for name, strip in strips:
        letters.write(draw, (8, top + strip.height // 2), name, INK, "lm")
        sheet.paste(strip, (side, top))
        top += strip.height
    return sheet


PICTURES = {"saliency": looks, "strips": mistakes}
"""What draws the picture of a figure, by its kind."""
