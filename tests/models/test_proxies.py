"""The memory of proxies beside its equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from resight.models.proxies import ProxyMemory

LABELS = np.array([0, 0, 0, 1, 1, -1])
CAMERAS = np.array([0, 0, 2, 1, 2, 0])


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.fixture
def vectors() -> np.ndarray:
    return unit(np.random.default_rng(0).normal(size=(6, 4))).astype(np.float32)


def memory(vectors: np.ndarray, *, cameras: bool = True, normalize: bool = False) -> ProxyMemory:
    return rebuilt(vectors, LABELS, CAMERAS if cameras else None, normalize=normalize)


def rebuilt(vectors: np.ndarray, labels: np.ndarray, cameras: np.ndarray | None, *, normalize: bool) -> ProxyMemory:
    memory = ProxyMemory(normalize=normalize, device=torch.device("cpu"))
    memory.rebuild(vectors, labels, cameras)
    return memory


def test_centers_are_means_and_proxies_means_of_unit_length(vectors: np.ndarray) -> None:
    means = np.stack([vectors[:3].mean(0), vectors[3:5].mean(0)])
    made = memory(vectors)
    np.testing.assert_allclose(made.centers.numpy(), means, atol=1e-6)
    np.testing.assert_allclose(memory(vectors, normalize=True).centers.numpy(), unit(means), atol=1e-6)
    proxies, labels, cameras = made.proxies
    assert list(zip(labels.tolist(), cameras.tolist(), strict=True)) == [(0, 0), (0, 2), (1, 1), (1, 2)]
    expected = unit(np.stack([vectors[:2].mean(0), vectors[2], vectors[3], vectors[4]]))
    np.testing.assert_allclose(proxies.numpy(), expected, atol=1e-6)


def test_without_cameras_there_are_only_centers(vectors: np.ndarray) -> None:
    made = memory(vectors, cameras=False)
    assert [len(column) for column in made.proxies] == [0, 0, 0]
    made.update(torch.ones(1, 4), torch.tensor([0]), torch.tensor([-1]), momentum=0.5)
    np.testing.assert_allclose(made.centers[0].numpy(), unit(0.5 * vectors[:3].mean(0) + 0.25), atol=1e-6)


def test_clusters_are_apart_where_no_camera_has_seen_both() -> None:
    labels, cameras = np.array([0, 0, 1, 2, 2, -1]), np.array([3, 7, 7, 5, 9, 5])
    vectors = np.eye(6, dtype=np.float32)
    made = rebuilt(vectors, labels, cameras, normalize=True)
    every = torch.arange(3)
    expected = [[False, False, True], [False, False, True], [True, True, False]]
    assert made.share_no_camera(every, every).tolist() == expected
    assert made.share_no_camera(every[1:2], every[[2, 0]]).tolist() == [[True, False]]


def test_an_update_moves_the_own_center_and_proxy_image_after_image(vectors: np.ndarray) -> None:
    made = memory(vectors)
    before = made.centers[1].clone(), made.proxies[0][[0, 2, 3]].clone()
    center, proxy = made.centers[0].numpy().copy(), made.proxies[0][1].numpy().copy()
    features = torch.randn((2, 4), generator=torch.Generator().manual_seed(0)).requires_grad_()
    made.update(features, torch.tensor([0, 0]), torch.tensor([2, 2]), momentum=0.8)
    for row in unit(features.detach().numpy()):
        center, proxy = unit(0.8 * center + 0.2 * row), unit(0.8 * proxy + 0.2 * row)
    np.testing.assert_allclose(made.centers[0].numpy(), center, atol=1e-6)
    np.testing.assert_allclose(made.proxies[0][1].numpy(), proxy, atol=1e-6)
    assert torch.equal(made.centers[1], before[0])
    assert torch.equal(made.proxies[0][[0, 2, 3]], before[1])
    assert not made.centers.requires_grad
