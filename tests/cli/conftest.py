"""What the tests of several commands share: each is made once, and no test changes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_flags import TINY

from resight.cli.main import main


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few drawn people in Market-1501's layout."""
    folder = tmp_path_factory.mktemp("drawn") / "people"
    settings = ["--people_train=16", "--people_test=6", "--cameras=3", "--crops=3", "--silhouettes=false"]
    assert main(["data", "synthesize", str(folder), *settings]) == 0
    return folder


@pytest.fixture(scope="session")
def run(people: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder of a finished run on the drawn people, and its command."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    command = ["train", "ice", *TINY, f"--data=market1501={people}", f"--run={folder}"]
    assert main(command) == 0
    return folder, command
