"""Pseudo labels from epoch to epoch: what stands in for people while a method trains."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from resight.compute.devices import Devices
from resight.data.crops import Crops
from resight.models.encoder import Encoder
from resight.numerics.clustering import GIANT, ClusterSettings, cluster, cluster_warnings
from resight.numerics.distances import normalize, whiten
from resight.numerics.margins import margins
from resight.records import Floats, ImageTable, PseudoLabels
from resight.retrieval.extraction import embed_crops

logger = logging.getLogger(__name__)


class Labeling:
    """The labels of the epoch in hand.

    Args:
        table: The ``N`` training images.
        settings: How they are clustered.
        supervised: Take true people in place of clusters.
        center_cameras: Take each camera's mean away before clustering: what a camera does to all its images alike.
        whiten: Then flatten the spectrum of the vectors by this power, 0..1 (`resight.numerics.distances.whiten`).
        freeze_eps: Keep the eps that ``settings.rho`` (or ``pairs_per_image``) gives in the first epoch; after an epoch
            in which one cluster held more than `GIANT` of the images it is measured anew.

    Attributes:
        current: The labels; their quality has ``stability``, the adjusted Rand index to the epoch before.
    """

    def __init__(
        self,
        table: ImageTable,
        settings: ClusterSettings,
        *,
        supervised: bool = False,
        center_cameras: bool = False,
        whiten: float = 0.0,
        freeze_eps: bool = False,
    ) -> None:
        self.table, self.settings = table, settings
        self.supervised, self.center_cameras, self.whiten = supervised, center_cameras, whiten
        self.freeze_eps = freeze_eps
        self.current = PseudoLabels(np.full(len(table), -1), 0.0)

    def update(self, vectors: Floats, devices: Devices, *, source: Floats | None = None) -> PseudoLabels:
        """Cluster anew; the first process does it and tells the others.

        Args:
            vectors: ``(N, D)`` unit vectors of the images.
            devices: The processes.
            source: ``(S, D)`` unit vectors of the source's images, for the distance's source term.

        Returns:
            The labels, `current` from now on.
        """
        if self.supervised:
            people = np.unique(self.table.person_ids, return_inverse=True)[1]
            self.current = PseudoLabels(people, 0.0, {"clusters": float(people.max() + 1), "outlier_share": 0.0})
            return self.current
        found = self._cluster(vectors, devices, source) if devices.rank == 0 else None
        found = devices.broadcast(found)
        assert found is not None
        for warning in cluster_warnings(found.quality):
            logger.warning(warning)
        self.current = found
        return found

    def _cluster(self, vectors: Floats, devices: Devices, source: Floats | None) -> PseudoLabels:
        settings = self.settings
        sound = self.current.quality.get("largest_share", 0.0) <= GIANT
        if self.freeze_eps and sound and 0 < self.current.eps < 1 - settings.source_weight:
            settings = replace(settings, eps=self.current.eps, rho=None, pairs_per_image=None)
        people = self.table.person_ids if self.table.has_people else None
        cameras = self.table.camera_ids if self.table.has_cameras else None
        if self.center_cameras:
            vectors = centered(vectors, self.table)
        if self.whiten:
            vectors = normalize(whiten(vectors, self.whiten))
        found = cluster(vectors, settings, people=people, cameras=cameras, device=devices.device, source=source)
        found = replace(found, margins=margins(vectors, found.labels))
        if not self.current.num_clusters:
            return found
        from sklearn.metrics import adjusted_rand_score  # slow to load

        stability = float(adjusted_rand_score(self.current.labels, found.labels))
        return replace(found, quality={**found.quality, "stability": stability})

    @property
    def clusters(self) -> PseudoLabels | None:
        """The labels of the epoch in hand where they are clusters; None where they are true people."""
        return None if self.supervised else self.current

    def state_dict(self) -> dict[str, Any]:
        """Give the labels; the next epoch's stability is measured against them."""
        labels = self.current
        values = {"labels": torch.from_numpy(labels.labels.copy()), "eps": labels.eps, "quality": dict(labels.quality)}
        return {"images": _digest(self.table), **values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put labels back.

        Raises:
            ValueError: They are of other images.
        """
        if state["images"] != _digest(self.table):
            raise ValueError(f"labels of {len(state['labels'])} images, found {len(self.table)} or other ones")
        self.current = PseudoLabels(state["labels"].numpy(), state["eps"], state["quality"])


def embed_all(
    encoder: Encoder, images: Crops, *, devices: Devices, alike: Sequence[Encoder] = ()
) -> tuple[Floats, Floats]:
    """Embed the training images, and before that set a neck that takes its statistics from them.

    Args:
        encoder: What embeds them; left in evaluation mode.
        images: ``N`` images.
        devices: Where it runs.
        alike: Encoders whose necks get the same statistics.

    Returns:
        ``(N, D)`` unit vectors, and the ``(N, P)`` pooled features before the neck.
    """
    pooled = embed_crops(encoder, images, devices=devices, raw=True)
    features = torch.from_numpy(pooled).to(devices.device)
    if encoder.settings.neck_statistics == "dataset":
        for each in (encoder, *alike):
            each.standardize(features)
    with torch.inference_mode():
        encoder.eval()
        return F.normalize(encoder.neck(features)).cpu().numpy(), pooled


def centered(vectors: Floats, table: ImageTable) -> Floats:
    """Take each camera's mean away from ``(N, D)`` vectors and normalize again."""
    moved = vectors.copy()
    for camera in np.unique(table.camera_ids):
        rows = table.camera_ids == camera
        moved[rows] -= vectors[rows].mean(0)
    return normalize(moved)


def _digest(table: ImageTable) -> str:
    """Say in a few letters which images these are, wherever their folder lies."""
    names = "\n".join(Path(path).name for path in table.paths)  # of any bytes, as a file system may have them
    return hashlib.sha256(names.encode(errors="surrogateescape")).hexdigest()[:16]
