"""Adapt to the statistics of images without labels: those of batch norms, and the mean of each camera."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np
import torch

from resight.compute.devices import Devices
from resight.data.crops import Crops, load_crops
from resight.data.transforms import to_float
from resight.errors import DataError, check_given
from resight.models.batchnorm import batch_norms, momenta
from resight.models.encoder import ENCODER, Encoder
from resight.numerics.distances import normalize
from resight.progress import progress
from resight.records import Features, ImageTable, check_features
from resight.retrieval.cache import load_statistics, save_statistics, vectors_path

MOST_IMAGES = 4096
"""The most images to measure batch-norm statistics on; more hardly change them."""

CAMERA_PRIOR = 20
"""How many images of the whole gallery the mean of a camera is mixed with, so that it does not follow a few people."""


@torch.no_grad()
def adapt_statistics(
    encoder: Encoder,
    images: Crops | ImageTable,
    *,
    devices: Devices | None = None,
    cache: str | Path | None = None,
) -> Encoder:
    """Return an encoder whose batch norms have the statistics of images, without labels.

    Its weights stay as they are. A site's light and cameras shift the statistics; measuring them again takes seconds.
    Of an encoder that was trained with ``batchnorm="frozen"``, only those of the neck change: its backbone learned with
    the statistics that it has.

    Args:
        encoder: The encoder; it is not changed.
        images: ``N`` images of the site, decoded or not; at most `MOST_IMAGES` of them are used.
        devices: Where to compute.
        cache: A folder that keeps the statistics of a table for the next call, see `resight.retrieval.cache`.

    Returns:
        A copy of the encoder, in evaluation mode.

    Raises:
        DataError: No image can be read.

    References:
        Li et al., Revisiting batch normalization for practical domain adaptation, 2016 (AdaBN).
    """
    check_given("encoder", encoder, Encoder, ENCODER)
    check_given("images", images, (Crops, ImageTable), "an ImageTable, or decoded Crops")
    devices = devices or Devices()
    adapted = devices.to_device(copy.deepcopy(encoder)).eval()
    norms = batch_norms(adapted.neck if encoder.settings.batchnorm == "frozen" else adapted)
    # With the count of batches, so that a cached encoder has the same digest and finds the vectors of the first.
    names = ("running_mean", "running_var", "num_batches_tracked")
    statistics = {name: value for name, value in adapted.state_dict().items() if name.endswith(names)}
    path = None
    if cache is not None and isinstance(images, ImageTable):
        precision = devices.precision("inference")
        path = vectors_path(Path(cache), images, f"statistics {encoder.digest()} {precision}")
        cached = devices.broadcast(load_statistics(path, statistics) if devices.rank == 0 else None)
        if cached is not None:
            adapted.load_state_dict(cached, strict=False)
            return adapted
    rows = np.random.default_rng(0).permutation(len(images))[:MOST_IMAGES]
    crops = load_crops(images[rows], encoder.settings.size) if isinstance(images, ImageTable) else images
    rows = np.arange(len(crops)) if isinstance(images, ImageTable) else rows
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
    with momenta(norms, None), devices.autocast("inference"):  # the mean over batches, each with the same share
        for batch in progress(np.array_split(rows, max(1, round(len(rows) / 128))), "measuring statistics"):
            adapted(to_float(crops.pixels(batch).to(devices.device)))
    if path is not None and devices.rank == 0:
        save_statistics(path, statistics)
    return adapted.eval()


def center_sides(queries: Features, gallery: Features) -> tuple[Features, Features]:
    """Return queries and gallery without the means of the gallery's cameras; see `center_cameras`."""
    return center_cameras(queries, gallery), center_cameras(gallery, gallery)


def center_cameras(features: Features, gallery: Features) -> Features:
    """Subtract from each vector the mean of its camera, without labels, and scale it to unit length.

    The light and the view of a camera shift all of its vectors alike. Without the shift, people of different cameras
    are easier to compare. It needs cameras that have seen many people: the mean of a few is what they look like.

    Args:
        features: ``N`` vectors, those of the queries or of the gallery itself.
        gallery: The vectors of the gallery, of which the means are taken. Images whose camera is unknown, or is not in
            the gallery, are centered by the mean of all.

    Returns:
        The same images with other vectors.

    Raises:
        DataError: The vectors have different lengths, or the gallery is empty.

    References:
        Zhuang et al., Rethinking the distribution gap of person re-identification with camera-based batch
            normalization, 2020, which takes such statistics while training.
    """
    check_features(features=features, gallery=gallery)
    if not len(gallery):
        raise DataError("the gallery is empty: there are no means of cameras to take")
    cameras, overall = gallery.table.camera_ids, gallery.embeddings.mean(0, dtype=np.float64)
    centered = np.empty_like(features.embeddings)
    for camera in np.unique(features.table.camera_ids):
        seen = gallery.embeddings[cameras == camera] if camera >= 0 else gallery.embeddings[:0]
        mean = (seen.sum(0, dtype=np.float64) + CAMERA_PRIOR * overall) / (len(seen) + CAMERA_PRIOR)
        rows = features.table.camera_ids == camera
        centered[rows] = features.embeddings[rows] - mean
    return dataclasses.replace(features, embeddings=normalize(centered))
