"""CUHK03's original file is unpacked and read under both protocols."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from resight.data.catalog import load_dataset
from resight.data.sets import cuhk03np
from resight.data.sets.cuhk03 import load_cuhk03_classic
from resight.errors import ConfigError, DataError

PEOPLE = (3, 2, 0, 0, 1)
"""The people of each pair of cameras."""

Cell = np.ndarray


def color(pair: int, person: int, column: int) -> list[int]:
    return [40 * pair, 40 * person, 20 * column]


def write_cuhk03(root: Path, *, tests: list[list[list[int]]] | None = None, without: tuple[int, ...] = (4, 9)) -> Path:
    """Write the file as version 5; ``without`` are the images that no person has."""
    boxes = np.empty((len(PEOPLE), 1), object)
    for pair, number in enumerate(PEOPLE):
        cell = np.empty((number, 10), object)
        for person, column in np.ndindex(cell.shape):
            pixels = np.full((6, 3, 3), color(pair, person, column), np.uint8)
            cell[person, column] = np.empty((0, 0)) if column in without else pixels
        boxes[pair, 0] = cell
    splits = np.empty((len(tests or [0, 0]), 1), object)
    for row, test in enumerate(tests or [[[1, 2], [2, 1]], [[1, 1], [5, 1]]]):
        splits[row, 0] = np.array(test, np.float64)
    root.mkdir(parents=True, exist_ok=True)
    savemat(root / "cuhk-03.mat", {"labeled": boxes, "detected": boxes, "testsets": splits})
    return root


def test_the_classic_protocol_is_read_from_the_file(tmp_path: Path) -> None:
    root = write_cuhk03(tmp_path / "cuhk03_release")
    data = load_dataset("cuhk03-classic-detected", tmp_path)
    # Person 1 of pair 2 is number 844, after the 843 people of pair 1; pair 5 begins after 1,418.
    assert set(data.query.person_ids.tolist()) == {2, 844}
    assert set(data.train.person_ids.tolist()) == {1, 3, 845, 1419}
    assert data.counts == {"train": (32, 4), "query": (8, 2), "gallery": (2, 2)}
    assert (set(data.query.camera_ids.tolist()), set(data.gallery.camera_ids.tolist())) == ({1}, {2})
    assert Path(data.query.paths[0]).name == "0002_c1_1_002_1_01.png"
    assert "split 0 of 2, as in cuhk-03.mat" in data.notes[0]
    with Image.open(root / "cuhk-03-images" / "detected" / "0845_c2_2_002_2_08.png") as image:
        assert (image.size, image.getpixel((0, 0))) == ((3, 6), tuple(color(1, 1, 7)))
    assert not (root / "cuhk-03-images" / "labeled").exists(), "only the requested boxes are unpacked"
    before = (root / "cuhk-03-images" / "detected").stat().st_mtime_ns
    other = load_cuhk03_classic(root, boxes="detected", split=1)
    assert set(other.query.person_ids.tolist()) == {1, 1419}
    assert (root / "cuhk-03-images" / "detected").stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match=r"the splits are 0\.\.19, found 20"):
        load_cuhk03_classic(root, boxes="detected", split=20)
    with pytest.raises(DataError, match="has 2 splits, numbered from 0; found no split 2"):
        load_cuhk03_classic(root, boxes="detected", split=2)


def test_the_classic_protocol_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cuhk03-classic-labeled: expected cuhk-03.mat in .*cuhk03_release"):
        load_cuhk03_classic(tmp_path, boxes="labeled")
    for number, (test, message) in enumerate((
        ([[[6, 1]]], r"names a person beyond the 1,467 of CUHK03's five pairs of cameras"),
        ([[[1, 844]]], "names a person beyond the 1,467"),
        ([[[1, 3], [3, 7]]], "tests on 1 people without images by both cameras, such as 1290: the file is damaged"),
        ([[[1, 2, 3]]], "testsets in .* must have the columns pair and person"),
    )):  # fmt: skip
        root = write_cuhk03(tmp_path / str(number), tests=test)
        with pytest.raises(DataError, match=message) as error:
            load_cuhk03_classic(root, boxes="labeled")
        assert "\n" not in str(error.value)
    one_camera = write_cuhk03(tmp_path / "one", without=(5, 6, 7, 8, 9))
    with pytest.raises(DataError, match="no person was seen by both cameras: the first shows 6 people, the second 0"):
        load_cuhk03_classic(one_camera, boxes="labeled")
    (tmp_path / "cuhk-03.mat").write_bytes(b"no matrix")
    with pytest.raises(DataError, match="is no MATLAB file, or a broken one"):
        load_cuhk03_classic(tmp_path, boxes="labeled")
    savemat(tmp_path / "cuhk-03.mat", {"labeled": np.ones((2, 2))})
    with pytest.raises(
        DataError, match=r"expected a cell for each pair of cameras in labeled .*found float64 \(2, 2\)"
    ):
        load_cuhk03_classic(tmp_path, boxes="labeled")
    with pytest.raises(DataError, match=r"expected a variable 'detected' in .*; found labeled"):
        load_cuhk03_classic(tmp_path, boxes="detected")
    assert not list((tmp_path / "cuhk-03-images").iterdir()), "a draft is left"


def test_images_that_cannot_be_written_are_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_cuhk03(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(DataError, match=r"cannot write the images of .*cuhk-03.mat into .*\(No space left on device\)"):
        load_cuhk03_classic(root, boxes="labeled")
    assert not list((root / "cuhk-03-images").iterdir())


def write_lists(root: Path, boxes: str, names: list[str], **index: list[int]) -> None:
    cell = np.empty((len(names), 1), object)
    cell[:, 0] = names
    lists = {"filelist": cell, **{f"{part}_idx": np.array([rows]).T for part, rows in index.items()}}
    savemat(root / f"cuhk03_new_protocol_config_{boxes}.mat", lists)


NAMES = ["1_001_1_01.png", "1_001_2_06.png", "2_002_1_02.png", "2_002_2_07.png", "5_001_1_01.png"]


def test_the_new_protocol_is_read_from_the_file_and_its_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_cuhk03(tmp_path / "cuhk03_release")
    with pytest.raises(DataError, match=r"is raw CUHK03: put cuhk03_new_protocol_config_detected.mat, the lists"):
        load_dataset("cuhk03np", tmp_path)
    write_lists(tmp_path, "labeled", NAMES, train=[1, 2, 5], query=[3], gallery=[4])
    data = load_dataset("cuhk03np", tmp_path)
    assert data.train.person_ids.tolist() == [1, 1, 1419]
    assert data.train.camera_ids.tolist() == [1, 2, 1]
    assert data.query.person_ids.tolist() == data.gallery.person_ids.tolist() == [845]
    assert (data.name, data.root) == ("cuhk03np", root)
    assert "the labeled boxes of cuhk-03.mat are read, and split as in cuhk03_new_protocol" in data.notes[0]
    assert data.published == cuhk03np.PUBLISHED["labeled"]
    with pytest.raises(DataError, match=r"cuhk03np-detected: .*config_detected.mat"):
        load_dataset("cuhk03np-detected", tmp_path)
    write_lists(tmp_path, "detected", [*NAMES, "1_700_1_01.png"], train=[1], query=[1], gallery=[1])
    with pytest.raises(DataError, match=r"names 1 images that .* does not have, such as 1_700_1_01.png"):
        load_dataset("cuhk03np-detected", tmp_path)
    write_lists(tmp_path, "detected", NAMES, train=[1], query=[6], gallery=[1])
    with pytest.raises(DataError, match=r"query_idx in .* must be rows of its 5 names, from 1"):
        load_dataset("cuhk03np-detected", tmp_path)
