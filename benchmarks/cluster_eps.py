"""Compare `cluster.eps: auto` with each eps of its grid, against the true people.

resight extract synthetic --data market1501=PATH --split train --out market1501-synthetic.npz
python benchmarks/cluster_eps.py benchmarks/results/cluster_eps/NAME.json market1501-synthetic.npz ...

Each file is clustered as it is, and with each camera's mean removed and the spectrum flattened as in the recipe `site`.
"All images" counts an image in no cluster as one alone; the other numbers are of the clustered images.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from record import machine

from resight.methods.labeling import centered
from resight.numerics.cluster_quality import agreement, cluster_quality
from resight.numerics.clustering import dbscan
from resight.numerics.distances import normalize, whiten
from resight.numerics.eps import GRID, STEP, stable_eps
from resight.numerics.jaccard import jaccard_graph
from resight.records import Floats, ImageTable
from resight.retrieval.feature_files import load_features

K1, MIN_SAMPLES, WHITEN = 20, 4, 0.4


def measure(embeddings: Floats, table: ImageTable) -> dict[str, Any]:
    """Return what auto chooses, the numbers at each eps, and the seconds."""
    clock = [time.perf_counter()]
    graph = jaccard_graph(embeddings, k1=K1, limit=(GRID[-1] + STEP) * (1 + 1e-6))
    stable_eps(graph, MIN_SAMPLES), dbscan(graph, GRID[-1], MIN_SAMPLES)  # compiles
    clock = [time.perf_counter()]
    auto = stable_eps(graph, MIN_SAMPLES)
    clock.append(time.perf_counter())
    dbscan(graph, GRID[-1], MIN_SAMPLES)
    clock.append(time.perf_counter())
    rows = []
    for eps in GRID:
        labels = dbscan(graph, eps, MIN_SAMPLES)
        quality = cluster_quality(labels, table.person_ids)
        alone = np.where(labels < 0, len(labels) + np.arange(len(labels)), labels)
        everybody = agreement(alone, table.person_ids)
        rows.append(
            {
                "eps": eps,
                "clusters": int(quality["clusters"]),
                **{name: round(quality[name], 3) for name in ("outlier_share", "largest_share", "ari", "pairwise_f")},
                "pairwise F, all images": round(everybody.pairwise_f, 3),
                "BCubed F, all images": round(everybody.bcubed_f, 3),
            }
        )
    seconds = {"stable_eps": round(clock[1] - clock[0], 4), "one DBSCAN, eps 0.7": round(clock[2] - clock[1], 4)}
    return {"auto": auto, "seconds": seconds, "rows": rows}


def main() -> None:
    """Measure every file and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("features", type=Path, nargs="+")
    arguments = parser.parse_args()
    sets = []
    for path in arguments.features:
        features = load_features(path).features
        table, embeddings = features.table, features.embeddings
        ways = {"plain": embeddings, "as in site": normalize(whiten(centered(embeddings, table), WHITEN))}
        for way, vectors in ways.items():
            people = len(np.unique(table.person_ids))
            sets.append(
                {"features": path.stem, "way": way, "images": len(table), "people": people} | measure(vectors, table)
            )
            print(json.dumps(sets[-1]), flush=True)
    result = {
        "settings": {"k1": K1, "k2": 6, "min_samples": MIN_SAMPLES, "whiten, as in site": WHITEN},
        "date": date.today().isoformat(),
        "machine": machine(),
        "sets": sets,
    }
    arguments.result.parent.mkdir(parents=True, exist_ok=True)
    arguments.result.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
