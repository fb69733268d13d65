"""Files are whole, wherever a kill falls; what a full disk leaves is in the tests of runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from resight.files import write_atomically


def test_folders_are_made_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "page.html"
    write_atomically(path, "é")
    assert path.read_bytes() == "é".encode()
    write_atomically(path, b"other")
    assert path.read_bytes() == b"other"
    assert list(path.parent.iterdir()) == [path]


def test_a_name_as_long_as_the_disk_allows_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    write_atomically(path, "1")
    assert path.read_text() == "1"


def test_text_with_an_odd_file_name_is_written(tmp_path: Path) -> None:
    name = os.fsdecode(b"door-\xe9.jpg")  # Latin-1 on a disk of UTF-8
    write_atomically(tmp_path / "page.html", f"<p>{name}</p>")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == r"<p>door-\udce9.jpg</p>"


def test_what_stands_in_the_way_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_atomically(tmp_path / "taken", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
