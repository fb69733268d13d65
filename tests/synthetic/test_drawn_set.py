"""A set of drawn people: the same for a seed, laid out as it says, and never half written."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resight.errors import ConfigError, DataError
from resight.synthetic import SyntheticSettings, synthesize
from resight.synthetic.plan import GALLERY, QUERY, TRAIN, plan
from resight.synthetic.studio import Studio

NAME = re.compile(r"(-1|\d{4})_c(\d)s(\d)_(\d{6})_(\d{2})\.jpg")
SMALL = SyntheticSettings(people_train=2, people_test=3, cameras=3, crops=3, seed=5, distractors=0.1, junk=0.1)


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "set"
    synthesize(root, settings=SMALL)
    return root


@pytest.fixture(scope="module")
def rows(drawn: Path) -> list[dict[str, str]]:
    with (drawn / "annotations.csv").open() as handle:
        return list(csv.DictReader(handle))


# --- the set ---------------------------------------------------------------------------------------------------


def test_the_same_settings_give_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    synthesize(tmp_path / "again", settings=SMALL)
    assert files(tmp_path / "again") == files(drawn)


def test_another_seed_gives_other_images(drawn: Path, tmp_path: Path) -> None:
    synthesize(tmp_path / "other", settings=replace(SMALL, seed=6))
    first = {data for name, data in files(drawn).items() if name.endswith(".jpg")}
    second = {data for name, data in files(tmp_path / "other").items() if name.endswith(".jpg")}
    assert first.isdisjoint(second)


def test_an_image_does_not_depend_on_what_else_is_drawn() -> None:
    images = plan(SMALL)
    forwards, alone = Studio(SMALL), Studio(SMALL)
    drawn = [forwards.draw(image)[0].pixels for image in images[:8]]
    np.testing.assert_array_equal(alone.draw(images[7])[0].pixels, drawn[7])


def test_no_image_is_drawn_twice() -> None:
    """Many distractors and junk boxes lie about few images: each must still have a chance of its own."""
    settings = replace(SMALL, distractors=1.0, junk=1.0, height=32, width=16)
    images, studio = plan(settings), Studio(settings)
    assert sum(image.label <= 0 for image in images) > 20
    assert len({image.path for image in images}) == len(images)
    assert len({studio.draw(image)[0].pixels.tobytes() for image in images}) == len(images)


def test_other_cameras_keep_the_people_and_other_clothes_the_site() -> None:
    first = Studio(SMALL)
    moved, dressed = Studio(replace(SMALL, cameras_seed=9)), Studio(replace(SMALL, clothes_seed=9))
    assert moved.person(1) == first.person(1)
    assert moved.cameras != first.cameras
    assert dressed.cameras == first.cameras
    assert dressed.wardrobe != first.wardrobe


def test_layout_and_names(drawn: Path, rows: list[dict[str, str]]) -> None:
    assert {path.name for path in drawn.iterdir()} == {
        *(TRAIN, QUERY, GALLERY, "silhouettes"),
        *("annotations.csv", "people.json", "cameras.json", "dataset.json"),
    }
    images = sorted(path.relative_to(drawn).as_posix() for path in drawn.glob("*/*.jpg"))
    assert images == sorted(row["path"] for row in rows)
    for row in rows:
        parsed = NAME.fullmatch(row["path"].split("/")[1])
        assert parsed
        label, camera, visit, frame, _ = (int(group) for group in parsed.groups())
        expected = [label, camera, visit - 1, frame]
        assert [int(row[name]) for name in ("label", "camera", "visit", "frame")] == expected
        with Image.open(drawn / row["path"]) as image:
            assert (image.size, image.mode, image.format) == ((64, 128), "RGB", "JPEG")
    about = json.loads((drawn / "dataset.json").read_text())
    assert about["settings"]["seed"] == 5
    assert about["images"] == len(rows)
    assert len(json.loads((drawn / "cameras.json").read_text())) == 3
    assert {row["person"] for row in rows} == set(json.loads((drawn / "people.json").read_text()))


def test_people_are_in_one_part_and_seen_by_two_cameras_or_more(rows: list[dict[str, str]]) -> None:
    people = {
        folder: {int(r["label"]) for r in rows if r["path"].startswith(folder)} for folder in (TRAIN, QUERY, GALLERY)
    }
    assert people[TRAIN] == {1, 2}
    assert people[QUERY] == {3, 4, 5}
    assert people[GALLERY] == {-1, 0, 3, 4, 5}
    for person in range(1, 6):
        assert len({row["camera"] for row in rows if int(row["label"]) == person}) >= 2
    queries = [(row["label"], row["camera"]) for row in rows if row["path"].startswith(QUERY)]
    assert len(queries) == len(set(queries))
    assert set(queries) == {(r["label"], r["camera"]) for r in rows if int(r["label"]) >= 3}


def test_a_tracklet_is_one_visit(rows: list[dict[str, str]]) -> None:
    visits: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        if row["tracklet"] != "-1":
            visits.setdefault(row["tracklet"], []).append(row)
    assert len({(v[0]["person"], v[0]["camera"], v[0]["visit"]) for v in visits.values()}) == len(visits)
    for visit in visits.values():
        assert len(visit) == SMALL.crops
        assert len({(row["person"], row["camera"], row["visit"]) for row in visit}) == 1
        frames = [int(row["frame"]) for row in visit]
        assert frames == sorted(set(frames))
        yaws = np.unwrap([float(row["yaw"]) for row in visit])
        assert np.abs(np.diff(yaws)).max() < math.radians(60)


def test_silhouettes_lie_beside_the_images(drawn: Path, rows: list[dict[str, str]]) -> None:
    for row in rows:
        with Image.open(drawn / "silhouettes" / Path(row["path"]).with_suffix(".png")) as image:
            assert (image.size, image.mode) == ((64, 128), "L")
            share = float((np.asarray(image) > 127).mean())
        if int(row["label"]) > 0 and float(row["occluded"]) == 0:
            assert 0.1 < share < 0.85


def test_silhouettes_can_be_left_out(tmp_path: Path) -> None:
    counts = synthesize(
        tmp_path / "plain",
        settings=SyntheticSettings(people_train=1, people_test=0, cameras=2, crops=1, silhouettes=False),
    )
    assert (counts.train, counts.query, counts.gallery) == (2, 0, 0)
    assert not (tmp_path / "plain" / "silhouettes").exists()


def test_a_folder_with_content_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="not an empty folder"):
        synthesize(tmp_path, settings=SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_folder_may_be_there_as_long_as_it_can_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = SyntheticSettings(people_train=1, people_test=0, cameras=2, crops=1)
    empty = tmp_path / "leer und mit ü"
    empty.mkdir()
    (tmp_path / "link").symlink_to(empty)
    made = synthesize(tmp_path / "link", settings=one)
    assert made.root == empty
    assert len(list(empty.glob("*/*.jpg"))) == made.train == 2
    assert {path.name for path in tmp_path.iterdir()} == {empty.name, "link"}
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(DataError, match="current folder"):
        synthesize(Path(), settings=one)
    assert list(Path().iterdir()) == []


def test_a_set_is_as_readable_as_the_user_lets_new_folders_be(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        synthesize(tmp_path / "set", settings=SyntheticSettings(people_train=1, people_test=0, cameras=2, crops=1))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "set").stat().st_mode) == 0o750


def test_an_interrupted_call_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(path: Path, content: object) -> None:
        raise KeyboardInterrupt

    # Every image is drawn by the time the first of these is written.
    monkeypatch.setattr("resight.synthetic.dataset._write_json", stop)
    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path / "set", settings=SMALL)
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_left_half_drawn_goes_with_the_next_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("resight.files._delete", lambda _: None)  # a killed process tidies nothing up
        patch.setattr("resight.synthetic.dataset._write_json", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            synthesize(tmp_path / "set", settings=SMALL)
    assert len(list(tmp_path.iterdir())) == 1
    synthesize(tmp_path / "set", settings=SMALL)
    assert list(tmp_path.iterdir()) == [tmp_path / "set"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cameras", 0), ("cameras", 10), ("people_train", -1), ("people_test", -3), ("visits", 0), ("crops", 0),
        ("seed", -1), ("cameras_seed", -1), ("first_person", 0), ("occluders", 1.5), ("junk", -0.1), ("height", 0),
    ],
)  # fmt: skip
def test_a_setting_out_of_range_is_named(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        SyntheticSettings(**{name: value})  # type: ignore[arg-type]


def test_nobody_to_draw_and_too_many_ids() -> None:
    with pytest.raises(ConfigError, match="people_train"):
        SyntheticSettings(people_train=0, people_test=0)
    with pytest.raises(ConfigError, match="first_person"):
        SyntheticSettings(first_person=9990)


def test_queries_need_a_gallery() -> None:
    with pytest.raises(ConfigError, match="raise one of them, or set people_test to 0"):
        SyntheticSettings(crops=1)
    for settings in (SyntheticSettings(crops=1, visits=2), SyntheticSettings(crops=2)):
        folders = {image.path.split("/")[0] for image in plan(settings)}
        assert folders == {TRAIN, QUERY, GALLERY}
