"""The best epoch is chosen by the rule, remembered, and never one of weights that are NaN."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from messages import one_line
from resight.errors import RunError
from resight.records import Report
from resight.training.runs import Run
from resight.training.selection import SELECT
from resight.training.train import fit


class Scripted:
    """A method that learns nothing and ends each epoch with the numbers it was given."""

    parts: Mapping[str, Any] = {}

    def __init__(self, lines: list[dict[str, float]]) -> None:
        self.lines, self.epoch, self.steps = lines, -1, 0

    @property
    def encoder(self):
        return self

    def dump(self) -> bytes:
        return str(self.epoch).encode()

    def begin_epoch(self, epoch: int):
        self.epoch = epoch
        return [[0, 1], [2, 3]]

    def step(self, batch):
        self.steps += 1
        return {"loss/a": torch.tensor(float(self.steps))}

    def end_epoch(self):
        return dict(self.lines[self.epoch])


def best_epoch(folder: Path, select: str, lines: list[dict[str, float]]) -> int:
    fit(Scripted(lines), Run(folder), epochs=len(lines), select=SELECT[select])
    assert (folder / "encoder-last.safetensors").read_text() == str(len(lines) - 1)
    return int((folder / "encoder-best.safetensors").read_text())


def stable(*pairs: tuple[float | None, float]) -> list[dict[str, float]]:
    return [{"outlier_share": share} | ({} if s is None else {"stability": s}) for s, share in pairs]


@pytest.mark.parametrize(
    ("select", "lines", "best"),
    [
        ("last", [{"mAP": 0.9}, {"mAP": 0.1}, {"mAP": 0.5}], 2),
        ("test", [{"mAP": 0.2}, {"mAP": 0.7}, {"mAP": 0.5}], 1),
        ("validation", [{"mAP": 0.7}, {"mAP": 0.7}, {"mAP": 0.5}], 1),  # the later of equals
        ("test", [{"mAP": 0.7}, {}, {"mAP": 0.5}, {}], 0),  # epochs between, which are not scored
        ("test", [{}, {"mAP": 0.0}, {}], 1),
        ("stability", stable((None, 0.0), (0.9, 0.1), (0.8, 0.1)), 1),  # 11 % less
        ("stability", stable((None, 0.0), (0.9, 0.1), (0.82, 0.1)), 2),  # 9 % less: the later one
        ("stability", stable((None, 0.0), (0.9, 0.1), (0.82, 0.1), (0.8, 0.1)), 2),  # of the highest, not of the kept
        ("stability", stable((None, 0.0), (-0.01, 0.1), (-0.02, 0.1)), 1),
        ("stability", stable((None, 0.0), (0.9, 0.5), (0.8, 0.1)), 2),  # outliers count against an epoch
        ("stability", stable((None, 0.0), (None, 0.0), (None, 0.0)), 2),  # nothing to choose by: the last
    ],
)
def test_the_best_epoch_is_chosen_by_the_rule(
    select: str, lines: list[dict[str, float]], best: int, tmp_path: Path
) -> None:
    assert best_epoch(tmp_path, select, lines) == best


def test_the_best_epoch_is_remembered_over_a_restart(tmp_path: Path) -> None:
    lines = [{"mAP": 0.9}, {"mAP": 0.4}, {"mAP": 0.5}]
    for epochs in (1, 2, 3):
        fit(Scripted(lines), Run(tmp_path), epochs=epochs, select=SELECT["test"])
    assert (tmp_path / "encoder-best.safetensors").read_text() == "0"
    assert [line["epoch"] for line in Run(tmp_path).metrics()] == [0, 1, 2]


def test_weights_that_are_nan_after_the_last_step_stop_before_they_are_scored(tmp_path: Path) -> None:
    class Poisoned(Scripted):
        @property
        def parts(self):
            network = torch.nn.Linear(1, 1)
            if self.epoch == 1:
                network.weight.data.fill_(float("inf"))
            return {"network": network}

    scored: list[int] = []
    method = Poisoned([{}] * 3)
    with pytest.raises(RunError, match=r"'network' became nan or infinite .* lower the learning rate") as error:
        fit(method, Run(tmp_path), epochs=3, eval_every=1, evaluate=lambda _: scored.append(method.epoch) or Report({}))
    one_line(error)
    assert scored == [0]
    assert [line["epoch"] for line in Run(tmp_path).metrics()] == [0]
    assert Run(tmp_path).resume(Poisoned([])) == 1


def test_a_loss_that_is_nan_stops_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    class Broken(Scripted):
        def step(self, batch):
            return {"loss/a": torch.tensor(float("nan") if self.epoch == 1 else 1.0)}

    with pytest.raises(RunError, match="loss/a became nan") as error:
        fit(Broken([{}] * 3), Run(tmp_path), epochs=3)
    one_line(error)
    assert [line["epoch"] for line in Run(tmp_path).metrics()] == [0]
    assert Run(tmp_path).resume(Scripted([])) == 1
