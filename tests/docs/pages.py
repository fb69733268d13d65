"""Read the code blocks of a page and run them, as a reader would type them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from resight.cli.main import main

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, *languages: str) -> list[tuple[str, str]]:
    """The language and the text of each code block of a page in these languages, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [(language, body) for language, body in found if language in languages]


def run_bash(block: str) -> None:
    """Run a block of a shell in the current folder; `resight` runs in this process, which has torch loaded."""
    lines = block.replace("\\\n", " ").splitlines()
    script: list[str] = []
    for line in [*lines, "resight"]:
        if not line.startswith("resight"):
            script.append(line)
            continue
        if script:
            _shell("\n".join(script))
            script = []
        words = [word for part in shlex.split(line, comments=True)[1:] for word in _matches(part)]
        if words:
            assert main(words) == 0, line


def run_python(block: str, names: dict[str, Any], page: str) -> None:
    """Run a block of Python; its names stay for the next block of the page."""
    exec(compile(block, page, "exec"), names)


def run_page(page: str) -> dict[str, Any]:
    """Run the blocks of a page in the current folder, in order; return the names that its Python blocks define."""
    names: dict[str, Any] = {}
    for language, block in blocks(page, "bash", "python"):
        if language == "bash":
            run_bash(block)
        else:
            run_python(block, names, page)
    return names


def _shell(script: str) -> None:
    """Run lines in bash, with this Python as `python`."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    subprocess.run(["bash", "-euc", script], check=True, timeout=60, env={**os.environ, "PATH": path})


def _matches(word: str) -> list[str]:
    """What a shell makes of a word with a star."""
    return sorted(map(str, Path().glob(word))) if "*" in word else [word]
