"""The loop: what it draws from, when it scores, and which epoch it takes for the best."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from resight.records import Report
from resight.training.runs import Run
from resight.training.selection import Select
from resight.training.train import fit


class Watched:
    """A method that learns nothing; it notes what the generators give as an epoch begins."""

    parts: Mapping[str, Any] = {}

    def __init__(self) -> None:
        self.drawn: list[tuple[float, ...]] = []

    @property
    def encoder(self) -> Any:
        return self

    def dump(self) -> bytes:
        return str(len(self.drawn)).encode()

    def begin_epoch(self, epoch: int) -> Iterator[list[int]]:
        legacy = float(np.random.random())  # noqa: NPY002  (what libraries draw from)
        self.drawn.append((random.random(), legacy, float(torch.rand(()))))
        yield from ([0, 1], [2, 3, 4])

    def step(self, batch: list[int]) -> dict[str, torch.Tensor]:
        return {"loss/rows": torch.tensor(float(sum(batch)))}

    def end_epoch(self) -> dict[str, float]:
        return {"begun": float(len(self.drawn))}


def drawn(folder: Path, seed: int, *stops: int) -> list[tuple[float, ...]]:
    found = []
    for epochs in stops:
        method: Any = Watched()
        fit(method, Run(folder, seed=seed), epochs=epochs)
        found += method.drawn
    return found


def test_every_generator_is_seeded_by_the_seed_and_the_epoch(tmp_path: Path) -> None:
    random.seed(5)
    once = drawn(tmp_path / "a", 3, 4)
    random.seed(6), torch.manual_seed(6)
    assert drawn(tmp_path / "b", 3, 2, 4) == once, "a run that goes on draws what it would have drawn"
    assert len(once) == 4
    others = drawn(tmp_path / "c", 4, 4)
    for generator in range(3):
        assert len({numbers[generator] for numbers in [*once, *others]}) == 8


@pytest.mark.parametrize(("every", "scored"), [(0, []), (1, [0, 1, 2, 3, 4]), (2, [1, 3]), (3, [2]), (9, [])])
def test_scores_come_every_so_many_epochs(every: int, scored: list[int], tmp_path: Path) -> None:
    method: Any = Watched()
    run = Run(tmp_path)
    fit(method, run, epochs=5, evaluate=lambda _: Report({"mAP": len(method.drawn) / 10}, {}, {}), eval_every=every)
    lines = run.metrics()
    assert [line["epoch"] for line in lines] == [0, 1, 2, 3, 4]
    assert {line["epoch"]: line["mAP"] for line in lines if "mAP" in line} == {e: (e + 1) / 10 for e in scored}


def test_a_line_of_metrics_has_the_epochs_mean_losses_and_numbers(tmp_path: Path) -> None:
    method: Any = Watched()
    run = Run(tmp_path)
    fit(method, run, epochs=2)
    for epoch, line in enumerate(run.metrics()):
        assert line["loss/rows"] == pytest.approx((1 + 9) / 2)
        assert line["begun"] == epoch + 1


@pytest.mark.parametrize(("enough", "best"), [(1.0, 2), (0.5, 3), (0.4, 4)])
def test_the_best_epoch_is_the_last_with_enough_of_the_highest_number(enough: float, best: int, tmp_path: Path) -> None:
    """The third has exactly half of the second, the fourth a little less, the fifth nothing."""
    numbers = [0.3, 0.8, 0.4, 0.35, -0.1]
    select = Select(lambda line: numbers[line["epoch"]], enough=enough)
    method: Any = Watched()
    fit(method, Run(tmp_path), epochs=5, select=select)
    assert (tmp_path / "encoder-best.safetensors").read_text() == str(best)
