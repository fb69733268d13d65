"""The quality of clusters, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from resight.arrays import id_column
from resight.records import Ints

GIANT = 0.3
"""A cluster with more than this share of the images joins people who have nothing in common."""


def cluster_quality(
    labels: npt.ArrayLike, people: npt.ArrayLike | None = None, cameras: npt.ArrayLike | None = None
) -> dict[str, float]:
    """Measure the quality of clusters.

    Args:
        labels: ``(N,)`` clusters, -1 for outliers.
        people: ``(N,)`` true person ids, -1 unknown.
        cameras: ``(N,)`` camera ids, -1 unknown.

    Returns:
        ``clusters``, their number. ``outlier_share`` and ``largest_share`` (the images in the largest cluster), of all
        images. If any camera is known: ``cameras``, their number, and ``single_camera_share``, the share of clusters
        that a single camera sees, of those with a known camera. If any person is known: ``true_people``, their number,
        and over the clustered images of known people ``ari``, ``homogeneity``, ``completeness``, ``v_measure``, and
        the harmonic means of precision and recall ``pairwise_f`` and ``bcubed_f`` (`agreement`). A number without any
        image to measure it on is 0.

    Raises:
        DataError: The lengths differ.
    """
    owners = id_column(labels, "labels")
    clustered = owners >= 0
    sizes = np.unique(owners[clustered], return_counts=True)[1]
    images = max(1, len(owners))
    quality = {
        "clusters": float(len(sizes)),
        "outlier_share": float((~clustered).sum() / images),
        "largest_share": float(sizes.max(initial=0) / images),
    }
    if cameras is not None and ((camera_ids := id_column(cameras, "cameras", len(owners))) >= 0).any():
        counts = clustered & (camera_ids >= 0)
        pairs = np.unique(np.stack([owners[counts], camera_ids[counts]], axis=1), axis=0)
        views = np.unique(pairs[:, 0], return_counts=True)[1]
        quality["cameras"] = float(len(np.unique(camera_ids[camera_ids >= 0])))
        quality["single_camera_share"] = float((views == 1).sum() / max(1, len(views)))
    if people is not None and ((person_ids := id_column(people, "people", len(owners))) >= 0).any():
        counts = clustered & (person_ids >= 0)
        quality["true_people"] = float(len(np.unique(person_ids[person_ids >= 0])))
        scores = (0.0, 0.0, 0.0, 0.0)
        pair = (person_ids[counts], owners[counts])
        if counts.any():
            from sklearn.metrics import adjusted_rand_score, homogeneity_completeness_v_measure  # slow to load

            scores = (adjusted_rand_score(*pair), *homogeneity_completeness_v_measure(*pair))
        names = ("ari", "homogeneity", "completeness", "v_measure")
        quality.update(zip(names, map(float, scores), strict=True))
        found = agreement(pair[1], pair[0])
        quality["pairwise_f"], quality["bcubed_f"] = found.pairwise_f, found.bcubed_f
    return quality


class Agreement(NamedTuple):
    """How well clusters agree with people, in 0..1.

    Attributes:
        pairwise_precision: The share of the pairs of images within a cluster that show one person.
        pairwise_recall: The share of the pairs of images of one person that are within a cluster.
        bcubed_precision: The mean over images of the share of their cluster that shows their person.
        bcubed_recall: The mean over images of the share of their person's images that is in their cluster.
    """

    pairwise_precision: float
    pairwise_recall: float
    bcubed_precision: float
    bcubed_recall: float

    @property
    def pairwise_f(self) -> float:
        """The harmonic mean of pairwise precision and recall."""
        return _harmonic(self.pairwise_precision, self.pairwise_recall)

    @property
    def bcubed_f(self) -> float:
        """The harmonic mean of BCubed precision and recall."""
        return _harmonic(self.bcubed_precision, self.bcubed_recall)


def agreement(labels: npt.ArrayLike, people: npt.ArrayLike) -> Agreement:
    """Compare clusters with people.

    Pairs favor large clusters, whose pairs grow with the square of their size; BCubed weighs every image alike.

    Args:
        labels: ``(N,)`` clusters; leave out images in none.
        people: ``(N,)`` person ids; leave out unknown ones.

    Returns:
        Precision and recall; 0 where there is no pair, or no image.

    Raises:
        DataError: The lengths differ.

    References:
        Bagga and Baldwin, Entity-based cross-document coreferencing using the vector space model, 1998 (BCubed).
    """
    owners = id_column(labels, "labels")
    person_ids = id_column(people, "people", len(owners))
    if not len(owners):
        return Agreement(0.0, 0.0, 0.0, 0.0)
    both = np.stack([owners, person_ids], axis=1)
    # Of each image: how many images its cluster and its person have in common, and how many each has.
    common, in_cluster, of_person = (_sizes(ids) for ids in (both, owners, person_ids))
    partners, cluster_pairs, person_pairs = (float((sizes - 1).sum()) for sizes in (common, in_cluster, of_person))
    return Agreement(
        partners / cluster_pairs if cluster_pairs else 0.0,
        partners / person_pairs if person_pairs else 0.0,
        float((common / in_cluster).mean()),
        float((common / of_person).mean()),
    )


def _sizes(ids: Ints) -> Ints:
    """Return how many rows are equal to each row."""
    _, groups, counts = np.unique(ids, axis=0, return_inverse=True, return_counts=True)
    sizes: Ints = counts[groups.reshape(-1)]
    return sizes


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def cluster_warnings(quality: Mapping[str, float]) -> list[str]:
    """Describe what is wrong with clusters and what to change.

    Args:
        quality: The result of `cluster_quality`.

    Returns:
        Sentences; none if nothing looks wrong.
    """
    warnings = []
    outliers, largest = quality["outlier_share"], quality["largest_share"]
    if quality["clusters"] == 0:
        warnings.append(
            "No image is in a cluster: raise eps (rho, pairs_per_image), lower min_samples, or start from weights "
            "that distinguish people."
        )
    elif outliers > 0.9:
        warnings.append(
            f"{outliers:.0%} of the images are in no cluster: raise eps (rho, pairs_per_image) or lower min_samples."
        )
    if largest > GIANT:
        warnings.append(
            f"One cluster holds {largest:.0%} of the images: lower eps (rho, pairs_per_image), or start from weights "
            "that distinguish people."
        )
    if quality["clusters"] > 0 and quality.get("cameras", 0) > 1 and quality["single_camera_share"] == 1:
        warnings.append(
            f"No cluster joins images of two cameras, though there are {quality['cameras']:.0f}: raise eps "
            "(rho, pairs_per_image), k1 or, for few cameras, k_cross_camera, and check that the same people pass "
            "several cameras."
        )
    return warnings
