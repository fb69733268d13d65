"""`metrics.jsonl`: one line for each epoch, in order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from resight.files import printable, read_regular

MOST = 2**27
"""The most bytes of a file: lines of some hundred bytes, for 100,000 epochs."""

LONGEST = 2**16
"""The most bytes of a line."""

TIMING = ("seconds", "images_per_second")
"""The names of values that differ between equal runs."""

Line = dict[str, Any]


def read_history(path: Path) -> list[Line]:
    """Read the lines of the epochs 0, 1, 2 ... up to the first that is missing, out of order or damaged."""
    try:
        content = read_regular(path, MOST)
    except (OSError, ValueError):
        return []
    lines: list[Line] = []
    for text in content.splitlines():
        line = _read_line(text)
        if line is None or line["epoch"] != len(lines):
            break
        lines.append(line)
    return lines


def write_history(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the text that `read_history` reads back."""
    return "".join(json.dumps(line) + "\n" for line in lines)


def history_digest(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return a digest of the values of some epochs, without their `TIMING`."""
    values = [{name: value for name, value in line.items() if name not in TIMING} for line in lines]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _read_line(text: bytes) -> Line | None:
    """Return a line if its names are printable and its values are numbers, else None."""
    if len(text) > LONGEST:
        return None
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict) or not {"epoch", "seconds"} <= line.keys() or type(line["epoch"]) is not int:
        return None
    valid = all(printable(name) == name and _is_number(value) for name, value in line.items())
    return line if valid else None


def _is_number(value: Any) -> bool:
    """Return whether a value is a number that a float holds, None or nan, which stand for a missing measurement."""
    return value is None or (type(value) in (int, float) and abs(value) < 1e300) or value != value
