"""Compare ways to embed a tracklet with one encoder: which frames, which pooling, which distance.

python benchmarks/scr_tracklets.py RUN --data synthetic=PATH --command "resight train scr ..."

Every frame is embedded once. The rows differ only in what they do with the embeddings (thesis, Table 3.5).
"""

import argparse
import json
from pathlib import Path

import numpy as np
from record import provenance

from resight.data.catalog import load_dataset, parse_spec
from resight.data.tracklets import TrackletSettings, pool_tracklets
from resight.models.encoder import load_encoder
from resight.retrieval.evaluation import evaluate
from resight.retrieval.extraction import extract

NAMES = ("mAP", "rank-1")
ROWS = [("mean", "sum"), ("max", "sum"), ("tpp", "sum"), ("tpp", "concatenated")]


def main() -> None:
    """Score every row and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--command", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--frames", type=int, nargs="+", default=[15])
    parser.add_argument("--note", action="append", default=[])
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--result", type=Path, default=Path("benchmarks/results/scr/tracklets.json"))
    arguments = parser.parse_args()
    data = load_dataset(*parse_spec(arguments.data))
    encoder = load_encoder(arguments.run)
    sides = [extract(encoder, side, flip=True, cache=arguments.cache) for side in (data.query, data.gallery)]
    rows = []
    for frames in arguments.frames:
        for pooling, distance in ROWS:
            for sampling in ("even", "random", "restricted"):
                scores_by_seed = []
                seeds = arguments.seeds[:1] if sampling == "even" else arguments.seeds
                for seed in seeds:
                    settings = TrackletSettings(frames, sampling, pooling, distance, seed)
                    pooled = [pool_tracklets(side, pooling, chosen=settings.choose(side.table)) for side in sides]
                    report = evaluate(
                        *pooled,
                        exclude=data.exclude,
                        distractor_id=data.distractor_id,
                        distance_fn=settings.distance_fn,
                    )
                    scores_by_seed.append({name: report.scores[name] for name in NAMES})
                row = {"frames": frames, "sampling": sampling, "pooling": pooling}
                row |= {"distance": distance} if pooling == "tpp" else {}
                means = {
                    name: float(np.mean([scores[name] for scores in scores_by_seed])) for name in ("mAP", "rank-1")
                }
                rows.append({**row, **means, "seeds": dict(zip(map(str, seeds), scores_by_seed, strict=True))})
                print(json.dumps(rows[-1]), flush=True)
    counts = {split: {"images": len(table), "tracklets": data.counts[split][0]} for split, table in data.tables.items()}
    result = {"command": arguments.command, **provenance(arguments.run), "notes": arguments.note, "data": counts}
    arguments.result.write_text(json.dumps({**result, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
