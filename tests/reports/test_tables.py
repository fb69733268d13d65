import io
import math

import numpy as np
from rich.console import Console

from resight.records import Report
from resight.reports import tables

REPORT = Report(
    {"mAP": 0.71234, "mINP": 0.05, "rank-1": 0.8765, "rank-5": 1.0, "rank-10": math.nan},
    {"matches": np.array([3, 0, 1, 0])},
)


def rendered(name: str, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(tables.scores_table_text({name: REPORT}))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_rows_are_the_numbers_of_the_report() -> None:
    assert tables.score_rows({"best": REPORT}) == [("best", "71.2", "5.0", "87.6", "100.0", "–", "4", "2")]
    assert tables.score_rows({"bare": Report({})}) == [("bare", *["–"] * 7)]


def test_text_table_shows_markup_as_text() -> None:
    text = rendered("[red]best[/red]")
    assert "[red]best[/red]" in text
    assert "71.2" in text


def test_a_long_name_is_not_cut_on_a_narrow_terminal() -> None:
    name = "second-entrance+validation"
    cells = [line.split("│")[1].strip() for line in rendered(name, width=80).splitlines() if line.startswith("│")]
    assert "".join(cells) == name


def test_a_name_stays_in_its_cell_of_a_markdown_table() -> None:
    assert tables.markdown_cell("a|b\nc <i> \\") == "a\\|b c &lt;i> \\\\"


def test_settings_are_flattened() -> None:
    assert tables.setting_rows({"a": 1, "b": {"c": None, "d": {"e": "x"}}}) == [
        ("a", "1"),
        ("b.c", "None"),
        ("b.d.e", "x"),
    ]


def test_html_table_escapes_everything() -> None:
    html = tables.html_table(("<i>",), [("<b>", "<script>")], style="scores")
    assert "<i>" not in html
    assert "<b>" not in html
    assert "<script>" not in html


def test_what_became_of_clusters_is_told_without_labels() -> None:
    metrics = [
        {"clusters": 80.0, "outlier_share": 0.5, "ari": 0.9},
        {"clusters": 1200.0, "outlier_share": 0.4, "stability": 0.25},
        {"clusters": 143.0, "outlier_share": 0.125, "stability": 0.75},
    ]
    assert tables.change_rows(metrics) == [
        ("clusters", "80", "143"),
        ("images in no cluster", "50 %", "12 %"),
        ("agreement with the epoch before", "25 %", "75 %"),
    ]
    assert tables.change_rows([{"accuracy": 0.5}]) == []
    console = Console(file=io.StringIO(), width=120)
    console.print(tables.changes_table_text(metrics))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "at the start" in text
    assert "143" in text
