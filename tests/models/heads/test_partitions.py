"""Arrangements: their text, their sizes, what each vector is made of, and which backbones they fit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resight.compute.devices import Devices, DeviceSettings
from resight.data.catalog import load_dataset
from resight.data.crops import load_crops
from resight.errors import ConfigError
from resight.models.backbones import Backbone
from resight.models.classifier import PartClassifier
from resight.models.encoder import Encoder, EncoderSettings
from resight.models.heads.grammar import SCR
from resight.models.heads.partitions import Branches, drop_band, stripes
from resight.retrieval.extraction import embed_crops, pool_crops

SMALL = EncoderSettings(backbone="test_efficientnet", weights="none", height=64, width=32, head="p1+p2(s2c2)")
MGN = "p1/2+p2(s2)+p3(s3)"
MIB = 2048 * 256
"""Weights of one reduction of ResNet-50's 2,048 channels."""


def encoder(head: str = SMALL.head, **changes) -> Encoder:
    torch.manual_seed(0)
    return Encoder(dataclasses.replace(SMALL, head=head, **changes))


def resnet(head: str) -> Encoder:
    """The thesis' network, as shapes only: nothing is drawn or computed."""
    with torch.device("meta"):
        return Encoder(EncoderSettings("resnet50", "none", 384, 192, pooling="max", head=head))


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def pictures(number: int, seed: int = 0) -> Tensor:
    return torch.rand((number, 3, 64, 32), generator=torch.Generator().manual_seed(seed))


def branched(network: Encoder) -> Branches:
    assert isinstance(network.backbone, Branches)
    return network.backbone


@pytest.mark.parametrize("changes", [{"head_width": 0}, {"dropout": 1.0}, {"dropout": -0.1}])
def test_numbers_out_of_range_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        dataclasses.replace(SMALL, **changes)


def test_the_vectors_of_an_encoder_are_its_parts() -> None:
    """A part's vector changes where what it is pooled from does, and nowhere else."""
    network = encoder("p1+p2(s2c2)").eval()
    assert [part.name for part in encoder("global").parts] == ["whole"]
    maps = network.maps(pictures(2))
    assert len(maps) == 2
    torch.testing.assert_close(network.neck(network.pool_maps(maps)), network(pictures(2)))
    channels, height = maps[1].shape[1:3]
    changes = {
        "p1": (0, slice(None), slice(None)),
        "top": (1, slice(None), slice(0, height // 2)),
        "first channels": (1, slice(0, channels // 2), slice(None)),
    }
    moved = {}
    for name, (branch, which, rows) in changes.items():
        changed = [one.clone() for one in maps]
        changed[branch][:, which, rows] += 1
        pairs = zip(*(network.split(network.neck(network.pool_maps(m))) for m in (maps, changed)), strict=True)
        different = [not torch.equal(a, b) for a, b in pairs]
        moved[name] = {part.name for part, moves in zip(network.parts, different, strict=True) if moves}
    p2 = {"p2 whole", *(f"p2 {kind} {i} of 2" for kind in ("stripe", "channels") for i in (1, 2))}
    assert moved["p1"] == {"p1 whole"}
    assert moved["top"] == p2 - {"p2 stripe 2 of 2"}
    assert moved["first channels"] == p2 - {"p2 channels 2 of 2"}


# -- sizes ---------------------------------------------------------------------------------------------------------


def test_the_thesis_network_has_its_parameters() -> None:
    """Facts §3.1: shared 2.957 M, each branch 20.551 M, reductions 5.250 M, classifiers 2.509 M: 72.37 M."""
    network = resnet(SCR)
    with torch.device("meta"):
        whole = PartClassifier(network, 751)
    backbone = branched(network)
    assert count(backbone.shared) == 2_957_376
    assert [count(branch) for branch in backbone.branches] == [20_550_656] * 3
    assert count(network.neck) == 10 * MIB + 13 * 512 == 5_249_536
    assert count(whole.classifiers) == 13 * (256 * 751 + 751) == 2_509_091
    assert count(whole) == 72_367_971
    assert network.dim == 13 * 256 == 3_328


@pytest.mark.parametrize(
    ("head", "copies", "vectors", "whole", "reduced"),
    [
        ("p1", 1, 1, 1, 1),
        ("p2(s2c2)", 1, 5, 1, 1 + 2 + 1),
        ("p3(s3c3)", 1, 7, 1, 1 + 3 + 1),
        ("p1+p2(s2c2)", 2, 1 + 5, 2, 1 + 4),
        (SCR, 3, 1 + 5 + 7, 3, 1 + 4 + 5),
        ("p1+p2(s2)+p3(s3)", 3, 8, 3, 3 + 5),
        ("p1+p2(c2)+p3(c3)", 3, 8, 3, 3 + 2),
        ("s6", 1, 6, 0, 6),
        (MGN, 3, 8, 3, 3 + 5),
    ],
)
def test_the_sizes_of_tables_3_2_and_3_3_and_of_pcb_and_mgn(
    head: str, copies: int, vectors: int, whole: int, reduced: int
) -> None:
    network = resnet(head)
    assert network.dim == 256 * vectors
    assert network.num_global == whole
    assert count(network.backbone) == 2_957_376 + copies * 20_550_656
    assert count(network.neck) == reduced * MIB + vectors * 512
    features = network(torch.empty(2, 3, 384, 192, device="meta"))
    assert features.shape == (2, network.dim)
    assert [v.shape for v in network.split(features)] == [(2, 256)] * vectors


def test_the_regions_of_scr_on_the_thesis_map() -> None:
    network = resnet(SCR)
    regions = network.head.regions(branched(network)(torch.empty(1, 3, 384, 192, device="meta")))
    assert [tuple(r.maps.shape[2:]) for r in regions] == [(24, 12), (24, 12), *[(12, 12)] * 2, (24, 12), *[(8, 12)] * 3]


def test_mgn_keeps_one_branch_coarse() -> None:
    network = resnet(MGN)
    regions = network.head.regions(branched(network)(torch.empty(1, 3, 384, 128, device="meta")))
    assert [r.maps.shape[2] for r in regions] == [12, 24, 12, 12, 24, 8, 8, 8]


# -- what a vector is made of --------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["average", "max", "gem"])
def test_every_vector_is_that_of_its_part(pooling) -> None:
    """Wholes first, then the parts of each branch: stripes as adaptive pooling cuts, groups of the pooled vector."""
    network = encoder("p1+p2(s2c2)+p3(s3c3)", pooling=pooling).eval()
    images, backbone = pictures(2), branched(network)
    pool = {
        "average": F.adaptive_avg_pool2d,
        "max": F.adaptive_max_pool2d,
        "gem": lambda maps, size: F.adaptive_avg_pool2d(maps.clamp(min=1e-6) ** 3, size) ** (1 / 3),
    }[pooling]
    with torch.no_grad():
        found = network.split(network(images))
        shared = backbone.shared((images - network.mean) / network.std)
        maps = [branch(shared) for branch in backbone.branches]
    assert maps[0].shape[2] % 3, "stripes that do not divide the map"
    wholes = [pool(m, (1, 1)).flatten(1) for m in maps]
    expected = list(wholes)
    for number, (m, whole) in enumerate(zip(maps[1:], wholes[1:], strict=True), start=2):
        expected += [stripe.flatten(1) for stripe in pool(m, (number, 1)).split(1, 2)]
        expected += list(whole.tensor_split(number, 1))
    neck = network.neck
    for vector, part, reduction, norm in zip(found, expected, neck.reductions, neck.norms, strict=True):
        torch.testing.assert_close(vector, norm(reduction(part)), rtol=1e-4, atol=1e-5)


def test_channel_groups_of_2048_are_683_683_and_682_wide() -> None:
    columns = resnet("p3(c3)").neck.columns
    assert [(c.start, c.stop) for c in columns] == [(0, 2048), (0, 683), (683, 1366), (1366, 2048)]


def test_before_training_the_branches_are_the_trunk() -> None:
    torch.manual_seed(0)
    plain = Encoder(dataclasses.replace(SMALL, head="global")).eval()
    cut = encoder().eval()
    images = (pictures(2) - plain.mean) / plain.std
    with torch.no_grad():
        expected = plain.backbone(images)
        for region in branched(cut)(images)[:2]:
            torch.testing.assert_close(region, expected)
    first, second = (dict(branch.named_parameters()) for branch in branched(cut).branches)
    assert all(first[name] is not second[name] for name in first)


def test_groups_without_a_vector_of_their_whole_map() -> None:
    network = encoder("c2").eval()
    assert (network.num_global, network.pooled_dim, network.dim) == (0, 256, 512)
    assert network(pictures(2)).shape == (2, 512)


def test_stripes_need_rows_and_groups_need_channels() -> None:
    with pytest.raises(ConfigError, match="5 stripes need a map of 5 rows, found 4"):
        stripes(torch.zeros(1, 1, 4, 2), 5)
    with pytest.raises(ConfigError, match="6 stripes"):
        encoder("s6", last_stride=2)(pictures(2))
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=16, padding=1), nn.ReLU())
    with pytest.raises(ConfigError, match="9 channel groups need 9 channels, found 4"):
        Encoder(dataclasses.replace(SMALL, head="c9"), Backbone(network, 4))


# -- which block is the last that is shared ------------------------------------------------------------------------


def test_resnet50_shares_up_to_conv4_1_and_copies_the_rest() -> None:
    backbone = branched(resnet("p1"))
    sizes = [len(list(part.children())) for part in (backbone.shared, backbone.branches[0])]
    assert sizes == [4 + 3 + 4 + 1, 5 + 3], "stem, conv2, conv3 and conv4_1; then five blocks of conv4, and conv5"


def test_efficientnet_lite0_shares_up_to_its_first_block_at_stride_16() -> None:
    """blocks.3.0 is the first at stride 16; the rest of it, blocks 4 to 6 and the last convolution are copied."""
    with torch.device("meta"):
        plain = Encoder(EncoderSettings(weights="none"))
        cut = Encoder(EncoderSettings(weights="none", head=SCR))
    backbone, network = branched(cut), plain.backbone.network
    shared = [network.conv_stem, network.bn1, *network.blocks[:3], network.blocks[3][0]]
    copied = [network.blocks[3][1:], *network.blocks[4:], network.conv_head, network.bn2]
    assert count(backbone.shared) == count(*shared) == 87_584
    assert [count(branch) for branch in backbone.branches] == [count(*copied)] * 3 == [3_283_424] * 3
    images = torch.empty(1, 3, 256, 128, device="meta")
    assert backbone.shared(images).shape == (1, 80, 16, 8)
    assert backbone(images)[0].shape == (1, 1280, 16, 8), "the last stage keeps that stride"


@pytest.mark.parametrize("name", ["test_resnet", "regnetx_002", "convnext_atto", "mobilenetv3_small_050"])
def test_other_chains_of_blocks_fit(name: str) -> None:
    network = encoder("p1+p2(s2)", backbone=name, last_stride=2).eval()
    assert network.embed(pictures(2)).shape == (2, 4 * 256)


def test_a_network_that_is_no_chain_of_blocks_is_refused() -> None:
    for name in ("vit_tiny_patch16_224", "hrnet_w18_small"):
        with pytest.raises(ConfigError, match="use head global") as error:
            encoder("p1", backbone=name, last_stride=2)
        assert "\n" not in str(error.value)


def test_a_network_that_is_not_the_sum_of_its_children_is_refused() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3, stride=16), nn.Conv2d(4, 4, 1)

        def forward(self, images: Tensor) -> Tensor:
            return self.second(self.second(self.first(images)))

    with pytest.raises(ConfigError, match="Twice is none"):
        Encoder(SMALL, Backbone(Twice(), 4))


def test_a_network_that_ends_at_its_first_block_of_stride_16_or_before_is_refused() -> None:
    for stride in (8, 16):
        with pytest.raises(ConfigError, match="found none to copy"):
            Encoder(SMALL, Backbone(nn.Sequential(nn.Conv2d(3, 4, 3, stride=stride, padding=1)), 4))


def test_a_coarse_branch_is_the_trunk_with_its_own_stride() -> None:
    torch.manual_seed(0)
    plain = Encoder(dataclasses.replace(SMALL, head="global", last_stride=2)).eval()
    fine_and_coarse = branched(encoder("p1+p2/2").eval())
    images = (pictures(2) - plain.mean) / plain.std
    with torch.no_grad():
        fine, coarse = fine_and_coarse(images)
        torch.testing.assert_close(coarse, plain.backbone(images))
    assert fine.shape[2] == 2 * coarse.shape[2]
    with pytest.raises(ConfigError, match="set it to 1"):
        encoder("p1/2", last_stride=2)


# -- training ------------------------------------------------------------------------------------------------------


def test_a_band_is_blank_in_all_images_at_the_same_height() -> None:
    maps = torch.ones(3, 2, 12, 4)
    tops = set()
    for seed in range(20):
        torch.manual_seed(seed)
        dropped = drop_band(maps, 0.33)
        rows = dropped[0, 0, :, 0]
        assert torch.equal(dropped, rows[:, None].expand_as(dropped))
        blank = (rows == 0).nonzero()[:, 0].tolist()
        assert blank == list(range(blank[0], blank[0] + 4))
        tops.add(blank[0])
    assert len(tops) > 4
    assert drop_band(maps[:, :, :2], 0.99).sum() == 3 * 2 * 4, "one row is left"


def test_bands_and_dropout_act_in_training_only() -> None:
    for changes in ({"head": "p1+p2(d50)"}, {"head": "p1", "dropout": 0.5}, {"head": "global", "dropout": 0.5}):
        network = encoder(**{"neck": "none", **changes}).eval()
        quiet = [network(pictures(2)) for _ in range(2)]
        assert torch.equal(*quiet)
        for module in network.train().modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        loud = [network(pictures(2)) for _ in range(4)]
        assert any(not torch.equal(first, quiet[0]) for first in loud)
        if changes["head"] == "p1+p2(d50)":
            assert all(torch.equal(network.split(first)[0], network.split(quiet[0])[0]) for first in loud)


def test_frozen_statistics_and_stages_hold_in_every_branch() -> None:
    network = encoder(batchnorm="frozen", frozen_stages=5).train()
    before = {n: b.clone() for n, b in network.named_buffers() if n.startswith("backbone") and "running" in n}
    network(pictures(4))
    after = dict(network.named_buffers())
    assert before
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert all(f"backbone.{part}" in {".".join(n.split(".")[:2]) for n in frozen} for part in ("shared", "branches"))
    assert all(p.requires_grad for p in network.neck.parameters())


def test_neck_statistics_of_the_data_set_reach_every_vector() -> None:
    network = encoder(neck_statistics="dataset").train()
    pooled = torch.rand((50, network.pooled_dim), generator=torch.Generator().manual_seed(0))
    network.set_neck_statistics(pooled)
    for vector, norm in zip(network.split(network.neck(pooled)), network.neck.norms, strict=True):
        expected = norm.bias.expand_as(vector)
        torch.testing.assert_close(vector.mean(0), expected[0], rtol=0, atol=1e-4)
        torch.testing.assert_close(vector.std(0), norm.weight.abs(), rtol=1e-3, atol=1e-3)


def test_chunks_of_batch_norm_are_chunks_run_apart() -> None:
    network = encoder().train()
    images = pictures(8)
    network.ghost_batches = 2
    together = network(images)
    network.ghost_batches = 1
    with torch.no_grad():
        apart = torch.cat([network(part) for part in images.split(4)])
    torch.testing.assert_close(together.detach(), apart, rtol=1e-4, atol=1e-4)


# -- as an encoder -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["p1+p2(s2c2)", "s2", "p1/2+p2(d30)"])
def test_it_is_saved_and_loaded_with_its_arrangement(head: str, tmp_path: Path) -> None:
    network = encoder(head, pooling="max", dropout=0.2, head_width=8).train()
    network(pictures(4))  # moves running statistics
    network.eval().save(tmp_path / "e.safetensors")
    loaded = Encoder.load(tmp_path / "e.safetensors")
    assert loaded.settings == network.settings
    assert loaded.digest() == network.digest() != encoder(head, pooling="max", dropout=0.2, head_width=8).digest()
    assert torch.equal(loaded.embed(pictures(2), flip=True), network.embed(pictures(2), flip=True))


def test_its_vectors_have_unit_length_and_mirrored_images_give_the_same() -> None:
    network = encoder().eval()
    with torch.no_grad():
        both, mirrored = (network.embed(x, flip=True) for x in (pictures(3), pictures(3).flip(3)))
    torch.testing.assert_close(both.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(both, mirrored)


def test_pooled_features_of_crops_are_as_long_as_they_say(tiny_market: Path) -> None:
    network = encoder()
    crops = load_crops(load_dataset("market1501", tiny_market).query, (64, 32))
    devices = Devices(DeviceSettings(accelerator="cpu", inference="float32", threads=torch.get_num_threads()))
    assert pool_crops(network, crops, devices=devices).shape == (len(crops), network.pooled_dim)
    assert embed_crops(network, crops, devices=devices).shape == (len(crops), network.dim)


# -- classifiers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["global", "p1+p2(s2c2)", "s2"])
def test_each_vector_has_its_own_classifier(head: str) -> None:
    network = PartClassifier(encoder(head, head_width=8).eval(), 7).eval()
    with torch.no_grad():
        features, logits = network(pictures(3))
        vectors = network.encoder.split(network.encoder(pictures(3)))
    assert torch.equal(torch.cat(vectors, 1), features)
    assert logits.shape == (len(vectors), 3, 7)
    for vector, classifier, row in zip(vectors, network.classifiers, logits, strict=True):
        torch.testing.assert_close(row, vector @ classifier.weight.T + classifier.bias)


def test_mgns_classifiers_of_wholes_see_the_pooled_features() -> None:
    network = PartClassifier(encoder(MGN, head_width=8), 7, classified="pooled").eval()
    channels = 256
    assert [c.in_features for c in network.classifiers] == [channels] * 3 + [8] * 5
    with torch.no_grad():
        pooled, _ = network.encoder.forward_with_pooled(pictures(3))
        _, logits = network(pictures(3))
    second = pooled[:, channels : 2 * channels]  # p1 pools one region, then comes p2's whole map
    torch.testing.assert_close(logits[1], network.classifiers[1](second).detach())
    plain = PartClassifier(encoder("global"), 7, classified="pooled")
    assert [c.in_features for c in plain.classifiers] == [channels]
