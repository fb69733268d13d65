"""The only training loop."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from resight.progress import progress
from resight.records import Report
from resight.runs import Method, Run

logger = logging.getLogger(__name__)

Evaluate = Callable[[Method], Report]


def fit(
    method: Method,
    run: Run,
    *,
    epochs: int,
    evaluate: Evaluate | None = None,
    eval_every: int = 1,
    select: Callable[[dict[str, Any]], float | None] | None = None,
) -> None:
    """Train a method for some epochs, going on where the run folder stopped.

    Args:
        method: What trains.
        run: Where it is written down.
        epochs: How many epochs in all.
        evaluate: Scores the method; called every ``eval_every`` epochs and after the last.
        eval_every: How often.
        select: Gives the number by which the best epoch is chosen, from an epoch's line of metrics; the
            highest wins, the later of equals. The last epoch is the best where it is absent or gives None.
    """
    for epoch in range(run.resume(method), epochs):
        seed_epoch(run.seed, epoch)
        for batch in progress(method.begin_epoch(epoch), f"epoch {epoch + 1} of {epochs}"):
            run.meter(method.step(batch), images=len(batch))
        values = method.end_epoch()
        if evaluate is not None and ((epoch + 1) % eval_every == 0 or epoch + 1 == epochs):
            values |= evaluate(method).scores
        line = run.log(epoch, values)
        logger.info("epoch %d of %d: %s", epoch + 1, epochs, _summary(line))
        run.checkpoint(epoch, method, best=_is_best(run, line, select))


def seed_epoch(seed: int, epoch: int) -> None:
    """Seed every generator from the run's seed and the epoch, so that no state of theirs needs saving."""
    number = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002 - libraries draw from it
    torch.manual_seed(number)


def _is_best(run: Run, line: dict[str, Any], select: Callable[[dict[str, Any]], float | None] | None) -> bool:
    value = select(line) if select else None
    if value is None or select is None:
        return True
    earlier = [select(other) for other in run.metrics() if other["epoch"] < line["epoch"]]
    return value >= max((v for v in earlier if v is not None), default=value)


def _summary(line: dict[str, Any]) -> str:
    shown = ((name, value) for name, value in line.items() if name != "epoch")
    return ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in shown)
