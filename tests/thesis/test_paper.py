"""The thesis as data: all of it is there, and what is written down is what is printed."""

from __future__ import annotations

import dataclasses
import re

import pytest
import yaml

from resight.config.recipes import find_recipe, load_recipe
from resight.config.renamed import current_metrics
from resight.config.settings import dotted
from resight.errors import ConfigError
from resight.methods import METHODS
from resight.thesis.paper import (
    FILES,
    SCORES,
    PaperItem,
    data_name,
    item_ids,
    load_item,
    load_scale,
    parse_item,
    scales,
    source_of,
)
from resight.thesis.planning import RunRequest, plan_rows
from resight.training.train import read_recipe

TABLES = {2: 3, 3: 9, 4: 5, 5: 4, 6: 7}
FIGURES = {1: 4, 2: 9, 3: 4, 4: 5, 5: 12, 6: 10}
"""How many the thesis' lists of tables and of figures name, by chapter; they are numbered from 1."""

ROWS = {
    "table-2.1": 13, "table-2.2": 5, "table-2.3": 1, "table-3.1": 3, "table-3.2": 3, "table-3.3": 5, "table-3.4": 4,
    "table-3.5": 4, "table-3.6": 9, "table-3.7": 7, "table-3.8": 5, "table-3.9": 5, "table-4.1": 15, "table-4.2": 6,
    "table-4.3": 10, "table-4.4": 4, "table-4.5": 4, "table-5.1": 30, "table-5.2": 33, "table-5.3": 7, "table-5.4": 6,
    "table-6.1": 3, "table-6.2": 2, "table-6.3": 3, "table-6.4": 2, "table-6.5": 4, "table-6.6": 8, "table-6.7": 23,
}  # fmt: skip
"""Counted in the text, by hand."""

TYPED = {
    "table-3.1": {("ResNet-50 + channel attention (SENet)", "market1501"): "90.8 75.6"},
    "table-3.3": {("p3(s3c3)", "dukemtmc"): "89.2 78.7", ("p1", "cuhk03np-detected"): "52.4 46.3"},
    "table-3.6": {("Mancs", "dukemtmc"): "84.9 71.8"},
    "table-3.7": {("PCB+RPP", "cuhk03np-labeled"): "~ ~", ("PCB+RPP", "cuhk03np-detected"): "63.7 57.5"},
    "table-3.8": {("M3D", "mars"): "84.4 74.0"},
    "table-3.9": {("SCR(ours)", "market1501"): "59.7 30.6"},
    "table-4.1": {("ours (IBN-ResNet50)", "dukemtmc"): "70.8 83.3", ("MMT700(ResNet50)", "msmt17"): "~ ~"},
    "table-4.3": {("ABMT+Drop out", "market1501"): "77.9 92.0"},
    "table-4.5": {("ABMT w/o L_ce", "dukemtmc"): "52.5 69.6"},
    "table-5.1": {("BUC", "market1501"): "None 29.6 61.9 73.5 78.2", ("PDA", "dukemtmc"): "Market 45.1 63.2 77.0 82.5"},
    "table-5.2": {("CAIL", "msmt17"): "Market 20.4 43.7 56.1 61.9"},
    "table-5.3": {("+ L_vi^woGAN + TDA", "dukemtmc"): "48.5 70.0"},
    "table-5.4": {("Real", "market1501"): "7.22 0.350"},
    "table-6.3": {("MSE", "market1501"): "80.0 92.7"},
    "table-6.5": {("0.5", "market1501"): "83.0 94.1 97.7 98.3"},
    "table-6.6": {("Baseline L_agnostic", "msmt17"): "24.1 52.3 66.2 71.6"},
    "table-6.7": {("CycAs", "dukemtmc"): "60.1 77.9 ~ ~", ("PCB", "msmt17"): "40.4 68.2 ~ ~"},
}
"""A few cells, typed from the text a second time."""

ITEMS = {name: load_item(name) for name in item_ids()}

MINIMAL = """
id: table-9.1
title: made up
chapter: 9
page: 1
columns:
- {group: A, data: market1501, scores: [mAP, Rank1]}
rows:
- name: one
  values: [[10.0, ~]]
"""


def printed(item: PaperItem, name: str, data: str) -> list[str]:
    """The values of all rows of a name on a data set, as text."""
    return [
        " ".join(value or "~" for value in values)
        for row in item.rows
        if row.name == name
        for group, values in zip(item.groups, row.values, strict=True)
        if group.data == data
    ]


def test_every_table_and_every_figure_is_there_once() -> None:
    expected = [f"table-{c}.{n}" for c, count in TABLES.items() for n in range(1, count + 1)]
    figures = [f"figure-{c}.{n}" for c, count in FIGURES.items() for n in range(1, count + 1)]
    assert item_ids() == [*expected, "perspectives", *figures]
    for name, item in ITEMS.items():
        assert item.id == name, "the file's name is its id"
        assert f"-{item.chapter}." in name or name == "perspectives"
    for names in (expected, figures):
        pages = [ITEMS[name].page for name in names]
        assert pages == sorted(pages)


def test_tables_have_the_rows_of_the_text() -> None:
    rows = {name: len(item.rows) for name, item in ITEMS.items() if item.kind == "table"}
    assert rows == {**ROWS, "perspectives": 7}


def test_nothing_is_printed_beside_the_perspectives() -> None:
    rows = ITEMS["perspectives"].rows
    assert all(row.values[0][1:] == (None,) * 4 and row.reproduction for row in rows)


@pytest.mark.parametrize("name", TYPED)
def test_cells_are_what_is_printed(name: str) -> None:
    for (row, data), values in TYPED[name].items():
        assert values in printed(ITEMS[name], row, data)


@pytest.mark.parametrize("name", ITEMS)
def test_a_file_is_sound(name: str) -> None:
    """What loading does not check: the order of cumulative scores, sources, and that every YAML reader reads it."""
    item = ITEMS[name]
    folder = "figures" if name.startswith("figure") else "tables"
    assert yaml.safe_load((FILES / folder / f"{name}.yaml").read_text(encoding="utf-8"))["id"] == name
    for row in item.rows:
        assert re.fullmatch(r"\[\d+\]|", row.cite)
        baseline = row.reproduction is not None and row.reproduction.recipe == "baselines-thesis"
        quoted = row.cite and "*" not in row.name
        assert baseline or not (row.reproduction and quoted), "what is quoted is not ours, but for the baselines"
        for column, (group, values) in enumerate(zip(item.groups, row.values, strict=False)):
            found = [float(v) for s, v in zip(group.scores, values, strict=True) if s in SCORES and s != "mAP" and v]
            assert found == sorted(found), f"{row.name}: rank-k cannot fall with k"
            assert source_of(row, column, group) != group.data or not group.data
    for job in plan_rows(item, RunRequest("full"), resolve=False):
        assert "{" not in job.recipe
        assert job.method in METHODS or job.reason.startswith("no method")
        if job.method in METHODS and not job.reason.startswith("no recipe"):
            assert job.method in load_recipe(find_recipe(job.recipe)).methods
    assert (item.kind == "table") == (not item.shows)


def test_the_same_result_is_the_same_in_every_table() -> None:
    scr = {
        "table-3.2": "Spatial-Channel p1+p2(s2c2)+p3(s3c3)",
        "table-3.3": "p1+p2(s2c2)+p3(s3c3)",
        "table-3.4": "λ = 2",
        "table-3.7": "SCR(ours)",
    }
    abmt = {
        "table-4.1": "ours (ResNet50)",
        "table-4.3": "ABMT(MT-Baseline+DBSCAN+AB+Cross-branch)",
        "table-4.4": "ABMT",
        "table-4.5": "ABMT",
    }
    for data, names in (("cuhk03np-detected", scr), ("market1501", abmt), ("dukemtmc", abmt)):
        assert len({tuple(printed(ITEMS[name], row, data)) for name, row in names.items()}) == 1
    for data in ("market1501", "dukemtmc"):
        short = {"table-6.2": "all", "table-6.3": "ours"}
        long = {"table-6.4": "ResNet50", "table-6.5": "0.55", "table-6.7": "ICE(aware)"}
        (best,) = {printed(ITEMS[name], row, data)[0] for name, row in long.items()}
        assert best == printed(ITEMS["table-6.6"], "+ L_h_ins + L_s_ins", data)[0]
        assert {printed(ITEMS[name], row, data)[0] for name, row in short.items()} == {" ".join(best.split()[:2])}


def test_every_row_of_ice_names_a_recipe_and_settings_that_are_there() -> None:
    planned = [job for name in ITEMS for job in plan_rows(ITEMS[name], RunRequest("full")) if job.method == "ice"]
    assert len(planned) > 60
    assert {job.reason for job in planned} == {""}
    # ICE itself is one run, whatever the table.
    same = {"table-6.2": "all", "table-6.3": "ours", "table-6.4": "ResNet50", "table-6.7": "ICE(aware)"}
    keys = {
        job.key
        for name, row in same.items()
        for job in plan_rows(ITEMS[name], RunRequest("full"))
        if job.printed.name == row and job.data == "market1501"
    }
    assert len(keys) == 1


def test_every_row_of_chapter_4_names_a_recipe_and_settings_that_are_there() -> None:
    planned = [job for n in range(1, 6) for job in plan_rows(ITEMS[f"table-4.{n}"], RunRequest("full"))]
    assert len(planned) == 8 + 6 + 20 + 8 + 8
    assert {job.reason for job in planned} == {""}
    for job in planned:
        adapts = bool(job.source) and job.method != "source"
        assert bool(job.starts) == adapts
        for start in job.starts:
            assert start.settings.encoder == job.settings.encoder, "both runs train the same network"
            assert (start.options.select, start.settings.epochs) == ("last", 80)
    # ABMT itself is one run in each direction, whatever the table, and so is what it starts from.
    same = {"table-4.1": "ours (ResNet50)", "table-4.4": "ABMT", "table-4.5": "ABMT"}
    same["table-4.3"] = "ABMT(MT-Baseline+DBSCAN+AB+Cross-branch)"
    found = [job for n in same for job in plan_rows(ITEMS[n], RunRequest("full")) if job.printed.name == same[n]]
    for data, source in (("dukemtmc", "market1501"), ("market1501", "dukemtmc")):
        ours = [job for job in found if job.data == data and job.source == source]
        assert len(ours) == 4
        assert len({job.key for job in ours}) == 1
        firsts = {start.key for job in ours for start in job.starts}
        (row,) = (
            job for job in planned if job.printed.name == "ResNet50+AB" and (job.data, job.source) == (data, source)
        )
        assert firsts == {row.key}, "the row of the first run is that run"
    # To another target the first run is another one: it sees that target's images.
    assert len({job.key for job in planned if job.method == "source"}) == 4
    assert len({start.key for job in found for start in job.starts}) == 4


CHAPTER_4 = {
    ("4.2", "MMT500*"): ("mmt", {"cluster.method": "kmeans", "cluster.num_clusters": 500}),
    ("4.2", "MMT*+DBSCAN"): ("mmt", {}),
    ("4.2", "ours w/o Source pre-training"): ("abmt", {}),
    ("4.3", "ResNet50"): ("source", {"encoder.head": "global"}),
    ("4.3", "ResNet50+AB"): ("source", {}),
    ("4.3", "MT-Baseline+K-Means"): ("mean_teacher", {"cluster.method": "kmeans", "cluster.num_clusters": 500}),
    ("4.3", "MT-Baseline+DBSCAN"): ("mean_teacher", {}),
    ("4.3", "MT-Baseline+K-Means+AB"): (
        "abmt",
        {"cluster.method": "kmeans", "cluster.num_clusters": 500, "cross_branch": False},
    ),
    ("4.3", "MT-Baseline+K-Means+AB+Cross-branch"): ("abmt", {"cluster.method": "kmeans", "cluster.num_clusters": 500}),
    ("4.3", "MT-Baseline+DBSCAN+AB"): ("abmt", {"cross_branch": False}),
    ("4.3", "ABMT(MT-Baseline+DBSCAN+AB+Cross-branch)"): ("abmt", {}),
    ("4.3", "ABMT+Stochastic data augmentation"): ("abmt", {"stochastic_augmentation": True}),
    ("4.3", "ABMT+Drop out"): ("abmt", {"dropout": 0.5}),
    ("4.4", "ABMT"): ("abmt", {}),
    ("4.4", "ABMT w/o different pooling"): ("abmt", {"encoder.head": "a+a1"}),
    ("4.4", "ABMT w/o extra bottleneck"): ("abmt", {"encoder.head": "a+m"}),
    ("4.4", "ABMT + one more branch"): ("abmt", {"encoder.head": "a+m1+a2"}),
    ("4.5", "ABMT"): ("abmt", {}),
    ("4.5", "ABMT w/o L_ce"): ("abmt", {"classification_weight": 0.0}),
    ("4.5", "ABMT w/o L_sce"): ("abmt", {"soft_classification_weight": 0.0}),
    ("4.5", "ABMT w/o L_stri"): ("abmt", {"soft_triplet_weight": 0.0}),
}
"""What each row of the text is, as settings that differ from its method's."""

METHODS_OF_4: dict[str, dict[str, object]] = {
    "source": {"encoder.head": "a+m1", "epochs": 80, "iterations": 200, "learning_rate": 3.5e-4, "warmup_epochs": 10},
    "abmt": {"encoder.head": "a+m1", "cross_branch": True, "networks": 1, "momentum": 0.999, "cluster.rho": 2e-3},
    "mean_teacher": {"encoder.head": "global", "networks": 1, "momentum": 0.999, "cluster.rho": 2e-3},
    "mmt": {"encoder.head": "global", "networks": 2, "cross_branch": True, "freeze_eps": True, "cluster.rho": 1.6e-3},
}
"""What the methods are, of which the rows are told."""


def test_the_rows_of_chapter_4_are_what_the_text_calls_them() -> None:
    for (table, name), (method, differing) in CHAPTER_4.items():
        planned = [job for job in plan_rows(ITEMS[f"table-{table}"], RunRequest("full")) if job.printed.name == name]
        assert len(planned) == 2
        for job in planned:
            own, found = (
                dict(dotted(dataclasses.asdict(settings))) for settings in (read_recipe(method)[0], job.settings)
            )
            assert job.method == method
            changed = {key for key, value in found.items() if own[key] != value}
            weighs = {"cluster.source_weight"} if job.source and method != "source" else set()
            assert changed - weighs <= set(differing), name
            assert weighs <= changed, name
            assert {key: found[key] for key in differing} == differing, name
            for key, value in METHODS_OF_4[method].items():
                assert key in differing or found[key] == value, (name, key)
            if method != "source":
                assert (found["epochs"], found["iterations"], found["learning_rate"]) == (40, 400, 3.5e-4)
                assert found.get("cluster.source_weight") == (0.1 if job.source else 0)


def test_rows_without_a_source_are_trained_by_a_recipe_of_their_own() -> None:
    bare, adapted = (
        [job.settings for job in plan_rows(ITEMS[table], RunRequest("short")) if job.settings is not None]
        for table in ("table-4.2", "table-4.5")
    )
    assert {(s.encoder.neck_statistics, s.cluster.pairs_per_image) for s in bare} == {("batch", None)}
    assert {(s.encoder.neck_statistics, s.cluster.pairs_per_image) for s in adapted} == {("dataset", 3.5)}


def test_each_network_of_mmt_starts_from_a_run_of_its_own_seed() -> None:
    mmt, abmt = plan_rows(ITEMS["figure-4.4"], RunRequest("full", seed=5))
    single, branched = plan_rows(ITEMS["table-4.3"], RunRequest("full", seed=5))[:4:2]
    assert [start.options.seed for start in mmt.starts if start.options] == [5, 6]
    assert mmt.starts[0].key == single.key != mmt.starts[1].key
    assert [start.key for start in abmt.starts] == [branched.key]


@pytest.mark.parametrize("scale", ["smoke", "short"])
def test_a_scale_leaves_the_weight_of_the_source_to_the_row(scale: str) -> None:
    weights = {
        job.printed.name: job.settings.cluster.source_weight
        for name in ("figure-4.4", "table-4.2")
        for job in plan_rows(ITEMS[name], RunRequest(scale))
    }
    assert weights == {"MMT": 0, "ABMT": 0.1, "MMT500*": 0, "MMT*+DBSCAN": 0, "ours w/o Source pre-training": 0}


def test_a_scale_keeps_what_a_row_is_about() -> None:
    planned = plan_rows(ITEMS["table-6.5"], RunRequest("short"))
    assert [job.settings.cluster.eps for job in planned[::3]] == [0.45, 0.5, 0.55, 0.6]
    assert {job.settings.encoder.backbone for job in planned} == {"tf_efficientnet_lite0"}
    assert {(job.settings.epochs, job.settings.iterations) for job in planned} == {(24, 100)}
    agnostic = plan_rows(ITEMS["table-6.6"], RunRequest("short"))[-1]
    assert not agnostic.settings.camera_aware
    reasons = {job.reason for job in plan_rows(ITEMS["table-6.4"], RunRequest("short"))}
    assert all("this row studies what scale short sets: encoder.backbone" in reason for reason in reasons)


def test_what_was_asked_for_wins_over_the_scale() -> None:
    job = plan_rows(ITEMS["table-6.2"], RunRequest("short", seed=5, epochs=6, iterations=60))[0]
    assert job.options is not None
    assert (job.options.seed, job.settings.epochs, job.settings.iterations) == (5, 6, 60)
    assert RunRequest("short", seed=5, epochs=6, iterations=60).tag == "short-e6-i60-seed5"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("6.6", "table-6.6"),
        ("Table 6.6", "table-6.6"),
        ("fig-6.5", "figure-6.5"),
        ("figure-6.5", "figure-6.5"),
    ],
)
def test_an_id_may_be_written_in_several_ways(words: str, found: str) -> None:
    assert load_item(words).id == found


def test_unknown_names_name_the_nearest() -> None:
    for call, name, words in (
        (load_item, "tabel-6.6", "did you mean 'table-6.6'"),
        (load_item, "table-9.9", "resight thesis list"),
        (load_scale, "shrot", "did you mean 'short'"),
        (data_name, "marker1501", "did you mean 'market1501'"),
    ):
        with pytest.raises(ConfigError, match=words) as error:
            call(name)
        assert "\n" not in str(error.value)
    assert data_name("Duke") == "dukemtmc"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[[10.0, ~]]", "[[10.0]]", "row 'one' has"),
        ("[[10.0, ~]]", "[[110.0, ~]]", "in 0..100"),
        ("[[10.0, ~]]", "[[ten, ~]]", "could not convert"),
        ("  values", "  valve", "did you mean 'values'"),
        ("title: made up", "notes: [a]", "title is missing"),
        ("data: market1501", "data: market1502", "did you mean 'market1501'"),
        ("id: table-9.1", "id: [", "table-9.1: while parsing"),
    ],
)
def test_a_file_that_is_wrong_says_where(old: str, new: str, words: str) -> None:
    assert parse_item(MINIMAL, where="table-9.1").rows[0].values == (("10.0", None),)
    with pytest.raises(ConfigError, match=re.escape(words)) as error:
        parse_item(MINIMAL.replace(old, new), where="table-9.1")
    assert "\n" not in str(error.value)


def test_scales_are_three() -> None:
    assert list(scales()) == ["smoke", "short", "full"]
    assert not scales()["full"].methods


@pytest.mark.parametrize("name", item_ids())
def test_a_figure_draws_metrics_by_their_present_names(name: str) -> None:
    metrics = dict.fromkeys(load_item(name).metrics)
    assert current_metrics(metrics) == metrics
