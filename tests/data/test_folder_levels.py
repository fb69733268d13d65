"""The meaning of sub-folders: cameras, people, tracklets, splits or nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from resight.data.folder import FolderSettings, load_folder
from resight.data.folder_levels import infer_layout, parse_layout
from resight.data.folder_names import classify_names, parse_split
from resight.data.folder_similarity import MANY_PEOPLE_AUC, ONE_PERSON_AUC, GroupSimilarity
from resight.errors import ConfigError, DataError

Draw = Callable[..., Path]
Place = Callable[[str, str, int], str]
"""Says where an image goes: by its person, its camera and its place among the two's images."""

NAME = re.compile(r"(\d+)_c(\d)s1_(\d+)_00\.png")
TRACKS = {camera: list(np.random.default_rng(camera).permutation(8)) for camera in (1, 2, 3)}


@pytest.fixture
def sorted_by(tiny_market: Path, tmp_path: Path) -> Callable[[Place], Path]:
    """Lay the training images of the made-up people out in folders, under names that say nothing."""

    def lay(place: Place) -> Path:
        for source in sorted((tiny_market / "bounding_box_train").iterdir()):
            person, camera, image = ((match := NAME.fullmatch(source.name)) and match.groups()) or ("", "", "0")
            target = tmp_path / place(person, camera, int(image)) / f"{int(person) * 31 % 97}{camera}{image}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(source, target)
        return tmp_path

    return lay


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (lambda person, camera, i: person, "person"),
        (lambda person, camera, i: f"n{person}", "person"),
        (lambda person, camera, i: "ABC"[int(camera) - 1], "camera"),
        (lambda person, camera, i: f"crops/images/{person}", "-/-/person"),
        (lambda person, camera, i: f"{person}/cam{camera}", "person/camera"),
        (lambda person, camera, i: f"{person}/{'ABC'[int(camera) - 1]}", "person"),
        (lambda person, camera, i: f"cam{camera}/{person}", "camera/person"),
        (lambda person, camera, i: f"{'ABC'[int(camera) - 1]}/{person}", "camera/person"),
        # Numbers of tracks start again in each camera: the same number is another person.
        (lambda person, camera, i: f"cam{camera}/{TRACKS[int(camera)][int(person) - 1]}", "camera/tracklet"),
        (lambda person, camera, i: f"cam{camera}/track_{person}", "camera/tracklet"),
        (lambda person, camera, i: f"2024-05-0{1 + i % 2}/entrance{camera}", "-/camera"),
        (lambda person, camera, i: f"2024/05/0{1 + i % 2}/cam{camera}", "-/-/-/camera"),
        (lambda person, camera, i: f"{'ABC'[int(camera) - 1]}/monday", "camera"),
        (lambda person, camera, i: f"{('train', 'query', 'gallery')[i % 3]}/{person}", "split/person"),
        (lambda person, camera, i: f"{('train', 'Test')[i % 2]}/cam{camera}", "split/camera"),
        (lambda person, camera, i: "everything", "camera"),
        (lambda person, camera, i: f"2024-05-01/0{camera}", ""),
        (lambda person, camera, i: f"batch {(int(person) + i) % 2}/x", ""),
    ],
)
def test_levels_are_told_from_names_and_images(sorted_by: Callable[[Place], Path], place: Place, words: str) -> None:
    root = sorted_by(place)
    images = [(str(path), path.parent.relative_to(root).parts) for path in sorted(root.rglob("*.png"))]
    assert "/".join(infer_layout(images).levels) == words


def test_people_of_folders_are_people_and_no_cameras(sorted_by: Callable[[Place], Path]) -> None:
    root = sorted_by(lambda person, camera, i: person)
    data = load_folder(root)
    assert sorted(set(data.train.person_ids.tolist())) == list(range(1, 9))
    assert not (data.train.camera_ids != -1).any()
    assert data.exclude == "none"
    (note,) = (note for note in data.notes if "sub-folders" in note)
    assert note.startswith("sub-folders are read as people (8 folders of about 12 images, such as 0001) because ")
    assert "--layout camera" in note
    told = load_folder(root, FolderSettings(layout="camera"))
    assert sorted(set(told.train.camera_ids.tolist())) == list(range(1, 9))
    assert not [note for note in told.notes if "sub-folders are" in note], "a layout of the user needs no note"


def test_splits_are_read_and_never_trained_on_together(sorted_by: Callable[[Place], Path]) -> None:
    data = load_folder(sorted_by(lambda person, camera, i: f"{('train', 'probe', 'gallery', 'val')[i % 4]}/{person}"))
    assert (len(data.train), len(data.query), len(data.gallery)) == (24, 24, 24)
    assert "splits: train is train, probe is query, gallery is gallery" in data.notes
    assert "splits: 24 images of 'val' are left out" in data.notes


def test_a_folder_beside_cameras_that_has_no_cameras_name_is_said(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, "cam1/a.jpg", "cam2/b.jpg", "rejected/c.jpg")
    (note,) = (note for note in load_folder(tmp_path).notes if "sub-folders" in note)
    assert "(rejected too, though the name is not a camera's)" in note
    draw(tmp_path / "sound", "cam1/a.jpg", "cam2/b.jpg")
    assert not any("too, though" in note for note in load_folder(tmp_path / "sound").notes)


def test_train_all_holds_train(tmp_path: Path, draw: Draw) -> None:
    names = (
        "train_all/1/a.jpg",
        "train_all/1/b.jpg",
        "train/1/a.jpg",
        "val/1/b.jpg",
        "query/2/a.jpg",
        "query/-1/b.jpg",
    )
    data = load_folder(draw(tmp_path, *names), FolderSettings(layout="split/person"))
    assert [Path(path).parts[-3] for path in data.train.paths] == ["train_all"] * 2
    assert data.query.person_ids.tolist() == [2]
    assert "splits: 1 query of an unknown person are left out" in data.notes


def test_splits_without_labels_are_an_error(tmp_path: Path, draw: Draw) -> None:
    names = ("0001_000_01_0303morning_0001_0.jpg", "0001_001_02_0303morning_0001_0.jpg")
    draw(tmp_path, *(f"{part}/{name}" for part in ("bounding_box_train", "query") for name in names))
    with pytest.raises(DataError, match=r"bounding_box_train, query in .* are splits and no cameras") as caught:
        load_folder(tmp_path)
    pattern = re.search(r"--layout split --pattern '([^']+)'", str(caught.value))
    assert pattern is not None
    data = load_folder(tmp_path, FolderSettings(pattern[1], layout="split"))
    assert (len(data.train), len(data.query)) == (2, 2)
    assert (data.train.person_ids.tolist(), data.train.camera_ids.tolist()) == ([1, 1], [1, 2])
    assert len(load_folder(tmp_path, FolderSettings(layout="split")).train) == 2, "queries are not trained on"


def test_known_names_in_split_folders_name_their_set(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, *(f"{part}/0001_c1s1_000001_00.jpg" for part in ("bounding_box_train", "query")))
    with pytest.raises(DataError, match=f"write market1501={re.escape(str(tmp_path))}$"):
        load_folder(tmp_path)
    with pytest.raises(DataError, match="query is the name of a split and no camera, and lies next to door"):
        load_folder(draw(tmp_path / "mixed", "door/a.jpg", "query/b.jpg"))


def test_what_is_not_clear_gives_no_cameras(tmp_path: Path, draw: Draw) -> None:
    data = load_folder(draw(tmp_path, "x/a.jpg", "y/b.jpg", "z/c.jpg"))
    assert data.train.camera_ids.tolist() == [-1, -1, -1]
    assert data.notes[0].startswith("the meaning of the sub-folders is unclear (3 folders of about 1 image, such as x)")
    assert "--layout camera or --layout person" in data.notes[0]
    dates = load_folder(draw(tmp_path / "dates", "2024-05-01/01/a.jpg", "2024-05-02/02/b.jpg"))
    assert dates.notes[0].startswith("the meaning of the sub-folders is unclear (2 folders")


def test_a_folder_that_a_pattern_reads_is_nothing_else(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, *(f"{person:04}/{i}.jpg" for person in range(1, 5) for i in range(5)), "0001/cam1/x.jpg")
    data = load_folder(tmp_path, FolderSettings(r"^(?P<person>\d+)/"))
    assert set(data.train.person_ids.tolist()) == {1, 2, 3, 4}
    assert data.train.camera_ids.tolist().count(-1) == 20
    assert data.names["cameras"] == ("cam1",), "a level that it does not read may still be one"
    both = load_folder(tmp_path, FolderSettings(r"^(?P<person>\d+)/", layout="camera"))
    assert set(both.train.camera_ids.tolist()) == {1, 2, 3, 4}, "as told"


def test_nothing_is_decoded_where_names_are_certain(
    tmp_path: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoded(path: str, **_: object) -> None:
        raise AssertionError(path)

    monkeypatch.setattr("resight.data.folder_similarity.open_image", decoded)
    draw(tmp_path, "cam1/a.jpg", "cam2/b.jpg")
    assert load_folder(tmp_path).exclude == "same-camera"
    load_folder(draw(tmp_path / "told", "x/a.jpg", "x/b.jpg", "y/c.jpg"), FolderSettings(layout="person"))


def test_tracklets_of_two_people_are_told_apart(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, "anna/1/a.jpg", "anna/1/b.jpg", "bert/1/a.jpg", "anna/2/c.jpg")
    data = load_folder(tmp_path, FolderSettings(layout="person/tracklet"))
    assert data.names["tracklets"] == ("anna/1", "anna/2", "bert/1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cameras", r"'cameras' is not a word for a level of folders; known are camera, .*; did you mean 'camera'\?"),
        ("camera/camera", "camera occurs twice"),
        ("none/camera", "none must be alone"),
        ("camera//person", "'' is not a word"),
    ],
)
def test_a_layout_is_checked(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        FolderSettings(layout=text)


def test_a_layout_is_words_from_the_root_down() -> None:
    assert parse_layout("-/Camera / person/") == ("-", "camera", "person")
    assert parse_layout("none") == ()


def test_a_layout_of_levels_that_are_not_there_is_an_error(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, "anna/a.jpg", "bert/b.jpg")
    with pytest.raises(DataError, match=r"names 2 levels of folders, and .* has 1, such as 'anna'"):
        load_folder(tmp_path, FolderSettings(layout="person/camera"))
    with pytest.raises(DataError, match=r"names 1 level of folders, and .*anna has 0$"):
        load_folder(tmp_path / "anna", FolderSettings(layout="camera"))


def test_folders_below_those_that_are_read_are_said(tmp_path: Path, draw: Draw) -> None:
    data = load_folder(draw(tmp_path, "floor 1/hall 1/a.jpg", "floor 1/hall 2/b.jpg", "floor 2/hall 3/c.jpg"))
    assert "(this is --layout camera; folders below, such as hall 1, have no meaning)" in data.notes[0]


@pytest.mark.parametrize(
    ("names", "meaning"),
    [
        (["Eingang", "Flur 2", "x"], "camera"),
        (["192.168.1.10", "192.168.1.11"], "camera"),
        (["c1s1", "c1s2"], "camera"),
        (["frontDoor", "rear-cam", "q"], "camera"),
        (["anna", "bert", "hall"], ""),
        (["0001", "0002"], ""),
        (["person_1", "person_2"], "person"),
        (["track_1", "track 22"], "tracklet"),
        (["track_10_1", "track_10_2"], "tracklet"),
        (["0002_c1s1", "0002_c2s1"], "tracklet"),
        (["2024-05-01", "20240502"], "date"),
        (["Monday", "tue"], "date"),
        (["bounding_box_train", "Query", "gt_bbox", "multi-query"], "split"),
    ],
)
def test_names_reveal_the_meaning_of_folders(names: list[str], meaning: str) -> None:
    assert classify_names(names) == meaning


def test_names_of_splits_are_known_however_they_are_written() -> None:
    assert [parse_split(name) for name in ("Train-All", "PROBE", "mask_test_v2", "val", "door")] == [
        "train", "query", "gallery", "", None,
    ]  # fmt: skip
    assert [parse_split(name) for name in ("Training Set", "test_images", "query_data", "val-part", "my set")] == [
        "train", "gallery", "query", "", None,
    ]  # fmt: skip


@pytest.mark.real
@pytest.mark.parametrize(
    ("part", "name"), [("market1501-dev", r"(\d+)_c(\d)"), ("cuhk03-np/detected", r"(\d+)_c(\d)_")]
)
def test_real_people_are_told_from_real_cameras(real_data: Path, part: str, name: str) -> None:
    folder = real_data / part / "bounding_box_train"
    labels = [(path, match.groups()) for path in sorted(folder.iterdir()) if (match := re.match(name, path.name))]
    random = np.random.default_rng(3)
    people = sorted({person for _, (person, _) in labels})
    chosen = set(random.permutation(people)[:20])
    groups: list[dict[str, list[tuple[str, None]]]] = [{}, {}]
    for path, label in labels:
        if label[0] in chosen:
            for kind, own in zip(groups, label, strict=True):
                kind.setdefault(own, []).append((str(path), None))
    by_person, by_camera = (GroupSimilarity().auc(kind) for kind in groups)
    assert by_person is not None
    assert by_camera is not None
    assert by_camera < MANY_PEOPLE_AUC < ONE_PERSON_AUC < by_person
