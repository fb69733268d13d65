"""Adapted statistics are those of the images, and nothing else of the encoder changes."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tiny
from resight.compute.devices import Devices
from resight.data.crops import load_crops
from resight.data.transforms import to_float
from resight.errors import ConfigError
from resight.models.encoder import Encoder, EncoderSettings
from resight.records import Features, ImageTable
from resight.retrieval.evaluation import evaluate
from resight.retrieval.extraction import extract
from resight.retrieval.statistics import CAMERA_PRIOR, adapt_statistics, center_cameras

SETTINGS = EncoderSettings(backbone="resnet18", weights="none", height=64, width=32)


@pytest.fixture
def table(tmp_path: Path) -> ImageTable:
    rng = np.random.default_rng(0)
    paths = [tmp_path / "images" / f"{i}.png" for i in range(24)]
    paths[0].parent.mkdir()
    for path in paths:
        Image.fromarray(rng.integers(0, 160, (64, 32, 3), dtype=np.uint8)).save(path)
    return ImageTable(np.array([str(path) for path in paths]))


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder(SETTINGS).eval()


def test_the_statistics_are_those_of_the_images(encoder: Encoder, table: ImageTable) -> None:
    adapted = adapt_statistics(encoder, table, devices=Devices(tiny.DEVICE))
    images = to_float(load_crops(table, SETTINGS.size).pixels(np.arange(24)))
    first = adapted.backbone.get_submodule("network.bn1")
    assert isinstance(first, torch.nn.BatchNorm2d)
    maps = encoder.backbone.get_submodule("network.conv1")(encoder._normalized(images))
    torch.testing.assert_close(first.running_mean, maps.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(first.running_var, maps.var((0, 2, 3)), atol=1e-5, rtol=1e-4)
    pooled = adapted.neck(adapted.pool(images))  # the last norm: its inputs now have mean 0 and variance 1
    torch.testing.assert_close(pooled.mean(0), torch.zeros(512), atol=0.3, rtol=0)


def test_only_statistics_change_and_only_in_a_copy(encoder: Encoder, table: ImageTable) -> None:
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    adapted = adapt_statistics(encoder, table)
    assert not adapted.training
    assert not any(module.training for module in adapted.modules())
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name])
    for name, value in adapted.state_dict().items():
        moved = "running_" in name or "num_batches" in name
        assert torch.equal(value, before[name]) != moved, name
    assert adapted.digest() != encoder.digest()


def test_frozen_statistics_stay(encoder: Encoder, table: ImageTable) -> None:
    frozen = Encoder(replace(SETTINGS, batchnorm="frozen")).eval()
    frozen.load_state_dict(encoder.state_dict())
    adapted = adapt_statistics(frozen, table, devices=Devices(tiny.DEVICE))
    for name, value in adapted.state_dict().items():
        moved = name.startswith("neck.") and ("running_" in name or "num_batches" in name)
        assert torch.equal(value, encoder.state_dict()[name]) != moved, name
    pooled = frozen.pool(to_float(load_crops(table, SETTINGS.size).pixels(np.arange(24))))
    norm = adapted.get_submodule("neck")
    found = [value for name, value in norm.state_dict().items() if name.endswith("running_mean")]
    torch.testing.assert_close(found[0], pooled.mean(0), atol=1e-4, rtol=1e-4)


def test_the_result_is_the_same_each_time_and_does_not_depend_on_how_images_come(
    encoder: Encoder, table: ImageTable
) -> None:
    once, again = adapt_statistics(encoder, table), adapt_statistics(encoder, load_crops(table, SETTINGS.size))
    np.testing.assert_allclose(
        extract(once, table).embeddings, extract(again, table).embeddings, atol=1e-5
    )  # batches hold the same images in another order
    assert once.digest() == adapt_statistics(encoder, table).digest()


def test_an_encoder_of_another_light_is_repaired(encoder: Encoder, table: ImageTable) -> None:
    """Statistics of much brighter images leave nothing of dark ones; measured again, images differ as they should."""
    for norm in encoder.modules():
        if isinstance(norm, torch.nn.BatchNorm2d) and norm.running_mean is not None:
            norm.running_mean += 5
    blind, seeing = extract(encoder, table).embeddings, extract(adapt_statistics(encoder, table), table).embeddings
    assert np.std(seeing @ seeing.T) > 3 * np.std(blind @ blind.T)


def test_a_cache_keeps_the_statistics_and_replaces_damaged_ones(
    encoder: Encoder, table: ImageTable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "cache"
    first = adapt_statistics(encoder, table, cache=cache)
    (file,) = cache.iterdir()
    stamp = file.stat().st_ino
    second = adapt_statistics(encoder, table, cache=cache)
    assert second.digest() == first.digest()  # so that a cache of vectors serves both
    assert file.stat().st_ino == stamp
    np.testing.assert_array_equal(extract(first, table).embeddings, extract(second, table).embeddings)
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        third = adapt_statistics(encoder, table, cache=cache)
    assert "statistics" in caplog.text
    assert "are damaged" in caplog.text
    np.testing.assert_array_equal(extract(first, table).embeddings, extract(third, table).embeddings)


def test_what_is_no_image_is_refused(encoder: Encoder) -> None:
    with pytest.raises(ConfigError, match="images must be"):
        adapt_statistics(encoder, ["a.jpg"])  # type: ignore[arg-type]


# -- the mean of each camera ---------------------------------------------------------------------------------------


def made_up(people: int, cameras: int, seed: int = 0, shift: float = 2.0) -> Features:
    """Two images of each person in each camera; each camera adds a vector of its own."""
    rng = np.random.default_rng(seed)
    persons, seen_by = np.repeat(np.arange(people), 2 * cameras), np.tile(np.repeat(np.arange(cameras), 2), people)
    vectors = rng.normal(size=(people, 16))[persons] + shift * rng.normal(size=(cameras, 16))[seen_by]
    vectors += 0.2 * rng.normal(size=vectors.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    table = ImageTable(np.array([f"{i}.jpg" for i in range(len(persons))]), persons, seen_by)
    return Features(table, vectors.astype(np.float32))


def test_each_vector_loses_the_mean_of_its_camera() -> None:
    gallery, queries = made_up(5, 3), made_up(2, 4, seed=1)
    unknown = Features(ImageTable(np.array(["u.jpg"])), queries.embeddings[:1])
    overall = gallery.embeddings.mean(0)
    for features in (gallery, queries, unknown):
        found = center_cameras(features, gallery)
        assert found.table is features.table
        for vector, camera, before in zip(
            found.embeddings, features.table.camera_ids, features.embeddings, strict=True
        ):
            seen = [v for v, c in zip(gallery.embeddings, gallery.table.camera_ids, strict=True) if c == camera >= 0]
            mean = np.mean([*seen, *[overall] * CAMERA_PRIOR], axis=0)
            expected = (before - mean) / np.linalg.norm(before - mean)
            np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_the_mean_of_few_images_hardly_counts() -> None:
    many, few = made_up(400, 2), made_up(1, 3, seed=5)
    rows = few.table.camera_ids == 2
    both = Features(
        ImageTable.concatenate(many.table, few.table[rows]), np.concatenate([many.embeddings, few.embeddings[rows]])
    )
    shift = few.embeddings[rows].mean(0) - both.embeddings.mean(0)
    lost = few.embeddings[rows][0] - both.embeddings.mean(0) - shift * 2 / (2 + CAMERA_PRIOR)
    np.testing.assert_allclose(center_cameras(few[rows], both).embeddings[0], lost / np.linalg.norm(lost), atol=1e-5)


def test_people_are_found_in_other_cameras() -> None:
    features = made_up(60, 4)
    is_query = np.arange(len(features)) % 8 == 0
    queries, gallery = features[is_query], features[~is_query]
    before = evaluate(queries, gallery).scores["mAP"]
    after = evaluate(center_cameras(queries, gallery), center_cameras(gallery, gallery)).scores["mAP"]
    assert before < 0.8
    assert after > before + 0.1
