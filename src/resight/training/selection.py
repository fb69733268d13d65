"""Selection of the best epoch of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Select:
    """Rule for selecting the best epoch.

    Attributes:
        number: Returns an epoch's number, given its line of metrics; None if the epoch has none.
        enough: The best epoch is the last one whose number is at least this share of the highest.
    """

    number: Callable[[Mapping[str, Any]], float | None]
    enough: float = 1.0


def _stability(line: Mapping[str, Any]) -> float | None:
    """Return the stability times the coverage of an epoch's clusters; None for an epoch without a predecessor."""
    stability, outliers = line.get("stability"), line.get("outlier_share")
    return None if stability is None or outliers is None else float(stability) * (1 - float(outliers))


def _score(line: Mapping[str, Any]) -> float | None:
    return line.get("mAP")


SELECT: dict[str, Select | None] = {
    # Epochs of a healthy run differ by a few per cent by chance; a run that collapses loses a third or more.
    "stability": Select(_stability, enough=0.9),
    "last": None,
    "validation": Select(_score),
    "test": Select(_score),
}


def is_best(lines: list[dict[str, Any]], line: Mapping[str, Any], select: Select | None) -> bool:
    """Return whether an epoch is the best so far.

    Args:
        lines: The metrics of the run.
        line: The metrics of the epoch.
        select: The rule; without one, every epoch is the best so far.
    """
    if select is None:
        return True
    value = select.number(line)
    numbers = [select.number(other) for other in lines if other["epoch"] < line["epoch"]]
    highest = max((number for number in numbers if number is not None), default=None)
    if value is None or highest is None:
        return highest is None
    return value >= highest - (1 - select.enough) * abs(highest)
