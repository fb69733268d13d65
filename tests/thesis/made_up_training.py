"""Training that takes no time, and the lines of a table that came of it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from resight.data.dataset import Dataset
from resight.records import Report
from resight.training.runs import Run
from resight.training.train import TrainSettings


class MadeUpTraining:
    """In place of `train`: writes what a run leaves, counts its calls and stops where it is told to."""

    def __init__(self, stop: dict[int, BaseException] | None = None) -> None:
        self.calls: list[str] = []
        self.stop = stop or {}

    def __call__(
        self, name: str, dataset: Dataset, settings: Any, options: TrainSettings, *, source: Dataset | None = None
    ) -> Any:
        self.calls.append(options.run)
        run = Run(Path(options.run))
        if len(self.calls) in self.stop:
            raise self.stop[len(self.calls)]
        lines = [{"epoch": 0, "clusters": 10.0 * len(self.calls), "kl": 0.5, "seconds": 30.0}]
        run.write("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        run.write("environment.json", {"weights": {"source": "made up"}})
        scores = {"mAP": 0.111 * len(self.calls), "rank-1": 0.5, "rank-5": 0.6, "rank-10": 0.7}
        reports = {"best": Report(scores), "last": Report(scores)}
        return SimpleNamespace(folder=run.folder, reports=reports, metrics=lines, writes=True)


def of_ours(path: Path, column: str = "Market1501") -> list[dict[str, Any]]:
    return [line for line in json.loads(path.read_text())["lines"] if line["columns"] == column]
