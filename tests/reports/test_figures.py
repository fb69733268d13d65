import math
import re

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from resight.records import Report
from resight.reports import figures

METRICS = [
    {
        "epoch": epoch,
        "clusters": 300.0 + 10 * epoch,
        "true_people": 400.0,
        "outlier_share": 0.5 / (epoch + 1),
        "loss/hard": 3.0 - 0.1 * epoch,
        "loss/soft_triplet": 1.0,
        "kl": 0.3,
        "images_per_second": 200.0,
        **({"mAP": 0.5} if epoch % 5 == 4 else {}),
    }
    for epoch in range(10)
]


def texts(figure: Figure) -> str:
    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", figures.to_svg(figure)))


def test_svg_is_the_same_each_time() -> None:
    first, second = (figures.to_svg(figures.training_figure(METRICS)) for _ in range(2))
    assert first == second
    figure = figures.cmc_figure({"a": [0.5, 0.6]})
    assert figures.to_svg(figure) == figures.to_svg(figure)
    assert "<dc:date>" not in first


def test_no_global_state_is_touched() -> None:
    before = dict(mpl.rcParams)
    figures.to_svg(figures.ap_histogram([0.1, 0.9]))
    assert dict(mpl.rcParams) == before


def test_training_figure_has_a_panel_for_what_is_there() -> None:
    titles = [axes.get_title(loc="left") for axes in figures.training_figure(METRICS).axes]
    assert titles == [
        "Clusters",
        "Images outside every cluster",
        "Losses",
        "Scores",
        "KL divergence",
        "Training speed",
    ]
    few = figures.training_figure([{"loss/hard": 1.0}, {"loss/hard": math.nan}, {}])
    assert [axes.get_title(loc="left") for axes in few.axes] == ["Losses"]
    assert list(few.axes[0].lines[0].get_xdata()) == [1.0]


def test_training_figure_shows_the_numbers() -> None:
    clusters, outliers, losses, scores, *_ = figures.training_figure(METRICS).axes
    assert list(clusters.lines[0].get_ydata()) == [row["clusters"] for row in METRICS]
    assert max(outliers.lines[0].get_ydata()) == 50.0
    assert [line.get_label() for line in losses.lines] == ["hard", "soft triplet"]
    assert list(scores.lines[0].get_xdata()) == [5.0, 10.0]


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_epochs_are_whole_numbers_however_few(epochs: int) -> None:
    for axes in figures.training_figure(METRICS[:epochs]).axes:
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == list(range(1, epochs + 1))
    if epochs == 1:
        assert (low, high) == (0.5, 1.5)


def test_all_panels_show_the_same_epochs() -> None:
    """Scores are there for two of them."""
    assert len({axes.get_xlim() for axes in figures.training_figure(METRICS).axes}) == 1


@pytest.mark.parametrize("metrics", [[], [{}], [{"epoch": 0.0}], [{"clusters": math.nan}]])
def test_empty_metrics_say_so(metrics: list[dict[str, float]]) -> None:
    assert "No epoch has been measured yet" in texts(figures.training_figure(metrics))


def test_the_training_figure_marks_the_truth_only_where_it_is_known() -> None:
    assert "400 true people" in texts(figures.training_figure(METRICS))
    assert "true people" not in texts(figures.training_figure([{"clusters": 3.0}]))


def test_names_at_line_ends_keep_apart() -> None:
    row = {f"loss/{name}": 1.0 for name in "abcdef"}
    axes = figures.training_figure([{**row}, {**row}]).axes[0]
    places = sorted(text.get_position()[1] for text in axes.texts)
    assert len(places) == 6
    assert min(np.diff(places)) > 0.09
    assert places[-1] <= 1.0


def test_losses_that_do_not_fit_are_counted() -> None:
    axes = figures.training_figure([{f"loss/{index}": 1.0 for index in range(9)}]).axes[0]
    assert axes.get_title(loc="left") == "Losses (and 3 not shown)"
    assert len(axes.lines) == 6


def test_cmc_figure() -> None:
    figure = figures.cmc_figure({"before": [0.5, 0.75], "after": np.array([0.75, 1.0, 1.0])})
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [[50, 75], [75, 100, 100]]
    assert "before: rank-1 50.0 %" in texts(figure)
    assert "No query has a possible match" in texts(figures.cmc_figure({"none": []}))
    assert "No query has a possible match" in texts(figures.cmc_figure({}))
    assert figures.to_svg(figures.cmc_figure({"one": [1.0]}))


def test_ap_histogram() -> None:
    figure = figures.ap_histogram([0.0, 1.0, 0.5, math.nan])
    assert sum(patch.get_height() for patch in figure.axes[0].patches) == 3
    assert "mAP 50.0 %" in texts(figure)
    assert "No query has a possible match" in texts(figures.ap_histogram([math.nan]))


def test_match_curve_by_hand() -> None:
    report = Report({}, {"first_rank": np.array([0, 2, -1, 9])})
    np.testing.assert_allclose(figures.match_curve(report)[:4], [1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert len(figures.match_curve(Report({}, {"first_rank": np.array([-1])}))) == 0
    assert len(figures.match_curve(Report({}))) == 0


def test_inline_svg_takes_the_colors_of_the_page() -> None:
    svg = figures.to_inline_svg(figures.training_figure(METRICS))
    assert svg.startswith("<svg")
    for color in (figures.INK, figures.MUTED, figures.GRID, figures.PAPER):
        assert color not in svg
    assert "http" not in svg
    assert "var(--ink)" in svg


def test_a_long_name_in_the_legend_keeps_its_end() -> None:
    figure = figures.cmc_figure({"/a/very/long/path/to/the/runs/of/somebody/mine": [0.5, 1.0], "synthetic": [0.4, 0.9]})
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels[0].startswith("…")
    assert labels[0].endswith("somebody/mine: rank-1 50.0 %")
    assert labels[1] == "synthetic: rank-1 40.0 %"
