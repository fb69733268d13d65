"""Values of settings: what a type takes, made of text, and checked wherever it comes from."""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
import re
import types
import typing
from collections.abc import Mapping
from typing import Any

from resight.errors import ConfigError
from resight.files import shortened
from resight.hints import choice
from resight.yaml_files import as_text, parse_yaml

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
        shown = "null" if given is None else _shown(given)
        near = choice(shown, list(map(str, typing.get_args(kind)))) if typing.get_origin(kind) is typing.Literal else ""
        raise ConfigError(f"{name} must be {meant(kind)}, found '{shortened(shown, 60)}'{near}") from None


def check_kinds(settings: Any) -> None:
    """Make sure that each value is of its field's type and each number one to compute with, whoever made the settings.

    Raises:
        ConfigError: One is not, with its name.
    """
    for name, kind in kinds(type(settings)).items():
        value = getattr(settings, name)
        if not _is(value, kind):
            finite = " that is finite" if kind is float else ""
            raise ConfigError(f"{name} must be {meant(kind)}{finite}, found {shortened(repr(value), 60)}")
        if isinstance(value, numbers.Integral) and abs(int(value)) > LARGEST_COUNT and not name.endswith("seed"):
            raise ConfigError(f"{name} must be {LARGEST_COUNT:,} or less, found {shortened(value, 60)}")


def kinds(settings: type) -> Mapping[str, Any]:
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


def _is(value: Any, kind: Any) -> bool:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(_is(value, each) for each in inner)
    if origin is typing.Literal:
        return isinstance(value, str | int) and value in inner
    if origin is tuple:
        wanted = [inner[0]] * len(value) if inner[-1] is Ellipsis and isinstance(value, tuple) else inner
        return isinstance(value, tuple) and len(value) == len(wanted) and all(map(_is, value, wanted))
    if kind in (int, float):
        real = isinstance(value, numbers.Integral if kind is int else numbers.Real) and not isinstance(value, bool)
        return real and (kind is int or math.isfinite(value))
    return isinstance(value, kind)
