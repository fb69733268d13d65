"""Synthetic sets, read back with their tracklets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resight.data.catalog import load_dataset
from resight.data.tracklets import group_tracklets, pool_tracklets, sample_tracklets
from resight.data.verify import describe
from resight.errors import DataError
from resight.models.encoder import load_encoder
from resight.retrieval.evaluation import evaluate
from resight.retrieval.extraction import extract
from resight.synthetic import SyntheticSettings, synthesize

VIDEO = SyntheticSettings(
    people_train=2, people_test=4, cameras=2, visits=2, crops=6, crops_most=9, gap=3, tracklets=True, seed=4,
    height=64, width=32, distractors=0.2, junk=0.2, silhouettes=False,
)  # fmt: skip


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesize(tmp_path_factory.mktemp("drawn") / "video", settings=VIDEO).root


def test_a_drawn_set_is_read_with_its_tracklets(video: Path) -> None:
    data = load_dataset("synthetic", video)
    assert (data.unit, data.distractor_id, data.exclude) == ("tracklets", 0, "same-camera")
    assert data.counts == {"train": (8, 2), "query": (8, 4), "gallery": (8 + 2, 5)}
    for table in data.tables.values():
        for rows in group_tracklets(table):
            assert 6 <= len(rows) <= 9
            assert set(np.diff(table.frame_ids[rows]).tolist()) == {3}
    assert (data.gallery.person_ids == -1).any()
    assert describe(data).unmatched == ()
    market = load_dataset("market1501", video)
    for split, table in data.tables.items():
        order, same = np.argsort(table.paths), np.argsort(market.tables[split].paths)
        for name in ("paths", "person_ids", "camera_ids"):
            assert getattr(table, name)[order].tolist() == getattr(market.tables[split], name)[same].tolist()
        frames = dict(zip(market.tables[split].paths, market.tables[split].frame_ids, strict=True))
        for rows in group_tracklets(table):  # on another clock: each visit is a sequence of its own in Market-1501
            assert set(np.diff([frames[path] for path in table.paths[rows]]).tolist()) == {3}


def test_pooled_tracklets_are_evaluated(video: Path) -> None:
    data = load_dataset("synthetic", video)

    colors = load_encoder("hsv")
    sides = []
    for table in (data.query, data.gallery):
        rows = sample_tracklets(table, 4)
        assert rows.shape == (len(group_tracklets(table)), 4)
        sides.append(pool_tracklets(extract(colors, table[rows.ravel()])))
    report = evaluate(*sides, exclude=data.exclude, distractor_id=data.distractor_id)
    assert report.scores["queries"] == 8
    assert report.scores["queries_without_match"] == 0
    # Colors alone do not survive the change of camera; within a camera they do.
    assert evaluate(*sides, exclude="none", distractor_id=data.distractor_id).scores["mAP"] > 0.5


def test_an_image_set_keeps_its_tracklets_too(tmp_path: Path) -> None:
    settings = replace(VIDEO, tracklets=False, people_train=1, people_test=1, crops_most=None)
    data = load_dataset("synthetic", synthesize(tmp_path / "set", settings=settings).root)
    assert data.unit == "images"
    assert (data.train.tracklet_ids >= 0).all()
    assert (data.gallery.tracklet_ids[data.gallery.person_ids <= 0] == -1).all()
    alone = replace(settings, people_test=0)
    assert len(load_dataset("synthetic", synthesize(tmp_path / "train", settings=alone).root).query) == 0


def test_what_is_no_drawn_set_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing annotations.csv, dataset.json"):
        load_dataset("synthetic", tmp_path)
    table, about = tmp_path / "annotations.csv", tmp_path / "dataset.json"
    for settings, text, message in (
        ("{}", "", "has no settings of a synthetic set"),
        ("x", "", "has no settings"),
        ('{"settings": {}}', "", "lists no image"),
        ('{"settings": {}}', "path,label\nquery/x.jpg,1\n", r"line 2 of .*annotations.csv must have path"),
        ('{"settings": {}}', "path,label,camera,tracklet,frame\nquery/x.jpg,1,2,3,x\n", "line 2 of"),
        ('{"settings": {}}', "path,label,camera,tracklet,frame\nelsewhere/x.jpg,1,2,3,4\n", "line 2 of"),
    ):
        about.write_text(settings)
        table.write_text(text)
        with pytest.raises(DataError, match=message):
            load_dataset("synthetic", tmp_path)
