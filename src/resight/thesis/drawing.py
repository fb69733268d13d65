"""Pictures of a table or figure from its finished runs; the thesis' values and ours never share an axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from resight.compute.devices import Devices
from resight.data.crops import load_crops
from resight.data.dataset import Dataset
from resight.data.transforms import to_float
from resight.models.encoder import load_encoder
from resight.reports.figures import GRID, INK, MUTED, PALETTE, PAPER, show_epochs
from resight.reports.ranked_lists import draw_ranked_list, judge_first_results, stack
from resight.reports.saliency import saliency_sheet
from resight.retrieval.explain import grad_cam
from resight.retrieval.extraction import extract
from resight.retrieval.ranking import rank
from resight.thesis.paper import PaperItem
from resight.thesis.planning import TableRow
from resight.thesis.running import run_folder
from resight.thesis.tables import our_scores, reported_scores

NUM_QUERIES = 3
"""The number of queries in a picture, each of another person."""

NUM_RESULTS = 5
"""The number of results of each query in a picture."""

DEPTH = 50
"""The number of ranked results; the first ones may be of the query's own camera and not count."""


def draw_figure(item: PaperItem, rows: Sequence[TableRow]) -> Figure | None:
    """Draw a figure's metrics by epoch, or the order of a table's rows in the thesis and in our runs.

    Returns:
        The figure; None if fewer than two runs are done.
    """
    done = [row for row in rows if row.status == "done"]
    if len(done) < 2:
        return None
    return _draw_metrics(item.metrics, done) if item.metrics else _draw_orders(item, done)


def _draw_metrics(metrics: Sequence[str], done: Sequence[TableRow]) -> Figure:
    """Draw metrics of each run by epoch, counted from 1, in a panel each."""
    figure = Figure(figsize=(6.4 * len(metrics), 3.8), facecolor=PAPER, layout="constrained")
    for axes, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        for index, row in enumerate(done):
            points = [(int(line["epoch"]) + 1, float(line[metric])) for line in row.metrics if metric in line]
            style = {"color": PALETTE[index % len(PALETTE)], "linestyle": "-" if index < len(PALETTE) else "--"}
            if points:
                label = f"{row.printed.name} ({row.data})"
                axes.plot(*zip(*points, strict=True), label=label, marker=".", **style)
        show_epochs(axes, [int(line["epoch"]) + 1 for row in done for line in row.metrics] or [1])
        _style(axes, f"ours: {metric} by epoch")
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _draw_orders(item: PaperItem, done: Sequence[TableRow]) -> Figure | None:
    """Draw the mAP of rows in two panels with an axis each: the thesis' and ours."""
    scored = [row for row in done if reported_scores(row).get("mAP") and "mAP" in our_scores(item, row)]
    if len(scored) < 2:
        return None
    scored.sort(key=lambda row: row.column)  # only rows on one data set compare
    figure = Figure(figsize=(9.0, 1.2 + 0.34 * len(scored)), facecolor=PAPER, layout="constrained")
    names = [f"{row.printed.title} ({row.group.name})" for row in scored]
    panels = {
        "thesis: mAP (%)": [float(reported_scores(row)["mAP"] or "nan") for row in scored],
        "ours: mAP (%)": [100 * our_scores(item, row)["mAP"] for row in scored],
    }
    for index, (label, values) in enumerate(panels.items()):
        axes = figure.add_subplot(1, 2, index + 1)
        axes.plot(values, range(len(values)), "o", color=PALETTE[index])
        axes.set_yticks(range(len(names)), names if index == 0 else [""] * len(names))
        axes.invert_yaxis()
        _style(axes, label)
    return figure


def _style(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", color=INK, fontsize=11)
    axes.set_facecolor(PAPER)
    axes.grid(color=GRID)
    axes.tick_params(colors=MUTED, labelsize=9, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_saliency(rows: Sequence[TableRow], dataset: Dataset, out: Path) -> Image.Image | None:
    """Draw saliency maps of the same query images by the encoders of finished runs.

    Args:
        rows: A figure's rows, all on one data set.
        dataset: That data set.
        out: The folder of the results.

    Returns:
        A row for each image, a column for each part of each encoder (for its global features if it has no parts); None
        if no run is done.
    """
    _, first = np.unique(dataset.query.person_ids, return_index=True)
    images = dataset.query[first[:NUM_QUERIES]]
    columns: dict[str, npt.NDArray[np.float32]] = {}
    for row in rows:
        if row.status == "done":
            encoder = load_encoder(run_folder(row, out))
            crops = load_crops(images, encoder.settings.size)
            images = crops.table  # an image that cannot be read is left out of all columns
            parts = [part.name for part in encoder.parts if part.kind != "whole"] or [encoder.parts[0].name]
            maps = grad_cam(encoder, to_float(crops.pixels(slice(None))), parts=parts)
            columns |= {f"{row.printed.name}: {name}": saliency.numpy() for name, saliency in maps.items()}
    return saliency_sheet(images.paths.tolist(), columns) if columns else None


def draw_mistakes(rows: Sequence[TableRow], dataset: Dataset, out: Path) -> Image.Image | None:
    """Draw queries that the first run mismatches and the last one matches, with the results of each run.

    The arguments are those of `draw_saliency`.

    Returns:
        For a few queries of different people a ranked list of each run; None if fewer than two runs are done, or no
        query qualifies.
    """
    done = [row for row in rows if row.status == "done"]
    if len(done) < 2:
        return None
    results = [_first_results(row, dataset, out) for row in done]
    before, after = (
        {name: hits[0][1] == "right" for name, hits in run.items() if hits} for run in (results[0], results[-1])
    )
    people = dict(zip(dataset.query.paths.tolist(), dataset.query.person_ids.tolist(), strict=True))
    corrected: dict[int, str] = {}
    for name, right in after.items():
        if right and before.get(name) is False:
            corrected.setdefault(people[name], name)
    pairs = [(name, index) for name in list(corrected.values())[:NUM_QUERIES] for index in range(len(done))]
    lists = []
    for name, index in pairs:
        paths, judgements = zip(*results[index][name], strict=True)
        lists.append(draw_ranked_list(name, list(paths), verdicts=list(judgements)))
    return stack(lists, [done[index].printed.name for _, index in pairs]) if lists else None


def _first_results(row: TableRow, dataset: Dataset, out: Path) -> dict[str, list[tuple[str, str]]]:
    """Return for each query's file the files and verdicts of its first results that count."""
    encoder, devices = load_encoder(run_folder(row, out)), Devices(row.surroundings.device)
    queries, gallery = (
        extract(encoder, table, devices=devices, flip=row.surroundings.flip)
        for table in (dataset.query, dataset.gallery)
    )
    ranking = rank(queries, gallery, k=DEPTH, device=devices.device)
    judged = judge_first_results(queries, gallery, ranking, exclude=dataset.exclude, count=NUM_RESULTS)
    return dict(zip(queries.table.paths.tolist(), judged, strict=True))


PICTURES: dict[str, Callable[[Sequence[TableRow], Dataset, Path], Image.Image | None]] = {
    "saliency": draw_saliency,
    "strips": draw_mistakes,
}
"""For each kind of figure with a picture, the function that draws it."""
