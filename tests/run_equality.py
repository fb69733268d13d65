"""Runs that are killed, shared or continued, and whether they end alike."""

from __future__ import annotations

import os
import subprocess
import sys
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
        env=environment, capture_output=True, text=True, timeout=360, cwd=folder, check=False,
    )  # fmt: skip
