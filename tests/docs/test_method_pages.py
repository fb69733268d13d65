"""The pages name settings, variants and recipes that exist."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from resight.config.recipes import shipped_paths
from resight.config.settings import dotted
from resight.methods import METHODS
from resight.training.train import TrainSettings

DOCS = Path(__file__).parents[2] / "docs"
METHOD_PAGES = {
    "ice": "methods/ice.md",
    "scr": "methods/scr.md",
    "abmt": "methods/abmt.md",
    "source": "methods/source.md",
    "mmt": "methods/mean-teacher.md",
    "cluster_contrast": "methods/cluster-contrast.md",
    "spcl": "methods/spcl.md",
    "cap": "methods/cap.md",
    "gcl": "methods/gcl.md",
    "jvtc": "methods/jvtc.md",
    "mmcl": "methods/mmcl.md",
    "act": "methods/act.md",
    "tracklet_contrast": "methods/tracklet-contrast.md",
}
PAGES = [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))]


def section(text: str, title: str) -> str:
    """Return the lines below a heading of level 2, up to the next one."""
    return text.partition(f"\n## {title}")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    """Return the names in the first column of all tables of a text."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    return [name for cell in rows for name in re.findall(r"`([\w.]+)(?:: [^`]*)?`", cell)]


def setting_names(method: str) -> set[str]:
    return {name for kind in (METHODS[method][1], TrainSettings) for name, _ in dotted(dataclasses.asdict(kind()))}


@pytest.mark.parametrize("method", METHOD_PAGES)
def test_the_settings_of_a_page_exist(method: str) -> None:
    text = (DOCS / METHOD_PAGES[method]).read_text(encoding="utf-8")
    tables = section(text, "Settings that matter") + section(text, "Variants")
    names = set(first_cells(tables)) - {"d30"}
    assert names
    assert not names - setting_names(method) - {name.split(".")[0] for name in setting_names(method)}


@pytest.mark.parametrize("method", [name for name in METHOD_PAGES if name not in ("mmt", "cluster_contrast")])
def test_a_page_lists_every_difference_of_the_variants(method: str) -> None:
    text = section((DOCS / METHOD_PAGES[method]).read_text(encoding="utf-8"), "Variants")
    names = {name.split(".")[0] for name in first_cells(text)}
    assert {name for variant in METHODS[method][2].values() for name in variant} <= names


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_the_recipes_of_a_page_exist(page: Path) -> None:
    shipped = {path.stem for path in shipped_paths()}
    named = set(re.findall(r"--config ([a-z][\w-]*)(?![\w/.-])", page.read_text(encoding="utf-8")))
    named |= set(re.findall(r'recipe="([\w-]+)"', page.read_text(encoding="utf-8")))
    assert not named - shipped
