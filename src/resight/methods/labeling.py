"""Pseudo labels from epoch to epoch, which replace person ids while a method trains."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from resight.compute.devices import Devices
from resight.data.crops import Crops
from resight.models.encoder import Encoder
from resight.numerics.cluster_quality import GIANT, cluster_warnings
from resight.numerics.clustering import ClusterSettings, cluster
from resight.numerics.distances import normalize, whiten
from resight.numerics.margins import margins
from resight.records import Floats, ImageTable, Ints, PseudoLabels
from resight.retrieval.extraction import pool_crops

logger = logging.getLogger(__name__)


class Labeling:
    """The pseudo labels of a training run, clustered once an epoch.

    Args:
        table: The ``N`` training images.
        settings: How they are clustered.
        supervised: Take the true person ids instead of clusters.
        center_cameras: Subtract each camera's mean before clustering: what a camera does to all its images alike.
        whiten: Then flatten the spectrum of the embeddings by this power, 0..1 (`resight.numerics.distances.whiten`).
        freeze_eps: Keep the eps that ``settings.rho``, ``pairs_per_image`` or ``eps: auto`` gives in the first epoch.
            It is measured again after an epoch in which one cluster held more than `GIANT` of the images.

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

    def update(self, embeddings: Floats, devices: Devices, *, source: Floats | None = None) -> PseudoLabels:
        """Cluster the images again; the first process does it and broadcasts the labels.

        Args:
            embeddings: ``(N, D)`` unit vectors of the images.
            devices: The processes.
            source: ``(S, D)`` unit vectors of the source's images, for the distance's source term.

        Returns:
            The labels, which are `current` from now on.
        """
        if self.supervised:
            people = np.unique(self.table.person_ids, return_inverse=True)[1]
            self.current = PseudoLabels(people, 0.0, {"clusters": float(people.max() + 1), "outlier_share": 0.0})
            return self.current
        labels = devices.broadcast(self._cluster(embeddings, devices, source) if devices.rank == 0 else None)
        assert labels is not None
        for warning in cluster_warnings(labels.quality):
            logger.warning(warning)
        self.current = labels
        return labels

    def _cluster(self, embeddings: Floats, devices: Devices, source: Floats | None) -> PseudoLabels:
        settings = self.settings
        sound = self.current.quality.get("largest_share", 0.0) <= GIANT
        if self.freeze_eps and sound and 0 < self.current.eps < 1 - settings.source_weight:
            settings = replace(settings, eps=self.current.eps, rho=None, pairs_per_image=None)
        if self.center_cameras:
            embeddings = centered(embeddings, self.table)
        if self.whiten:
            embeddings = normalize(whiten(embeddings, self.whiten))
        labels = self._divide(embeddings, settings, devices, source)
        labels = replace(labels, margins=margins(embeddings, labels.labels))
        if not self.current.num_clusters:
            return labels
        from sklearn.metrics import adjusted_rand_score  # slow to load

        stability = float(adjusted_rand_score(self.current.labels, labels.labels))
        return replace(labels, quality={**labels.quality, "stability": stability})

    def _divide(
        self, embeddings: Floats, settings: ClusterSettings, devices: Devices, source: Floats | None
    ) -> PseudoLabels:
        """Divide the images into clusters."""
        known = {"people": self._people, "cameras": self._cameras, "domains": self.table.domain_ids}
        return cluster(embeddings, settings, **known, device=devices.device, source=source)

    @property
    def _people(self) -> Ints | None:
        return self.table.person_ids if self.table.has_people else None

    @property
    def _cameras(self) -> Ints | None:
        return self.table.camera_ids if self.table.has_cameras else None

    @property
    def clusters(self) -> PseudoLabels | None:
        """The current labels if they are clusters; None if they are person ids."""
        return None if self.supervised else self.current

    @property
    def diagnostics(self) -> dict[str, float]:
        """The quality of the current labels and their eps, for the metrics of an epoch."""
        return {**self.current.quality, "eps": self.current.eps}

    def state_dict(self) -> dict[str, Any]:
        """Return the labels; the next epoch's stability is measured against them."""
        labels = self.current
        values = {"labels": torch.from_numpy(labels.labels.copy()), "eps": labels.eps, "quality": dict(labels.quality)}
        return {"images": _digest(self.table), **values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore labels.

        Raises:
            ValueError: They belong to other images.
        """
        if state["images"] != _digest(self.table):
            raise ValueError(f"labels of {len(state['labels'])} images, found {len(self.table)} or other ones")
        self.current = PseudoLabels(state["labels"].numpy(), state["eps"], state["quality"])


def pool_and_embed(
    encoder: Encoder, images: Crops, *, devices: Devices, learner: Encoder | None = None
) -> tuple[Floats, Floats]:
    """Embed all training images, and set necks that take their statistics from the data set.

    Args:
        encoder: What embeds; it is left in evaluation mode.
        images: The ``N`` training images.
        devices: Where it runs.
        learner: The encoder that ``encoder`` averages; its neck gets the same statistics.

    Returns:
        The ``(N, P)`` pooled features before the neck and the ``(N, D)`` unit vectors after it.
    """
    pooled = pool_crops(encoder, images, devices=devices)
    features = torch.from_numpy(pooled).to(encoder.mean.device)
    if encoder.settings.neck_statistics == "dataset":
        for network in (encoder, learner or encoder):
            network.set_neck_statistics(features)
    with torch.inference_mode():
        return pooled, F.normalize(encoder.eval().neck(features)).cpu().numpy()


def centered(embeddings: Floats, table: ImageTable) -> Floats:
    """Subtract each camera's mean from ``(N, D)`` embeddings and normalize again."""
    shifted = embeddings.copy()
    for camera in np.unique(table.camera_ids):
        rows = table.camera_ids == camera
        shifted[rows] -= embeddings[rows].mean(0)
    return normalize(shifted)


def _digest(table: ImageTable) -> str:
    """Return a short hash of which images these are, wherever their folder lies."""
    names = "\n".join(Path(path).name for path in table.paths)  # may be any bytes
    return hashlib.sha256(names.encode(errors="surrogateescape")).hexdigest()[:16]
