"""The documents quote the numbers of the result files, and the benchmark scripts still make them."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import json
import re
from pathlib import Path
from statistics import fmean
from types import ModuleType
from typing import Any

import pytest

from resight.config.renamed import current_settings
from resight.config.settings import dotted

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ICE = ROOT / "docs" / "experiments" / "ice.md"


def load_result(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return result


def read_page(path: Path) -> str:
    """Return the text of a page on one line."""
    return " ".join(path.read_text(encoding="utf-8").split())


def quoted_results(page: Path) -> set[str]:
    return set(re.findall(r"results/([\w./-]+\.(?:json|svg))", page.read_text(encoding="utf-8")))


@pytest.fixture
def ablation(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("ice_ablation")


def test_the_command_of_the_ablation_has_the_settings_of_its_table(ablation: ModuleType) -> None:
    result = load_result("ice/ablation.json")
    recorded = current_settings(dict(dotted(result["settings of the last row"])))
    budget = {name: result[name] for name in ("epochs", "iterations", "seed")}
    options, settings = ablation.resolve({**ablation.row_settings(False, "both"), **budget})
    current = dict(dotted(json.loads(json.dumps(dataclasses.asdict(settings)))))
    assert {name: current[name] for name in recorded if name in current} == {
        name: value for name, value in recorded.items() if name in current
    }
    # Removed settings were off. New settings have their neutral value.
    removed = {name: value for name, value in recorded.items() if name not in current}
    assert removed.pop("camera_epochs") == 0
    assert all(name.startswith("camera_cluster.") for name in removed)
    assert {name: value for name, value in current.items() if name not in recorded} == {
        **dict.fromkeys((f"augment.{name}" for name in ("saturation", "hue", "scale", "rotate", "noise")), 0.0),
        "cluster.method": "dbscan",
        "cluster.num_clusters": 500,
        "cluster.pairs_per_image": None,
        "cluster.source_weight": 0.0,
        "cluster.k_cross_camera": 0,
        "cluster.approximate_from": 150_000,
        "cluster_feature": "neck",
        "passes": 0.0,
        "whiten": 0.0,
    }
    assert (options.device.training, result["environment"]["training"]) == ("float32", "float32")
    assert (options.validation_people, options.select, options.seed) == (60, "last", result["seed"])


def test_the_rows_of_the_ablation_differ_in_their_losses_only(ablation: ModuleType) -> None:
    rows = {}
    for camera_aware, losses in itertools.product((True, False), ablation.ROWS):
        _, settings = ablation.resolve(ablation.row_settings(camera_aware, losses))
        rows[camera_aware, losses] = dict(dotted(dataclasses.asdict(settings)))
    first = rows[True, "neither"]
    for (camera_aware, losses), row in rows.items():
        weights = (row["camera_aware"], row["hard_weight"], row["soft_weight"])
        assert weights == (camera_aware, *ablation.ROWS[losses])
        differing = {name for name in row if row[name] != first[name]}
        assert differing <= {"camera_aware", "hard_weight", "soft_weight"}


def test_the_table_of_the_ablation_is_its_file() -> None:
    page = ICE.read_text(encoding="utf-8")
    for memory in ("camera-aware", "camera-agnostic"):
        rows = [row for row in load_result("ice/ablation.json")["rows"] if row["memory"] == memory]
        cells = " | ".join(f"{100 * row['mAP']:.1f} / {100 * row['rank-1']:.1f}" for row in rows)
        assert f"| {memory} | {cells} |" in page


def test_the_table_of_the_numerics_is_its_file() -> None:
    page = (ROOT / "docs" / "numerics.md").read_text(encoding="utf-8")
    rows = {(row["size"], row["task"]): row for row in load_result("numerics/numerics.json")["rows"]}
    for size, name in (("300k", "300,000"), ("1m", "1,000,000")):
        row = rows[size, "cluster: resight"]
        cell = f"| N = {name}, 256 numbers each: recall {row['recall']:.3f} | {row['seconds']['neighbors']:.0f} s"
        assert cell in page
    faiss = rows["300k", "neighbors: faiss inverted file"]
    assert f"inverted file of faiss, recall {faiss['recall']:.3f}: {faiss['seconds']['neighbors']:.0f} s" in page


def test_the_clusters_of_the_second_site_are_those_of_its_files() -> None:
    names = ("ice/site-dataset-neck-cuhk03np-detected.json", "ice/site-from-model-cuhk03np-detected.json")
    (before, current) = ([epoch["ari"] for epoch in load_result(name)["epochs"]] for name in names)
    assert (
        f"the adjusted Rand index of the first clusters was {before[0]:.2f} and that of the last {before[-1]:.2f}. "
        f"In the current run they are {current[0]:.2f} and {current[-1]:.2f}"
    ) in read_page(ICE)


@pytest.mark.parametrize(
    ("page", "name", "row"),
    [
        ("ice", "ice/site-market1501-dev.json", "| {before} | |\n| market1501-dev | ImageNet | `site`"),
        ("ice", "ice/site-market1501-dev.json", "17 min | {best} |"),
        ("ice", "ice/site-from-model-cuhk03np-detected.json", "25 min on one core | {best} |"),
        ("ice", "official/ice-site-market1501.json", "| | | {before} | |\n| Market-1501, official split | ImageNet |"),
        ("ice", "official/ice-site-market1501.json", "other work | {last} |"),
        ("scr", "official/scr-site-market1501.json", "other work) | {last} |"),
    ],
)
def test_the_results_of_a_method_are_those_of_its_file(page: str, name: str, row: str) -> None:
    scores = load_result(name)["scores"]
    cells = {which: f"{100 * score['mAP']:.1f} | {100 * score['rank-1']:.1f}" for which, score in scores.items()}
    assert row.format(**cells) in (ROOT / "docs" / "methods" / f"{page}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "row"),
    [
        (
            "site-market1501-dev",
            "| `site`, three seeds | {minutes} min on one thread next to other work | {mAP} | {rank-1} |",
        ),
        (
            "site-few-cameras-cuhk03np-detected",
            "| `site-few-cameras`, three seeds | {minutes} min on one thread next to other work | {mAP} | {rank-1} |",
        ),
    ],
)
def test_the_means_of_seeds_are_those_of_their_files(name: str, row: str) -> None:
    result = load_result(f"synthetic/{name}.json")
    seeds = result["seeds"].values()
    best = [seed["scores"]["best"] for seed in seeds]
    cells = {score: f"{100 * fmean([scores[score] for scores in best]):.1f}" for score in ("mAP", "rank-1")}
    minutes = round(fmean([seed["minutes"] for seed in seeds]))
    assert row.format(minutes=minutes, **cells) in (ROOT / "docs" / "methods" / "ice.md").read_text(encoding="utf-8")


def test_every_result_that_a_page_quotes_exists() -> None:
    quoted = set().union(*map(quoted_results, PAGES))
    assert len(quoted) > 20
    missing = {name for name in quoted if not (RESULTS / name).is_file()}
    assert not missing


def test_the_readme_lists_every_script_and_every_result() -> None:
    readme = ROOT / "benchmarks" / "README.md"
    results = {path.relative_to(RESULTS).as_posix() for path in RESULTS.rglob("*") if path.is_file()}
    assert quoted_results(readme) == results
    assert all(len(name.split("/")) == 2 for name in results)
    text = readme.read_text(encoding="utf-8")
    scripts = {path.name for path in (ROOT / "benchmarks").glob("*.py")}
    assert set(re.findall(r"\]\((\w+\.py)\)", text)) == scripts
    pages = re.findall(r"\]\(\.\./(docs/[\w./-]+\.md)\)", text)
    assert pages
    assert all((ROOT / page).is_file() for page in pages)


def test_results_name_results_that_exist() -> None:
    for path in RESULTS.rglob("*.json"):
        names = re.findall(
            r"\b((?:abmt|adapt|ice|scr|numerics|networks)/[\w-]+\.json)", path.read_text(encoding="utf-8")
        )
        assert all((RESULTS / name).is_file() for name in names), path


def test_the_table_of_eps_is_its_file() -> None:
    page = (ROOT / "docs" / "numerics.md").read_text(encoding="utf-8")
    for each in load_result("cluster_eps/auto.json")["sets"]:
        scores = {row["eps"]: row["pairwise F, all images"] for row in each["rows"]}
        clusters = {row["eps"]: row["clusters"] for row in each["rows"]}[each["auto"]]
        best = max(scores, key=lambda eps: scores[eps])
        chosen = f"{each['auto']:g}: {scores[each['auto']]:.3f} | {scores[0.5]:.3f} | {best:g}: {scores[best]:.3f} |"
        assert f"| {clusters} ({each['people']}) | {chosen}" in page
