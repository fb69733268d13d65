"""Values of settings: what a type takes, made of text, and checked wherever it comes from."""

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

from resight.config.hints import choice
from resight.config.yaml_files import as_text, parse_yaml
from resight.errors import ConfigError, shown
from resight.files import shortened

_INT = re.compile(r"[-+]?[0-9]{1,400}")
_FLOAT = re.compile(r"[-+]?([0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})([eE][-+]?[0-9]{1,9})?")
_SWITCH = {**dict.fromkeys(("true", "yes", "on"), True), **dict.fromkeys(("false", "no", "off"), False)}


LARGEST_COUNT = 2**31 - 1
"""What counts and sizes stay below, whatever they are of; seeds may be as long as they like."""


class UnfitError(ValueError):
    """A value is not of the type that it is for."""


def value_of(given: Any, kind: Any, name: str) -> Any:
    """Make a setting's value of what a flag or a recipe says.

    Args:
        given: Text, a list of texts, or None for a plain null of YAML.
        kind: The setting's type.
        name: What an error calls the setting.

    Raises:
        ConfigError: It is not of the type.
    """
    if isinstance(given, str) and "\0" in given:
        raise ConfigError(f"{name} holds a NUL, as no name of a file may: found '{shortened(given, 60)}'")
    try:
        return _made(given, kind)
    except UnfitError:
        text = "null" if given is None else _shown(given)
        raise ConfigError(f"{name} must be {meant(kind)}, found '{shortened(text, 60)}'{_near(text, kind)}") from None


def check_types(settings: Any) -> None:
    """Make sure that each field of a settings dataclass is of its type, and each number one to compute with.

    For its `__post_init__`, whoever makes the settings. What says the same in another type becomes the declared one: a
    whole number a float, a number of numpy one of Python, a list a tuple, a path its text.

    Raises:
        ConfigError: A field is not, with its name and what it must be.
    """
    for name, kind in kinds(settings.__class__).items():
        value = getattr(settings, name)
        try:
            taken = _taken(value, kind)
        except (TypeError, OverflowError):
            raise ConfigError(f"{name} must be {meant(kind)}, found {shown(value)}{_near(value, kind)}") from None
        if isinstance(taken, float) and not math.isfinite(taken):
            raise ConfigError(f"{name} must be {meant(kind)} that is finite, found {taken}")
        if isinstance(taken, int) and abs(taken) > LARGEST_COUNT and not name.endswith("seed"):
            raise ConfigError(f"{name} must be {LARGEST_COUNT:,} or less, found {shortened(taken, 60)}")
        if taken is not value:
            object.__setattr__(settings, name, taken)


@functools.cache
def kinds(settings: Any) -> Mapping[str, Any]:
    """Give the type of each field of a settings dataclass."""
    return _kinds(settings)


@functools.cache
def _kinds(settings: Any) -> Mapping[str, Any]:
    hints = typing.get_type_hints(settings)
    return {field.name: hints[field.name] for field in dataclasses.fields(settings)}


def meant(kind: Any) -> str:
    """Give the words for the values of a type."""
    words = {bool: "true or false", int: "a whole number", float: "a number", types.NoneType: "null", str: "text"}
    inner = typing.get_args(kind)
    if typing.get_origin(kind) is typing.Literal:
        return f"one of {', '.join(map(str, inner))}"
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return " or ".join(map(meant, inner))
    if typing.get_origin(kind) is tuple:
        examples = [{int: "3", float: "0.5"}.get(each, "name") for each in inner if each is not Ellipsis]
        return f"a list such as [{', '.join(examples)}]"
    return words.get(kind) or f"{kind.__name__}(...)"


def _made(given: Any, kind: Any) -> Any:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _first(given, sorted(inner, key=lambda each: each is not types.NoneType))
    if kind is types.NoneType:
        return _chosen(given, {None: None, "null": None, "~": None})
    if origin is tuple:
        return _tuple(given, inner)
    if not isinstance(given, str):
        raise UnfitError
    if kind is bool:
        return _chosen(given.lower(), _SWITCH)
    if origin is typing.Literal:
        return _chosen(given, {str(each): each for each in inner})
    if kind in (int, float):
        if not (_INT if kind is int else _FLOAT).fullmatch(given):
            return _chosen(given if kind is float else None, {".nan": math.nan, ".inf": math.inf, "-.inf": -math.inf})
        return kind(given)
    return given


def _first(given: Any, kinds: list[Any]) -> Any:
    for kind in kinds[:-1]:
        try:
            return _made(given, kind)
        except UnfitError:
            pass
    return _made(given, kinds[-1])


def _chosen(given: Any, known: Mapping[Any, Any]) -> Any:
    if given not in known:
        raise UnfitError
    return known[given]


def _tuple(given: Any, inner: tuple[Any, ...]) -> tuple[Any, ...]:
    if isinstance(given, str):
        try:
            given = parse_yaml(given, "the list", scalar=as_text)
        except ConfigError:
            raise UnfitError from None
    if not isinstance(given, list):
        raise UnfitError
    wanted = [inner[0]] * len(given) if inner[-1] is Ellipsis else inner
    if len(given) != len(wanted):
        raise UnfitError
    return tuple(_made(each, kind) for each, kind in zip(given, wanted, strict=True))


def _shown(given: Any) -> str:
    return (
        f"[{', '.join(map(str, given[:20]))}{', ...' if len(given) > 20 else ''}]" if isinstance(given, list) else given
    )


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


def _near(value: Any, kind: Any) -> str:
    """Say which choice of a setting is meant by a word that is none; empty where it has no choices."""
    if not isinstance(value, str) or typing.get_origin(kind) is not typing.Literal:
        return ""
    return choice(value, list(map(str, typing.get_args(kind))))
