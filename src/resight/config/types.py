"""Values of settings: parsed from text, and checked against the types of the fields."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import os
import re
import types
import typing
from collections.abc import Mapping
from typing import Any

from resight.config import hints
from resight.config.yaml_files import as_text, parse_yaml
from resight.errors import ConfigError, shown
from resight.files import shortened

_INT = re.compile(r"[-+]?[0-9]{1,400}")
_FLOAT = re.compile(r"[-+]?([0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})([eE][-+]?[0-9]{1,9})?")
SWITCHES = {**dict.fromkeys(("true", "yes", "on"), True), **dict.fromkeys(("false", "no", "off"), False)}
"""The words for true and false, in lower case."""

LARGEST_COUNT = 2**31 - 1
"""The upper limit of whole numbers, except for seeds."""


class UnfitError(ValueError):
    """A text does not describe a value of the type."""


def value_of(raw: Any, kind: Any, name: str) -> Any:
    """Parse the value of a setting from a flag or a recipe.

    Args:
        raw: Text, a list of texts, or None for a plain null of YAML.
        kind: The setting's type.
        name: The setting's name for the error.

    Raises:
        ConfigError: The text does not describe a value of the type.
    """
    if isinstance(raw, str) and "\0" in raw:
        raise ConfigError(f"{name} holds a NUL character, which no file name may hold: found '{shortened(raw, 60)}'")
    try:
        return _parse(raw, kind)
    except UnfitError:
        text = "null" if raw is None else _raw_text(raw)
        hint = _hint(text, kind)
        raise ConfigError(f"{name} must be {describe_type(kind)}, found '{shortened(text, 60)}'{hint}") from None


def check_types(settings: Any) -> None:
    """Check the type of each field of a settings dataclass, and that each number is finite.

    Call it from `__post_init__`. A value of an equivalent type is converted: a whole number to a float, a number of
    numpy to one of Python, a list to a tuple, a path to its text.

    Raises:
        ConfigError: A field has another type; the message names the field and what it must be.
    """
    for name, kind in kinds(settings.__class__).items():
        value = getattr(settings, name)
        try:
            converted = _convert(value, kind)
        except (TypeError, OverflowError):
            wanted, hint = describe_type(kind), _hint(value, kind)
            raise ConfigError(f"{name} must be {wanted}, found {shown(value)}{hint}") from None
        if isinstance(converted, float) and not math.isfinite(converted):
            raise ConfigError(f"{name} must be {describe_type(kind)} that is finite, found {converted}")
        if isinstance(converted, int) and abs(converted) > LARGEST_COUNT and not name.endswith("seed"):
            raise ConfigError(f"{name} must be {LARGEST_COUNT:,} or less, found {shortened(converted, 60)}")
        if converted is not value:
            object.__setattr__(settings, name, converted)


@functools.cache
def kinds(settings: Any) -> Mapping[str, Any]:
    """Return the type of each field of a settings dataclass."""
    annotations = typing.get_type_hints(settings)
    return {field.name: annotations[field.name] for field in dataclasses.fields(settings)}


def describe_type(kind: Any) -> str:
    """Return a type's values in words, such as "a whole number"."""
    words = {bool: "true or false", int: "a whole number", float: "a number", types.NoneType: "null", str: "text"}
    inner = typing.get_args(kind)
    if typing.get_origin(kind) is typing.Literal:
        return f"one of {', '.join(map(str, inner))}" if len(inner) > 1 else str(inner[0])
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return " or ".join(map(describe_type, inner))
    if typing.get_origin(kind) is tuple:
        examples = [{int: "3", float: "0.5"}.get(item, "name") for item in inner if item is not Ellipsis]
        return f"a list such as [{', '.join(examples)}]"
    return words.get(kind) or f"{kind.__name__}(...)"


def _parse(raw: Any, kind: Any) -> Any:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _parse_union(raw, sorted(inner, key=lambda member: member is not types.NoneType))
    if kind is types.NoneType:
        return _look_up(raw, {None: None, "null": None, "~": None})
    if origin is tuple:
        return _parse_tuple(raw, inner)
    if not isinstance(raw, str):
        raise UnfitError
    if kind is bool:
        return _look_up(raw.lower(), SWITCHES)
    if origin is typing.Literal:
        return _look_up(raw, {str(value): value for value in inner})
    if kind in (int, float):
        if not (_INT if kind is int else _FLOAT).fullmatch(raw):
            return _look_up(raw if kind is float else None, {".nan": math.nan, ".inf": math.inf, "-.inf": -math.inf})
        return kind(raw)
    return raw


def _parse_union(raw: Any, members: list[Any]) -> Any:
    for kind in members[:-1]:
        with contextlib.suppress(UnfitError):
            return _parse(raw, kind)
    return _parse(raw, members[-1])


def _look_up(raw: Any, values: Mapping[Any, Any]) -> Any:
    if raw not in values:
        raise UnfitError
    return values[raw]


def _parse_tuple(raw: Any, inner: tuple[Any, ...]) -> tuple[Any, ...]:
    if isinstance(raw, str):
        try:
            raw = parse_yaml(raw, "the list", scalar=as_text)
        except ConfigError:
            raise UnfitError from None
    if not isinstance(raw, list):
        raise UnfitError
    item_kinds = [inner[0]] * len(raw) if inner[-1] is Ellipsis else inner
    if len(raw) != len(item_kinds):
        raise UnfitError
    return tuple(_parse(item, kind) for item, kind in zip(raw, item_kinds, strict=True))


def _raw_text(raw: Any) -> Any:
    if not isinstance(raw, list):
        return raw
    return f"[{', '.join(map(str, raw[:20]))}{', ...' if len(raw) > 20 else ''}]"


def _convert(value: Any, kind: Any) -> Any:
    """Return a value as one of a type.

    Raises:
        TypeError: It has no equivalent of the type.
        OverflowError: It is a whole number beyond the range of floats.
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        value = value.item()
    if origin is typing.Literal:
        if any(type(value) is type(choice) and value == choice for choice in inner):
            return value
    elif origin in (typing.Union, types.UnionType):
        for member in inner:
            with contextlib.suppress(TypeError):
                return _convert(value, member)
    elif origin is tuple and isinstance(value, list | tuple):
        item_kinds = inner[:1] * len(value) if Ellipsis in inner else inner
        if len(item_kinds) == len(value):
            return tuple(map(_convert, value, item_kinds))
    elif kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif kind is int and isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    elif kind is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    elif kind not in (float, int) and origin is not tuple and isinstance(value, origin or kind):
        return value
    raise TypeError


def _hint(value: Any, kind: Any) -> str:
    """Return a hint at the choice that a user may mean by another word; empty if the type has no choices."""
    if not isinstance(value, str) or typing.get_origin(kind) is not typing.Literal:
        return ""
    return hints.choice(value, list(map(str, typing.get_args(kind))))
