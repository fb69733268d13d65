"""Ranking by the joint similarity of appearance and time between cameras, with any model: the plus of JVTC+.

The time that people take from camera to camera is counted on clusters of the training images, so no label is needed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from resight.data.dataset import Dataset
from resight.errors import DataError
from resight.files import printable
from resight.numerics.clustering import ClusterSettings, cluster
from resight.numerics.spatiotemporal import Sightings, TravelTimes, rank_distances, travel_times
from resight.records import UNKNOWN, Features, Floats, ImageTable


def sightings_of(table: ImageTable, what: str) -> Sightings:
    """Return the cameras and the times of images.

    Args:
        table: The images.
        what: What they are, for the error: "the queries".

    Raises:
        DataError: A camera or a frame number is unknown.
    """
    for name, column in (("camera", table.camera_ids), ("frame number", table.frame_ids)):
        unknown = np.flatnonzero(column == UNKNOWN)
        if len(unknown):
            raise DataError(
                f"the joint similarity needs the camera and the frame number of every image: {len(unknown):,} of "
                f"{len(table):,} images of {what} have no {name}, first '{printable(table.paths[unknown[0]])}'; give "
                "them in labels.csv (columns camera and frame), or rank by appearance"
            )
    return Sightings(table.camera_ids, table.frame_ids)


def check_sightings(dataset: Dataset) -> None:
    """Check that the cameras and the frames of all images of a data set are known, before any is embedded.

    Raises:
        DataError: One is unknown, or there is no training part to count times on.
    """
    if not len(dataset.train):
        raise DataError(f"the joint similarity counts times on training images, and {dataset.name} has none")
    for name, table in dataset.tables.items():
        sightings_of(table, f"the {name} part")


def estimate_travel_times(
    train: Features, *, cluster_settings: ClusterSettings | None = None, device: torch.device | str = "cpu"
) -> TravelTimes:
    """Estimate the time that people take from camera to camera, from unlabeled images.

    Args:
        train: Embeddings of training images whose cameras and frames are known.
        cluster_settings: How they are clustered; ICE's settings by default, for few images with shorter lists.
        device: Where to search.

    Returns:
        The travel times of the clusters.

    Raises:
        DataError: A camera or a frame is unknown, or no image is in a cluster.
    """
    seen = sightings_of(train.table, "the training part")
    if len(train) < 4:
        raise DataError(f"travel times are counted on clusters of training images: found {len(train)} image(s)")
    settings = cluster_settings or ClusterSettings(k1=min(30, len(train) // 2), k2=min(6, len(train) // 2))
    labels = cluster(train.embeddings, settings, device=device).labels
    return travel_times(labels, seen)


def joint_rows(
    queries: Features, gallery: Features, times: TravelTimes, device: torch.device | str
) -> Callable[[slice], Floats]:
    """Return a function that computes the joint distances, ``(B, G)``, of a block of queries.

    Raises:
        DataError: A camera or a frame is unknown.
    """
    asked, held = sightings_of(queries.table, "the queries"), sightings_of(gallery.table, "the gallery")
    return rank_distances((queries.embeddings, asked), (gallery.embeddings, held), times, device=device)
