"""The embedding head and the part code, on any trunk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_encoders import SMALL, pictures, small
from torch import Tensor, nn

import reference
from resight.models.encoder import Encoder, EncoderSettings
from resight.models.identity_encoder import IdentityEncoder, part_code


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_thesis_identity_encoder_has_its_parameters() -> None:
    """Facts §5.1: 24.56 M; f has 512 numbers, f_id 2,048 x 4 x 1."""
    with torch.device("meta"):
        encoder = Encoder(EncoderSettings("resnet50", "none", head="embedding", head_width=512))
        identity = IdentityEncoder(encoder)
        features, code = identity(torch.zeros(2, 3, 256, 128))
    assert count(encoder.backbone) == 23_508_032
    assert count(encoder.neck) == 2048 * 512 + 512 + 2 * 512
    assert count(identity) == 24_558_144
    assert (features.shape, code.shape) == ((2, 512), (2, 8192))
    assert (encoder.dim, encoder.pooled_dim, identity.code_width) == (512, 2048, 2048)


def test_without_the_short_layer_features_are_as_long_as_the_map_has_channels() -> None:
    """Started from MMCL or ACT: f = BN(GAP)."""
    with torch.device("meta"):
        identity = IdentityEncoder(Encoder(EncoderSettings("resnet50", "none", head="global")))
        features, code = identity(torch.zeros(2, 3, 256, 128))
    assert (features.shape, code.shape) == ((2, 2048), (2, 8192))


def test_other_trunks_set_the_width_of_the_code() -> None:
    with torch.device("meta"):
        settings = EncoderSettings("tf_efficientnet_lite0", "none", 128, 64, head="embedding", head_width=512)
        identity = IdentityEncoder(Encoder(settings))
        assert (identity.code_width, identity.encoder.dim) == (1280, 512)
        assert identity(torch.zeros(2, 3, 128, 64))[1].shape == (2, 4 * 1280)


def test_the_embedding_is_a_linear_map_and_batch_norm_of_the_pooled_map() -> None:
    encoder = small(head="embedding", head_width=6).train()
    pooled, features = encoder.forward_with_pooled(pictures(5))
    linear = encoder.neck.get_submodule("linear")
    assert isinstance(linear, nn.Linear)
    reduced = (pooled @ linear.weight.T + linear.bias).detach().double()
    expected = (reduced - reduced.mean(0)) / (reduced.var(0, correction=0) + 1e-5).sqrt()
    np.testing.assert_allclose(features.detach(), expected, atol=1e-4)
    assert all(parameter.requires_grad for parameter in encoder.neck.parameters()), "its bias learns"
    assert [(part.name, part.kind) for part in encoder.parts] == [("whole", "whole")]


def test_an_embedding_without_batch_norm_is_linear() -> None:
    encoder = small(head="embedding", head_width=6, neck="none").train()
    assert encoder.neck.norm_inputs(torch.zeros(2, encoder.pooled_dim)) == []
    assert encoder(pictures(2)).shape == (2, 6)


def test_its_statistics_can_be_those_of_a_data_set() -> None:
    encoder = small(head="embedding", head_width=6, neck_statistics="dataset")
    pooled = encoder.pool(pictures(9)).detach()
    encoder.set_neck_statistics(pooled)
    features = encoder.train().neck(pooled)
    torch.testing.assert_close(features.mean(0), torch.zeros(6), atol=1e-4, rtol=0)
    torch.testing.assert_close(features.var(0), torch.ones(6), atol=1e-2, rtol=0)


def test_an_embedding_is_saved_and_loaded(tmp_path: Path) -> None:
    encoder = small(head="embedding", head_width=6).eval()
    encoder.save(tmp_path / "e.safetensors")
    loaded = Encoder.load(tmp_path / "e.safetensors")
    torch.testing.assert_close(loaded.embed(pictures(2)), encoder.embed(pictures(2)))


@pytest.mark.parametrize("height", [4, 8, 3, 6])
def test_a_code_is_the_means_of_four_parts_of_each_channel(height: int) -> None:
    maps = torch.randn(2, 5, height, 3, generator=torch.Generator().manual_seed(height))
    np.testing.assert_allclose(part_code([maps]), reference.part_code(maps), atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "maps"),
    [
        ({"head": "global"}, 1),
        ({"head": "embedding", "head_width": 6}, 1),
        ({"head": "a+m"}, 2),
        ({"head": "p1+p2(s2)", "last_stride": 1}, 2),
        ({"head": "p1/2+p2(s2)", "last_stride": 1}, 2),
    ],
)
def test_every_encoder_has_a_code(changes: dict[str, object], maps: int) -> None:
    """Of several branches, it has the channels of all of them, however fine each map is."""
    encoder = small(**changes)
    identity = IdentityEncoder(encoder.eval())
    features, code = identity(pictures(2))
    channels = encoder.maps(pictures(1))[0].shape[1]
    assert identity.code_width == maps * channels
    assert code.shape == (2, 4 * maps * channels)
    torch.testing.assert_close(features, encoder(pictures(2)))
    assert not encoder.training


def test_a_transformer_has_a_code_of_the_parts_of_its_image() -> None:
    """Its patches are a column, row after row of the image."""
    patches = torch.arange(32.0).view(1, 1, 8, 4)
    torch.testing.assert_close(part_code([patches]), part_code([patches.reshape(1, 1, 32, 1)]))


def test_counting_channels_changes_no_statistics() -> None:
    encoder = small().train()
    before = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
    IdentityEncoder(encoder)
    assert encoder.training
    assert all(torch.equal(buffer, before[name]) for name, buffer in encoder.named_buffers())


def test_codes_reach_the_weights_of_the_trunk() -> None:
    identity = IdentityEncoder(small().train())
    code: Tensor = identity(pictures(2))[1]
    code.sum().backward()
    learned = [parameter for parameter in identity.encoder.backbone.parameters() if parameter.requires_grad]
    assert all(parameter.grad is not None for parameter in learned)
    assert identity.encoder.settings.size == (SMALL.height, SMALL.width)
