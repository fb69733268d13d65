"""Score a model on drawn people, by what they are like and wear: for the card of the model of the installation.

python benchmarks/drawn_groups.py MODEL FOLDER benchmarks/results/synthetic/groups.json [--sites 4] [--people 150]

Only drawn people come with the truth about their skin, body and clothes. What the drawing leaves out, nothing here can
measure: faces, gaits of the old and of children, and clothes that it does not draw.
"""

import argparse
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from record import machine

import resight
from resight.files import write_atomically
from resight.synthetic import SyntheticSettings, synthesize

BOOTSTRAPS = 1000
LUMA = np.array([0.299, 0.587, 0.114])

Person = dict[str, Any]
GROUPS: dict[str, Callable[[Person], float | str]] = {
    "skin, dark to light": lambda person: float(np.dot(person["skin"], LUMA)),
    "gender, female to male": lambda person: person["build"]["gender"],
    "age, young to old": lambda person: person["build"]["age"],
    "weight, low to high": lambda person: person["build"]["weight"],
    "height, short to tall": lambda person: person["build"]["height"],
    "upper clothes, dark to light": lambda person: float(np.dot(person["upper"], LUMA)),
    "upper clothes, gray to colorful": lambda person: max(person["upper"]) - min(person["upper"]),
    "pattern": lambda person: person["pattern"],
    "lower clothes": lambda person: person["lower"],
    "bag": lambda person: person["bag"],
    "hat": lambda person: "none" if person["hat"] == "none" else "any",
}
"""What people are grouped by: words as they are, numbers in thirds."""


def main() -> None:
    """Draw, score, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--sites", type=int, default=4)
    parser.add_argument("--people", type=int, default=150)
    parser.add_argument("--seed", type=int, default=20_261)
    options = parser.parse_args()
    encoder = resight.load_encoder(options.model)
    people, precisions = list[Person](), list[float]()
    for site in range(options.sites):
        settings = SyntheticSettings(
            people_train=1, people_test=options.people, seed=options.seed + site, variation=1.5, silhouettes=False
        )
        root = options.folder / f"site-{site}"
        if not root.is_dir():
            synthesize(root, settings=settings)
        dataset = resight.load_dataset("market1501", root)
        queries, gallery = (resight.extract(encoder, table) for table in (dataset.query, dataset.gallery))
        report = resight.evaluate(queries, gallery, exclude=dataset.exclude, distractor_id=dataset.distractor_id)
        drawn = json.loads((root / "people.json").read_text())
        scored = report.per_query["average_precision"]
        ids = queries.table.person_ids
        for person in np.unique(ids):  # a person counts once, however many cameras see them
            people.append(drawn[str(person)])
            precisions.append(float(np.nanmean(scored[ids == person])))
    result = {
        "what": "mAP in percent on drawn people whom the model has not seen, with 95 % intervals over people",
        "command": f"python benchmarks/drawn_groups.py {Path(options.model).name} FOLDER RESULT "
        f"--sites {options.sites} --people {options.people} --seed {options.seed}",
        "model": encoder.digest(),
        "date": date.today().isoformat(),
        "machine": machine(),
        "people": len(people),
        "mAP": interval(np.array(precisions)),
        "groups": {name: by_group(people, np.array(precisions), value) for name, value in GROUPS.items()},
    }
    options.result.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.result, json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["groups"], indent=1))


def by_group(people: list[Person], precisions: np.ndarray, value: Callable[[Person], float | str]) -> dict[str, Any]:
    """Return each group's interval."""
    values = np.array([value(person) for person in people])
    if values.dtype.kind != "f":
        return {str(word): interval(precisions[values == word]) for word in np.unique(values)}
    third = np.searchsorted(np.quantile(values, [1 / 3, 2 / 3]), values)
    return {name: interval(precisions[third == number]) for number, name in enumerate(("first", "second", "last"))}


def interval(precisions: np.ndarray) -> dict[str, float]:
    """Return the mean over people and its 95 % interval, by the bootstrap."""
    generator = np.random.default_rng(0)
    drawn = generator.choice(precisions, (BOOTSTRAPS, len(precisions))).mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {
        "people": len(precisions),
        "mAP": round(100 * float(precisions.mean()), 1),
        "low": round(100 * float(low), 1),
        "high": round(100 * float(high), 1),
    }


if __name__ == "__main__":
    main()
