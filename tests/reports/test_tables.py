import io
import math
import re

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from resight.cli.terminal import table_text
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


PATH = "a/rather long/" + "x" * 90 + ".jpg"


def results() -> Table:
    table = Table(title=Text("[b]all[/b]"))
    table.add_column("name", no_wrap=True)
    table.add_column("about")
    table.add_column("image", overflow="fold")
    table.add_row("second-entrance", "two words", Text(PATH))
    return table


def on_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(Console, "is_terminal", True)


def plain(table: Table) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", table_text(table))


@pytest.mark.parametrize("width", [40, 80])
def test_a_name_is_not_broken_on_a_narrow_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch, width)
    name = "second-entrance+validation"
    assert f"│ {name} │" in plain(tables.scores_table_text({name: REPORT}))


def test_of_a_table_too_wide_for_the_terminal_only_the_path_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    table = results()
    for width in (60, 200):
        on_terminal(monkeypatch, width)
        lines = plain(table).splitlines()
        assert lines[0] == "[b]all[/b]"
        assert max(map(len, lines[1:])) <= width
        rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines[1:] if line.startswith("│")]
        assert rows[0][0] == "second-entrance"
        assert " ".join(filter(None, (row[1] for row in rows))) == "two words"
        assert "".join(row[2] for row in rows).replace(" ", "") == PATH.replace(" ", "")
        assert (len(rows) > 1) == (width == 60)
    on_terminal(monkeypatch, 20)
    assert "second-entrance" in plain(table), "the terminal may wrap it"


def test_where_there_is_no_terminal_a_row_is_a_line_that_ends_with_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    _, head, _, row = table_text(results()).splitlines()
    assert head.split() == ["name", "│", "about", "│", "image"]
    assert row == f"second-entrance │ two words │ {PATH}"


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
        ("agreement with the epoch before", "–", "75 %"),
    ]
    assert tables.change_rows([{"accuracy": 0.5}]) == []
    console = Console(file=io.StringIO(), width=120)
    console.print(tables.changes_table_text(metrics))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "at the start" in text
    assert "143" in text
