"""Files of tensors: the same bytes for the same content, and no flipped bit goes unnoticed."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file, save_file

from resight import checksums as sealed
from resight.checksums import DamagedError, read_fields, seal, unseal

TENSORS = {"b": torch.arange(6.0).view(2, 3), "a": torch.tensor([1, 2]), "c": torch.tensor(True)}
TEXTS = {"second": "zwei", "first": '{"x": 1}'}


def test_the_same_content_gives_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    first = seal(TENSORS, TEXTS)
    assert all(seal(dict(reversed(TENSORS.items())), dict(sorted(TEXTS.items()))) == first for _ in range(20))
    (tmp_path / "file").write_bytes(first)
    assert load_file(tmp_path / "file").keys() == TENSORS.keys(), "any reader of safetensors takes it"
    tensors, texts = unseal(tmp_path / "file", TEXTS)
    assert texts == TEXTS
    assert all(torch.equal(value, TENSORS[name]) for name, value in tensors.items())


def test_a_flipped_bit_is_noticed_anywhere(tmp_path: Path) -> None:
    content, path = seal(TENSORS, TEXTS), tmp_path / "file"
    for place in range(0, len(content), 2):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(DamagedError) as error:
            unseal(path, TEXTS, unsealed=True)
        assert "\n" not in str(error.value)


def test_what_is_cut_or_longer_is_noticed(tmp_path: Path) -> None:
    content, path = seal(TENSORS, TEXTS), tmp_path / "file"
    for wrong in (*(content[:size] for size in range(0, len(content), 7)), content + b"\0" * 8):
        path.write_bytes(wrong)
        with pytest.raises(DamagedError):
            unseal(path, TEXTS, unsealed=True)


def test_a_file_without_a_seal_is_taken_only_where_that_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    save_file(TENSORS, path, TEXTS)
    assert unseal(path, TEXTS, unsealed=True)[1] == TEXTS
    with pytest.raises(DamagedError, match="no seal"):
        unseal(path, TEXTS)
    with pytest.raises(DamagedError, match="does not hold first"):
        unseal(path, ["first"], unsealed=True)
    save_file({"a": torch.tensor([1.0, float("nan")])}, path, TEXTS)
    with pytest.raises(DamagedError, match="not finite"):
        unseal(path, TEXTS, unsealed=True)


@pytest.mark.parametrize(
    "header",
    ["[" * 10**5, '{"__metadata__": 5}', '{"__metadata__": {"first": 1, "second": 2}}', "{}", "null", "9" * 5000],
)
def test_hostile_headers_are_one_line(header: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(len(header).to_bytes(8, "little") + header.encode())
    with pytest.raises(DamagedError) as error:
        unseal(tmp_path / "file", TEXTS, unsealed=True)
    assert len(str(error.value)) < 200


def test_a_file_that_is_longer_than_it_says_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for start in (b"", seal(TENSORS, TEXTS)):
        path.write_bytes(start)
        os.truncate(path, 2**34)  # a hole, which takes no room on a disk and all memory in a process
        with pytest.raises(DamagedError):
            unseal(path, TEXTS, unsealed=True)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(DamagedError, match="it is no file"):
            unseal(path, [])
    with pytest.raises(FileNotFoundError):
        unseal(tmp_path / "absent", [])
    monkeypatch.setattr(sealed, "MOST", 10)
    (tmp_path / "large").write_bytes(bytes(11))
    with pytest.raises(DamagedError, match="11 bytes, above the limit of 10"):
        unseal(tmp_path / "large", [])


@dataclass(frozen=True)
class Described:
    number: int
    name: str = "x"
    share: float = 0.5
    kind: Literal["one", "two"] = "one"
    switch: bool = False


def test_a_header_becomes_what_it_describes() -> None:
    assert read_fields(Described, '{"number": 3, "share": 1, "kind": "two"}') == Described(3, share=1, kind="two")


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": True}, {"number": 1.0}, {"number": "1"}, {"number": None}, {"number": [1]}, {"number": 1, "name": 5},
        {"number": 1, "share": "x"}, {"number": 1, "kind": "three"}, {"number": 1, "kind": ["one"]},
        {"number": 1, "switch": 1}, {"number": 1, "other": 2}, {}, [], None,
    ],
)  # fmt: skip
def test_a_header_of_other_types_is_refused(wrong: object) -> None:
    with pytest.raises(DamagedError):
        read_fields(Described, json.dumps(wrong))
