"""Files are whole, wherever a kill falls; what a full disk leaves is in the tests of runs."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from resight import files
from resight.errors import ConfigError
from resight.files import check_output, drafted, locked, printable, remove_folder, tidy, write_atomically


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
    with pytest.raises(OSError, match="name a file in it") as raised:
        write_atomically(tmp_path / "taken", "x")
    assert raised.value.filename == str(tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
    (tmp_path / "file").write_text("old")
    with pytest.raises(OSError, match="name another place") as raised:
        write_atomically(tmp_path / "file" / "page.html", "x")
    assert raised.value.filename == str(tmp_path / "file" / "page.html")


def test_a_full_disk_is_said_of_the_file_that_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device.*: make room") as raised:
        write_atomically(tmp_path / "page.html", "x")
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(tmp_path / "page.html"))


def test_where_nothing_can_be_written_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_output(tmp_path / "new" / "folder" / "strip.png")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("old")
    check_output(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    for place, said in (("", "is a folder: name a file"), ("file/x.png", "file is a file"), ("pipe", "is no file")):
        with pytest.raises(ConfigError, match=said):
            check_output(tmp_path / place)
    with pytest.raises(ConfigError, match=r"would hold PNG: name it .*strip\.png"):
        check_output(tmp_path / "strip.jpg", suffix=".png")
    check_output(tmp_path / "strip.PNG", suffix=".png")
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with pytest.raises(ConfigError, match="read as one of its images"):
        check_output(tmp_path / "link" / "new" / "strip.png", data=tmp_path / "data")
    check_output(tmp_path / "data.png", data=tmp_path / "data")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match="no permission in"):
        check_output(tmp_path / "new" / "strip.png")


def test_names_cannot_act_on_a_terminal() -> None:
    assert printable("hall/\x1b[2Ja\nb\u202e\udce9 ü–\u3000.jpg") == "hall/\\x1b[2Ja\\nb\\u202e\\udce9 ü–\u3000.jpg"


# -- drafts ----------------------------------------------------------------------------------------------------------


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


HOLD = """
import sys, time
from pathlib import Path
from resight.files import drafted
with drafted(Path(sys.argv[1]), folder=sys.argv[2] == "folder") as draft:
    (draft / "half").write_text("half") if sys.argv[2] == "folder" else draft.write_text("half")
    print("in", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_process_was_writing_goes_with_the_next_call_and_not_before(kind: str, tmp_path: Path) -> None:
    (tmp_path / ".resight-mine.part").write_text("mine")
    (tmp_path / f".resight-{'a' * 16}.part").symlink_to(tmp_path / ".resight-mine.part")
    mine = left(tmp_path)
    words = [sys.executable, "-c", HOLD, str(tmp_path / "there"), kind]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"in\n"
        write_atomically(tmp_path / "page.html", "x")
        assert len(left(tmp_path)) == len(mine) + 2, "the other process is at it"
        other.kill()
    write_atomically(tmp_path / "page.html", "y")
    assert left(tmp_path) == {*mine, "page.html"}


def test_a_draft_becomes_what_it_is_for_or_goes(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with drafted(tmp_path / "set", folder=True) as draft:
        (draft / "a").write_text("a")
    assert (tmp_path / "set" / "a").read_text() == "a"
    with pytest.raises(FileNotFoundError), drafted(tmp_path / "other", folder=True) as draft:
        (draft / "absent" / "a").write_text("a")
    assert left(tmp_path) == {"set"}


def test_a_draft_that_another_process_took_for_rest_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a draft's making and its lock, another process may tidy it away."""
    opened, removed = files._open_handle, []

    def late(path: Path) -> int:
        handle = opened(path)
        if not removed:
            removed.append(path)
            path.unlink()
        return handle

    monkeypatch.setattr(files, "_open_handle", late)
    write_atomically(tmp_path / "page.html", "x")
    assert (tmp_path / "page.html").read_text() == "x"
    assert len(removed) == 1
    assert left(tmp_path) == {"page.html"}


def test_a_folder_is_not_made_where_that_is_not_asked_for(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot be written"):
        write_atomically(tmp_path / "gone" / "page.html", "x", parents=False)
    assert left(tmp_path) == set()


def test_a_folder_is_removed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "demo" / "people").mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(files, "_delete", lambda _: None)  # a kill as it begins
        remove_folder(tmp_path / "demo" / "people")
    assert "people" not in left(tmp_path / "demo")
    tidy(tmp_path / "demo")
    assert left(tmp_path / "demo") == set()
    remove_folder(tmp_path / "absent")


def test_a_file_system_without_locks_keeps_nobody_out_and_nothing_is_tidied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("resight.files.fcntl.flock", none)
    name = f".resight-{'0' * 16}.part"
    (tmp_path / name).write_text("whose?")
    with locked(tmp_path) as handle:
        assert handle is not None
    write_atomically(tmp_path / "page.html", "x")
    assert left(tmp_path) == {name, "page.html"}
