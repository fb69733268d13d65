"""Asymmetric branches: their text, the thesis' sizes, what each branch is, and which backbones they fit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from resight.errors import ConfigError
from resight.models.backbones import Backbone, build_backbone
from resight.models.classifier import PartClassifier
from resight.models.encoder import Encoder, EncoderSettings
from resight.models.fused import fuse
from resight.models.heads.asymmetric import AsymmetricBranches
from resight.models.heads.grammar import ABMT, parse_branches

LITE0 = EncoderSettings(weights="none", height=64, width=32, head=ABMT)
SMALL = dataclasses.replace(LITE0, backbone="test_efficientnet", head="a+m")
"""A network whose last stage has no block that could be added again."""


def meta(backbone: str, head: str) -> Encoder:
    """A network as shapes only: nothing is drawn or computed."""
    with torch.device("meta"):
        return Encoder(EncoderSettings(backbone, "none", head=head))


def encoder(settings: EncoderSettings = SMALL, **changes) -> Encoder:
    torch.manual_seed(0)
    return Encoder(dataclasses.replace(settings, **changes))


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def operations(network: nn.Module) -> int:
    """Multiplications of a 256 x 128 image."""
    with FlopCounterMode(display=False) as counter:
        network.eval()(torch.empty(1, 3, 256, 128, device="meta"))
    return counter.get_total_flops() // 2


def pictures(number: int, seed: int = 0) -> Tensor:
    return torch.rand((number, 3, 64, 32), generator=torch.Generator().manual_seed(seed))


def branched(network: Encoder) -> AsymmetricBranches:
    assert isinstance(network.backbone, AsymmetricBranches)
    return network.backbone


def test_branches_are_pooled_as_they_say_and_not_as_the_encoder_says() -> None:
    with pytest.raises(ConfigError, match=r"leave encoder\.pooling at average"):
        EncoderSettings(head=ABMT, pooling="max")


# -- sizes ---------------------------------------------------------------------------------------------------------


def test_the_thesis_network_has_its_parameters_and_operations() -> None:
    """Facts §4.1: 42.94 M without classifiers, 0.913 of two ResNet-50s; 6.54 G operations, 0.806 of theirs."""
    plain, network = meta("resnet50", "global"), meta("resnet50", ABMT)
    single, both = count(plain.backbone), count(network.backbone)
    assert single == 23_508_032
    assert both == single + 14_964_736 + 4_462_592 == 42_935_360
    assert both / (2 * single) == pytest.approx(0.913, abs=5e-4)
    assert operations(network) == pytest.approx(6.54e9, rel=2e-3)
    assert operations(network) / (2 * operations(plain)) == pytest.approx(0.806, abs=1e-3)
    assert (network.dim, network.width, network.num_global) == (4096, 2048, 2)
    images = torch.empty(2, 3, 256, 128, device="meta")
    assert [tuple(maps.shape) for maps in network.backbone(images)] == [(2, 2048, 16, 8)] * 2
    assert [tuple(v.shape) for v in network.split(network(images))] == [(2, 2048)] * 2


@pytest.mark.parametrize(
    ("head", "extra"), [("a+a1", 1), ("a+m", 0), ("a+m1+a2", 3)], ids=["same-pooling", "same-depth", "three"]
)
def test_the_sizes_of_table_4_4(head: str, extra: int) -> None:
    network = meta("resnet50", head)
    copies = head.count("+")
    assert count(network.backbone) == 23_508_032 + copies * 14_964_736 + extra * 4_462_592
    assert network.dim == (copies + 1) * 2048


def test_the_added_block_of_ibn_resnet50_is_a_plain_bottleneck() -> None:
    network = meta("resnet50_ibn_a", ABMT)
    assert count(network.backbone) == 42_935_360, "instance norm has the parameters of the batch norm it replaces"
    normal, deep = branched(network).branches
    assert (len(normal), len(deep)) == (3, 4)
    assert not [m for m in deep.modules() if isinstance(m, nn.InstanceNorm2d)]
    assert [m for m in branched(network).shared.modules() if isinstance(m, nn.InstanceNorm2d)]


def test_the_last_stage_of_efficientnet_lite0() -> None:
    """blocks.5 is the last that halves: it, blocks.6 and the last convolution are copied; blocks.5.3 comes twice."""
    plain, network = meta("tf_efficientnet_lite0", "global"), meta("tf_efficientnet_lite0", ABMT)
    whole = plain.backbone.network
    stage = [whole.blocks[5], whole.blocks[6], whole.conv_head, whole.bn2]
    normal, deep = branched(network).branches
    assert count(normal) == count(*stage)
    assert count(deep) == count(*stage, whole.blocks[5][3])
    assert count(branched(network).shared) + count(*stage) == count(whole)
    # 0..3: blocks.5, 4: the added one, 5: blocks.6, then the convolution and its norm.
    assert count(deep[4]) == count(deep[3]) == count(whole.blocks[5][3])
    assert count(deep[5]) == count(whole.blocks[6])
    images = torch.empty(1, 3, 256, 128, device="meta")
    assert [tuple(maps.shape) for maps in network.backbone(images)] == [(1, 1280, 16, 8)] * 2, "stride 16"
    assert network.dim == 2560


def test_a_stem_without_relu() -> None:
    """Facts §2.5: the released ResNet-50 has no ReLU after its first batch norm; everything else is the same."""
    torch.manual_seed(0)
    plain = Encoder(EncoderSettings("resnet50", "none", 64, 32)).eval()
    linear = Encoder(EncoderSettings("resnet50_linear_stem", "none", 64, 32)).eval()
    linear.load_state_dict(plain.state_dict())
    network = plain.backbone.network
    with torch.no_grad():
        x = network.maxpool(network.bn1(network.conv1((pictures(2) - plain.mean) / plain.std)))
        for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
            x = stage(x)
        torch.testing.assert_close(linear.pool(pictures(2)), x.mean((2, 3)), rtol=1e-3, atol=1e-3)
        assert not torch.allclose(linear.pool(pictures(2)), plain.pool(pictures(2)), rtol=0.1)


# -- what a branch is ----------------------------------------------------------------------------------------------


def test_before_training_the_branches_are_the_trunk_pooled_in_two_ways() -> None:
    plain, network = encoder(head="global").eval(), encoder().eval()
    with torch.no_grad():
        maps = plain.backbone((pictures(2) - plain.mean) / plain.std)
        average, largest = network.split(network.pool(pictures(2)))
    torch.testing.assert_close(average, F.adaptive_avg_pool2d(maps, 1).flatten(1))
    torch.testing.assert_close(largest, F.adaptive_max_pool2d(maps, 1).flatten(1))
    first, second = (dict(branch.named_parameters()) for branch in branched(network).branches)
    assert all(first[name] is not second[name] for name in first)


def test_the_added_block_has_weights_of_its_own() -> None:
    network = encoder(LITE0)
    deep = branched(network).branches[1]
    before, added = (dict(deep[i].named_parameters()) for i in (3, 4))
    assert not torch.equal(before["conv_pw.weight"], added["conv_pw.weight"])
    assert float(added["bn1.weight"].detach().std()) == pytest.approx(0.02, rel=0.3)
    assert torch.equal(added["bn1.bias"], torch.zeros_like(added["bn1.bias"]))
    backbone, _ = build_backbone(LITE0.backbone, weights="none")
    for name, buffer in backbone.named_buffers():
        if name.endswith("running_mean"):
            buffer.fill_(3)
    trained = branched(Encoder(LITE0, backbone)).branches[1]
    assert (float(trained[3].bn1.running_mean[0]), float(trained[4].bn1.running_mean[0])) == (3, 0)
    other = branched(encoder(LITE0, head="a+m2")).branches[1]
    assert not torch.equal(other[4].conv_pw.weight, other[5].conv_pw.weight), "two added blocks are drawn apart"


def test_an_added_block_takes_the_statistics_of_images_and_nothing_else_does() -> None:
    network = encoder(LITE0).train()
    block = branched(network).added[0]
    assert block is branched(network).branches[1][4]
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network.measure_new_blocks(pictures(16))
    own = {id(buffer) for buffer in block.buffers()}
    for name, buffer in network.named_buffers():
        assert torch.equal(buffer, before[name]) == (id(buffer) not in own), name
    norms = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(module.training for module in network.modules())
    assert {norm.momentum for norm in norms} == {branched(network).branches[1][3].bn1.momentum}

    seen: dict[nn.Module, Tensor] = {}
    for norm in norms:
        norm.register_forward_pre_hook(lambda norm, maps: seen.update({norm: maps[0].detach()}))
    with torch.no_grad():
        network.eval().pool(pictures(16))
    for norm in norms:
        torch.testing.assert_close(norm.running_mean, seen[norm].mean((0, 2, 3)), rtol=0.02, atol=0.02)
        torch.testing.assert_close(norm.running_var, seen[norm].var((0, 2, 3)), rtol=0.02, atol=0.02)


def test_depthwise_weights_of_an_added_block_keep_the_scale_of_their_maps() -> None:
    block = branched(encoder(LITE0)).added[0]
    assert block.conv_dw.groups > 1
    assert float(block.conv_dw.weight.detach().std()) == pytest.approx((2 / 25) ** 0.5, rel=0.05)
    outputs = block.conv_pw.out_channels
    assert float(block.conv_pw.weight.detach().std()) == pytest.approx((2 / outputs) ** 0.5, rel=0.05)


def test_each_branch_has_the_neck_of_its_own_numbers() -> None:
    network = encoder().train()
    assert not network.neck.bias.requires_grad
    assert torch.equal(network.neck.bias, torch.zeros(network.dim))
    pooled, features = network.forward_with_pooled(pictures(8))
    for before, after in zip(network.split(pooled), network.split(features), strict=True):
        expected = (before - before.mean(0)) / (before.var(0, unbiased=False) + network.neck.eps).sqrt()
        torch.testing.assert_close(after, expected, rtol=1e-3, atol=1e-3)


def test_the_signature_is_normalized_once_over_both_branches() -> None:
    network = encoder().eval()
    with torch.no_grad():
        features, vectors = network(pictures(3)), network.embed(pictures(3))
    torch.testing.assert_close(vectors, features / features.norm(dim=1, keepdim=True))
    halves = torch.stack([half.norm(dim=1) for half in network.split(vectors)])
    torch.testing.assert_close(halves.square().sum(0), torch.ones(3))
    assert not torch.allclose(halves[0], halves[1])


def test_a_branch_learns_nothing_from_the_loss_of_the_other() -> None:
    network = encoder(LITE0).train()
    network.split(network(pictures(4)))[1].sum().backward()
    first, second = branched(network).branches
    assert all(p.grad is None or not p.grad.any() for p in first.parameters())
    assert all(p.grad is not None for p in second.parameters())
    assert all(p.grad is not None for p in branched(network).shared.parameters())


# -- which backbones they fit --------------------------------------------------------------------------------------


def test_the_last_stage_with_stride_2_is_the_same_stage() -> None:
    fine, coarse = meta("resnet50", ABMT), None
    with torch.device("meta"):
        coarse = Encoder(EncoderSettings("resnet50", "none", last_stride=2, head=ABMT))
    assert count(branched(fine).shared) == count(branched(coarse).shared)
    assert coarse.backbone(torch.empty(1, 3, 256, 128, device="meta"))[0].shape == (1, 2048, 8, 4)


def test_a_stage_without_a_block_to_add_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"none to add: use branches without a number \(a\+m\)") as error:
        encoder(head=ABMT)
    assert "\n" not in str(error.value)


def test_a_network_that_is_no_chain_of_blocks_is_refused() -> None:
    with pytest.raises(ConfigError, match="use head global"):
        encoder(backbone="vit_tiny_patch16_224", last_stride=2)


def test_a_chain_of_plain_layers_repeats_its_last_convolution() -> None:
    layers = (nn.Conv2d(3, 4, 3, stride=16, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
    network = AsymmetricBranches(Backbone(nn.Sequential(*layers), 4), parse_branches("a+m2"))
    assert len(network.shared) == 0, "all of it is the last stage"
    assert [type(part).__name__ for part in network.branches[1]] == ["Conv2d", "Conv2d", "Conv2d", "Conv2d", "ReLU"]


# -- as an encoder -------------------------------------------------------------------------------------------------


def test_it_is_saved_and_loaded_with_its_branches(tmp_path: Path) -> None:
    network = encoder(LITE0).train()
    network(pictures(4))  # moves running statistics
    network.eval().save(tmp_path / "e.safetensors")
    loaded = Encoder.load(tmp_path / "e.safetensors")
    assert loaded.settings == network.settings
    assert loaded.digest() == network.digest()
    assert torch.equal(loaded.embed(pictures(2), flip=True), network.embed(pictures(2), flip=True))


def test_statistics_of_the_data_set_reach_both_necks() -> None:
    network = encoder(neck_statistics="dataset").train()
    pooled = torch.rand((50, network.pooled_dim), generator=torch.Generator().manual_seed(0))
    network.set_neck_statistics(pooled)
    torch.testing.assert_close(network.neck(pooled).mean(0), torch.zeros(network.dim), rtol=0, atol=1e-4)


def test_a_copy_without_batch_norms_gives_the_same_vectors() -> None:
    network = encoder(LITE0).train()
    network(pictures(8))
    copy = fuse(network.eval())
    assert copy is not network
    with torch.no_grad():
        torch.testing.assert_close(copy.embed(pictures(2)), network.embed(pictures(2)), rtol=1e-3, atol=1e-4)


def test_each_branch_has_its_own_classifier() -> None:
    network = PartClassifier(encoder().eval(), 7).eval()
    with torch.no_grad():
        features, logits = network(pictures(3))
    assert logits.shape == (2, 3, 7)
    for vector, classifier, row in zip(network.encoder.split(features), network.classifiers, logits, strict=True):
        torch.testing.assert_close(row, vector @ classifier.weight.T + classifier.bias)
