"""Files of tensors with a checksum: equal content gives equal bytes, and a flipped bit is detected.

They are safetensors files, which are read without pickle. Their header is sorted, and its metadata hold the seal: the
SHA-256 of everything else. Earlier versions wrote files without a seal, which callers may accept.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from resight.errors import ResightError
from resight.files import open_regular

Kind = TypeVar("Kind")

SEAL = "resight.sha256"
"""The entry of the metadata with the seal."""

MOST = 2**35
"""The most bytes of a file, 34 GB."""

HEADER = 2**24
"""The most bytes of a header; that of a network of 1,000 tensors has a tenth of a million."""


class DamagedError(ResightError):
    """A file is not as it was written; the message names the difference in a few words."""


def seal(tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> bytes:
    """Return the bytes of a file with tensors and texts under a seal.

    Args:
        tensors: Tensors by name; tensors that share memory are written separately.
        texts: The metadata of the file.
    """
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    header, data = _split(save_tensors(plain))
    header["__metadata__"] = {**texts, SEAL: _digest({**header, "__metadata__": dict(texts)}, data)}
    text = _canonical(header)
    text += b" " * (-len(text) % 8)  # tensors start at a multiple of 8
    return b"".join((len(text).to_bytes(8, "little"), text, data))


def unseal(path: Path, names: Collection[str], *, unsealed: bool = False) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a file that `seal` wrote.

    Args:
        path: The file.
        names: The names of all its texts.
        unsealed: Whether to accept a file without a seal.

    Returns:
        The tensors, all finite, and the texts.

    Raises:
        DamagedError: It is another kind of file, or not as it was written.
        OSError: It is absent or cannot be read.
    """
    try:
        content = _read(path)
        header, data = _split(content)
        texts = header["__metadata__"]
        expected = texts.pop(SEAL, None)
        if not unsealed and expected is None:
            raise DamagedError("it has no seal of resight's")
        if set(texts) != set(names):
            raise DamagedError(f"it does not hold {' and '.join(sorted(names))}")
        if expected is not None and expected != _digest(header, data):
            raise DamagedError("its checksum is another")
        tensors = load_tensors(content)
    except DamagedError:
        raise
    except (SafetensorError, LookupError, TypeError, AttributeError, ValueError, RecursionError, RuntimeError) as error:
        raise DamagedError(_reason(error)) from error
    wrong = next((name for name, value in tensors.items() if not finite(value)), None)
    if wrong is not None:
        raise DamagedError("it holds numbers that are not finite")
    return tensors, texts


def finite(value: Tensor) -> bool:
    """Return whether a tensor holds neither nan nor infinity."""
    return not value.is_floating_point() or bool(torch.isfinite(value).all())


def read_fields(kind: type[Kind], text: str) -> Kind:
    """Parse settings from a JSON text of a header.

    Args:
        kind: A flat dataclass of texts, numbers, booleans and choices.
        text: A JSON object with values of the right types, at least for each field without a default.

    Raises:
        DamagedError: It is no such object, has other keys, or a value of another type.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedError(_reason(error)) from error
    types = typing.get_type_hints(kind)
    if not isinstance(content, dict) or not set(content) <= set(types):
        raise DamagedError(f"its {kind.__name__} has other keys than {', '.join(types)}")
    for name, value in content.items():
        if not _has_type(value, types[name]):
            raise DamagedError(f"its {name} is no valid {getattr(types[name], '__name__', 'choice')}")
    required = [field.name for field in dataclasses.fields(typing.cast(Any, kind)) if _is_required(field)]
    if not set(required) <= set(content):
        raise DamagedError(f"its {kind.__name__} lacks {', '.join(sorted(set(required) - set(content)))}")
    return kind(**content)


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _has_type(value: Any, kind: Any) -> bool:
    if typing.get_origin(kind) is Literal:
        return isinstance(value, str) and value in typing.get_args(kind)
    if kind is float:
        return type(value) in (int, float)
    return type(value) is kind


def _read(path: Path) -> bytes:
    """Read a file of the length in its header; stop at the header of any other file."""
    with open_regular(path, MOST) as (file, size):
        start = file.read(8)
        start += file.read(min(HEADER, int.from_bytes(start, "little")))
        header = _header(start)
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        if len(start) + max(ends, default=0) != size:
            raise DamagedError("its length is another")
        return start + file.read()


def _split(content: bytes) -> tuple[dict[str, Any], memoryview]:
    """Split a file into its header and the bytes of its tensors."""
    return _header(content), memoryview(content)[8 + int.from_bytes(content[:8], "little") :]


def _header(content: bytes) -> dict[str, Any]:
    size = int.from_bytes(content[:8], "little")
    if not 2 <= size <= min(HEADER, len(content) - 8):
        raise DamagedError("it is no file of tensors, or cut short")
    header = json.loads(content[8 : 8 + size])
    if not isinstance(header, dict):
        raise DamagedError("it is no file of tensors")
    return header


def _digest(header: Mapping[str, Any], data: memoryview) -> str:
    digest = hashlib.sha256(_canonical(header))
    digest.update(data)
    return digest.hexdigest()


def _canonical(header: Mapping[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__
