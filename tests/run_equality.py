"""Runs that are killed, shared or continued, and whether they end alike."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

import resight
from resight.compute.tensor_files import load_state
from resight.training.runs import Run

TIMES = ("seconds", "images_per_second")

THREADS = os.environ.get("OMP_NUM_THREADS", "2")
"""As many as this process has: sums of other numbers of threads differ in their last digits."""


def tensors(state: Any, name: str = "") -> dict[str, Any]:
    """Every leaf of a nested state by its place."""
    if isinstance(state, dict):
        return {k: v for key, value in state.items() for k, v in tensors(value, f"{name}/{key}").items()}
    if isinstance(state, list | tuple):
        return {k: v for i, value in enumerate(state) for k, v in tensors(value, f"{name}/{i}").items()}
    return {name: state}


def assert_same_run(left: Path, right: Path) -> None:
    """Two run folders end in the same numbers, bit for bit; only their times differ."""
    states = [tensors(load_state(folder / "last.safetensors")) for folder in (left, right)]
    assert list(states[0]) == list(states[1])
    for name, value in states[0].items():
        other = states[1][name]
        assert torch.equal(value, other) if isinstance(value, Tensor) else value == other, name
    lines = [[{k: v for k, v in line.items() if k not in TIMES} for line in Run(f).metrics()] for f in (left, right)]
    assert lines[0] == lines[1]
    for name in ("encoder-last.safetensors", "encoder-best.safetensors"):
        encoders = [Path(folder, name) for folder in (left, right)]
        first, second = map(load_file, encoders)
        assert list(first) == list(second)
        assert all(torch.equal(value, second[key]) for key, value in first.items())


def script(folder: Path, text: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a text of Python in a process of its own, with these tests and this resight in reach."""
    path = folder / "script.py"
    path.write_text(text)
    paths = os.pathsep.join(map(str, (Path(__file__).parent, Path(resight.__file__).parents[1])))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": THREADS, "NUMBA_NUM_THREADS": THREADS}
    return subprocess.run(
        [sys.executable, str(path), *map(str, arguments)],
        env=environment, capture_output=True, text=True, timeout=240, cwd=folder, check=False,
    )  # fmt: skip


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
import tiny
from resight.training.runs import Run
from resight.training.train import fit

folder, root = map(Path, sys.argv[1:])
method = tiny.MAKER(tiny.crops(root))
whole_step, taken = method.step, []

def step(batch):
    losses = whole_step(batch)
    taken.append(batch)
    assert torch.get_num_threads() == tiny.DEVICE.threads == 1, "numba's threads must not become torch's"
    if len(taken) == 5:  # two epochs of two steps are done; this is the first of the third
        os.kill(os.getpid(), signal.SIGKILL)
    return losses

method.step = step
fit(method, Run(folder, seed=3), epochs=4)
"""


def assert_goes_on_after_a_kill(maker: str, run_to: Callable[[Path, int], object], root: Path, folder: Path) -> None:
    """A run of ``tiny``'s maker that is killed within its third epoch ends as one that was not.

    Args:
        maker: The name in ``tiny`` of what makes the method.
        run_to: Runs the same method in a folder up to an epoch.
        root: Of the data set.
        folder: An empty folder.
    """
    killed = script(folder, KILLED.replace("MAKER", maker), folder / "killed", root)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [line["epoch"] for line in Run(folder / "killed").metrics()] == [0, 1]
    run_to(folder / "killed", 4)
    run_to(folder / "whole", 4)
    assert_same_run(folder / "whole", folder / "killed")
