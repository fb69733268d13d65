"""Pseudo labels that become more as the encoder learns: only reliable clusters count (SpCL)."""

from __future__ import annotations

from resight.compute.devices import Devices
from resight.methods.labeling import Labeling
from resight.numerics.cluster_quality import cluster_quality
from resight.numerics.clustering import ClusterSettings, cluster_at
from resight.numerics.reliability import reliable_labels
from resight.records import Floats, ImageTable, PseudoLabels

THRESHOLD = "least_independence"
"""The name of α in the quality of the labels, with which a checkpoint keeps it."""


class SelfPacedLabeling(Labeling):
    """The clusters of DBSCAN at eps that `reliable_labels` keeps, beside those at eps ± a gap on the same graph.

    The quality of the labels has ``least_independence``, which is measured in the first epoch and fixed from then on,
    and ``unreliable_share``, of all images: those that were in a cluster that was not kept, or not in its core.

    Args:
        table: The ``N`` training images.
        settings: How they are clustered.
        gap: How much the looser and the tighter eps differ from eps.
        share: Share of the first epoch's clusters, the most independent ones, that the threshold keeps.
        whiten: As for `Labeling`.
    """

    def __init__(
        self, table: ImageTable, settings: ClusterSettings, *, gap: float, share: float, whiten: float = 0.0
    ) -> None:
        super().__init__(table, settings, whiten=whiten)
        self.gap, self.share = gap, share

    def _divide(
        self, embeddings: Floats, settings: ClusterSettings, devices: Devices, source: Floats | None
    ) -> PseudoLabels:
        offsets, known = (0.0, self.gap, -self.gap), {"cameras": self._cameras, "domains": self.table.domain_ids}
        results, eps, recall = cluster_at(embeddings, settings, offsets, **known, source=source, device=devices.device)
        labels, loose, tight = results
        reliable, threshold = reliable_labels(
            labels, loose, tight, share=self.share, least_independence=self.current.quality.get(THRESHOLD)
        )
        quality = cluster_quality(reliable, self._people, self._cameras) | recall
        quality["unreliable_share"] = float(((labels >= 0) & (reliable < 0)).mean())
        if threshold is not None:
            quality[THRESHOLD] = threshold
        return PseudoLabels(reliable, eps, quality)
