"""The memory of proxies that images are pulled to: cluster centers and camera proxies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from resight.numerics.clustering import camera_proxies, centroids
from resight.records import Floats, Ints


class CameraProxies(NamedTuple):
    """The proxy of each cluster in each camera that sees it.

    Attributes:
        vectors: ``(P, D)`` unit vectors.
        labels: ``(P,)`` their clusters.
        cameras: ``(P,)`` their cameras.
    """

    vectors: Tensor
    labels: Tensor
    cameras: Tensor


class ProxyMemory:
    """The center of each cluster, and its proxy in each camera; empty until it is rebuilt.

    Args:
        normalize: Whether centers are unit vectors; the mean of eq. 6.4 is shorter.
        device: Where the memory lies.

    Attributes:
        centers: ``(C, D)``, eq. 6.4; row ``c`` belongs to cluster ``c``.
        proxies: The camera proxies, eq. 6.6; none without cameras.
    """

    def __init__(self, *, normalize: bool, device: torch.device) -> None:
        self.normalize, self.device = normalize, device
        self.centers = torch.empty(0, 0, device=device)
        none = torch.empty(0, dtype=torch.int64, device=device)
        self.proxies = CameraProxies(self.centers, none, none)
        self._visibility = torch.empty(0, 0, device=device)  # (C, cameras): 1 if the camera sees the cluster

    def rebuild(self, embeddings: Floats, labels: Ints, cameras: Ints | None) -> None:
        """Replace all centers and proxies by those of new clusters.

        Args:
            embeddings: ``(N, D)`` unit vectors of all images.
            labels: ``(N,)`` clusters, -1 for none.
            cameras: ``(N,)`` cameras, or None for a camera-agnostic memory.
        """
        self.centers = torch.from_numpy(np.array(centroids(embeddings, labels, normalize=self.normalize)))
        self.centers = self.centers.to(self.device)
        if cameras is None:
            columns: tuple[Floats, Ints, Ints] = embeddings[:0], labels[:0], labels[:0]
        else:
            columns = camera_proxies(embeddings, labels, cameras)
        self.proxies = CameraProxies(*(torch.from_numpy(np.array(column)).to(self.device) for column in columns))
        known_cameras, camera = torch.unique(self.proxies.cameras, return_inverse=True)
        self._visibility = torch.zeros(len(self.centers), len(known_cameras), device=self.device)
        self._visibility[self.proxies.labels, camera] = 1

    def share_no_camera(self, labels: Tensor, others: Tensor) -> Tensor:
        """Return which pairs of clusters no camera has seen both of: they may be one person.

        Args:
            labels: ``(B,)`` clusters.
            others: ``(M,)`` clusters.

        Returns:
            ``(B, M)`` bool; never a cluster and itself.
        """
        return self._visibility[labels] @ self._visibility[others].T == 0

    @torch.no_grad()
    def update(self, features: Tensor, labels: Tensor, cameras: Tensor, *, momentum: float) -> None:
        """Move the centers and proxies of images towards them, one image after another, and normalize them.

        Args:
            features: ``(B, D)``.
            labels: ``(B,)`` their clusters.
            cameras: ``(B,)`` their cameras.
            momentum: Share of itself that a proxy keeps, 0..1.
        """
        vectors = self.proxies.vectors
        for feature, label, camera in zip(F.normalize(features), labels, cameras, strict=True):
            own = (self.proxies.labels == label) & (self.proxies.cameras == camera)
            self.centers[label] = moved_proxy(self.centers[label], feature, momentum)
            vectors[own] = moved_proxy(vectors[own], feature, momentum)


def moved_proxy(proxy: Tensor, feature: Tensor, momentum: float) -> Tensor:
    """Return a proxy moved towards a feature, of unit length: ``φ ← normalize(m φ + (1 - m) f)``."""
    return F.normalize(momentum * proxy + (1 - momentum) * feature, dim=-1)
