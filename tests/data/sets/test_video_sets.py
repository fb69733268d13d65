"""DukeMTMC-VideoReID, iLIDS-VID, PRID-2011 and LS-VID are read, and say what is wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from mars_files import touch
from resight.data.catalog import load_dataset
from resight.data.matlab import read_matrix
from resight.data.sets.ilidsvid import load_ilidsvid
from resight.data.sets.prid2011 import load_prid2011
from resight.data.split_people import SPLITS, split_people
from resight.data.tracklets import group_tracklets
from resight.data.validation import split_validation
from resight.data.verify import describe
from resight.errors import ConfigError, DataError


def write_dukevideo(root: Path) -> Path:
    def frames(split: str, person: int, tracklet: int, camera: int, *numbers: int) -> list[str]:
        own = f"{split}/{person:04}/{tracklet:04}"
        return [f"{own}/{person:04}C{camera}F{i:04}X{x:05}.jpg" for i, x in enumerate(numbers, 1)]

    return touch(
        root,
        *frames("train", 1, 1, 1, 30823, 30835), *frames("train", 1, 2, 2, 9), *frames("train", 1, 3, 1, 8, 20),
        *frames("train", 2, 4, 5, 100, 88), *frames("train", 2, 5, 6, 1),
        *frames("query", 5, 1, 1, 1, 13), *frames("gallery", 5, 2, 3, 2), *frames("gallery", 7139, 3, 1, 7, 8, 9),
    )  # fmt: skip


def test_whole_tracklets_are_held_out_for_validation(tmp_path: Path) -> None:
    data = load_dataset("dukevideo", write_dukevideo(tmp_path))
    split = split_validation(data, 1, seed=1)
    assert split.unit == "tracklets"
    assert len(split.train) + len(split.query) + len(split.gallery) == len(data.train)
    for one in (split.train, split.query, split.gallery):
        for rows in group_tracklets(one):
            whole = data.train.tracklet_ids == one.tracklet_ids[rows[0]]
            assert sorted(one.paths[rows].tolist()) == sorted(data.train.paths[whole].tolist())
    assert set(split.query.person_ids.tolist()) == set(split.gallery.person_ids.tolist())
    assert not set(split.train.person_ids.tolist()) & set(split.query.person_ids.tolist())


def test_dukevideo_is_read(tmp_path: Path) -> None:
    data = load_dataset("dukevideo", write_dukevideo(tmp_path / "DukeMTMC-VideoReID").parent)
    assert data.train.person_ids.tolist() == [1, 1, 1, 1, 1, 2, 2, 2]
    assert data.train.camera_ids.tolist() == [1, 1, 2, 1, 1, 5, 5, 6]
    assert data.train.tracklet_ids.tolist() == [0, 0, 1, 2, 2, 3, 3, 4]
    assert data.train.frame_ids.tolist() == [30823, 30835, 9, 8, 20, 88, 100, 1]
    assert data.query.tracklet_ids.tolist() == [5, 5]
    assert data.gallery.tracklet_ids.tolist() == [6, 7, 7, 7]
    assert data.counts == {"train": (5, 2), "query": (1, 1), "gallery": (2, 2)}
    assert data.distractor_id is None
    assert describe(data).unmatched == ()


def test_dukevideo_says_what_is_wrong(tmp_path: Path) -> None:
    root = write_dukevideo(tmp_path / "a")
    touch(root, "train/0001/0001/odd.jpg")
    assert "train: 1 image whose name is not like" in load_dataset("dukevideo", root).notes[0]
    (root / "train" / "0002" / "0009").mkdir()
    with pytest.raises(DataError, match=r"the tracklet folder .*0009 has no image named like"):
        load_dataset("dukevideo", root)
    for name in ("0002C5F0001X00001.jpg", "0001C2F0001X00001.jpg"):
        root = write_dukevideo(tmp_path / name)
        touch(root, f"train/0001/0001/{name}")
        with pytest.raises(DataError, match="must have one tracklet of person 0001 by one camera; its names are of 2"):
            load_dataset("dukevideo", root)
    root = touch(tmp_path / "b", "train/x.jpg", "query/x.jpg", "gallery/x.jpg")
    with pytest.raises(DataError, match="has no tracklet: expected PERSON/TRACKLET"):
        load_dataset("dukevideo", root)


# --- iLIDS-VID and PRID-2011 -----------------------------------------------------------------------------------


def write_ilidsvid(root: Path, people: tuple[int, ...] = (1, 2, 5, 9)) -> Path:
    names = [
        f"i-LIDS-VID/sequences/cam{camera}/person{person:03}/cam{camera}_person{person:03}_{frame:05}.png"
        for person in people
        for camera in (1, 2)
        for frame in (317, 318, 1000)[: 3 - person % 2]
    ]
    return touch(root, *names)


def write_halves(path: Path, rows: list[list[int]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"ls_set": np.array(rows)})


def test_ilidsvid_is_read_with_its_published_halves(tmp_path: Path) -> None:
    root = write_ilidsvid(tmp_path)
    # Places among the people, of which the first half is to test with: the third (person 5) and the first (1).
    write_halves(root / "train-test people splits" / "train_test_splits_ilidsvid.mat", [[3, 1, 2, 4], [4, 2, 1, 3]])
    data = load_dataset("ilidsvid", root)
    assert sorted(set(data.train.person_ids.tolist())) == [2, 9]
    assert data.query.person_ids.tolist() == [1, 1, 5, 5]
    assert data.query.frame_ids.tolist() == [317, 318, 317, 318]
    assert set(data.query.camera_ids.tolist()) == {1}
    assert set(data.gallery.camera_ids.tolist()) == {2}
    assert data.counts == {"train": (4, 2), "query": (2, 2), "gallery": (2, 2)}
    tables = (data.train, data.query, data.gallery)
    assert sorted(ids := [i for one in tables for i in set(one.tracklet_ids.tolist())]) == list(range(8)) == ids
    assert "split 0 of 10, as in train_test_splits_ilidsvid.mat" in data.notes[0]
    assert set(load_ilidsvid(root, split=1).query.person_ids.tolist()) == {2, 9}
    assert describe(data).unmatched == ()
    with pytest.raises(DataError, match="has 2 splits, numbered from 0; found no split 2"):
        load_ilidsvid(root, split=2)
    with pytest.raises(ConfigError, match=r"the splits are 0\.\.9, found 10"):
        load_ilidsvid(root, split=10)


def test_without_a_list_the_halves_are_drawn_alike_and_said_to_be(tmp_path: Path) -> None:
    root = write_ilidsvid(tmp_path, (1, 2, 5, 9, 11, 300))
    one, again = load_ilidsvid(root), load_ilidsvid(root / "i-LIDS-VID")
    assert one.query.person_ids.tolist() == again.query.person_ids.tolist()
    assert "drawn with a fixed seed (there is no train_test_splits_ilidsvid.mat)" in one.notes[0]
    halves = {tuple(set(load_ilidsvid(root, split=split).query.person_ids.tolist())) for split in range(SPLITS)}
    assert len(halves) > 3


def test_lists_of_other_people_are_refused(tmp_path: Path) -> None:
    lists = [tmp_path / "x.mat"]
    for rows, message in (
        ([[1, 2, 3, 700]], r"names 1 people that the set does not contain, such as 700"),
        ([[7, 7, 8, 9]], "does not cut the people into two disjoint halves"),
    ):
        write_halves(lists[0], rows)
        with pytest.raises(DataError, match=message):
            split_people("ilidsvid", [1, 2, 3, 7, 8, 9], lists, 0, [])
    lists = [tmp_path / "x.json"]
    for text, message in (
        ("{", "has no split 0"),
        ("[]", "has no split 0"),
        ('[{"train": []}]', "has no split 0"),
        ('[{"train": [], "test": ["person_0007"]}]', "two disjoint halves"),
        ('[{"train": ["person_0008"], "test": ["person_0006"]}]', "does not contain, such as 6"),
    ):
        lists[0].write_text(text)
        with pytest.raises(DataError, match=message):
            split_people("prid2011", [7, 8], lists, 0, [])
    with pytest.raises(DataError, match="1 people cannot be split"):
        split_people("prid2011", [7], [], 0, [])


def test_one_camera_is_not_enough(tmp_path: Path) -> None:
    root = touch(tmp_path, "sequences/cam1/person001/1.png", "sequences/cam2/person002/1.png", "sequences/cam2/x/1.png")
    with pytest.raises(DataError, match=r"no person was seen by both cameras: .*shows 1 people"):
        load_ilidsvid(root)
    touch(root, *(f"sequences/cam{c}/person00{p}/1.png" for c in (1, 2) for p in (3, 4)))
    data = load_ilidsvid(root)
    assert "2 people seen by only one camera are skipped" in data.notes
    (root / "sequences" / "cam2" / "person003" / "1.png").unlink()
    with pytest.raises(DataError, match=r"the tracklet folder .*person003 has no image"):
        load_ilidsvid(root)
    (root / "sequences" / "cam2").rename(root / "sequences" / "cam3")
    with pytest.raises(DataError, match="missing sequences/cam2"):
        load_ilidsvid(root)


def write_prid2011(root: Path) -> Path:
    """People 1 to 4 and 6 are long enough in both cameras, 5 is by one frame too short, 201 is another in each."""
    lengths = {1: 28, 2: 29, 3: 28, 4: 40, 5: 27, 6: 28, 201: 60}
    names = [
        f"multi_shot/cam_{camera}/person_{person:04}/{frame:04}.png"
        for person, length in lengths.items()
        for camera in "ab"
        for frame in range(1, (length if camera == "a" else max(length, 30)) + 1)
    ]
    return touch(root, *names)


def test_prid2011_is_of_the_people_seen_long_enough(tmp_path: Path) -> None:
    root = write_prid2011(tmp_path / "prid_2011").parent
    data = load_dataset("prid2011", root)
    assert set(data.train.person_ids.tolist()) | set(data.query.person_ids.tolist()) == {1, 2, 3, 4, 6}
    assert data.counts == {"train": (6, 3), "query": (2, 2), "gallery": (2, 2)}
    assert any("5 of 6 people have more than 27 frames" in note for note in data.notes)
    assert any("drawn with a fixed seed" in note for note in data.notes)
    assert data.train.frame_ids.tolist()[:28] == list(range(1, 29))
    splits = [
        {"train": ["person_0001"], "test": ["person_0002", "person_0006"]},
        {"train": ["person_0005"], "test": []},
    ]
    (root / "splits_prid2011.json").write_text(json.dumps(splits))
    data = load_dataset("prid2011", root)
    assert sorted(set(data.query.person_ids.tolist())) == [2, 6]
    assert set(data.train.person_ids.tolist()) == {1}
    with pytest.raises(DataError, match="such as 5"):
        load_prid2011(root, split=1)


def test_prid2011_without_long_tracklets(tmp_path: Path) -> None:
    root = touch(tmp_path, *(f"multi_shot/cam_{c}/person_000{p}/0001.png" for c in "ab" for p in (1, 2)))
    with pytest.raises(DataError, match="0 of the 2 people in both cameras have more than 27 frames"):
        load_prid2011(root)


# --- LS-VID ----------------------------------------------------------------------------------------------------


def write_lsvid(root: Path, *, queries: tuple[int, ...] = (1,), info: str = "", folders: bool = False) -> Path:
    """Tracklets as prefixes of names in a folder a person, or as folders of their own."""
    tracks = {"train": [(1, 1), (1, 2)], "val": [(4, 1)], "test": [(7, 3), (7, 4), (8, 3)]}
    (root / info / "list_sequence").mkdir(parents=True)
    for part, rows in tracks.items():
        lines = []
        for number, (person, camera) in enumerate(rows):
            prefix = f"tracklet_{part}/{person:04}/{number:04}{'/' if folders else '_'}"
            start = f"{prefix}{number:04}_" if folders else prefix
            touch(root, *(f"{start}{frame:07}_{camera:02}_0304noon.jpg" for frame in (15, 12)))
            lines.append(f"{prefix} {person}\n")
        (root / info / "list_sequence" / f"list_seq_{part}.txt").write_text("".join(lines))
    matrix = root / (info or "test") / "data" / "info_test.mat"
    matrix.parent.mkdir(parents=True)
    savemat(matrix, {"query": np.array([queries])})
    return root


@pytest.mark.parametrize(("info", "folders"), [("", False), ("", True), ("info", False)])
def test_lsvid_is_read(tmp_path: Path, info: str, folders: bool) -> None:
    data = load_dataset("lsvid", write_lsvid(tmp_path / "LS-VID", info=info, folders=folders).parent)
    assert data.root == tmp_path / "LS-VID"
    assert data.train.tracklet_ids.tolist() == [0, 0, 1, 1]
    assert data.train.frame_ids.tolist() == [12, 15, 12, 15]
    assert data.train.person_ids.tolist() == [1, 1, 1, 1]
    assert data.train.camera_ids.tolist() == [1, 1, 2, 2]
    assert data.query.person_ids.tolist() == [7, 7]
    assert data.query.tracklet_ids.tolist() == [2, 2]
    assert data.gallery.tracklet_ids.tolist() == [3, 3, 4, 4]
    assert data.gallery.camera_ids.tolist() == [4, 4, 3, 3]
    assert "1 tracklets of the validation part are left out" in data.notes
    assert describe(data).unmatched == ()


def test_lsvid_says_what_is_wrong(tmp_path: Path) -> None:
    for queries, message in (((4,), "names line 4 of 3"), ((), "has no query")):
        with pytest.raises(DataError, match=message):
            load_dataset("lsvid", write_lsvid(tmp_path / f"a{queries}", queries=queries))
    root = write_lsvid(tmp_path / "b")
    touch(root, "tracklet_train/0002/0001_12_1.jpg", "tracklet_train/0003/0001_12_1_x.jpg")
    touch(root, "tracklet_train/0003/0001_13_2_x.jpg")
    for text, message in (
        ("tracklet_train/0001/0000_\n", "line 1 of .*list_seq_train.txt must be PREFIX PERSON"),
        ("tracklet_train/0001/0000_ one\n", "line 1 of .*list_seq_train.txt must be PREFIX PERSON"),
        ("\ntracklet_train/0001/9 1\n", r"there is no frame .*0001/9\*"),
        ("tracklet_train/9/9 1\n", r"there is no frame .*9/9\*"),
        ("tracklet_train/0002/0001 2\n", "0001_12_1.jpg must be named like TRACKLET_FRAME_CAMERA_TIME.jpg"),
        ("tracklet_train/0003/0001 2\n", r"must be of one camera; their names are of \[1, 2\]"),
        ("", "names no tracklet"),
    ):
        (root / "list_sequence" / "list_seq_train.txt").write_text(text)
        with pytest.raises(DataError, match=message) as error:
            load_dataset("lsvid", root)
        assert "\n" not in str(error.value)
    (root / "list_sequence" / "list_seq_test.txt").unlink()
    (root / "list_sequence" / "list_seq_train.txt").write_text("tracklet_train/0001/0000_ 1\n")
    with pytest.raises(DataError, match=r"there is no file .*list_seq_test.txt"):
        load_dataset("lsvid", root)
    (root / "test" / "data" / "info_test.mat").unlink()
    with pytest.raises(DataError, match=r"there is no file .*info_test.mat"):
        load_dataset("lsvid", root)


HDF5 = b"MATLAB 7.3 MAT-file" + b" " * 105 + b"\x00\x02IM" + b"\x89HDF" * 200


class MadeUpHDF5:
    """In place of h5py: a file's matrices, transposed as MATLAB writes them there."""

    class File:
        def __init__(self, path: Path, mode: str) -> None:
            assert mode == "r"
            if path.stem == "broken":
                raise OSError("no signature")

        def __enter__(self) -> dict[str, object]:
            return {"query": np.array([[3.0], [1.0]]), "#refs#": {}}

        def __exit__(self, *_: object) -> None:
            pass


def test_a_matrix_of_version_7_3_takes_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("x.mat", "broken.mat"):
        (tmp_path / name).write_bytes(HDF5)
    monkeypatch.setitem(sys.modules, "h5py", MadeUpHDF5)
    assert read_matrix("lsvid", tmp_path / "x.mat", "query").tolist() == [[3, 1]]
    with pytest.raises(DataError, match=r"expected a matrix 'gallery' of whole numbers in .*; found query"):
        read_matrix("lsvid", tmp_path / "x.mat", "gallery")
    with pytest.raises(DataError, match=r"broken.mat is no MATLAB file, or a broken one \(no signature\)"):
        read_matrix("lsvid", tmp_path / "broken.mat", "query")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"7\.3: python -m pip install h5py reads it, or save it again") as error:
        read_matrix("lsvid", tmp_path / "x.mat", "query")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no matrix"])
def test_a_file_that_is_no_matrix_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.mat"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x.mat is no MATLAB file") as found:
        read_matrix("mars", path, "query")
    assert "\n" not in str(found.value)
    savemat(path, {"query": np.ones((2, 9))})
    whole = path.read_bytes()
    for end in (100, 130, 180, len(whole) - 8):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError):
            read_matrix("mars", path, "query")
