"""Kept vectors: what is not as it was written is not used, and a folder of them does not grow for ever."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from resight.checksums import seal
from resight.errors import ConfigError
from resight.records import ImageTable
from resight.retrieval import cache as vectors
from resight.retrieval.cache import load_vectors, save_vectors, vectors_folder, vectors_path

VECTORS = torch.nn.functional.normalize(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)))
ROWS = torch.tensor([0, 2, 3])


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "cache" / f"{'0' * 32}.safetensors"
    assert load_vectors(path, 4, 4) is None
    save_vectors(path, VECTORS.numpy(), ROWS.numpy())
    found = load_vectors(path, 4, 4)
    assert found is not None
    assert np.array_equal(found[0], VECTORS.numpy())
    assert found[1].tolist() == [0, 2, 3]


@pytest.mark.parametrize(
    ("kept", "rows"),
    [
        (VECTORS, ROWS + 1), (VECTORS, ROWS - 1), (VECTORS, ROWS * 0), (VECTORS, ROWS.flip(0)), (VECTORS, ROWS.float()),
        (VECTORS, ROWS[None]), (VECTORS[:2], ROWS), (VECTORS[:0], ROWS[:0]), (VECTORS[:, :3].contiguous(), ROWS),
        (VECTORS.flatten(), ROWS), (VECTORS.half(), ROWS), (VECTORS * 0, ROWS), (VECTORS * 2, ROWS),
        (VECTORS * torch.nan, ROWS),
    ],
)  # fmt: skip
def test_vectors_that_cannot_be_are_said_and_not_used(
    kept: torch.Tensor, rows: torch.Tensor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "file"
    path.write_bytes(seal({"vectors": kept, "rows": rows}, {}))
    assert load_vectors(path, 4, 4) is None
    assert "damaged" in caplog.text
    assert "embedding the images again" in caplog.text


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [_pipe, _loop, _endless, Path.mkdir, lambda path: path.write_bytes(b"x" * 99)])
def test_what_is_no_file_of_vectors_is_replaced_where_that_is_possible(
    make: Callable[[Path], object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / f"{'0' * 32}.safetensors"
    make(path)
    assert load_vectors(path, 4, 4) is None
    assert "damaged" in caplog.text
    save_vectors(path, VECTORS.numpy(), ROWS.numpy())
    assert (load_vectors(path, 4, 4) is not None) == (make is not Path.mkdir)
    assert ("cannot cache" in caplog.text) == (make is Path.mkdir)


def test_an_image_that_was_replaced_under_its_old_date_has_other_vectors(tmp_path: Path) -> None:
    image = tmp_path / "a.jpg"
    image.write_bytes(b"one")
    table = ImageTable(np.array([str(image)]))
    first, before = vectors_path(tmp_path, table, "encoder"), image.stat()
    assert vectors_path(tmp_path, table, "encoder") == first
    assert vectors_path(tmp_path, table, "another encoder") != first
    time.sleep(0.02)  # the clock of a file system ticks some hundred times a second
    image.write_bytes(b"two")
    os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert vectors_path(tmp_path, table, "encoder") != first


def test_a_path_from_another_folder_is_another_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = ImageTable(np.array(["absent.jpg"]))
    monkeypatch.chdir(tmp_path)
    here = vectors_path(tmp_path, table, "encoder")
    monkeypatch.chdir(tmp_path.parent)
    assert vectors_path(tmp_path, table, "encoder") != here
    whole = ImageTable(np.array([str(tmp_path / "absent.jpg")]))
    assert vectors_path(tmp_path, whole, "encoder") == here


def test_those_used_longest_ago_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / f"{number:032x}.safetensors" for number in range(4)]
    (tmp_path / "mine.safetensors").write_bytes(bytes(10_000))
    for age, path in enumerate(paths[:3]):
        save_vectors(path, VECTORS.numpy(), ROWS.numpy())
        os.utime(path, (100 + age, 100 + age))
    load_vectors(paths[0], 4, 4)  # used now
    monkeypatch.setattr(vectors, "MOST", 3 * paths[0].stat().st_size)
    save_vectors(paths[3], VECTORS.numpy(), ROWS.numpy())
    assert {path.name for path in tmp_path.iterdir()} == {
        *(path.name for path in (paths[0], paths[2], paths[3])),
        "mine.safetensors",
    }
    monkeypatch.setattr(vectors, "MOST", 1)
    save_vectors(paths[1], VECTORS.numpy(), ROWS.numpy())
    assert {path.name for path in tmp_path.iterdir()} == {paths[1].name, "mine.safetensors"}, "the newest stays"


def test_vectors_do_not_belong_among_images(tmp_path: Path) -> None:
    assert vectors_folder("", tmp_path) is None
    assert vectors_folder(str(tmp_path / "cache"), tmp_path / "crops") == tmp_path / "cache"
    for name in ("crops", "crops/cache"):
        with pytest.raises(ConfigError, match="read as one of its images"):
            vectors_folder(str(tmp_path / name), tmp_path / "crops")


def test_an_unreadable_file_is_not_an_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    with caplog.at_level(logging.WARNING):
        save_vectors(tmp_path / "taken" / "x.safetensors", VECTORS.numpy(), ROWS.numpy())
    assert "cannot cache the embeddings" in caplog.text
