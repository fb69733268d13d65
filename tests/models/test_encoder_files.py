"""An encoder is saved and comes back bit for bit; files that cannot be read are one line."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from small_encoders import SMALL, pictures, same, small, toy
from torch import Tensor

from messages import one_line
from resight.checksums import unseal
from resight.errors import WeightsError
from resight.models.encoder import Encoder
from resight.models.soundness import embeds


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
    saved = tmp_path / "saved.safetensors"
    encoder = toy()
    encoder.save(saved)
    content = saved.read_bytes()
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
    path = tmp_path_factory.mktemp("encoder") / "encoder.safetensors"
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
