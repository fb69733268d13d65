"""The true bodies of drawn people."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resight.bodies.files import TurnedFiles
from resight.bodies.recovery import structure_maps
from resight.bodies.truth import true_bodies
from resight.errors import DataError
from resight.synthetic import SyntheticSettings, synthesize
from resight.synthetic.corpus import sites
from resight.synthetic.views import VIEWS


def test_true_maps_are_those_that_the_set_was_drawn_with(drawn: Path, crops: list[str]) -> None:
    truth = structure_maps(crops, "truth", size=(128, 64))
    files = structure_maps(crops, f"files={drawn / VIEWS}", size=(128, 64))
    assert truth.usable.all()
    assert files.usable.all()
    for turns in range(8):
        rows = np.arange(len(crops))
        assert torch.equal(truth.load(rows, np.full(len(rows), turns)), files.load(rows, np.full(len(rows), turns)))


def test_bodies_come_in_the_order_of_the_crops(crops: list[str]) -> None:
    order = [2, 0, 3]
    some, every = true_bodies([crops[row] for row in order]), true_bodies(crops)
    np.testing.assert_array_equal(some.boxes, every.boxes[order])
    assert len(true_bodies(crops[:1])) == 1


def test_yaws_are_those_of_the_annotations(drawn: Path, crops: list[str]) -> None:
    lines = (drawn / "annotations.csv").read_text().splitlines()
    column = lines[0].split(",").index("yaw")
    yaws = {line.split(",")[0]: float(line.split(",")[column]) for line in lines[1:]}
    for crop, yaw in zip(crops, true_bodies(crops).yaws, strict=True):
        assert yaw == pytest.approx(yaws[Path(crop).relative_to(drawn).as_posix()], abs=1e-4)


def test_a_corpus_of_sites_has_bodies_too(tmp_path: Path) -> None:
    settings = SyntheticSettings(people_train=1, people_test=0, sites=2, cameras=2, crops=1, height=32, width=16)
    root = tmp_path / "corpus"
    for folder, site in sites(root, replace(settings, views=2)).items():
        synthesize(folder, settings=site)
    crops = sorted(map(str, root.glob("site-*/bounding_box_train/*.jpg")))
    maps = structure_maps(crops, "truth", size=(64, 32)).load(np.arange(len(crops)), np.zeros(len(crops), np.int64))
    for crop, view in zip(crops, maps, strict=True):
        name, site = Path(crop).name, Path(crop).parents[1].name
        with Image.open(root / site / VIEWS / "render" / Path(name).with_suffix(".png")) as written:
            np.testing.assert_array_equal(view[0].numpy(), np.asarray(written))


def test_what_is_no_drawn_set_is_one_line(drawn: Path, tmp_path: Path) -> None:
    Image.new("RGB", (8, 16)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="known of drawn people only"):
        true_bodies([str(tmp_path / "a.png")])
    with pytest.raises(DataError, match="no images"):
        true_bodies([])
    copy = tmp_path / "copy"
    shutil.copytree(drawn, copy, ignore=shutil.ignore_patterns(VIEWS))
    stray = copy / "bounding_box_train" / "0009_c1s1_000001_01.jpg"
    with pytest.raises(DataError, match="no image of the set"):
        true_bodies([str(stray)])
    about = json.loads((copy / "dataset.json").read_text())
    changes: list[tuple[dict[str, object], str]] = [
        ({"version": 3}, "version 3 of the drawing"),
        ({"settings": {"people": 3}}, "no settings of a drawn set"),
        ({"settings": {"views": 5}}, "views must be"),
    ]
    for change, expected in changes:
        (copy / "dataset.json").write_text(json.dumps({**about, **change}))
        with pytest.raises(DataError, match=expected):
            true_bodies([str(copy / "bounding_box_train" / "x.jpg")])


def test_views_of_some_images_leave_the_others_unusable(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = SyntheticSettings(people_train=1, people_test=0, cameras=2, crops=4, height=32, width=16, view_share=0.5)
    root = synthesize(tmp_path / "set", settings=replace(settings, views=8)).root
    maps = TurnedFiles(root / VIEWS, sorted(map(str, root.glob("bounding_box_train/*.jpg"))))
    assert 0 < maps.usable.sum() < len(maps.usable)
    assert "lack" in caplog.text
