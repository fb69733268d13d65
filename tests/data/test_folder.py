"""A folder of crops: sub-folders and patterns say cameras and people."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from made_up_sets import Draw

from resight.data.folder import FolderSettings, load_folder
from resight.errors import ConfigError, DataError


def test_sub_folders_are_cameras(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, "lobby/a.jpg", "lobby/monday/b.PNG", "door/c.jpeg", "door/.hidden.jpg", ".cache/d.jpg")
    (tmp_path / "door" / "notes.txt").write_text("x")
    data = load_folder(tmp_path)
    assert [Path(path).name for path in data.train.paths] == ["c.jpeg", "a.jpg", "b.PNG"]
    assert data.train.camera_ids.tolist() == [0, 1, 1]
    assert data.names == {"cameras": ("door", "lobby")}
    assert not data.train.has_people
    assert (len(data.query), len(data.gallery)) == (0, 0)
    assert data.exclude == "same-camera"
    assert data.notes[0] == "1 file that is no image is skipped"
    assert data.notes[1].startswith("sub-folders are read as cameras (2 folders of about 1 image, such as door)")
    assert data.notes[2:] == ("cameras are numbered: 0 = door, 1 = lobby",)


def test_whole_numbers_stay_as_they_are(tmp_path: Path, draw: Draw) -> None:
    camera = FolderSettings(layout="camera")
    data = load_folder(draw(tmp_path, "0007/a.jpg", "12/b.jpg"), camera)
    assert data.train.camera_ids.tolist() == [7, 12]
    assert data.names == {}
    draw(tmp_path, "7/c.jpg")  # 7 and 0007 are two folders, so they must be two cameras
    data = load_folder(tmp_path, camera)
    assert sorted(data.train.camera_ids.tolist()) == [0, 1, 2]
    assert data.names["cameras"] == ("0007", "12", "7")


def test_without_sub_folders_the_camera_is_unknown(tmp_path: Path, draw: Draw) -> None:
    data = load_folder(draw(tmp_path, "a.jpg", "b.jpg"))
    assert data.train.camera_ids.tolist() == [-1, -1]
    assert data.exclude == "none"
    (note,) = data.notes
    assert note.startswith("no camera is known: put the images of each camera into its own folder")
    assert "--camera_aware false" in note
    assert "ice" in note
    draw(tmp_path, "door/c.jpg")
    assert load_folder(tmp_path).notes[1] == "the camera of 2 of 3 images is unknown"


def test_links_are_followed_once(tmp_path: Path, draw: Draw) -> None:
    outside = draw(tmp_path / "outside", "a.jpg")
    root = draw(tmp_path / "root", "door/b.jpg")
    (root / "lobby").symlink_to(outside, target_is_directory=True)
    (root / "lobby2").symlink_to(outside, target_is_directory=True)
    (root / "door" / "loop").symlink_to(root, target_is_directory=True)
    (root / "door" / "gone.jpg").symlink_to(root / "absent.jpg")
    data = load_folder(root)
    assert [Path(path).relative_to(root).as_posix() for path in data.train.paths] == [
        "door/b.jpg",
        "door/gone.jpg",
        "lobby/a.jpg",
    ]


def test_a_folder_below_the_root_counts_where_it_lies(tmp_path: Path, draw: Draw) -> None:
    """A site's "latest" is a link to a folder of one of its cameras, and no camera of its own."""
    root = draw(tmp_path / "root", "door/monday/a.jpg", "door/tuesday/b.jpg", "hall/c.jpg")
    (root / "a-latest").symlink_to(root / "door" / "tuesday", target_is_directory=True)
    (root / "b-self").symlink_to("b-self")
    (root / "hall" / "up").symlink_to(tmp_path, target_is_directory=True)
    data = load_folder(root)
    assert data.names == {"cameras": ("door", "hall")}
    paths = [Path(path).relative_to(root).as_posix() for path in data.train.paths]
    assert paths == ["door/monday/a.jpg", "door/tuesday/b.jpg", "hall/c.jpg"]


def test_a_pattern_reads_names(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, "x/anna_c2_t5_f0100.jpg", "x/bert_c1_t5_f0007.jpg", "y/anna_c1_t6_f1.jpg", "y/odd.jpg")
    data = load_folder(
        tmp_path,
        FolderSettings(r"(?P<person>[a-z]+)_c(?P<camera>\d)_t(?P<tracklet>\d)_f(?P<frame>\d+)"),
    )
    assert data.train.person_ids.tolist() == [0, 1, 0]
    assert data.train.camera_ids.tolist() == [2, 1, 1]
    assert data.train.frame_ids.tolist() == [100, 7, 1]
    # Tracklet 5 of camera 1 is not tracklet 5 of camera 2.
    assert data.names == {"people": ("anna", "bert"), "tracklets": ("1/5", "1/6", "2/5")}
    assert data.train.tracklet_ids.tolist() == [2, 0, 1]
    assert data.notes[0] == "1 image that the pattern does not match is skipped, such as 'y/odd.jpg'"


def test_a_pattern_without_camera_leaves_it_to_the_folder(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, "c1/0005.jpg", "c2/-1.jpg", "c2/none.jpg")
    data = load_folder(tmp_path, FolderSettings(r"/(?P<person>\d+|-1)?[a-z]*\.jpg"))
    assert data.train.camera_ids.tolist() == [0, 1, 1]
    assert data.train.person_ids.tolist() == [5, -1, -1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pattern": "(?P<person>"}, "is not a regular expression"),
        ({"pattern": "(?P<person>x{99999999999})"}, "is not a regular expression"),
        ({"pattern": "(?P<camara>.)"}, r"group 'camara' is unknown; .*; did you mean 'camera'\?"),
        ({"pattern": "c[0-9]"}, "has no named group"),
        ({"pattern": "(?P<person>.)", "table": "a.csv"}, "not from both"),
    ],
)
def test_settings_are_checked(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FolderSettings(**settings)


def test_a_pattern_that_fits_nothing_is_an_error(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, "c1/a.jpg")
    with pytest.raises(DataError, match=r"matches none of the 1 image .* such as 'c1/a.jpg'"):
        load_folder(tmp_path, FolderSettings(r"(?P<person>\d\d)"))
    with pytest.raises(DataError, match=r"the frame 'a' in c1/a.jpg: expected a whole number"):
        load_folder(tmp_path, FolderSettings(r"(?P<frame>a)\.jpg"))


def test_folders_say_what_a_table_does_not_where_they_are_told_to(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, "x/a.jpg", "y/b.jpg", size=(4, 8))
    (tmp_path / "labels.csv").write_text("path,person\nx/a.jpg,1\ny/b.jpg,1\n")
    assert any("or pass --layout camera if sub-folders are cameras" in note for note in load_folder(tmp_path).notes)
    assert load_folder(tmp_path, FolderSettings(layout="camera")).names["cameras"] == ("x", "y")


def test_what_is_no_folder_or_setting_is_an_error(tmp_path: Path) -> None:
    for wrong in (5, None, ["a"]):
        with pytest.raises(ConfigError, match="load_folder takes a folder and FolderSettings"):
            load_folder(wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="load_folder takes"):
        load_folder(tmp_path, "camera")  # type: ignore[arg-type]
    for name, value in (("pattern", 5), ("layout", None), ("test_people", "3"), ("seed", 1.5)):
        with pytest.raises(ConfigError, match=f"{name} must be"):
            FolderSettings(**{name: value})  # type: ignore[arg-type]


def test_people_are_held_out_when_asked(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, *(f"c{camera}/{person}_{i}.jpg" for person in range(6) for camera in (1, 2) for i in (0, 1)))
    pattern = r"(?P<person>\d)_\d\.jpg"
    data = load_folder(tmp_path, FolderSettings(pattern, test_people=2, seed=3))
    assert data.name == "folder+validation2"
    assert (len(data.train), len(data.query), len(data.gallery)) == (16, 4, 4)
    assert not set(data.train.person_ids.tolist()) & set(data.query.person_ids.tolist())
    assert data.names["cameras"] == ("c1", "c2")
    with pytest.raises(DataError, match="cannot hold 7 people out"):
        load_folder(tmp_path, FolderSettings(pattern, test_people=7))
    with pytest.raises(DataError, match=r"cannot hold 1 people out .* 0 of its 0 people .* in its labels\.csv"):
        load_folder(tmp_path, FolderSettings(test_people=1))


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        load_folder(tmp_path / "absent")
    with pytest.raises(DataError, match=r"no image below .*: it is empty"):
        load_folder(tmp_path)
    (tmp_path / ".hidden").mkdir()
    with pytest.raises(DataError, match=r"no image below .*: hidden files and folders do not count"):
        load_folder(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DataError, match=r"no image below .* \(1 file that is no image is skipped\)"):
        load_folder(tmp_path)


def test_a_closed_folder_is_reported(tmp_path: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path, "door/a.jpg", "lobby/b.jpg")
    scandir = os.scandir

    def closed(folder: str) -> Iterator[os.DirEntry[str]]:
        if Path(folder).name == "lobby":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", closed)
    data = load_folder(tmp_path)
    assert len(data.train) == 1
    assert data.notes[0] == f"1 folder cannot be opened and is skipped, such as {tmp_path / 'lobby'}"


def test_names_of_many_people_are_listed_in_part(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, *(f"c/p{person:02}.jpg" for person in range(25)), size=(4, 8))
    data = load_folder(tmp_path, FolderSettings(r"(?P<person>p\d+)"))
    assert len(data.names["people"]) == 25
    np.testing.assert_array_equal(data.train.person_ids, np.arange(25))
    assert any(note.endswith("19 = p19, ...") for note in data.notes)
