"""The page of a training run."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resight.data.clusters_csv import Clusters
from resight.models.heads.head import parse_head
from resight.records import Features, ImageTable, Ranking, Report
from resight.reports.page import write_page
from resight.reports.training import training_page
from resight.retrieval.explain import PartSimilarities

METRICS = [{"epoch": epoch, "clusters": 3.0 + epoch, "loss/hard": 2.0 - epoch} for epoch in range(2)]


def found(folder: Path, queries: int) -> tuple[Features, Features, Ranking]:
    path = folder / "picture.png"
    Image.new("RGB", (16, 32), "#336699").save(path)
    sides = [
        Features(
            ImageTable(np.array([str(path)] * count), np.zeros(count), np.full(count, camera)), np.ones((count, 2))
        )
        for count, camera in ((queries, 1), (3, 2))
    ]
    return sides[0], sides[1], Ranking(np.tile(np.arange(3), (queries, 1)), np.zeros((queries, 3)))


def report(precision: list[float]) -> Report:
    values = np.array(precision)
    first = np.where(np.isnan(values), -1, 0)
    return Report({"mAP": 0.5}, {"query": np.arange(len(values)), "average_precision": values, "first_rank": first})


def headings(html: str) -> list[str]:
    return re.findall("<h2>([^<]*)</h2>", html)


def test_a_page_shows_what_the_run_has(tmp_path: Path) -> None:
    scores = list(np.linspace(0.1, 1, 20))
    reports = {"before": report(scores), "best": report(scores)}
    html = training_page(
        reports, METRICS, title="ICE on <mine>", ranked=found(tmp_path, 20), settings={"seed": 1}, warnings=["w<arm"]
    )
    assert headings(html) == [
        "Warnings",
        "Before and after",
        "Right match within rank",
        "Clusters",
        "Training",
        "Ranked lists",
        "Hardest queries",
        "How this was made",
        "What this means, and what it does not",
    ]
    assert html.count("<img") == 12 + 8
    assert "ICE on &lt;mine&gt;" in html
    assert "w&lt;arm" in html
    assert "2 epochs" in html


def test_a_page_without_labels_or_epochs() -> None:
    html = training_page({}, [], title="x")
    assert headings(html) == ["What this means, and what it does not"]
    assert "1 epoch<" in training_page({}, METRICS[:1], title="x")


def test_a_page_without_labels_says_what_it_shows_and_shows_clusters(tmp_path: Path) -> None:
    table = found(tmp_path, 3)[0].table
    clusters = Clusters(table, np.array([0, 0, -1]), np.array([0.5, 0.5, np.nan]))
    html = training_page({}, METRICS, title="x", clusters=clusters)
    assert headings(html)[0] == "What is on this page"
    assert "Clusters to look at" in headings(html)
    assert html.count("<img") == 2
    assert "mAP" in html[: html.index("<h2>Clusters")]
    labeled = training_page({"best": report([0.5])}, METRICS, title="x", clusters=clusters)
    assert "What is on this page" not in headings(labeled)
    assert "Clusters to look at" in headings(labeled)


def test_a_page_of_a_run_without_clusters_does_not_speak_of_them() -> None:
    known = [{"epoch": epoch, "accuracy": 0.5 + epoch / 4, "loss/pairs": 2.0 - epoch} for epoch in range(2)]
    html = training_page({}, known, title="x")
    assert "Clusters stand in" not in html
    assert "Training images classified as the right person" in html
    assert "Clusters stand in" in training_page({}, METRICS, title="x")


@pytest.mark.parametrize("scores", [[np.nan], [], [0.5], [np.nan, 0.25]])
def test_few_queries_and_none_that_could_be_scored(tmp_path: Path, scores: list[float]) -> None:
    html = training_page({"best": report(scores)}, METRICS, title="x", ranked=found(tmp_path, len(scores)))
    assert html.count("<img") == int(np.isfinite(scores).sum())
    assert "Hardest queries" not in html


def test_a_file_name_that_is_no_text_does_not_cost_the_page(tmp_path: Path) -> None:
    html = training_page({}, METRICS, title="x", problems=[("b\udce9b\udce9.jpg", "empty")])
    write_page(tmp_path / "report.html", html)
    assert "b\\udce9b\\udce9.jpg" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(("head", "shown"), [("p1+p2(s2)", True), ("p1", False)])
def test_a_page_says_why_images_match_where_there_are_parts(tmp_path: Path, head: str, shown: bool) -> None:
    scores = list(np.linspace(0.1, 1, 20))
    made_of = parse_head(head).parts(8)
    values = np.full((20, 3, len(made_of)), 0.5)
    values[:, 0, -1] = 0.875
    similar = PartSimilarities(made_of, values, values / len(made_of))
    html = training_page({"best": report(scores)}, METRICS, title="x", ranked=found(tmp_path, 20), parts=similar)
    assert ("Why these match" in headings(html)) == shown
    assert html.count("<img") == 12 + 8 + 4 * shown
    assert html.count("first result: most similar in p2 stripe 2 of 2 (0.88), least in p1 whole (0.50)") == 4 * shown
    assert "Why these match" not in training_page(
        {"best": report(scores)}, METRICS, title="x", ranked=found(tmp_path, 20)
    )
