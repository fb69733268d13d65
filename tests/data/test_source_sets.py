"""Sets to train on, drawn or cut out of frames, and variants of Market-1501 and DukeMTMC are read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from made_up_sets import DUKE, MARKET, Draw

from mars_files import touch
from resight.data.catalog import DATASETS, load_dataset, parse_spec
from resight.data.verify import describe
from resight.errors import DataError


def test_personx_is_read_with_all_its_backgrounds(tmp_path: Path) -> None:
    parts = ("bounding_box_train/0004", "bounding_box_test/0001", "query/0001")
    names = [f"PersonX_v1/{c}/{part}_c{c}s1_{view:02}.jpg" for c in (1, 2) for part in parts for view in (1, 36)]
    data = load_dataset("personx", touch(tmp_path, *names))
    assert data.root == tmp_path / "PersonX_v1"
    assert data.counts == {"train": (4, 1), "query": (4, 1), "gallery": (4, 1)}
    assert data.train.camera_ids.tolist() == [1, 1, 2, 2]
    assert data.train.frame_ids.tolist() == [1, 36, 1, 36]
    assert describe(data).unmatched == ()
    assert data.notes == ("12 images of 2 of 6 folders of backgrounds (273,456 images are published)",)
    one = load_dataset("personx", data.root / "2")
    assert set(one.gallery.camera_ids.tolist()) == {2}
    assert len(describe(one).unmatched) == 2, "one camera alone has no match"
    assert parse_spec(str(data.root / "2")) == ("personx", data.root / "2")
    for file in (data.root / "1" / "query").iterdir():
        file.unlink()
    (data.root / "1" / "query").rmdir()
    with pytest.raises(DataError, match=r"personx: expected .* in .*1; missing query"):
        load_dataset("personx", tmp_path)


def test_unrealperson_numbers_people_and_cameras_apart(tmp_path: Path) -> None:
    names = (
        "unreal_v3.1/images/333_c001_78.jpg",
        "unreal_v3.2/images/333_c001_5.jpg",
        "unreal_v4.1/images/7_c001_1.jpg",
    )
    data = load_dataset("unrealperson", touch(tmp_path / "UnrealPerson", *names).parent)
    assert data.train.person_ids.tolist() == [100_333, 200_333, 100_007]
    assert data.train.camera_ids.tolist() == [3_001, 3_001, 4_001]
    assert data.train.frame_ids.tolist() == [78, 5, 1]
    assert (len(data.query), len(data.gallery)) == (0, 0)
    assert "read unreal_v3.1, unreal_v3.2, unreal_v4.1; no part is to test with" in data.notes
    assert len(load_dataset("unrealperson", data.root / "unreal_v4.1").train) == 3, "one of its folders is enough"
    (tmp_path / "other" / "unreal_31").mkdir(parents=True)
    with pytest.raises(DataError, match=r"expected folders unreal_vX.Y in .*; did you mean 'unreal_31'"):
        load_dataset("unrealperson", tmp_path / "other")
    (data.root / "unreal_v1.1").mkdir()
    with pytest.raises(DataError, match=r"expected a folder images in .*unreal_v1.1"):
        load_dataset("unrealperson", data.root)


def test_randperson_is_read_as_a_folder_or_in_its_scenes(tmp_path: Path) -> None:
    flat = load_dataset(
        "randperson", touch(tmp_path / "subset", "000000_s00_c00_f000264.jpg", "000001_s10_c18_f001032.jpg", "odd.jpg")
    )
    assert flat.train.person_ids.tolist() == [0, 1]
    assert flat.train.camera_ids.tolist() == [0, 1_018]
    assert flat.train.frame_ids.tolist() == [264, 1_032]
    assert "1 image whose name is not like PPPPPP_sSS_cCC_fFFFFFF.jpg is skipped, such as 'odd.jpg'" in flat.notes
    scenes = ("scene00/camera0_1/000002_s00_c00_f1.jpg", "scene00/delete_camera0_1/000002_s00_c00_f9.jpg")
    whole = load_dataset("randperson", touch(tmp_path / "images", *scenes))
    assert [Path(path).name for path in whole.train.paths] == ["000002_s00_c00_f1.jpg"]
    with pytest.raises(DataError, match=r"no image below .* is named like .*; found such as 'anna_s0.jpg'"):
        load_dataset("randperson", touch(tmp_path / "other", "anna_s0.jpg"))


@pytest.mark.parametrize("folder", ["cropped_images", "cropped_image"])
def test_cuhksysu_is_read_as_crops(tmp_path: Path, folder: str) -> None:
    names = [f"{folder}/p00001_n0{number}_s0000{number}_hard0.png" for number in (1, 2)]
    data = load_dataset("cuhksysu", touch(tmp_path / "CUHK-SYSU", *names).parent)
    assert data.train.person_ids.tolist() == [1, 1]
    assert data.train.frame_ids.tolist() == [1, 2]
    assert set(data.train.camera_ids.tolist()) == {-1}
    assert "published 34,574 of 11,934" in data.unofficial


def test_frames_of_cuhksysu_must_be_cut_first(tmp_path: Path) -> None:
    touch(tmp_path, "Image/SSM/s1.jpg", "annotation/Person.mat")
    with pytest.raises(DataError, match=r"has whole frames: cut the people of annotation/Person.mat out of them"):
        load_dataset("cuhksysu", tmp_path)


def test_person30k_is_a_folder_of_crops_with_its_size_beside(tmp_path: Path, draw: Draw) -> None:
    rows = [("a.jpg", 1, 4, "train"), ("b.jpg", 2, 4, "train"), ("c.jpg", 3, 4, "query"), ("d.jpg", 3, 5, "gallery")]
    root = draw(tmp_path / "Person30K", *(name for name, *_ in rows))
    (root / "labels.csv").write_text("path,person,camera,split\n" + "".join(",".join(map(str, r)) + "\n" for r in rows))
    data = load_dataset("person30k", root)
    assert data.name == "person30k"
    assert (len(data.train), len(data.query), len(data.gallery)) == (2, 1, 1)
    assert "4 images of 3 people by 2 cameras (published 1,384,940 of 30,000 by 6,497)" in data.notes[0]


def test_occluded_dukemtmc_has_the_names_of_dukemtmc_and_counts_of_its_own(tmp_path: Path, draw: Draw) -> None:
    root = draw(tmp_path / "Occluded_Duke", *DUKE)
    data = load_dataset("occludedduke", tmp_path)
    assert data.gallery.camera_ids.tolist() == [5, 8]
    assert "published 15,618 of 702" in data.unofficial
    assert parse_spec(str(root)) == ("dukemtmc", root), "its names alone do not tell it from DukeMTMC-reID"


def test_market1501_is_read_with_its_500k_distractors(tmp_path: Path, draw: Draw) -> None:
    root = draw(tmp_path, *MARKET)
    with pytest.raises(DataError, match=r"the folder of the distractors, .*images, is not there: unpack them"):
        load_dataset("market1501-500k", root)
    touch(root, "images/0000_c3s1_000001_00.jpg", "images/-1_c2s1_000002_00.jpg", "images/7.jpg", "images/readme.txt")
    data, plain = (load_dataset(name, root) for name in ("market1501-500k", "market1501"))
    assert len(data.gallery) == len(plain.gallery) + 3
    assert data.gallery.person_ids.tolist()[-3:] == [0, 0, 0]
    assert data.gallery.camera_ids.tolist()[-3:] == [2, 3, -1]
    assert data.distractor_id == 0
    assert data.notes[0] == "gallery: 3 further distractors of images"
    assert "gallery" not in data.published
    for file in (root / "images").glob("*.jpg"):
        file.unlink()
    with pytest.raises(DataError, match="has no image: unpack them"):
        load_dataset("market1501-500k", root)


@pytest.mark.parametrize("name", [name for name in DATASETS if name not in ("folder", "merged", "synthetic")])
@pytest.mark.parametrize("root", ["", "absent"])
def test_an_empty_or_absent_folder_is_one_clear_line(tmp_path: Path, name: str, root: str) -> None:
    with pytest.raises(DataError) as error:
        load_dataset(name, tmp_path / root)
    assert re.match(name.partition("-")[0], str(error.value)) or name == "person30k"
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_frames_of_a_camera_go_on_through_its_sequences(draw: Draw, tmp_path: Path) -> None:
    names = (
        "bounding_box_train/0002_c1s1_000451_03.jpg",
        "bounding_box_train/0002_c1s2_000010_01.jpg",
        "bounding_box_train/0002_c2s2_000020_01.jpg",
        "query/0001_c1s1_000900_00.jpg",
        "bounding_box_test/0001_c1s3_000005_00.jpg",
        "bounding_box_test/0001_c1s2_000300_00.jpg",
    )
    data = load_dataset("market1501", draw(tmp_path, *names))
    assert data.train.frame_ids.tolist() == [451, 900 + 10, 20], "s1 of camera 1 ends at 900, which a query shows"
    assert data.query.frame_ids.tolist() == [900]
    assert data.gallery.frame_ids.tolist() == [900 + 300, 900 + 300 + 5]
