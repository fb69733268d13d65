"""Compare the ways to make a vector of a tracklet on one encoder: which frames, how they are pooled, which distance.

python benchmarks/scr_tracklets.py RUN --data synthetic=PATH --command "resight train scr ..."

Every frame is embedded once; what differs between the rows is only what becomes of the vectors (thesis, Table 3.5).
"""

import argparse
import json
from pathlib import Path

import numpy as np
from record import about

from resight.data.catalog import load_dataset, parse_spec
from resight.data.tracklets import TrackletSettings, pool_tracklets
from resight.models.encoder import load_encoder
from resight.retrieval.evaluation import evaluate
from resight.retrieval.extraction import extract

WAYS = [("mean", "sum"), ("max", "sum"), ("tpp", "sum"), ("tpp", "concatenated")]


def main() -> None:
    """Score every way and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--command", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--frames", type=int, nargs="+", default=[15])
    parser.add_argument("--note", action="append", default=[])
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--result", type=Path, default=Path("benchmarks/results/scr/tracklets.json"))
    asked = parser.parse_args()
    data = load_dataset(*parse_spec(asked.data))
    encoder = load_encoder(asked.run)
    sides = [extract(encoder, side, flip=True, cache=asked.cache) for side in (data.query, data.gallery)]
    rows = []
    for frames in asked.frames:
        for pooling, distance in WAYS:
            for sampling in ("even", "random", "restricted"):
                scored = []
                seeds = asked.seeds[:1] if sampling == "even" else asked.seeds
                for seed in seeds:
                    way = TrackletSettings(frames, sampling, pooling, distance, seed)
                    pooled = [pool_tracklets(side, pooling, chosen=way.choose(side.table)) for side in sides]
                    report = evaluate(
                        *pooled, exclude=data.exclude, distractor_id=data.distractor_id, distance_fn=way.distance_fn
                    )
                    scored.append({score: report.scores[score] for score in ("mAP", "rank-1")})
                row = {"frames": frames, "sampling": sampling, "pooling": pooling}
                row |= {"distance": distance} if pooling == "tpp" else {}
                means = {score: float(np.mean([one[score] for one in scored])) for score in scored[0]}
                rows.append({**row, **means, "seeds": dict(zip(map(str, seeds), scored, strict=True))})
                print(json.dumps(rows[-1]), flush=True)
    counts = {split: {"images": len(table), "tracklets": data.counts[split][0]} for split, table in data.tables.items()}
    made = {"command": asked.command, **about(asked.run), "notes": asked.note, "data": counts}
    asked.result.write_text(json.dumps({**made, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
