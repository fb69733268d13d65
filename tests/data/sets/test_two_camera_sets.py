"""The sets of crops from two cameras are read, split and refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from mars_files import touch
from resight.data.catalog import load_dataset
from resight.data.crop_pairs import one_image_each
from resight.data.dataset import Dataset
from resight.data.sets.caviar4reid import load_caviar4reid
from resight.data.sets.cuhk01 import load_cuhk01
from resight.data.sets.grid import load_grid
from resight.data.sets.ilids import load_ilids
from resight.data.sets.viper import load_viper
from resight.data.verify import describe
from resight.errors import ConfigError, DataError
from resight.records import ImageTable


def names_of(paths: np.ndarray) -> list[str]:
    return [Path(path).name for path in paths.tolist()]


def columns(*rows: object) -> np.ndarray:
    """A MATLAB cell with one column."""
    cell = np.empty((len(rows), 1), object)
    for number, row in enumerate(rows):
        cell[number, 0] = row
    return cell


def check_halves(data: Dataset, train: set[int], test: set[int]) -> None:
    assert set(data.train.person_ids.tolist()) == train
    assert set(data.query.person_ids.tolist()) == test
    assert test <= set(data.gallery.person_ids.tolist())
    assert not train & set(data.gallery.person_ids.tolist())
    assert describe(data).unmatched == ()


def write_partition(path: Path, *tests: list[int]) -> None:
    """A partition of two cameras, as a MATLAB file of version 5: 1 for a person to test on."""
    splits = np.zeros((1, len(tests)), [("idx_test", object), ("idx_train", object)])
    for number, test in enumerate(tests):
        mask = np.array([test + test], np.uint8).T
        splits[0, number] = mask, 1 - mask
    savemat(path, {"partition": splits})


def test_the_single_image_depends_on_the_split_alone() -> None:
    people = np.repeat(np.arange(9), 4)
    table = ImageTable(np.array([f"{row:02}.jpg" for row in range(36)]), people)
    chosen = [one_image_each(table, split) for split in range(3)]
    assert all(own.person_ids.tolist() == list(range(9)) for own in chosen)
    assert len({tuple(own.paths.tolist()) for own in chosen}) == 3
    shuffled = table[np.random.default_rng(0).permutation(36)]
    assert one_image_each(shuffled, 1).paths.tolist() == chosen[1].paths.tolist()


# --- VIPeR -----------------------------------------------------------------------------------------------------


def write_viper(root: Path, people: tuple[int, ...] = (0, 3, 7, 872)) -> Path:
    names = [f"cam_{camera}/{person:03}_{45 * (camera == 'b')}.bmp" for person in people for camera in "ab"]
    return touch(root, *names)


def test_viper_is_read_and_its_splits_are_drawn(tmp_path: Path) -> None:
    data = load_dataset("viper", write_viper(tmp_path / "VIPeR").parent)
    assert data.counts == {"train": (4, 2), "query": (2, 2), "gallery": (2, 2)}
    assert set(data.query.camera_ids.tolist()) == {1}
    assert set(data.gallery.camera_ids.tolist()) == {2}
    assert set(data.gallery.frame_ids.tolist()) == {45}
    test = set(data.query.person_ids.tolist())
    check_halves(data, {0, 3, 7, 872} - test, test)
    assert "split 0 of 10: drawn with a fixed seed (there is no Partition_viper.mat)" in data.notes[0]
    assert "published 632 of 316" in data.unofficial
    halves = {tuple(load_viper(data.root, split=split).query.person_ids.tolist()) for split in range(10)}
    assert len(halves) > 3
    assert load_viper(data.root, split=4).query.paths.tolist() == load_viper(data.root, split=4).query.paths.tolist()
    with pytest.raises(ConfigError, match=r"viper: the splits are 0\.\.9, found 10"):
        load_viper(data.root, split=10)


def test_a_partition_of_viper_is_read(tmp_path: Path) -> None:
    root = write_viper(tmp_path / "VIPeR")
    write_partition(tmp_path / "Partition_viper.mat", [1, 0, 0, 1], [0, 1, 1, 0])
    check_halves(load_viper(root), {3, 7}, {0, 872})
    data = load_viper(root, split=1)
    check_halves(data, {0, 872}, {3, 7})
    assert data.notes == ("split 1 of 10, as in Partition_viper.mat; published scores are the average of all",)
    with pytest.raises(DataError, match=r"Partition_viper.mat has 2 splits, numbered from 0; found no split 2"):
        load_viper(root, split=2)
    write_partition(root / "Partition_viper.mat", [1, 0, 0])
    with pytest.raises(DataError, match=r"splits 6 images of two cameras, and the set has 8 .*of another set") as error:
        load_viper(root)
    assert "\n" not in str(error.value)


def test_viper_says_what_is_wrong(tmp_path: Path) -> None:
    root = touch(tmp_path / "a", "cam_a/000_45.bmp", "cam_b/001_45.bmp")
    with pytest.raises(DataError, match="no person was seen by both cameras: the first shows 1 people, the second 1"):
        load_viper(root)
    touch(root, "cam_b/000_45.bmp")
    with pytest.raises(DataError, match="1 people cannot be split: 2 or more are needed"):
        load_viper(root)
    (root / "cam_b").rename(root / "cam_c")
    with pytest.raises(DataError, match="missing cam_b; found cam_a, cam_c; did you mean"):
        load_viper(root)
    root = touch(tmp_path / "b", "cam_a/000_45.bmp", "cam_b/anna_45.bmp")
    with pytest.raises(DataError, match=r"no image in .*cam_b is named like PPP_ANGLE.bmp; found .*'anna_45.bmp'"):
        load_viper(root)


# --- PRID-2011, single-shot ------------------------------------------------------------------------------------


def test_the_single_shot_version_of_prid2011(tmp_path: Path) -> None:
    first = [f"single_shot/cam_a/person_{person:04}.png" for person in (1, 2, 3, 200, 201, 385)]
    second = [f"single_shot/cam_b/person_{person:04}.png" for person in (1, 2, 3, 200, 201, 749)]
    data = load_dataset("prid2011-single-shot", touch(tmp_path / "prid_2011", *first, *second).parent)
    test = set(data.query.person_ids.tolist())
    assert len(test) == 2
    check_halves(data, {1, 2, 3, 200} - test, test)
    # Nobody after 200 is the same in both cameras: camera A's do not ask, and camera B's match nobody.
    assert set(data.gallery.person_ids.tolist()) == test | {201, 749}
    assert describe(data).splits["gallery"].distractors == 2
    assert "no list of the splits is published" in data.notes[0]


# --- GRID ------------------------------------------------------------------------------------------------------


def write_grid(root: Path, people: tuple[int, ...] = (1, 2, 3, 4)) -> Path:
    probes = [f"probe/{person:04}_1_25004_107_32_106_221.jpeg" for person in people]
    gallery = [f"gallery/{person:04}_2_25023_116_134_128_330.jpeg" for person in people]
    return touch(root, *probes, *gallery, "gallery/0000_6_1_2_3_4_5.jpeg", "gallery/0000_7_1_2_3_4_5.jpeg")


def test_grid_is_read_with_its_partitions(tmp_path: Path) -> None:
    root = write_grid(tmp_path / "underground_reid")
    splits = np.empty((1, 2), object)
    for number, people in enumerate(([2, 4], [1, 2])):
        struct = np.zeros((1, 1), [("images", object), ("people", object)])
        struct[0, 0] = np.array([[776, 777]]), np.array([people])
        splits[0, number] = struct
    savemat(root / "features_and_partitions.mat", {"trainIdxAll": splits})
    data = load_dataset("grid", tmp_path)
    check_halves(data, {2, 4}, {1, 3})
    assert data.gallery.person_ids.tolist() == [1, 3, 0, 0]
    assert data.gallery.camera_ids.tolist() == [2, 2, 6, 7]
    assert data.query.frame_ids.tolist() == [25004, 25004]
    assert (data.distractor_id, data.counts["gallery"]) == (0, (4, 3))
    check_halves(load_grid(root, split=1), {1, 2}, {3, 4})
    with pytest.raises(DataError, match="has 2 splits, numbered from 0; found no split 2"):
        load_grid(root, split=2)
    for content, message in (
        ({"trainIdxAll": np.array([[9, 8]])}, "split 0 of .* has no vector of some of the set's 4 people"),
        ({"features": np.eye(2)}, "expected a variable 'trainIdxAll' in .*; found features"),
    ):
        savemat(root / "features_and_partitions.mat", content)
        with pytest.raises(DataError, match=message):
            load_grid(root)
    (root / "features_and_partitions.mat").unlink()
    assert "drawn with a fixed seed (there is no features_and_partitions.mat)" in load_grid(root).notes[0]


# --- i-LIDS ----------------------------------------------------------------------------------------------------


def test_ilids_has_one_gallery_image_of_each_person(tmp_path: Path) -> None:
    names = [f"Persons/{person:04}{number:03}.jpg" for person in range(1, 63) for number in range(1, 3 + person % 3)]
    data = load_dataset("ilids", touch(tmp_path / "i-LIDS_Pedestrian", *names).parent)
    assert (data.counts["train"][1], data.counts["gallery"]) == (2, (60, 60))
    assert (data.exclude, set(data.query.camera_ids.tolist())) == ("none", {-1})
    assert not set(data.query.paths.tolist()) & set(data.gallery.paths.tolist())
    assert len(data.train) + len(data.query) + len(data.gallery) == len(names)
    assert describe(data).unmatched == ()
    assert data.official, "only the gallery's counts are published"
    other = load_ilids(data.root, split=1)
    assert names_of(other.gallery.paths) != names_of(data.gallery.paths)
    with pytest.raises(DataError, match="60 people cannot be split: 61 or more are needed"):
        load_ilids(touch(tmp_path / "few", *(f"Persons/{person:04}001.jpg" for person in range(60))))
    with pytest.raises(DataError, match="each person to test on has a single image"):
        load_ilids(touch(tmp_path / "single", *(f"Persons/{person:04}001.jpg" for person in range(70))))


# --- CAVIAR4REID -----------------------------------------------------------------------------------------------


def write_caviar4reid(root: Path, people: tuple[int, ...] = (1, 2, 3, 5), single: tuple[int, ...] = (9,)) -> Path:
    names = [f"{person:04}{number:03}.jpg" for person in people for number in range(1, 21)]
    return touch(root, *names, *(f"{person:04}{number:03}.jpg" for person in single for number in range(1, 11)))


def test_caviar4reid_is_read_with_one_image_or_all(tmp_path: Path) -> None:
    root = write_caviar4reid(tmp_path / "CAVIAR4REID")
    write_partition(root / "Partition_caviar.mat", [0, 1, 0, 1])
    single, multi = (load_dataset(name, tmp_path) for name in ("caviar4reid", "caviar4reid-multi-shot"))
    for data, gallery in ((single, (2, 2)), (multi, (20, 2))):
        check_halves(data, {1, 3}, {2, 5})
        assert data.counts == {"train": (40, 2), "query": (20, 2), "gallery": gallery}
        assert set(data.query.frame_ids.tolist()) == set(range(1, 11))
        assert min(data.gallery.frame_ids.tolist()) > 10
        assert data.published["gallery"][0] == 25 * (1 if data is single else 10)
        assert "1 person seen by one camera only is left out" in data.notes
    write_partition(root / "Partition_caviar.mat", [0, 1, 0, 1, 1])
    with pytest.raises(DataError, match="splits 10 images of two cameras, and the set has 8"):
        load_caviar4reid(root)
    with pytest.raises(DataError, match="no person was seen by both cameras"):
        load_caviar4reid(write_caviar4reid(tmp_path / "one", people=(), single=(1, 2)))


# --- CUHK01 ----------------------------------------------------------------------------------------------------


def write_cuhk01(root: Path, people: tuple[int, ...] = (1, 2, 3, 971)) -> Path:
    return touch(root, *(f"campus/{person:04}{number:03}.png" for person in people for number in range(1, 5)))


def write_cuhk01_list(path: Path, test: tuple[int, ...] = (2, 3), train: tuple[int, ...] = (1, 971)) -> None:
    """The list of one split; image 3 of each person to test on is in the gallery, image 4 is not used."""
    tests = [(f"/{person:04}{number:03}.png", (1, 1, 2, -1)[number - 1]) for person in test for number in (2, 4, 1, 3)]
    cell = {
        "testimagenames_set": columns(columns(*(name for name, _ in tests))),
        "testcamIDs_set": columns(np.array([[camera] for _, camera in tests], np.int16)),
        "trainimagenames_set": columns(columns(*(f"/{person:04}{i:03}.png" for person in train for i in (1, 2, 3, 4)))),
    }
    savemat(path, cell)


def test_cuhk01_is_read_with_its_list(tmp_path: Path) -> None:
    root = write_cuhk01(tmp_path / "CUHK01")
    write_cuhk01_list(root / "CUHK01M1.mat")
    single, multi = (load_dataset(name, tmp_path) for name in ("cuhk01", "cuhk01-multi-shot"))
    for data in (single, multi):
        check_halves(data, {1, 971}, {2, 3})
        assert names_of(data.query.paths) == ["0002001.png", "0002002.png", "0003001.png", "0003002.png"]
    assert names_of(single.gallery.paths) == ["0002003.png", "0003003.png"]
    assert names_of(multi.gallery.paths) == ["0002003.png", "0002004.png", "0003003.png", "0003004.png"]
    assert single.notes == ("split 0 of 10, as in CUHK01M1.mat; published scores are the average of all",)
    with pytest.raises(DataError, match=r"CUHK01M1.mat has 1 splits, numbered from 0; found no split 1"):
        load_cuhk01(root, split=1)
    (root / "campus" / "0003003.png").unlink()
    with pytest.raises(DataError, match=r"names 1 images that are not in campus, such as 0003003.png: unpack"):
        load_cuhk01(root)
    (root / "CUHK01M1.mat").unlink()
    drawn = load_cuhk01(root)
    assert drawn.counts["gallery"] == (2, 2)
    assert "drawn with a fixed seed (there is no CUHK01M1.mat)" in drawn.notes[0]


def test_cuhk01_says_what_is_wrong(tmp_path: Path) -> None:
    root = write_cuhk01(tmp_path)
    write_cuhk01_list(root / "CUHK01M1.mat", test=(2, 700))
    with pytest.raises(DataError, match="names 1 people that the set does not contain, such as 700"):
        load_cuhk01(root)
    savemat(root / "CUHK01M1.mat", {"trainimagenames_set": columns(columns("/anna.png"))})
    with pytest.raises(DataError, match=r"names an image 'anna.png', expected a name like PPPPNNN.png"):
        load_cuhk01(root)
    (root / "CUHK01M1.mat").unlink()
    one_camera = touch(tmp_path / "b", "campus/0001001.png", "campus/0001002.png", "campus/0002001.png")
    with pytest.raises(DataError, match="both cameras: the first shows 2 people, the second 0, none of them the same"):
        load_cuhk01(one_camera)
    with pytest.raises(DataError, match=r"is named like PPPPNNN.png; found 1 file, such as 'anna001.png'"):
        load_cuhk01(touch(tmp_path / "c", "campus/anna001.png"))


# --- CUHK02 ----------------------------------------------------------------------------------------------------


def test_cuhk02_trains_on_four_pairs_of_cameras(tmp_path: Path) -> None:
    names = [
        f"P{p}/cam{c}/{person:03}_{i}.png" for p in range(1, 6) for c in (1, 2) for person in (1, 2) for i in (1, 2)
    ]
    data = load_dataset("cuhk02", touch(tmp_path / "Dataset", *names, "P2/cam1/odd.png").parent)
    assert data.counts == {"train": (32, 8), "query": (4, 2), "gallery": (4, 2)}
    assert sorted(set(data.train.camera_ids.tolist())) == list(range(1, 9))
    assert set(data.train.person_ids.tolist()) == {10_001, 10_002, 20_001, 20_002, 30_001, 30_002, 40_001, 40_002}
    assert (set(data.query.camera_ids.tolist()), set(data.gallery.camera_ids.tolist())) == ({9}, {10})
    assert "P2: cam1: 1 image whose name is not like PPP_N.png is skipped" in data.notes[0]
    assert describe(data).unmatched == ()
    for file in (data.root / "P5" / "cam2").iterdir():
        file.rename(file.with_name("9" + file.name))
    with pytest.raises(DataError, match=r"no person was seen by both cameras: .*P5 complete"):
        load_dataset("cuhk02", tmp_path)
