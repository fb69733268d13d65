"""The pages of the methods name settings, variants and recipes that exist, in sentences of at most 40 words."""

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
}
PAGES = sorted([*DOCS.glob("methods/*.md"), *DOCS.glob("experiments/*.md"), *DOCS.glob("*.md")])
OWN_PAGES = [path for path in PAGES if path.parent != DOCS] + [
    DOCS / name for name in ("explain.md", "numerics.md", "thesis.md")
]
LONGEST = 40


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


@pytest.mark.parametrize("method", [name for name in METHOD_PAGES if name != "mmt"])
def test_a_page_lists_every_difference_of_the_variants(method: str) -> None:
    text = section((DOCS / METHOD_PAGES[method]).read_text(encoding="utf-8"), "Variants")
    names = {name.split(".")[0] for name in first_cells(text)}
    assert {name for variant in METHODS[method][2].values() for name in variant} <= names


@pytest.mark.parametrize("page", OWN_PAGES, ids=lambda path: path.stem)
def test_the_recipes_of_a_page_exist(page: Path) -> None:
    shipped = {path.stem for path in shipped_paths()}
    named = set(re.findall(r"--config ([\w-]+)", page.read_text(encoding="utf-8")))
    named |= set(re.findall(r'recipe="([\w-]+)"', page.read_text(encoding="utf-8")))
    assert not named - shipped


@pytest.mark.parametrize("page", OWN_PAGES, ids=lambda path: path.stem)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text(encoding="utf-8")):
        path = (page.parent / target) if target else page
        assert path.exists(), f"{page.name}: {target}"
        if anchor:
            titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor in anchors, f"{page.name}: {target}#{anchor}"


@pytest.mark.parametrize("page", OWN_PAGES, ids=lambda path: path.stem)
def test_sentences_are_short(page: Path) -> None:
    text = re.sub(r"```.*?```", "\n\n", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    blocks = [block.strip() for block in re.split(r"\n\s*\n|\n(?=\s*[-|#] ?)", text)]
    for block in blocks:
        if block.startswith(("|", "#", "![")):
            continue
        prose = " ".join(re.sub(r"\]\([^)]*\)", "]", block).split())
        for sentence in re.split(r"(?<=[.!?:])\s+(?=[A-Z`\[(0-9*])", prose):
            assert len(sentence.split()) <= LONGEST, sentence
