"""Which clusters to trust: those that a slightly different eps neither joins to others nor takes apart (SpCL).

Let I(i) be the images in the cluster of image i, or image i alone if it is in none. Its overlap between two clusterings
is ``|I(i) ∩ I'(i)| / |I(i) ∪ I'(i)|``, in (0, 1]. The overlap with a looser clustering is the independence of the image
(eq. 5): it is small if the cluster joins others. The overlap with a tighter one is its compactness (eq. 6): it is small
if the image leaves the core of its cluster.

References:
    Ge et al., Self-paced contrastive learning with hybrid memory for domain adaptive object re-ID, 2020, section 3.3.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from resight.arrays import id_column
from resight.errors import number_within
from resight.records import Doubles, Ints


def overlaps(labels: npt.ArrayLike, other_labels: npt.ArrayLike) -> Doubles:
    """Compute how much of the cluster of each image two clusterings have in common.

    Args:
        labels: ``(N,)`` clusters, negative for images in no cluster: each of them is a cluster of its own.
        other_labels: ``(N,)`` clusters of the same images.

    Returns:
        ``(N,)`` intersection over union, in (0, 1]; 1 if both clusters hold the same images.

    Raises:
        DataError: The lengths differ.

    References:
        Ge et al. 2020, eq. 5 and 6.
    """
    first = id_column(labels, "labels")
    groups, other_groups = separate(first), separate(id_column(other_labels, "other labels", len(first)))
    pairs = np.unique(np.stack([groups, other_groups], axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    shared, size, other_size = (np.bincount(ids)[ids] for ids in (pairs, groups, other_groups))
    found: Doubles = shared / (size + other_size - shared)
    return found


def separate(labels: npt.ArrayLike) -> Ints:
    """Give each image in no cluster a cluster of its own, numbered after the others: ``(N,)`` to ``(N,)``."""
    separated: Ints = id_column(labels, "labels").copy()
    alone = separated < 0
    separated[alone] = separated.max(initial=-1) + 1 + np.arange(alone.sum())
    return separated


def reliable_labels(
    labels: npt.ArrayLike,
    loose: npt.ArrayLike,
    tight: npt.ArrayLike,
    *,
    share: float = 0.9,
    least_independence: float | None = None,
) -> tuple[Ints, float | None]:
    """Keep the most compact images of independent clusters; all other images are in no cluster.

    A cluster is as independent as the least independent of its images, and it is kept from a threshold α on. Of its
    images, those are kept that are as compact as its most compact one.

    Args:
        labels: ``(N,)`` clusters ``0..C-1``, -1 for images in no cluster.
        loose: ``(N,)`` clusters at a larger eps.
        tight: ``(N,)`` clusters at a smaller eps.
        share: Share of the clusters, the most independent ones, that α keeps where it is measured, 0..1.
        least_independence: α; measured on these clusters by default.

    Returns:
        The ``(N,)`` labels, numbered anew without gaps, and α; None if there is no cluster to measure it on. No cluster
        has a single image.

    Raises:
        ConfigError: A number is out of its range.
        DataError: The lengths differ.

    References:
        Ge et al. 2020, section 3.3; the thresholds are those of section 4.1.
    """
    owners = id_column(labels, "labels")
    share = number_within("share", share, 0, 1)
    independence, compactness = overlaps(owners, loose), overlaps(owners, tight)
    inside = owners >= 0
    count = int(owners.max(initial=-1)) + 1
    cluster_independence, cluster_compactness = np.ones(count), np.zeros(count)
    np.minimum.at(cluster_independence, owners[inside], independence[inside])
    np.maximum.at(cluster_compactness, owners[inside], compactness[inside])
    if least_independence is None:
        if not inside.any():
            return owners.copy(), None
        descending = np.sort(cluster_independence)[::-1]
        least_independence = float(descending[max(1, round(share * count)) - 1])

    kept = np.zeros_like(inside)
    own = owners[inside]
    kept[inside] = (cluster_independence[own] >= least_independence) & (compactness[inside] >= cluster_compactness[own])
    kept[inside] &= np.bincount(own[kept[inside]], minlength=count)[own] > 1
    found = np.full_like(owners, -1)
    found[kept] = np.unique(owners[kept], return_inverse=True)[1]
    return found, least_independence
