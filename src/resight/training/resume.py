"""Whether a run may go on with other settings than it began with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from resight.files import expanded, printable, shortened

ADDED = {"layout": "", "pattern": ""}
"""Settings that runs of earlier versions do not name, and what they were."""


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Say which settings, by their dotted names, make another run.

    More epochs only make a run longer, if the learning rate is not spread over them, and its folder may be moved.

    Args:
        old: The run's settings.
        new: What is asked for now, by the same names.

    Returns:
        What is said of each that does, and of each of which it cannot be told: data of the same kind in another place.
    """
    free = {"run", "device.threads"} | (set() if new.get("schedule") == "cosine" else {"epochs"})
    changed: dict[bool, list[str]] = {False: [], True: []}
    for name, value in new.items():
        if name not in free and old[name] != value and not _same_place(name, old[name], value):
            may_move = _may_move(name, str(old[name]), str(value))
            changed[may_move].append(f"{name} was {_told(old[name])}, now {_told(value)}")
    return changed[False], changed[True]


def _same_place(name: str, old: Any, new: Any) -> bool:
    """Say whether a setting of paths names the same ones in another way."""
    if name not in ("data", "source", "start"):
        return False
    separator = "," if name == "start" else "="
    texts = [str(text).split(separator) for text in (old, new)]
    first, second = ([os.path.realpath(expanded(piece)) for piece in pieces if piece] for pieces in texts)
    return first == second


def _may_move(name: str, old: str, new: str) -> bool:
    """Say whether a setting names data of one kind in two places."""
    kinds = [text.partition("=")[0] if "=" in text else "" for text in (old, new)]
    return name in ("data", "source") and bool(old and new) and kinds[0] == kinds[1]


def _told(value: Any) -> str:
    return shortened(printable(value), 150)
