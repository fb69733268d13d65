"""The published sets' layouts and names, the names of sets, and people held out for validation."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resight.data.catalog import folder_settings, load_dataset, open_dataset, parse_spec
from resight.data.dataset import Dataset
from resight.data.sets import cuhk03np, dukemtmc, market1501, msmt17
from resight.data.validation import split_validation
from resight.errors import ConfigError, DataError
from resight.records import ImageTable

Draw = Callable[..., Path]

MARKET = (
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "bounding_box_train/0002_c2s1_000551_01.jpg",
    "bounding_box_train/0007_c3s3_077419_03.jpg",
    "query/0001_c1s1_001051_00.jpg",
    "query/0001_c2s1_000301_00.jpg",
    "bounding_box_test/-1_c1s1_000401_03.jpg",
    "bounding_box_test/0000_c1s1_000151_01.jpg",
    "bounding_box_test/0001_c6s4_005961_02.JPG",
)
DUKE = (
    "bounding_box_train/0001_c2_f0046182.jpg",
    "query/0005_c2_f0046985.jpg",
    "bounding_box_test/0005_c5_f0051781.jpg",
    "bounding_box_test/7139_c8_f0000001.jpg",
)
CUHK = (
    "bounding_box_train/0001_c1_1_001_1_01.png",
    "query/0003_c1_1_003_1_02.png",
    "bounding_box_test/0003_c2_1_003_2_08.png",
)


def test_market1501_is_read(tmp_path: Path, draw: Draw) -> None:
    data = load_dataset("market1501", draw(tmp_path, *MARKET))
    assert data.name == "market1501"
    assert data.train.person_ids.tolist() == [2, 2, 7]
    assert data.train.camera_ids.tolist() == [1, 2, 3]
    assert data.train.frame_ids.tolist() == [451, 551, 77419]
    assert data.train.tracklet_ids.tolist() == [-1, -1, -1]
    assert data.query.person_ids.tolist() == [1, 1]
    assert data.gallery.person_ids.tolist() == [-1, 0, 1]
    assert data.counts == {"train": (3, 2), "query": (2, 1), "gallery": (2, 2)}
    assert data.exclude == "same-camera"
    assert not data.official
    assert "not the official split" in data.unofficial
    assert "train 3 images of 2 people (published 12,936 of 751)" in data.unofficial


def test_dukemtmc_is_read(tmp_path: Path, draw: Draw) -> None:
    data = load_dataset("dukemtmc", draw(tmp_path, *DUKE))
    assert data.train.frame_ids.tolist() == [46182]
    assert data.gallery.person_ids.tolist() == [5, 7139]
    assert data.gallery.camera_ids.tolist() == [5, 8]


@pytest.mark.parametrize(
    ("below", "given_root", "read", "how"),
    [
        ("", "", "detected", "without evidence of their kind"),
        ("detected", "", "detected", "by the name of the folder detected"),
        ("labeled", "", "labeled", "by the name of the folder labeled"),
        ("labelled", "", "labeled", "by the name of the folder labelled"),
        ("labeled", "labeled", "labeled", "by the name of the folder labeled"),
    ],
)
def test_cuhk03np_is_read(tmp_path: Path, draw: Draw, below: str, given_root: str, read: str, how: str) -> None:
    draw(tmp_path / below, *CUHK)
    data = load_dataset("cuhk03np", tmp_path / given_root)
    assert data.root == tmp_path / below
    assert data.gallery.camera_ids.tolist() == [2]
    assert data.published["train"][0] == {"detected": 7365, "labeled": 7368}[read]
    assert f"the {read} boxes are read, {how}" in data.notes[0]
    assert f"those of the {read} boxes" in data.notes[0]
    assert "next to" not in data.notes[0]
    assert "not the official split" in data.unofficial


def test_cuhk03np_knows_its_boxes_by_a_links_name_and_by_its_targets(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "disk" / "labeled", *CUHK)
    draw(tmp_path / "disk" / "x", *CUHK)
    (tmp_path / "now").symlink_to(tmp_path / "disk" / "labeled", target_is_directory=True)
    (tmp_path / "labeled").symlink_to(tmp_path / "disk" / "x", target_is_directory=True)
    for name in ("now", "labeled"):
        assert "the labeled boxes" in load_dataset("cuhk03np", tmp_path / name).notes[0]


def test_cuhk03np_reads_the_boxes_that_are_asked_for(tmp_path: Path, draw: Draw) -> None:
    for boxes in ("labeled", "detected"):
        draw(tmp_path / "cuhk03-np" / boxes, *CUHK)
    for name, boxes in (("cuhk03np", "detected"), ("cuhk03np-detected", "detected"), ("cuhk03np-labeled", "labeled")):
        for root in (tmp_path, tmp_path / "cuhk03-np"):
            data = load_dataset(name, root)
            assert (data.name, data.root) == (name, tmp_path / "cuhk03-np" / boxes)
            assert (f"cuhk03np-labeled={root} reads those" in data.notes[0]) == (name == "cuhk03np")


@pytest.mark.parametrize("given_root", ["", "detected"])
def test_cuhk03np_never_takes_one_kind_of_boxes_for_the_other(tmp_path: Path, draw: Draw, given_root: str) -> None:
    root = draw(tmp_path / "detected", *CUHK).parent / given_root
    with pytest.raises(DataError, match="expected the labeled boxes, found the detected ones") as error:
        load_dataset("cuhk03np-labeled", root)
    assert str(error.value).endswith(f"contains labeled or labelled, or write cuhk03np-detected={root}")
    assert "\n" not in str(error.value)


def test_the_counts_tell_the_boxes_where_no_name_does(
    tmp_path: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {"train": (1, 1), "query": (1, 1), "gallery": (1, 1)}
    monkeypatch.setattr(cuhk03np, "PUBLISHED", {"detected": {**counts, "train": (9, 1)}, "labeled": counts})
    draw(tmp_path, *CUHK)
    data = load_dataset("cuhk03np", tmp_path)
    assert data.official
    assert data.notes[0].startswith("the labeled boxes are read, by the counts;")
    assert load_dataset("cuhk03np-labeled", tmp_path).official
    with pytest.raises(DataError, match=r"found the labeled ones in .* \(by its counts\)"):
        load_dataset("cuhk03np-detected", tmp_path)
    draw(tmp_path / "set" / "detected", *CUHK)
    data = load_dataset("cuhk03np", tmp_path / "set")
    assert "though its counts are those of the labeled boxes" in data.notes[0]
    other = draw(tmp_path / "x", *CUHK, "query/0009_c1_1.png")
    assert "as requested" in load_dataset("cuhk03np-labeled", other).notes[0]


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


def test_what_a_set_lacks_is_compared_with_files_too(tmp_path: Path) -> None:
    (tmp_path / "mask_train_v2").mkdir()
    (tmp_path / "list_trian.txt").touch()
    with pytest.raises(DataError, match=r"found mask_train_v2, list_trian.txt; did you mean 'list_trian.txt'\?$"):
        load_dataset("msmt17", tmp_path)


def test_raw_cuhk03_is_named(tmp_path: Path) -> None:
    (tmp_path / "cuhk03_release").mkdir()
    (tmp_path / "cuhk03_release" / "cuhk-03.mat").touch()
    with pytest.raises(DataError, match=r"cuhk-03.mat is raw CUHK03; .* from the folders bounding_box_train, query"):
        load_dataset("cuhk03np", tmp_path)


def test_ids_of_more_than_nine_digits_are_kept(tmp_path: Path, draw: Draw) -> None:
    names = [f"{part}/1700000000123_c1s1_{i:06}_00.jpg" for i, part in enumerate(("bounding_box_train", "query"))]
    draw(tmp_path, *names, "bounding_box_test/1700000000124_c2s1_000001_00.jpg")
    data = load_dataset("market1501", tmp_path)
    assert (data.train.person_ids.tolist(), data.gallery.person_ids.tolist()) == ([1700000000123], [1700000000124])


def test_flags_are_for_folders_of_crops(tmp_path: Path, draw: Draw) -> None:
    assert folder_settings("", "", "market1501=x") is None
    settings = folder_settings("camera", "", "market1501=x", "folder=y")
    assert settings is not None
    assert settings.layout == "camera"
    with pytest.raises(ConfigError, match="--layout says how a folder of crops is read, and market1501 is none"):
        folder_settings("camera", "", "market1501=x")
    with pytest.raises(ConfigError, match="--pattern says how"):
        folder_settings("", "(?P<camera>.)", "market1501=x", "")
    draw(tmp_path, *MARKET)
    assert parse_spec(str(tmp_path), settings) == ("folder", tmp_path), "these settings are for folders of crops"


def test_msmt17s_lists_may_start_with_a_byte_order_mark(tmp_path: Path, draw: Draw) -> None:
    write_msmt17(tmp_path, draw, "train", "test")
    path = tmp_path / "list_query.txt"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(load_dataset("msmt17", tmp_path).query) == 1


def test_the_well_known_folder_is_found(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "Market-1501-v15.09.15", *MARKET)
    (tmp_path / "query").mkdir()  # of something else: the place that holds most of the parts counts
    assert load_dataset("market1501", str(tmp_path)).root == tmp_path / "Market-1501-v15.09.15"


def test_files_that_do_not_fit_are_skipped_and_reported(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, *MARKET, "query/someone.jpg", "query/.hidden.jpg", "query/0001_c1s1.jpg")
    (tmp_path / "query" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "query" / "0009_c1s1_001051_00.jpg").mkdir()
    data = load_dataset("market1501", tmp_path)
    assert len(data.query) == 2
    assert "query: 2 images whose names are not like PPPP_cCsS_FFFFFF_NN.jpg are skipped" in "\n".join(data.notes)
    assert "query: 1 file that is no image is skipped" in data.notes


def test_links_that_lead_nowhere_are_kept_to_be_reported(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, *MARKET)
    (tmp_path / "query" / "0001_c3s1_000301_00.jpg").symlink_to(tmp_path / "absent.jpg")
    (tmp_path / "query" / "0001_c4s1_000301_00.jpg").symlink_to("0001_c4s1_000301_00.jpg")
    (tmp_path / "loop").symlink_to("loop")
    data = load_dataset("market1501", tmp_path)
    assert data.query.camera_ids.tolist() == [1, 2, 3, 4]
    (tmp_path / "query").rename(tmp_path / "query_old")
    with pytest.raises(DataError, match="did you mean 'query_old'"):
        load_dataset("market1501", tmp_path)


def test_a_closed_folder_is_one_clear_line(tmp_path: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path, *MARKET)

    def closed(folder: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(DataError, match=r"market1501: cannot read .*bounding_box_train \(Permission denied\)"):
        load_dataset("market1501", tmp_path)


def test_a_folder_that_is_closed_itself_is_named(tmp_path: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    root = draw(tmp_path / "closed", *MARKET)
    stat = Path.stat

    def closed(path: Path, **how: bool) -> os.stat_result:
        if root in path.parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, **how)

    monkeypatch.setattr(Path, "stat", closed)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != root)
    said = re.escape(f"cannot read {root} (Permission denied)")
    with pytest.raises(DataError, match=f"^{said}"):
        parse_spec(str(root))
    with pytest.raises(DataError, match=f"^market1501: {said}"):
        load_dataset("market1501", root)


def test_what_is_missing_is_one_clear_line(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "market", *MARKET)
    with pytest.raises(DataError, match=r"there is no folder .*markt; did you mean 'market'\?"):
        load_dataset("market1501", tmp_path / "markt")
    (tmp_path / "market" / "query").rename(tmp_path / "market" / "query_old")
    with pytest.raises(DataError, match=r"missing query; found .*; did you mean 'query_old'\?"):
        load_dataset("market1501", tmp_path / "market")
    (tmp_path / "market" / "query").mkdir()
    with pytest.raises(DataError, match=r"no image in .*query is named like PPPP_cCsS_FFFFFF_NN.jpg; found no file"):
        load_dataset("market1501", tmp_path / "market")
    draw(tmp_path / "market", "query/a.png")
    with pytest.raises(DataError, match=r"found 1 file, such as 'a.png'"):
        load_dataset("market1501", tmp_path / "market")


ids = st.integers(0, 9999)


@given(person=st.integers(-1, 99_999), camera=ids, sequence=ids, frame=st.integers(0, 10**12), box=ids)
def test_market_names_round_trip(person: int, camera: int, sequence: int, frame: int, box: int) -> None:
    name = f"{person if person < 0 else f'{person:04}'}_c{camera}s{sequence}_{frame:06}_{box:02}.jpg"
    match = market1501.PATTERN.match(name)
    assert match
    assert {key: int(value) for key, value in match.groupdict().items()} == {
        "person": person,
        "camera": camera,
        "frame": frame,
    }


@given(person=ids, camera=ids, frame=st.integers(0, 10**12))
def test_duke_names_round_trip_and_are_no_market_names(person: int, camera: int, frame: int) -> None:
    name = f"{person:04}_c{camera}_f{frame:07}.jpg"
    match = dukemtmc.PATTERN.match(name)
    assert match
    assert [int(match[group]) for group in ("person", "camera", "frame")] == [person, camera, frame]
    assert not market1501.PATTERN.match(name)


@given(person=ids, camera=ids, rest=st.text("abc_019.", max_size=12))
def test_cuhk_and_msmt_names_round_trip(person: int, camera: int, rest: str) -> None:
    match = cuhk03np.PATTERN.match(f"{person:04}_c{camera}_{rest}.png")
    assert match
    assert (int(match["person"]), int(match["camera"])) == (person, camera)
    match = msmt17.PATTERN.match(f"{person:04}_000_{camera:02}_{rest}.jpg")
    assert match
    assert (int(match["person"]), int(match["camera"])) == (person, camera)


@pytest.mark.parametrize("module", [market1501, dukemtmc, cuhk03np, msmt17])
@given(data=st.data())
def test_what_a_pattern_takes_fits_the_table(module: ModuleType, data: st.DataObject) -> None:
    match = module.PATTERN.match(data.draw(st.from_regex(module.PATTERN, fullmatch=True)))
    assert match
    assert {"person", "camera"} <= set(match.groupdict()) <= {"person", "camera", "frame"}
    assert all(-1 <= int(value) < 2**63 for value in match.groupdict().values())


def test_an_unknown_name_is_an_error_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no data set 'markt1501'; known are .*; did you mean 'market1501'\?"):
        load_dataset("markt1501", ".")
    with pytest.raises(ConfigError, match=r"did you mean 'msmt17'\?"):
        parse_spec("msmt=/data")


def test_a_set_is_loaded_by_its_specification_too(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, "a.jpg")
    for words in (("folder", tmp_path), (f"folder={tmp_path}",), (str(tmp_path),)):
        assert load_dataset(*words).train.paths.tolist() == [str(tmp_path / "a.jpg")]
    with pytest.raises(ConfigError, match=r"the name of the data set comes first: load_dataset\('folder', "):
        load_dataset(str(tmp_path), "folder")


def test_a_specification_names_a_set_and_a_path(tmp_path: Path) -> None:
    assert parse_spec("market1501=/data/m") == ("market1501", Path("/data/m"))
    assert parse_spec("folder=/data/a=b") == ("folder", Path("/data/a=b"))
    assert parse_spec(str(tmp_path)) == ("folder", tmp_path)
    assert parse_spec("./a=b") == ("folder", Path("a=b"))
    assert parse_spec("cuhk03np=~/x")[1] == Path.home() / "x"
    assert parse_spec("~no-such-user/x") == ("folder", Path("~no-such-user/x"))
    with pytest.raises(DataError, match="there is no folder ~no-such-user/x"):
        load_dataset("folder", "~no-such-user/x")
    odd = tmp_path / "x=y"
    odd.mkdir()
    assert parse_spec(str(odd)) == ("folder", odd)
    for spec in ("", "market1501", "market1501=", "folder= "):
        with pytest.raises(ConfigError, match=r"names no folder: write (market1501|folder)=PATH"):
            parse_spec(spec)


@pytest.mark.parametrize(("names", "name"), [(MARKET, "market1501"), (DUKE, "dukemtmc"), (CUHK, "cuhk03np")])
def test_a_path_alone_is_recognized(tmp_path: Path, draw: Draw, names: tuple[str, ...], name: str) -> None:
    draw(tmp_path, *names)
    assert parse_spec(str(tmp_path)) == (name, tmp_path)
    data = open_dataset(str(tmp_path))
    assert f"has the layout of {name} and is read as it" in data.notes[0]
    assert (data.unofficial, data.published) == ("", {}), "nobody said that it is the published set"
    assert open_dataset(f"{name}={tmp_path}").unofficial.startswith("not the official split")


def test_one_odd_name_does_not_hide_a_known_set(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, *MARKET, "query/0000.jpg")
    assert parse_spec(str(tmp_path)) == ("market1501", tmp_path)


def people_table(sizes: dict[int, dict[int, int]]) -> ImageTable:
    """A table from the number of images for each person and camera."""
    rows = [
        (f"/crops/{person:04}_c{camera}_{i:03}.jpg", person, camera)
        for person, cameras in sizes.items()
        for camera, images in cameras.items()
        for i in range(images)
    ]
    paths, people, cameras = zip(*rows, strict=True)
    return ImageTable(np.array(paths), np.array(people), np.array(cameras))


def dataset_of(sizes: dict[int, dict[int, int]], rule: str = "same-camera") -> Dataset:
    table = people_table(sizes)
    return Dataset("made", Path("/"), table, table[:0], table[:0], rule, published={"train": (1, 1)})


some_people = st.dictionaries(
    st.integers(-1, 30),
    st.dictionaries(st.integers(1, 5), st.integers(1, 4), min_size=1, max_size=4),
    min_size=4,
    max_size=15,
)


@given(sizes=some_people, seed=st.integers(0, 5), share=st.floats(0, 1))
def test_validation_is_disjoint_matched_and_the_same_for_a_seed(
    sizes: dict[int, dict[int, int]], seed: int, share: float
) -> None:
    data = dataset_of(sizes)
    able = [person for person, cameras in sizes.items() if len(cameras) > 1 and person >= 0]
    people = min(max(1, round(share * len(able))), len(sizes) - 1)
    if people > len(able):
        with pytest.raises(DataError, match=f"cannot hold {people} people out"):
            split_validation(data, people, seed=seed)
        return
    split = split_validation(data, people, seed=seed)
    train, query, gallery = (set(table.person_ids.tolist()) for table in (split.train, split.query, split.gallery))
    assert len(query) == people
    assert query == gallery
    assert not query & train
    assert query <= set(able)
    joined = [*split.train.paths, *split.query.paths, *split.gallery.paths]
    assert sorted(joined) == sorted(data.train.paths.tolist())
    pairs = list(zip(split.query.person_ids.tolist(), split.query.camera_ids.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    for person, camera in pairs:
        assert (split.gallery.camera_ids[split.gallery.person_ids == person] != camera).any()

    order = np.random.default_rng(seed).permutation(len(data.train))
    again = split_validation(replace(data, train=data.train[order]), people, seed=seed)
    assert sorted(again.query.paths) == sorted(split.query.paths)
    assert sorted(again.train.paths) == sorted(split.train.paths)


def test_validation_by_hand() -> None:
    data = dataset_of({1: {1: 3, 2: 2}, 2: {1: 4}, 3: {1: 1, 2: 1}, 4: {1: 5, 2: 1}, 9: {4: 9}, -1: {1: 2, 2: 2}})
    split = split_validation(data, 3)
    assert split.name == "made+validation3"
    assert split.published == {}
    assert "3 of the 5 training people are held out" in split.notes[-1]
    assert sorted(split.train.person_ids.tolist()) == [-1] * 4 + [2] * 4 + [9] * 9
    asked = sorted(zip(split.query.person_ids.tolist(), split.query.camera_ids.tolist(), strict=True))
    assert asked == [(1, 1), (1, 2), (3, 1), (4, 1)]
    with pytest.raises(DataError, match="3 of its 5 people are seen by two cameras or more; hold out fewer"):
        split_validation(data, 4)
    with pytest.raises(ConfigError, match="must be a whole number of 1 or more, found 0"):
        split_validation(data, 0)
    with pytest.raises(DataError, match="leaves no image to train on"):
        split_validation(dataset_of({1: {1: 2, 2: 2}}), 1)


def test_distractors_are_not_held_out() -> None:
    data = replace(dataset_of({0: {1: 3, 2: 3}, 1: {1: 2, 2: 2}, 2: {1: 2, 2: 2}}), distractor_id=0)
    for seed in range(5):
        assert split_validation(data, 2, seed=seed).train.person_ids.tolist() == [0] * 6
    with pytest.raises(DataError, match="2 of its 2 people are seen by two cameras"):
        split_validation(data, 3)


def test_a_set_is_official_by_all_of_its_published_counts() -> None:
    data = dataset_of({1: {1: 3}, 2: {1: 4}, -1: {2: 5}})
    for published, official in (
        ({}, False),
        ({"train": (7, 2)}, True),
        ({"train": (7, 2), "query": (0, 0), "gallery": (0, 0)}, True),
        ({"train": (7, 2), "query": (1, 1)}, False),
        ({"train": (12, 3)}, False),
    ):
        assert replace(data, published=published).official == official


def test_seeds_differ() -> None:
    data = dataset_of({person: {1: 2, 2: 2} for person in range(20)})
    chosen = {tuple(sorted(set(split_validation(data, 5, seed=seed).query.person_ids.tolist()))) for seed in range(5)}
    assert len(chosen) > 1


def test_without_cameras_a_person_needs_two_images() -> None:
    split = split_validation(dataset_of({1: {-1: 3}, 2: {-1: 1}, 3: {-1: 2}}, "none"), 2)
    assert split.query.person_ids.tolist() == [1, 3]
    assert split.gallery.person_ids.tolist() == [1, 1, 3]
    with pytest.raises(DataError, match="two images or more"):
        split_validation(dataset_of({1: {-1: 1}, 2: {-1: 2}}, "none"), 2)


def test_an_unknown_rule_is_an_error() -> None:
    with pytest.raises(ConfigError, match="one of same-camera, none; found 'both'"):
        dataset_of({1: {1: 1}}, "both")


@pytest.mark.real
def test_counts_of_the_real_sets(real_data: Path) -> None:
    market = load_dataset("market1501", real_data / "market1501-dev")
    assert market.counts == {"train": (7697, 451), "query": (669, 150), "gallery": (1761, 149)}
    assert not market.official
    assert market.unofficial.startswith("not the official split")
    assert not market.notes
    cuhk = load_dataset(*parse_spec(f"cuhk03np={real_data / 'cuhk03-np'}"))
    assert cuhk.counts == {"train": (7365, 767), "query": (1400, 700), "gallery": (5332, 700)}
    assert cuhk.official
    assert not re.search("skipped", "\n".join(cuhk.notes))
    assert not cuhk.unofficial
    with pytest.raises(DataError, match="found the detected ones"):
        load_dataset("cuhk03np-labeled", real_data / "cuhk03-np")
    assert split_validation(market, 60).counts["query"][1] == 60


def test_everybody_who_can_be_found_again_is_scored() -> None:
    data = dataset_of({1: {1: 3, 2: 2}, 2: {1: 4}, 3: {1: 1, 2: 1}, -1: {1: 2, 2: 2}})
    split = split_validation(data, "all")
    assert split.name == "made+validation-all"
    assert sorted(split.train.person_ids.tolist()) == [-1] * 4
    asked = sorted(zip(split.query.person_ids.tolist(), split.query.camera_ids.tolist(), strict=True))
    assert asked == [(1, 1), (1, 2), (3, 1)]
    assert sorted(split.gallery.person_ids.tolist()) == [1] * 3 + [2] * 4 + [3]
    assert split.notes[-1].startswith("validation: 2 of the 3 training people")
    assert split.notes[-1].endswith("the images of the others are in the gallery too")
    assert len(split_validation(dataset_of({1: {1: 2, 2: 2}}), "all").query) == 2
    with pytest.raises(DataError, match="0 of its 1 people are seen by two cameras or more; label more"):
        split_validation(dataset_of({1: {1: 2}}), "all")
