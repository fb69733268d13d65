"""The quality of clusters, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from resight.arrays import id_column

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
        and over the clustered images of known people ``ari``, ``homogeneity``, ``completeness`` and ``v_measure``. A
        number without any image to measure it on is 0.

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
        if counts.any():
            from sklearn.metrics import adjusted_rand_score, homogeneity_completeness_v_measure  # slow to load

            pair = (person_ids[counts], owners[counts])
            scores = (adjusted_rand_score(*pair), *homogeneity_completeness_v_measure(*pair))
        names = ("ari", "homogeneity", "completeness", "v_measure")
        quality.update(zip(names, map(float, scores), strict=True))
    return quality


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
            "(rho, pairs_per_image) or k1, and check that the same people pass several cameras."
        )
    return warnings
