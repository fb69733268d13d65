"""CUHK03-NP is read, and its two kinds of boxes are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up_sets import CUHK, Draw

from resight.data.catalog import load_dataset
from resight.data.sets import cuhk03np
from resight.errors import DataError


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


def test_raw_cuhk03_is_named(tmp_path: Path) -> None:
    (tmp_path / "cuhk03_release").mkdir()
    (tmp_path / "cuhk03_release" / "cuhk-03.mat").touch()
    with pytest.raises(
        DataError, match=r"cuhk-03.mat is raw CUHK03: put .* or name the folder with bounding_box_train, query"
    ):
        load_dataset("cuhk03np", tmp_path)
