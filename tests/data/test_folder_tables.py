"""The table of a folder of crops: read as spreadsheets write it, and mistakes named by their line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from made_up_sets import Draw

from resight.data.catalog import load_dataset
from resight.data.folder import FolderSettings, load_folder
from resight.errors import DataError


def test_a_table_is_read(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "crops", "a.jpg", "b.jpg", "c.jpg", "not-listed.jpg")
    (tmp_path / "crops" / "labels.csv").write_text(
        "\ufeffcamera, path ,person,score,frame\r\n"
        "door,a.jpg,7,.5,12\r\n"
        "\r\n"
        f'lobby,"{tmp_path}/crops/b.jpg",0009,,\r\n'
        " door , c.jpg ,-1,1,-1\r\n",
        encoding="utf-8",
    )
    data = load_folder(tmp_path / "crops", FolderSettings(table="labels.csv"))
    assert [Path(path).name for path in data.train.paths] == ["a.jpg", "b.jpg", "c.jpg"]
    assert data.train.person_ids.tolist() == [7, 9, -1]
    assert data.train.camera_ids.tolist() == [0, 1, 0]
    assert data.train.frame_ids.tolist() == [12, -1, -1]
    assert data.train.tracklet_ids.tolist() == [-1, -1, -1]
    assert data.notes[0].startswith("labels.csv: column score is ignored")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no image"),
        ("path\n", "has no image"),
        ("path\n \n", "has no image: expected"),
        ("pathh,person\na.jpg,1\n", r"line 1: no column 'path'; found pathh, person: rename pathh to path$"),
        ("bild,person\na.jpg,1\n", "line 1: no column 'path'; found bild, person: rename bild to path$"),
        ("bild,person\nx,1\n", "rename the column of the images' paths to path$"),
        (
            "a.jpg,1\na.jpg,1\n",
            "line 1: the first line must name the columns, such as path,person,camera; found 'a.jpg,1'",
        ),
        ("path person\na.jpg 1\n", "line 1: cells must be separated by commas, semicolons or tabs"),
        (
            "path,pid,identity\na.jpg,1,1\n",
            "the columns 'pid' and 'identity' may each be the person: rename the right one",
        ),
        ("path,split\na.jpg,A\n", "line 2: the split 'A' is none of train, query and gallery"),
        ("path,person\na.jpg,1.7E+12\n", r"line 2: a spreadsheet rounded the person '1.7E\+12'"),
        ("path,frame\na.jpg," + "9" * 5000 + "\n", "line 2: the frame '9{80}' is no whole number"),
        (
            "path,person\n/home/me/a.jpg,1\n",
            "there is no image '/home/me/a.jpg' in .*: paths start from there, write 'a.jpg'",
        ),
        ("path,person\nC:\\x\\a.jpg,1\n", "paths start from there, write 'a.jpg'"),
        ("path,person\nA.JPG,1\n", "there is no image 'A.JPG' in .*: paths start from there, write 'a.jpg'"),
        ("path,person\na,1\n", "write 'a.jpg', with its ending"),
        (b"PK\x03\x04..", "is a spreadsheet's own file: save it as CSV"),
        ("path,person\na.jpg,1\ngone.jpg,2\n", r"line 3: there is no image 'gone.jpg'"),
        ("path,person\n,1\n", "line 2: there is no image ''"),
        ("path,person\n" + "x" * 5000 + ",1\n", "line 2: there is no image 'xxx"),
        ("path,person,person\na.jpg,1,2\n", "line 1: the column 'person' occurs twice"),
        ("path,person\na.jpg,1\na.jpg,2\n", r"line 3: 'a.jpg' is in line 2 already"),
        ("path,persn\na.jpg,1\n", "line 1: no column holds labels; known are person, .*: rename persn to person$"),
        ("Path,Person,person\na.jpg,1,2\n", "line 1: the column 'person' occurs twice"),
        ("path,frame\na.jpg,1.5\n", r"line 2: the frame '1.5' is no whole number"),
        ("path,frame\na.jpg,99999999999999999999\n", "line 2: the frame"),
        ("path,person\na.jpg\n", "line 2: expected 2 cells, found 1"),
        ('path\n"a.jpg\n', "as CSV in UTF-8"),
        (b"path\n\xff.jpg\n", "as CSV in UTF-8"),
        (None, "there is no table"),
    ],
)
def test_a_mistake_in_a_table_names_its_line(
    tmp_path: Path, draw: Draw, text: str | bytes | None, message: str
) -> None:
    draw(tmp_path, "a.jpg")
    if text is not None:
        (tmp_path / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message):
        load_folder(tmp_path, FolderSettings(table="t.csv"))


def test_a_file_that_lies_deeper_than_its_table_says_is_named(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, "c/a.jpg", "c/b.jpg", "d/b.jpg")
    for cells, message in (
        ("a.jpg,1", "paths start from there, write 'c/a.jpg'"),
        ("b.jpg,1", "with / between folders"),
    ):
        (tmp_path / "labels.csv").write_text(f"path,person\n{cells}\n")
        with pytest.raises(DataError, match=message):
            load_folder(tmp_path)


@pytest.mark.parametrize("ways", [("Anna", "anna"), ("7", "P 007")])
def test_names_that_are_nearly_alike_are_said(tmp_path: Path, draw: Draw, ways: tuple[str, str]) -> None:
    draw(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    (tmp_path / "labels.csv").write_text(f"path,person\na.jpg,{ways[0]}\nb.jpg,{ways[1]}\nc.jpg,bert8\n")
    notes = load_folder(tmp_path).notes
    assert f"people: '{ways[0]}' and '{ways[1]}' are similar names, read as 2 people" in notes
    assert not any("bert" in note and "similar" in note for note in notes)


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("path;person;camera\nc/a.jpg;7,0;1\nc/b.jpg;7;2\n", ["cells are separated by semicolons"]),
        ("sep=;\r\npath;person;camera\r\nc/a.jpg;7;1\r\nc/b.jpg;7;2\r\n", ["cells are separated by semicolons"]),
        (
            "path\tperson\tcamera\nc/a.jpg\t7.0\t1.0\nc/b.jpg\t7\t2.0\n".encode("utf-16"),
            ["the file is read as UTF-16", "cells are separated by tabs"],
        ),
        (",path,person,camera,,\n0,c/a.jpg,7.0,1,,\n1,c/b.jpg,007,2,,\n,,,,,\n", []),
        ("path,person,camera\n1,c/a.jpg,7,1\n2,c/b.jpg,7,2\n", []),
        ("path,person,camera\nc\\a.jpg,7,1\nc\\b.jpg,7,2\n", ["\\ is read as / in 2 paths"]),
        (
            "img_path,PID,Cam ID\nc/a.jpg,7,1\nc/b.jpg,7,2\n",
            [f"the column '{name}' is read as {column}"
             for name, column in (("img_path", "path"), ("PID", "person"), ("Cam ID", "camera"))],
        ),
        (
            "id,image,filename,person,camera\n0,x,c/a.jpg,7,1\n1,y,c/b.jpg,7,2\n",
            ["the column 'filename' is read as path"],
        ),
    ],
)  # fmt: skip
def test_tables_of_spreadsheets_and_pandas_are_read(
    tmp_path: Path, draw: Draw, text: str | bytes, notes: list[str]
) -> None:
    draw(tmp_path, "c/a.jpg", "c/b.jpg")
    (tmp_path / "labels.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    data = load_folder(tmp_path)
    assert [Path(path).name for path in data.train.paths] == ["a.jpg", "b.jpg"]
    assert (data.train.person_ids.tolist(), data.train.camera_ids.tolist()) == ([7, 7], [1, 2])
    assert not data.names
    table_notes = [note.removeprefix("labels.csv: ") for note in data.notes if note.startswith("labels.csv: ")]
    assert [note for note in table_notes if "ignored" not in note] == notes


def test_every_usual_word_for_unknown_is_unknown(tmp_path: Path, draw: Draw) -> None:
    words = ["", "nan", "NaN", "NA", "n/a", "<NA>", "None", "NULL", "unknown", "?", "-", "-1", "-1.0"]
    draw(tmp_path, *(f"{i}.jpg" for i in range(len(words) + 2)), size=(4, 8))
    lines = [f"{i}.jpg,{word},{word}" for i, word in enumerate(words)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,person,frame", *lines, "13.jpg,None Smith,5.0", "14.jpg,7,"]))
    data = load_folder(tmp_path)
    assert data.train.person_ids.tolist() == [-1] * len(words) + [1, 0]
    assert data.names["people"] == ("7", "None Smith")
    assert data.train.frame_ids.tolist() == [-1] * len(words) + [5, -1]
    assert any(note.startswith("read as unknown: '-' (2 images)") for note in data.notes)


def test_numbers_are_one_where_all_are_numbers(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, "a.jpg", "b.jpg", "c.jpg", size=(4, 8))
    table = tmp_path / "labels.csv"
    table.write_text("path,person\na.jpg,7\nb.jpg,007\nc.jpg,7.0\n")
    data = load_folder(tmp_path)
    assert data.train.person_ids.tolist() == [7, 7, 7]
    assert "column person: 007 and 7 and 7.0 are read as one number" in data.notes
    table.write_text("path,person\na.jpg,7\nb.jpg,007\nc.jpg,anna\n")
    assert load_folder(tmp_path).names["people"] == ("007", "7", "anna")
    table.write_text(f"path,person\na.jpg,1700000000123.0\nb.jpg,1700000000124\nc.jpg,{'9' * 18}\n")
    assert load_folder(tmp_path).train.person_ids.tolist() == [1700000000123, 1700000000124, 10**18 - 1]
    table.write_text(f"path,person\na.jpg,7\nb.jpg,8\nc.jpg,{'9' * 5000}\n")
    data = load_folder(tmp_path)
    assert data.train.person_ids.tolist() == [0, 1, 2]
    assert max(map(len, data.notes)) < 300


def test_a_table_may_name_splits(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, *(f"{i}.jpg" for i in range(5)), size=(4, 8))
    (tmp_path / "labels.csv").write_text(
        "path,person,subset\n0.jpg,1,train\n1.jpg,2,Query\n2.jpg,2,test\n3.jpg,2,val\n4.jpg,,query\n"
    )
    data = load_folder(tmp_path)
    assert [Path(str(path)).name for table in data.tables.values() for path in table.paths] == [
        "0.jpg",
        "1.jpg",
        "2.jpg",
    ]
    assert "splits: 1 query of an unknown person are left out" in data.notes


def test_a_number_for_each_line_is_no_person(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, "a.jpg", "b.jpg", "c.jpg", size=(4, 8))
    (tmp_path / "labels.csv").write_text("id,path,name\n1,a.jpg,anna\n2,b.jpg,anna\n3,c.jpg,bert\n")
    assert load_folder(tmp_path).names["people"] == ("anna", "bert")
    (tmp_path / "labels.csv").write_text("id,path\n1,a.jpg\n2,b.jpg\n3,c.jpg\n")
    assert not load_folder(tmp_path).train.has_people


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metadata.csv", "path,identity\na.jpg,1\n", "rename it to labels.csv"),
        ("Labels.csv", "x\n", "rename it to labels.csv"),
        ("mine.csv", "filename;who\na.jpg;1\n", "rename it to labels.csv"),
        ("labels.xlsx", "PK", r"save it as labels.csv \(CSV in UTF-8\)"),
        ("notes.csv", "day,weather\n1,rain\n", None),
    ],
)
def test_a_table_of_another_name_is_named(
    tmp_path: Path, draw: Draw, name: str, content: str, message: str | None
) -> None:
    draw(tmp_path, "a.jpg", size=(4, 8))
    (tmp_path / name).write_text(content)
    notes = [note for note in load_folder(tmp_path).notes if "is not read" in note]
    assert len(notes) == (message is not None)
    assert message is None or re.search(f"^{name} is not read; .*{message}", notes[0])


def test_columns_may_be_called_in_capitals(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, "a.jpg")
    (tmp_path / "t.csv").write_text("Path,PERSON,Score\na.jpg,7,1\n")
    data = load_folder(tmp_path, FolderSettings(table="t.csv"))
    assert data.train.person_ids.tolist() == [7]
    assert data.notes[0].startswith("t.csv: column Score is ignored")


def test_a_column_that_seems_misspelled_is_named_beside_one_of_labels(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, "a.jpg")
    (tmp_path / "t.csv").write_text("path,persn,camera\na.jpg,7,1\n")
    assert load_folder(tmp_path, FolderSettings(table="t.csv")).notes[0].endswith("rename persn to person")
    (tmp_path / "t.csv").write_text("path,score\na.jpg,7\n")
    assert len(load_folder(tmp_path, FolderSettings(table="t.csv")).train) == 1, "a list of images needs no labels"


def test_a_table_in_the_root_is_read_where_none_is_given(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, "hall/1_a.jpg", "hall/2_b.jpg", "door/3_c.jpg", "door/not-listed.jpg")
    (tmp_path / "labels.csv").write_text("path,person,camera\nhall/1_a.jpg,anna,c1\ndoor/3_c.jpg,anna,c2\n")
    data = load_dataset("folder", tmp_path)
    assert [Path(path).name for path in data.train.paths] == ["1_a.jpg", "3_c.jpg"]
    assert data.names == {"people": ("anna",), "cameras": ("c1", "c2")}
    assert data.notes[0].startswith("images and labels are those of its labels.csv")
    matched = load_folder(tmp_path, FolderSettings(r"(?P<person>\d)_"))
    assert matched.train.person_ids.tolist() == [3, 1, 2], "a pattern that is given goes before it"
    (tmp_path / "other.csv").write_text("path,person\nhall/2_b.jpg,5\n")
    other = load_folder(tmp_path, FolderSettings(table="other.csv"))
    assert other.train.person_ids.tolist() == [5]
    assert other.notes[0].startswith("no camera is known: add a column camera to the table")
