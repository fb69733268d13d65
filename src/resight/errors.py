"""The errors that resight raises on purpose.

Every message says what was expected, what was found, where, and what to do. The command line prints it as
one line and exits with status 2.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import numbers
import os
import reprlib
import types
import typing
from collections.abc import Iterable, Mapping
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


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name is meant by a mistyped one.

    Args:
        name: What the user wrote.
        known: The names that exist.

    Returns:
        ``"; did you mean 'x'?"``, or ``""`` where nothing is near.
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
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
    """Give a value as an error shows it: in Python's notation, which escapes what would act on a terminal, and short.

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


def whole_number(name: str, value: Any, *, least: int) -> int:
    """Give an argument that counts something as an int.

    Raises:
        ConfigError: It is no whole number, or below the least.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ConfigError(f"{name} must be a whole number of {least} or more, found {shown(value)}")
    return int(value)


def number_within(name: str, value: Any, low: float, high: float) -> float:
    """Give an argument that is a number as a float.

    Raises:
        ConfigError: It is none, or outside of ``low..high``.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not low <= float(value) <= high:
        raise ConfigError(f"{name} must be in [{low:g}, {high:g}], found {shown(value)}")
    return float(value)


def check_types(settings: Any) -> None:
    """Make sure that the fields of a settings dataclass are of the types that it declares; for its `__post_init__`.

    What says the same in another type becomes the declared one: a whole number a float, a number of numpy one of
    Python, a list a tuple, a path its text.

    Raises:
        ConfigError: A field is of another type, with its name and what it must be.
    """
    for name, kind in _declared(settings.__class__).items():
        value = getattr(settings, name)
        try:
            taken = _taken(value, kind)
        except (TypeError, OverflowError):
            text = isinstance(value, str) and typing.get_origin(kind) is typing.Literal
            near = nearest(value, map(str, typing.get_args(kind))) if text else ""
            raise ConfigError(f"{name} must be {meant(kind)}, found {shown(value)}{near}") from None
        if taken is not value:
            object.__setattr__(settings, name, taken)


def meant(kind: Any) -> str:
    """Give the words for the values of a type: ``"a whole number"`` for int."""
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text", types.NoneType: "null"}
    inner = typing.get_args(kind)
    if typing.get_origin(kind) is typing.Literal:
        return f"one of {', '.join(map(str, inner))}"
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return " or ".join(map(meant, inner))
    if typing.get_origin(kind) is tuple:
        examples = [{int: "3", float: "0.5"}.get(each, "name") for each in inner if each is not Ellipsis]
        return f"a list such as [{', '.join(examples)}]"
    if dataclasses.is_dataclass(kind):
        return f"{getattr(kind, '__name__', kind)}(...)"
    return words.get(kind, "text")


@functools.cache
def _declared(kind: Any) -> Mapping[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _taken(value: Any, kind: Any) -> Any:
    """Give a value as one of a type.

    Raises:
        TypeError: It is none.
        OverflowError: It is a whole number that no float holds.
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        value = value.item()
    if origin is typing.Literal:
        if any(type(value) is type(each) and value == each for each in inner):
            return value
    elif origin in (typing.Union, types.UnionType):
        for each in inner:
            with contextlib.suppress(TypeError):
                return _taken(value, each)
    elif origin is tuple and isinstance(value, list | tuple):
        kinds = inner[:1] * len(value) if Ellipsis in inner else inner
        if len(kinds) == len(value):
            return tuple(map(_taken, value, kinds))
    elif kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif kind is int and isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    elif kind is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    elif kind not in (float, int) and origin is not tuple and isinstance(value, origin or kind):
        return value
    raise TypeError


def check_least(settings: object, least: float, *names: str) -> None:
    """Make sure that settings are not below a number.

    Raises:
        ConfigError: One is, with its name.
    """
    for name in names:
        if getattr(settings, name) < least:
            raise ConfigError(f"{name} must be {least:g} or more, found {getattr(settings, name)}")


def check_shares(settings: object, *names: str) -> None:
    """Make sure that settings are within 0..1.

    Raises:
        ConfigError: One is not, with its name.
    """
    for name in names:
        if not 0 <= getattr(settings, name) <= 1:
            raise ConfigError(f"{name} must be in 0..1, found {getattr(settings, name)}")


def check_parts(identities: int, parts: int) -> None:
    """Make sure that no part of a batch that batch norm sees apart is of a single identity.

    Raises:
        ConfigError: One is, with the number of parts that would do.
    """
    if 2 * parts > identities:
        raise ConfigError(
            f"a batch of {identities} identities in {parts} parts has parts of a single one, whom batch norm then "
            f"hides: set batchnorm_chunks to {max(1, identities // 2)} or fewer"
        )
