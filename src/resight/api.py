"""What commands do, as one call each: train, adapt, score and search."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from resight.compute.devices import Devices
from resight.compute.settings import DeviceSettings
from resight.config.settings import settings_of
from resight.data.catalog import open_dataset
from resight.data.crops import Picture, images_of, load_crops
from resight.data.dataset import Dataset
from resight.data.tracklets import TrackletSettings
from resight.errors import ConfigError, DataError, check_given, nearest
from resight.methods import METHODS
from resight.models.encoder import Encoder, EncoderSettings, load_encoder
from resight.records import ImageTable, Ranking, Report
from resight.retrieval.evaluation import evaluate
from resight.retrieval.extraction import extract
from resight.retrieval.protocol import distance_fn, embed, provenance_of
from resight.retrieval.ranking import rank
from resight.training.adapting import adapt_recipe, kept_settings
from resight.training.report import train_and_report
from resight.training.train import Trained, TrainSettings

Data = Dataset | str | os.PathLike[str]
"""A data set, or what names one: ``"folder=crops"``, ``"market1501=PATH"`` or a path."""

Model = Encoder | str | os.PathLike[str]
"""An encoder, a run folder or an encoder file."""


def train(method: str, data: Data, *, recipe: str = "", source: Data | None = None, **settings: Any) -> Trained:
    """Train a method, as ``resight train`` does, or resume its run.

    Args:
        method: A key of `resight.methods.METHODS`: ``"ice"``, for example.
        data: What to train on; scored if it has queries and a gallery.
        recipe: A YAML file or the name of a recipe of the installation, ``"site"`` for example.
        source: The labeled data set that the method adapts from, if it takes one.
        settings: What differs from the recipe: ``epochs=5``, ``run="runs/mine"``, groups as dicts
            (``cluster={"eps": 0.5}``); ``start`` is a run folder or an encoder file to start from.

    Returns:
        The encoder of the best epoch, the scores and the run folder.

    Raises:
        ConfigError: The method or a setting is unknown, of the wrong type or out of range.
        RunError: The run folder holds something else.

    Example:
        >>> trained = resight.train("ice", "folder=crops", recipe="site", run="runs/mine", epochs=5)
    """
    check_given("method", method, str, f"one of {', '.join(METHODS)}")
    if method not in METHODS:
        raise ConfigError(f"no method is called '{method}'{nearest(method, METHODS)} (known: {', '.join(METHODS)})")
    _, kind, variants = METHODS[method]
    dataset, spec = _dataset("data", data)
    changes = {"data": spec, **settings}
    from_dataset = None
    if source is not None:
        from_dataset, changes["source"] = _dataset("source", source)
    options, method_settings = settings_of([TrainSettings, kind], changes, recipe=recipe, variants=variants)
    return train_and_report(method, dataset, method_settings, options, source=from_dataset)


def adapt(model: str | os.PathLike[str], data: Data, *, recipe: str = "", **settings: Any) -> Trained:
    """Adapt a model to a site's own cameras without labels, as ``resight adapt`` does.

    Args:
        model: A run folder or an encoder file.
        data: What to adapt to.
        recipe: As for `train`; the one for the kind of model if empty.
        settings: As for `train`.

    Returns:
        As `train`.

    Raises:
        ConfigError: A setting is unknown or out of range, or the model is one of parts.
    """
    own = load_encoder(model).settings
    method, usual = adapt_recipe(own.head)
    encoder = {**settings.pop("encoder", {}), **kept_settings(own)}
    return train(method, data, recipe=recipe or usual, start=os.fspath(model), encoder=encoder, **settings)


def score(
    model: Model,
    data: Data,
    *,
    rerank: bool = False,
    flip: bool = False,
    tracklet: TrackletSettings | None = None,
    device: DeviceSettings | None = None,
) -> Report:
    """Score a model on a data set's queries and gallery, as ``resight evaluate`` does.

    Args:
        model: What embeds.
        data: What has queries and a gallery.
        rerank: Whether to re-rank k-reciprocally first.
        flip: Whether to add the features of the mirrored images.
        tracklet: How a tracklet becomes a vector, on sets of tracklets.
        device: Where it runs.

    Raises:
        DataError: The data set has no queries.
    """
    dataset, _ = _dataset("data", data)
    if not len(dataset.query):
        raise DataError(f"{dataset.name} has no queries: split people off, resight.split_validation(data, 60)")
    tracklet, devices = tracklet or TrackletSettings(), Devices(device)
    encoder = devices.to_device(_encoder(model))
    queries, gallery = (
        embed(encoder, side, dataset.unit, tracklet=tracklet, devices=devices, flip=flip)
        for side in (dataset.query, dataset.gallery)
    )
    return evaluate(
        queries,
        gallery,
        exclude=dataset.exclude,
        distractor_id=dataset.distractor_id,
        rerank=rerank,
        distance_fn=distance_fn(dataset, tracklet),
        device=devices.device,
        provenance={"flip": flip, **provenance_of(dataset, tracklet), **devices.describe()},
    )


def search(
    queries: Picture | Iterable[Picture],
    data: Data,
    *,
    model: Model | None = None,
    k: int = 10,
    device: DeviceSettings | None = None,
) -> tuple[Ranking, ImageTable]:
    """Search for people, as ``resight search`` does.

    Args:
        queries: One image or several: files, ``(H, W, 3)`` uint8 RGB arrays or Pillow images.
        data: Where to search: the gallery of a data set, or all its images.
        model: What embeds; the ImageNet backbone of the installation if absent.
        k: How many results for each query.
        device: Where it runs.

    Returns:
        For each query the ``k`` nearest rows, nearest first, of the table of searched images, and that table.

    Raises:
        DataError: An image cannot be read, or there is nothing to search in.
    """
    dataset, _ = _dataset("data", data)
    table = dataset.gallery if len(dataset.gallery) else dataset.train
    devices = Devices(device)
    encoder = devices.to_device(Encoder(EncoderSettings()).eval() if model is None else _encoder(model))
    images = images_of(queries, encoder.settings.size)
    if isinstance(images, ImageTable):
        images = load_crops(images, encoder.settings.size)
    if images.problems:
        path, reason = images.problems[0]
        raise DataError(f"{path}: {reason}")
    asked, gallery = (extract(encoder, side, devices=devices) for side in (images, table))
    return rank(asked, gallery, k=k, device=devices.device), gallery.table


def _dataset(name: str, data: Data) -> tuple[Dataset, str]:
    """Return a data set, and what names it in a run folder."""
    if isinstance(data, Dataset):
        return data, f"{data.name}={data.root}"
    check_given(name, data, (str, os.PathLike), "a Dataset, or what names one: 'folder=crops'")
    return open_dataset(os.fspath(data)), os.fspath(data)


def _encoder(model: Model) -> Encoder:
    return model if isinstance(model, Encoder) else load_encoder(model)
