"""Measure ranking and clustering compared with the usual alternatives.

python benchmarks/numerics.py --sizes market msmt 100k

Every measurement runs in a process of its own, so its memory peak is its own. The memory of the libraries, of the
embeddings and of the work is reported separately. The matrix product that cannot be avoided is timed in the same run.
Embeddings are made up: people with camera offsets, unit length, 2048-d up to 100k rows and 256-d above, searched
approximately there. The ranked ones are hard to distinguish (mAP 0.2 to 0.5). Peers are measured if they are installed.
Rows of other sizes and tasks stay in the result file.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from record import machine

TRAIN = {"market": 12_936, "msmt": 32_621, "100k": 100_000, "300k": 300_000, "1m": 1_000_000}
LARGE = ("300k", "1m")
TEST = {"market": (3_368, 15_913, 750, 2_798), "msmt": (11_659, 82_161, 3_060, 0)}
"""Queries, gallery images, people, distractors."""
DIM, LARGE_DIM = 2048, 256


def make(size: str, folder: Path) -> None:
    """Write the embeddings of the training part and of the test part of a size to a folder."""
    dim = LARGE_DIM if size in LARGE else DIM
    np.save(folder / "training.npy", make_embeddings(TRAIN[size], TRAIN[size] // 17, seed=1, dim=dim)[0])
    if size in TEST:
        queries, gallery, people, distractors = TEST[size]
        embeddings, person_ids, camera_ids = make_embeddings(
            queries + gallery, people + distractors // 10, seed=3, noise=1.1
        )
        np.save(folder / "queries.npy", embeddings[:queries])
        np.save(folder / "gallery.npy", embeddings[queries:])
        np.save(folder / "table.npy", np.stack([np.where(person_ids < people, person_ids + 1, 0), camera_ids]))


def make_embeddings(
    size: int, people: int, *, seed: int, dim: int = DIM, noise: float = 0.45
) -> tuple[np.ndarray, ...]:
    """Make embeddings, person ids and camera ids: centers in 64-d, camera offsets, noise, projected and rectified."""
    rng = np.random.default_rng(seed)
    weights = rng.gamma(2.0, size=people)
    person_ids = np.sort(rng.choice(people, size, p=weights / weights.sum()))
    camera_ids = rng.integers(0, 6, size)
    latent = rng.normal(size=(people, 64))[person_ids] + 0.4 * rng.normal(size=(6, 64))[camera_ids]
    latent += noise * rng.normal(size=(size, 64))
    projection = rng.normal(size=(64, dim)).astype(np.float32) / 8
    embeddings = np.empty((size, dim), np.float32)
    for low in range(0, size, 4096):
        rows = np.maximum(latent[low : low + 4096].astype(np.float32) @ projection, 0)
        embeddings[low : low + 4096] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    order = rng.permutation(size)
    return embeddings[order], person_ids[order], camera_ids[order]


class Clock:
    """Seconds by name, and memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds: dict[str, float] = {}
        self.memory: dict[str, float] = {}

    def load(self, *names: str) -> list[np.ndarray]:
        """Load arrays, after the libraries and before the work, and start to measure memory."""
        self.memory["libraries_gb"] = _memory("VmRSS")
        arrays = [np.load(self.folder / f"{name}.npy") for name in names]
        self.memory["vectors_gb"] = sum(array.nbytes for array in arrays) / 2**30
        Path("/proc/self/clear_refs").write_text("5")  # reset the peak
        return arrays

    def stop(self) -> dict[str, float]:
        """Return the memory of the libraries, of the embeddings, the peak, and the rest of the peak."""
        peak = _memory("VmHWM")
        beside = peak - self.memory["libraries_gb"] - self.memory["vectors_gb"]
        return {name: round(value, 2) for name, value in {**self.memory, "peak_gb": peak, "beside_gb": beside}.items()}

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
        return result


def _memory(kind: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 2**20 for line in lines if line.startswith(f"{kind}:"))


def product(size: str, clock: Clock) -> dict[str, Any]:
    """Time the whole float32 product of the training embeddings, in blocks."""
    (embeddings,) = clock.load("training")
    for low in range(0, len(embeddings), 2048):
        clock("product", lambda low=low: embeddings[low : low + 2048] @ embeddings.T)
    return {}


def cluster_ours(size: str, clock: Clock) -> dict[str, Any]:
    """Neighbors, Jaccard graph, DBSCAN, and ten more values of eps."""
    from resight.numerics.approximate import k_nearest_approximate
    from resight.numerics.clustering import dbscan
    from resight.numerics.jaccard import jaccard_graph
    from resight.numerics.neighbors import k_nearest

    small = make_embeddings(500, 30, seed=2)[0]
    dbscan(jaccard_graph(small, k1=30), 0.6, 4)  # compiles
    (embeddings,) = clock.load("training")
    search = {}
    if size in LARGE:
        approximate = clock("neighbors", lambda: k_nearest_approximate(embeddings, 30))
        near = (approximate.distances, approximate.ids)
        search = {"recall": approximate.recall, "share of pairs compared": approximate.compared}
    else:
        near = clock("neighbors", lambda: k_nearest(embeddings, 30))
    graph = clock("jaccard", lambda: jaccard_graph(embeddings, k1=30, neighbors=near, limit=0.7))
    labels = clock("dbscan", lambda: dbscan(graph, 0.6, 4))
    clock("sweep of 10 eps", lambda: [dbscan(graph, eps, 4) for eps in np.linspace(0.4, 0.7, 10)])
    return {"clusters": int(labels.max() + 1), "outliers": int((labels < 0).sum()), "stored pairs": graph.nnz, **search}


def neighbors_faiss(size: str, clock: Clock) -> dict[str, Any]:
    """The exact search of faiss."""
    import faiss

    (embeddings,) = clock.load("training")
    index = faiss.IndexFlatL2(DIM)
    index.add(embeddings)
    clock("neighbors", lambda: index.search(embeddings, 30))
    return {}


def neighbors_faiss_lists(size: str, clock: Clock) -> dict[str, Any]:
    """The inverted file of faiss, searched wider until it finds 0.95 of the neighbors of a sample."""
    import faiss

    from resight.numerics.neighbors import k_nearest

    (embeddings,) = clock.load("training")
    sample = np.sort(np.random.default_rng(0).permutation(len(embeddings))[:1000])
    farthest = k_nearest(embeddings, 30, queries=embeddings[sample])[0][:, -1:]  # each embedding's own row comes first
    lists = round(4 * len(embeddings) ** 0.5)
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(embeddings.shape[1]), embeddings.shape[1], lists)

    def build() -> None:
        index.train(embeddings[:: len(embeddings) // (64 * lists)])
        index.add(embeddings)

    clock("neighbors", build)
    reached = 0.0
    while reached < 0.95:
        index.nprobe *= 2
        distances, _ = clock("neighbors", lambda: index.search(embeddings[sample], 30))
        reached = float((distances[:, 1:] <= farthest).mean())
    clock("neighbors", lambda: index.search(embeddings, 30))
    return {"recall": reached, "share of lists searched": index.nprobe / lists}


def neighbors_sklearn(size: str, clock: Clock) -> dict[str, Any]:
    """The exact search of scikit-learn."""
    from sklearn.neighbors import NearestNeighbors

    (embeddings,) = clock.load("training")
    index = NearestNeighbors(n_neighbors=30, algorithm="brute").fit(embeddings)
    clock("neighbors", lambda: index.kneighbors(embeddings))
    return {}


def dbscan_sklearn(size: str, clock: Clock) -> dict[str, Any]:
    """DBSCAN of scikit-learn on the dense matrix of the same distances."""
    from sklearn.cluster import DBSCAN

    from resight.numerics.jaccard import jaccard_graph

    (embeddings,) = clock.load("training")
    graph = jaccard_graph(embeddings, k1=30)
    dense = np.ones(graph.shape, np.float32)
    dense[np.repeat(np.arange(len(embeddings)), np.diff(graph.indptr)), graph.indices] = graph.data
    labels = clock("dbscan", lambda: DBSCAN(eps=0.6, min_samples=4, metric="precomputed").fit_predict(dense))
    return {"clusters": int(labels.max() + 1), "outliers": int((labels < 0).sum())}


def _test_part(clock: Clock) -> tuple[np.ndarray, ...]:
    """Return embeddings, person ids and camera ids of the queries and of the gallery."""
    queries, gallery, (person_ids, camera_ids) = clock.load("queries", "gallery", "table")
    count = len(queries)
    return queries, person_ids[:count], camera_ids[:count], gallery, person_ids[count:], camera_ids[count:]


def evaluate_ours(size: str, clock: Clock) -> dict[str, Any]:
    """Product and ranking in blocks of queries."""
    from resight.numerics.distances import squared_distances
    from resight.numerics.metrics import average_precision, join_ranks, positive_ranks

    positive_ranks(np.zeros((1, 1), np.float32), [1], [1], [1], [2])  # compiles
    queries, people, cameras, gallery, gallery_people, gallery_cameras = _test_part(clock)
    parts = []
    for low in range(0, len(queries), 512):
        rows = slice(low, low + 512)
        distances = clock("product", lambda rows=rows: squared_distances(queries[rows], gallery))
        ids = (people[rows], cameras[rows], gallery_people, gallery_cameras)
        parts.append(clock("ranking", lambda d=distances, ids=ids: positive_ranks(d, *ids)))
    precision = clock("ranking", lambda: average_precision(*join_ranks(parts)))
    return {"mAP": float(np.nanmean(precision))}


def evaluate_sorting(size: str, clock: Clock) -> dict[str, Any]:
    """The usual way: sort the gallery for each query; scikit-learn's average precision. On some of the queries."""
    from sklearn.metrics import average_precision_score

    queries, people, cameras, gallery, gallery_people, gallery_cameras = _test_part(clock)
    part = max(1, len(queries) // 20)
    distances = clock("product", lambda: 2 - 2 * queries[:part] @ gallery.T)

    def ranking() -> list[float]:
        precisions = []
        for q in range(part):
            valid = (gallery_people != people[q]) | (gallery_cameras != cameras[q])
            order = np.argsort(distances[q])
            matches = gallery_people[order][valid[order]] == people[q]
            if matches.any() and people[q] > 0:
                precisions.append(average_precision_score(matches, -distances[q][order][valid[order]]))
        return precisions

    precision = clock("ranking", ranking)
    for name in clock.seconds:
        clock.seconds[name] *= len(queries) / part
    return {"mAP of a part": float(np.mean(precision)), "queries measured": part}


def evaluate_torchreid(size: str, clock: Clock) -> dict[str, Any]:
    """The ranking of torchreid's own evaluation, from its distances. On some of the queries of a large set."""
    from torchreid.reid.metrics import evaluate_rank

    queries, people, cameras, gallery, gallery_people, gallery_cameras = _test_part(clock)
    people = np.where(people > 0, people, -1)  # distractors match nothing
    gallery_people = np.where(gallery_people > 0, gallery_people, -2)
    part = len(queries) if size == "market" else len(queries) // 20
    distances = clock("product", lambda: 2 - 2 * queries[:part] @ gallery.T)
    ids = (people[:part], gallery_people, cameras[:part], gallery_cameras)
    _, precision = clock("ranking", lambda: evaluate_rank(distances, *ids, max_rank=50))
    for name in clock.seconds:
        clock.seconds[name] *= len(queries) / part
    return {"mAP of a part": float(precision), "queries measured": part}


TASKS = {
    "product": product,
    "cluster: resight": cluster_ours,
    "neighbors: faiss flat": neighbors_faiss,
    "neighbors: faiss inverted file": neighbors_faiss_lists,
    "neighbors: scikit-learn brute": neighbors_sklearn,
    "dbscan: scikit-learn dense": dbscan_sklearn,
    "evaluate: resight": evaluate_ours,
    "evaluate: sorting": evaluate_sorting,
    "evaluate: torchreid": evaluate_torchreid,
}
PEERS = {"evaluate: torchreid": "torchreid"}
"""Tasks that need a library which may be missing."""
SMALL = {
    "dbscan: scikit-learn dense": ("market",),
    "evaluate: resight": tuple(TEST),
    "evaluate: sorting": tuple(TEST),
    "evaluate: torchreid": tuple(TEST),
    "neighbors: faiss flat": ("market", "msmt", "100k"),
    "neighbors: faiss inverted file": ("300k",),
    "neighbors: scikit-learn brute": ("market", "msmt"),
    "product": ("market", "msmt", "100k"),
}
"""Tasks that do not run at every size."""
PIECES = ("neighbors", "jaccard", "dbscan")


def fitted(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Fit the exponent of the cost after the neighbor search against the number of embeddings."""
    ours = [row for row in rows if row["task"] == "cluster: resight" and "seconds" in row]
    if len(ours) < 2:
        return {}
    sizes = np.log([TRAIN[row["size"]] for row in ours])
    return {
        name: round(float(np.polyfit(sizes, np.log([row["seconds"][name] for row in ours]), 1)[0]), 2)
        for name in PIECES[1:]
    }


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw seconds against the number of embeddings."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for task in TASKS:
        for piece in ("product", *PIECES):
            ours = [row for row in rows if row["task"] == task and piece in row.get("seconds", {})]
            if ours and not task.startswith("evaluate"):
                label = piece if task == piece else f"{piece}, {task.partition(': ')[2]}"
                x, y = [TRAIN[row["size"]] for row in ours], [row["seconds"][piece] for row in ours]
                axes.loglog(x, y, "o-" if "resight" in task else "s--", label=label, markersize=4)
    axes.set_xlabel("embeddings (2048-d; 256-d from 300,000 on)")
    axes.set_ylabel("seconds")
    axes.grid(alpha=0.3, which="both")
    if axes.lines:
        figure.legend(loc="outside right upper", fontsize=8)
    figure.savefig(path)


def main() -> None:
    """Run every task of every size, or only the requested ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=["market", "msmt"], choices=list(TRAIN))
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--alone", type=Path, metavar="FOLDER", help="run in this process, on a folder's embeddings")
    parser.add_argument("--result", type=Path, default=Path("benchmarks/results/numerics/numerics.json"))
    arguments = parser.parse_args()
    if arguments.alone:
        clock = Clock(arguments.alone)
        values = TASKS[arguments.tasks[0]](arguments.sizes[0], clock)
        seconds = {name: round(value, 3) for name, value in clock.seconds.items()}
        print(json.dumps({"seconds": seconds, **clock.stop(), **values}))
        return
    rows = json.loads(arguments.result.read_text())["rows"] if arguments.result.is_file() else []
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            make(size, Path(folder))
            for task in arguments.tasks:
                if size in SMALL.get(task, TRAIN) and (task not in PEERS or importlib.util.find_spec(PEERS[task])):
                    rows = [row for row in rows if (row["size"], row["task"]) != (size, task)]
                    rows.append(measured(size, task, folder))
                    print(json.dumps(rows[-1]), flush=True)
        rows.sort(key=lambda row: (list(TRAIN).index(row["size"]), list(TASKS).index(row["task"])))
        result = {"date": date.today().isoformat(), "machine": machine(), "exponents": fitted(rows), "rows": rows}
        arguments.result.write_text(json.dumps(result, indent=1) + "\n")
        draw(rows, arguments.result.with_suffix(".svg"))


def measured(size: str, task: str, folder: str) -> dict[str, Any]:
    """Run one task in its own process."""
    command = [sys.executable, __file__, "--alone", folder, "--sizes", size, "--tasks", task]
    spins = {"GOMP_SPINCOUNT": "10000", "OPENBLAS_THREAD_TIMEOUT": "16"}  # as the command line of resight sets them
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=spins | dict(os.environ))
    row = {"size": size, "task": task, "load": round(os.getloadavg()[0], 2)}
    if process.returncode == 0:
        return row | json.loads(process.stdout.splitlines()[-1])
    return row | {"error": (process.stderr.strip().splitlines() or ["killed"])[-1]}


if __name__ == "__main__":
    main()
