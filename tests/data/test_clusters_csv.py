"""The table of clusters: what it holds, what is made harmless, what is not taken back."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from resight.data.clusters_csv import Clusters, clusters_csv, read_clusters
from resight.data.folder import FolderSettings, load_folder
from resight.records import ImageTable

PATHS = ["=1+1.jpg", "a,b.jpg", "c\nd.jpg", "e.jpg"]
CLUSTERS = Clusters(
    ImageTable(np.array(PATHS), camera_ids=np.array([0, 1, 2, -1])),
    np.array([1, -1, 0, 0]),
    np.array([0.25, np.nan, 0.5, -0.125], np.float32),
)
NAMES = {"cameras": ("gate", "-yard", "h\x1ball")}


def test_a_line_an_image_that_no_spreadsheet_obeys() -> None:
    rows = list(csv.reader(clusters_csv(CLUSTERS, NAMES).splitlines()))
    assert rows == [
        ["path", "cluster", "camera", "margin"],
        ["./=1+1.jpg", "1", "gate", "0.2500"],
        ["a,b.jpg", "-1", "'-yard", ""],
        ["c\\nd.jpg", "0", "h\\x1ball", "0.5000"],
        ["e.jpg", "0", "", "-0.1250"],
    ]
    assert "a.jpg" not in clusters_csv(CLUSTERS, {})
    assert [row[2] for row in csv.reader(clusters_csv(CLUSTERS, {}).splitlines())] == ["camera", "0", "1", "2", ""]


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "clusters.csv"
    assert read_clusters(path, CLUSTERS.table) is None
    path.write_text(clusters_csv(CLUSTERS, NAMES))
    found = read_clusters(path, CLUSTERS.table)
    assert found is not None
    assert found.labels.tolist() == CLUSTERS.labels.tolist()
    np.testing.assert_array_equal(found.margins, CLUSTERS.margins)
    assert found.table is CLUSTERS.table


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("path,cluster", "path;cluster"),
        ("a,b.jpg\",-1,'-yard,\n", ""),
        ("e.jpg,0,,-0.1250\n", ""),
        ("jpg,1,", "jpg,2,"),
        ("jpg,1,", "jpg,-2,"),
        ("jpg,1,", "jpg,1.0,"),
        ("jpg,1,", f"jpg,{10**30},"),
        ("0.2500", "nan"),
        ("0.2500", ""),
        ("margin", "m"),
    ],
)
def test_what_was_changed_since_is_said_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, old: str, new: str
) -> None:
    text = clusters_csv(CLUSTERS, NAMES)
    assert old in text
    (tmp_path / "clusters.csv").write_text(text.replace(old, new))
    assert read_clusters(tmp_path / "clusters.csv", CLUSTERS.table) is None
    assert "is not as the run wrote it" in caplog.text


def test_the_table_is_one_of_labels_but_for_a_name(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"")
    table = ImageTable(np.array(["a.jpg", "b.jpg"]), camera_ids=np.array([1, 2]))
    found = clusters_csv(Clusters(table, np.array([0, -1]), np.array([0.5, np.nan], np.float32)), {})
    (tmp_path / "people.csv").write_text(found.replace("cluster", "person", 1))
    read = load_folder(tmp_path, FolderSettings(table="people.csv")).train
    assert (read.person_ids.tolist(), read.camera_ids.tolist()) == ([0, -1], [1, 2])
