"""`resight extract [MODEL] --data SPEC --out features.npz`: write the vectors of images to a file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from resight.cli.queries import choose_encoder, describe_encoder, log_notes, run_flags, split_words
from resight.cli.terminal import say
from resight.compute.devices import Devices, DeviceSettings
from resight.config.settings import read_settings
from resight.data.catalog import open_dataset, parse_spec
from resight.data.settings import DataSettings
from resight.data.tracklets import TrackletSettings
from resight.errors import ConfigError, counted
from resight.files import check_output, expanded, printable
from resight.models.encoder import Encoder, EncoderSettings, load_encoder
from resight.numerics.distances import squared_distances
from resight.retrieval.cache import vectors_folder
from resight.retrieval.feature_files import check_format, save_features
from resight.retrieval.protocol import distance_fn
from resight.retrieval.sources import embed_dataset

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExtractSettings(DataSettings):
    """What to embed, and where to write it.

    Attributes:
        out: The file to write: `.npz`, `.npy` (with the table as `.csv` beside it) or `.parquet`.
        split: Which part of the data set to embed: `train`, `query`, `gallery` or `all`.
        flip: Add the features of the mirrored images. For a run, the default is the run's own setting.
        tracklet: How the frames of a tracklet become one vector, on sets of tracklets. For a run, the defaults are the
            run's own settings.
        cache: A folder that keeps embeddings for the next call, as in `resight evaluate`.
        encoder: A backbone with its own weights to embed with, in place of a model: `--encoder.weights imagenet`.
            Without either, you embed with `synthetic`, the model of the installation.
        device: The device to run on.
    """

    out: str = ""
    split: Literal["all", "train", "query", "gallery"] = "all"
    flip: bool = False
    tracklet: TrackletSettings = field(default_factory=TrackletSettings)
    cache: str = ""
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    device: DeviceSettings = field(default_factory=DeviceSettings)


def run(arguments: Sequence[str]) -> int:
    """Run `resight extract`."""
    words, flags = split_words(arguments)
    if len(words) > 1:
        raise ConfigError(f"resight extract embeds with one model, found {len(words)}: {', '.join(words[:3])}")
    model = words[0] if words else ""
    (settings,) = read_settings([*run_flags(model), *flags], [ExtractSettings], program="resight extract [MODEL]")
    if not settings.data or not settings.out:
        raise ConfigError(
            "resight extract needs images and a file: resight extract [MODEL] --data folder=CROPS --out features.npz"
        )
    out, folder = expanded(settings.out), settings.folder_settings()
    check_format(out)
    _, root = parse_spec(settings.data, folder)
    for path in [out, out.with_suffix(".csv")] if out.suffix.lower() == ".npy" else [out]:
        check_output(path, data=root)  # fails before anything is embedded
    chosen = choose_encoder(model, settings.encoder, flags)
    encoder = load_encoder(chosen) if isinstance(chosen, str) else Encoder(chosen).eval()
    cache = vectors_folder(settings.cache, root)
    dataset = open_dataset(settings.data, folder)
    if dataset.unit == "images" and any(flag.startswith("--tracklet.") for flag in flags):
        raise ConfigError(f"{dataset.name} is a set of images, not of tracklets: leave out --tracklet.*")
    log_notes(dataset)
    if distance_fn(dataset, settings.tracklet) is not squared_distances:
        logger.info("a file alone is scored by the Euclidean distance; --data and --tracklet.* of evaluate set another")
    if settings.split != "all":
        train, query, gallery = (
            table if name == settings.split else table[:0] for name, table in dataset.tables.items()
        )
        dataset = replace(dataset, train=train, query=query, gallery=gallery)
    if shared := set(dataset.query.paths.tolist()) & set(dataset.gallery.paths.tolist()):
        what = counted(len(shared), "image is", "images are")
        logger.info("%s query and gallery, and written as query: score the file with --data", what)
    if not model:
        logger.info("no MODEL is named: embedding with %s", describe_encoder(chosen))
    devices = Devices(settings.device)
    devices.to_device(encoder)
    features, splits = embed_dataset(
        encoder, dataset, tracklet=settings.tracklet, devices=devices, flip=settings.flip, cache=cache
    )
    if devices.rank > 0:  # of several processes only the first writes
        return 0
    save_features(out, features, splits=splits, names=dataset.names)
    what = counted(len(features), "vector")
    say(f"{printable(out)}: {what} of {features.embeddings.shape[1]} numbers")
    return 0
