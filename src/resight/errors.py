"""The errors that resight raises on purpose.

Every message says what was expected, what was found, where, and what to do. The command line prints it as
one line and exits with status 2.
"""

from __future__ import annotations

import difflib
import numbers
import os
import reprlib
from collections.abc import Iterable
from typing import Any

MOST_THREADS = 1024
"""Of a process; no machine has as many cores for one, and systems refuse to start a hundred times as many."""


class ResightError(ValueError):
    """The root of every error that resight raises on purpose."""


class DataError(ResightError):
    """A data set, a folder or an image is not what was expected."""


class ConfigError(ResightError):
    """A setting is unknown, of the wrong kind or out of its range."""


class WeightsError(ResightError):
    """Weights cannot be found, read or fitted to the network."""


class RunError(ResightError):
    """A run folder cannot be used, or a run went wrong (a loss that is not finite, no clusters)."""


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.5) -> str:
    """Say which known name is meant by a mistyped one.

    Args:
        name: What the user wrote.
        known: The names that exist.
        cutoff: How alike they must be, 0..1.

    Returns:
        ``"; did you mean 'x'?"``, or ``""`` where nothing is near.
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"; did you mean '{close[0]}'?" if close else ""


def counted(number: int, one: str, many: str = "") -> str:
    """Say how many there are, in the singular or the plural.

    Args:
        number: How many.
        one: What a single one is called.
        many: What several are called; with an s at the end where absent.

    Returns:
        The number and the words: ``"1 file"``, ``"2,000 files"``.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60


def shown(value: object) -> str:
    """Return a value as an error shows it: in Python's notation, which escapes what would act on a terminal, and short.

    Of what is neither text, number nor a few of these only the type is named.
    """
    plain = isinstance(value, str | bytes | numbers.Number | os.PathLike | list | tuple | dict | type(None))
    try:
        return _short.repr(value) if plain else f"a {type(value).__name__}"
    except Exception:  # a number of thousands of digits
        return f"a {type(value).__name__}"


def check_given(name: str, value: object, kind: Any, wanted: str) -> None:
    """Make sure that an argument is what a function takes.

    Args:
        name: What the function calls it.
        value: What was given.
        kind: The class, or classes, that it takes.
        wanted: What to give, for the error: ``"an Encoder, as resight.load_encoder('runs/mine') gives it"``.

    Raises:
        ConfigError: It is something else.
    """
    if not isinstance(value, kind):
        raise ConfigError(f"{name} must be {wanted}; found {shown(value)}")


def yes_or_no(name: str, value: Any) -> bool:
    """Return an argument that is true or false as a bool; of text, even ``"no"`` would be true.

    Raises:
        ConfigError: It is something else.
    """
    if not isinstance(value, bool) and type(value).__name__ not in ("bool_", "bool"):  # numpy's, which is not loaded
        raise ConfigError(f"{name} must be True or False, found {shown(value)}")
    return bool(value)


def whole_number(name: str, value: Any, *, least: int) -> int:
    """Return an argument that counts something as an int.

    Raises:
        ConfigError: It is no whole number, or below the least.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ConfigError(f"{name} must be a whole number of {least} or more, found {shown(value)}")
    return int(value)


def number_within(name: str, value: Any, low: float, high: float) -> float:
    """Return an argument that is a number as a float.

    Raises:
        ConfigError: It is none, or outside of ``low..high``.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not low <= float(value) <= high:
        raise ConfigError(f"{name} must be in [{low:g}, {high:g}], found {shown(value)}")
    return float(value)


def check_least(settings: object, least: float, *names: str) -> None:
    """Make sure that settings are not below a number.

    Raises:
        ConfigError: One is, with its name.
    """
    for name in names:
        if getattr(settings, name) < least:
            raise ConfigError(f"{name} must be {least:g} or more, found {getattr(settings, name)}")


def check_most(settings: object, most: float, *names: str) -> None:
    """Make sure that settings are not above a number.

    Raises:
        ConfigError: One is, with its name.
    """
    for name in names:
        if getattr(settings, name) > most:
            raise ConfigError(f"{name} must be {most:,} or less, found {getattr(settings, name)}")


def check_shares(settings: object, *names: str) -> None:
    """Make sure that settings are within 0..1.

    Raises:
        ConfigError: One is not, with its name.
    """
    for name in names:
        if not 0 <= getattr(settings, name) <= 1:
            raise ConfigError(f"{name} must be in 0..1, found {getattr(settings, name)}")


HEAVIEST = 1_000_000
"""What a loss may weigh: beyond it losses and gradients leave float32."""


def check_schedule(settings: object) -> None:
    """Make sure that a method's steps can be computed: its learning rate, and its images of each identity.

    Raises:
        ConfigError: One is beyond what any training can use, with its name.
    """
    check_most(settings, 10, "learning_rate")
    check_most(settings, 1_024, "images")


def check_parts(identities: int, parts: int) -> None:
    """Make sure that no part of a batch that batch norm sees apart is of a single identity.

    Raises:
        ConfigError: One is, with the number of parts that would do.
    """
    if 2 * parts > identities:
        raise ConfigError(
            f"a batch of {identities} identities in {parts} parts has parts of a single one, whom batch norm then "
            f"hides: set ghost_batches to {max(1, identities // 2)} or fewer"
        )
