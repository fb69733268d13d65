"""From images to embeddings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from resight.compute.devices import Devices
from resight.data.crops import Crops, Picture, images_of, load_crops
from resight.data.tracklets import TrackletSettings, pool_tracklets, sample_tracklets
from resight.data.transforms import to_float
from resight.errors import check_given, counted, yes_or_no
from resight.files import printable
from resight.models.encoder import ENCODER, Encoder, EncoderSettings
from resight.models.fused import fuse
from resight.progress import progress
from resight.records import Features, Floats, ImageTable
from resight.retrieval.cache import load_vectors, save_vectors, vectors_path

logger = logging.getLogger(__name__)

BATCH = 256
"""Images to embed at once on a GPU."""

PIXELS = 2**18
"""Pixels to embed at once on a CPU: its caches hold the intermediate maps of a few images. Batches of 256 images ran at
half the speed."""

TRACKLETS = 512
"""Tracklets to decode, embed and pool at once: 15 frames of 384 x 192 of each take 1.7 GB."""


def extract(
    encoder: Encoder,
    images: Crops | ImageTable | Picture | Iterable[Picture],
    *,
    devices: Devices | None = None,
    flip: bool = False,
    cache: str | Path | None = None,
) -> Features:
    """Embed images as unit vectors.

    Args:
        encoder: The encoder. It moves to the device, and stays in evaluation mode until the end of the call.
        images: Decoded crops, or images to decode first: a table, a path or a list of paths, or pictures in memory:
            ``(H, W, 3)`` uint8 arrays, RGB, or Pillow images. The result leaves out images that cannot be read,
            and the log says how many.
        devices: Where to compute; each process embeds its part.
        flip: Whether to add the features of the mirrored images.
        cache: A cache folder for embeddings, see `resight.retrieval.cache`.

    Returns:
        ``(N, D)`` float32 unit vectors.

    Raises:
        DataError: No image can be read, or ``images`` is something else.
        ConfigError: ``encoder`` or ``devices`` is something else, or ``flip`` is neither True nor False.
    """
    check_given("encoder", encoder, Encoder, ENCODER)
    check_given("devices", devices, (Devices, type(None)), "Devices(DeviceSettings(...))")
    check_given("cache", cache, (str, Path, type(None)), "a folder")
    flip = yes_or_no("flip", flip)
    devices = devices or Devices()
    if not isinstance(images, Crops | ImageTable):
        images = images_of(images, encoder.settings.size)
        cache = cache if isinstance(images, ImageTable) else None  # pictures in memory have no path
    devices.to_device(encoder)
    identity = encoder.digest()
    if isinstance(images, ImageTable):
        table, size = images, encoder.settings.size
    else:
        table, size = images.table, images.size
    path = None
    if cache is not None:
        path = vectors_path(Path(cache), table, f"{identity} {size} {flip} {devices.precision('inference')}")
        # The first process reads for all: if only some processes found the file, the others would wait forever.
        cached = devices.broadcast(load_vectors(path, len(table), encoder.dim) if devices.rank == 0 else None)
        if cached is not None:
            embeddings, rows = cached
            if len(rows) < len(table):
                logger.warning(
                    "%d of %d images could not be read when %s was written",
                    len(table) - len(rows),
                    len(table),
                    printable(path),
                )
            return Features(table[rows], embeddings, identity)
    crops = load_crops(images, size) if isinstance(images, ImageTable) else images
    description = devices.describe()
    logger.info(
        "embedding %s in %s on %s", counted(len(crops), "image"), description["inference"], description["device"]
    )
    embeddings = embed_crops(encoder, crops, devices=devices, flip=flip)
    if path is not None and devices.rank == 0:
        rows = crops.rows if isinstance(images, ImageTable) else np.arange(len(crops))
        save_vectors(path, embeddings, rows)
    return Features(crops.table, embeddings, identity)


def extract_tracklets(
    encoder: Encoder,
    images: Crops | ImageTable,
    *,
    tracklet: TrackletSettings | None = None,
    devices: Devices | None = None,
    flip: bool = False,
    cache: Path | None = None,
) -> Features:
    """Embed tracklets: embed some frames of each, and pool their unit vectors.

    It works on `TRACKLETS` tracklets at a time, so memory does not grow with the number of frames.

    Args:
        encoder: As in `extract`.
        images: As in `extract`; only the chosen frames are decoded. The result leaves out frames that cannot be read,
            and tracklets without a readable frame.
        tracklet: Which frames to choose and how to pool them; by default the mean of 15 evenly spaced frames.
        devices: As in `extract`.
        flip: As in `extract`.
        cache: As in `extract`.

    Returns:
        ``(K, D)`` float32, unit vectors unless they are parts (`pool_tracklets`), one per tracklet. An image of unknown
        tracklet is its own tracklet. `TrackletSettings.distance_fn` compares them.

    Raises:
        DataError: No image can be read, or a tracklet has two people or two cameras.
    """
    settings = tracklet or TrackletSettings()
    chosen = settings.choose(images if isinstance(images, ImageTable) else images.table)
    pooled = []
    for block in np.array_split(chosen, max(1, -(-len(chosen) // TRACKLETS))):
        features = extract(encoder, images[np.unique(block)], devices=devices, flip=flip, cache=cache)
        # Sample again: some frames could not be read, and the last frame of a short tracklet counts more than once.
        frames = sample_tracklets(features.table, settings.num_frames)
        pooled.append(pool_tracklets(features, settings.pooling, chosen=frames))
    table = ImageTable.concatenate(*(part.table for part in pooled))
    return Features(table, np.concatenate([part.embeddings for part in pooled]), pooled[0].encoder)


def build_encoder(settings: EncoderSettings, crops: Crops, *, devices: Devices) -> Encoder:
    """Build an encoder to train on crops.

    Args:
        settings: Settings of the encoder. With frozen batch norms, blocks without pretrained weights have no statistics
            to freeze; theirs are measured on some of the crops.
        crops: ``N`` decoded images.
        devices: Device of the encoder.
    """
    encoder = devices.to_device(Encoder(settings))
    if settings.batchnorm == "frozen":
        rows = np.linspace(0, len(crops) - 1, min(len(crops), BATCH)).round().astype(np.int64)
        encoder.measure_new_blocks(to_float(crops.pixels(rows).to(devices.device)))
    return encoder


def embed_crops(encoder: Encoder, crops: Crops, *, devices: Devices, flip: bool = False) -> Floats:
    """Embed crops in batches; each process embeds its shard.

    Args:
        encoder: The encoder; it stays in evaluation mode until the end of the call.
        crops: ``N`` decoded images.
        devices: Where to compute.
        flip: Whether to add the features of the mirrored images.

    Returns:
        ``(N, D)`` float32 unit vectors.
    """
    return _run_batches(crops, encoder, lambda network, images: network.embed(images, flip=flip), encoder.dim, devices)


def pool_crops(encoder: Encoder, crops: Crops, *, devices: Devices) -> Floats:
    """Compute the pooled features of crops, before the neck and not normalized; arguments as in `embed_crops`.

    Returns:
        ``(N, P)`` float32.
    """
    return _run_batches(crops, encoder, lambda network, images: network.pool(images), encoder.pooled_dim, devices)


def _run_batches(
    crops: Crops, encoder: Encoder, forward: Callable[[Encoder, Tensor], Tensor], dim: int, devices: Devices
) -> Floats:
    """Compute ``dim`` numbers for each crop, in batches; each process works on its shard."""
    training = encoder.training
    encoder.eval()
    shard = devices.shard(len(crops))
    on_cpu = devices.device.type == "cpu"
    batch = max(1, PIXELS // (crops.size[0] * crops.size[1])) if on_cpu else BATCH
    parts = [torch.empty((0, dim))]
    try:
        network = fuse(encoder)
        with torch.inference_mode(), devices.autocast("inference"):
            for start in progress(range(shard.start, shard.stop, batch), "embedding"):
                rows = slice(start, min(start + batch, shard.stop))
                images = to_float(crops.pixels(rows).to(devices.device))
                parts.append(forward(network, images).float().cpu())
    finally:
        encoder.train(training)
    joined = torch.cat(parts)
    if devices.world > 1:  # a single process needs no copy on its GPU
        joined = devices.gather_rows(joined.to(devices.device), len(crops)).cpu()
    return joined.numpy()
