"""Compiled loops are kept where they can be, and compiled again where not."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numba
import pytest

from resight.numerics import compiled

SOURCE = """
from resight.numerics.compiled import njit

@njit(cache=True)
def double(number):
    return 2 * number
"""


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], ModuleType]:
    """Load the same module anew, as another process would."""
    (tmp_path / "loops.py").write_text(SOURCE)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(compiled, "_warned", False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load_again() -> ModuleType:
        spec = importlib.util.spec_from_file_location("loops", tmp_path / "loops.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load_again


def loops(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.loop"))


def hits(module: ModuleType) -> int:
    return sum(module.double.stats.cache_hits.values())


def test_a_compiled_loop_is_found_by_the_next_process(load: Callable[[], ModuleType], tmp_path: Path) -> None:
    first = load()
    assert (first.double(4), hits(first)) == (8, 0)
    assert len(loops(tmp_path)) == 1
    second = load()
    assert (second.double(4), hits(second)) == (8, 1)
    (tmp_path / "loops.py").write_text(SOURCE.replace("2 *", "3 *"))
    changed = load()
    assert (changed.double(4), hits(changed)) == (12, 0)


@pytest.mark.parametrize("damage", [lambda b: b[:50], lambda b: b"", lambda b: b[:-9] + bytes([b[-9] ^ 4]) + b[-8:]])
def test_a_damaged_loop_is_compiled_again_and_replaced(
    load: Callable[[], ModuleType], tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    load().double(4)
    (path,) = loops(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    again = load()
    assert (again.double(4), hits(again)) == (8, 0)
    assert hits(load()) == 0
    third = load()
    assert (third.double(4), hits(third)) == (8, 1)


def test_a_full_disk_is_said_once(
    load: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("resight.files.os.fsync", full)
    module = load()
    assert (module.double(4), module.double(0.5)) == (8, 1.0)
    assert [record.message.count("No space left") for record in caplog.records] == [1]
    assert loops(tmp_path) == []


def test_where_no_folder_can_be_written_nothing_is_kept(
    load: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def nowhere(_: object) -> None:
        raise RuntimeError("cannot cache function 'double': no locator available")

    monkeypatch.setattr(compiled, "_numba_cache", nowhere)
    assert load().double(4) == 8
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "NUMBA_CACHE_DIR" in caplog.text
