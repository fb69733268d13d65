"""Tensors of a size that was freed before come without page faults."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

COUNT = """
import resource, sys, torch
torch.set_num_threads(1)
if sys.argv[1] == "devices":
    from resight.compute.devices import Devices, DeviceSettings
    Devices(DeviceSettings(accelerator="cpu", threads=1))
before = 0
for round in range(6):
    if round == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(2**22) for _ in range(4)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_with_devices_freed_memory_is_used_again() -> None:
    """4 rounds of 4 blocks of 16 MB are 65,536 pages of 4 KB; where huge pages are scarce, a few come again."""

    def faults(mode: str) -> int:
        done = subprocess.run([sys.executable, "-c", COUNT, mode], check=True, capture_output=True, text=True)
        return int(done.stdout)

    assert faults("devices") < 65_536 / 10
