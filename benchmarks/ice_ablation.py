"""Train ICE with and without its two instance losses, camera-aware and camera-agnostic, on one budget (Table 6.6).

python benchmarks/ice_ablation.py --data market1501=PATH --epochs 6 --iterations 60

Everything else is the recipe `site` as it was when the table was made (`PINNED`). Scores are those of 60 people held
out of the training part. A run that was killed is continued, and one that is done is not done again.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from record import about

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
"""What has changed since: clusters came from features after the neck, which had the statistics of all images, and
training on a CPU was in float32."""


def read_row(aware: bool, losses: str, *flags: str) -> tuple[Any, Any]:
    """Give the settings of a row: ICE's, and what surrounds it."""
    hard, soft = ROWS[losses]
    own = [f"--camera_aware={str(aware).lower()}", f"--hard_weight={hard}", f"--soft_weight={soft}"]
    return resight.read_recipe("ice", "site", *PINNED, *own, *flags)


def main() -> None:
    """Run the eight trainings and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("local/ice-ablation"))
    parser.add_argument("--result", type=Path, default=Path("benchmarks/results/ice/ablation.json"))
    asked = parser.parse_args()
    name, _, root = asked.data.partition("=")
    data = resight.load_dataset(name, root)
    budget = {"epochs": asked.epochs, "iterations": asked.iterations, "seed": asked.seed}
    rows = []
    for memory, aware in (("camera-aware", True), ("camera-agnostic", False)):
        for losses in ROWS:
            run = asked.runs / f"{memory}-{losses}-{asked.seed}"
            flags = [f"--{key}={value}" for key, value in budget.items()]
            settings, options = read_row(aware, losses, f"--run={run}", *flags)
            trained = resight.train("ice", data, settings, options)
            last, scores = trained.metrics[-1], trained.reports["last"].scores
            row = {"memory": memory, "instance losses": losses, "mAP": scores["mAP"], "rank-1": scores["rank-1"]}
            rows.append(row | {key: last[key] for key in ("clusters", "outlier_share", "ari", "kl")})
            print(json.dumps(rows[-1]), flush=True)
            start = {score: trained.reports["before"].scores[score] for score in ("mAP", "rank-1")}
            result = {"data": name, "scored": "60 people held out of the training part", **budget, "start": start}
            result |= {"rows": rows, **about(run), "settings of the last row": dataclasses.asdict(settings)}
            asked.result.parent.mkdir(parents=True, exist_ok=True)
            asked.result.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
