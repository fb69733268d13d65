"""What a data set holds, and what is found to be wrong with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resight.data.catalog import load_dataset
from resight.data.dataset import Dataset
from resight.data.folder import FolderSettings, load_folder
from resight.data.verify import describe, verify
from resight.numerics.metrics import positive_ranks
from resight.records import EXCLUSIONS, ImageTable

Draw = Callable[..., Path]

NAMES = (
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "bounding_box_train/0002_c2s1_000551_01.jpg",
    "bounding_box_train/0007_c2s3_077419_03.jpg",
    "query/0001_c1s1_001051_00.jpg",
    "query/0001_c6s1_000301_00.jpg",
    "query/0003_c2s1_000301_00.jpg",
    "bounding_box_test/-1_c1s1_000401_03.jpg",
    "bounding_box_test/0000_c1s1_000151_01.jpg",
    "bounding_box_test/0000_c3s1_000151_01.jpg",
    "bounding_box_test/0001_c6s4_005961_02.jpg",
    "bounding_box_test/0003_c2s4_005961_02.jpg",
)


def test_a_description_counts_by_hand(tmp_path: Path, draw: Draw) -> None:
    found = describe(load_dataset("market1501", draw(tmp_path, *NAMES)))
    train, query, gallery = (found.splits[split] for split in ("train", "query", "gallery"))
    assert (train.images, train.people, train.cameras) == (3, 2, {1: 1, 2: 2})
    assert train.images_per_person == (1, 1.5, 2)
    assert train.published == (12_936, 751)
    assert (query.images, query.people, query.distractors) == (3, 2, 0)
    assert (gallery.images, gallery.unlabeled, gallery.distractors, gallery.people) == (5, 1, 2, 3)
    # Person 1 by camera 6 and person 3 by camera 2 are in the gallery by that very camera only.
    assert found.unmatched == (1, 2)
    assert not found.official
    assert json.loads(json.dumps(asdict(found)))["unmatched"] == [1, 2]


def test_without_a_rule_the_same_camera_matches(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, "1_a.jpg", "1_b.jpg", "2_a.jpg", "2_b.jpg")
    data = load_folder(tmp_path, FolderSettings(r"(?P<person>\d)_", test_people=1))
    assert describe(data).unmatched == ()


rows = st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 2)), min_size=1, max_size=12)


@given(query=rows, gallery=rows, exclude=st.sampled_from(EXCLUSIONS), distractor_id=st.sampled_from([None, 0]))
def test_the_unmatched_are_those_that_an_evaluation_leaves_out(query, gallery, exclude, distractor_id) -> None:
    def table(name: str, pairs: list[tuple[int, int]]) -> ImageTable:
        people, cameras = zip(*pairs, strict=True)
        return ImageTable(np.array([f"{name}{i}" for i in range(len(pairs))]), np.array(people), np.array(cameras))

    asked, held = table("q", query), table("g", gallery)
    data = Dataset("made", Path("/"), asked[:0], asked, held, exclude, distractor_id=distractor_id)
    distances = np.zeros((len(asked), len(held)), np.float32)
    _, offsets = positive_ranks(
        distances,
        asked.person_ids,
        asked.camera_ids,
        held.person_ids,
        held.camera_ids,
        exclude=exclude,
        distractor_id=distractor_id,
    )
    assert describe(data).unmatched == tuple(np.flatnonzero(np.diff(offsets) == 0))


def test_what_is_wrong_is_found(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, *NAMES)
    train, test = tmp_path / "bounding_box_train", tmp_path / "bounding_box_test"
    shutil.copy(train / "0002_c1s1_000451_03.jpg", test / "0001_c1s1_000009_01.jpg")
    shutil.copy(tmp_path / NAMES[7], tmp_path / NAMES[8])
    (train / "0007_c2s3_077419_03.jpg").write_bytes(b"")
    (tmp_path / "query" / "0001_c1s1_001051_00.jpg").write_text("no picture")
    draw(tmp_path, "bounding_box_test/0001_c6s4_005961_02.jpg", size=(8, 40))
    data = load_dataset("market1501", tmp_path)
    (train / "0002_c2s1_000551_01.jpg").unlink()

    report = verify(data)
    assert report.missing == (str(train / "0002_c2s1_000551_01.jpg"),)
    assert [(Path(path).name, reason.split(":")[0].split(",")[0]) for path, reason in report.broken] == [
        ("0007_c2s3_077419_03.jpg", "the file is empty (0 bytes)"),
        ("0001_c1s1_001051_00.jpg", "not an image"),
    ]
    assert report.small == ((str(test / "0001_c6s4_005961_02.jpg"), 8, 40),)
    leak = (str(train / "0002_c1s1_000451_03.jpg"), str(test / "0001_c1s1_000009_01.jpg"))
    assert report.leaks == (leak,)
    assert set(report.duplicates) == {leak, (str(tmp_path / NAMES[7]), str(tmp_path / NAMES[8]))}
    assert not report.sound
    assert report.description == describe(data)


def test_a_sound_set_has_no_complaint(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, *(f"c{camera}/{person}_{i}.jpg" for person in range(4) for camera in (1, 2) for i in (0, 1)))
    report = verify(load_folder(tmp_path, FolderSettings(r"(?P<person>\d)_\d", test_people=2)))
    assert report.sound
    assert report.description.warnings == ()


def test_whole_frames_are_no_crops(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, "c1/a.jpg", "c2/b.jpg")
    draw(tmp_path, "c1/wide.jpg", "c2/wide.jpg", size=(64, 36))
    draw(tmp_path, "c1/tall.jpg", size=(540, 960))
    data = load_folder(tmp_path)
    report = verify(data, progress=False)
    assert [(Path(path).name, *size) for path, *size in report.frames] == [
        ("tall.jpg", 540, 960), ("wide.jpg", 64, 36), ("wide.jpg", 64, 36),
    ]  # fmt: skip
    (warning,) = (text for text in report.description.warnings if "frames" in text)
    assert warning.startswith("3 of 5 checked images are wider than tall or shaped like a screen, such as ")
    assert "(540 x 960 pixels): these look like whole frames instead of crops of people" in warning
    assert report.sound
    assert warning in describe(data).warnings, "told from headers alone"
    vehicles = replace(data, vehicles=True)
    assert verify(vehicles, progress=False).frames == ()
    assert not [text for text in describe(vehicles).warnings if "frames" in text]


def test_labels_that_make_it_difficult_are_warned_of(tmp_path: Path, draw: Draw) -> None:
    one = draw(tmp_path / "one", "c1/1.jpg", "c1/2.jpg")
    report = verify(load_folder(one, FolderSettings(r"(?P<person>\d)\.")), progress=False)
    assert report.sound
    assert report.description.warnings == (
        "train: all images are from one camera; nothing can be learned across cameras",
        "train: every person has a single image",
    )
    flat = draw(tmp_path / "flat", "1.jpg")
    assert "the camera of 1 image is unknown" in describe(load_folder(flat)).warnings[0]
    market = load_dataset("market1501", draw(tmp_path / "market", *NAMES))
    assert verify(market).description.warnings == (
        "train: 1 of 2 people has a single image",
        "gallery: 2 of 3 people have a single image",
        "query: 2 of 3 have no possible match in the gallery and do not count in an evaluation",
    )


@pytest.mark.real
def test_the_real_set_has_eight_queries_without_a_match(real_data: Path) -> None:
    found = describe(load_dataset("market1501", real_data / "market1501-dev"))
    assert len(found.unmatched) == 8
    assert found.splits["train"].cameras == {1: 1195, 2: 995, 3: 1605, 4: 537, 5: 1409, 6: 1956}
    assert found.splits["gallery"].distractors == 0
