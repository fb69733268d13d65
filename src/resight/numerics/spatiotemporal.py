"""Joint similarity: how alike two images look, times how plausible the time between their cameras is.

``S = 1 / (1 + exp(-5 cos)) * 1 / (1 + 2 exp(-5 p))`` and the distance is ``1 - S``. ``p`` is the share of people who
are seen by the two cameras so long after each other. It is counted on clusters: for each pair of cameras that see a
cluster, the time between the cluster's mean frames by them; for each camera alone, the time of each image since the
cluster's first by that camera, counted as often as the camera has images of the cluster. Counts are smoothed by a
Gaussian and divided by their sum, for each pair of cameras and each order of the two.

References:
    Li and Zhang, "Joint visual and temporal consistency for unsupervised domain adaptive person re-identification"
    (JVTC), ECCV 2020, section 3.3; Wang et al., "Spatial-temporal person re-identification", AAAI 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from resight.errors import ConfigError, DataError
from resight.numerics import gpu
from resight.numerics.distances import as_vectors, normalize
from resight.numerics.jaccard import Base
from resight.records import Floats, Ints

STEEPNESS = 5.0
"""Of both curves; the paper's α."""


@dataclass(frozen=True, eq=False)
class Sightings:
    """When and by which camera images were taken.

    Attributes:
        cameras: ``(N,)`` int64, all known.
        frames: ``(N,)`` int64 frame numbers on one clock, all known. Where a camera counts anew for each sequence, add
            the lengths of the earlier ones first.
    """

    cameras: Ints
    frames: Ints

    def __post_init__(self) -> None:
        if self.cameras.shape != self.frames.shape or self.cameras.ndim != 1:
            raise DataError(
                f"cameras and frames must be columns of one length, found {self.cameras.shape}, {self.frames.shape}"
            )
        if (self.cameras < 0).any() or (self.frames < 0).any():
            raise DataError("the time between cameras needs the camera and the frame number of every image")

    def __len__(self) -> int:
        return len(self.cameras)


@dataclass(frozen=True, eq=False)
class TravelTimes:
    """How long people take from camera to camera.

    Attributes:
        cameras: ``(C,)`` ids, ascending.
        shares: ``(C, C, B)`` float32: of the camera that sees them later, of the one that does earlier, and of the
            time between, each row a share of 1, or all 0 where nobody was seen by the two.
        interval: Frames of a bin.
    """

    cameras: Ints
    shares: Floats
    interval: int

    def between(self, first: Sightings, second: Sightings, *, device: torch.device | str = "cpu") -> Tensor:
        """Give p for all pairs, ``(N, M)`` float32; 0 for a camera or a time that was never counted."""
        (one, at), (other, then) = (self.places(side, device) for side in (first, second))
        return self.looked_up(one[:, None], at[:, None], other, then)

    def places(self, seen: Sightings, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """Give where each image's camera is among the counted ones, -1 for none of them, and its frame."""
        places = np.searchsorted(self.cameras, seen.cameras).clip(max=len(self.cameras) - 1)
        places = np.where(self.cameras[places] == seen.cameras, places, -1)
        return gpu.on_device(places, device), gpu.on_device(seen.frames, device)

    def looked_up(self, one: Tensor, at: Tensor, other: Tensor, then: Tensor) -> Tensor:
        """Give p of images by cameras ``one`` in frames ``at`` and such by ``other`` in ``then``, broadcast."""
        gap = at - then
        # The order of equal frames is the cameras', so that p does not depend on which image comes first.
        later = (gap > 0) | ((gap == 0) & (one >= other))
        bins = gap.abs().div(self.interval, rounding_mode="floor")
        count = self.shares.shape[2]
        known = (one >= 0) & (other >= 0) & (bins < count)
        row, column = torch.where(later, one, other), torch.where(later, other, one)
        cells = ((row * len(self.cameras) + column) * count + bins).where(known, 0)
        shares = gpu.on_device(self.shares.reshape(-1), gap.device)
        return shares[cells].where(known, 0)


def travel_times(labels: Ints, seen: Sightings, *, interval: int = 100, smoothing: float = 50.0) -> TravelTimes:
    """Count how long clusters take from camera to camera.

    Args:
        labels: ``(N,)`` clusters, negative for images left out.
        seen: The images' cameras and frames.
        interval: Frames of a bin. There are as many bins as the longest time needs: a fixed number, 3,000 in the
            released code, loses times of Market-1501, which spans 427,420 frames.
        smoothing: Standard deviation of the Gaussian, in bins, cut off at three; 0 smooths nothing.

    Returns:
        The shares.

    Raises:
        DataError: The lengths differ, or no image is in a cluster.
        ConfigError: A setting is out of range.
    """
    if interval < 1 or smoothing < 0:
        raise ConfigError(f"interval must be 1 or more and smoothing 0 or more, found {interval} and {smoothing}")
    if labels.shape != seen.cameras.shape:
        raise DataError(f"labels must have shape {seen.cameras.shape}, found {labels.shape}")
    kept = labels >= 0
    if not kept.any():
        raise DataError("no image is in a cluster: travel times need clusters")
    cameras, places = np.unique(seen.cameras[kept], return_inverse=True)
    frames = seen.frames[kept]
    # One group a cluster and camera, ordered by cluster.
    groups, own = np.unique(labels[kept] * len(cameras) + places, return_inverse=True)
    clusters, by = np.divmod(groups, len(cameras))
    sizes = np.bincount(own)
    means = np.bincount(own, weights=frames) / sizes
    first = np.full(len(groups), np.iinfo(np.int64).max)
    np.minimum.at(first, own, frames)

    counts = np.zeros((len(cameras), len(cameras), int(frames.max() - frames.min()) // interval + 1))
    np.add.at(counts, (places, places, (frames - first[own]) // interval), sizes[own])
    for cluster in np.split(np.arange(len(groups)), np.flatnonzero(np.diff(clusters)) + 1):
        for i in cluster:
            for j in cluster[cluster > i]:
                later, earlier = (i, j) if means[i] > means[j] else (j, i)  # of equal means, the larger camera id
                counts[by[later], by[earlier], int((means[later] - means[earlier]) // interval)] += 1
    if smoothing:
        counts = gaussian_filter1d(counts, smoothing, axis=2, mode="constant", truncate=3.0)
    totals = counts.sum(2, keepdims=True)
    return TravelTimes(cameras, (counts / np.where(totals > 0, totals, 1)).astype(np.float32), interval)


def joint_distances(cosines: Tensor, shares: Tensor) -> Tensor:
    """Give ``1 - S`` of cosine similarities and of p, both of any one shape."""
    return 1 - torch.sigmoid(STEEPNESS * cosines) / (1 + 2 * torch.exp(-STEEPNESS * shares))


def joint_base(
    vectors: Floats, seen: Sightings, times: TravelTimes, k: int, *, device: torch.device | str = "cpu"
) -> Base:
    """Give what `jaccard_graph` needs to compare images by joint in place of squared Euclidean distances.

    Args:
        vectors: ``(N, D)``; their directions are compared.
        seen: The images' cameras and frames.
        times: How long people take from camera to camera.
        k: Length of the neighbor lists, ``1..N``; see `resight.numerics.jaccard.list_length`.
        device: Where to search.

    Returns:
        Each image's nearest by the joint distance, itself first, ties by id, found on distances rounded to float32;
        and the measure, in float64. Memory is that of blocks.

    Raises:
        DataError: The lengths differ, or there are fewer than 2 vectors or than k.
    """
    rows = as_vectors(normalize(vectors))
    if len(seen) != len(rows):
        raise DataError(f"cameras and frames are of {len(seen)} images, the vectors of {len(rows)}")
    if len(rows) < 2 or not 1 <= k <= len(rows):
        raise DataError(f"a search for {k} neighbors needs at least {max(2, k)} vectors, found {len(rows)}")
    held = gpu.on_device(rows, device)
    places, frames = times.places(seen, device)
    ids, farthest = np.empty((len(rows), k), np.int64), np.empty(len(rows), np.float32)
    for part in gpu.blocks(len(rows), 4 * len(rows)):
        with gpu.multiplying("ieee", held.device):
            cosines = held[part] @ held.T
        shares = times.looked_up(places[part, None], frames[part, None], places, frames)
        distances = joint_distances(cosines, shares)
        farthest[part] = distances.amax(1).cpu().numpy()
        own = torch.arange(len(distances), device=held.device)
        distances[own, own + part.start] = -1
        limit = distances.topk(k, largest=False, sorted=False).values.amax(1, keepdim=True)
        row, column = (distances <= limit).nonzero(as_tuple=True)
        best = gpu.first_of_each(row, distances[row, column], len(distances), k)
        ids[part] = column[best].cpu().numpy()

    def of_pairs(first: Tensor, second: Tensor) -> Tensor:
        cosines = torch.empty(len(first), dtype=torch.float64, device=held.device)
        for part in gpu.blocks(len(first), held.shape[1]):
            cosines[part] = (held[first[part]].double() * held[second[part]]).sum(1)
        shares = times.looked_up(places[first], frames[first], places[second], frames[second])
        return joint_distances(cosines, shares.double())

    return Base(ids, farthest, of_pairs)
