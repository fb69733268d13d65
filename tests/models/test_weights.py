"""Weights of other tools: found under any prefix, or refused with what is there; hubs that are silent."""

from __future__ import annotations

import argparse
import logging
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import Tensor

from resight.errors import ConfigError, WeightsError
from resight.models import hub
from resight.models.backbones import build_backbone
from resight.models.hub import check_reachable, reachable

NAME = "test_efficientnet"


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    torch.manual_seed(5)
    network = build_backbone(NAME, weights="none", last_stride=2)[0].network
    return {name: value + 0.25 if value.is_floating_point() else value for name, value in network.state_dict().items()}


def under(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state.items()}


def numbered(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names of the same network as an `nn.Sequential` of its children."""
    children = [name for name, _ in build_backbone(NAME, weights="none", last_stride=2)[0].network.named_children()]
    parted = {name: name.split(".", 1) for name in state}
    return {f"base.{children.index(child)}.{rest}": state[name] for name, (child, rest) in parted.items()}


CLASSES = torch.zeros(751, 8)

STYLES: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "plain": lambda state: state,
    "data parallel": lambda state: {"state_dict": under("module.", state), "epoch": 3, "best_mAP": 0.5},
    "re-id": lambda state: under("base.", state) | {"classifier.weight": CLASSES},
    "parallel re-id": lambda state: {
        "state_dict": under("module.base.", state) | {"module.classifier.weight": CLASSES}
    },
    "backbone": lambda state: {"model": under("backbone.", state) | {"heads.weight": CLASSES}, "iteration": 7},
    "net_dict": lambda state: {"net_dict": under("net.network.", state), "optimizer": {"state": {0: {"m": CLASSES}}}},
    "model_state_dict": lambda state: {"model_state_dict": under("encoder.model.", state)},
    "lightning": lambda state: {"state_dict": under("model.net.", state), "global_step": 5},
    "sequential": lambda state: numbered(state) | {"fc.weight": CLASSES},
    "half precision": lambda state: {name: value.half().float() for name, value in state.items()},
}


def loaded(path: Path, content: Any) -> dict[str, Tensor]:
    torch.save(content, path)
    return dict(build_backbone(NAME, weights=str(path), last_stride=2)[0].network.state_dict())


@pytest.mark.parametrize("style", STYLES)
def test_weights_are_found_as_other_tools_save_them(style: str, state: dict[str, Tensor], tmp_path: Path) -> None:
    found = loaded(tmp_path / "weights.pth", STYLES[style](state))
    assert all(torch.allclose(found[name].float(), value.float(), atol=1e-2) for name, value in state.items())


@pytest.mark.parametrize("ending", ["pt", "bin", "safetensors"])
def test_the_content_tells_what_a_file_is(ending: str, state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / f"weights.{ending}"
    save_file(under("net.", state), path)
    found = build_backbone(NAME, weights=str(path), last_stride=2)[0].network.state_dict()
    assert all(torch.equal(found[name], value) for name, value in state.items())


def test_of_two_networks_the_one_that_follows_is_taken_and_said(
    state: dict[str, Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = {name: value + 1 for name, value in state.items()}
    with caplog.at_level(logging.INFO):
        found = loaded(tmp_path / "dino.pth", {"student": under("module.", other), "teacher": under("module.", state)})
    assert all(torch.equal(found[name], value) for name, value in state.items())
    assert "those under 'teacher.module.' are used; 'student.module.' would fit as well" in caplog.text


def test_what_is_left_out_is_said(state: dict[str, Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        loaded(tmp_path / "w.pth", state | {"classifier.weight": CLASSES, "evil\x1b[31m\n": CLASSES})
    assert "2 tensors are left out: 'classifier.weight', 'evil\\x1b[31m\\n'" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO):
        loaded(tmp_path / "w.pth", state)
    assert not caplog.text


REFUSED: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "other names": (
        lambda state: {"a.b": CLASSES, "c": CLASSES},
        r"tensors are missing: the file has 'a.b', 'c', 2 names; the network needs 'conv_stem.weight', .*: is it",
    ),
    "one is absent": (
        lambda state: {name: value for name, value in state.items() if name != "bn1.weight"},
        r"1 of its \d+ tensors are missing: the file has .*; the network needs 'bn1.weight'",
    ),
    "another shape": (
        lambda state: under("base.", {**state, "bn1.weight": CLASSES}),
        r"are missing or of another shape: 'base.bn1.weight' is \(751, 8\) in the file, \(\d+,\) in the network",
    ),
    "quantized": (
        lambda state: {name: (value * 100).to(torch.int8) for name, value in state.items()},
        "is int8, but the network computes with float32: use weights that are not quantized",
    ),
    "not finite": (
        lambda state: {**state, "bn1.weight": state["bn1.weight"] * float("nan")},
        "'bn1.weight' has nan or inf",
    ),
    "no tensors": (lambda state: {"epoch": 3}, "holds no state dict of tensors, but a dict of 'epoch'"),
    "a list": (lambda state: [1], "holds no state dict of tensors, but a list"),
    "an object": (
        lambda state: {"state_dict": state, "args": argparse.Namespace(lr=1)},
        r"holds Python objects besides tensors \(argparse.Namespace\)",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_fit_shows_what_there_is(kind: str, state: dict[str, Tensor], tmp_path: Path) -> None:
    make, expected = REFUSED[kind]
    with pytest.raises(WeightsError, match=expected) as caught:
        loaded(tmp_path / "weights.pth", make(state))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


def test_files_of_other_kinds_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    (tmp_path / "b.onnx").write_bytes(b"\x08\x07")
    (tmp_path / "c.h5").write_bytes(b"\x89HDF")
    with pytest.warns((FutureWarning, DeprecationWarning)):
        torch.jit.save(torch.jit.script(torch.nn.Identity()), tmp_path / "d.pt")
    for name, words in {
        "a.npz": "arrays of numpy",
        "b.onnx": "an ONNX graph",
        "c.h5": "Keras or TensorFlow",
        "d.pt": "a TorchScript program",
        "": "is a folder: name the file",
    }.items():
        with pytest.raises(WeightsError, match=words):
            build_backbone(NAME, weights=str(tmp_path / name), last_stride=2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "it is a pointer of Git LFS: 'git lfs pull'"),
        (b"<html>not found</html>\n", "it is text"),
        (b"PK\x03\x04 the rest is lost", "it is cut short"),
        (b"\x80\x02\xff\x00", "it is damaged, or of another kind"),
    ],
)
def test_what_cannot_be_read_is_said_to_be_what_it_is(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"cannot be read as weights \\({said}.*expected .safetensors") as caught:
        build_backbone(NAME, weights=str(path), last_stride=2)
    assert "\n" not in str(caught.value)


def test_an_archive_of_other_files_is_said_to_be_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "weights.pth", "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(WeightsError, match="it is an archive of other files"):
        build_backbone(NAME, weights=str(tmp_path / "weights.pth"), last_stride=2)


@pytest.mark.parametrize("name", ["mudeep", "osnet", "hf-hub:timm/resnet50", "local-dir:/tmp", "", "x" * 300])
def test_backbones_that_there_are_not_are_one_short_line(name: str) -> None:
    with pytest.raises(ConfigError, match="resnet50, resnet50_ibn_a") as caught:
        build_backbone(name, weights="none")
    assert len(str(caught.value)) < 400


# -- hubs ----------------------------------------------------------------------------------------------------------


class _Answer(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Answer) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


@pytest.fixture
def silent() -> Iterator[str]:
    """An address at which nobody ever answers: a port that is held and not listened to."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_a_server_is_there_whatever_it_answers(server: str, silent: str) -> None:
    assert reachable(server)
    assert not reachable(silent)
    assert not reachable("file:///etc/hosts")


def test_a_hub_that_does_not_answer_is_one_line_within_seconds(
    silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", silent)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    begun = time.monotonic()
    with pytest.raises(WeightsError, match=r"no connection to 127\.0\.0\.1.*tf_efficientnet_lite0") as caught:
        build_backbone(NAME, last_stride=2)
    assert time.monotonic() - begun < 20, "each try is seconds apart from the next"
    assert "--encoder.weights PATH" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not caplog.records
    assert not constants.HF_HUB_OFFLINE, "it is asked again the next time"


def test_what_was_downloaded_before_needs_no_connection(
    silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub.torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1"):
        check_reachable(f"{silent}/models/w.pth")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "w.pth").write_bytes(b"w")
    check_reachable(f"{silent}/models/w.pth")
