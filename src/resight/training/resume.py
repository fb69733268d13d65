"""Which changes of settings a resumed run allows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from resight.config import renamed
from resight.files import expanded, printable, shortened

ADDED = {"layout": "", "pattern": "", **renamed.ADDED}
"""The settings that runs of earlier versions lack, and their values then."""


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the changes of settings that would make it another run.

    A run may get more epochs, unless the learning rate's schedule depends on their number, and its folder may move.

    Args:
        old: The run's settings by their dotted names.
        new: The requested settings by the same names.

    Returns:
        A text for each change that makes another run, and a text for each change that may not: data of the same kind
        in another folder.
    """
    free = {"run", "device.threads"} | (set() if new.get("schedule") == "cosine" else {"epochs"})
    changed: dict[bool, list[str]] = {False: [], True: []}
    for name, value in new.items():
        if name not in free and old[name] != value and not _same_paths(name, old[name], value):
            moved = _may_be_moved(name, str(old[name]), str(value))
            changed[moved].append(f"{name} was {_shorten(old[name])}, now {_shorten(value)}")
    return changed[False], changed[True]


def _same_paths(name: str, old: Any, new: Any) -> bool:
    """Return whether the two values of a setting are spellings of the same paths."""
    if name not in ("data", "source", "start", "structure"):
        return False
    separator = "," if name == "start" else "="
    texts = [str(text).split(separator) for text in (old, new)]
    first, second = ([os.path.realpath(expanded(piece)) for piece in pieces if piece] for pieces in texts)
    return first == second


def _may_be_moved(name: str, old: str, new: str) -> bool:
    """Return whether the two values of a setting name data of one kind, which may have moved."""
    kinds = [text.partition("=")[0] if "=" in text else "" for text in (old, new)]
    return name in ("data", "source") and bool(old and new) and kinds[0] == kinds[1]


def _shorten(value: Any) -> str:
    return shortened(printable(value), 150)
