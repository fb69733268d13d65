"""The commands as functions: train, adapt, score and search."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Literal

from resight.compute.devices import Devices
from resight.compute.settings import DeviceSettings
from resight.config.settings import settings_of
from resight.data.catalog import open_dataset
from resight.data.crops import Picture, images_of, load_crops
from resight.data.dataset import Dataset
from resight.data.tracklets import TrackletSettings
from resight.errors import ConfigError, DataError, check_given, nearest, yes_or_no
from resight.files import expanded, printable
from resight.methods import METHODS
from resight.models.encoder import Encoder, load_encoder
from resight.models.packaged import SYNTHETIC
from resight.numerics.distances import squared_distances
from resight.numerics.spatiotemporal import TravelTimes
from resight.records import ImageTable, Ranking, Report
from resight.retrieval import statistics
from resight.retrieval.extraction import extract
from resight.retrieval.feature_files import load_features, names_features
from resight.retrieval.joint import check_sightings, estimate_travel_times
from resight.retrieval.protocol import distance_fn, score_features
from resight.retrieval.ranking import rank
from resight.retrieval.sources import Source, embed_sides, embed_train
from resight.training.adapting import adapt_recipe, fixed_settings
from resight.training.report import train_and_report
from resight.training.train import Trained, TrainSettings

Data = Dataset | str | os.PathLike[str]
"""A data set, or its name: ``"folder=crops"``, ``"market1501=PATH"`` or a path."""

Model = Encoder | str | os.PathLike[str]
"""An encoder, a run folder or an encoder file."""


def train(method: str, data: Data, *, recipe: str = "", source: Data | None = None, **settings: Any) -> Trained:
    """Train a method, as ``resight train`` does, or resume its run.

    Args:
        method: A key of `resight.methods.METHODS`: ``"ice"``, for example.
        data: The data set to train on; scored if it has queries and a gallery.
        recipe: A YAML file or the name of a recipe of the installation, ``"site"`` for example.
        source: The labeled data set to adapt from, if the method takes one.
        settings: Settings that override the recipe's: ``epochs=5``, ``run="runs/mine"``, groups as dicts
            (``cluster={"eps": 0.5}``). ``start`` is a run folder or an encoder file to start from.

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
    spec = METHODS[method]
    dataset, name = _load_data("data", data)
    changes = {"data": name, **settings}
    source_dataset = None
    if source is not None:
        source_dataset, changes["source"] = _load_data("source", source)
    options, method_settings = settings_of(
        [TrainSettings, spec.settings], changes, recipe=recipe, variants=spec.variants
    )
    return train_and_report(method, dataset, method_settings, options, source=source_dataset)


def adapt(model: str | os.PathLike[str], data: Data, *, recipe: str = "", **settings: Any) -> Trained:
    """Adapt a model to your own cameras without labels, as ``resight adapt`` does.

    Args:
        model: A run folder, an encoder file, or ``"synthetic"``, the model of the installation.
        data: The data set to adapt to.
        recipe: As for `train`; if empty, the recipe for this kind of model.
        settings: As for `train`.

    Returns:
        As `train`.

    Raises:
        ConfigError: A setting is unknown or out of range, or the model is one of parts.
    """
    model_settings = load_encoder(model).settings
    method, default_recipe = adapt_recipe(model_settings.head)
    encoder = {**settings.pop("encoder", {}), **fixed_settings(model_settings)}
    return train(method, data, recipe=recipe or default_recipe, start=os.fspath(model), encoder=encoder, **settings)


def score(
    model: Model,
    data: Data,
    *,
    rerank: bool | Literal["joint"] = False,
    flip: bool = False,
    center_cameras: bool = False,
    tracklet: TrackletSettings | None = None,
    device: DeviceSettings | None = None,
) -> Report:
    """Score a model on a data set's queries and gallery, as ``resight evaluate`` does.

    Args:
        model: The encoder to score, or a file of vectors of the images (docs/features.md).
        data: A data set with queries and a gallery.
        rerank: Whether to re-rank by k-reciprocal neighbors first; ``"joint"`` ranks by appearance and time, as
            ``--rank_by joint`` does.
        flip: Whether to add the features of the mirrored images; for an encoder.
        center_cameras: Whether to subtract the mean of each camera in the gallery from its vectors.
        tracklet: How the frames of a tracklet become one vector, on sets of tracklets.
        device: The device to run on.

    Returns:
        The scores and what they were made with.

    Raises:
        DataError: The data set has no queries, or no image of it has a vector in the file; or a camera or a frame is
            unknown that ``"joint"`` needs.
        ConfigError: ``flip`` is set for a file of vectors, or ``center_cameras`` for another distance of tracklets.
    """
    dataset, _ = _load_data("data", data)
    if not len(dataset.query):
        raise DataError(f"{dataset.name} has no queries: hold people out with resight.split_validation(data, 60)")
    if rerank == "joint":
        check_sightings(dataset)
    else:
        rerank = yes_or_no("rerank", rerank)
    tracklet, devices = tracklet or TrackletSettings(), Devices(device)
    source: Source
    made_by: dict[str, str | bool]
    if isinstance(model, str | os.PathLike) and names_features(os.fspath(model)):
        if flip:
            raise ConfigError(f"{printable(model)} holds vectors that are embedded already: leave out flip")
        source, made_by = load_features(expanded(model)), {"features": os.fspath(model)}
    else:
        source, made_by = devices.to_device(_load_model(model)), {"flip": flip}
    (sides,) = embed_sides(source, [dataset], tracklet=tracklet, devices=devices, flip=flip)
    if yes_or_no("center_cameras", center_cameras):
        if distance_fn(dataset, tracklet) is not squared_distances:
            raise ConfigError("center_cameras needs the Euclidean distance: set tracklet.distance to concatenated")
        query, gallery = sides
        sides = statistics.center_sides(query, gallery)
    ranks_by: bool | TravelTimes = rerank is True
    if rerank == "joint":
        train = embed_train(source, dataset, tracklet=tracklet, devices=devices, flip=flip)
        ranks_by = estimate_travel_times(train, device=devices.device)
    return score_features(
        dataset,
        sides,
        tracklet=tracklet,
        device=devices.device,
        rerank=ranks_by,
        provenance={**made_by, "center_cameras": center_cameras, **devices.describe()},
    )


def search(
    queries: Picture | Iterable[Picture],
    data: Data,
    *,
    model: Model = SYNTHETIC,
    k: int = 10,
    device: DeviceSettings | None = None,
) -> tuple[Ranking, ImageTable]:
    """Search for people, as ``resight search`` does.

    Args:
        queries: One image or several: files, ``(H, W, 3)`` uint8 RGB arrays or Pillow images.
        data: The data set to search in: its gallery, or all its images if it has none.
        model: The encoder to search with; by default the model of the installation.
        k: The number of results for each query.
        device: The device to run on.

    Returns:
        The ranking, with the ``k`` nearest rows of the searched table for each query, nearest first; and that table.

    Raises:
        DataError: An image cannot be read, or there is nothing to search in.
    """
    dataset, _ = _load_data("data", data)
    table = dataset.gallery if len(dataset.gallery) else dataset.train
    devices = Devices(device)
    encoder = devices.to_device(_load_model(model))
    images = images_of(queries, encoder.settings.size)
    if isinstance(images, ImageTable):
        images = load_crops(images, encoder.settings.size)
    if images.problems:
        path, reason = images.problems[0]
        raise DataError(f"{path}: {reason}")
    query_features, gallery = (extract(encoder, side, devices=devices) for side in (images, table))
    return rank(query_features, gallery, k=k, device=devices.device), gallery.table


def _load_data(name: str, data: Data) -> tuple[Dataset, str]:
    """Return a data set, and its name in a run folder.

    Args:
        name: The name of the argument, for the error.
        data: The data set or its name.
    """
    if isinstance(data, Dataset):
        return data, f"{data.name}={data.root}"
    check_given(name, data, (str, os.PathLike), "a Dataset, or its name: 'folder=crops'")
    return open_dataset(os.fspath(data)), os.fspath(data)


def _load_model(model: Model) -> Encoder:
    return model if isinstance(model, Encoder) else load_encoder(model)
