"""The memory of proxies: what the images of an epoch are pulled to."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from resight.numerics.clustering import camera_proxies, centroids
from resight.records import Floats, Ints


class ProxyMemory:
    """The center of each cluster, and its proxy in each camera.

    Args:
        vectors: ``(N, D)`` unit vectors of all images.
        labels: ``(N,)`` clusters, -1 for none.
        cameras: ``(N,)`` cameras, or None for a camera-agnostic memory.
        normalize: Whether centers are unit vectors; the mean of eq. 6.4 is shorter.
        device: Where it lies.

    Attributes:
        centers: ``(C, D)``, eq. 6.4.
        proxies: ``(P, D)`` unit vectors, their ``(P,)`` clusters and ``(P,)`` cameras, eq. 6.6; empty without cameras.
    """

    def __init__(
        self, vectors: Floats, labels: Ints, cameras: Ints | None, *, normalize: bool, device: torch.device
    ) -> None:
        self.centers = torch.from_numpy(np.array(centroids(vectors, labels, normalize=normalize))).to(device)
        columns = (
            camera_proxies(vectors, labels, cameras) if cameras is not None else (vectors[:0], labels[:0], labels[:0])
        )
        first, second, third = (torch.from_numpy(np.array(column)).to(device) for column in columns)
        self.proxies: tuple[Tensor, Tensor, Tensor] = first, second, third
        seen, camera = torch.unique(third, return_inverse=True)
        self._seen = torch.zeros(len(self.centers), len(seen), device=device)
        self._seen[second, camera] = 1

    def share_no_camera(self, labels: Tensor, others: Tensor) -> Tensor:
        """Tell which pairs of clusters no camera has seen both of: they may be one person.

        Args:
            labels: ``(B,)`` clusters.
            others: ``(M,)`` clusters.

        Returns:
            ``(B, M)`` bool; never a cluster and itself.
        """
        return self._seen[labels] @ self._seen[others].T == 0

    @torch.no_grad()
    def update(self, features: Tensor, labels: Tensor, cameras: Tensor, *, momentum: float) -> None:
        """Move the proxies of images towards them, one image after another, and make them unit vectors.

        Args:
            features: ``(B, D)``.
            labels: ``(B,)`` their clusters.
            cameras: ``(B,)`` their cameras.
            momentum: Share that a proxy keeps, 0..1.
        """
        vectors, proxy_labels, proxy_cameras = self.proxies
        for feature, label, camera in zip(F.normalize(features), labels, cameras, strict=True):
            own = (proxy_labels == label) & (proxy_cameras == camera)
            self.centers[label] = _moved(self.centers[label], feature, momentum)
            vectors[own] = _moved(vectors[own], feature, momentum)


def _moved(proxy: Tensor, feature: Tensor, momentum: float) -> Tensor:
    return F.normalize(momentum * proxy + (1 - momentum) * feature, dim=-1)
