"""Structure maps in files, as resight or another program names them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resight.bodies.files import TurnedFiles, map_names, write_maps
from resight.bodies.maps import DrawnMaps
from resight.bodies.recovery import structure_maps
from resight.bodies.truth import true_bodies
from resight.errors import ConfigError, DataError
from resight.synthetic.turns import TURNS, angle_folder

ANGLES = [angle_folder("render", turns) for turns in range(TURNS)]


def write(folder: Path, *names: str, shade: int = 90) -> Path:
    """Write for each angle a gray picture of each name, brighter by 10 for each turn."""
    for turns, angle in enumerate(ANGLES):
        for name in names:
            path = folder / angle / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 16), shade + 10 * turns).save(path)
    return folder


def shades(maps: TurnedFiles, row: int, turns: list[int]) -> list[int]:
    loaded = maps.load(np.full(len(turns), row), np.array(turns))
    assert loaded.dtype == torch.uint8
    assert all(len(view.unique()) == 1 for view in loaded)
    return [int(view[0, 0, 0]) for view in loaded]


def test_maps_are_found_by_the_names_of_crops(tmp_path: Path) -> None:
    folder = write(tmp_path / "mesh", "a.jpg", "b.png")
    maps = TurnedFiles(folder, ["/x/a.jpg", "/x/b.jpg"], size=(32, 16))
    assert maps.usable.tolist() == [True, True]
    assert maps.load(np.array([1, 0]), np.array([0, 3])).shape == (2, 1, 32, 16)
    assert shades(maps, 0, [0, 3, 7, 8, -1]) == [90, 120, 160, 90, 160]
    assert maps.load(np.zeros(0, np.int64), np.zeros(0, np.int64)).shape == (0, 1, 32, 16)


def test_crops_of_the_same_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    folder = write(tmp_path / "mesh", "anna/1.jpg", shade=50)
    write(folder, "ben/1.jpg", shade=100)
    crops = ["/crops/door/ben/1.jpg", "/crops/door/anna/1.jpg"]
    maps = TurnedFiles(folder, crops)
    assert [shades(maps, row, [0]) for row in (0, 1)] == [[100], [50]]
    flat = write(tmp_path / "flat", "1.png")
    with pytest.raises(DataError, match=r"two crops, .*anna/1\.jpg and .*ben/1\.jpg|two crops, .*ben/1\.jpg and"):
        TurnedFiles(flat, crops)


def test_a_name_with_its_ending_is_preferred(tmp_path: Path) -> None:
    folder = write(tmp_path / "mesh", "a.png", shade=50)
    write(folder, "a.jpg", shade=100)
    maps = TurnedFiles(folder, ["a.jpg", "a.png"])
    assert [shades(maps, row, [0]) for row in (0, 1)] == [[100], [50]]


def test_missing_and_misnamed_maps_are_counted_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write(tmp_path / "mesh", "a.jpg", "b.jpg", "c.jpg")
    (folder / "render_90" / "b.jpg").unlink()
    for angle in ANGLES:
        (folder / angle / "c.jpg").rename(folder / angle / "cc.jpg")
    maps = TurnedFiles(folder, ["a.jpg", "b.jpg", "c.jpg"])
    assert maps.usable.tolist() == [True, False, False]
    (record,) = caplog.records
    line = record.getMessage()
    assert "2 crops of 3 lack a turned picture" in line
    assert "first render_90/b.jpg" in line
    assert "8 pictures fit no crop, first" in line
    assert line.endswith("render/cc.jpg")
    with pytest.raises(DataError, match="row 1 has no structure map"):
        maps.load(np.array([0, 1]), np.array([0, 0]))


def test_a_folder_without_a_fitting_map_is_an_error(tmp_path: Path) -> None:
    folder = write(tmp_path / "mesh", "a.jpg")
    with pytest.raises(DataError, match=r"1 crop of 1 lacks .*first render/z\.jpg.*8 pictures fit no crop.*named as"):
        TurnedFiles(folder, ["z.jpg"])
    shutil.rmtree(folder / "render_315")
    with pytest.raises(DataError, match=r"no folder .*render_315.* name the folder that holds them"):
        TurnedFiles(folder, ["a.jpg"])


def test_a_damaged_map_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "mesh", "a.jpg")
    (folder / "render_45" / "a.jpg").write_bytes(b"nothing")
    maps = TurnedFiles(folder, ["a.jpg"])
    assert shades(maps, 0, [0]) == [90]
    with pytest.raises(DataError, match=r"render_45/a\.jpg"):
        maps.load(np.array([0]), np.array([1]))


def test_written_maps_come_back(drawn: Path, crops: list[str], tmp_path: Path) -> None:
    usable = np.array([True] * (len(crops) - 1) + [False])
    maps = DrawnMaps(true_bodies(crops), usable, size=(64, 32))
    names = map_names(crops, drawn)
    assert write_maps(tmp_path, names, maps) == len(crops) - 1
    found = TurnedFiles(tmp_path, crops, size=(64, 32))
    assert found.usable.tolist() == usable.tolist()
    rows, turns = np.array([0, 1, 2]), np.array([0, 5, 2])
    assert torch.equal(found.load(rows, turns), maps.load(rows, turns))


def test_maps_of_two_names_do_not_replace_each_other(crops: list[str], tmp_path: Path) -> None:
    maps = DrawnMaps(true_bodies(crops[:2]), np.ones(2, np.bool_), size=(16, 8))
    with pytest.raises(DataError, match="two crops are named"):
        write_maps(tmp_path, ["a.jpg", "a.png"], maps)


def test_maps_are_named_as_crops_and_lie_in_folders_only_if_names_repeat() -> None:
    assert map_names(["/set/a/1.jpg", "/other/2.jpg"], Path("/set")) == ["1.jpg", "2.jpg"]
    assert map_names(["/set/a/1.jpg", "/set/b/1.jpg", "/else/1.jpg"], Path("/set")) == ["a/1.jpg", "b/1.jpg", "1.jpg"]
    assert map_names(["/set/a/1.jpg", "/set/b/1.png"], Path("/set")) == ["a/1.jpg", "b/1.png"]


@pytest.mark.parametrize("name", ["", "file=x", "truth=x", "files", "files=", "poses"])
def test_a_recovery_that_there_is_not_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match="recovery"):
        structure_maps([], name)
