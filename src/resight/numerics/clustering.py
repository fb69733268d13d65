"""Pseudo labels: DBSCAN on the sparse Jaccard graph, or K-Means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from resight.arrays import id_column
from resight.config.types import check_types
from resight.errors import ConfigError, DataError, check_given, check_most
from resight.numerics import gpu
from resight.numerics.cluster_quality import cluster_quality
from resight.numerics.dbscan import density_labels
from resight.numerics.distances import as_vectors, normalize
from resight.numerics.eps import GRID, STEP, check_square, rho_eps, stable_eps
from resight.numerics.jaccard import Variant, check_settings, jaccard_graph, list_length
from resight.numerics.kmeans import kmeans
from resight.numerics.neighbors import k_nearest_by_camera
from resight.numerics.source_distance import add_source_term, source_terms
from resight.records import UNKNOWN, Doubles, Floats, Ints, PseudoLabels

EXACT_ON_GPU = 4
"""A GPU searches up to this many times the images exactly; 600,000 vectors of 2,048 numbers take 10 GB there."""


@dataclass(frozen=True)
class ClusterSettings:
    """Settings of the clustering.

    The defaults are those of ICE. ABMT takes ``k1=20, variant="abmt", rho=2e-3``; GCL ``rho=2e-3`` (MSMT17:
    1.2e-3).

    Attributes:
        method: ``"dbscan"`` on the Jaccard distance (settings below), or ``"kmeans"`` on the vectors themselves.
        num_clusters: Number of clusters of K-Means.
        k1: Length of the neighbor lists of the Jaccard distance, at least 2 and below the number of images.
        k2: Rows averaged in its query expansion, ``1..k1``; 1 means none.
        variant: ``"ice"`` or ``"abmt"``, see `resight.numerics.jaccard`.
        eps: The largest Jaccard distance of neighbors in DBSCAN, in (0, 1). Or ``"auto"``: of 0.4 to 0.7 the one
            that gives the most clusters that are stable (`stable_eps`).
        rho: In (0, 1), or null. If set, eps is the mean of this share of the smallest distances instead
            (`rho_eps`).
        pairs_per_image: The same share as a number that fits sets of any size: of ``N`` images the closest
            ``pairs_per_image * N`` pairs, so ``rho = 2 * pairs_per_image / (N - 1)``. Excludes ``rho``.
        min_samples: Number of images within eps, itself included, that make an image the core of a cluster.
        k_cross_camera: If above 0, neighbor lists are balanced: ``k1`` images of the image's own camera, and this many
            of other cameras (`k_nearest_by_camera`). Otherwise images of the own camera crowd out the others. Balanced
            lists are searched exactly, whatever the size. If cameras are unknown, a single list is as long as both.
        source_weight: Weight, in [0, 1), of the distance of images to a labeled source, if there is one
            (`resight.numerics.source_distance`); 0.1 is usual. An eps must be below 1 minus it.
        approximate_from: From this many images on, the search for neighbors is approximate, with a recall of
            0.95 or more (`resight.numerics.approximate`). On a GPU, from four times as many.

    Raises:
        ConfigError: A setting is out of its range.
    """

    method: Literal["dbscan", "kmeans"] = "dbscan"
    num_clusters: int = 500
    k1: int = 30
    k2: int = 6
    variant: Variant = "ice"
    eps: float | Literal["auto"] = 0.55
    rho: float | None = None
    pairs_per_image: float | None = None
    min_samples: int = 4
    k_cross_camera: int = 0
    source_weight: float = 0.0
    approximate_from: int = 150_000

    def __post_init__(self) -> None:
        check_types(self)
        if self.num_clusters < 2:
            raise ConfigError(f"clusters must be 2 or more, found {self.num_clusters}")
        check_settings(self.k1, self.k2, self.variant)
        check_most(self, 10_000, "k1", "k_cross_camera")
        if not isinstance(self.eps, str) and not 0 < self.eps < 1:
            raise ConfigError(f"eps must be in (0, 1), found {self.eps}: every Jaccard distance is within 0..1")
        if self.rho is not None and not 0 < self.rho < 1:
            raise ConfigError(f"rho must be in (0, 1), found {self.rho}: 2e-3 is usual")
        if self.pairs_per_image is not None:
            if self.rho is not None:
                raise ConfigError("rho and pairs_per_image both set the share of pairs: set one of them to null")
            if not self.pairs_per_image > 0:
                raise ConfigError(f"pairs_per_image must be above 0, found {self.pairs_per_image}: 3.5 is usual")
            check_most(self, 10_000, "pairs_per_image")
        if isinstance(self.eps, str) and (self.rho is not None or self.pairs_per_image is not None):
            raise ConfigError("eps: auto and rho (pairs_per_image) both choose eps: set the latter to null")
        if self.min_samples < 1:
            raise ConfigError(f"min_samples must be at least 1, found {self.min_samples}")
        if self.k_cross_camera < 0:
            raise ConfigError(f"k_cross_camera must be 0 or more, found {self.k_cross_camera}")
        if not 0 <= self.source_weight < 1:
            raise ConfigError(f"source_weight must be in [0, 1), found {self.source_weight}: 0.1 is usual")
        fixed = self.rho is None and self.pairs_per_image is None
        if self.source_weight and fixed and self.eps_range[1] >= 1 - self.source_weight:
            found = f"auto, which needs up to {self.eps_range[1]:g}" if isinstance(self.eps, str) else self.eps
            raise ConfigError(f"eps must be below 1 - source_weight = {1 - self.source_weight:g}, found {found}")
        if self.approximate_from < 2:
            raise ConfigError(f"approximate_from must be at least 2, found {self.approximate_from}")

    @property
    def eps_range(self) -> tuple[float, float]:
        """The least and the largest eps at which clusters are computed."""
        return (GRID[0] - STEP, GRID[-1] + STEP) if isinstance(self.eps, str) else (self.eps, self.eps)

    def share(self, images: int) -> float | None:
        """Return the share of all pairs of ``images`` images whose mean distance is eps; None if eps is fixed."""
        if self.pairs_per_image is None:
            return self.rho
        return min(2 * self.pairs_per_image / max(images - 1, 1), 0.99)  # nearly all pairs of very few images


def cluster(
    vectors: npt.ArrayLike,
    settings: ClusterSettings,
    *,
    people: npt.ArrayLike | None = None,
    cameras: npt.ArrayLike | None = None,
    domains: npt.ArrayLike | None = None,
    source: npt.ArrayLike | None = None,
    device: torch.device | str = "cpu",
) -> PseudoLabels:
    """Cluster images by the Jaccard distance of their vectors, or by K-Means.

    Args:
        vectors: ``(N, D)`` float32, meant to be L2-normalized.
        settings: Settings of the clustering.
        people: ``(N,)`` true person ids if known (-1 unknown); they only enter the quality.
        cameras: ``(N,)`` camera ids if known (-1 unknown); they enter the quality and balanced lists.
        domains: ``(N,)`` domain ids (-1 unknown): each domain is clustered alone, because nobody is in two of them. The
            eps and the recall are then the means.
        source: ``(S, D)`` vectors of a labeled source by the same encoder; used if ``settings.source_weight`` is
            above 0.
        device: Where to search and to compare neighbors; the distances are the same to float32 rounding.

    Returns:
        The labels, the eps (0 with K-Means) and the numbers of `cluster_quality`, with ``recall`` if the search was
        approximate.

    Raises:
        ConfigError: ``settings.k1`` is not below the number of images, or ``settings.num_clusters`` is above it. Or
            ``settings.variant`` is ``"abmt"``, which needs the farthest image of each, but there are so many images
            that the search is approximate. Or ``settings.rho`` is so large that it would join images without common
            neighbors.
        DataError: The vectors are not finite, or a column's length differs from theirs.
    """
    rows = as_vectors(vectors)
    check_given("settings", settings, ClusterSettings, "ClusterSettings(...)")
    (labels,), eps, recall = cluster_at(
        rows, settings, (0.0,), cameras=cameras, domains=domains, source=source, device=device
    )
    return PseudoLabels(labels, eps, cluster_quality(labels, people, cameras) | recall)


def cluster_at(
    vectors: npt.ArrayLike,
    settings: ClusterSettings,
    offsets: Sequence[float],
    *,
    cameras: npt.ArrayLike | None = None,
    domains: npt.ArrayLike | None = None,
    source: npt.ArrayLike | None = None,
    device: torch.device | str = "cpu",
) -> tuple[list[Ints], float, dict[str, float]]:
    """Cluster images at several eps, on one graph of distances.

    Args:
        vectors: ``(N, D)`` float32, meant to be L2-normalized.
        settings: Settings of the clustering.
        offsets: What is added to the eps, for each result. K-Means has no eps, and a single result.
        cameras: As for `cluster`, like the arguments that follow.
        domains: ``(N,)`` domain ids.
        source: ``(S, D)`` vectors of a labeled source.
        device: Where to search and to compare neighbors.

    Returns:
        For each offset the ``(N,)`` labels; the eps, without an offset; and the ``recall`` of an approximate search.

    Raises:
        ConfigError: As in `cluster`; or an eps with its offset is below 0.
        DataError: As in `cluster`.
    """
    rows = as_vectors(vectors)
    if domains is not None:
        groups = np.unique(id_column(domains, "domains", len(rows)), return_inverse=True)[1]
        if groups.any():
            parts = []
            for members in (groups == group for group in range(groups.max() + 1)):
                own = None if cameras is None else np.asarray(cameras)[members]
                parts.append(cluster_at(rows[members], settings, offsets, cameras=own, source=source, device=device))
            return _join(parts, groups)
    if settings.method == "kmeans":
        return [kmeans(rows, settings.num_clusters)], 0.0, {}
    k1 = settings.k1 + settings.k_cross_camera
    balanced = settings.k_cross_camera and cameras is not None
    camera_ids = id_column(cameras, "cameras", len(rows)) if balanced else None
    check_settings(settings.k1 if balanced else k1, settings.k2, settings.variant, images=len(rows))
    neighbors, recall = _neighbors(rows, camera_ids, settings, device)
    weight = 0.0 if source is None else settings.source_weight
    rho = settings.share(len(rows))
    # The clusters need the Jaccard distances that the source term does not lift above the largest eps.
    limit = (settings.eps_range[1] + max(offsets)) * (1 + 1e-6) / (1 - weight) if rho is None else 1.0
    graph = jaccard_graph(
        rows, k1=k1, k2=settings.k2, variant=settings.variant, neighbors=neighbors, limit=limit, device=device
    )
    unstored: Callable[[slice], Doubles] | None = None
    if weight and source is not None:
        terms = source_terms(rows, source, device=device)
        graph = add_source_term(graph, terms, weight)
        unstored = lambda part: 1 - weight + weight * (terms[part, None] + terms)  # noqa: E731
    eps = stable_eps(graph, settings.min_samples) if isinstance(settings.eps, str) else settings.eps
    if rho is not None:
        eps = rho_eps(graph, rho, beyond=1 - weight, unstored=unstored)
        if weight and eps + max(offsets) >= 1 - weight:
            raise ConfigError(
                f"rho = {rho:.4g} gives an eps of {eps:.3f}, which would join images without a common neighbor: "
                "lower rho (pairs_per_image) or source_weight, or raise k1"
            )
    return [dbscan(graph, eps + offset, settings.min_samples) for offset in offsets], eps, recall


def _join(
    parts: Sequence[tuple[list[Ints], float, dict[str, float]]], groups: Ints
) -> tuple[list[Ints], float, dict[str, float]]:
    """Number the clusters of groups of images through, at each eps."""
    results = []
    for at_eps in zip(*(labels for labels, _, _ in parts), strict=True):
        joined = np.full(len(groups), -1)
        for group, labels in enumerate(at_eps):
            joined[groups == group] = np.where(labels < 0, -1, labels + joined.max() + 1)
        results.append(joined)
    recalls = [recall["recall"] for _, _, recall in parts if recall]
    eps = float(np.mean([eps for _, eps, _ in parts]))
    return results, eps, {"recall": float(np.mean(recalls))} if recalls else {}


def _neighbors(
    rows: Floats, cameras: Ints | None, settings: ClusterSettings, device: torch.device | str
) -> tuple[tuple[Floats, Ints] | None, dict[str, float]]:
    """Search neighbors that the Jaccard graph does not search itself: balanced between cameras, or approximate.

    Returns:
        Distances and rows, or None if the graph searches them; and the ``recall`` of an approximate search.
    """
    if cameras is not None:
        k_own_camera = list_length(settings.k1, settings.variant)
        return k_nearest_by_camera(rows, cameras, k_own_camera, settings.k_cross_camera, device=device), {}
    if len(rows) < settings.approximate_from * (EXACT_ON_GPU if gpu.used_for(device) else 1):
        return None, {}
    if settings.variant == "abmt":
        raise ConfigError(
            f"{len(rows):,} images are too many for variant abmt, which compares each image with all others: set "
            "variant to ice, or raise approximate_from"
        )
    from resight.numerics.approximate import k_nearest_approximate  # loads faiss, which few sets need

    neighbors = k_nearest_approximate(rows, list_length(settings.k1 + settings.k_cross_camera, settings.variant))
    return (neighbors.distances, neighbors.ids), {"recall": neighbors.recall}


def dbscan(graph: sparse.csr_array, eps: float, min_samples: int) -> Ints:
    """Cluster a sparse distance graph by density.

    The labels, including their numbering, are those of scikit-learn's ``DBSCAN(metric="precomputed")`` on the dense
    matrix. Clusters are numbered by their first core image, and an image at the border of several joins the first.

    Args:
        graph: ``(N, N)`` float32, symmetric, diagonal stored; pairs that are not stored are at distance 1.
        eps: The largest distance of neighbors, 0 or more, compared in float32.
        min_samples: Number of images within eps, itself included, that make a core image, at least 1.

    Returns:
        ``(N,)`` int64 in ``0..C-1``, or -1 for an image in no cluster.

    Raises:
        ConfigError: A setting is out of its range.
        DataError: The graph is not square.

    References:
        Ester et al., "A density-based algorithm for discovering clusters", KDD 1996.
    """
    if not eps >= 0:
        raise ConfigError(f"eps must be 0 or more, found {eps}")
    if min_samples < 1:
        raise ConfigError(f"min_samples must be at least 1, found {min_samples}")
    check_square(graph)
    if eps >= 1:  # pairs that are not stored are neighbors too, so all images are neighbors
        return np.full(graph.shape[0], 0 if graph.shape[0] >= min_samples else UNKNOWN, np.int64)
    distances = graph.data.astype(np.float32, copy=False)
    labels: Ints = density_labels(graph.indptr, graph.indices, distances, float(np.float32(eps)), min_samples)
    return labels


def centroids(vectors: npt.ArrayLike, labels: npt.ArrayLike, *, normalize: bool) -> Floats:
    """Compute the mean vector of each cluster.

    Args:
        vectors: ``(N, D)``.
        labels: ``(N,)`` clusters ``0..C-1``, none of them empty; negative for images left out.
        normalize: Whether to scale the means to length 1 (ICE's agnostic loss does not).

    Returns:
        ``(C, D)`` float32; ``(0, D)`` without clusters.

    Raises:
        DataError: The vectors are not finite, the lengths differ, or a number below C has no image.

    References:
        Thesis, section 6.3.2.
    """
    rows = as_vectors(vectors)
    owners = id_column(labels, "labels", len(rows))
    if not np.array_equal(np.unique(owners[owners >= 0]), np.arange(owners.max(initial=-1) + 1)):
        raise DataError("labels must be 0..C-1 without a gap: a cluster without images has no mean")
    return _means(rows, owners, normalize)


def camera_proxies(vectors: npt.ArrayLike, labels: npt.ArrayLike, cameras: npt.ArrayLike) -> tuple[Floats, Ints, Ints]:
    """Compute the mean vector of each cluster under each camera that sees it, scaled to length 1.

    Args:
        vectors: ``(N, D)``.
        labels: ``(N,)`` clusters, negative for images left out.
        cameras: ``(N,)`` camera ids, gaps allowed; images of an unknown camera, -1, do not count.

    Returns:
        Vectors ``(P, D)`` float32, labels ``(P,)`` int64 and cameras ``(P,)`` int64, ordered by label, then
        camera.

    Raises:
        DataError: The vectors are not finite, or the lengths differ.

    References:
        Thesis, section 6.3.2, the camera proxies of eq. 6.7.
    """
    rows = as_vectors(vectors)
    proxies, owners, proxy_cameras = proxy_ids(labels, cameras, len(rows))
    counts = proxies >= 0
    return _means(rows[counts], proxies[counts], True), owners, proxy_cameras


def proxy_ids(labels: npt.ArrayLike, cameras: npt.ArrayLike, images: int | None = None) -> tuple[Ints, Ints, Ints]:
    """Number the pairs of a cluster and a camera that sees it.

    Args:
        labels: ``(N,)`` clusters, negative for images left out.
        cameras: ``(N,)`` camera ids, gaps allowed; images of an unknown camera, -1, do not count.
        images: N, to be checked if it is known.

    Returns:
        The pair of each image ``(N,)``, -1 for none; the clusters ``(P,)`` and the cameras ``(P,)`` of the pairs, which
        are ordered by cluster, then camera.

    Raises:
        DataError: The lengths differ.
    """
    owners = id_column(labels, "labels", images)
    camera_ids = id_column(cameras, "cameras", len(owners))
    counts = (owners >= 0) & (camera_ids >= 0)
    pairs, numbers = np.unique(np.stack([owners[counts], camera_ids[counts]], axis=1), axis=0, return_inverse=True)
    found = np.full(len(owners), UNKNOWN, np.int64)
    found[counts] = numbers.reshape(-1)
    return found, pairs[:, 0], pairs[:, 1]


def _means(rows: Floats, owners: Ints, scaled: bool) -> Floats:
    """Compute the mean row of each owner ``0..C-1``, without negative owners, summed in float64."""
    count = int(owners.max(initial=-1)) + 1
    if count == 0:
        return np.empty((0, rows.shape[1]), np.float32)
    order = np.argsort(owners, kind="stable")[(owners < 0).sum() :]
    starts = np.searchsorted(owners[order], np.arange(count))
    sums = np.add.reduceat(rows[order], starts, axis=0, dtype=np.float64)
    means: Floats = (sums / np.bincount(owners[order], minlength=count)[:, None]).astype(np.float32)
    return normalize(means) if scaled else means
