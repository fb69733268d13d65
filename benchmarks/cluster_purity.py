"""Measure how pure clusters are before any training, by what is clustered and how neighbors are listed.

python benchmarks/cluster_purity.py --data market1501=PATH [--start RUN] --result benchmarks/results/NAME.json

Clusters are made of all images of the training part. What is counted are pairs of images that share a cluster and of
which one shows a held-out person: the share that shows one person (precision), and how many of all pairs of one
held-out person share a cluster (recall); for all pairs and for those of two cameras.
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
from resight.data.catalog import load_dataset, parse_spec
from resight.data.crops import load_crops
from resight.data.dataset import split_validation
from resight.methods.labeling import Labeling
from resight.models.encoder import Encoder, load_encoder
from resight.numerics.clustering import ClusterSettings
from resight.numerics.distances import normalize
from resight.retrieval.extraction import pool_crops
from resight.training.train import read_recipe

ONE = ClusterSettings(k1=20, eps=0.5)
WAYS = {
    "after the neck": ("neck", 0.0, ONE),
    "pooled": ("pooled", 0.0, ONE),
    "pooled, whitened 0.2": ("pooled", 0.2, ONE),
    "pooled, whitened 0.4": ("pooled", 0.4, ONE),
    "pooled, whitened 0.6": ("pooled", 0.6, ONE),
    "after the neck, whitened 0.4": ("neck", 0.4, ONE),
    "after the neck, balanced lists": ("neck", 0.0, ClusterSettings(k1=5, k_cross_camera=10, k2=4, eps=0.42)),
    "pooled, whitened 0.4, balanced lists": ("pooled", 0.4, ClusterSettings(k1=5, k_cross_camera=10, k2=4, eps=0.42)),
}
"""What is clustered, the power of its whitening, and how."""


def pairs(labels: np.ndarray, people: np.ndarray, cameras: np.ndarray, held: np.ndarray) -> dict[str, float]:
    """Count the pairs of which the first shows a held-out person."""
    clustered = labels >= 0
    first, second = np.flatnonzero(held & clustered), np.flatnonzero(clustered)
    together = labels[first, None] == labels[second]
    together &= first[:, None] != second
    same = people[first, None] == people[second]
    across = cameras[first, None] != cameras[second]
    own = np.flatnonzero(held)
    true = (people[own, None] == people[own]) & (own[:, None] != own)
    true_across = true & (cameras[own, None] != cameras[own])
    return {
        "precision": float((together & same).sum() / max(1, together.sum())),
        "recall": float((together & same).sum() / true.sum()),
        "precision, two cameras": float((together & same & across).sum() / max(1, (together & across).sum())),
        "recall, two cameras": float((together & same & across).sum() / true_across.sum()),
    }


def main() -> None:
    """Cluster each way and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--start", default="")
    parser.add_argument("--people", type=int, default=60, help="how many to hold out")
    parser.add_argument("--result", type=Path, required=True)
    asked = parser.parse_args()
    dataset = load_dataset(*parse_spec(asked.data))
    held_out = np.unique(split_validation(dataset, asked.people).query.person_ids)
    settings, _ = read_recipe("ice", "site")
    encoder = load_encoder(asked.start) if asked.start else Encoder(settings.encoder)
    images = load_crops(dataset.train, settings.encoder.size)
    pooled = pool_crops(encoder, images, devices=Devices())
    encoder.set_neck_statistics(torch.from_numpy(pooled))
    with torch.inference_mode():
        after = F.normalize(encoder.eval().neck(torch.from_numpy(pooled))).numpy()
    features = {"neck": after, "pooled": normalize(pooled)}
    people, cameras = images.table.person_ids, images.table.camera_ids
    rows = []
    for name, (feature, power, how) in WAYS.items():
        labeling = Labeling(images.table, how, center_cameras=True, whiten=power)
        found = labeling.update(features[feature], Devices())
        counted = pairs(found.labels, people, cameras, np.isin(people, held_out))
        rows.append({"way": name, **{key: round(value, 3) for key, value in (counted | dict(found.quality)).items()}})
        print(json.dumps(rows[-1]), flush=True)
    result = {
        "data": dataset.name,
        "people held out": asked.people,
        "start": Path(asked.start).name if asked.start else "ImageNet",
        "date": date.today().isoformat(),
        "machine": machine(),
        "rows": rows,
    }
    asked.result.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
