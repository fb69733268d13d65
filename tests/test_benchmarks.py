"""What the documents say was measured is what the benchmarks' files hold, by commands that still make it."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from resight.config.settings import dotted

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return found


@pytest.fixture
def ablation(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("ice_ablation")


def test_the_command_of_the_ablation_has_the_settings_of_its_table(ablation: ModuleType) -> None:
    kept = result("ice-ablation.json")
    recorded = dict(dotted(kept["settings of the last row"]))
    settings, options = ablation.read_row(False, "both", "--epochs=6", "--iterations=60", "--seed=1")
    now = dict(dotted(json.loads(json.dumps(dataclasses.asdict(settings)))))
    assert {name: now[name] for name in recorded if name in now} == {n: v for n, v in recorded.items() if n in now}
    # What is gone since was off, and what came since is as if it were not there.
    gone = {name: value for name, value in recorded.items() if name not in now}
    assert gone.pop("camera_epochs") == 0
    assert all(name.startswith("camera_cluster.") for name in gone)
    assert {name: value for name, value in now.items() if name not in recorded} == {
        "cluster.method": "dbscan",
        "cluster.num_clusters": 500,
        "cluster.pairs_per_image": None,
        "cluster.source_weight": 0.0,
        "cluster.k_cross_camera": 0,
        "cluster.approximate_from": 150_000,
        "cluster_feature": "neck",
        "whiten": 0.0,
    }
    assert (options.device.training, kept["environment"]["training"]) == ("float32", "float32")
    assert (options.validation_people, options.select, options.seed) == (60, "last", kept["seed"])


def test_the_rows_of_the_ablation_differ_in_what_they_are_about(ablation: ModuleType) -> None:
    rows = {
        (aware, losses): dict(dotted(dataclasses.asdict(ablation.read_row(aware, losses)[0])))
        for aware in (True, False)
        for losses in ablation.ROWS
    }
    first = rows[True, "neither"]
    for (aware, losses), found in rows.items():
        assert (found["camera_aware"], found["hard_weight"], found["soft_weight"]) == (aware, *ablation.ROWS[losses])
        differing = {name for name in found if found[name] != first[name]}
        assert differing <= {"camera_aware", "hard_weight", "soft_weight"}


def test_the_table_of_the_ablation_is_its_file() -> None:
    page = (ROOT / "docs" / "methods" / "ice.md").read_text(encoding="utf-8")
    for memory in ("camera-aware", "camera-agnostic"):
        rows = [row for row in result("ice-ablation.json")["rows"] if row["memory"] == memory]
        cells = " | ".join(f"{100 * row['mAP']:.1f} / {100 * row['rank-1']:.1f}" for row in rows)
        assert f"| {memory} | {cells} |" in page


def test_the_table_of_the_numerics_is_its_file() -> None:
    page = (ROOT / "docs" / "numerics.md").read_text(encoding="utf-8")
    rows = {(row["size"], row["task"]): row for row in result("numerics.json")["rows"]}
    for size, name in (("300k", "300,000"), ("1m", "1,000,000")):
        ours = rows[size, "cluster: resight"]
        said = f"| N = {name}, 256 numbers each: recall {ours['recall']:.3f} | {ours['seconds']['neighbors']:.0f} s"
        assert said in page
    faiss = rows["300k", "neighbors: faiss inverted file"]
    assert f"inverted file of faiss, recall {faiss['recall']:.3f}: {faiss['seconds']['neighbors']:.0f} s" in page


def test_the_clusters_of_the_second_site_are_those_of_its_files() -> None:
    page = " ".join((ROOT / "docs" / "methods" / "ice.md").read_text(encoding="utf-8").split())
    names = ("ice-site-dataset-neck-cuhk03np-detected.json", "ice-site-from-model-cuhk03np-detected.json")
    (before, now) = ([epoch["ari"] for epoch in result(name)["epochs"]] for name in names)
    assert (
        f"the adjusted Rand index of the first clusters was {before[0]:.2f} and that of the last {before[-1]:.2f}, "
        f"here they are {now[0]:.2f} and {now[-1]:.2f}"
    ) in page


def test_every_file_that_a_document_names_is_there() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    named = {name for page in pages for name in re.findall(r"results/([\w.-]+)", page.read_text(encoding="utf-8"))}
    assert len(named) > 20
    assert named <= {path.name for path in RESULTS.iterdir()}
