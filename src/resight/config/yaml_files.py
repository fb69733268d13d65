"""YAML as resight reads it: names, values and lists, and nothing by which a short file becomes a large one.

Files come from other people, and YAML has more than settings need: aliases that multiply, tags that make objects,
values inside each other without end. A file is read event by event and left at the first of these.
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
"""Bytes of a file, and letters of a text."""

DEEPEST = 8
"""Values inside each other."""

MOST = 2_000
"""Names and values together."""

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
"""Letters; Python itself gives up on whole numbers of some thousands."""

Scalar = Callable[[str, bool], Any]
"""Makes a value of its text, and of whether that stands there without quotes."""


def resolved(text: str, plain: bool) -> Any:
    """Give what a scalar means: text in quotes is text; null, a switch, a number and other text stand without."""
    if not plain:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _LONGEST_NUMBER and _INT.fullmatch(text):
        return int(text)
    return float(text) if len(text) <= _LONGEST_NUMBER and _FLOAT.fullmatch(text) else text


def as_text(text: str, plain: bool) -> str | None:
    """Give a scalar as it is written, and None for a plain null: whoever knows its type makes a value of it."""
    return None if plain and _WORDS.get(text, text) is None else text


def read_yaml(path: str | Path, *, scalar: Scalar = resolved) -> dict[str, Any]:
    """Read names and values, nested, from a file of at most `LARGEST` bytes.

    Args:
        path: A file of UTF-8.
        scalar: What becomes of a single value.

    Returns:
        By name a value, a list or names and values again; empty for a file of nothing.

    Raises:
        ConfigError: It is no file, too large, no text, no YAML, or holds more than names, values and lists.
    """
    content = parse_yaml(_text(Path(path)), str(path), scalar=scalar)
    if content is None or content == "":
        return {}
    if not isinstance(content, dict):
        found = "a list" if isinstance(content, list) else "a single value"
        raise ConfigError(f"{path} must hold names and values, found {found}")
    return content


def parse_yaml(text: str, where: str, *, scalar: Scalar = resolved) -> Any:
    """Read a value out of text.

    Args:
        text: YAML of one document.
        where: What an error calls the text.
        scalar: What becomes of a single value.

    Raises:
        ConfigError: As for `read_yaml`.
    """
    if len(text) > LARGEST:
        raise ConfigError(f"{where} is too large: {len(text):,} letters, at most {LARGEST:,} are read")
    try:
        events = _sound(text, where)
        value = _value(events, where, scalar)
        next(events, None)  # to the end: what comes after is looked at too
        return value
    except ConfigError:
        raise
    except yaml.MarkedYAMLError as error:
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise ConfigError(f"{where} is not YAML: {error.problem or error.context}{line}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # of letters that are none, and of its own mistakes
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


def _sound(text: str, where: str) -> Iterator[yaml.Event]:
    """Go through the events of one document that holds no more than settings need."""
    depth = count = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.NodeEvent):
            count += 1
            _check_plain(event, where)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        place = _place(event, where)
        if depth > DEEPEST:
            raise ConfigError(f"{place}: more than {DEEPEST} values inside each other are no settings")
        if count > MOST:
            raise ConfigError(f"{place}: more than {MOST:,} names and values are no settings")
        if documents > 1:
            raise ConfigError(f"{place}: a second document starts here: keep one")
        if isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            yield event


def _place(event: yaml.Event, where: str) -> str:
    return f"{where}, line {event.start_mark.line + 1}" if event.start_mark else where


def _check_plain(event: yaml.NodeEvent, where: str) -> None:
    place = _place(event, where)
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        raise ConfigError(
            f"{place}: names for values (&{event.anchor} and *{event.anchor}) are not read: repeat the value"
        )
    tag = getattr(event, "tag", None)
    if tag is not None:
        short = tag.replace("tag:yaml.org,2002:", "!!")
        raise ConfigError(f"{place}: tags ({short}) are not read: write the value alone")


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
"""Stands for the end of a list or of names and values."""


def _list(events: Iterator[yaml.Event], where: str, scalar: Scalar) -> list[Any]:
    return list(iter(lambda: _value(events, where, scalar), _END))


def _names(events: Iterator[yaml.Event], where: str, scalar: Scalar) -> dict[str, Any]:
    content: dict[str, Any] = {}
    while (name := _value(events, where, lambda text, _: text)) is not _END:
        if not isinstance(name, str):
            raise ConfigError(f"{where}: a name must be one word, found a list or names and values")
        if name in content:
            raise ConfigError(f"{where}: {name} stands there twice: keep one")
        content[name] = _value(events, where, scalar)
    return content
