"""Commands where the machine, the environment or resight itself gives way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import resight
from resight.cli import data, main
from resight.cli.environment import INTERNAL, check_environment, explain_error
from resight.compute.devices import DeviceSettings
from resight.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NUMBA_NUM_THREADS", "0"),
        ("OMP_NUM_THREADS", "abc"),
        ("OMP_NUM_THREADS", "4,x"),
        ("MKL_NUM_THREADS", "-1"),
        ("OPENBLAS_NUM_THREADS", "1" * 5000),
        ("OMP_NUM_THREADS", "100000"),
        ("OMP_NUM_THREADS", "3\x1b[31m"),
    ],
)
def test_a_number_of_threads_that_is_none_is_one_line(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    assert main.main(["data", "info", "folder=x"]) == 2
    said = capsys.readouterr().err
    assert f"the environment's {name} must be a number of threads, 1 to 1024, found '" in said
    assert said.count("\n") == 1
    assert len(said) < 300
    assert "\x1b" not in said


@pytest.mark.parametrize("value", ["1", "", "4,2", " 8 ", "1024"])
def test_a_number_of_threads_is_left_alone(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    check_environment()
    assert os.environ["OMP_NUM_THREADS"] == value


@pytest.mark.parametrize(("width", "kept"), [("0", False), ("abc", False), ("1", False), ("100", True)])
def test_a_width_that_no_table_fits_in_is_forgotten(width: str, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", width)
    check_environment()
    assert ("COLUMNS" in os.environ) == kept


def test_absurd_numbers_of_threads_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"device\.threads must be at most 1024, found 100000"):
        DeviceSettings(threads=100_000)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (MemoryError(), 2, "not enough memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            2,
            "not enough memory",
        ),
        (ImportError("libtorch.so: failed to map segment from shared object"), 2, "not enough memory"),
        (RecursionError("maximum recursion depth exceeded"), 2, "nested too deeply"),
        (RuntimeError("can't start new thread"), 2, "no more threads"),
        (TypeError("unsupported operand\n type(s)"), INTERNAL, r"internal error, TypeError: unsupported operand\n"),
        (KeyError(), INTERNAL, "internal error, KeyError at"),
    ],
)
def test_what_nobody_foresaw_is_one_line(
    error: Exception,
    status: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(data, "run", fail)
    assert main.main(["data", "info"]) == status
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1
    assert ("--debug" in shown) == (status == INTERNAL)
    with pytest.raises(type(error)):
        main.main(["data", "info", "--debug"])


def test_an_internal_error_says_where_it_arose() -> None:
    try:
        int("x")
    except ValueError as error:
        text, status = explain_error(error)
    assert "at test_environment.py:" in text
    assert status == INTERNAL


@pytest.mark.skipif(sys.platform == "win32", reason="it keeps the current folder")
def test_a_current_folder_that_is_gone_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    assert main.main(["data", "info", "folder=x"]) == 2
    said = "resight: the current folder has been removed: go to one that exists, by cd\n"
    assert capsys.readouterr().err == said
    tmp_path.mkdir()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
@pytest.mark.parametrize("words", [["--help"], ["--version"], ["recipes", "site"]])
def test_a_full_disk_behind_standard_output_is_one_line(words: list[str], tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(resight.__file__).parents[1])}
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "resight", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.stderr.startswith("resight: standard output: cannot be written (No space left on device): make room")
    assert done.stderr.count("\n") == 1
    assert done.returncode == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
@pytest.mark.parametrize(
    ("closed", "said"), [(">&-", "standard output is closed: results are lost\n"), (">&- 2>&-", ""), ("<&-", "")]
)
def test_closed_streams_end_nothing(closed: str, said: str, tmp_path: Path) -> None:
    command = f'"{sys.executable}" -m resight --version {closed}; echo $? > status'
    environment = {**os.environ, "PYTHONPATH": str(Path(resight.__file__).parents[1])}
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (tmp_path / "status").read_text().strip() == "0"
    assert done.stderr == said
