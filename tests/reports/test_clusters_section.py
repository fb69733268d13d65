"""Clusters to look at."""

from __future__ import annotations

import re

import numpy as np
import pytest

from resight.data.clusters_csv import Clusters
from resight.records import ImageTable
from resight.reports import clusters as module
from resight.reports.clusters import choose_clusters, clusters_section


def made(labels: list[int], cameras: list[int], people: list[int] | None = None, path: str = "x.jpg") -> Clusters:
    """Clusters of which those with a higher number are surer."""
    column = np.array(labels)
    table = ImageTable(np.array([path] * len(labels)), np.array(people or [-1] * len(labels)), np.array(cameras))
    return Clusters(table, column, np.where(column < 0, np.nan, column / 10).astype(np.float32))


LABELS = [0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, -1, -1, -1]
CAMERAS = [0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 1, 0, 1, 2]


def test_the_most_telling_of_each_kind_are_chosen_and_none_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHEETS", 1)
    people = [1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 5, -1, -1, -1]
    assert choose_clusters(made(LABELS, CAMERAS)) == {
        "Largest": [2],
        "Most mixed by camera": [1],
        "Least certain": [0],
    }
    assert choose_clusters(made(LABELS, CAMERAS, people))["Of several people"] == [3]
    assert "Of several people" not in choose_clusters(made(LABELS, CAMERAS, [1] * 14))
    assert choose_clusters(made(LABELS, [-1] * 14)) == {"Largest": [2], "Least certain": [0]}
    assert choose_clusters(made(LABELS, [4] * 14)) == {"Largest": [2], "Least certain": [0]}
    assert choose_clusters(made([0, 0], [0, 1])) == {"Largest": [0]}
    assert choose_clusters(made([-1, -1], [0, 1])) == {}


def test_people_who_are_not_known_mix_nothing() -> None:
    assert "Of several people" not in choose_clusters(made([0, 0, 1, 1], [0] * 4, [5, -1, -1, 6]))


def test_a_section_says_what_it_shows(pictures: list[str]) -> None:
    names = {"cameras": ("gate", "y<a>rd", "h\x1ball")}
    section = clusters_section(made(LABELS, CAMERAS, path=pictures[0]), names)
    captions = re.findall("<figcaption>(.*?)</figcaption>", section.body_html)
    captions = [re.sub(' title=".*?"', "", caption) for caption in captions]
    assert captions == [
        "Cluster 2 · 4 images · 1 camera: <bdi>gate</bdi> (4)",
        "Cluster 1 · 3 images · 3 cameras: <bdi>gate</bdi> (1), <bdi>y&lt;a&gt;rd</bdi> (1), <bdi>h\\x1ball</bdi> (1)",
        "Cluster 0 · 2 images · 1 camera: <bdi>gate</bdi> (2)",
        "Cluster 3 · 2 images · 2 cameras: <bdi>gate</bdi> (1), <bdi>y&lt;a&gt;rd</bdi> (1)",
        "3 images",
    ]
    assert section.body_html.count("<img") == 5
    assert 'title="y&lt;a&gt;rd"' in section.body_html
    assert "mixes them" in section.intro
    unknown = clusters_section(made([0, 0, 1, 1], [-1, -1, -1, 3], [7, -1, -1, -1], path=pictures[0])).body_html
    assert "Cluster 0 · 2 images · 1 person: <bdi" in unknown
    assert "person 7</bdi> (1), unknown (1)<" in unknown
    assert "camera 3</bdi> (1), unknown (1)<" in unknown
    assert "camera" not in clusters_section(made([0, 0], [-1, -1], path=pictures[0])).body_html.replace("cameras", "")


def test_a_section_stays_small_whatever_the_clusters(pictures: list[str]) -> None:
    labels = [number for number in range(300) for _ in range(20)] + [-1] * 500
    cameras = [row % 300 for row in range(len(labels))]
    section = clusters_section(made(labels, cameras, path=pictures[0]))
    assert section.body_html.count("<img") == 3 * module.SHEETS + 2
    assert len(section.body_html) < 1_000_000
    assert "16 more" in section.body_html
    everything = clusters_section(made([-1] * 3, [0] * 3, path="/nowhere.jpg")).body_html
    assert re.findall("<h3>(.*?)</h3>", everything) == ["In no cluster"]
