"""MARS is read, evaluated by tracklet and verified."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from mars_files import write_mars
from resight.data.catalog import load_dataset
from resight.data.sets.mars import load_mars
from resight.data.tracklets import pool_tracklets
from resight.data.verify import describe, verify
from resight.errors import ConfigError, DataError
from resight.records import Features
from resight.retrieval.evaluation import evaluate


def test_mars_is_read(tmp_path: Path) -> None:
    write_mars(tmp_path / "MARS")
    data = load_dataset("mars", tmp_path)
    assert data.root == tmp_path / "MARS"
    assert (data.unit, data.exclude, data.distractor_id) == ("tracklets", "same-camera", 0)
    assert data.train.person_ids.tolist() == [1, 1, 1, 1, 1, 3]
    assert data.train.camera_ids.tolist() == [1, 1, 1, 2, 2, 1]
    assert data.train.tracklet_ids.tolist() == [0, 0, 0, 1, 1, 2]
    assert data.train.frame_ids.tolist() == [1, 2, 3, 1, 2, 1]
    assert Path(data.train.paths[3]).relative_to(data.root).as_posix() == "bbox_train/0001/0001C2T0001F001.jpg"
    # A test tracklet's id is its place in the list.
    assert data.query.tracklet_ids.tolist() == [2, 2, 2, 4, 4, 5, 5]
    assert data.gallery.tracklet_ids.tolist() == [0, 1, 1, 3, 3]
    assert data.gallery.person_ids.tolist() == [-1, 0, 0, 2, 2]
    assert data.counts == {"train": (3, 2), "query": (3, 2), "gallery": (2, 2)}
    assert data.published["gallery"] == (9_330, 621)
    assert "train 3 tracklets of 2 people (published 8,298 of 625)" in data.unofficial
    assert "without the queries' own tracklets" in data.notes[0]


def test_the_two_galleries_of_mars_differ_as_they_say(tmp_path: Path) -> None:
    write_mars(tmp_path)
    without, both = (load_dataset(name, tmp_path) for name in ("mars", "mars-with-queries"))
    assert sorted(set(both.gallery.tracklet_ids.tolist())) == list(range(6))
    assert both.published["gallery"] == (11_310, 635)
    assert both.name == "mars-with-queries"
    # Person 2 by camera 1 is left in the gallery by camera 1 alone, without its other queries; so are the rest.
    assert describe(without).unmatched == (0, 5)
    assert describe(both).unmatched == (5,)
    facts = describe(without).splits
    assert (facts["gallery"].tracklets, facts["gallery"].images, facts["gallery"].distractors) == (4 - 1, 5, 2)
    with pytest.raises(ConfigError, match="did you mean 'with-queries'"):
        load_mars(tmp_path, gallery="with-query")  # type: ignore[arg-type]


def test_mars_is_evaluated_by_tracklet(tmp_path: Path) -> None:
    data = load_dataset("mars-with-queries", write_mars(tmp_path))
    random = np.random.default_rng(0)
    centers = {person: random.normal(size=8) for person in (-1, 0, 2, 4)}
    sides = [
        pool_tracklets(
            Features(side, np.array([centers[p] / np.linalg.norm(centers[p]) for p in side.person_ids.tolist()]))
        )
        for side in (data.query, data.gallery)
    ]
    assert [len(side) for side in sides] == [3, 6]
    report = evaluate(*sides, exclude=data.exclude, distractor_id=data.distractor_id)
    assert report.scores["mAP"] == 1
    assert report.scores["queries_without_match"] == 1
    assert report.per_query["matches"].tolist() == [1, 2, 0]


def test_mars_lists_that_do_not_match_are_one_clear_line(tmp_path: Path) -> None:
    def broken(name: str, *, queries: tuple[int, ...] = (3,)) -> Path:
        return write_mars(tmp_path / name, queries=queries)

    root = broken("a")
    (root / "info" / "test_name.txt").unlink()
    with pytest.raises(DataError, match=r"mars: there is no file .*test_name.txt"):
        load_mars(root)
    root = broken("b")
    (root / "info" / "tracks_train_info.mat").unlink()
    with pytest.raises(DataError, match=r"mars: there is no file .*tracks_train_info.mat"):
        load_mars(root)
    root = broken("c")
    (root / "info" / "train_name.txt").write_text("0001C1T0001F001.jpg\n")
    with pytest.raises(DataError, match=r"tracklet 1 of tracks_train_info.mat has the images 1 to 3, of 1"):
        load_mars(root)
    for row, message in (
        ([2, 1, 1, 1], "has the images 2 to 1"),
        ([1, 3, 1, 2], "is of person 1 by camera 2, its image 0001C1T0001F001.jpg is not"),
    ):
        savemat(root / "info" / "tracks_train_info.mat", {"track_train_info": np.array([row])})
        write = "\n".join(f"0001C1T0001F{frame:03}.jpg" for frame in (1, 2, 3))
        (root / "info" / "train_name.txt").write_text(write)
        with pytest.raises(DataError, match=message):
            load_mars(root)
    for content, message in (
        ({"track_train_info": np.ones((2, 3))}, r"4 columns .*found 2 x 3"),
        ({"track_train_info": np.ones((0, 4))}, r"4 columns .*found 0 x"),
        ({"tracks": np.ones((2, 4))}, r"expected a matrix 'track_train_info' .*found tracks"),
        ({"track_train_info": np.full((1, 4), 0.5)}, "of whole numbers"),
    ):
        savemat(root / "info" / "tracks_train_info.mat", content)
        with pytest.raises(DataError, match=message):
            load_mars(root)
    for queries, message in (((7,), "names tracklet 7 of 6"), ((0,), "names tracklet 0 of 6"), ((), "is empty")):
        with pytest.raises(DataError, match=message):
            load_mars(broken(f"d{queries}", queries=queries))
    root = broken("e")
    (root / "info" / "train_name.txt").write_text("nobody.jpg\n" * 6)
    with pytest.raises(DataError, match=r"names an image 'nobody.jpg', expected a name like"):
        load_mars(root)


def test_mars_images_that_are_not_there(tmp_path: Path) -> None:
    root = write_mars(tmp_path)
    (root / "bbox_test" / "0002" / "0002C1T0001F002.jpg").unlink()
    data = load_mars(root)
    assert data.query.frame_ids.tolist()[:2] == [1, 3]
    assert "test: 1 missing image is skipped, such as '0002C1T0001F002.jpg'" in data.notes
    (root / "bbox_test" / "0004" / "0004C2T0001F001.jpg").unlink()
    (root / "bbox_test" / "0004" / "0004C2T0001F002.jpg").unlink()
    with pytest.raises(DataError, match=r"tracklet 6 of tracks_test_info.mat has none of its 2 images in"):
        load_mars(root)
    (root / "bbox_test").rename(root / "bbox_tests")
    with pytest.raises(DataError, match="did you mean 'bbox_tests'"):
        load_mars(root)


def test_mars_is_verified(tmp_path: Path, draw: Callable[..., Path]) -> None:
    report = verify(load_dataset("mars-with-queries", write_mars(tmp_path, draw=draw)), progress=False)
    assert report.sound
    assert report.duplicates == ()
    assert report.description.unit == "tracklets"
    assert any("query: 1 of 3 has no possible match" in warning for warning in report.description.warnings)
