"""The descriptions that nothing has learned, beside loops, and in the place of a model."""

from __future__ import annotations

import colorsys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import reference
from resight.cli.main import main
from resight.data.catalog import load_dataset
from resight.data.transforms import to_float
from resight.errors import ConfigError
from resight.models.encoder import EncoderSettings, load_encoder
from resight.models.encoder_settings import names_encoder
from resight.models.handmade import BINS, PATTERNS, color_histograms, texture_histograms
from resight.models.packaged import HAND_MADE, packaged_file
from resight.retrieval.extraction import extract
from resight.training.starts import load_starts


def noise(count: int, size: tuple[int, int] = (25, 9), seed: int = 0) -> np.ndarray:
    """Images of few colors, so that gray pixels and equal neighbors occur."""
    return np.random.default_rng(seed).choice(np.uint8([0, 60, 61, 200, 255]), (count, *size, 3))


def floats(pixels: np.ndarray) -> Tensor:
    return to_float(torch.from_numpy(pixels))


def test_histograms_are_unit_vectors_that_see_stripes_and_colors() -> None:
    red, blue = np.zeros((128, 64, 3), np.uint8), np.zeros((128, 64, 3), np.uint8)
    red[..., 0], blue[..., 2] = 200, 200
    half = red.copy()
    half[64:] = blue[64:]
    vectors = color_histograms(floats(np.stack([red, blue, half, half[::-1]]))).numpy()
    assert vectors.shape == (4, 6 * 8 * 8 * 4)
    assert vectors.dtype == np.float32
    expected = [[1, 0, 0.5, 0.5], [0, 1, 0.5, 0.5], [0.5, 0.5, 1, 0], [0.5, 0.5, 0, 1]]
    np.testing.assert_allclose(vectors @ vectors.T, expected, atol=1e-5)


def test_colors_are_those_of_the_standard_library() -> None:
    pixels = noise(2)
    found = color_histograms(floats(pixels)).reshape(2, 6, *BINS).numpy()
    edges = np.linspace(0, 25, 7).round().astype(int)
    for image, stripe in product(range(2), range(6)):
        counts = np.zeros(BINS)
        part = pixels[image, edges[stripe] : edges[stripe + 1]].reshape(-1, 3)
        for color in part:
            hsv = colorsys.rgb_to_hsv(*(np.float32(color) / np.float32(255)))
            counts[tuple(min(int(value * bins + 1e-6), bins - 1) for value, bins in zip(hsv, BINS, strict=True))] += 1
        np.testing.assert_allclose(found[image, stripe], np.sqrt(counts / len(part) / 6), atol=1e-6)


def test_texture_is_that_of_the_loops() -> None:
    pixels = noise(2)
    np.testing.assert_allclose(
        texture_histograms(floats(pixels)).numpy(), reference.texture_histograms(pixels), atol=1e-6
    )
    assert len(set(PATTERNS)) == 59
    assert PATTERNS.count(58) == 256 - 58


def test_texture_sees_edges_and_no_light() -> None:
    pixels = noise(1, (48, 24)) // 4
    same, _ = texture_histograms(floats(np.concatenate([pixels, pixels + 90])))
    np.testing.assert_allclose(same, texture_histograms(floats(pixels + 90))[0])
    stripes = np.zeros((48, 24, 3), np.uint8)
    stripes[::2] = 200
    one, other = texture_histograms(floats(np.stack([stripes, np.zeros_like(stripes)])))
    assert float(one @ other) < 0.9


@pytest.mark.parametrize("name", HAND_MADE)
def test_they_stand_where_a_model_stands(name: str, tiny_market: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert names_encoder(Path(name))
    encoder = load_encoder(name)
    assert encoder.dim == 1536 + 6 * 59 * (name == "hsv-lbp")
    assert not list(encoder.parameters())
    data = load_dataset("market1501", tiny_market)
    vectors = extract(encoder, data.query).embeddings
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert main(["evaluate", name, "--data", f"market1501={tiny_market}", "--device.accelerator", "cpu"]) == 0
    assert "mAP" in capsys.readouterr().out


def test_colors_and_texture_have_the_same_weight() -> None:
    vectors = load_encoder("hsv-lbp").embed(floats(noise(3, (128, 64))))
    np.testing.assert_allclose(vectors[:, :1536].square().sum(1), 0.5, atol=1e-6)


def test_nothing_is_trained_from_them_and_nothing_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="hsv-lbp has nothing that can learn"):
        load_starts(["hsv-lbp"], EncoderSettings())
    picture = Path(__file__)  # never opened
    assert main(["explain", "hsv", str(picture)]) == 2
    assert "has no map to explain" in capsys.readouterr().err


@pytest.mark.parametrize("name", HAND_MADE)
def test_their_files_are_what_the_script_writes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts"))
    from make_handmade_models import dump

    assert dump(name) == packaged_file(name).read_bytes()
