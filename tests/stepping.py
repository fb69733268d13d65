"""Steps and epochs of any method, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from resight.training.runs import Run
from resight.training.train import fit

AnyMethod = TypeVar("AnyMethod", bound=Any)


def steps(method: Any, *epochs: int) -> list[dict[str, float]]:
    """Return the losses of all steps of some epochs, by default of the first."""
    return [
        {name: float(value) for name, value in method.step(batch).items()}
        for epoch in epochs or (0,)
        for batch in method.begin_epoch(epoch)
    ]


def run_to(folder: Path, method: AnyMethod, epochs: int) -> AnyMethod:
    """Train a method in a run folder up to a number of epochs, and return it."""
    fit(method, Run(folder, seed=3), epochs=epochs)
    return method
