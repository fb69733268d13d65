"""MSMT17 is read by its lists."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from made_up_sets import Draw

from resight.data.catalog import load_dataset
from resight.errors import DataError


def write_msmt17(root: Path, draw: Draw, train: str, test: str) -> None:
    draw(root / train, "0000/0000_000_01_0303morning_0008_0.jpg", "0001/0001_001_15_0113noon_0010_0_ex.jpg")
    draw(root / test, "0000/0000_000_03_0303morning_0008_0.jpg", "0000/0000_001_14_0303morning_0031_1.jpg")
    lists = {
        "train": "0000/0000_000_01_0303morning_0008_0.jpg 0\n",
        "val": "0001/0001_001_15_0113noon_0010_0_ex.jpg 1\n",
        "query": "0000/0000_000_03_0303morning_0008_0.jpg 0\n",
        "gallery": "0000/0000_001_14_0303morning_0031_1.jpg 0\n0000/0000_009_14_x_1_1.jpg 0\n\n0000/odd.jpg 0\n",
    }
    for name, text in lists.items():
        (root / f"list_{name}.txt").write_text(text)


@pytest.mark.parametrize(
    ("folder", "train", "test", "version"),
    [("MSMT17_V1", "train", "test", "version 1"), ("", "mask_train_v2", "mask_test_v2", "version 2")],
)
def test_msmt17_is_read(tmp_path: Path, draw: Draw, folder: str, train: str, test: str, version: str) -> None:
    write_msmt17(tmp_path / folder, draw, train, test)
    data = load_dataset("msmt17", tmp_path)
    assert data.root == tmp_path / folder
    assert data.train.person_ids.tolist() == [0, 1]
    assert data.train.camera_ids.tolist() == [1, 15]
    assert data.gallery.camera_ids.tolist() == [14]
    notes = "\n".join(data.notes)
    assert version in notes
    assert "list_gallery.txt: 1 missing image is skipped" in notes
    assert "list_gallery.txt: 1 image whose name" in notes


def test_msmt17_says_what_is_missing(tmp_path: Path, draw: Draw) -> None:
    write_msmt17(tmp_path, draw, "train", "test")
    (tmp_path / "list_query.txt").write_text("\n")
    with pytest.raises(DataError, match=r"list_query.txt .*they are empty"):
        load_dataset("msmt17", tmp_path)
    (tmp_path / "test").rename(tmp_path / "tests")
    with pytest.raises(DataError, match="expected train and test or mask_train_v2 and mask_test_v2"):
        load_dataset("msmt17", tmp_path)
    (tmp_path / "list_val.txt").unlink()
    with pytest.raises(DataError, match=r"missing list_val.txt"):
        load_dataset("msmt17", tmp_path)


def test_msmt17s_lists_may_lack_their_ending(tmp_path: Path, draw: Draw) -> None:
    write_msmt17(tmp_path / "MSMT17_V2" / "MSMT17_V2", draw, "train", "test")
    (tmp_path / "__MACOSX").mkdir()
    for path in (tmp_path / "MSMT17_V2" / "MSMT17_V2").glob("list_*.txt"):
        path.rename(path.with_suffix(""))
    data = load_dataset("msmt17", tmp_path)
    assert data.root == tmp_path / "MSMT17_V2" / "MSMT17_V2", "unpacked twice, as it often is"
    assert (len(data.train), len(data.query)) == (2, 1)
    shutil.rmtree(data.root / "train")
    (data.root / "train").mkdir()
    with pytest.raises(DataError, match=r"found list_train and list_val in .*, and no image in .*train that they name"):
        load_dataset("msmt17", tmp_path)


def test_msmt17s_lists_may_start_with_a_byte_order_mark(tmp_path: Path, draw: Draw) -> None:
    write_msmt17(tmp_path, draw, "train", "test")
    path = tmp_path / "list_query.txt"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(load_dataset("msmt17", tmp_path).query) == 1
