"""Whether images are the same ones."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resight.data import fingerprint
from resight.data.fingerprint import content_digest
from resight.records import ImageTable


@pytest.fixture
def table(draw, tmp_path: Path) -> ImageTable:
    names = [f"{number}.png" for number in range(5)]
    root = draw(tmp_path / "images", *names)
    return ImageTable(np.array([str(root / name) for name in names]), camera_ids=np.arange(5) % 2)


def test_a_copy_under_other_names_is_the_same(table: ImageTable, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    paths = [shutil.copyfile(path, tmp_path / "copy" / f"x{row}.png") for row, path in enumerate(table.paths)]
    os.utime(paths[0], (1, 1))
    assert content_digest(replace(table, paths=np.array([str(path) for path in paths]))) == content_digest(table)


def test_what_is_seen_or_known_makes_other_images(table: ImageTable) -> None:
    before = content_digest(table)
    assert content_digest(table[::-1]) != before
    assert content_digest(table[:4]) != before
    assert content_digest(replace(table, person_ids=np.arange(5))) != before
    assert content_digest(replace(table, camera_ids=np.arange(5))) != before
    assert content_digest(table, table) != before
    path = Path(table.paths[3])
    changed = bytearray(path.read_bytes())
    changed[-20] ^= 1
    path.write_bytes(changed)
    assert content_digest(table) != before


def test_a_large_table_is_sampled_evenly(table: ImageTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "MAX_IMAGES", 3)
    before = content_digest(table)
    for row, changes in ((1, False), (0, True)):
        Path(table.paths[row]).write_bytes(b"other")
        assert (content_digest(table) != before) == changes


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert content_digest(ImageTable(np.array([str(tmp_path / "pipe"), str(tmp_path)])))
