"""The model of the installation: what its file holds, and the two ways to use it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_encoders import pictures

from resight import evaluate, extract
from resight.data.catalog import load_dataset
from resight.errors import WeightsError
from resight.models.batchnorm import batch_norms
from resight.models.encoder import Encoder, EncoderSettings, load_encoder
from resight.models.packaged import synthetic_file
from resight.synthetic import SyntheticSettings, synthesize


def settings(**changes) -> EncoderSettings:
    return EncoderSettings(**{"weights": "synthetic", "height": 128, "width": 64, **changes})


def test_the_file_is_small_and_sound() -> None:
    """Half precision in the convolutions only: statistics of batch norm span more than half precision holds."""
    assert synthetic_file().stat().st_size < 8e6
    for name, value in load_file(synthetic_file()).items():
        assert torch.isfinite(value).all(), name
        if value.is_floating_point():
            assert value.dtype == (torch.float16 if value.ndim > 1 else torch.float32), name
    model = load_encoder("synthetic")
    assert "synthetic people" in model.provenance.source
    assert model.provenance.license == "Apache-2.0"
    assert {value.dtype for value in model.state_dict().values()} <= {torch.float32, torch.int64}


def test_it_recognizes_drawn_people_whom_it_has_not_seen_better_than_imagenet(tmp_path: Path) -> None:
    """Measured at this seed: see docs/synthetic-model.md for real people."""
    drawing = SyntheticSettings(people_train=2, people_test=16, cameras=3, crops=2, seed=20261)
    people = load_dataset("market1501", synthesize(tmp_path / "people", settings=drawing).root)
    scores = {}
    for weights in ("imagenet", "synthetic"):
        encoder = Encoder(settings(weights=weights, last_stride=2)).eval()
        queries, gallery = extract(encoder, people.query), extract(encoder, people.gallery)
        scores[weights] = evaluate(queries, gallery, exclude=people.exclude).scores["mAP"]
    assert scores["synthetic"] > 1.5 * scores["imagenet"]


def test_as_weights_it_is_the_model_itself() -> None:
    """The backbone and the neck, so that the first vectors are as good as the model's."""
    model, started = load_encoder("synthetic"), Encoder(settings(last_stride=2)).eval()
    assert started.provenance.digest
    with torch.no_grad():
        images = pictures(2, size=(128, 64))
        torch.testing.assert_close(started.embed(images), model.embed(images))


def test_each_branch_starts_with_the_neck_of_the_model() -> None:
    (neck,) = batch_norms(load_encoder("synthetic").neck)
    (branches,) = batch_norms(Encoder(settings(head="a+m1")).neck)
    torch.testing.assert_close(branches.weight, neck.weight.repeat(2))
    torch.testing.assert_close(branches.running_var, neck.running_var.repeat(2))


def test_another_backbone_cannot_take_its_weights() -> None:
    with pytest.raises(WeightsError, match=r"those of tf_efficientnet_lite0: .*--encoder.weights imagenet"):
        Encoder(settings(backbone="resnet50"))


def test_a_file_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "synthetic").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match="no encoder at 'synthetic"):
        load_encoder("synthetic")
