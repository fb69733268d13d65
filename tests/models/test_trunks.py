"""Trunks to compare with: ResNets of many kinds on a finer last map, SE-ResNet-50 and Attention-56."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import reference
from resight.errors import ConfigError, WeightsError
from resight.models import backbones, residual_attention
from resight.models.backbones import build_backbone
from resight.models.encoder import Encoder, EncoderSettings
from resight.models.fused import fuse
from resight.models.heads.partitions import Branches
from resight.models.residual_attention import AttentionModule, ResidualUnit, SoftMask, attention56

SMALL = EncoderSettings("legacy_seresnet50", "none", 64, 32, pooling="max", head_width=16)
ATTENTION = ("legacy_seresnet50", "seresnet50", "residual_attention56")
RESNETS = (
    "resnet50_ibn_a", "resnet18", "resnet34", "resnet101", "resnet18d", "resnext50_32x4d", "wide_resnet50_2",
    "legacy_seresnet18", "legacy_seresnext50_32x4d", "ecaresnet26t", "skresnet18", "resnetaa50",
)  # fmt: skip
EFFICIENTNETS = ("efficientnet_b0", "efficientnetv2_rw_t", "mobilenetv2_100", "mobilenetv3_small_050")


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def pictures(number: int) -> Tensor:
    return torch.rand((number, 3, 64, 32), generator=torch.Generator().manual_seed(0))


def shaken(module: nn.Module) -> nn.Module:
    """Give each batch norm statistics and weights of its own, so that none is the identity."""
    torch.manual_seed(1)
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            for values, low in ((part.running_mean, -0.2), (part.running_var, 0.6), (part.weight, 0.7)):
                assert values is not None
                nn.init.uniform_(values, low, low + 0.6)
            nn.init.uniform_(part.bias, -0.2, 0.2)
    return module.eval()


# -- the last stride -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*ATTENTION, *RESNETS, *EFFICIENTNETS])
def test_without_its_last_stride_the_map_is_twice_as_fine_and_the_weights_are_the_same(name: str) -> None:
    maps, states = [], []
    for stride in (2, 1):
        with torch.device("meta"):  # shapes only: nothing is drawn or computed
            backbone, _ = build_backbone(name, weights="none", last_stride=stride, size=(64, 32))
            maps.append(backbone.eval()(torch.empty(1, 3, 128, 64)))
        states.append({name: value.shape for name, value in backbone.network.state_dict().items()})
        assert bool(backbone.unstrided) == (stride == 1)
    assert maps[0].shape == (1, backbone.channels, 4, 2)
    assert maps[1].shape == (1, backbone.channels, 8, 4)
    assert states[0] == states[1]


@pytest.mark.parametrize("name", ["resnet18", "resnet18d", "legacy_seresnet18", "skresnet18", "test_efficientnet"])
def test_a_layer_without_its_stride_gives_every_pixel_of_which_it_gave_every_other_one(name: str) -> None:
    torch.manual_seed(0)
    (coarse, _), (fine, _) = (build_backbone(name, weights="none", last_stride=stride) for stride in (2, 1))
    fine.load_state_dict(coarse.state_dict())
    for layer in fine.unstrided:
        before, after = (backbone.network.get_submodule(layer) for backbone in (coarse, fine))
        if isinstance(after, nn.AvgPool2d):
            maps = torch.rand(2, 5, 8, 6)
            assert torch.equal(after(maps), maps), "what averaged pixels gives each as it is"
        else:
            maps = torch.rand(2, after.weight.shape[1] * after.groups, 8, 6)
            torch.testing.assert_close(after(maps)[:, :, ::2, ::2], before(maps), rtol=1e-4, atol=1e-5)
        assert before(maps).shape[2:] == (4, 3)


@pytest.mark.parametrize("name", ["resnetblur50", "resnest14d", "vit_tiny_patch16_224", "convnext_atto", "hrnet_w18"])
def test_other_ways_to_halve_a_map_are_refused_in_one_line(name: str) -> None:
    with torch.device("meta"), pytest.raises(ConfigError, match=f"not for '{name}': set last_stride to 2") as error:
        build_backbone(name, weights="none", last_stride=1)
    assert "\n" not in str(error.value)


# -- squeeze and excitation ----------------------------------------------------------------------------------------


def test_se_resnet50_is_resnet50_and_what_the_paper_adds() -> None:
    """Hu et al., 2018, eq. 5: 2/r times the sum of the squared channels of all blocks, with r = 16; and the biases."""
    stages = ((3, 256), (4, 512), (6, 1024), (3, 2048))
    added = sum(blocks * 2 * channels**2 // 16 for blocks, channels in stages)
    biases = sum(blocks * (channels + channels // 16) for blocks, channels in stages)
    assert added == 2_514_944, "about 2.5 million, the paper says"
    for name in ("legacy_seresnet50", "seresnet50"):
        with torch.device("meta"):
            backbone, _ = build_backbone(name, weights="none")
        assert count(backbone) == 23_508_032 + added + biases


def test_the_se_resnet50_of_the_paper_halves_in_the_first_convolution_and_timms_own_in_the_second() -> None:
    with torch.device("meta"):
        papers, own = (
            build_backbone(name, weights="none", last_stride=2)[0].network
            for name in ("legacy_seresnet50", "seresnet50")
        )
    strides = [[layer.stride[0] for layer in (n.layer4[0].conv1, n.layer4[0].conv2)] for n in (papers, own)]
    assert strides == [[2, 1], [1, 2]]


# -- residual attention --------------------------------------------------------------------------------------------


def test_attention56_has_the_parameters_and_the_cost_of_the_paper() -> None:
    """Wang et al., 2017, table 2: 31.9 million with the classifier of ImageNet, 6.2 billion multiplications."""
    multiplications = 0

    def add(layer: nn.Module, _: object, maps: Tensor) -> None:
        nonlocal multiplications
        multiplications += maps.shape[2] * maps.shape[3] * next(layer.parameters()).numel()

    with torch.device("meta"):
        network = attention56().eval()
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(add)
        assert network(torch.empty(1, 3, 224, 224)).shape == (1, 2048, 7, 7)
    assert count(network) + 1000 * 2048 + 1000 == 31_810_728
    assert multiplications == pytest.approx(6.2e9, rel=0.02)
    # The trunk's convolutions, one after another, and the classifier: 56.
    kinds = {name.split(".")[-1] for name, m in network.named_modules() if isinstance(m, nn.Conv2d) and "mask" in name}
    trunk = [n for n, m in network.named_modules() if isinstance(m, nn.Conv2d) and "mask" not in n]
    assert len([name for name in trunk if "shortcut" not in name]) + 1 == 56
    assert "shortcut" not in kinds


@pytest.mark.parametrize("halvings", [1, 2, 3])
@pytest.mark.parametrize("size", [(16, 8), (13, 7)])
def test_an_attention_module_is_its_equation(halvings: int, size: tuple[int, int]) -> None:
    module = shaken(AttentionModule(8, halvings).double())
    maps = torch.randn((2, 8, *size), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = module.before(maps)
        mask = reference.soft_mask(module.mask, before)
        torch.testing.assert_close(module.mask(before), mask)
        torch.testing.assert_close(module(maps), module.after(module.trunk(before) + mask * module.trunk(before)))
    assert mask.shape == maps.shape
    assert 0 < mask.min() < mask.max() < 1
    assert mask.std((2, 3)).min() > 1e-4, "it tells pixels apart"


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(8, 8, 1), (4, 8, 1), (8, 8, 2), (8, 16, 2)])
def test_a_unit_is_its_equation(inputs: int, outputs: int, stride: int) -> None:
    unit = shaken(ResidualUnit(inputs, outputs, stride=stride).double())
    maps = torch.randn((2, inputs, 7, 5), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(unit(maps), reference.residual_unit(unit, maps, stride))


def test_the_mask_sees_far_beyond_its_convolutions() -> None:
    """More than 20 rows away; the 3 x 3 convolutions of six units, one after another, would reach 6."""
    torch.manual_seed(0)
    mask = shaken(SoftMask(8, 3))
    maps = torch.rand(1, 8, 48, 24).requires_grad_()
    mask(maps)[0, :, 0, 0].sum().backward()
    assert maps.grad is not None
    assert maps.grad[0, :, 21:].abs().max() > 0


def test_gradients_are_those_of_finite_differences() -> None:
    module = shaken(AttentionModule(4, 2).double())
    maps = torch.randn((1, 4, 5, 4), dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    assert torch.autograd.gradcheck(module, (maps,), fast_mode=True)


# -- as encoders ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shared", "copied"),
    [
        ("legacy_seresnet50", 3_248_176, 22_790_848),
        ("seresnet50", 3_248_176, 22_790_848),
        ("residual_attention56", 5_994_688, 23_767_040),
    ],
)
def test_what_arrangements_share_and_copy(name: str, shared: int, copied: int) -> None:
    for head, rows in (("p1", [24]), ("p2(s2c2)", [24, 12, 12]), ("p1/2+p2(s2)", [12, 24, 12, 12])):
        with torch.device("meta"):
            network = Encoder(EncoderSettings(name, "none", 384, 192, pooling="max", head=head))
            assert isinstance(network.backbone, Branches)
            regions = network.head.regions(network.backbone(torch.empty(1, 3, 384, 192)))
        assert count(network.backbone.shared) == shared
        assert {count(branch) for branch in network.backbone.branches} == {copied}
        assert [region.maps.shape[2] for region in regions] == rows


@pytest.fixture(scope="module", params=["legacy_seresnet50", "residual_attention56"])
def networks(request: pytest.FixtureRequest) -> Iterator[tuple[Encoder, Encoder]]:
    """A trunk and an arrangement of it, of the same weights; Attention-56 with a quarter of its channels."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (residual_attention, backbones):
            patch.setattr(module, "CHANNELS", (64, 128, 256, 512))
        found = []
        for head in ("global", "p2(s2c2)"):
            torch.manual_seed(0)
            found.append(Encoder(dataclasses.replace(SMALL, backbone=request.param, head=head)))
            shaken(found[-1].backbone)
            found[-1].eval()
        yield found[0], found[1]


def test_before_training_an_arrangement_is_the_trunk(networks: tuple[Encoder, Encoder]) -> None:
    plain, cut = networks
    images = (pictures(2) - plain.mean) / plain.std
    with torch.no_grad():
        maps = plain.backbone(images)
        torch.testing.assert_close(cut.backbone(images)[0], maps, rtol=1e-4, atol=1e-3)
    assert (maps >= 0).all(), "a ReLU is the last"
    assert maps.any()


def test_every_weight_of_an_arrangement_has_a_finite_gradient(networks: tuple[Encoder, Encoder]) -> None:
    network = copy.deepcopy(networks[1]).train()
    network(pictures(4)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_folding_keeps_the_vectors(networks: tuple[Encoder, Encoder]) -> None:
    """The first norms of Attention-56's 33 units, of its 3 masks' ends, and the last one come before convolutions."""
    for network in networks:
        stays = 33 + 3 + 1 if network.settings.backbone == "residual_attention56" else 0
        changed = fuse(network)
        norms, left = (sum(isinstance(m, nn.BatchNorm2d) for m in each.modules()) for each in (network, changed))
        assert norms > left == stays
        with torch.no_grad():
            torch.testing.assert_close(changed.embed(pictures(2)), network.embed(pictures(2)), atol=2e-5, rtol=0)


def test_an_encoder_and_a_file_of_weights_load_back(networks: tuple[Encoder, Encoder], tmp_path: Path) -> None:
    plain, cut = networks
    cut.save(tmp_path / "encoder.safetensors")
    loaded = Encoder.load(tmp_path / "encoder.safetensors")
    assert loaded.digest() == cut.digest()
    with torch.no_grad():
        assert torch.equal(loaded.embed(pictures(2)), cut.embed(pictures(2)))
    state = plain.backbone.network.state_dict()
    save_file(state, tmp_path / "trunk.safetensors")
    again, provenance = build_backbone(
        plain.settings.backbone, weights=str(tmp_path / "trunk.safetensors"), last_stride=2
    )
    assert provenance.source.endswith("trunk.safetensors")
    assert all(torch.equal(value, state[name]) for name, value in again.network.state_dict().items())


def test_leading_stages_of_attention56_can_be_frozen() -> None:
    with torch.device("meta"):
        network = Encoder(dataclasses.replace(SMALL, backbone="residual_attention56", frozen_stages=2)).backbone.network
    frozen = {name.split(".")[0] for name, p in network.named_parameters() if not p.requires_grad}
    assert frozen == {"conv1", "norm1", "layer1", "layer2"}
    assert all(p.requires_grad for part in (network.layer3, network.layer4, network.norm2) for p in part.parameters())


def test_attention56_has_no_weights_to_download() -> None:
    with pytest.raises(WeightsError, match="'residual_attention56' has no weights to download: use a file") as error:
        build_backbone("residual_attention56")
    assert "--encoder.weights none" in str(error.value)
    assert "\n" not in str(error.value)
