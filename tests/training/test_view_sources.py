"""Which images are drawn turned, and where what goes with them comes from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made_up_bodies import Bodies
from resight.bodies.files import TurnedFiles
from resight.compute.devices import Devices, DeviceSettings
from resight.data.crops import Crops
from resight.errors import DataError
from resight.records import ImageTable
from resight.training.view_sources import Chosen, Sources, find_pictures, groups_of, open_drawing, spread_order


def test_the_first_images_are_of_as_many_people_as_there_are() -> None:
    groups = np.array([5, 5, 5, 5, 7, 7, -1, -1, 9])
    order = spread_order(groups, 1)
    assert sorted(order.tolist()) == list(range(9))
    assert {int(groups[row]) for row in order[:5]} == {5, 7, 9, -1}, "both unknown images are a person's of their own"
    assert sorted(groups[order[5:7]].tolist()) == [5, 7]
    assert groups[order[7:]].tolist() == [5, 5]
    assert order.tolist() != spread_order(groups, 2).tolist()
    assert order.tolist() == spread_order(groups, 1).tolist()
    assert spread_order(np.zeros(0, np.int64), 1).tolist() == []


def test_images_of_a_person_follow_each_other_on_request() -> None:
    groups = np.repeat(np.arange(3), 5)
    order = groups[spread_order(groups, 3, together=2)]
    assert (order[::2][:3] == order[1::2][:3]).all()
    assert sorted(order[:6].tolist()) == [0, 0, 1, 1, 2, 2]


def test_clusters_of_the_run_stand_for_unknown_people(tmp_path: Path) -> None:
    table = ImageTable(np.array(["a.jpg", "b.jpg", "c.jpg"]))
    known = ImageTable(np.array(["a.jpg", "b.jpg", "c.jpg"]), person_ids=np.array([4, -1, -1]))
    assert groups_of(known, tmp_path).tolist() == [4, -1, -1]
    assert groups_of(table, tmp_path).tolist() == [-1, -1, -1], "the run has no clusters"
    (tmp_path / "clusters.csv").write_text("path,cluster,camera,margin\na.jpg,1,0,0.1\nc.jpg,0,0,0.2\n")
    assert groups_of(table, tmp_path).tolist() == [1, -1, 0]
    assert groups_of(known, tmp_path).tolist() == [4, -1, -1]
    (tmp_path / "clusters.csv").write_text("path,cluster\na.jpg,x\n")
    assert groups_of(table, tmp_path).tolist() == [-1, -1, -1]


def test_some_rows_of_maps_keep_their_order() -> None:
    maps = Bodies(6, (16, 8), missing=(4,))
    chosen = Chosen(maps, np.array([5, 4, 1]))
    assert chosen.usable.tolist() == [True, False, True]
    rows, turns = np.array([2, 0]), np.array([1, 3])
    assert np.array_equal(chosen.load(rows, turns), maps.load(np.array([1, 5]), turns))


def test_true_pictures_are_found_where_they_are(tmp_path: Path) -> None:
    assert find_pictures(tmp_path) == ""
    (tmp_path / "b" / "view_45").mkdir(parents=True)
    assert find_pictures(tmp_path / "a", tmp_path / "b") == str(tmp_path / "b")


def test_images_without_views_are_left_out(tmp_path: Path) -> None:
    pictures = [str(tmp_path / f"{number}.png") for number in range(3)]
    for number, path in enumerate(pictures):
        Image.new("RGB", (32, 64), (40 * number, 90, 200)).save(path)
    for turn in ("", *(f"_{45 * step}" for step in range(1, 8))):
        (tmp_path / f"view{turn}").mkdir()
        for path in pictures[1:3]:
            (tmp_path / f"view{turn}" / Path(path).name).write_bytes(Path(path).read_bytes())
    table, devices = ImageTable(np.array(pictures)), Devices(DeviceSettings(accelerator="cpu", threads=1))
    drawing = open_drawing(Sources(None, views=str(tmp_path)), table, np.array([2, 0, 1]), 5, devices)
    assert isinstance(drawing.images, Crops)
    assert drawing.images.table.paths.tolist() == [pictures[2], pictures[1]]
    loaded = drawing.views.load(np.array([1]), np.array([3]))
    alone = TurnedFiles(tmp_path, pictures[1:2], kind="view").load(np.array([0]), np.array([3]))
    assert np.array_equal(loaded, alone)
    assert drawing.structure is None
    with pytest.raises(DataError, match=r"no folder .*absent/view"):
        open_drawing(Sources(None, views=str(tmp_path / "absent")), table, np.arange(3), 5, devices)
