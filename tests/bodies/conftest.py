"""A small drawn set with views, drawn once."""

from __future__ import annotations

from pathlib import Path

import pytest

from resight.synthetic import SyntheticSettings, synthesize

DRAWN = SyntheticSettings(people_train=2, people_test=0, cameras=2, crops=1, seed=5, height=64, width=32, views=8)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesize(tmp_path_factory.mktemp("bodies") / "set", settings=DRAWN).root


@pytest.fixture(scope="session")
def crops(drawn: Path) -> list[str]:
    return sorted(map(str, drawn.glob("bounding_box_train/*.jpg")))
