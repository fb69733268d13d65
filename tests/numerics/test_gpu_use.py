"""Runs and commands work on the device that they were given."""

import dataclasses

import torch

import tiny
from resight.cli.main import main
from resight.data.catalog import load_dataset
from resight.models.encoder import EncoderSettings
from resight.numerics import gpu as tensors
from resight.training.train import TrainSettings, train


def test_only_the_cpu_has_kernels():
    assert not tensors.used_for("cpu")
    assert not tensors.used_for(torch.device("cpu"))
    assert tensors.used_for("cuda:1")
    assert tensors.used_for(torch.device("xpu"))


def test_runs_and_commands_work_on_their_device(tiny_market, tmp_path, monkeypatch):
    used = []
    monkeypatch.setattr(tensors, "used_for", lambda device: used.append(device) or False)

    def devices_used():
        named, used[:] = list(used), []
        return named

    folder = tmp_path / "run"
    encoder = EncoderSettings(backbone="test_efficientnet", weights="none", height=64, width=32, last_stride=2)
    chosen = dataclasses.replace(tiny.SETTINGS, encoder=encoder, epochs=1, iterations=1)
    train("ice", load_dataset("market1501", tiny_market), chosen, TrainSettings(run=str(folder), device=tiny.DEVICE))
    named = devices_used()
    assert len(named) >= 3 + 2  # of clustering, and of scores before and at the end
    # What a run says is a device; only the default is a word.
    assert all(isinstance(device, torch.device) for device in named)
    words = [f"--data=market1501={tiny_market}", "--device.accelerator=cpu", "--json"]
    query = next((tiny_market / "query").iterdir())
    page = f"--page={tmp_path / 'page.html'}"
    for command in (
        ["evaluate", str(folder), *words, page],
        ["evaluate", str(folder), *words, page, "--rerank=true"],
        ["search", str(query), str(folder), *words],
    ):
        assert main(command) == 0
        named = devices_used()
        assert named
        assert all(isinstance(device, torch.device) for device in named)
