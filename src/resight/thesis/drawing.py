"""Figures of a table's or figure's runs; the thesis' values and ours never share an axis."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resight.reports.figures import GRID, INK, MUTED, PALETTE, PAPER, show_epochs
from resight.thesis.exhibits import Exhibit
from resight.thesis.presenting import Line
from resight.thesis.running import Outcome


def draw(exhibit: Exhibit, outcomes: Sequence[Outcome], found: Sequence[Line]) -> Figure | None:
    """Draw what there is to draw.

    Args:
        exhibit: The table or figure.
        outcomes: What became of its jobs.
        found: Its lines.

    Returns:
        The course of a figure's metrics by epoch, or the order of a table's rows in the thesis beside ours; None where
        fewer than two runs are done.
    """
    done = [outcome for outcome in outcomes if outcome.state == "done"]
    if len(done) < 2:
        return None
    return curves(exhibit.metrics, done) if exhibit.metrics else orders(exhibit, found)


def curves(metrics: Sequence[str], done: Sequence[Outcome]) -> Figure:
    """Draw metrics of each run by epoch, counted from 1, in a panel each."""
    figure = Figure(figsize=(6.4 * len(metrics), 3.8), facecolor=PAPER, layout="constrained")
    for axes, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        for index, outcome in enumerate(done):
            points = [(int(line["epoch"]) + 1, float(line[metric])) for line in outcome.metrics if metric in line]
            label = f"{outcome.job.row.name} ({outcome.job.group.data})"
            style = {"linestyle": "-" if index < len(PALETTE) else "--"}
            if points:
                style |= {"color": PALETTE[index % len(PALETTE)], "label": label, "marker": "."}
                axes.plot(*zip(*points, strict=True), **style)
        show_epochs(axes, [int(line["epoch"]) + 1 for outcome in done for line in outcome.metrics] or [1])
        _style(axes, f"ours: {metric} by epoch")
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure


def orders(exhibit: Exhibit, found: Sequence[Line]) -> Figure | None:
    """Draw the mAP of a table's rows in two panels with an axis each: the thesis' and ours."""
    done = [line for line in found if line.state == "done" and line.reported.get("mAP") and "mAP" in line.ours]
    if len(done) < 2:
        return None
    places = [group.name for group in exhibit.groups]
    done.sort(key=lambda line: places.index(line.columns))  # rows on one data set together: they are what compares
    figure = Figure(figsize=(9.0, 1.2 + 0.34 * len(done)), facecolor=PAPER, layout="constrained")
    names = [f"{line.name} ({line.columns})" for line in done]
    sides = {
        "thesis: mAP (%)": [float(line.reported["mAP"] or "nan") for line in done],
        "ours: mAP (%)": [100 * line.ours["mAP"] for line in done],
    }
    for index, (label, values) in enumerate(sides.items()):
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
