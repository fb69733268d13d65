"""Stored vectors as a data set of their own, and for the images or tracklets of a data set."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from messages import one_line
from resight.compute.devices import Devices
from resight.data.catalog import load_dataset, open_splits
from resight.data.dataset import Dataset
from resight.data.tracklets import TrackletSettings, pool_tracklets
from resight.errors import DataError
from resight.records import Features, ImageTable
from resight.retrieval.feature_files import StoredFeatures
from resight.retrieval.protocol import embed
from resight.retrieval.sources import check_same_images, embed_dataset, embed_sides
from resight.retrieval.stored_sides import normalized, scored_dataset, stored_dataset

HOW: dict[str, Any] = {"tracklet": TrackletSettings(num_frames=2), "devices": Devices(tiny.DEVICE)}


def stored(paths: list[str], splits: list[str] | None = None, **columns: Any) -> StoredFeatures:
    vectors = np.random.default_rng(0).normal(size=(len(paths), 5)).astype(np.float32)
    features = Features(ImageTable(np.array(paths), **columns), vectors)
    return StoredFeatures(Path("made.npz"), features, np.array(splits or [""] * len(paths)))


def test_a_file_by_itself_has_its_splits() -> None:
    labels = {"person_ids": [1, 1, -1, 2, 2], "camera_ids": [0, 1, 1, 0, 1]}
    dataset = stored_dataset(stored(list("abcde"), ["query", "gallery", "query", "train", ""], **labels))
    assert [table.paths.tolist() for table in dataset.tables.values()] == [["d"], ["a"], ["b"]]
    assert dataset.exclude == "same-camera"
    assert dataset.notes == ("1 row of no split is left out", "1 query of an unknown person is left out")


def test_a_file_without_splits_is_scored_on_everyone_who_can_be_found_again() -> None:
    labels = {"person_ids": [1, 1, 2, 2, 3, -1], "camera_ids": [0, 1, 0, 1, 0, 1]}
    dataset = scored_dataset(stored(list("abcdef"), **labels))
    assert sorted([*dataset.query.paths, *dataset.gallery.paths]) == list("abcde")
    assert len(dataset.query) == 2
    with pytest.raises(DataError) as error:
        scored_dataset(stored(list("abc")))
    assert "no labels of people" in one_line(error)


def test_without_cameras_nothing_is_excluded() -> None:
    dataset = stored_dataset(stored(["a", "b"], person_ids=[1, 1]))
    assert dataset.exclude == "none"
    assert "nothing is excluded" in dataset.notes[0]


@pytest.fixture
def market(tiny_market: Path) -> Dataset:
    return load_dataset("market1501", tiny_market)


def test_vectors_find_the_images_of_a_set_from_another_machine(
    market: Dataset, tiny_market: Path, caplog: pytest.LogCaptureFixture
) -> None:
    features, splits = embed_dataset(tiny.encoder(), market, **HOW)
    assert splits.tolist() == ["train"] * len(market.train) + ["query"] * len(market.query) + ["gallery"] * len(
        market.gallery
    )
    moved = [f"D:\\else\\{Path(path).parent.name}\\{Path(path).name}" for path in features.table.paths.tolist()]
    order = np.random.default_rng(0).permutation(len(features))
    table = ImageTable(np.array(moved)[order])
    file = StoredFeatures(Path("moved.npz"), Features(table, features.embeddings[order]), splits[order])
    with caplog.at_level(logging.INFO):
        ((queries, gallery),) = embed_sides(file, [market], **HOW)
    for found, side in ((queries, market.query), (gallery, market.gallery)):
        expected = embed(tiny.encoder(), side, "images", flip=False, **HOW)
        np.testing.assert_array_equal(found.embeddings, expected.embeddings)
        np.testing.assert_array_equal(found.table.person_ids, side.person_ids)
        np.testing.assert_array_equal(found.table.paths, side.paths)
    assert f"moved.npz: {len(features)} vectors matched by the end of the path" in caplog.text
    assert "no vector" not in caplog.text


def test_what_is_missing_on_either_side_is_counted(market: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    gallery = market.gallery.paths.tolist()
    file = stored([*market.query.paths.tolist(), *gallery[2:], "stranger.jpg"])
    with caplog.at_level(logging.INFO):
        ((queries, found),) = embed_sides(file, [market], **HOW)
    assert (len(queries), len(found)) == (len(market.query), len(gallery) - 2)
    assert f"2 images of market1501 have no vector and are left out; the first is '{gallery[0]}'" in caplog.text
    assert "1 vector is not used, because market1501 has no such image; the first is 'stranger.jpg'" in caplog.text
    with pytest.raises(DataError) as error:
        embed_sides(stored(["stranger.jpg"]), [market], **HOW)
    assert "made.npz has no vector of an image of market1501: it names 'stranger.jpg' first" in one_line(error)


def test_splits_of_a_set_share_the_vectors(draw: Any, tmp_path: Path) -> None:
    draw(tmp_path, *(f"cam_{camera}/{person:03}_0.bmp" for person in range(8) for camera in "ab"))
    splits = open_splits(f"viper={tmp_path}", 2)
    paths = sorted({path for split in splits for table in split.tables.values() for path in table.paths.tolist()})
    sides = embed_sides(stored(paths), splits, **HOW)
    for split, (queries, gallery) in zip(splits, sides, strict=True):
        np.testing.assert_array_equal(queries.table.paths, split.query.paths)
        np.testing.assert_array_equal(gallery.table.paths, split.gallery.paths)


def test_tracklets_take_one_vector_or_pool_several(market: Dataset) -> None:
    ids = np.unique(market.gallery.person_ids * 10 + market.gallery.camera_ids, return_inverse=True)[1]
    gallery = dataclasses.replace(market.gallery, tracklet_ids=ids)
    dataset = dataclasses.replace(market, gallery=gallery, unit="tracklets", train=market.train[:0])
    everything = stored([*market.query.paths.tolist(), *gallery.paths.tolist()])
    ((_, pooled),) = embed_sides(everything, [dataset], **HOW)
    frames = Features(gallery, everything.features.embeddings[len(market.query) :])
    np.testing.assert_array_equal(pooled.embeddings, pool_tracklets(frames).embeddings)
    last = {int(tracklet): row for row, tracklet in enumerate(ids.tolist())}
    single = stored([*market.query.paths.tolist(), *gallery.paths[list(last.values())].tolist()])
    ((_, kept),) = embed_sides(single, [dataset], **HOW)
    assert kept.table.tracklet_ids.tolist() == list(dict.fromkeys(ids.tolist()))
    rows = {path: row for row, path in enumerate(single.features.table.paths.tolist())}
    expected = [single.features.embeddings[rows[path]] for path in kept.table.paths.tolist()]
    np.testing.assert_array_equal(kept.embeddings, expected)


def test_each_image_of_two_splits_is_embedded_once(market: Dataset) -> None:
    both = dataclasses.replace(market, gallery=ImageTable.concatenate(market.query, market.gallery))
    features, splits = embed_dataset(stored(both.gallery.paths.tolist()), both, **HOW)
    assert len(set(features.table.paths.tolist())) == len(features) == len(both.gallery)
    assert (splits == "query").sum() == len(market.query)


def test_normalized_vectors_have_unit_length() -> None:
    lengths = np.linalg.norm(normalized(stored(["a", "b"])).features.embeddings, axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-6)


def test_two_sources_must_have_the_same_images() -> None:
    first, second = stored(["a", "b"]).features, stored(["a", "c"]).features
    check_same_images((first, second), (first, second), ("one", "other"))
    with pytest.raises(DataError) as error:
        check_same_images((first, first), (first, second), ("one", "other"))
    assert one_line(error) == "one has 1 image of the gallery that other has not, first 'b': compare on the same images"
    with pytest.raises(DataError, match="queries in another order"):
        check_same_images((first, first), (first[::-1], first), ("one", "other"))
