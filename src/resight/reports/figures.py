"""Figures of curves and scores, as matplotlib figures that share no global state.

The training figure reads these names from the lines of a run's metrics, and leaves out missing ones:
``epoch`` (else the line's number), ``clusters``, ``true_people`` (their number, if known), ``outlier_share``,
``stability``, every ``loss/*``, ``accuracy``, ``mAP``, ``rank-1``, ``kl``, ``kl_reverse``, ``squared_divergence``,
``student_teacher_distance``, ``teacher_distance`` and ``images_per_second``.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from resight.numerics.metrics import cumulative_matches
from resight.records import Doubles, Report

INK = "#1f2530"
MUTED = "#646c78"
GRID = "#e1e4e9"
PAPER = "#fcfcfd"
"""The neutral colors of every figure. A page replaces them by its own, so that figures follow a dark theme."""

PALETTE = ("#1a86c7", "#d9731a", "#009e73", "#b865a0", "#3fa7dd", "#a58a00")
"""The colors of series, in order: distinct for color-blind readers, readable on light and dark backgrounds."""

_MAX_SERIES = len(PALETTE)
_PERCENT = 100.0
_SHORT, _LONG = 16, 32  # letters of a name that leaves room for another beside it, and that fits at all


def match_curve(report: Report) -> Doubles:
    """Return the cumulative match curve of an evaluation, as `cumulative_matches` does.

    Args:
        report: The evaluation.

    Returns:
        ``(50,)`` shares of the scored queries with a right match among the first k, for k from 1; empty if no query
        could be scored.
    """
    first = np.asarray(report.per_query.get("first_rank", ()), dtype=np.int64)
    return cumulative_matches(first) if (first >= 0).any() else np.empty(0)


def cmc_figure(curves: Mapping[str, npt.ArrayLike]) -> Figure:
    """Draw cumulative match curves: the share of queries with a right match among the first k.

    Args:
        curves: For each name, ``(K,)`` shares in 0..1; entry ``k - 1`` is rank ``k``.

    Returns:
        The figure.
    """
    figure, axes = _canvas("Rank (number of results)", "Queries with a right match (%)", size=(5.4, 3.5))
    depth = 1
    for index, (name, curve) in enumerate(curves.items()):
        shares = _PERCENT * np.asarray(curve, dtype=np.float64)
        if not len(shares):
            continue
        depth = max(depth, len(shares))
        ranks = np.arange(1, len(shares) + 1)
        marked = [rank - 1 for rank in (1, 5, 10, 20, 50) if rank <= len(shares)]
        axes.plot(
            ranks,
            shares,
            color=PALETTE[index % _MAX_SERIES],
            marker="o",
            markevery=marked,
            label=_plain(f"{name if len(name) <= _LONG else f'…{name[1 - _LONG :]}'}: rank-1 {shares[0]:.1f} %"),
        )
    axes.set(xlim=(0.5, max(depth, 2) + 0.5), ylim=(0, 102))
    axes.set_xticks([rank for rank in (1, 5, 10, 20, 30, 40, 50) if rank <= max(depth, 2)])
    if axes.lines:
        # Above the axes: a curve may run anywhere within them.
        columns = 2 if all(len(name) <= _SHORT for name in curves) else 1
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, labelcolor=INK, fontsize=10)
    else:
        _write_note(axes, "No query has a possible match")
    return figure


def ap_histogram(average_precision: npt.ArrayLike) -> Figure:
    """Draw the distribution of average precision over the queries.

    Args:
        average_precision: ``(Q,)`` shares in 0..1; nan (a query with no possible match) is left out.

    Returns:
        The figure, with a dashed line at the mean (mAP).
    """
    values = np.asarray(average_precision, dtype=np.float64)
    values = _PERCENT * values[np.isfinite(values)]
    figure, axes = _canvas("Average precision of a query (%)", "Queries", size=(5.4, 3.5))
    axes.set_xlim(0, 100)
    if not len(values):
        _write_note(axes, "No query has a possible match")
        return figure
    counts, _, _ = axes.hist(values, bins=np.linspace(0, 100, 21).tolist(), color=PALETTE[0], rwidth=0.88)
    tallest = float(np.max(counts))
    mean = float(values.mean())
    axes.set_ylim(0, 1.2 * tallest)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.vlines(mean, 0, 1.09 * tallest, color=INK, linestyle=(0, (4, 3)), linewidth=1.3)
    # The label leans to the side with more room.
    side, shift = ("left", 1.0) if mean < 60 else ("right", -1.0)
    axes.text(mean + shift, 1.09 * tallest, f"mAP {mean:.1f} %", color=INK, ha=side, va="center", fontsize=10)
    return figure


def gain_histogram(gains: npt.ArrayLike) -> Figure:
    """Draw the distribution of the change in average precision from one model to another.

    Args:
        gains: ``(Q,)`` differences in -1..1; nan and unchanged queries are left out.

    Returns:
        The figure: losses on the left of 0, gains on the right.
    """
    values = np.asarray(gains, dtype=np.float64)
    values = _PERCENT * values[np.isfinite(values) & (values != 0)]
    figure, axes = _canvas("Change in average precision (points)", "Queries", size=(5.4, 3.5))
    if not len(values):
        _write_note(axes, "No query changes")
        return figure
    edges = np.linspace(-100, 100, 41)
    for color, part in ((PALETTE[1], values[values < 0]), (PALETTE[0], values[values > 0])):
        axes.hist(part, bins=edges.tolist(), color=color, rwidth=0.88)
    largest = float(np.ceil(np.abs(values).max() / 10) * 10)
    axes.set_xlim(-largest, largest)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.axvline(0, color=INK, linewidth=1.0)
    return figure


def training_figure(metrics: Sequence[Mapping[str, float]]) -> Figure:
    """Draw a training run: a panel for each kind of number that the metrics hold.

    Args:
        metrics: A line of named numbers for each epoch (for the names see the module); a value may be missing or nan.

    Returns:
        The figure, with the same epochs, counted from 1, in all panels: clusters (with a dashed line at
        ``true_people`` if present), outliers, agreement, losses, accuracy, scores, KL divergence, distances of teachers
        and speed, as far as the metrics hold them.
    """
    names = list(dict.fromkeys(name for row in metrics for name in row))
    losses = [name for name in names if name.startswith("loss/")]
    percent_limits = (0.0, 100.0)
    panels = [
        _Panel("Clusters", "Clusters", ["clusters"]),
        _Panel("Images outside every cluster", "Share (%)", ["outlier_share"], _PERCENT, percent_limits),
        _Panel("Agreement of clusters with the epoch before", "Adjusted Rand index", ["stability"]),
        _Panel("Losses", "Loss", losses),
        _Panel("Training images classified as the right person", "Share (%)", ["accuracy"], _PERCENT, percent_limits),
        _Panel("Scores", "Score (%)", ["mAP", "rank-1"], _PERCENT, percent_limits),
        _Panel("KL divergence", "KL (nats)", ["kl", "kl_reverse"]),
        _Panel("Squared difference of similarities", "Mean squared difference", ["squared_divergence"]),
        _Panel("Distance of student and teacher", "Mean distance", ["student_teacher_distance"]),
        _Panel("Distance of teachers", "Mean distance", ["teacher_distance"]),
        _Panel("Training speed", "Images per second", ["images_per_second"]),
    ]
    panels = [panel for panel in panels if any(len(_series(metrics, name)[0]) for name in panel.names)]
    if not panels:
        figure, axes = _canvas("Epoch", "", size=(5.4, 3.0))
        _write_note(axes, "No epoch has been measured yet")
        return figure
    epochs = [_epoch(row, index) for index, row in enumerate(metrics)]
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    layout = ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.1)
    figure = Figure(figsize=(4.9 * columns + 0.2, 2.9 * rows), facecolor=PAPER, layout=layout)
    for index, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, index + 1)
        _style(axes, "Epoch", panel.unit)
        num_hidden = len(panel.names) - _MAX_SERIES
        title = f"{panel.title} (and {num_hidden} not shown)" if num_hidden > 0 else panel.title
        axes.set_title(title, loc="left", color=INK, fontsize=11, fontweight="bold", pad=8)
        show_epochs(axes, epochs)
        if panel.title == "Clusters":
            _draw_clusters(axes, metrics)
            continue
        _draw_series(axes, metrics, panel.names[:_MAX_SERIES], scale=panel.scale)
        if panel.limits:
            low, high = panel.limits
            axes.set_ylim(low, high + 0.02 * (high - low))  # so that a line at the limit is seen
        elif 0 <= axes.dataLim.ymin < np.inf:  # infinite if nothing finite was drawn
            axes.set_ylim(0, 1.08 * axes.dataLim.ymax or 1)
        if len(panel.names) > 1:
            _name_lines(axes)
    return figure


def show_epochs(axes: Axes, epochs: Sequence[float]) -> None:
    """Set up the horizontal axis for epochs: whole numbers, with a margin around a single one.

    Args:
        axes: The axes to set up.
        epochs: The epochs to show, at least one.
    """
    first, last = min(epochs), max(epochs)
    margin = 0.03 * (last - first) or 0.5
    axes.set_xlim(first - margin, last + margin)
    # Without min_n_ticks=1, the locator would divide a single epoch to place two ticks.
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))


def to_svg(figure: Figure) -> str:
    """Return a figure as SVG; equal figures give equal texts.

    Args:
        figure: The figure.

    Returns:
        An SVG document. Text stays text, so that readers can search it and see it in their own font.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "resight", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def to_inline_svg(figure: Figure) -> str:
    """Return a figure as an SVG element in the colors of the page around it.

    Args:
        figure: A figure of this module, or another one in its neutral colors.

    Returns:
        The element, without namespaces and metadata. The neutral colors are CSS variables: ``--ink``,
        ``--muted``, ``--line`` and ``--card``.
    """
    svg = to_svg(figure)
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"|(?<=<g) id="[^"]*"', "", svg)  # group ids repeat between figures
    for color, variable in ((INK, "--ink"), (MUTED, "--muted"), (GRID, "--line"), (PAPER, "--card")):
        svg = svg.replace(color, f"var({variable})")
    return svg


@dataclass(frozen=True)
class _Panel:
    title: str
    unit: str
    names: Sequence[str]
    scale: float = 1.0
    limits: tuple[float, float] | None = None


def _canvas(x_label: str, y_label: str, *, size: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, facecolor=PAPER, layout="constrained")
    axes = figure.add_subplot()
    _style(axes, x_label, y_label)
    return figure, axes


def _style(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_facecolor(PAPER)
    axes.set_xlabel(x_label, color=MUTED, fontsize=10, labelpad=6)
    axes.set_ylabel(y_label, color=MUTED, fontsize=10, labelpad=6)
    axes.tick_params(colors=MUTED, labelsize=9.5, length=0, pad=5)
    axes.grid(axis="y", color=GRID, linewidth=1)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(GRID)
    axes.set_prop_cycle(color=PALETTE, linewidth=[2.0] * _MAX_SERIES, markersize=[4.5] * _MAX_SERIES)


def _series(metrics: Sequence[Mapping[str, float]], name: str) -> tuple[list[float], list[float]]:
    """Return the epochs, from 1, and the values of one metric, without missing and infinite values."""
    pairs = [
        (_epoch(row, index), float(row[name]))
        for index, row in enumerate(metrics)
        if row.get(name) is not None and math.isfinite(row[name])
    ]
    return [epoch for epoch, _ in pairs], [value for _, value in pairs]


def _epoch(row: Mapping[str, float], index: int) -> float:
    return float(row.get("epoch", index)) + 1


def _draw_series(
    axes: Axes, metrics: Sequence[Mapping[str, float]], names: Sequence[str], *, scale: float = 1.0
) -> None:
    """Draw a line for each metric that the run has."""
    for name in names:
        epochs, values = _series(metrics, name)
        if epochs:
            # A few points get markers, because a line through a single point is invisible.
            axes.plot(
                epochs,
                [scale * value for value in values],
                marker="o" if len(epochs) <= 25 else None,
                label=_plain(name.removeprefix("loss/").replace("_", " ")),
            )
    axes.margins(y=0.12)


def _name_lines(axes: Axes) -> None:
    """Write each line's name right of its end, shifted if ends are close."""
    low, high = axes.get_ylim()
    spacing = 0.1
    ends = sorted(
        ((float(np.asarray(line.get_ydata())[-1]) - low) / (high - low), i) for i, line in enumerate(axes.lines)
    )
    heights: list[float] = []
    for end, _ in ends:
        heights.append(max(end, heights[-1] + spacing) if heights else end)
    # Names that were pushed over the top move back down, together with those below them.
    ceiling = 1.0
    for index in reversed(range(len(heights))):
        heights[index] = min(heights[index], ceiling)
        ceiling = heights[index] - spacing
    for (_, i), height in zip(ends, heights, strict=True):
        line = axes.lines[i]
        axes.text(
            1.01,
            height,
            str(line.get_label()),
            transform=axes.transAxes,
            color=line.get_color(),
            va="center",
            fontsize=9.5,
        )


def _draw_clusters(axes: Axes, metrics: Sequence[Mapping[str, float]]) -> None:
    _draw_series(axes, metrics, ["clusters"])
    _, people = _series(metrics, "true_people")
    clusters = np.asarray(axes.lines[0].get_ydata(), dtype=np.float64)
    axes.set_ylim(0, 1.18 * max(clusters.max(), people[-1] if people else 0.0, 1.0))
    if people:
        truth = people[-1]
        axes.axhline(truth, color=MUTED, linestyle=(0, (4, 3)), linewidth=1.3)
        # The label is at the end where the curve is farther from the line, and on the side without the curve.
        left = abs(clusters[0] - truth) > abs(clusters[-1] - truth)
        above = clusters[0 if left else -1] <= truth
        axes.annotate(
            f"{truth:,.0f} true people",
            (0.0 if left else 1.0, truth),
            xycoords=axes.get_yaxis_transform(),
            xytext=(0, 4 if above else -4),
            textcoords="offset points",
            ha="left" if left else "right",
            va="bottom" if above else "top",
            color=MUTED,
            fontsize=9.5,
        )


def _plain(text: str) -> str:
    """Escape dollar signs, which matplotlib reads as mathematics."""
    return text.replace("$", r"\$")


def _write_note(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED, fontsize=11)
    axes.set_yticks([])
