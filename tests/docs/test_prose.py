"""The pages a reader starts with have short sentences."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted((ROOT / "docs" / "extend").glob("*.md"))

LONGEST = 40
"""Words of a sentence; code in a line counts as one."""


def sentences(text: str) -> list[str]:
    """The sentences of a Markdown page, without code blocks, tables, headings and directives."""
    text = re.sub(r"^(`{3,}|:{3,}).*?^\1\s*$", "\n", text, flags=re.MULTILINE | re.DOTALL)
    lines = ["" if re.match(r"\s*([|#!]|\(.*\)=$)", line) else line for line in text.splitlines()]
    text = "\n".join(lines)
    text = re.sub(r"`[^`]+`", "Code", text).replace("resight", "Resight")
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", text)
    ends = re.compile(r"(?<=[.!?])[\")*_]*\s+(?=[^a-z])")
    return [part for block in blocks for part in ends.split(" ".join(block.split())) if part]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_sentence_is_long(page: Path) -> None:
    long = [text for text in sentences(page.read_text(encoding="utf-8")) if len(text.split()) > LONGEST]
    assert not long, f"{page.name}: split {long}"


def test_sentences_are_found() -> None:
    page = "# A title\n\nOne `a b c` two. [Three](x.md) four!\n\n- five\n- six. 7 eight\n\n| a | b |\n\n"
    page += "```\nnine. ten\n```\n"
    assert sentences(page) == ["One Code two.", "Three four!", "- five", "- six.", "7 eight"]
