"""What the tests of training share: each is made once, and no test changes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_run import SETTINGS, options

from resight.data.catalog import load_dataset
from resight.data.dataset import Dataset
from resight.training.train import Trained, train


@pytest.fixture(scope="session")
def dataset(tiny_market: Path) -> Dataset:
    """The made-up set of people."""
    return load_dataset("market1501", tiny_market)


@pytest.fixture(scope="session")
def trained(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One finished run that tests look at, start from, or copy."""
    return train("ice", dataset, SETTINGS, options(tmp_path_factory.mktemp("run") / "first", eval_every=1))
