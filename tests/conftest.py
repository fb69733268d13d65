"""What the tests of several folders share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images; a test that asks for it is skipped where there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("RESIGHT_REAL_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real images: {folder} is not there (set RESIGHT_REAL_DATA to their folder)")
    return folder


@pytest.fixture
def draw() -> Callable[..., Path]:
    """Draw a small picture for each name below a folder, no two alike; the folder comes back."""
    random = np.random.default_rng(0)

    def draw_each(root: Path, *names: str, size: tuple[int, int] = (16, 32)) -> Path:
        root.mkdir(parents=True, exist_ok=True)
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name, "PNG")
        return root

    return draw_each
