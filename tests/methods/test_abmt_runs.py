"""ABMT and the mean teachers as runs: their variants, resuming, and the edges."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny
from resight.data.crops import Crops
from resight.data.transforms import AugmentSettings
from resight.errors import ConfigError, RunError
from resight.methods import METHODS
from resight.methods.abmt import ABMT
from resight.methods.abmt_settings import LITERAL, ABMTSettings
from resight.methods.mean_teacher import MeanTeacherSettings, MMTSettings
from resight.models.encoder import EncoderSettings
from resight.numerics.clustering import ClusterSettings
from resight.records import ImageTable
from resight.training.runs import Run
from resight.training.train import read_flags, read_recipe
from run_equality import assert_same_run
from stepping import run_to, steps


def splits_cleanly() -> dict[str, Any]:
    """Changes with which an image's features do not depend on its batch."""
    encoder = dataclasses.replace(tiny.ENCODER, head="a+m1", batchnorm="frozen", neck_statistics="dataset")
    return {"encoder": encoder, "ghost_batches": 1}


# -- the readings --------------------------------------------------------------------------------------------------


def test_the_defaults_are_the_released_codes_numbers() -> None:
    s = ABMTSettings()
    assert (s.epochs, s.iterations, s.identities, s.images) == (40, 400, 16, 4)
    assert (s.learning_rate, s.weight_decay, s.momentum) == (3.5e-4, 5e-4, 0.999)
    assert (s.classification_weight, s.soft_classification_weight, s.soft_triplet_weight) == (0.5, 0.5, 1)
    assert (s.triplet_weight, s.label_smoothing, s.ghost_batches) == (0, 0.1, 4)
    assert (s.cluster.k1, s.cluster.k2, s.cluster.variant, s.cluster.rho) == (20, 6, "abmt", 2e-3)
    assert (s.cluster.min_samples, s.cluster.method, s.cluster.num_clusters) == (4, "dbscan", 500)
    assert s.augment == AugmentSettings(flip=0.5, pad=10, blur=0, erase=0.5)
    assert s.encoder == EncoderSettings("resnet50_linear_stem", head="a+m1")
    assert MeanTeacherSettings() == MeanTeacherSettings(
        **{
            **dataclasses.asdict(s),
            "encoder": EncoderSettings("resnet50_linear_stem"),
            "cluster": s.cluster,
            "augment": s.augment,
        }
    )
    mmt = MMTSettings()
    assert (mmt.networks, mmt.triplet_weight, mmt.soft_triplet_weight) == (2, 0.2, 0.8)
    assert (mmt.cluster.rho, mmt.freeze_eps) == (1.6e-3, True)
    assert {METHODS[name][0] for name in ("abmt", "mean_teacher", "mmt")} == {ABMT}


@pytest.mark.parametrize("method", ["abmt", "mean_teacher", "mmt"])
def test_the_variants_change_exactly_what_they_say(method: str) -> None:
    kind = METHODS[method][1]
    assert read_recipe(method)[0] == kind()
    thesis = read_recipe(method, "", "--variant=thesis")[0]
    encoder = dataclasses.replace(kind().encoder, backbone="resnet50")
    assert thesis == dataclasses.replace(kind(), **LITERAL, encoder=encoder)


@pytest.mark.parametrize("method", ["abmt", "mean_teacher", "mmt"])
def test_every_setting_has_its_meaning(method: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_flags(method, "", ["--print_config"])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "#" not in line] == []


# -- going on ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [{"reset_optimizer": False, "freeze_eps": True, "dropout": 0.2}, splits_cleanly()],
    ids=["kept", "frozen"],
)
def test_four_epochs_equal_two_and_two_more(images: Crops, tmp_path: Path, changes: dict[str, Any]) -> None:
    run_to(tmp_path / "whole", tiny.abmt(images, **changes), 4)
    run_to(tmp_path / "halves", tiny.abmt(images, **changes), 2)
    assert len(Run(tmp_path / "halves").metrics()) == 2
    run_to(tmp_path / "halves", tiny.abmt(images, **changes), 4)
    assert_same_run(tmp_path / "whole", tmp_path / "halves")


# -- edges ---------------------------------------------------------------------------------------------------------


def test_without_two_clusters_it_says_so(images: Crops) -> None:
    """Every image an outlier, or all in one cluster."""
    for cluster, count in (
        (ClusterSettings(k1=2, k2=1, eps=1e-6, min_samples=9), 0),
        (ClusterSettings(k1=90, eps=0.99), 1),
    ):
        method = tiny.abmt(images, cluster=cluster)
        batches = method.begin_epoch(0)
        assert method.labeling.current.num_clusters == count
        with pytest.raises(RunError, match=rf"found {count} cluster\(s\)") as error:
            next(iter(batches))
        assert "\n" not in str(error.value)


def test_more_clusters_than_images_are_refused(images: Crops) -> None:
    method = tiny.abmt(images, cluster=ClusterSettings(method="kmeans", num_clusters=500))
    with pytest.raises(ConfigError, match="1 to 96 clusters, at most one per image, found 500"):
        method.begin_epoch(0)


@pytest.mark.parametrize("cameras", [0, -1])
def test_one_camera_or_none_that_is_known(images: Crops, cameras: int) -> None:
    same = tiny.with_columns(images, camera_ids=np.full(len(images), cameras))
    for losses in steps(tiny.abmt(same)):
        assert np.isfinite(list(losses.values())).all()


def test_images_without_a_table_of_anything(images: Crops) -> None:
    bare = dataclasses.replace(images, table=ImageTable(images.table.paths))
    assert len(steps(tiny.abmt(bare))) == 2


def test_a_head_of_parts_is_refused(images: Crops) -> None:
    parts = dataclasses.replace(tiny.ENCODER, head="p1+p2(s2)")
    with pytest.raises(ConfigError, match=r"asymmetric branches such as a\+m1; found 'p1\+p2\(s2\)'"):
        tiny.abmt(images, encoder=parts)


def test_a_peer_is_for_two_networks(images: Crops) -> None:
    first, second = tiny.chain(tiny.ENCODER), tiny.chain(tiny.ENCODER)
    for parameter in second.parameters():
        parameter.data *= 0.5
    both = dataclasses.replace(tiny.ABMT_SETTINGS, **tiny.MMT)
    method = ABMT(both, images, seed=3, encoder=first, peer=second)
    starts = [teacher.encoder.backbone.network[0].weight for teacher in method.teachers]
    torch.testing.assert_close(starts[1], 0.5 * starts[0])
    with pytest.raises(ConfigError, match="set networks to 2"):
        ABMT(dataclasses.replace(both, networks=1), images, encoder=first, peer=second)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 0}, "epochs must be 1 or more"),
        ({"ghost_batches": 0}, "ghost_batches must be 1 or more"),
        ({"identities": 6}, "set ghost_batches to 3 or fewer"),
        ({"identities": 1}, "identities must be 2 or more"),
        ({"networks": 3}, "networks must be 1 or 2"),
        ({"soft_triplet_weight": -1.0}, "soft_triplet_weight must be 0 or more"),
        ({"classification_weight": 0.0, "soft_classification_weight": 0.0}, "not both be 0"),
        ({"momentum": 1.5}, "momentum must be in 0..1"),
        ({"dropout": 1.0}, "dropout must be 0 or more and below 1"),
    ],
)
def test_settings_are_checked(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ABMTSettings(**changes)
