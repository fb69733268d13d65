"""Vectors that are made, and vectors that are kept between calls."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tiny
from resight.compute.devices import Devices
from resight.data.crops import Crops, load_crops
from resight.data.tracklets import TrackletSettings, group_tracklets, pool_tracklets, sample_tracklets
from resight.records import Features, ImageTable
from resight.retrieval import extraction
from resight.retrieval.extraction import extract, extract_tracklets


@pytest.fixture
def devices() -> Iterator[Devices]:
    threads = torch.get_num_threads()
    yield Devices(tiny.DEVICE)
    torch.set_num_threads(threads)


@pytest.fixture
def table(draw, tmp_path: Path) -> ImageTable:
    folder = draw(tmp_path / "images", "a.png", "b.png", "c.png", "d.png")
    (folder / "c.png").write_bytes(b"broken")  # left out of the result, from the cache too
    return ImageTable(np.array([str(folder / f"{name}.png") for name in "abcd"]), np.arange(4), np.arange(4))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that images are decoded."""
    calls: list[int] = []

    def counting(table: ImageTable, size: tuple[int, int]) -> Crops:
        calls.append(len(table))
        return load_crops(table, size)

    monkeypatch.setattr(extraction, "load_crops", counting)
    return calls


def same(left: Features, right: Features) -> bool:
    return (
        np.array_equal(left.embeddings, right.embeddings)
        and left.table.paths.tolist() == right.table.paths.tolist()
        and left.table.person_ids.tolist() == right.table.person_ids.tolist()
        and left.encoder == right.encoder
    )


def test_vectors_are_those_of_the_encoder(table: ImageTable, devices: Devices) -> None:
    encoder = tiny.encoder().train()
    found = extract(encoder, table, devices=devices)
    assert found.table.person_ids.tolist() == [0, 1, 3]
    assert encoder.training
    pixels = load_crops(table, tiny.ENCODER.size).pixels(slice(None))
    with torch.no_grad():
        expected = encoder.eval().embed(pixels.permute(0, 3, 1, 2) / 255)
    np.testing.assert_allclose(found.embeddings, expected.numpy(), atol=1e-6)
    assert found.encoder == encoder.digest()


def test_the_encoder_is_moved_to_where_the_images_are(
    table: ImageTable, devices: Devices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the default devices work on a machine with a GPU, whose owner has not moved the encoder."""
    placed: list[object] = []
    monkeypatch.setattr(devices, "to_device", placed.append)
    encoder = tiny.encoder()
    extract(encoder, table, devices=devices)
    assert placed == [encoder]


def test_an_encoder_goes_on_training_after_an_error(
    table: ImageTable, devices: Devices, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    encoder = tiny.encoder().train()
    monkeypatch.setattr(encoder, "embed", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        extract(encoder, table, devices=devices)
    assert encoder.training


def test_no_image_gives_no_vector(devices: Devices, tmp_path: Path) -> None:
    found = extract(tiny.encoder(), ImageTable(np.array([], np.str_)), devices=devices, cache=tmp_path)
    assert found.embeddings.shape == (0, tiny.encoder().dim)


def test_a_second_call_reads_the_kept_vectors(
    table: ImageTable, devices: Devices, decoded: list[int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encoder, cache = tiny.encoder(), tmp_path / "cache"
    first = extract(encoder, table, devices=devices, cache=cache)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        again = extract(encoder, table, devices=devices, cache=cache)
    assert "1 of 4 images could not be read" in caplog.text
    assert decoded == [4]
    assert same(first, again)
    assert len(first) == 3
    assert len(list(cache.iterdir())) == 1


def test_another_encoder_flip_or_set_of_images_is_another_file(
    table: ImageTable, devices: Devices, decoded: list[int], tmp_path: Path
) -> None:
    cache, other = tmp_path / "cache", tiny.encoder()
    with torch.no_grad():
        other.backbone.network[0].weight[0, 0, 0, 0] += 1
    for encoder, images, flip in (
        (tiny.encoder(), table, False),
        (other, table, False),
        (tiny.encoder(), table, True),
        (tiny.encoder(), table[:2], False),
    ):
        kept = extract(encoder, images, devices=devices, flip=flip, cache=cache)
        assert same(kept, extract(encoder, images, devices=devices, flip=flip))
    assert len(list(cache.iterdir())) == 4
    assert len(decoded) == 8


def test_a_changed_image_is_embedded_again(
    table: ImageTable, devices: Devices, decoded: list[int], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    before = extract(tiny.encoder(), table, devices=devices, cache=cache)
    path = Path(table.paths[1])
    status = path.stat()
    Image.new("RGB", (16, 32), (200, 0, 0)).save(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**6))
    after = extract(tiny.encoder(), table, devices=devices, cache=cache)
    assert decoded == [4, 4]
    assert np.array_equal(before.embeddings[0], after.embeddings[0])
    assert not np.array_equal(before.embeddings[1], after.embeddings[1])


@pytest.mark.parametrize("damage", [b"", b"not vectors", None])
def test_a_damaged_file_of_kept_vectors_is_ignored(
    table: ImageTable, devices: Devices, decoded: list[int], tmp_path: Path, damage: bytes | None
) -> None:
    cache = tmp_path / "cache"
    first = extract(tiny.encoder(), table, devices=devices, cache=cache)
    (path,) = cache.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage is None else damage)
    assert same(first, extract(tiny.encoder(), table, devices=devices, cache=cache))
    assert same(first, extract(tiny.encoder(), table, devices=devices, cache=cache))
    assert decoded == [4, 4], "damaged once, then kept anew"


def test_an_image_that_is_listed_twice_keeps_both_its_rows(table: ImageTable, devices: Devices, tmp_path: Path) -> None:
    twice = ImageTable(table.paths[[0, 1, 0]], np.array([5, 6, 7]), np.array([0, 0, 1]))
    first, again = (extract(tiny.encoder(), twice, devices=devices, cache=tmp_path / "cache") for _ in range(2))
    assert first.table.person_ids.tolist() == [5, 6, 7]
    assert same(first, again)


def test_crops_of_another_size_are_another_file(table: ImageTable, devices: Devices, tmp_path: Path) -> None:
    height, width = tiny.ENCODER.size
    small = load_crops(table[:2], (height // 2, width // 2))
    extract(tiny.encoder(), small, devices=devices, cache=tmp_path / "cache")
    found = extract(tiny.encoder(), table[:2], devices=devices, cache=tmp_path / "cache")
    assert same(found, extract(tiny.encoder(), table[:2], devices=devices))


def test_names_that_are_no_unicode_are_kept_too(draw, devices: Devices, tmp_path: Path) -> None:
    name = os.fsdecode(b"door-\xe9.png")
    folder = draw(tmp_path / "images", name)
    odd = ImageTable(np.array([str(folder / name)]))
    first, again = (extract(tiny.encoder(), odd, devices=devices, cache=tmp_path / "cache") for _ in range(2))
    assert same(first, again)


def test_vectors_that_cannot_be_kept_are_not_lost(
    table: ImageTable, devices: Devices, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    with caplog.at_level(logging.WARNING):
        found = extract(tiny.encoder(), table, devices=devices, cache=tmp_path / "taken")
    assert len(found) == 3
    assert "cannot cache the embeddings" in caplog.text
    assert "damaged" not in caplog.text, "there were none"


def test_the_first_process_alone_looks_for_kept_vectors(
    table: ImageTable, devices: Devices, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Processes that found different things would wait for each other for ever."""
    sent = (np.ones((4, 2), np.float32), np.arange(4))
    monkeypatch.setattr(Devices, "rank", 1)
    monkeypatch.setattr(devices, "broadcast", lambda value: sent if value is None else pytest.fail("looked itself"))
    found = extract(tiny.encoder(), table, devices=devices, cache=tmp_path / "absent")
    assert found.embeddings.tolist() == sent[0].tolist()


def test_tracklets_are_embedded_by_the_mean_of_their_even_frames(draw, tmp_path: Path, devices: Devices) -> None:
    sizes = (40, 1, 3)
    names = [f"{tracklet}/{frame:03}.png" for tracklet, size in enumerate(sizes) for frame in range(size)]
    root = draw(tmp_path, *names)
    tracklets = np.repeat(np.arange(3), sizes)
    frames = np.concatenate([np.arange(size) for size in sizes])
    images = ImageTable(np.array([str(root / name) for name in names]), tracklets, tracklets % 2, tracklets, frames)
    encoder = tiny.encoder().eval()
    found = extract_tracklets(encoder, images, devices=devices)
    every = extract(encoder, images, devices=devices)
    expected = pool_tracklets(every[sample_tracklets(images, 15).ravel()])
    np.testing.assert_allclose(found.embeddings, expected.embeddings, atol=1e-6)
    assert found.table.paths.tolist() == expected.table.paths.tolist()
    # Of three frames the last stands thirteen times among fifteen.
    last = every.embeddings[41:44] * np.array([[1], [1], [13]])
    np.testing.assert_allclose(found.embeddings[2], last.sum(0) / np.linalg.norm(last.sum(0)), atol=1e-6)
    crops = load_crops(images, encoder.settings.size)
    assert same(extract_tracklets(encoder, crops, devices=devices), found)


def test_only_the_chosen_frames_are_decoded(draw, tmp_path: Path, decoded: list[int], devices: Devices) -> None:
    names = [f"{frame:03}.png" for frame in range(33)]
    root = draw(tmp_path, *names)
    (root / "004.png").write_bytes(b"broken")
    paths = np.array([str(root / name) for name in names])
    images = ImageTable(paths, tracklet_ids=np.zeros(33, np.int64), frame_ids=np.arange(33))
    assert len(extract_tracklets(tiny.encoder(), images, devices=devices)) == 1
    assert decoded == [15]


@pytest.fixture
def walks(draw, tmp_path: Path) -> ImageTable:
    """Tracklets of 20, 3, 1 and 9 frames, and two images of unknown tracklet."""
    ids = np.repeat([4, 2, 9, 5, -1], [20, 3, 1, 9, 2])
    names = [f"{row:03}.png" for row in range(len(ids))]
    folder = draw(tmp_path / "walks", *names)
    frames = np.concatenate([np.arange(count) for count in (20, 3, 1, 9, 2)])
    return ImageTable(np.array([str(folder / name) for name in names]), ids, np.zeros_like(ids), ids, frames)


@pytest.mark.parametrize(
    "asked",
    [
        TrackletSettings(num_frames=6, pooling="tpp"),
        TrackletSettings(num_frames=6, sampling="random", pooling="tpp", seed=4),
        TrackletSettings(num_frames=2, sampling="restricted", pooling="max", seed=4),
    ],
    ids=["even-tpp", "random-tpp", "restricted-max"],
)
def test_tracklets_are_chosen_embedded_and_pooled_as_asked(
    walks: ImageTable, devices: Devices, asked: TrackletSettings
) -> None:
    encoder = tiny.encoder().eval()
    found = extract_tracklets(encoder, walks, tracklet=asked, devices=devices)
    every = extract(encoder, walks, devices=devices).embeddings.astype(float)
    random = np.random.default_rng(asked.seed)
    chosen = sample_tracklets(walks, asked.num_frames, asked.sampling, random=random)
    assert len(found) == len(chosen) == 6
    for vector, rows in zip(found.embeddings, chosen, strict=True):
        frames = every[rows]
        if asked.pooling == "tpp":
            expected = np.concatenate([frames[0:2].mean(0), frames[2:4].mean(0), frames[4:6].mean(0)])
        else:
            expected = frames.max(0) / np.linalg.norm(frames.max(0))
        np.testing.assert_allclose(vector, expected, atol=1e-6)
    assert found.table.tracklet_ids.tolist() == [4, 2, 9, 5, -1, -1]
    decoded = load_crops(walks[np.unique(chosen)], encoder.settings.size)
    assert same(extract_tracklets(encoder, decoded, tracklet=asked, devices=devices), found)


def test_blocks_of_tracklets_do_not_matter(
    walks: ImageTable, devices: Devices, decoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = TrackletSettings(num_frames=4, sampling="random", pooling="tpp")
    whole = extract_tracklets(tiny.encoder(), walks, tracklet=asked, devices=devices)
    monkeypatch.setattr(extraction, "TRACKLETS", 2)
    parts = extract_tracklets(tiny.encoder(), walks, tracklet=asked, devices=devices)
    np.testing.assert_allclose(parts.embeddings, whole.embeddings, atol=1e-6)
    assert parts.table.paths.tolist() == whole.table.paths.tolist()
    assert decoded == [14, 7, 5, 2], "four frames, three, one, four and two single ones; then two tracklets at a time"


def test_a_frame_that_cannot_be_read_is_left_out_and_a_tracklet_without_others(
    walks: ImageTable, devices: Devices
) -> None:
    for row in (0, 20, 23):  # of 20 frames the first, of three the first, and the one alone
        Path(walks.paths[row]).write_bytes(b"broken")
    asked = TrackletSettings(num_frames=3, pooling="tpp")
    found = extract_tracklets(tiny.encoder(), walks, tracklet=asked, devices=devices)
    assert found.table.tracklet_ids.tolist() == [4, 2, 5, -1, -1]
    kept = extract(tiny.encoder(), walks, devices=devices)
    (rows,) = (rows for rows in group_tracklets(kept.table) if kept.table.tracklet_ids[rows[0]] == 2)
    first, second = kept.embeddings[rows]
    np.testing.assert_allclose(found.embeddings[1], np.concatenate([first, second, second]), atol=1e-6)


def test_one_tracklet_alone_can_be_embedded(walks: ImageTable, devices: Devices) -> None:
    one = walks[walks.tracklet_ids == 9]
    found = extract_tracklets(tiny.encoder(), one, tracklet=TrackletSettings(pooling="tpp"), devices=devices)
    np.testing.assert_allclose(
        found.embeddings[0], np.tile(extract(tiny.encoder(), one, devices=devices).embeddings[0], 3), atol=1e-6
    )
