"""Train ICE with and without its two instance losses, camera-aware and camera-agnostic, on a small budget (Table 6.6).

python benchmarks/ice_ablation.py --data market1501=PATH --epochs 6 --iterations 60

Everything else is the recipe `site` at the time of the table (`PINNED`). Scores are those of 60 people held out of the
training part. Rerun the same command to resume; finished runs are not repeated.
"""

import argparse
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from record import provenance

import resight
from resight.config.settings import settings_of
from resight.methods.ice_settings import VARIANTS, ICESettings
from resight.training.train import TrainSettings

ROWS = {"neither": (0, 0), "hard": (1, 0), "soft": (0, 10), "both": (1, 10)}
PINNED: dict[str, Any] = {
    "cluster_feature": "neck",
    "whiten": 0,
    "encoder": {"neck_statistics": "dataset", "weights": "imagenet"},
    "device": {"training": "float32"},
    "validation_people": 60,
    "select": "last",
}
"""What has changed since: clusters came from features after the neck, the neck had the statistics of all images, and
training on a CPU was in float32. `site` started from ImageNet's weights."""


def row_settings(camera_aware: bool, losses: str) -> dict[str, Any]:
    """Return what a row changes in the recipe `site`."""
    hard, soft = ROWS[losses]
    return {**PINNED, "camera_aware": camera_aware, "hard_weight": hard, "soft_weight": soft}


def resolve(changes: Mapping[str, Any]) -> tuple[TrainSettings, ICESettings]:
    """Return every setting of the training and of ICE."""
    options, settings = settings_of([TrainSettings, ICESettings], changes, recipe="site", variants=VARIANTS)
    return options, settings


def main() -> None:
    """Run the eight trainings and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("local/ice-ablation"))
    parser.add_argument("--result", type=Path, default=Path("benchmarks/results/ice/ablation.json"))
    arguments = parser.parse_args()
    budget = {"epochs": arguments.epochs, "iterations": arguments.iterations, "seed": arguments.seed}
    rows = []
    for memory, camera_aware in (("camera-aware", True), ("camera-agnostic", False)):
        for losses in ROWS:
            run = arguments.runs / f"{memory}-{losses}-{arguments.seed}"
            changes = {**row_settings(camera_aware, losses), **budget}
            trained = resight.train("ice", arguments.data, recipe="site", run=str(run), **changes)
            last, scores = trained.metrics[-1], trained.reports["last"].scores
            row = {"memory": memory, "instance losses": losses, "mAP": scores["mAP"], "rank-1": scores["rank-1"]}
            rows.append(row | {key: last[key] for key in ("clusters", "outlier_share", "ari", "kl")})
            print(json.dumps(rows[-1]), flush=True)
            start = {score: trained.reports["before"].scores[score] for score in ("mAP", "rank-1")}
            result = {
                "data": arguments.data.partition("=")[0],
                "scored": "60 people held out of the training part",
                **budget,
                "start": start,
            }
            result |= {
                "rows": rows,
                **provenance(run),
                "settings of the last row": dataclasses.asdict(resolve(changes)[1]),
            }
            arguments.result.parent.mkdir(parents=True, exist_ok=True)
            arguments.result.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
