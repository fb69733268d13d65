"""Score runs on drawn people: all queries, and queries from the front with a gallery from behind.

python benchmarks/view_angles.py RESULT --data DRAWN RUN [RUN ...]

Every image of the test people is used: those that face the camera, by up to 60 degrees, are the queries, and those that
turn their back, by as much, are the gallery. Images of the query's own camera do not count, as everywhere.
"""

import argparse
import csv
import json
import math
from datetime import date
from pathlib import Path

import numpy as np
import yaml
from record import PATHS, machine

import resight
from resight.data.dataset import Dataset
from resight.files import write_atomically
from resight.models.encoder import Encoder
from resight.records import ImageTable

WIDEST = math.radians(60)
"""The largest angle to the front, or to the back."""


def main() -> None:
    """Score, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    dataset = resight.load_dataset(f"synthetic={options.data}")
    front, back = split_by_view(dataset, read_yaws(options.data))
    rows = {}
    for run in options.runs:
        encoder, metrics = resight.load_encoder(run, which="last"), read_metrics(run)
        rows[run.name] = {
            "settings": read_settings(run),
            "minutes": round(sum(epoch.get("seconds", 0.0) for epoch in metrics) / 60, 1),
            "clusters": [epoch.get("clusters") for epoch in metrics],
            "all": score(encoder, dataset.query, dataset.gallery, dataset),
            "front to back": score(encoder, front, back, dataset),
        }
        print(run.name, {name: rows[run.name][name] for name in ("minutes", "all", "front to back")}, flush=True)
    result = {
        "what": "mAP and Rank-1 of drawn test people: of all queries, and of fronts in a gallery of backs",
        "command": "python benchmarks/view_angles.py RESULT --data DRAWN RUN ...",
        "drawing": json.loads((options.data / "dataset.json").read_text()),
        "date": date.today().isoformat(),
        "machine": machine(),
        "queries": {"all": len(dataset.query), "front": len(front), "back": len(back)},
        "runs": rows,
    }
    options.result.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.result, json.dumps(result, indent=1) + "\n")


def read_yaws(folder: Path) -> dict[str, float]:
    """Return the direction of the person in each image, radians from facing the camera, by the image's name."""
    with (folder / "annotations.csv").open(newline="") as handle:
        return {Path(row["path"]).name: float(row["yaw"]) for row in csv.DictReader(handle)}


def split_by_view(dataset: Dataset, yaws: dict[str, float]) -> tuple[ImageTable, ImageTable]:
    """Return the images of the test people from the front, and those from behind."""
    people = dataset.gallery[dataset.gallery.person_ids > 0]
    images = ImageTable.concatenate(dataset.query, people)
    from_front = np.cos([yaws[Path(path).name] for path in images.paths])
    return images[from_front > math.cos(WIDEST)], images[from_front < -math.cos(WIDEST)]


def score(encoder: Encoder, query: ImageTable, gallery: ImageTable, dataset: Dataset) -> dict[str, float]:
    """Return mAP and Rank-1 in percent."""
    features = (resight.extract(encoder, table) for table in (query, gallery))
    report = resight.evaluate(*features, exclude=dataset.exclude, distractor_id=dataset.distractor_id)
    return {name: round(100 * report.scores[name], 1) for name in ("mAP", "rank-1")}


def read_settings(run: Path) -> dict[str, object]:
    """Return the settings of a run, its paths by their last name only."""
    settings = yaml.safe_load((run / "config.yaml").read_text())
    return {name: Path(str(value)).name if name in PATHS else value for name, value in settings.items()}


def read_metrics(run: Path) -> list[dict[str, float]]:
    """Return what the run measured in each epoch."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


if __name__ == "__main__":
    main()
