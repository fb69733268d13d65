"""OSNet: the size that its paper gives, the names of published weights, and a block written out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from resight.errors import ConfigError
from resight.models.backbones import build_backbone
from resight.models.encoder import Encoder, EncoderSettings
from resight.models.osnet import OmniScaleBlock, OSNet


def test_it_has_the_size_of_the_paper() -> None:
    """2.2 M parameters and 979 M multiplications at 256 x 128, both with the layer of 512 to 512 behind the pooling."""
    with torch.device("meta"):
        network = OSNet().eval()
        with FlopCounterMode(display=False) as counter:
            assert network(torch.empty(1, 3, 256, 128)).shape == (1, 512, 16, 8)
    behind = 512 * 512
    assert (counter.get_total_flops() / 2 + behind) / 1e6 == pytest.approx(979, abs=0.5)
    assert (sum(p.numel() for p in network.parameters()) + behind) / 1e6 == pytest.approx(2.2, abs=0.05)


@pytest.mark.parametrize(("name", "channels"), [("osnet_x1_0", 512), ("osnet_x0_75", 384), ("osnet_x0_5", 256),
                                                ("osnet_x0_25", 128)])  # fmt: skip
def test_every_width_is_a_backbone_at_both_strides(name: str, channels: int) -> None:
    for stride, rows in ((2, 4), (1, 8)):
        with torch.device("meta"):
            backbone, _ = build_backbone(name, weights="none", last_stride=stride)
            assert backbone(torch.empty(1, 3, 64, 32)).shape == (1, channels, rows, rows // 2)
        assert len(backbone.unstrided) == (stride == 1)


def test_published_weights_load_by_their_names(tmp_path: Path) -> None:
    """Names as in the published files, among them those of layers behind the map, which are left out."""
    source = OSNet(width=0.25)
    state = source.state_dict()
    names = ("conv1.conv.weight", "conv2.0.conv2a.conv1.weight", "conv2.0.conv2d.3.bn.running_mean",
             "conv2.0.gate.fc1.bias", "conv2.0.downsample.conv.weight", "conv2.2.0.bn.weight",
             "conv4.1.conv2b.1.conv2.weight", "conv5.bn.bias")  # fmt: skip
    assert set(names) <= set(state)
    rest = {"fc.0.weight": torch.zeros(512, 128), "classifier.weight": torch.zeros(751, 512)}
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in {**state, **rest}.items()}}, tmp_path / "o.pth"
    )
    backbone, provenance = build_backbone("osnet_x0_25", weights=str(tmp_path / "o.pth"), last_stride=2)
    assert provenance.source.endswith("o.pth")
    images = torch.rand(2, 3, 64, 32)
    assert torch.equal(backbone.eval()(images), source.eval()(images))


def test_a_block_is_the_sum_of_gated_streams() -> None:
    torch.manual_seed(0)
    block = OmniScaleBlock(16, 32).eval()
    maps = torch.rand(2, 16, 6, 4)

    def light(conv, x):  # type: ignore[no-untyped-def]
        return F.relu(conv.bn(F.conv2d(F.conv2d(x, conv.conv1.weight), conv.conv2.weight, padding=1, groups=8)))

    reduced = F.relu(block.conv1.bn(F.conv2d(maps, block.conv1.conv.weight)))
    total = torch.zeros_like(reduced)
    for stream in (block.conv2a, block.conv2b, block.conv2c, block.conv2d):
        x = reduced
        for conv in stream if isinstance(stream, torch.nn.Sequential) else [stream]:
            x = light(conv, x)
        means = x.mean((2, 3))[..., None, None]
        hidden = F.relu(F.conv2d(means, block.gate.fc1.weight, block.gate.fc1.bias))
        total = total + x * torch.sigmoid(F.conv2d(hidden, block.gate.fc2.weight, block.gate.fc2.bias))
    out = block.conv3.bn(F.conv2d(total, block.conv3.conv.weight))
    expected = F.relu(out + block.downsample.bn(F.conv2d(maps, block.downsample.conv.weight)))
    assert torch.allclose(block(maps), expected, atol=1e-6)


def test_it_embeds_and_learns_in_an_encoder() -> None:
    settings = EncoderSettings(backbone="osnet_x0_25", weights="none", height=64, width=32)
    encoder = Encoder(settings)
    encoder(torch.rand(4, 3, 64, 32)).square().mean().backward()
    gradients = [p.grad for p in encoder.backbone.parameters()]
    assert all(g is not None and bool(g.abs().sum() > 0) for g in gradients[:3])
    assert encoder.eval().embed(torch.rand(2, 3, 64, 32)).shape == (2, 128)
    with pytest.raises(ConfigError):
        Encoder(EncoderSettings(backbone="osnet_x0_25", weights="none", height=64, width=32, frozen_stages=2))


def test_asymmetric_branches_cut_it_where_it_halves_the_map_last() -> None:
    for stride in (1, 2):
        how = {"backbone": "osnet_x0_25", "weights": "none", "height": 64, "width": 32, "last_stride": stride}
        encoder = Encoder(EncoderSettings(head="a+m1", **how))
        plain, deeper = encoder.backbone.branches
        assert [type(block).__name__ for block in plain] == [
            "AvgPool2d",
            "OmniScaleBlock",
            "OmniScaleBlock",
            "ConvNorm",
        ]
        assert [type(block).__name__ for block in deeper][1:4] == ["OmniScaleBlock"] * 3
        assert encoder.eval().embed(torch.rand(2, 3, 64, 32)).shape == (2, 256)
