"""What runs on a GPU is what runs on the CPU: the same numbers in float32, near ones in bfloat16."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny
from alike import assert_same_run
from resight.data.crops import Crops
from resight.data.transforms import AugmentSettings, augment, draw
from resight.devices import Devices, DeviceSettings
from resight.extraction import embed_crops
from resight.runs import Run
from resight.training import fit

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"),
]

EXACT = DeviceSettings(accelerator="auto", training="float32", inference="float32")


@pytest.fixture(scope="module")
def images(tiny_market: Path) -> Crops:
    return tiny.crops(tiny_market)


@pytest.fixture(autouse=True)
def _full_precision() -> None:
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def test_augmentation_is_the_cpus(images: Crops) -> None:
    settings = AugmentSettings(pad=4, brightness=0.3, contrast=0.3, tint=0.2)
    pixels = images.pixels(slice(0, 32))
    draws = draw(settings, 32, images.size, torch.Generator().manual_seed(1))
    there = augment(pixels.cuda(), draws, colour=settings.erase_colour)
    torch.testing.assert_close(there.cpu(), augment(pixels, draws, colour=settings.erase_colour), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("bfloat16", 3e-2)])
def test_vectors_are_the_cpus(images: Crops, precision: str, tolerance: float) -> None:
    settings = dataclasses.replace(EXACT, inference=precision)
    here = embed_crops(tiny.encoder(), images, devices=Devices(tiny.DEVICE))
    devices = Devices(settings)
    there = embed_crops(devices.place(tiny.encoder()), images, devices=devices)
    assert np.abs(here - there).max() < tolerance


@pytest.mark.parametrize("variant", ["code", "thesis"])
def test_the_losses_of_steps_are_the_cpus(images: Crops, variant: str) -> None:
    losses = []
    for device in (tiny.DEVICE, EXACT):
        method = tiny.ice(images, variant, device=device)
        losses.append([{k: float(v) for k, v in method.step(b).items()} for b in method.begin_epoch(0)])
    for here, there in zip(*losses, strict=True):
        assert there == pytest.approx(here, rel=2e-3, abs=2e-4)


def test_bfloat16_losses_are_near(images: Crops) -> None:
    losses = []
    for precision in ("float32", "bfloat16"):
        method = tiny.ice(images, device=dataclasses.replace(EXACT, training=precision))
        batch = next(iter(method.begin_epoch(0)))
        losses.append({k: float(v) for k, v in method.step(batch).items()})
    assert losses[1] == pytest.approx(losses[0], rel=0.1, abs=0.02)


def test_a_compiled_network_learns_the_same(images: Crops) -> None:
    losses = []
    for compiled in (False, True):
        method = tiny.ice(images, device=dataclasses.replace(EXACT, compile=compiled, graphs=False))
        losses.append([{k: float(v) for k, v in method.step(b).items()} for b in method.begin_epoch(0)])
    for plain, hastened in zip(*losses, strict=True):
        assert hastened == pytest.approx(plain, rel=2e-3, abs=2e-4)


@pytest.mark.parametrize("changes", [{}, tiny.SPLITS_CLEANLY], ids=["code", "frozen statistics"])
def test_a_recorded_network_learns_the_same(images: Crops, changes: dict[str, Any]) -> None:
    losses, states = [], []
    for graphs in (False, True):
        method = tiny.ice(images, device=dataclasses.replace(EXACT, graphs=graphs), iterations=6, **changes)
        losses.append([{k: float(v) for k, v in method.step(b).items()} for b in method.begin_epoch(0)])
        states.append(method.online.state_dict())
    for plain, replayed in zip(*losses, strict=True):
        assert replayed == pytest.approx(plain, rel=2e-3, abs=2e-4)
    for name, plain in states[0].items():
        torch.testing.assert_close(states[1][name], plain, rtol=1e-2, atol=1e-3, msg=name)


def test_batches_of_another_shape_are_not_replayed(images: Crops) -> None:
    method = tiny.ice(images, device=EXACT)
    batch = next(iter(method.begin_epoch(0)))
    assert all(np.isfinite(float(loss)) for loss in method.step(batch[:12]).values())


def test_a_run_that_is_interrupted_goes_on(images: Crops, tmp_path: Path) -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        for folder, stops in ((tmp_path / "whole", (4,)), (tmp_path / "parts", (2, 4))):
            for stop in stops:
                fit(tiny.ice(images, device=EXACT), Run(folder, seed=3), epochs=stop)
    finally:
        torch.use_deterministic_algorithms(False)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
