"""Joint similarity: the visual similarity of two images, times the plausibility of the time between their cameras.

``S = 1 / (1 + exp(-5 cos)) * 1 / (1 + 2 exp(-5 p))`` and the distance is ``1 - S``. ``p`` is the share of people
whose sightings by the two cameras lie this far apart. It is counted on clusters. For each pair of cameras that see a
cluster, the time between the cluster's mean frames counts. For each single camera, the time of each image since the
cluster's first image by that camera counts, as often as the camera has images of the cluster. A Gaussian smooths the
counts. Then they are divided by their sum, for each pair of cameras and each order of the two.

References:
    Li and Zhang, "Joint visual and temporal consistency for unsupervised domain adaptive person re-identification"
    (JVTC), ECCV 2020, section 3.3; Wang et al., "Spatial-temporal person re-identification", AAAI 2019.
"""

from __future__ import annotations

from collections.abc import Callable
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
"""Steepness of both curves; α in the paper."""


@dataclass(frozen=True, eq=False)
class Sightings:
    """The cameras and times of images.

    Attributes:
        cameras: ``(N,)`` int64 camera ids, all known.
        frames: ``(N,)`` int64 frame numbers on one clock, all known. If a camera starts to count again in each
            sequence, add the lengths of the earlier sequences first.
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
    """The time that people take from camera to camera.

    Attributes:
        cameras: ``(C,)`` camera ids, ascending.
        shares: ``(C, C, B)`` float32, indexed by the later camera, the earlier camera and the bin of the time between.
            Each row sums to 1, or is all 0 if the two cameras share no person.
        interval: Frames per bin.
    """

    cameras: Ints
    shares: Floats
    interval: int

    def between(self, first: Sightings, second: Sightings, *, device: torch.device | str = "cpu") -> Tensor:
        """Return p for all pairs, ``(N, M)`` float32; 0 for a camera or a time without counts."""
        (first_cameras, first_frames), (second_cameras, second_frames) = (
            self.camera_rows(side, device) for side in (first, second)
        )
        return self.look_up(first_cameras[:, None], first_frames[:, None], second_cameras, second_frames)

    def camera_rows(self, sightings: Sightings, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """Return the index of each image's camera in ``cameras``, -1 if it is absent, and its frame."""
        rows = np.searchsorted(self.cameras, sightings.cameras).clip(max=len(self.cameras) - 1)
        rows = np.where(self.cameras[rows] == sightings.cameras, rows, -1)
        return gpu.on_device(rows, device), gpu.on_device(sightings.frames, device)

    def look_up(
        self, first_cameras: Tensor, first_frames: Tensor, second_cameras: Tensor, second_frames: Tensor
    ) -> Tensor:
        """Return p of pairs of images, by the index of their cameras and by their frames; all broadcast."""
        gap = first_frames - second_frames
        # The cameras order equal frames, so that p does not depend on which image comes first.
        is_later = (gap > 0) | ((gap == 0) & (first_cameras >= second_cameras))
        bins = gap.abs().div(self.interval, rounding_mode="floor")
        num_bins = self.shares.shape[2]
        is_counted = (first_cameras >= 0) & (second_cameras >= 0) & (bins < num_bins)
        row = torch.where(is_later, first_cameras, second_cameras)
        column = torch.where(is_later, second_cameras, first_cameras)
        cells = ((row * len(self.cameras) + column) * num_bins + bins).where(is_counted, 0)
        shares = gpu.on_device(self.shares.reshape(-1), gap.device)
        return shares[cells].where(is_counted, 0)


def travel_times(labels: Ints, sightings: Sightings, *, interval: int = 100, smoothing: float = 50.0) -> TravelTimes:
    """Count the time that clusters take from camera to camera.

    Args:
        labels: ``(N,)`` clusters, negative for images left out.
        sightings: The images' cameras and frames.
        interval: Frames per bin. The longest time sets the number of bins. A fixed number, 3,000 in the
            released code, loses times of Market-1501, which spans 427,420 frames.
        smoothing: Standard deviation of the Gaussian, in bins, cut off at three; 0 turns it off.

    Returns:
        The shares.

    Raises:
        DataError: The lengths differ, or no image is in a cluster.
        ConfigError: A setting is out of range.
    """
    if interval < 1 or smoothing < 0:
        raise ConfigError(f"interval must be 1 or more and smoothing 0 or more, found {interval} and {smoothing}")
    if labels.shape != sightings.cameras.shape:
        raise DataError(f"labels must have shape {sightings.cameras.shape}, found {labels.shape}")
    clustered = labels >= 0
    if not clustered.any():
        raise DataError("no image is in a cluster: travel times need clusters")
    cameras, camera_rows = np.unique(sightings.cameras[clustered], return_inverse=True)
    frames = sightings.frames[clustered]
    # One group per cluster and camera, ordered by cluster.
    groups, group_of = np.unique(labels[clustered] * len(cameras) + camera_rows, return_inverse=True)
    group_clusters, group_cameras = np.divmod(groups, len(cameras))
    sizes = np.bincount(group_of)
    means = np.bincount(group_of, weights=frames) / sizes
    first = np.full(len(groups), np.iinfo(np.int64).max)
    np.minimum.at(first, group_of, frames)

    counts = np.zeros((len(cameras), len(cameras), int(frames.max() - frames.min()) // interval + 1))
    np.add.at(counts, (camera_rows, camera_rows, (frames - first[group_of]) // interval), sizes[group_of])
    for cluster in np.split(np.arange(len(groups)), np.flatnonzero(np.diff(group_clusters)) + 1):
        for i in cluster:
            for j in cluster[cluster > i]:
                later, earlier = (i, j) if means[i] > means[j] else (j, i)  # for equal means, the larger camera id
                bin_ = int((means[later] - means[earlier]) // interval)
                counts[group_cameras[later], group_cameras[earlier], bin_] += 1
    if smoothing:
        counts = gaussian_filter1d(counts, smoothing, axis=2, mode="constant", truncate=3.0)
    totals = counts.sum(2, keepdims=True)
    return TravelTimes(cameras, (counts / np.where(totals > 0, totals, 1)).astype(np.float32), interval)


def joint_distances(cosines: Tensor, shares: Tensor) -> Tensor:
    """Compute ``1 - S`` from cosine similarities and p, of the same shape."""
    return 1 - torch.sigmoid(STEEPNESS * cosines) / (1 + 2 * torch.exp(-STEEPNESS * shares))


def rank_distances(
    queries: tuple[Floats, Sightings],
    gallery: tuple[Floats, Sightings],
    times: TravelTimes,
    *,
    device: torch.device | str = "cpu",
) -> Callable[[slice], Floats]:
    """Build the joint distances of queries to a gallery, computed for some queries at a time.

    Args:
        queries: ``(Q, D)`` vectors, of which only the directions matter, with their cameras and frames.
        gallery: ``(G, D)`` vectors, likewise.
        times: The time that people take from camera to camera.
        device: Where to compute.

    Returns:
        A function that returns the ``(B, G)`` float32 distances, 0..1, of the queries of a slice.

    Raises:
        DataError: The lengths differ.
    """
    sides = []
    for name, (vectors, sightings) in (("queries", queries), ("gallery", gallery)):
        if len(sightings) != len(vectors):
            raise DataError(f"cameras and frames are of {len(sightings)} {name}, the vectors of {len(vectors)}")
        directions = gpu.on_device(as_vectors(normalize(vectors)), device)
        sides.append((directions, *times.camera_rows(sightings, device)))
    (first, first_cameras, first_frames), (second, second_cameras, second_frames) = sides

    def distances(rows: slice) -> Floats:
        with gpu.multiplying("ieee", first.device):
            cosines = first[rows] @ second.T
        shares = times.look_up(first_cameras[rows, None], first_frames[rows, None], second_cameras, second_frames)
        found: Floats = joint_distances(cosines, shares).cpu().numpy()
        return found

    return distances


def joint_base(
    vectors: Floats, sightings: Sightings, times: TravelTimes, k: int, *, device: torch.device | str = "cpu"
) -> Base:
    """Build the joint distance for `jaccard_graph`, to replace the squared Euclidean one.

    Args:
        vectors: ``(N, D)``; only their directions matter.
        sightings: The images' cameras and frames.
        times: The time that people take from camera to camera.
        k: Length of the neighbor lists, ``1..N``; see `resight.numerics.jaccard.list_length`.
        device: Where to search.

    Returns:
        Each image's nearest by the joint distance rounded to float32, itself first, ties by id; and the distance of
        pairs in float64. Memory is that of blocks.

    Raises:
        DataError: The lengths differ, or there are fewer than 2 vectors or than k.
    """
    rows = as_vectors(normalize(vectors))
    if len(sightings) != len(rows):
        raise DataError(f"cameras and frames are of {len(sightings)} images, the vectors of {len(rows)}")
    if len(rows) < 2 or not 1 <= k <= len(rows):
        raise DataError(f"a search for {k} neighbors needs at least {max(2, k)} vectors, found {len(rows)}")
    directions = gpu.on_device(rows, device)
    cameras, frames = times.camera_rows(sightings, device)
    ids, farthest = np.empty((len(rows), k), np.int64), np.empty(len(rows), np.float32)
    for part in gpu.blocks(len(rows), 4 * len(rows)):
        with gpu.multiplying("ieee", directions.device):
            cosines = directions[part] @ directions.T
        shares = times.look_up(cameras[part, None], frames[part, None], cameras, frames)
        distances = joint_distances(cosines, shares)
        farthest[part] = distances.amax(1).cpu().numpy()
        block_rows = torch.arange(len(distances), device=directions.device)
        distances[block_rows, block_rows + part.start] = -1
        limit = distances.topk(k, largest=False, sorted=False).values.amax(1, keepdim=True)
        row, column = (distances <= limit).nonzero(as_tuple=True)
        best = gpu.first_of_each(row, distances[row, column], len(distances), k)
        ids[part] = column[best].cpu().numpy()

    def of_pairs(first: Tensor, second: Tensor) -> Tensor:
        cosines = torch.empty(len(first), dtype=torch.float64, device=directions.device)
        for part in gpu.blocks(len(first), directions.shape[1]):
            cosines[part] = (directions[first[part]].double() * directions[second[part]]).sum(1)
        shares = times.look_up(cameras[first], frames[first], cameras[second], frames[second])
        return joint_distances(cosines, shares.double())

    # Even equal images are this far apart, because no time between cameras is certain.
    likeliest = torch.tensor(float(times.shares.max(initial=0)), dtype=torch.float64)
    least = float(joint_distances(torch.ones((), dtype=torch.float64), likeliest))
    return Base(ids, farthest, of_pairs, least)
