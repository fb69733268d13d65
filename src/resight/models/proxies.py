"""The memory of proxies that images are pulled to: cluster centers and camera proxies."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from resight.numerics.clustering import camera_proxies, centroids
from resight.records import Floats, Ints

MemoryUpdate = Literal["each", "mean", "hard"]
"""Which images of its cluster move a proxy: each in turn, their mean, or the one least similar to it."""


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

    def share_no_camera(self, labels: Tensor, other_labels: Tensor) -> Tensor:
        """Return which pairs of clusters share no camera; they may be one person.

        Args:
            labels: ``(B,)`` clusters.
            other_labels: ``(M,)`` clusters.

        Returns:
            ``(B, M)`` bool; never a cluster and itself.
        """
        return self._visibility[labels] @ self._visibility[other_labels].T == 0

    @torch.no_grad()
    def update(
        self,
        features: Tensor,
        labels: Tensor,
        cameras: Tensor | None = None,
        *,
        momentum: float,
        by: MemoryUpdate = "each",
    ) -> None:
        """Move centers and camera proxies towards the images of a batch: ``φ ← normalize(m φ + (1 - m) f)``.

        Args:
            features: ``(B, D)``, normalized here.
            labels: ``(B,)`` their clusters.
            cameras: ``(B,)`` their cameras; without them, camera proxies stay.
            momentum: m, the share of itself that a proxy keeps, 0..1.
            by: What moves a proxy: ``"each"`` of its images, one after another, their ``"mean"``, or the ``"hard"``
                one, least similar to the proxy.
        """
        features = F.normalize(features)
        for label in torch.unique(labels):
            self.centers[label] = _moved(self.centers[label], features[labels == label], momentum, by)
        if cameras is None:
            return
        for label, camera in torch.unique(torch.stack([labels, cameras], 1), dim=0):
            matches = (self.proxies.labels == label) & (self.proxies.cameras == camera)
            members = features[(labels == label) & (cameras == camera)]
            for row in matches.nonzero()[:, 0]:  # one, or none if the camera is unknown
                self.proxies.vectors[row] = _moved(self.proxies.vectors[row], members, momentum, by)


def _moved(proxy: Tensor, features: Tensor, momentum: float, by: MemoryUpdate) -> Tensor:
    """Return a ``(D,)`` proxy, moved towards the ``(M, D)`` features of its images."""
    if by == "mean":
        features = features.mean(0, keepdim=True)
    elif by == "hard":
        features = features[(features @ proxy).argmin()][None]
    for feature in features:
        proxy = F.normalize(momentum * proxy + (1 - momentum) * feature, dim=-1)
    return proxy
