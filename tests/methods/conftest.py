"""What the tests of several methods share; no test changes it."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiny
from resight.data.crops import Crops


@pytest.fixture(scope="session")
def images(tiny_market: Path) -> Crops:
    """The training images of the made-up set."""
    return tiny.crops(tiny_market)
