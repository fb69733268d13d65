"""Checkpoints: what is saved comes back bit for bit, and a damaged one is one line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from saved_runs import Method
from torch import Tensor, nn

from messages import one_line
from resight.compute.tensor_files import dump_state, load_state
from resight.errors import RunError
from resight.training.runs import Run


def equal(left: object, right: object) -> bool:
    if isinstance(left, Tensor):
        return isinstance(right, Tensor) and left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, Mapping):
        return isinstance(right, dict) and list(left) == list(right) and all(equal(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple):
        return type(left) is type(right) and len(left) == len(right) and all(map(equal, left, right))
    return type(left) is type(right) and left == right


def test_a_nested_state_comes_back_as_it_was(tmp_path: Path) -> None:
    state = {
        "numbers": {0: 1.5, 7: -2, "text": "naïve \n 'quoted'", "none": None, "yes": True, "tiny": 5e-324},
        "tuple": (1, [2, (3,)], {"deep": torch.arange(6).view(2, 3).T}),
        "scalar": torch.tensor(3.25),
        "empty": [[], {}, (), torch.empty(0, 4)],
        "kinds": [torch.ones(2, dtype=d) for d in (torch.float64, torch.bfloat16, torch.int64, torch.bool)],
        "infinite": math.inf,
        "looks like a tensor": {"tensor": "t0"},
        "epoch": 3,
    }
    path = tmp_path / "state.safetensors"
    path.write_bytes(dump_state(state))
    assert equal(state, load_state(path))


def test_tensors_that_share_memory_come_back_whole(tmp_path: Path) -> None:
    base = torch.arange(10.0)
    path = tmp_path / "state.safetensors"
    path.write_bytes(dump_state({"whole": base, "part": base[2:5], "again": base}))
    assert equal({"whole": base, "part": base[2:5].clone(), "again": base}, load_state(path))


def test_a_state_without_tensors(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    path.write_bytes(dump_state({"epoch": 1}))
    assert load_state(path) == {"epoch": 1}


def test_an_optimizer_goes_on_bit_for_bit(tmp_path: Path) -> None:
    def learn(model: nn.Linear, optimizer: torch.optim.Adam, steps: range) -> None:
        for step in steps:
            optimizer.zero_grad()
            model(torch.full((2, 3), float(step))).square().sum().backward()
            optimizer.step()

    def fresh() -> tuple[nn.Linear, torch.optim.Adam]:
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        return model, torch.optim.Adam(model.parameters(), lr=0.1, betas=(0.8, 0.99), weight_decay=1e-2)

    unbroken, halved, after = fresh(), fresh(), fresh()
    learn(*unbroken, range(6))
    learn(*halved, range(3))
    path = tmp_path / "state.safetensors"
    path.write_bytes(dump_state({"model": halved[0].state_dict(), "optimizer": halved[1].state_dict()}))
    state = load_state(path)
    assert set(state["optimizer"]["state"]) == {0, 1}
    assert state["optimizer"]["state"][0]["step"].shape == ()
    after[0].load_state_dict(state["model"])
    after[1].load_state_dict(state["optimizer"])
    learn(*after, range(3, 6))
    assert equal(after[0].state_dict(), dict(unbroken[0].state_dict()))
    assert equal(after[1].state_dict(), unbroken[1].state_dict())


def test_what_needs_pickle_is_refused() -> None:
    with pytest.raises(RunError, match="not set"):
        dump_state({"a": {1, 2}})


@pytest.mark.parametrize("share", [0.0, 0.0005, 0.01, 0.5, 0.999])
def test_a_truncated_checkpoint_is_one_line(share: float, tmp_path: Path) -> None:
    content = dump_state({"part": {"value": torch.zeros(5000)}, "epoch": 0})
    run = Run(tmp_path)
    run.checkpoint_path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(RunError, match=r"last\.safetensors") as error:
        run.resume(Method())
    assert "new folder" in one_line(error)


def test_a_file_that_is_no_checkpoint_is_one_line(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    (tmp_path / "text.safetensors").write_text("hello " * 100)
    for name in ("foreign", "text"):
        with pytest.raises(RunError, match=name) as error:
            load_state(tmp_path / f"{name}.safetensors")
        one_line(error)
