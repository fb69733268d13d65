"""VeRi-776 and VehicleID: made-up copies of their files."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from resight.data.catalog import load_dataset
from resight.data.sets.vehicleid import load_vehicleid
from resight.data.verify import describe
from resight.errors import ConfigError, DataError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_veri776_is_read(tmp_path: Path) -> None:
    touch(
        tmp_path / "VeRi",
        "image_train/0001_c001_00016450_0.jpg", "image_train/0001_c020_00016460_1.jpg",
        "image_query/0002_c002_00030600_0.jpg", "image_test/0002_c002_00030600_0.jpg",
        "image_test/0002_c003_00030700_0.jpg", "image_test/odd.jpg",
    )  # fmt: skip
    data = load_dataset("veri776", tmp_path)
    assert data.train.person_ids.tolist() == [1, 1]
    assert data.train.camera_ids.tolist() == [1, 20]
    assert data.train.frame_ids.tolist() == [16450, 16460]
    assert data.gallery.camera_ids.tolist() == [2, 3]
    assert (data.exclude, data.unit) == ("same-camera", "images")
    assert describe(data).unmatched == ()
    assert "image_test: 1 image whose name" in data.notes[0]
    (tmp_path / "VeRi" / "image_query").rename(tmp_path / "VeRi" / "image_querys")
    with pytest.raises(DataError, match=r"missing image_query; found .*; did you mean 'image_querys'"):
        load_dataset("veri776", tmp_path)


def write_vehicleid(root: Path, images: dict[int, int], size: int = 800, *, seed: int = 0) -> Path:
    """Vehicles and how many images each has in the test list."""
    numbers = iter(range(1, 10_000))
    train = [(next(numbers), 10), (next(numbers), 10), (next(numbers), 11)]
    test = [(next(numbers), vehicle) for vehicle, count in images.items() for _ in range(count)]
    random.Random(seed).shuffle(test)
    touch(root, *(f"image/{number:07}.jpg" for number, _ in train + test))
    (root / "train_test_split").mkdir(exist_ok=True)
    for name, rows in (("train_list", train), (f"test_list_{size}", test)):
        (root / "train_test_split" / f"{name}.txt").write_text("".join(f"{n:07} {v}\n" for n, v in rows))
    return root


@pytest.mark.parametrize("size", [800, 1600, 2400])
def test_vehicleid_has_one_image_of_each_vehicle_in_its_gallery(tmp_path: Path, size: int) -> None:
    write_vehicleid(tmp_path / "VehicleID_V1.0", {5: 3, 7: 1, 9: 4}, size)
    data = load_dataset(f"vehicleid-{size}", tmp_path)
    assert (data.name, data.exclude) == (f"vehicleid-{size}", "none")
    assert data.train.person_ids.tolist() == [10, 10, 11]
    assert data.gallery.person_ids.tolist() == [5, 7, 9]
    assert data.query.person_ids.tolist() == [5, 5, 9, 9, 9]
    assert not set(data.query.paths) & set(data.gallery.paths)
    assert set(data.query.camera_ids.tolist()) == {-1}
    assert describe(data).unmatched == ()
    assert f"3 vehicles to test on, {size:,} are published" in data.notes[0]
    assert "one random image of each of 3 vehicles (seed 0)" in data.notes[1]


def test_the_gallery_depends_on_the_seed_alone(tmp_path: Path) -> None:
    galleries = {}
    for order in (0, 1):
        vehicles = dict.fromkeys(range(20), 6)
        root = write_vehicleid(tmp_path / str(order), vehicles, seed=order)
        if order:  # the same images of the same vehicles, in another order of the list
            source = (tmp_path / "0" / "train_test_split" / "test_list_800.txt").read_text().splitlines()
            text = "\n".join(sorted(source, reverse=True))
            (root / "train_test_split" / "test_list_800.txt").write_text(text)
        galleries[order] = [Path(path).name for path in load_vehicleid(root).gallery.paths]
    assert galleries[0] == galleries[1]
    other = load_vehicleid(tmp_path / "0", split=1).gallery.paths
    assert [Path(path).name for path in other] != galleries[0]
    assert len(np.unique(other)) == 20


def test_vehicleid_says_what_is_wrong(tmp_path: Path) -> None:
    root = write_vehicleid(tmp_path, {5: 2, 6: 2})
    (root / "image" / "0000001.jpg").unlink()
    assert "1 missing image is skipped, such as '0000001.jpg'" in load_vehicleid(root).notes[0]
    with pytest.raises(DataError, match=r"vehicleid-1600: .*missing train_test_split/test_list_1600.txt"):
        load_vehicleid(root, size=1600)
    with pytest.raises(ConfigError, match="of 800, 1600, 2400 vehicles; found 801"):
        load_vehicleid(root, size=801)
    path = root / "train_test_split" / "test_list_800.txt"
    for text, message in (
        ("0000004 5 6\n", "line 1 of .*test_list_800.txt must be IMAGE VEHICLE, found '0000004 5 6'"),
        ("\n0000004 x\n", "line 2 of"),
        ("0099999 5\n", "names no image in"),
        ("0000004 5\n0000006 6\n", "each vehicle of test_list_800.txt has a single image"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            load_vehicleid(root)
