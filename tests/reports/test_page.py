import os
import re
import stat
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resight.records import Features, ImageTable, Ranking, Report
from resight.reports import figures, page

HOSTILE = "<script>alert('x')</script>\"'& $\\frac{$"


class Elements(HTMLParser):
    """Collects the tags and attributes of a page, and checks that tags close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(html)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_safe(html: str) -> Elements:
    elements = Elements(html)
    assert not set(elements.tags) & {"script", "iframe", "link", "object", "embed", "base", "form"}
    for name, value in elements.attributes:
        assert not name.startswith("on"), name
        if name in ("src", "href", "xlink:href", "action", "srcset"):
            assert value.startswith(("data:", "#")), value
    assert "http:" not in html
    assert "https:" not in html
    assert "@import" not in html
    for target in re.findall(r"url\(([^)]*)\)", html):
        assert target.startswith("#"), target
    return elements


def features_of(table: ImageTable) -> Features:
    """Vectors on a quarter of a circle."""
    angles = np.linspace(0, np.pi / 2, len(table))
    return Features(table, np.stack([np.cos(angles), np.sin(angles)], 1))


def sides_of(folder: Path, queries: int, images: int = 6) -> tuple[Features, Features]:
    paths = []
    for index in range(queries + images):
        path = folder / f"{index}.png"
        Image.new("RGB", (16, 32), (index * 7 % 255, 80, 160)).save(path)
        paths.append(str(path))
    query = ImageTable(np.array(paths[:queries], dtype=str), np.arange(queries) % 3, np.full(queries, 1))
    gallery = ImageTable(np.array(paths[queries:], dtype=str), np.arange(images) % 3, 1 + np.arange(images) % 2)
    return features_of(query), features_of(gallery)


def report_of(precision: list[float]) -> Report:
    values = np.array(precision, dtype=np.float64)
    return Report(
        {"mAP": 0.4567, "rank-1": 0.6789},
        {
            "query": np.arange(len(values)),
            "average_precision": values,
            "inverse_negative_penalty": values,
            "first_rank": np.where(np.isnan(values), -1, 0),
            "matches": np.where(np.isnan(values), 0, 2),
        },
        {"data set": "made up", "versions": {"numpy": "2"}, "cmc": [0.125] * 50},
    )


def ranking_of(queries: int, images: int = 6) -> Ranking:
    ids = np.tile(np.arange(images), (queries, 1))
    return Ranking(ids, np.tile(np.linspace(0.1, 0.6, images), (queries, 1)))


def test_evaluation_page(tmp_path: Path) -> None:
    query, gallery = sides_of(tmp_path, 20)
    report = report_of([*np.linspace(0.05, 1.0, 19), np.nan])
    more = page.figure_section("Training", figures.training_figure([{"epoch": 0, "loss/a": 1.0, "loss/b": 2.0}]))
    html = page.evaluation_page(report, query, gallery, ranking_of(20), title="A site", more_sections=[more])
    elements = check_safe(html)
    assert elements.tags.count("img") == 12 + 8
    assert elements.tags.count("svg") == 3
    assert ">45.7<" in html
    assert ">67.9<" in html
    assert "Left out: 1 query without a possible match." in html
    assert "probable match" in html
    assert "never proof of identity" in " ".join(html.split())
    assert "versions.numpy" in html
    assert "0.125" not in html, "a curve is drawn, and not listed"
    sample = html[html.index("<h2>Ranked lists") : html.index("<h2>Hardest")]
    shown = [float(value) for value in re.findall(r"average precision ([\d.]+) %", sample)]
    assert shown == sorted(shown, reverse=True)
    assert (shown[0], shown[-1]) == (100.0, 5.0)
    hardest = html[html.index("<h2>Hardest") : html.index("<h2>Training")]
    assert re.findall(r"Query (\d+) ", hardest) == [str(row) for row in range(8)]


def test_every_strip_of_the_page_uses_the_names_of_the_data(tmp_path: Path) -> None:
    query, gallery = sides_of(tmp_path, 20)
    names = {"people": ("anna", "ben & co", "cy"), "cameras": ("roof", "gate", "yard")}
    html = page.evaluation_page(report_of([0.5] * 20), query, gallery, ranking_of(20), title="x", names=names)
    for section in ("Ranked lists", "Hardest queries"):
        headings = re.findall(r"<figcaption>Query \d+ · (.*?) · average", html[html.index(f"<h2>{section}") :])
        assert set(headings) == {"anna · gate", "ben &amp; co · gate", "cy · gate"}


def test_the_page_is_the_same_each_time(tmp_path: Path) -> None:
    query, gallery = sides_of(tmp_path, 3)
    pages = {page.evaluation_page(report_of([0.1, 0.2, 0.3]), query, gallery, ranking_of(3), title="x") for _ in "ab"}
    assert len(pages) == 1


@pytest.mark.parametrize("precision", [[], [np.nan], [0.5], [np.nan, np.nan]])
def test_small_and_empty_evaluations(tmp_path: Path, precision: list[float]) -> None:
    count = len(precision)
    query, gallery = sides_of(tmp_path, count)
    html = page.evaluation_page(report_of(precision), query, gallery, ranking_of(count), title="small")
    elements = check_safe(html)
    assert elements.tags.count("img") == int(np.isfinite(precision).sum())
    assert "Hardest queries" not in html


def test_nothing_ranked_and_no_scores(tmp_path: Path) -> None:
    query, gallery = sides_of(tmp_path, 2)
    none = Ranking(np.full((2, 3), -1), np.full((2, 3), np.inf))
    html = page.evaluation_page(Report({}), query, gallery, none, title="no scores")
    assert check_safe(html).tags.count("img") == 2
    assert "Results in rank order: none" in html


def test_unreadable_images_do_not_stop_the_page() -> None:
    query = features_of(ImageTable(np.array(["/nowhere/a.jpg"]), np.array([1]), np.array([1])))
    gallery = features_of(ImageTable(np.array(["/nowhere/b.jpg"]), np.array([1]), np.array([2])))
    html = page.evaluation_page(report_of([1.0]), query, gallery, ranking_of(1, 1), title="gone")
    assert check_safe(html).tags.count("img") == 1


def test_hostile_text_stays_text() -> None:
    figure = figures.cmc_figure({HOSTILE: [0.5]})
    metrics = figures.training_figure([{f"loss/{HOSTILE}": 1.0, "loss/a": 2.0}])
    html = page.render_page(
        HOSTILE,
        [
            page.Section(HOSTILE, "", HOSTILE),
            page.scores_table({HOSTILE: Report({"mAP": 0.5})}),
            page.figure_section(HOSTILE, figure, HOSTILE),
            page.figure_section(HOSTILE, metrics),
            page.settings_section({HOSTILE: HOSTILE, "more": {HOSTILE: [HOSTILE]}}),
            page.problems_section([(HOSTILE, HOSTILE), (Path(HOSTILE), HOSTILE)]),
            page.warnings_section([HOSTILE]),
            page.limits_section(),
        ],
        subtitle=HOSTILE,
    )
    check_safe(html)
    assert "&lt;script&gt;" in html


def test_empty_sections_say_so() -> None:
    html = page.render_page(
        "x",
        [
            page.problems_section([]),
            page.warnings_section([]),
            page.settings_section({}),
            page.ranked_lists_section("s", []),
        ],
    )
    assert check_safe(html).tags.count("table") == 0
    assert html.count('class="empty"') == 4


def test_the_table_equals_the_report() -> None:
    report = Report(
        {"mAP": 0.1234, "mINP": 0.2, "rank-1": 0.3, "rank-5": 0.4, "rank-10": 0.9996},
        {"matches": np.array([1, 0])},
    )
    cells = re.findall(r"<td>([^<]*)</td>", page.scores_table({"before": report}).body_html)
    assert cells == ["12.3", "20.0", "30.0", "40.0", "100.0", "2", "1"]


def test_thirty_strips_stay_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = []
    for index in range(11):
        # As detailed as a photograph: coarse noise under fine noise.
        coarse = Image.fromarray(rng.integers(0, 255, (16, 8, 3), dtype=np.uint8)).resize((64, 128))
        fine = rng.normal(0, 6, (128, 64, 3))
        path = tmp_path / f"{index}.jpg"
        Image.fromarray(np.clip(np.asarray(coarse) + fine, 0, 255).astype(np.uint8)).save(path)
        paths.append(str(path))
    query = features_of(ImageTable(np.array(paths[:1] * 30), np.zeros(30), np.zeros(30)))
    gallery = features_of(ImageTable(np.array(paths[1:]), np.arange(10), np.ones(10)))
    section = page.hardest_section(report_of([0.5] * 30), query, gallery, ranking_of(30, 10), count=30)
    assert section.body_html.count("<img") == 30
    assert len(page.render_page("x", [section])) < 3_000_000


def test_write_page_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"
    page.write_page(path, "one\n")
    page.write_page(path, "zwei ü\n")
    assert path.read_bytes() == "zwei ü\n".encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    path = tmp_path / "report.html"
    page.write_page(path, "old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(*((os, "fsync") if broken == "fsync" else (Path, "replace")), fail)
    with pytest.raises(OSError, match="disk full"):
        page.write_page(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
