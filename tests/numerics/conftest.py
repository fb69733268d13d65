"""What the tests of several numerics share."""

import pytest
import torch

from resight.numerics import gpu as tensors


@pytest.fixture
def on_device(device, monkeypatch):
    """Calls a function with a device, where tensors do all the work, the CPU's too; without one the kernels do it."""
    devices = []
    monkeypatch.setattr(tensors, "used_for", lambda name: devices.append(name) or isinstance(name, torch.device))

    def call(function, *arguments, **options):
        devices.clear()
        result = function(*arguments, **options, device=torch.device(device))
        assert devices
        assert all(isinstance(name, torch.device) for name in devices)  # nothing within was left to the default
        return result

    return call
