"""Run folders and options of `train()` that cannot be, batches that are shared, and the time left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_run import SETTINGS, options

from messages import one_line
from resight.compute.devices import Devices
from resight.data.catalog import load_dataset
from resight.data.dataset import Dataset
from resight.errors import ConfigError, RunError
from resight.training import train as training
from resight.training.train import TrainSettings, read_recipe, train


@pytest.mark.parametrize("place", ["", "runs/mine"])
def test_a_run_does_not_lie_among_its_images(tiny_market: Path, place: str) -> None:
    before = sorted(tiny_market.rglob("*"))
    with pytest.raises(ConfigError, match="read as one of its images") as error:
        train("ice", load_dataset("market1501", tiny_market), SETTINGS, options(tiny_market / place))
    one_line(error)
    assert sorted(tiny_market.rglob("*")) == before


@pytest.mark.parametrize(
    ("run", "words"),
    [("file", "is a file, or below one"), ("file/run", "is a file, or below one"), ("\udcff", "UTF-8")],
)
def test_a_run_folder_that_cannot_be_is_told_at_once(dataset: Dataset, tmp_path: Path, run: str, words: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match=words) as error:
        train("ice", dataset, SETTINGS, options(tmp_path / run))
    one_line(error).encode()


def test_the_log_says_how_long_the_rest_will_take() -> None:
    assert training._remaining({"seconds": 90.0}, 10) == ", about 15 min left"
    assert training._remaining({"seconds": 90.0}, 0) == ""


def test_a_batch_is_cut_to_what_processes_can_share(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = Devices()
    assert devices.drop_remainder(np.arange(5)).tolist() == [0, 1, 2, 3, 4]
    monkeypatch.setattr(Devices, "world", 2)
    assert devices.drop_remainder(np.arange(5)).tolist() == [0, 1, 2, 3]
    with pytest.raises(RunError, match="2 processes"):
        devices.drop_remainder(np.arange(1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"validation_people": -1}, "0 or more"),
        ({"select": "validation"}, "set validation_people"),
        ({"select": "test"}, "set eval_every"),
        ({"select": "test", "eval_every": 1, "validation_people": 3}, "exclude each other"),
    ],
)
def test_options_that_contradict_each_other_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        TrainSettings(**changes)
    one_line(error)


@pytest.mark.parametrize("flag", ["--help", "-h", "--help_all", "--help-all", "--print_config", "--print-config"])
def test_a_recipe_that_is_read_from_python_ends_no_process(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=f"{flag} is for the command line") as error:
        read_recipe("ice", "site", "--epochs=2", flag)
    one_line(error)
    assert capsys.readouterr().out == ""
