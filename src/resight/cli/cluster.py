"""`resight cluster MODEL_OR_FEATURES --out clusters.csv`: group images by who may be on them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from resight.cli.queries import log_notes, run_flags, split_words
from resight.cli.stored import open_stored
from resight.cli.terminal import say_json, show
from resight.compute.devices import Devices, DeviceSettings
from resight.config.settings import read_settings
from resight.data.catalog import open_dataset, parse_spec
from resight.data.clusters_csv import Clusters, clusters_csv
from resight.data.settings import DataSettings
from resight.data.tracklets import TrackletSettings
from resight.errors import ConfigError
from resight.files import check_output, expanded, printable, write_atomically
from resight.models.encoder import load_encoder
from resight.numerics.cluster_quality import cluster_warnings
from resight.numerics.clustering import ClusterSettings, cluster
from resight.numerics.margins import margins
from resight.records import UNKNOWN, PseudoLabels
from resight.reports.tables import percent, text_table
from resight.retrieval.sources import Source, embed_dataset
from resight.retrieval.stored_sides import stored_dataset

logger = logging.getLogger(__name__)

QUALITY = {
    "ari": "adjusted Rand index",
    "pairwise_f": "pairwise F",
    "bcubed_f": "BCubed F",
    "homogeneity": "homogeneity",
    "completeness": "completeness",
}
"""The comparisons with true people that are printed, and their names in words."""


@dataclass(frozen=True)
class ClusterCommandSettings(DataSettings):
    """What to cluster, and where to write it.

    Attributes:
        data: The data set: `name=PATH` or a path. A file of vectors needs none; with one, its labels are used.
        out: The CSV file to write the cluster of each image to; empty writes none.
        flip: Add the features of the mirrored images. For a run, the default is the run's own setting.
        tracklet: How the frames of a tracklet become one vector, on sets of tracklets. For a run, the defaults are the
            run's own settings.
        normalize: Scale the vectors of a file to unit length, to compare them by the cosine. A model's have it.
        json: Print JSON instead of a table.
        device: The device to run on.
    """

    out: str = ""
    flip: bool = False
    tracklet: TrackletSettings = field(default_factory=TrackletSettings)
    normalize: bool = False
    json: bool = False
    device: DeviceSettings = field(default_factory=DeviceSettings)


def run(arguments: Sequence[str]) -> int:
    """Run `resight cluster`."""
    words, flags = split_words(arguments)
    model = words[0] if words else ""
    settings, how = read_settings(
        [*run_flags(model), *flags],
        [ClusterCommandSettings, ClusterSettings],
        program="resight cluster MODEL_OR_FEATURES",
    )
    stored = open_stored(model, flags, normalize=settings.normalize)
    if len(words) != 1 or not (settings.data or stored is not None):
        raise ConfigError(
            "resight cluster needs a file of vectors, or a model and images: resight cluster synthetic --data "
            "folder=CROPS --out clusters.csv"
        )
    if how.source_weight:
        raise ConfigError("source_weight is for training from a labeled source: leave it out")
    folder = settings.folder_settings()
    root = parse_spec(settings.data, folder)[1] if settings.data else None
    if settings.out:
        check_output(expanded(settings.out), suffix=".csv", data=root)  # fails before anything is embedded
    source: Source = stored if stored is not None else load_encoder(model)
    if settings.data:
        dataset = open_dataset(settings.data, folder)
        dataset = replace(dataset, notes=(*dataset.notes, *(stored.notes if stored is not None else ())))
        log_notes(dataset)
    else:
        assert stored is not None
        dataset = stored_dataset(stored)
        for note in stored.notes:  # rows that a search or a score leaves out are clustered
            logger.info(note)
    devices = Devices(settings.device)
    if stored is not None and not settings.data:
        features = stored.features
    else:
        features, _ = embed_dataset(source, dataset, tracklet=settings.tracklet, devices=devices, flip=settings.flip)
    if devices.rank > 0:  # of several processes only the first clusters
        return 0
    table = features.table
    people = np.where(np.isin(table.person_ids, dataset.non_person_ids), UNKNOWN, table.person_ids)
    labels = cluster(
        features.embeddings,
        how,
        people=people if (people != UNKNOWN).any() else None,
        cameras=table.camera_ids if table.has_cameras else None,
        domains=table.domain_ids,
        device=devices.device,
    )
    for warning in cluster_warnings(labels.quality):
        logger.warning(warning)
    if settings.json:
        say_json({"quality": labels.quality, "eps": labels.eps, "labels": labels.labels.tolist()})
    else:
        show(text_table(f"Clusters of {printable(model)}", ("", "found"), _rows(labels), left=("",)))
    if settings.out:
        clusters = Clusters(table, labels.labels, margins(features.embeddings, labels.labels))
        write_atomically(expanded(settings.out), clusters_csv(clusters, dataset.names))
        logger.info("table: %s", printable(expanded(settings.out)))
    return 0


def _rows(labels: PseudoLabels) -> list[tuple[str, str]]:
    """Return the cells of the table of a clustering."""
    quality = labels.quality
    outliers = int((labels.labels < 0).sum())
    rows = [
        ("images", f"{len(labels):,}"),
        ("clusters", f"{quality['clusters']:,.0f}"),
        ("images in no cluster", f"{outliers:,} ({percent(quality['outlier_share'])} %)"),
        ("images in the largest cluster", f"{percent(quality['largest_share'])} %"),
        ("largest distance of neighbors, eps", f"{labels.eps:.3f}"),
    ]
    if "single_camera_share" in quality:
        rows.append(("clusters of a single camera", f"{percent(quality['single_camera_share'])} %"))
    if "true_people" in quality:
        rows.append(("people", f"{quality['true_people']:,.0f}"))
        rows += [(words, f"{quality[name]:.3f}") for name, words in QUALITY.items()]
    return rows
