"""Score a model on data sets that it has not seen: as it is, and with statistics of the gallery.

"With statistics" adapts the batch norm of the neck, "cameras centered" subtracts the mean of each camera.

python benchmarks/transfer.py MODEL RESULT --data market1501=PATH cuhk03np-detected=PATH [--people 150] [--seed 5]

`--people` scores people held out of the training part, for choices; without it the test people are scored, once.
"""

import argparse
import json
from datetime import date
from pathlib import Path

from record import machine

import resight
from resight.data.dataset import Dataset
from resight.data.validation import split_validation
from resight.files import write_atomically
from resight.models.encoder import Encoder


def main() -> None:
    """Score, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("result", type=Path)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--people", type=int, default=0)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    encoder = resight.load_encoder(options.model)
    scores = {}
    for spec in options.data:
        dataset = resight.load_dataset(spec)
        if options.people:
            dataset = split_validation(dataset, options.people, seed=options.seed)
        adapted = resight.adapt_statistics(encoder, dataset.gallery)
        scores[spec.partition("=")[0]] = {
            "queries": len(dataset.query),
            "gallery": len(dataset.gallery),
            "as it is": score(encoder, dataset),
            "with statistics": score(adapted, dataset),
            "cameras centered": score(encoder, dataset, center=True),
        }
        print(spec, scores[spec.partition("=")[0]], flush=True)
    names = " ".join(f"{spec.partition('=')[0]}={Path(spec.partition('=')[2]).name}" for spec in options.data)
    people = f" --people {options.people} --seed {options.seed}" if options.people else ""
    result = {
        "what": f"mAP, Rank-1 and Rank-5 on {'held-out' if options.people else 'test'} people of sets never seen",
        "command": f"python benchmarks/transfer.py {Path(options.model).name} RESULT --data {names}{people}",
        "model": encoder.digest(),
        "date": date.today().isoformat(),
        "machine": machine(),
        "scores": scores,
    }
    options.result.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.result, json.dumps(result, indent=1) + "\n")


def score(encoder: Encoder, dataset: Dataset, *, center: bool = False) -> dict[str, float]:
    """Return the scores of an encoder, in percent."""
    queries, gallery = (resight.extract(encoder, table) for table in (dataset.query, dataset.gallery))
    if center:
        queries, gallery = (resight.center_cameras(side, gallery) for side in (queries, gallery))
    report = resight.evaluate(queries, gallery, exclude=dataset.exclude, distractor_id=dataset.distractor_id)
    return {name: round(100 * report.scores[name], 1) for name in ("mAP", "rank-1", "rank-5")}


if __name__ == "__main__":
    main()
