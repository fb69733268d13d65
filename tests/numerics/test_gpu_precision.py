"""Distances are float32 whatever precision the process has set."""

import numpy as np
import pytest
import torch
from gpu_twins import assert_nearest, devices, unit

import reference
from resight.numerics import gpu as tensors

SETTINGS = {
    "highest": lambda: torch.set_float32_matmul_precision("highest"),
    "high": lambda: torch.set_float32_matmul_precision("high"),
    "medium": lambda: torch.set_float32_matmul_precision("medium"),
    "tf32": lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True),
}


def precision():
    switches = [torch.backends.cuda.matmul, torch.backends.mkldnn.matmul]
    named = [switch.fp32_precision for switch in switches] if tensors.BY_BACKEND else []
    return torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.allow_tf32, *named


@devices
@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("by_backend", [True, False])
def test_distances_are_float32_whatever_the_process_has_set(device, name, by_backend, monkeypatch):
    monkeypatch.setattr(tensors, "BY_BACKEND", by_backend and tensors.BY_BACKEND)
    rng = np.random.default_rng(0)
    vectors = [unit(rng, size, 512) for size in (64, 120)]
    a, b = (torch.tensor(side, device=device) for side in vectors)
    torch.set_float32_matmul_precision("highest")
    plain = tensors.squared_distances(a, b)
    np.testing.assert_allclose(plain.cpu(), reference.squared_distances(*vectors), atol=1e-6)
    try:
        SETTINGS[name]()
        before = precision()
        with torch.autocast(device, torch.bfloat16):
            assert torch.equal(tensors.squared_distances(a, b), plain)
        assert_nearest(vectors[1], 9, device)
        assert precision() == before
        with pytest.raises(ZeroDivisionError), tensors.multiplying("ieee", a.device):
            raise ZeroDivisionError
        assert precision() == before
    finally:
        torch.set_float32_matmul_precision("highest")


@devices
def test_the_switches_of_one_backend_are_kept_too(device):
    """A process that has set them by name cannot be asked what it has set for all."""
    if not tensors.BY_BACKEND:
        pytest.skip("torch before 2.9")
    a = torch.tensor(unit(np.random.default_rng(0), 64, 512), device=device)
    torch.set_float32_matmul_precision("highest")
    plain = tensors.squared_distances(a, a)
    try:
        torch.backends.cuda.matmul.fp32_precision = "tf32"
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
        assert torch.equal(tensors.squared_distances(a, a), plain)
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    finally:
        torch.set_float32_matmul_precision("highest")


@devices
def test_squared_distances_are_never_negative(device):
    vectors = torch.tensor(unit(np.random.default_rng(0), 300, 64), device=device)
    distances = tensors.squared_distances(vectors, vectors)
    assert distances.min() == 0
    assert distances.diagonal().max() < 1e-6
    a, b = np.random.default_rng(1).normal(size=(2, 30, 7)).astype(np.float32)
    found = tensors.squared_distances(*(torch.tensor(side, device=device) for side in (a, b)))
    np.testing.assert_allclose(found.cpu(), reference.squared_distances(a, b), rtol=1e-5)
