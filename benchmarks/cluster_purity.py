"""Measure how pure clusters are before any training, by the clustered features and the neighbor lists.

python benchmarks/cluster_purity.py --data market1501=PATH [--from MODEL] --result benchmarks/results/ice/NAME.json

All images of the training part are clustered. Counted are the pairs of images that share a cluster and include a
held-out person. Precision is the share of them that shows one person; recall is the share of all pairs of one held-out
person that share a cluster. Both are counted for all pairs and for those of two cameras.
"""

from __future__ import annotations

import argparse
import json
from datetime import date
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from record import machine

from resight.compute.devices import Devices
from resight.config.settings import settings_of
from resight.data.catalog import load_dataset, parse_spec
from resight.data.crops import load_crops
from resight.data.validation import split_validation
from resight.methods.ice_settings import ICESettings
from resight.methods.labeling import Labeling
from resight.models.encoder import Encoder, load_encoder
from resight.numerics.clustering import ClusterSettings
from resight.numerics.distances import normalize
from resight.retrieval.extraction import embed_crops

SINGLE_LIST = ClusterSettings(k1=20, eps=0.5)
ROWS = {
    "after the neck": ("neck", 0.0, SINGLE_LIST),
    "pooled": ("pooled", 0.0, SINGLE_LIST),
    "pooled, whitened 0.2": ("pooled", 0.2, SINGLE_LIST),
    "pooled, whitened 0.4": ("pooled", 0.4, SINGLE_LIST),
    "pooled, whitened 0.6": ("pooled", 0.6, SINGLE_LIST),
    "after the neck, whitened 0.4": ("neck", 0.4, SINGLE_LIST),
    "after the neck, balanced lists": ("neck", 0.0, ClusterSettings(k1=5, k_cross_camera=10, k2=4, eps=0.42)),
    "pooled, whitened 0.4, balanced lists": ("pooled", 0.4, ClusterSettings(k1=5, k_cross_camera=10, k2=4, eps=0.42)),
}
"""The clustered features, the power of their whitening, and the clustering."""


def count_pairs(labels: np.ndarray, people: np.ndarray, cameras: np.ndarray, held_out: np.ndarray) -> dict[str, float]:
    """Count the pairs whose first image shows a held-out person."""
    clustered = labels >= 0
    first, second = np.flatnonzero(held_out & clustered), np.flatnonzero(clustered)
    together = labels[first, None] == labels[second]
    together &= first[:, None] != second
    same = people[first, None] == people[second]
    across = cameras[first, None] != cameras[second]
    rows = np.flatnonzero(held_out)
    true = (people[rows, None] == people[rows]) & (rows[:, None] != rows)
    true_across = true & (cameras[rows, None] != cameras[rows])
    return {
        "precision": float((together & same).sum() / max(1, together.sum())),
        "recall": float((together & same).sum() / true.sum()),
        "precision, two cameras": float((together & same & across).sum() / max(1, (together & across).sum())),
        "recall, two cameras": float((together & same & across).sum() / true_across.sum()),
    }


def main() -> None:
    """Compute every row and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--from", dest="model", default="")
    parser.add_argument("--people", type=int, default=60, help="number of people to hold out")
    parser.add_argument("--result", type=Path, required=True)
    arguments = parser.parse_args()
    dataset = load_dataset(*parse_spec(arguments.data))
    held_out = np.unique(split_validation(dataset, arguments.people).query.person_ids)
    (settings,) = settings_of([ICESettings], {}, recipe="site")
    encoder = load_encoder(arguments.model) if arguments.model else Encoder(settings.encoder)
    images = load_crops(dataset.train, settings.encoder.size)
    pooled = embed_crops(encoder, images, devices=Devices(), raw=True)
    encoder.standardize(torch.from_numpy(pooled))
    with torch.inference_mode():
        after = F.normalize(encoder.eval().neck(torch.from_numpy(pooled))).numpy()
    features = {"neck": after, "pooled": normalize(pooled)}
    people, cameras = images.table.person_ids, images.table.camera_ids
    rows = []
    for name, (feature, power, clustering) in ROWS.items():
        labeling = Labeling(images.table, clustering, center_cameras=True, whiten=power)
        pseudo_labels = labeling.update(features[feature], Devices())
        counts = count_pairs(pseudo_labels.labels, people, cameras, np.isin(people, held_out))
        values = {key: round(value, 3) for key, value in (counts | dict(pseudo_labels.quality)).items()}
        rows.append({"way": name, **values})
        print(json.dumps(rows[-1]), flush=True)
    result = {
        "data": dataset.name,
        "people held out": arguments.people,
        "start": Path(arguments.model).name if arguments.model else "ImageNet",
        "date": date.today().isoformat(),
        "machine": machine(),
        "rows": rows,
    }
    arguments.result.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
