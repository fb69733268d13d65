"""From images to vectors."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from resight.data.crops import Crops, load_crops
from resight.data.transforms import to_float
from resight.devices import Devices
from resight.files import write_atomically
from resight.models.encoder import Encoder
from resight.progress import progress
from resight.records import Features, Floats, ImageTable

logger = logging.getLogger(__name__)

BATCH = 256


def extract(
    encoder: Encoder,
    images: Crops | ImageTable,
    *,
    devices: Devices | None = None,
    flip: bool = False,
    cache: Path | None = None,
) -> Features:
    """Turn images into unit vectors.

    Args:
        encoder: What embeds them; put in evaluation mode for the time.
        images: Decoded crops, or a table whose images are decoded first. Images that cannot be read are
            left out of the result.
        devices: Where to compute; each process does its share.
        flip: Whether to add the features of the mirrored images.
        cache: A folder where vectors are kept, keyed by encoder, images and how they are computed.

    Returns:
        ``(N, D)`` float32 unit vectors.
    """
    devices = devices or Devices()
    identity = encoder.digest()
    path = None
    if cache is not None:
        table = images if isinstance(images, ImageTable) else images.table
        path = cache / f"{_key(table, identity, flip, devices.precision('inference'))}.safetensors"
        kept = _read(path, table)
        if kept is not None:
            return Features(table[kept[1]], kept[0], identity)
    crops = load_crops(images, encoder.settings.size) if isinstance(images, ImageTable) else images
    vectors = embed_crops(encoder, crops, devices=devices, flip=flip)
    if path is not None and devices.rank == 0:
        rows = crops.rows if isinstance(images, ImageTable) else np.arange(len(crops))
        write_atomically(path, save({"vectors": vectors, "rows": rows}))
    return Features(crops.table, vectors, identity)


def embed_crops(encoder: Encoder, crops: Crops, *, devices: Devices, flip: bool = False, raw: bool = False) -> Floats:
    """Run the encoder over crops, in batches, each process its share.

    Args:
        encoder: What embeds them; put in evaluation mode for the time.
        crops: ``N`` decoded images.
        devices: Where to compute.
        flip: Whether to add the features of the mirrored images.
        raw: Give the pooled features before the neck, not normalised, in place of unit vectors.

    Returns:
        ``(N, D)`` float32.
    """
    training = encoder.training
    encoder.eval()
    share = devices.share(len(crops))
    starts = range(share.start, share.stop, BATCH)
    parts = [torch.empty((0, encoder.dim))]
    with torch.inference_mode(), devices.autocast("inference"):
        for start in progress(starts, "embedding"):
            rows = slice(start, min(start + BATCH, share.stop))
            images = to_float(crops.pixels(rows).to(devices.device))
            vectors = encoder.pool(images) if raw else encoder.embed(images, flip=flip)
            parts.append(vectors.float().cpu())
    encoder.train(training)
    joined = torch.cat(parts).to(devices.device)
    return devices.gather_rows(joined, len(crops)).cpu().numpy()


def _key(table: ImageTable, encoder: str, flip: bool, precision: str) -> str:
    digest = hashlib.sha256(f"{encoder} {flip} {precision}".encode())
    for name in table.paths.tolist():
        try:
            status = Path(name).stat()
            digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
        except OSError:
            digest.update(f"{name} absent\n".encode())
    return digest.hexdigest()[:32]


def _read(path: Path, table: ImageTable) -> tuple[Floats, np.ndarray] | None:
    if not path.is_file():
        return None
    try:
        kept = load_file(path)
        return kept["vectors"], kept["rows"]
    except (SafetensorError, KeyError) as error:
        logger.warning("ignoring a damaged file of cached vectors, %s (%s)", path, error)
        return None
