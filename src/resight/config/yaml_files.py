"""YAML with names, values and lists only, read with limits on its size and depth.

Files come from other people, and YAML has more than settings need: aliases that multiply content, tags that construct
objects, nesting without end. A file is read event by event, and rejected at the first of these.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from resight.errors import ConfigError

LARGEST = 2**18
"""The most bytes of a file, and characters of a text."""

DEEPEST = 8
"""The deepest nesting of values."""

MOST = 2_000
"""The most names and values together."""

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_LONGEST_NUMBER = 400
"""The most digits of a number; Python refuses to convert whole numbers with thousands of digits."""

Scalar = Callable[[str, bool], Any]
"""A function that converts a text, given whether it stands without quotes, to a value."""


def resolved(text: str, plain: bool) -> Any:
    """Return the value of a scalar: text if in quotes; else null, a boolean, a number or text."""
    if not plain:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _LONGEST_NUMBER and _INT.fullmatch(text):
        return int(text)
    return float(text) if len(text) <= _LONGEST_NUMBER and _FLOAT.fullmatch(text) else text


def as_text(text: str, plain: bool) -> str | None:
    """Return a scalar as written, and None for a plain null, for callers that know the type."""
    return None if plain and _WORDS.get(text, text) is None else text


def read_yaml(path: str | Path, *, scalar: Scalar = resolved) -> dict[str, Any]:
    """Read names and values, nested, from a file of at most `LARGEST` bytes.

    Args:
        path: A file in UTF-8.
        scalar: Converts single values.

    Returns:
        For each name a value, a list or a nested mapping; empty for an empty file.

    Raises:
        ConfigError: It is no file, too large, no text, no YAML, or holds more than names, values and lists.
    """
    content = parse_yaml(_text(Path(path)), str(path), scalar=scalar)
    if content is None or content == "":
        return {}
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else "a single value"
        raise ConfigError(f"{path} must hold names and values, found {kind}")
    return content


def parse_yaml(text: str, where: str, *, scalar: Scalar = resolved) -> Any:
    """Parse a value from text.

    Args:
        text: YAML of one document.
        where: The name of the text for errors.
        scalar: Converts single values.

    Raises:
        ConfigError: As for `read_yaml`.
    """
    if len(text) > LARGEST:
        raise ConfigError(f"{where} is too large: {len(text):,} characters, at most {LARGEST:,} are read")
    try:
        events = _checked_events(text, where)
        value = _value(events, where, scalar)
        next(events, None)  # also checks what follows the value
        return value
    except ConfigError:
        raise
    except yaml.MarkedYAMLError as error:
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise ConfigError(f"{where} is not YAML: {error.problem or error.context}{line}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # invalid characters, and errors within PyYAML
        raise ConfigError(f"{where} is not YAML: {getattr(error, 'reason', error)}") from error


def _text(path: Path) -> str:
    try:
        if not path.is_file():  # a device or a pipe might never end
            raise ConfigError(f"{path} is no file that can be read: give a file of text")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ConfigError(f"{path} is too large: more than {LARGEST:,} bytes are no settings")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no text of UTF-8 (byte {error.start}): save it as UTF-8") from error


def _checked_events(text: str, where: str) -> Iterator[yaml.Event]:
    """Yield the events of one document; reject what settings do not need."""
    depth = count = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.NodeEvent):
            count += 1
            _check_plain(event, where)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        location = _location(event, where)
        if depth > DEEPEST:
            raise ConfigError(f"{location}: more than {DEEPEST} levels of nesting are no settings")
        if count > MOST:
            raise ConfigError(f"{location}: more than {MOST:,} names and values are no settings")
        if documents > 1:
            raise ConfigError(f"{location}: a second document starts here: keep one")
        if isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            yield event


def _location(event: yaml.Event, where: str) -> str:
    return f"{where}, line {event.start_mark.line + 1}" if event.start_mark else where


def _check_plain(event: yaml.NodeEvent, where: str) -> None:
    location = _location(event, where)
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        raise ConfigError(
            f"{location}: names for values (&{event.anchor} and *{event.anchor}) are not read: repeat the value"
        )
    tag = getattr(event, "tag", None)
    if tag is not None:
        short = tag.replace("tag:yaml.org,2002:", "!!")
        raise ConfigError(f"{location}: tags ({short}) are not read: write the value alone")


def _value(events: Iterator[yaml.Event], where: str, scalar: Scalar) -> Any:
    event = next(events, None)
    if event is None:
        return None
    if isinstance(event, yaml.SequenceStartEvent):
        return _list(events, where, scalar)
    if isinstance(event, yaml.MappingStartEvent):
        return _names(events, where, scalar)
    if isinstance(event, yaml.ScalarEvent):
        return scalar(event.value, event.style is None)
    return _END


_END = object()
"""Marks the end of a list or a mapping."""


def _list(events: Iterator[yaml.Event], where: str, scalar: Scalar) -> list[Any]:
    return list(iter(lambda: _value(events, where, scalar), _END))


def _names(events: Iterator[yaml.Event], where: str, scalar: Scalar) -> dict[str, Any]:
    content: dict[str, Any] = {}
    while (name := _value(events, where, lambda text, _: text)) is not _END:
        if not isinstance(name, str):
            raise ConfigError(f"{where}: a name must be one word, found a list or names and values")
        if name in content:
            raise ConfigError(f"{where}: {name} appears twice: keep one")
        content[name] = _value(events, where, scalar)
    return content
