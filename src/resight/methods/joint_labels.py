"""Pseudo labels from the similarity of appearance, later of appearance and time (JVTC)."""

from __future__ import annotations

import numpy as np

from resight.compute.devices import Devices
from resight.methods.labeling import Labeling
from resight.numerics.blended_clustering import base_length, blended_labels, visual_base
from resight.numerics.cluster_quality import cluster_quality
from resight.numerics.clustering import ClusterSettings
from resight.numerics.spatiotemporal import joint_base, travel_times
from resight.records import Floats, ImageTable, Ints, PseudoLabels
from resight.retrieval.joint import sightings_of


class JointLabeling(Labeling):
    """The clusters of DBSCAN on the Jaccard distance, blended with the distance that neighbors were searched by.

    Args:
        table: The ``N`` training images.
        settings: How they are clustered.
        weights: λ, the share of the distance that is blended in: of appearance, and of appearance and time.
        eps_scale: What the measured eps is multiplied by.
        interval: Frames per bin of the times between cameras.
        smoothing: Standard deviation of the Gaussian over bins.

    Attributes:
        uses_time: Whether the next labels use the time between cameras; it is counted on the labels before them.
    """

    def __init__(
        self,
        table: ImageTable,
        settings: ClusterSettings,
        *,
        weights: tuple[float, float],
        eps_scale: float,
        interval: int,
        smoothing: float,
    ) -> None:
        super().__init__(table, settings)
        self.weights, self.eps_scale = weights, eps_scale
        self.interval, self.smoothing = interval, smoothing
        self.uses_time = False

    def _divide(
        self, embeddings: Floats, settings: ClusterSettings, devices: Devices, source: Floats | None
    ) -> PseudoLabels:
        labels, epsilons = np.full(len(embeddings), -1), []
        for domain in np.unique(self.table.domain_ids):
            rows = np.flatnonzero(self.table.domain_ids == domain)
            own, eps = self._by_appearance(embeddings[rows], settings, devices)
            if self.uses_time:
                previous = self.current.labels[rows]
                own, eps = self._jointly(embeddings[rows], rows, previous if (previous >= 0).any() else own, devices)
            labels[rows] = np.where(own < 0, -1, own + labels.max() + 1)
            epsilons.append(eps)
        return PseudoLabels(labels, float(np.mean(epsilons)), cluster_quality(labels, self._people, self._cameras))

    def _by_appearance(self, vectors: Floats, settings: ClusterSettings, devices: Devices) -> tuple[Ints, float]:
        base = visual_base(vectors, base_length(settings), device=devices.device)
        return blended_labels(
            vectors, base, settings, weight=self.weights[0], eps_scale=self.eps_scale, device=devices.device
        )

    def _jointly(self, vectors: Floats, rows: Ints, previous: Ints, devices: Devices) -> tuple[Ints, float]:
        seen = sightings_of(self.table[rows], "the training part")
        times = travel_times(previous, seen, interval=self.interval, smoothing=self.smoothing)
        base = joint_base(vectors, seen, times, base_length(self.settings), device=devices.device)
        return blended_labels(
            vectors, base, self.settings, weight=self.weights[1], eps_scale=self.eps_scale, device=devices.device
        )
