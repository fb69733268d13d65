"""Score a color histogram in horizontal stripes: what clothes alone tell, without any network.

python benchmarks/color_histogram.py market1501=PATH benchmarks/results/baselines/color-histogram.json
"""

import argparse
import json
import platform
from datetime import date
from pathlib import Path

import numpy as np

import resight
from resight.data.image_store import load_images
from resight.synthetic import stripe_histogram

SIZE = (128, 64)


def main() -> None:
    """Score it and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("result", type=Path)
    options = parser.parse_args()
    dataset = resight.load_dataset(options.data)
    queries, gallery = (
        resight.Features(table, stripe_histogram(load_images(table, SIZE).pixels), "stripe histogram")
        for table in (dataset.query, dataset.gallery)
    )
    report = resight.evaluate(queries, gallery, exclude=dataset.exclude, distractor_id=dataset.distractor_id)
    result = {
        "what": "HSV histograms of six horizontal stripes of each image, compared by Euclidean distance",
        "command": f"python benchmarks/color_histogram.py market1501={dataset.root.name}",
        "date": date.today().isoformat(),
        "environment": {"python": platform.python_version(), "numpy": np.__version__, "resight": resight.__version__},
        "notes": list(dataset.notes),
        "scores": dict(report.scores),
    }
    options.result.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
