"""Where things run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from resight.compute.devices import Devices, DeviceSettings, thread_speeds
from run_equality import script


def test_training_and_extraction_are_bfloat16_where_the_processor_computes_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    devices = Devices(DeviceSettings(accelerator="cpu"))
    for has, precision in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr("resight.compute.devices.cpu_has_bfloat16", lambda has=has: has)
        assert (devices.precision("training"), devices.precision("inference")) == (precision, precision)


LEAVING = """
import atexit
from pathlib import Path
import torch
from resight.compute.devices import Devices, DeviceSettings

def threads():
    return {(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()}

@atexit.register
def last():
    if rank == 0:
        print("left", *sorted(threads() & before))

devices = Devices(DeviceSettings(accelerator="cpu", training="float32", threads=1, processes=2))
rank = devices.rank
network = devices.ddp(devices.to_device(torch.nn.Linear(4, 4)))
devices.backward(network(devices.gather(torch.ones(2, 4), learn=True)).sum())
before = {name for name in threads() if "gloo" in name}
print("talking", *sorted(before))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="names of threads are read from /proc")
def test_processes_that_shared_gradients_end_without_threads_of_their_talk(tmp_path: Path) -> None:
    ended = script(tmp_path, LEAVING)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert any(line.startswith("talking") and "gloo" in line for line in lines)
    assert "left" in [line.strip() for line in lines]


@pytest.mark.parametrize(("share", "warned"), [(0.2, True), (1.4, False)])
def test_training_warns_where_fewer_threads_are_faster(
    share: float, warned: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("resight.compute.devices.thread_speeds", lambda most: {2: share, 1: 1.0})
    Devices(DeviceSettings(accelerator="cpu")).warn_if_cpu_busy()
    assert ("20 % of its speed with 1; stop them, or give --device.threads 1" in caplog.text) == warned
    caplog.clear()
    Devices(DeviceSettings(accelerator="cpu", threads=1)).warn_if_cpu_busy()  # who chose has chosen
    assert not caplog.text


def test_measuring_threads_tries_halves_and_changes_nothing() -> None:
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    torch.set_num_threads(2)
    try:
        speeds = thread_speeds(5)
        assert list(speeds) == [5, 2, 1]
        assert min(speeds.values()) > 0
        assert torch.get_num_threads() == 5
        assert torch.equal(torch.random.get_rng_state(), state)
    finally:
        torch.set_num_threads(threads)
