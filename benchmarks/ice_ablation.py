"""Train ICE with and without its two instance losses, camera-aware and camera-agnostic, on a small budget (Table 6.6).

python benchmarks/ice_ablation.py --data market1501=PATH --epochs 6 --iterations 60

Everything else is the recipe `site` at the time of the table (`PINNED`). Scores are those of 60 people held out of the
training part. Rerun the same command to resume; finished runs are not repeated.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from record import provenance

import resight

ROWS = {"neither": (0, 0), "hard": (1, 0), "soft": (0, 10), "both": (1, 10)}
PINNED = (
    "--cluster_feature=neck",
    "--whiten=0",
    "--encoder.neck_statistics=dataset",
    "--device.training=float32",
    "--validation_people=60",
    "--select=last",
)
"""What has changed since: clusters came from features after the neck, the neck had the statistics of all images, and
training on a CPU was in float32."""


def read_row(camera_aware: bool, losses: str, *flags: str) -> tuple[Any, Any]:
    """Return the settings of a row: those of ICE and those of the training."""
    hard, soft = ROWS[losses]
    overrides = [f"--camera_aware={str(camera_aware).lower()}", f"--hard_weight={hard}", f"--soft_weight={soft}"]
    return resight.read_recipe("ice", "site", *PINNED, *overrides, *flags)


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
    name, _, root = arguments.data.partition("=")
    data = resight.load_dataset(name, root)
    budget = {"epochs": arguments.epochs, "iterations": arguments.iterations, "seed": arguments.seed}
    rows = []
    for memory, camera_aware in (("camera-aware", True), ("camera-agnostic", False)):
        for losses in ROWS:
            run = arguments.runs / f"{memory}-{losses}-{arguments.seed}"
            flags = [f"--{key}={value}" for key, value in budget.items()]
            settings, options = read_row(camera_aware, losses, f"--run={run}", *flags)
            trained = resight.train("ice", data, settings, options)
            last, scores = trained.metrics[-1], trained.reports["last"].scores
            row = {"memory": memory, "instance losses": losses, "mAP": scores["mAP"], "rank-1": scores["rank-1"]}
            rows.append(row | {key: last[key] for key in ("clusters", "outlier_share", "ari", "kl")})
            print(json.dumps(rows[-1]), flush=True)
            start = {score: trained.reports["before"].scores[score] for score in ("mAP", "rank-1")}
            result = {"data": name, "scored": "60 people held out of the training part", **budget, "start": start}
            result |= {"rows": rows, **provenance(run), "settings of the last row": dataclasses.asdict(settings)}
            arguments.result.parent.mkdir(parents=True, exist_ok=True)
            arguments.result.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
