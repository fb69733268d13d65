"""CAP beside its equations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import reference
import tiny
from messages import one_line
from resight.data.crops import Crops
from resight.data.transforms import AugmentSettings, to_float
from resight.errors import ConfigError
from resight.methods.cap import CAPSettings
from resight.numerics.clustering import ClusterSettings
from stepping import steps


@pytest.mark.parametrize("by", ["each", "mean", "hard"])
def test_the_losses_of_two_steps_are_the_equations(tiny_market: Path, by: str) -> None:
    """The proxies of the second step are those that the first one moved."""
    images = tiny.crops(tiny_market)
    method = tiny.build("cap", images, augment=tiny.PLAIN, memory_momentum=0.3, memory_update=by, inter_negatives=4)
    batches = list(method.begin_epoch(0))
    labels, cameras = method.labeling.current.labels, images.table.camera_ids
    with torch.no_grad():
        vectors = method.encoder.eval().embed(to_float(images.pixels(slice(None)))).numpy()
    method.encoder.train()
    pairs = sorted({(a, b) for a, b in zip(labels.tolist(), cameras.tolist(), strict=True) if a >= 0})
    means = [vectors[(labels == a) & (cameras == b)].mean(0) for a, b in pairs]
    proxies = [mean / np.linalg.norm(mean) for mean in means]
    assert len(pairs) > labels.max() + 1, "some clusters have several proxies"
    for batch in batches:
        with torch.no_grad():
            features = F.normalize(method.encoder(to_float(images.pixels(batch)))).double().numpy()
        memory = (proxies, [a for a, _ in pairs], [b for _, b in pairs])
        own = (features, labels[batch], cameras[batch])
        intra = reference.intra_camera_contrast(*own, memory, 0.07)
        inter = reference.camera_contrast(*own, memory, 0.07, 4, True, "joint")
        losses = method.step(batch)
        assert float(losses["loss/intra"]) == pytest.approx(intra, rel=1e-4)
        expected = 0.5 * reference.sum_over_cameras(inter, cameras[batch])
        assert float(losses["loss/inter"]) == pytest.approx(expected, rel=1e-4)
        for number, (label, camera) in enumerate(pairs):
            members = features[(labels[batch] == label) & (cameras[batch] == camera)]
            if len(members):
                proxies[number] = reference.updated_center(proxies[number], members, 0.3, by)
        np.testing.assert_allclose(method.memory.proxies.vectors.numpy(), proxies, atol=1e-5)


def test_a_batch_is_of_p_proxies_with_k_images_each(images: Crops) -> None:
    method = tiny.build("cap", images, iterations=10, identities=5, images=3)
    for batch in method.begin_epoch(0):
        groups = np.stack([method.labeling.current.labels[batch], images.table.camera_ids[batch]], 1).reshape(5, 3, 2)
        assert (groups == groups[:, :1]).all(), "one cluster and one camera"
        assert len({tuple(pair) for pair in groups[:, 0].tolist()}) == 5
        assert (groups >= 0).all()
    assert method.end_epoch()["proxies"] == len(method.memory.proxies.labels)


def test_an_epoch_has_as_many_steps_as_the_images_fill_batches(images: Crops) -> None:
    assert len(steps(tiny.build("cap", images, iterations=0))) == len(images) // 16 == 6
    few = images[:14]
    assert len(steps(tiny.build("cap", few, iterations=0, cluster=ClusterSettings(k1=4, k2=2, min_samples=2)))) == 1


def test_the_loss_between_cameras_begins_when_it_is_said(images: Crops) -> None:
    names = [set(losses) for losses in steps(tiny.build("cap", images, inter_from=1, iterations=1), 0, 1, 2)]
    assert names == [{"loss/intra"}, {"loss/intra", "loss/inter"}, {"loss/intra", "loss/inter"}]
    assert set(steps(tiny.build("cap", images, inter_weight=0.0, iterations=1))[0]) == {"loss/intra"}


def test_the_defaults_are_the_released_codes_numbers() -> None:
    s = CAPSettings()
    assert (s.epochs, s.iterations, s.identities, s.images, s.ghost_batches) == (50, 0, 8, 4, 1)
    assert (s.learning_rate, s.weight_decay, s.milestones, s.decay) == (3.5e-4, 5e-4, (20, 40), 0.1)
    assert (s.temperature, s.memory_momentum, s.memory_update) == (0.07, 0.2, "each")
    assert (s.inter_weight, s.inter_from, s.inter_negatives) == (0.5, 5, 50)
    assert (s.cluster.k1, s.cluster.k2, s.cluster.eps, s.cluster.min_samples) == (20, 6, 0.5, 4)
    assert s.augment == AugmentSettings(blur=0, erase=0.5, erase_area=(0.02, 0.2))
    assert s.encoder.backbone == "resnet50_linear_stem"
    rates = [s.rate(epoch) / s.learning_rate for epoch in (0, 5, 10, 19, 20, 40)]
    assert rates == pytest.approx([0.01, 0.505, 1, 1, 0.1, 0.01])


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0.0}, {"memory_momentum": 1.5}, {"decay": -1.0}, {"iterations": -1}, {"inter_weight": -0.1},
        {"inter_from": -1}, {"inter_negatives": 0}, {"warmup_epochs": -1}, {"inter_weight": 1e9},
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        CAPSettings(**changes)


def test_images_of_unknown_cameras_are_refused(images: Crops) -> None:
    cameras = images.table.camera_ids.copy()
    cameras[3] = -1
    with pytest.raises(ConfigError, match="CAP needs the camera of every image: --layout camera") as error:
        tiny.build("cap", tiny.with_columns(images, camera_ids=cameras))
    assert one_line(error)


def test_settings_reach_what_they_set(images: Crops) -> None:
    changes = {"cluster_feature": "pooled", "whiten": 0.3, "clip": 0.01, "ghost_batches": 2, "warmup_epochs": 0}
    method = tiny.build("cap", images, **changes)
    assert method.encoder.ghost_batches == 2
    assert method.labeling.whiten == 0.3
    method.step(next(iter(method.begin_epoch(0))))
    gradients = [p.grad.norm() for p in method.encoder.parameters() if p.grad is not None]
    assert float(torch.stack(gradients).norm()) == pytest.approx(0.01, rel=1e-3)
