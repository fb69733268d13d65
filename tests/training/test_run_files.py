"""Files of a run: full disks, kills, and what stands in the way."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from saved_runs import Method, files

from messages import one_line
from resight.errors import RunError
from resight.files import write_atomically
from resight.training.runs import Run


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_a_kill_left_half_written_goes_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = {".notes.txt.original", ".gitignore", ".env.part", ".0123456789abcdef.part", "config.yaml"}
    for name in mine:
        (tmp_path / name).write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # a killed process tidies nothing up
        with pytest.raises(OSError, match="No space left"):
            write_atomically(tmp_path / "last.safetensors", "half")
    assert len(files(tmp_path)) == len(mine) + 1
    Run(tmp_path)
    assert len(files(tmp_path)) == len(mine) + 1, "another process may be writing it"
    with Run(tmp_path).lock():
        assert files(tmp_path) == mine


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_whole(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.txt"
    write_atomically(path, "old")
    with monkeypatch.context() as patch:
        patch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[step], full)
        with pytest.raises(OSError, match="No space left"):
            write_atomically(path, "new" * 1000)
    assert path.read_text() == "old"
    assert files(tmp_path) == {"file.txt"}
    write_atomically(path, b"newer")
    assert path.read_bytes() == b"newer"


def test_a_full_disk_leaves_the_run_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path)
    run.log(0, {"loss": 1.0})
    run.checkpoint(0, Method(1.0), best=True)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            run.log(1, {"loss": 0.5})
        with pytest.raises(OSError, match="No space left"):
            run.checkpoint(1, Method(2.0), best=True)
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before
    fresh = Method()
    assert Run(tmp_path).resume(fresh) == 1
    assert float(fresh.parts["part"].value) == 1.0


def test_files_are_as_readable_as_the_user_lets_new_files_be(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", "x")
    finally:
        os.umask(old)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_loop(path: Path) -> None:
    path.symlink_to(path)


def nothing(path: Path) -> None:
    path.symlink_to(path.with_name("nothing"))


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("name", ["config.yaml", "metrics.jsonl", "last.safetensors", "log.txt", "report.html"])
@pytest.mark.parametrize("make", [a_pipe, a_loop, nothing, zeros, Path.mkdir])
def test_what_is_no_file_is_said_before_anything_is_opened(
    name: str, make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / name)
    with pytest.raises(RunError, match=rf"{name} must be a file") as error:
        Run(tmp_path).claim("run: x\n")
    one_line(error)


@pytest.mark.parametrize("to", [None, "elsewhere", "replaced"])
def test_a_folder_that_goes_while_a_run_writes_to_it_is_not_made_again(to: str | None, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run = Run(folder)
    with run.lock():
        run.claim("run: x\nseed: 1\nvariant: code\n")
        run.log(0, {})
        shutil.move(folder, tmp_path / "elsewhere") if to else shutil.rmtree(folder)
        if to == "replaced":
            folder.mkdir()
        for write in (lambda: run.log(1, {}), lambda: run.checkpoint(1, Method(), best=True)):
            with pytest.raises(RunError, match="was removed, renamed or emptied") as error:
                write()
            one_line(error)
    assert not folder.exists() or not files(folder)


def test_a_folder_that_was_emptied_is_not_filled_by_half(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with run.lock():
        run.claim("run: x\nseed: 1\nvariant: code\n")
        (tmp_path / "config.yaml").unlink()
        with pytest.raises(RunError, match="emptied"):
            run.log(0, {})
    assert files(tmp_path) == set()
