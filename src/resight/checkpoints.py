"""The file of a checkpoint: nested tensors and plain values as safetensors, which are read without pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from resight.errors import RunError

State = Mapping[str, Any]
"""Tensors, numbers, strings, lists and dicts of such: what a checkpoint can hold without pickle."""


def dump_state(state: State) -> bytes:
    """Turn nested tensors and plain values into one safetensors file.

    Tensors become its tensors, under numbered names; everything else, with the numbers in place of the
    tensors, becomes JSON in its header.
    """
    tensors: dict[str, Tensor] = {}

    def plain(value: Any) -> Any:
        if isinstance(value, Tensor):
            name = f"t{len(tensors)}"
            tensors[name] = value.detach().cpu().contiguous().clone()
            return {"tensor": name}
        if isinstance(value, Mapping):
            return {"dict": [[plain(key), plain(item)] for key, item in value.items()]}
        if isinstance(value, list | tuple):
            return {"tuple" if isinstance(value, tuple) else "list": [plain(item) for item in value]}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise RunError(f"a checkpoint holds tensors and plain values, not {type(value).__name__}")

    tree = json.dumps(plain(state))
    return save(tensors, {"resight.state": tree})


def load_state(path: Path) -> dict[str, Any]:
    """Read what `dump_state` wrote.

    Raises:
        RunError: The file is damaged or not a checkpoint.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tree = json.loads((file.metadata() or {})["resight.state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, OSError, json.JSONDecodeError) as error:
        raise RunError(f"'{path}' is no resight checkpoint ({type(error).__name__}): start in a new folder") from error

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
    assert isinstance(state, dict)
    return state
