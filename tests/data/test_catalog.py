"""Sets are read by their names and places, recognized, and compared with their published counts."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_sets import CUHK, DUKE, MARKET, Draw, dataset_of

from resight.data.catalog import folder_settings, load_dataset, open_dataset, parse_spec
from resight.data.validation import split_validation
from resight.errors import ConfigError, DataError


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


def test_what_a_set_lacks_is_compared_with_files_too(tmp_path: Path) -> None:
    (tmp_path / "mask_train_v2").mkdir()
    (tmp_path / "list_trian.txt").touch()
    with pytest.raises(DataError, match=r"found mask_train_v2, list_trian.txt; did you mean 'list_trian.txt'\?$"):
        load_dataset("msmt17", tmp_path)


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
