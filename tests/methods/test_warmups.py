"""JVTC, MMCL and ACT beside their equations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import reference
import tiny
from resight.data.camera_styles import CameraStyles
from resight.data.crops import Crops
from resight.data.transforms import to_float
from resight.errors import ConfigError, DataError
from resight.methods.act import ACTSettings, borrow_labels
from resight.methods.jvtc_settings import JVTCSettings
from resight.methods.mmcl import MMCLSettings
from resight.numerics.clustering import ClusterSettings
from tiny_warmups import with_frames

CLEAN = {"encoder": tiny.without_neck(tiny.ENCODER), "augment": tiny.PLAIN}
"""With these, the features of an image depend on nothing but the image."""


def features_of(method: Any, images: Crops, rows: Any) -> np.ndarray:
    with torch.no_grad():
        return method.encoder(to_float(images.pixels(rows))).double().numpy()


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


# -- JVTC ----------------------------------------------------------------------------------------------------------


def test_the_losses_of_two_steps_of_jvtc_are_the_equations(images: Crops) -> None:
    """In epoch 3, whose share m of the memory is 0.6; the second step sees what the first one moved."""
    target, arguments = tiny.TINY["jvtc"].inputs(images)
    source = arguments["source"]
    method = tiny.build("jvtc", target, memory_growth=0.2, **CLEAN, **arguments)
    method.begin_epoch(0)
    memory = np.zeros((len(target), method.encoder.dim))
    memory[:20] = unit(np.random.default_rng(0).normal(size=(20, method.encoder.dim)))
    method.memory.fill(memory.astype(np.float32))
    batches = list(method.begin_epoch(3))
    labels = method.labeling.current.labels
    assert labels.min() >= 0
    assert 1 < labels.max() < len(labels) - 1
    people = np.unique(source.table.person_ids, return_inverse=True)[1]
    drawn: list[np.ndarray] = []
    stream = method._source_batches
    method._source_batches = (drawn.append(batch) or batch for batch in stream)
    for batch in batches:
        vectors = unit(features_of(method, target, batch))  # its three views are equal without augmentation
        everyone = features_of(method, source, slice(None))
        classifier = [value.detach().double().numpy().copy() for value in method.classifier.parameters()]
        losses = method.step(batch)
        local = reference.proxy_contrast(vectors, range(len(batch)), vectors, 0.1)
        same = labels[batch][:, None] == labels
        shared = reference.shared_label_contrast(vectors, memory, same, 0.05)
        logits = everyone[drawn[-1]] @ classifier[0].T + classifier[1]
        classified = reference.cross_entropy(logits, people[drawn[-1]])
        expected = [np.mean(local), 0.2 * np.mean(shared), np.mean(classified)]
        assert [float(loss) for loss in losses.values()] == pytest.approx(expected, rel=1e-4)
        assert list(losses) == ["loss/local", "loss/global", "loss/source"]
        memory[batch] = 0.6 * memory[batch] + 0.4 * vectors
        np.testing.assert_allclose(method.memory.features.numpy(), memory, atol=1e-5)


def test_weights_move_by_nesterov_and_new_layers_ten_times_as_fast(images: Crops) -> None:
    target, arguments = tiny.TINY["jvtc"].inputs(images)
    method = tiny.build("jvtc", target, momentum=0.9, weight_decay=0.1, learning_rate=1e-3, **arguments)
    groups = [
        [*method.encoder.backbone.parameters()],
        [p for p in (*method.encoder.neck.parameters(), *method.classifier.parameters()) if p.requires_grad],
    ]
    starts = [[p.detach().double().numpy().copy() for p in group] for group in groups]
    gradients: list[list[list[np.ndarray]]] = [[[] for _ in group] for group in groups]
    for batch in method.begin_epoch(0):
        method.step(batch)
        for group, found in zip(groups, gradients, strict=True):
            for parameter, each in zip(group, found, strict=True):
                each.append(parameter.grad.double().numpy().copy())
    assert len(gradients[0][0]) == 2
    for group, start, found, rate in zip(groups, starts, gradients, (1e-3, 1e-2), strict=True):
        for parameter, first, each in zip(group, start, found, strict=True):
            expected = reference.nesterov(first, each, rate, 0.1, 0.9)
            np.testing.assert_allclose(parameter.detach().numpy(), expected, atol=2e-6)


def test_images_are_clustered_every_few_epochs_and_later_by_time(images: Crops) -> None:
    changes = {"cluster_from": 1, "cluster_every": 2, "joint_from": 3, "epochs": 6, "learning_rate": 0.0}
    method = tiny.build("jvtc", with_frames(images), **CLEAN, **changes)
    found = []
    for epoch in range(6):
        losses = method.step(next(iter(method.begin_epoch(epoch))))
        assert ("loss/global" in losses) == (epoch >= 1)
        assert (method.clusters is not None) == (epoch >= 1)
        found.append(method.labeling.current)
    assert found[1] is found[2]
    assert found[3] is found[4]
    assert found[1].eps != found[3].eps, "the distance counts time"
    assert found[1].eps > 0
    # The encoder stands still, so only the times, counted on the clusters before, can change the labels.
    assert found[5] is not found[3]


def test_jvtc_says_what_it_lacks(images: Crops) -> None:
    timeless = tiny.with_columns(images, frame_ids=np.full(len(images), -1))
    with pytest.raises(ConfigError, match=r"no frame number.*or set joint_from to 4 to cluster by appearance alone"):
        tiny.build("jvtc", timeless)
    tiny.build("jvtc", timeless, joint_from=4)
    balanced = ClusterSettings(k_cross_camera=3)
    for changes in ({"eps_scale": 0.0}, {"joint_weight": 1.0}, {"cluster": balanced}, {"cluster_every": 0}):
        with pytest.raises(ConfigError):
            JVTCSettings(**changes)  # type: ignore[arg-type]


# -- styles of cameras ---------------------------------------------------------------------------------------------


def test_a_view_is_the_image_or_one_of_its_versions(images: Crops, tmp_path: Path) -> None:
    some = images[:3]
    stem = Path(str(some.table.paths[1])).stem
    for shade, camera in ((50, 2), (150, 3)):
        Image.new("RGB", (32, 64), (shade,) * 3).save(tmp_path / f"{stem}_fake_1to{camera}.png")
    (tmp_path / "notes.txt").write_text("no image")
    styles = CameraStyles(tmp_path, some)
    assert styles.counts.tolist() == [0, 2, 0]
    rows = np.array([0, 1, 1, 1, 2])
    pixels = styles.pixels(rows, torch.tensor([0.99, 0.0, 0.4, 0.99, 0.5]))
    own = some.pixels(rows)
    assert torch.equal(pixels[[0, 1, 4]], own[[0, 1, 4]])
    assert pixels[[2, 3]].flatten(1).float().mean(1).tolist() == [50, 150]
    method = tiny.build("mmcl", some, styles=str(tmp_path), identities=3)
    assert np.isfinite(float(method.step(next(iter(method.begin_epoch(0))))["loss/multi_label"]))
    with pytest.raises(DataError, match=r"no file in .* is named like"):
        CameraStyles(tmp_path, images[:1])
    with pytest.raises(DataError, match="there is no folder"):
        CameraStyles(tmp_path / "absent", some)


# -- MMCL ----------------------------------------------------------------------------------------------------------


def test_the_losses_of_mmcl_are_the_equations(images: Crops) -> None:
    """Of two epochs: at first an image is its only label, and later the memory predicts more."""
    method = tiny.build("mmcl", images, norm=False, **CLEAN)
    memory = np.zeros((len(images), method.encoder.dim))
    counts = []
    for epoch in range(2):
        for batch in method.begin_epoch(epoch):
            vectors = unit(features_of(method, images, batch))
            own = np.zeros((len(batch), len(images)), bool)
            for i, row in enumerate(batch):
                own[i, list(reference.agreed_positives(memory, row, 0.6, 3)) if epoch else [row]] = True
            expected = np.mean(reference.multi_label_loss(vectors, memory, own, 5, 0.1))
            assert float(method.step(batch)["loss/multi_label"]) == pytest.approx(expected, rel=1e-4)
            kept = 0.5 * epoch / 4
            memory[batch] = unit(kept * memory[batch] + (1 - kept) * vectors)
            np.testing.assert_allclose(method.memory.features.numpy(), memory, atol=1e-5)
            memory = method.memory.features.double().numpy().copy()
            counts.append(own.sum(1).mean())
        assert method.end_epoch()["labels_per_image"] == pytest.approx(np.mean(counts[-2:]))
    assert counts[0] == 1
    assert counts[-1] > 1


def test_the_batch_norm_of_the_training_is_not_part_of_the_encoder(images: Crops) -> None:
    method = tiny.build("mmcl", images)
    assert method.network.norm.num_features == method.encoder.dim
    assert not [name for name in method.encoder.state_dict() if name.startswith("norm")]
    assert isinstance(tiny.build("mmcl", images, encoder=tiny.ENCODER).network.norm, torch.nn.Identity)
    with pytest.raises(ConfigError, match="a similarity"):
        MMCLSettings(threshold=1.5)


# -- ACT -----------------------------------------------------------------------------------------------------------


def losses_of(features: np.ndarray, labels: np.ndarray, margin: float) -> np.ndarray:
    return np.array(reference.batch_hard_triplet(features, labels, margin))


def test_each_network_of_act_learns_what_the_other_chooses(images: Crops) -> None:
    method = tiny.build("act", images, projection=False, **CLEAN)
    with torch.no_grad():
        for parameter in method.collaborator.parameters():
            parameter.mul_(1.1)  # the two differ, so it matters who chooses
    batch = next(iter(method.begin_epoch(1)))
    labels, margin, kept = method.borrowed, 2.0, 0.2 + 0.2 * 2
    is_inlier = method.labeling.current.labels[batch] >= 0
    inliers, outliers = batch[is_inlier], batch[~is_inlier]
    assert len(inliers)
    assert len(outliers)
    assert method._kept == pytest.approx(kept)

    def of(network: Any, rows: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return network.encoder(to_float(images.pixels(rows))).double().numpy()

    chosen = np.argsort(losses_of(of(method.main, inliers), labels[inliers], margin), kind="stable")
    clean = chosen[: round(kept * len(inliers))]
    taught = losses_of(of(method.collaborator, inliers), labels[inliers], margin)[clean]
    order = np.argsort(losses_of(of(method.collaborator, outliers), labels[outliers], margin), kind="stable")
    rows = np.concatenate([inliers, outliers[order[: round(kept * len(outliers))]]])
    expected = [taught.mean(), losses_of(of(method.main, rows), labels[rows], margin).mean()]
    losses = method.step(batch)
    assert [float(loss) for loss in losses.values()] == pytest.approx(expected, rel=1e-4)
    assert list(losses) == ["loss/collaborator", "loss/main"]
    assert min(expected) > 0


def test_an_outlier_borrows_the_label_of_its_nearest_inlier() -> None:
    vectors = unit(np.array([[1, 0], [0, 1], [1, 0.1], [0.1, 1], [-1, 0.5]])).astype(np.float32)
    assert borrow_labels(vectors, np.array([0, 1, -1, -1, -1])).tolist() == [0, 1, 0, 1, 1]
    assert borrow_labels(vectors, np.full(5, -1)).tolist() == [-1] * 5
    assert [ACTSettings().kept(epoch) for epoch in (0, 9, 20)] == pytest.approx([0.28, 1.0, 1.0])


def test_a_source_and_its_weight_come_together(images: Crops) -> None:
    for changes in ({"source": images}, {"cluster": ClusterSettings(rho=0.03, source_weight=0.1)}):
        with pytest.raises(ConfigError, match="give --source and a weight"):
            tiny.build("act", images, **changes)
