"""Train ICE with and without its two instance losses, camera-aware and camera-agnostic, on one budget (Table 6.6).

python benchmarks/ice_ablation.py --data market1501=PATH --epochs 6 --iterations 60

Scores are those of 60 people held out of the training part. A run that was killed is continued.
"""

import argparse
import json
from pathlib import Path

import resight

ROWS = {"neither": (0, 0), "hard": (1, 0), "soft": (0, 10), "both": (1, 10)}


def main() -> None:
    """Run the eight trainings and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("local/ice-ablation"))
    parser.add_argument("--result", type=Path, default=Path("benchmarks/results/ice-ablation.json"))
    asked = parser.parse_args()
    name, _, root = asked.data.partition("=")
    data = resight.load_dataset(name, root)
    rows = []
    for memory, aware in (("camera-aware", "true"), ("camera-agnostic", "false")):
        for row, (hard, soft) in ROWS.items():
            flags = [
                f"--camera_aware={aware}",
                f"--hard_weight={hard}",
                f"--soft_weight={soft}",
                f"--epochs={asked.epochs}",
                f"--iterations={asked.iterations}",
                f"--seed={asked.seed}",
                "--validation_people=60",
                "--select=last",
                f"--run={asked.runs}/{memory}-{row}-{asked.seed}",
            ]
            trained = resight.train("ice", data, *resight.read_recipe("ice", "site", *flags))
            line = trained.metrics[-1]
            rows.append(
                {
                    "memory": memory,
                    "instance losses": row,
                    **{score: trained.reports["last"].scores[score] for score in ("mAP", "rank-1")},
                    **{name: line[name] for name in ("clusters", "outlier_share", "ari", "kl")},
                }
            )
            print(json.dumps(rows[-1]), flush=True)
            asked.result.parent.mkdir(parents=True, exist_ok=True)
            settings = {
                key: str(value) for key, value in vars(asked).items() if key in ("epochs", "iterations", "seed")
            }
            asked.result.write_text(json.dumps({"data": name, **settings, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
