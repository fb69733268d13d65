"""From images to vectors."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

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
from resight.retrieval.cache import keep_vectors, kept_vectors, vectors_path

logger = logging.getLogger(__name__)

BATCH = 256
"""Images that are embedded at once on a GPU."""

PIXELS = 2**18
"""Pixels that are embedded at once on a CPU: its caches hold what a few images become on their way through a network.
Batches of 256 images ran at half the speed."""

TRACKLETS = 512
"""Tracklets whose frames are decoded, embedded and pooled at once: 15 frames of 384 x 192 of each are 1.7 GB."""


def extract(
    encoder: Encoder,
    images: Crops | ImageTable | Picture | Iterable[Picture],
    *,
    devices: Devices | None = None,
    flip: bool = False,
    cache: str | Path | None = None,
) -> Features:
    """Turn images into unit vectors.

    Args:
        encoder: What embeds them; moved to the device, and put in evaluation mode for the time.
        images: Decoded crops, or what is decoded first: a table, a path or a list of paths, or pictures in memory:
            ``(H, W, 3)`` uint8 arrays, RGB, or Pillow images. Images that cannot be read are left out of the result,
            and the log says how many.
        devices: Where to compute; each process does its share.
        flip: Whether to add the features of the mirrored images.
        cache: A folder where vectors are kept, see `resight.retrieval.cache`.

    Returns:
        ``(N, D)`` float32 unit vectors.

    Raises:
        DataError: No image can be read, or what was given are no images.
        ConfigError: The encoder or the devices are none, or flip is neither True nor False.
    """
    check_given("encoder", encoder, Encoder, ENCODER)
    check_given("devices", devices, (Devices, type(None)), "Devices(DeviceSettings(...))")
    check_given("cache", cache, (str, Path, type(None)), "a folder")
    flip = yes_or_no("flip", flip)
    devices = devices or Devices()
    if not isinstance(images, Crops | ImageTable):
        images = images_of(images, encoder.settings.size)
        cache = cache if isinstance(images, ImageTable) else None  # pictures in memory have no name to be kept by
    devices.to_device(encoder)
    identity = encoder.digest()
    if isinstance(images, ImageTable):
        table, size = images, encoder.settings.size
    else:
        table, size = images.table, images.size
    path = None
    if cache is not None:
        path = vectors_path(Path(cache), table, f"{identity} {size} {flip} {devices.precision('inference')}")
        # The first process looks for all: where it found the file and another did not, that one would wait for ever.
        kept = devices.broadcast(kept_vectors(path, len(table), encoder.dim) if devices.rank == 0 else None)
        if kept is not None:
            vectors, rows = kept
            if len(rows) < len(table):
                logger.warning(
                    "%d of %d images could not be read when %s was made",
                    len(table) - len(rows),
                    len(table),
                    printable(path),
                )
            return Features(table[rows], vectors, identity)
    crops = load_crops(images, size) if isinstance(images, ImageTable) else images
    where = devices.describe()
    logger.info("embedding %s in %s on %s", counted(len(crops), "image"), where["inference"], where["device"])
    vectors = embed_crops(encoder, crops, devices=devices, flip=flip)
    if path is not None and devices.rank == 0:
        rows = crops.rows if isinstance(images, ImageTable) else np.arange(len(crops))
        keep_vectors(path, vectors, rows)
    return Features(crops.table, vectors, identity)


def extract_tracklets(
    encoder: Encoder,
    images: Crops | ImageTable,
    *,
    tracklet: TrackletSettings | None = None,
    devices: Devices | None = None,
    flip: bool = False,
    cache: Path | None = None,
) -> Features:
    """Turn tracklets into vectors: some frames of each are embedded, and their unit vectors pooled.

    It is done for `TRACKLETS` of them at a time, so memory does not grow with the frames that there are.

    Args:
        encoder: As in `extract`.
        images: As in `extract`; only the chosen frames are decoded. A chosen frame that cannot be read is left out, and
            a tracklet that has no other.
        tracklet: Which frames, and how they are pooled; by default the mean of 15 even ones.
        devices: As in `extract`.
        flip: As in `extract`.
        cache: As in `extract`.

    Returns:
        ``(K, D)`` float32, unit vectors unless they are parts (`pool_tracklets`), one a tracklet; an image of unknown
        tracklet is one of its own. `TrackletSettings.measure` compares them.

    Raises:
        DataError: No image can be read, or a tracklet is of two people or two cameras.
    """
    settings = tracklet or TrackletSettings()
    chosen = settings.choose(images if isinstance(images, ImageTable) else images.table)
    pooled = []
    for block in np.array_split(chosen, max(1, -(-len(chosen) // TRACKLETS))):
        features = extract(encoder, images[np.unique(block)], devices=devices, flip=flip, cache=cache)
        # Sampled again, because some could not be read, and the last frame of a short tracklet counts more than once.
        found = sample_tracklets(features.table, settings.num_frames)
        pooled.append(pool_tracklets(features, settings.pooling, chosen=found))
    table = ImageTable.concatenate(*(part.table for part in pooled))
    return Features(table, np.concatenate([part.embeddings for part in pooled]), pooled[0].encoder)


def build_encoder(settings: EncoderSettings, crops: Crops, *, devices: Devices) -> Encoder:
    """Build an encoder that is to learn from crops.

    Args:
        settings: What it is made of. Where its statistics are frozen, those of blocks that were drawn anew, and so have
            none to be frozen, are measured on some of the crops.
        crops: ``N`` decoded images.
        devices: Where it is put.
    """
    encoder = devices.to_device(Encoder(settings))
    if settings.batchnorm == "frozen":
        rows = np.linspace(0, len(crops) - 1, min(len(crops), BATCH)).round().astype(np.int64)
        encoder.measure_added(to_float(crops.pixels(rows).to(devices.device)))
    return encoder


def embed_crops(encoder: Encoder, crops: Crops, *, devices: Devices, flip: bool = False, raw: bool = False) -> Floats:
    """Run the encoder over crops, in batches, each process its share.

    Args:
        encoder: What embeds them; put in evaluation mode for the time.
        crops: ``N`` decoded images.
        devices: Where to compute.
        flip: Whether to add the features of the mirrored images.
        raw: Give the pooled features before the neck, not normalized, in place of unit vectors.

    Returns:
        ``(N, D)`` float32; ``(N, P)`` where raw.
    """
    training = encoder.training
    encoder.eval()
    share = devices.shard(len(crops))
    on_cpu = devices.device.type == "cpu"
    batch = max(1, PIXELS // (crops.size[0] * crops.size[1])) if on_cpu else BATCH
    starts = range(share.start, share.stop, batch)
    parts = [torch.empty((0, encoder.pooled_dim if raw else encoder.dim))]
    try:
        network = fuse(encoder)
        with torch.inference_mode(), devices.autocast("inference"):
            for start in progress(starts, "embedding"):
                rows = slice(start, min(start + batch, share.stop))
                images = to_float(crops.pixels(rows).to(devices.device))
                vectors = network.pool(images) if raw else network.embed(images, flip=flip)
                parts.append(vectors.float().cpu())
    finally:
        encoder.train(training)
    joined = torch.cat(parts)
    if devices.world > 1:  # a process alone spares its GPU the memory
        joined = devices.gather_rows(joined.to(devices.device), len(crops)).cpu()
    return joined.numpy()
