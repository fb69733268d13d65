"""The pages that add something to resight, done as they say."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import blocks, run_bash, run_python
from resight.models.heads.head import HEADS

from resight.data.catalog import DATASETS
from resight.methods import METHODS
from resight.models.backbones import BACKBONES
from resight.numerics.metrics import METRICS

CHOICES: list[dict[str, Any]] = [DATASETS, METHODS, BACKBONES, HEADS, METRICS]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in; what a page adds to resight goes with it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    modules, choices_before = set(sys.modules), [dict(choices) for choices in CHOICES]
    yield tmp_path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    for choices, before in zip(CHOICES, choices_before, strict=True):
        choices.clear()
        choices.update(before)


def follow(page: str, folder: Path) -> dict[str, Any]:
    """Do what a page says; a block that begins with a file's name is that file."""
    names: dict[str, Any] = {}
    for language, block in blocks(f"extend/{page}.md", "python", "bash"):
        first = block.partition("\n")[0]
        if language == "bash":
            run_bash(block)
        elif first.startswith("# ") and first.endswith(".py"):
            (folder / first.removeprefix("# ")).write_text(block, encoding="utf-8")
            importlib.invalidate_caches()
        else:
            run_python(block, names, f"{page}.md")
    return names


def test_a_data_set(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = follow("dataset", folder)["data"]
    assert [len(table) for table in (data.train, data.query, data.gallery)] == [48, 6, 18]
    assert data.query.camera_ids.tolist() == [1, 2, 3, 1, 2, 3]
    assert "shop: " in capfd.readouterr().out  # of the script, which is a process of its own


def test_a_backbone(folder: Path) -> None:
    names = follow("backbone", folder)
    assert names["features"].embeddings.shape == (2, 512)
    assert sum(parameter.numel() for parameter in names["encoder"].backbone.parameters()) == 722_496


def test_a_method(folder: Path) -> None:
    trained = follow("method", folder)["trained"]
    assert [line["epoch"] for line in trained.metrics] == [0, 1]
    assert all(line["clusters"] > 1 and line["loss/prototype"] > 0 for line in trained.metrics)
    assert trained.reports["best"].scores["mAP"] > 0
    assert trained.clusters is not None


def test_a_metric(folder: Path) -> None:
    names = follow("metric", folder)
    assert 0 < names["report"].scores["R-precision"] < 1


def test_a_head(folder: Path) -> None:
    names = follow("head", folder)
    encoder, features, parts = names["encoder"], names["features"], names["parts"]
    assert features.embeddings.shape == (2, encoder.dim) == (2, 3 * 1280)
    assert [part.name for part in parts.parts] == ["whole", "upper half", "lower half"]
    assert parts.shares[0, 0].sum() == pytest.approx(names["similarity"][0, 0], abs=1e-5)
