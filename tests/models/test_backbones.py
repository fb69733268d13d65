"""Backbones: their parameters, their strides, and names and sizes that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_encoders import pictures, small
from torch import nn

from messages import one_line
from resight.errors import ConfigError
from resight.models.backbones import Backbone, build_backbone
from resight.models.encoder import EncoderSettings


def test_last_stride_1_doubles_the_map() -> None:
    for name in ("resnet50", "test_efficientnet", "tf_efficientnet_lite0"):
        maps = []
        for stride in (2, 1):
            with torch.device("meta"):  # shapes only: nothing is drawn or computed
                backbone, provenance = build_backbone(name, weights="none", last_stride=stride, size=(64, 32))
                maps.append(backbone(torch.empty(1, 3, 64, 32)))
            assert provenance.source == "random"
        assert maps[0].shape[:2] == (1, backbone.channels)
        assert maps[1].shape == (1, backbone.channels, 2 * maps[0].shape[2], 2 * maps[0].shape[3])


def test_a_last_stride_other_than_1_or_2_is_refused() -> None:
    with pytest.raises(ConfigError, match="1 or 2, found 3"):
        build_backbone("resnet18", weights="none", last_stride=3)


def test_resnet50_has_the_parameters_of_the_thesis_trunk_and_ibn_a_its_norms() -> None:
    """Facts §4.1: trunk R50 23.508 M; §2.5: IBN-a splits the first norm of layers 1 to 3."""
    with torch.device("meta"):
        plain, _ = build_backbone("resnet50", weights="none")
        ibn, _ = build_backbone("resnet50_ibn_a", weights="none")
    assert sum(p.numel() for p in plain.parameters()) == 23_508_032
    assert not any(isinstance(m, nn.InstanceNorm2d) for m in plain.modules())
    norms = {name for name, m in ibn.network.named_modules() if isinstance(m, nn.InstanceNorm2d)}
    blocks = {1: 3, 2: 4, 3: 6}
    assert norms == {f"layer{i}.{j}.bn1.instance" for i, count in blocks.items() for j in range(count)}
    assert ibn.network.layer1[0].bn1.instance.num_features == 32
    assert ibn.network.layer1[0].bn1.batch.num_features == 32
    assert sum(p.numel() for p in ibn.parameters()) == 23_508_032
    assert ibn.channels == plain.channels == 2048


def test_published_ibn_a_weights_fit_by_their_names(tmp_path: Path) -> None:
    """The files of IBN-Net's authors call the halves of `bn1` IN and BN."""
    own, _ = build_backbone("resnet50_ibn_a", weights="none")
    state = own.network.state_dict()
    published = {name.replace(".instance.", ".IN.").replace(".batch.", ".BN."): v for name, v in state.items()}
    assert "layer1.0.bn1.IN.weight" in published
    torch.save(published, tmp_path / "ibn.pth")
    read, _ = build_backbone("resnet50_ibn_a", weights=str(tmp_path / "ibn.pth"))
    for name, value in read.network.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_a_transformer_gives_one_vector_an_image() -> None:
    encoder = small(backbone="vit_tiny_patch16_224").eval()
    with torch.no_grad():
        maps = encoder.backbone(pictures(2))
        assert maps.shape == (2, 192, 4 * 2, 1)  # 64 x 32 pixels in patches of 16; the class token left out
        assert encoder.embed(pictures(2)).shape == (2, encoder.dim) == (2, 192)


def test_a_network_with_channels_last_gives_its_channels_first() -> None:
    backbone = Backbone(nn.Identity(), 7, channels_last=True)
    assert backbone(torch.zeros(2, 4, 3, 7)).shape == (2, 7, 4, 3)


def test_an_unknown_backbone_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'resnet50'") as error:
        build_backbone("resnt50", weights="none")
    one_line(error)


@pytest.mark.parametrize("size", [(31, 128), (256, 16)])
def test_images_too_small_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="32 or more"):
        EncoderSettings(height=size[0], width=size[1])
