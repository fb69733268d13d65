"""Weights that an encoder starts from, read from a package or from a file."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from messages import one_line
from resight.errors import WeightsError
from resight.models.backbones import build_backbone


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
