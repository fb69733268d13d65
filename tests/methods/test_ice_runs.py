"""Runs of ICE go on where they were stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiny
from resight.data.crops import Crops
from resight.files import write_atomically
from resight.training import runs
from resight.training.runs import Run
from run_equality import assert_same_run
from stepping import run_to


def test_four_epochs_equal_two_and_two_more_with_frozen_statistics(images: Crops, tmp_path: Path) -> None:
    run_to(tmp_path / "unbroken", tiny.ice(images, **tiny.SPLITS_CLEANLY), 4)
    run_to(tmp_path / "halves", tiny.ice(images, **tiny.SPLITS_CLEANLY), 2)
    assert len(Run(tmp_path / "halves").metrics()) == 2
    run_to(tmp_path / "halves", tiny.ice(images, **tiny.SPLITS_CLEANLY), 4)
    assert_same_run(tmp_path / "unbroken", tmp_path / "halves")


class KilledError(Exception):
    """Stands in for a kill at a chosen write."""


@pytest.mark.parametrize("name", ["metrics.jsonl", "encoder-last.safetensors", "last.safetensors"])
def test_a_run_that_is_stopped_before_a_file_of_its_checkpoint_goes_on(
    images: Crops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    written: list[str] = []

    def failing(path: Path, content: bytes | str, **how: bool) -> None:
        written.append(path.name)
        if written.count(name) == 2:
            raise KilledError
        write_atomically(path, content, **how)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "write_atomically", failing)
        patch.setattr("resight.models.encoder.write_atomically", failing)
        with pytest.raises(KilledError):
            run_to(tmp_path / "stopped", tiny.ice(images), 3)
    run_to(tmp_path / "stopped", tiny.ice(images), 3)
    run_to(tmp_path / "unbroken", tiny.ice(images), 3)
    assert_same_run(tmp_path / "unbroken", tmp_path / "stopped")
