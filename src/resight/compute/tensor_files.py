"""Checkpoint files: nested tensors and plain values in safetensors, so that reading needs no pickle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from resight.checksums import DamagedError, seal, unseal
from resight.errors import RunError
from resight.files import printable

State = Mapping[str, Any]
"""Tensors, numbers, strings, and lists and dicts of them: everything that a checkpoint holds without pickle."""

CHECKPOINT = "last.safetensors"
"""The file of a run folder that holds all parts of a method after the last epoch."""

TREE = "resight.state"
"""Name of the header entry that describes how tensors and plain values are nested."""


class Stateful(Protocol):
    """An object with a state that can be saved and restored."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""

    def load_state_dict(self, state: dict[str, Any]) -> Any:
        """Restore a state."""


def dump_state(state: State) -> bytes:
    """Convert nested tensors and plain values to a safetensors file.

    Tensors are stored under numbered names. Everything else, with these names instead of the tensors, becomes JSON
    in the header.
    """
    tensors: dict[str, Tensor] = {}

    def plain(value: Any) -> Any:
        if isinstance(value, Tensor):
            name = f"t{len(tensors)}"
            tensors[name] = value
            return {"tensor": name}
        if isinstance(value, Mapping):
            return {"dict": [[plain(key), plain(item)] for key, item in value.items()]}
        if isinstance(value, list | tuple):
            return {"tuple" if isinstance(value, tuple) else "list": [plain(item) for item in value]}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise RunError(f"a checkpoint holds tensors and plain values, not {type(value).__name__}")

    tree = json.dumps(plain(state))
    return seal(tensors, {TREE: tree})


def load_state(path: Path) -> dict[str, Any]:
    """Read a file of `dump_state`.

    Raises:
        RunError: The file is damaged or not a checkpoint.
    """
    try:
        tensors, texts = unseal(path, [TREE], unsealed=True)
        return _build_state(json.loads(texts[TREE]), tensors)
    except (DamagedError, OSError) as error:
        reason = str(getattr(error, "strerror", None) or error)
        raise _no_checkpoint(path, reason) from error
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _no_checkpoint(path, type(error).__name__) from error


def _no_checkpoint(path: Path, reason: str) -> RunError:
    return RunError(
        f"'{printable(path)}' is damaged, or no checkpoint of resight ({printable(reason)}): restore a copy, or "
        "start in a new folder"
    )


def _build_state(tree: Any, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Nest the tensors and plain values of a file as they were before saving."""

    def build(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        ((kind, content),) = value.items()
        if kind == "tensor":
            return tensors[content]
        if kind == "dict":
            return {build(key): build(item) for key, item in content}
        items = [build(item) for item in content]
        return tuple(items) if kind == "tuple" else items

    state = build(tree)
    if not isinstance(state, dict):
        raise TypeError
    return state


def tensors_of(state: Any) -> Iterator[Tensor]:
    """Yield the tensors of a nested state."""
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, Mapping | list | tuple):
        for item in state.values() if isinstance(state, Mapping) else state:
            yield from tensors_of(item)


def put_back(part: Stateful, state: Any) -> None:
    """Restore the saved state of a part of a method.

    Raises:
        ValueError: The state has other tensors than the part has now, or other shapes or types; the message says which.
    """
    try:
        if isinstance(part, nn.Module):
            check_alike(part.state_dict(), state)
        if isinstance(part, torch.optim.Optimizer):
            _check_optimizer(part, state)
        part.load_state_dict(state)
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(" ".join(str(error).split())[:300]) from error
    if isinstance(part, torch.optim.Optimizer):
        _copy_memory_format(part)


def check_alike(expected: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Check that a state has the tensors of another state, with their shapes and types.

    Raises:
        ValueError: It has not; the message says where.
    """
    for name in sorted(expected.keys() ^ state.keys()):
        raise ValueError(f"{name} is only in one of the two")
    for name, value in expected.items():
        loaded = state[name]
        if isinstance(value, Tensor) and not (
            isinstance(loaded, Tensor) and (loaded.shape, loaded.dtype) == (value.shape, value.dtype)
        ):
            raise ValueError(f"{name} is {_describe(loaded)}, expected {_describe(value)}")


def _check_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for number, averages in state["state"].items():
        parameter = parameters[number]
        for name, value in averages.items():
            kind = (value.shape, value.dtype) if isinstance(value, Tensor) else None
            if kind not in ((parameter.shape, parameter.dtype), (torch.Size(), torch.float32)):
                raise ValueError(f"{name} of parameter {number} is {_describe(value)}, expected {_describe(parameter)}")
    for expected, group in zip(optimizer.state_dict()["param_groups"], state["param_groups"], strict=True):
        if expected.keys() != group.keys() or expected["params"] != group["params"]:
            raise ValueError("its groups of parameters differ")


def _describe(value: Any) -> str:
    return f"{value.dtype} of {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def _copy_memory_format(optimizer: torch.optim.Optimizer) -> None:
    """Give an optimizer's averages the memory format of their parameters, which its fast implementations need.

    A file stores them row by row, but convolutions have their channels last.
    """
    for parameter, averages in optimizer.state.items():
        for name, value in averages.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                averages[name] = torch.empty_like(parameter).copy_(value)
