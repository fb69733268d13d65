"""The errors that resight raises on purpose.

Every message names what was expected, what was found, where, and what to do. The command line prints it as one line and
exits with status 2.
"""

from __future__ import annotations

import difflib
import numbers
import os
import reprlib
from collections.abc import Iterable
from typing import Any

MOST_THREADS = 1024
"""The most threads of a process; no machine has as many cores, and systems refuse to start a hundred times as many."""


class ResightError(ValueError):
    """The base of every error that resight raises on purpose."""


class DataError(ResightError):
    """A data set, a folder or an image is not as expected."""


class ConfigError(ResightError):
    """A setting is unknown, of the wrong kind or out of its range."""


class WeightsError(ResightError):
    """Weights cannot be found, read or fitted to the network."""


class RunError(ResightError):
    """A run folder cannot be used, or a run went wrong (a loss that is not finite, no clusters)."""


def nearest(name: str, candidates: Iterable[str], *, cutoff: float = 0.5) -> str:
    """Return a hint at the valid name that is most similar to a mistyped one.

    Args:
        name: The name as the user wrote it.
        candidates: The valid names.
        cutoff: The least similarity, 0..1.

    Returns:
        ``"; did you mean 'x'?"``, or ``""`` if no name is similar.
    """
    close = difflib.get_close_matches(name, list(candidates), n=1, cutoff=cutoff)
    return f"; did you mean '{close[0]}'?" if close else ""


def counted(number: int, one: str, many: str = "") -> str:
    """Return a count with its noun, in the singular or the plural.

    Args:
        number: The count.
        one: The noun in the singular.
        many: The noun in the plural; if empty, the singular with an s.

    Returns:
        The number and the words: ``"1 file"``, ``"2,000 files"``.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60


def shown(value: object) -> str:
    """Return a value for an error: short, and in Python's notation, which escapes control characters.

    For values other than text, numbers, paths and small collections, only the type is named.
    """
    plain = isinstance(value, str | bytes | numbers.Number | os.PathLike | list | tuple | dict | type(None))
    try:
        return _short.repr(value) if plain else f"a {type(value).__name__}"
    except Exception:  # a number of thousands of digits
        return f"a {type(value).__name__}"


def check_given(name: str, value: object, kind: Any, wanted: str) -> None:
    """Check the type of an argument.

    Args:
        name: The name of the argument.
        value: The value.
        kind: The class, or classes, of valid values.
        wanted: What to pass, for the error: ``"an Encoder, as resight.load_encoder('runs/mine') returns"``.

    Raises:
        ConfigError: The value has another type.
    """
    if not isinstance(value, kind):
        raise ConfigError(f"{name} must be {wanted}; found {shown(value)}")


def yes_or_no(name: str, value: Any) -> bool:
    """Return a true or false argument as a bool; text is an error, because even ``"no"`` would be true.

    Raises:
        ConfigError: It is something else.
    """
    if not isinstance(value, bool) and type(value).__name__ not in (
        "bool_",
        "bool",
    ):  # numpy's bool; numpy is not loaded here
        raise ConfigError(f"{name} must be True or False, found {shown(value)}")
    return bool(value)


def whole_number(name: str, value: Any, *, least: int) -> int:
    """Return a whole number as an int.

    Raises:
        ConfigError: It is no whole number, or below the least.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ConfigError(f"{name} must be a whole number of {least} or more, found {shown(value)}")
    return int(value)


def number_within(name: str, value: Any, low: float, high: float) -> float:
    """Return a number as a float.

    Raises:
        ConfigError: It is no number, or outside of ``low..high``.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not low <= float(value) <= high:
        raise ConfigError(f"{name} must be in [{low:g}, {high:g}], found {shown(value)}")
    return float(value)


def check_least(settings: object, least: float, *names: str) -> None:
    """Check that settings are at least a number.

    Raises:
        ConfigError: One is below it; the message names it.
    """
    for name in names:
        if getattr(settings, name) < least:
            raise ConfigError(f"{name} must be {least:g} or more, found {getattr(settings, name)}")


def check_most(settings: object, most: float, *names: str) -> None:
    """Check that settings are at most a number.

    Raises:
        ConfigError: One is above it; the message names it.
    """
    for name in names:
        if getattr(settings, name) > most:
            raise ConfigError(f"{name} must be {most:,} or less, found {getattr(settings, name)}")


def check_shares(settings: object, *names: str) -> None:
    """Check that settings are within 0..1.

    Raises:
        ConfigError: One is not; the message names it.
    """
    for name in names:
        if not 0 <= getattr(settings, name) <= 1:
            raise ConfigError(f"{name} must be in 0..1, found {getattr(settings, name)}")


HEAVIEST = 1_000_000
"""The largest weight of a loss; beyond it, losses and gradients overflow float32."""


def check_schedule(settings: object) -> None:
    """Check a method's learning rate and its number of images of each identity.

    Raises:
        ConfigError: One is beyond what any training can use; the message names it.
    """
    check_most(settings, 10, "learning_rate")
    check_most(settings, 1_024, "images")


def check_parts(identities: int, parts: int) -> None:
    """Check that each ghost batch has two identities or more.

    Raises:
        ConfigError: One has a single identity; the message names the largest valid number of ghost batches.
    """
    if 2 * parts > identities:
        raise ConfigError(
            f"a batch of {identities} identities in {parts} parts has parts of a single identity, whose features batch "
            f"norm removes: set ghost_batches to {max(1, identities // 2)} or fewer"
        )
