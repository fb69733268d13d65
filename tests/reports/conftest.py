"""What the tests of several pictures need."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    paths = []
    for index in range(6):
        path = tmp_path / f"{index}.png"
        Image.new("RGB", (32, 64), (40 * index, 90, 200)).save(path)
        paths.append(str(path))
    return paths
