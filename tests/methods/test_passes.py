"""An epoch that shows each image of a cluster a set number of times."""

from __future__ import annotations

import pytest

import tiny
from resight.cli.train import _warnings
from resight.data.crops import Crops
from resight.errors import ConfigError
from resight.methods.ice_settings import ICESettings
from resight.training.train import TrainSettings

CLUSTERING = ("ice", "cluster_contrast", "cap", "abmt", "mean_teacher", "mmt")


@pytest.mark.parametrize("name", CLUSTERING)
def test_an_epoch_shows_the_images_of_clusters_as_often_as_set(images: Crops, name: str) -> None:
    few = images[: len(images) // 2]
    for crops, passes in ((images, 3.0), (few, 3.0), (images, 0.5), (images, 1e-6)):
        method = tiny.build(name, crops, passes=passes)
        batches = list(method.begin_epoch(0))
        shown = (method.clusters.labels >= 0).sum()
        assert 0 < shown <= len(crops)
        # Few clusters make smaller batches, and more of them.
        assert len(batches) == max(1, round(passes * shown / len(batches[0])))
        assert {len(batch) for batch in batches} <= {8, 12, 16}


def test_spcl_shows_images_in_no_cluster_too(images: Crops) -> None:
    method = tiny.build("spcl", images, passes=2.0)
    assert len(list(method.begin_epoch(0))) == round(2 * len(images) / 16)


@pytest.mark.parametrize("name", ["ice", "cap"])
def test_without_passes_the_number_of_steps_counts(images: Crops, name: str) -> None:
    assert len(list(tiny.build(name, images, iterations=3).begin_epoch(0))) == 3


def test_an_abmt_epoch_begins_at_the_same_update_wherever_it_is_resumed(images: Crops) -> None:
    first = tiny.build("abmt", images, passes=1.0)
    steps = [len(list(first.begin_epoch(epoch))) for epoch in range(3)]
    assert first._num_updates == 2 * steps[2] > 0


def test_passes_are_checked_and_told() -> None:
    with pytest.raises(ConfigError, match="passes must be 0 or more, found -1"):
        ICESettings(passes=-1)
    (warning,) = _warnings("ice", ICESettings(), TrainSettings(), [])
    assert "16,000 steps of 32" in warning
    (warning,) = _warnings("ice", ICESettings(passes=1), TrainSettings(), [])
    assert "40 epochs of 32" in warning
