"""Commands that a page shows have settings that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from pages import DOCS

from resight.cli.main import main

PAGES = [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md")), *sorted((DOCS / "methods").glob("*.md"))]
COMMANDS = (
    *("train", "adapt", "evaluate", "compare", "search", "extract", "cluster", "explain", "bodies", "generate"),
    *("data info", "data verify", "data synthesize"),
)


def shown(page: Path) -> list[str]:
    """The lines of a page's code blocks that call a command with settings."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    bodies = re.findall(r"^```(?:bash)?\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for body in bodies for line in body.splitlines()]
    return [line for line in lines if line.startswith(tuple(f"resight {command} " for command in COMMANDS))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_settings_of_shown_commands_exist(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in shown(page):
        words = shlex.split(line, comments=True)[1:]
        assert main([*words, "--print_config"]) == 0, f"{line}: {capsys.readouterr().err}"


def test_pages_show_commands() -> None:
    assert sum(len(shown(page)) for page in PAGES) > 30
