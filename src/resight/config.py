"""Settings: from a recipe and flags to frozen dataclasses, and back to a recipe that explains itself.

Every settings dataclass is flat or nests others; a recipe is YAML with the same nesting, a flag has dots in its place:
``--cluster.eps 0.5``. Types and defaults come from the dataclasses, meanings from their docstrings.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import json
import re
import sys
import typing
from argparse import SUPPRESS
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from docstring_parser import parse as parse_docstring
from jsonargparse import ArgumentParser

from resight.errors import ConfigError, meant, nearest
from resight.files import expanded

RECIPES = importlib.resources.files("resight") / "recipes"
"""The recipes that come with the installation."""

PRINT_CONFIG = "--print_config"
"""The flag that asks for every setting with its meaning."""


def read_settings(
    arguments: Sequence[str],
    classes: Sequence[type],
    *,
    program: str = "resight",
    variants: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Any]:
    """Turn a recipe and flags into settings.

    Args:
        arguments: Flags; ``--config RECIPE`` names a YAML file or a recipe of the installation, later flags win. A
            switch alone, ``--flip``, means ``--flip true``.
        classes: The settings dataclasses whose fields stand at the top level of a recipe; no name twice.
        program: What the help calls the command.
        variants: For each value of ``variant``, the defaults that it changes.

    Returns:
        One instance for each class.

    Raises:
        ConfigError: A key is unknown (the nearest is named), or a value is of the wrong kind or out of range.
        SystemExit: Help or the settings were asked for; they are on standard output.
    """
    known = _keys(classes)
    arguments = [_underscored(argument) for argument in arguments]
    recipes, flags = _split_recipes(arguments)
    flags = _switched(flags, known)
    for flag in flags:
        if flag.startswith("--"):
            _check(flag[2:].partition("=")[0], known, "flag --")
    contents = [_read_recipe(recipe, known, program) for recipe in recipes]
    parser = ArgumentParser(prog=program, exit_on_error=False)
    parser.add_argument("--config", metavar="RECIPE", help="a recipe: a YAML file, or the name of one that comes along")
    parser.add_argument(PRINT_CONFIG, action="store_true", help="print every setting with its meaning, and stop")
    for kind in classes:
        parser.add_class_arguments(kind)
    for action in parser._actions:
        if action.help == "Path to a configuration file.":  # of a group of settings, which recipes are for
            action.help = SUPPRESS
    chosen = _variant(contents, flags)
    if variants is not None:
        if chosen not in variants:
            raise ConfigError(f"variant must be one of {', '.join(variants)}, found '{chosen}'")
        parser.set_defaults({name: _plain(value) for name, value in variants[chosen].items()})
    flat = [[f"--{key}={value}" for key, value in _flatten(content)] for content in contents]
    try:
        parsed = parser.parse_args([*(flag for part in flat for flag in part), *flags])
        namespace = parser.instantiate(parsed)
    except ConfigError:
        raise
    except Exception as error:  # jsonargparse wraps what a dataclass raises in errors of several kinds
        raise ConfigError(_refusal(_one_line(error), known, flags)) from error
    settings = [kind(**{f.name: namespace[f.name] for f in dataclasses.fields(kind)}) for kind in classes]
    if PRINT_CONFIG in arguments:
        sys.stdout.write(write_settings(settings))
        raise SystemExit
    return settings


def write_settings(settings: Sequence[Any], *, heading: str = "") -> str:
    """Write settings as YAML, each with its meaning as a comment.

    Args:
        settings: Instances of settings dataclasses.
        heading: Comment lines for the top.

    Returns:
        A recipe that gives the same settings when it is read.
    """
    lines = [f"# {line}".rstrip() for line in heading.splitlines()]
    for instance in settings:
        lines += _lines(instance, 0)
    return "\n".join(lines) + "\n"


def find_recipe(name: str) -> Path:
    """Find a recipe: a file, or one that comes with the installation: ``site``, ``site.yaml`` or ``recipes/site.yaml``.

    Raises:
        ConfigError: There is none; the nearest is named, unless a file was meant.
    """
    path = expanded(name)
    if path.is_file():
        return path
    shipped = {item.stem: item for item in Path(str(RECIPES)).glob("*.yaml")}
    # A file of another folder that is not there must not become one of ours of the same name.
    if path.parent in (Path(), Path("recipes")) and path.suffix in ("", ".yaml") and path.stem in shipped:
        return shipped[path.stem]
    if path.suffix or path.parent != Path():
        raise ConfigError(f"no recipe '{name}': there is no such file")
    raise ConfigError(f"no recipe '{name}'{nearest(name, sorted(shipped))} (all lie in {RECIPES}; or give a YAML file)")


def flags_of(path: Path, *names: str) -> list[str]:
    """Give some of the settings in a file, or groups of them, as flags: what one command was told for another.

    Args:
        path: A YAML file, as `write_settings` gives it.
        names: Names at its top; one that it lacks gives nothing.

    Raises:
        ConfigError: It does not hold names and values.
    """
    content = _content(path)
    found = {name: content[name] for name in names if name in content}
    return [f"--{key}={value}" for key, value in _flatten(found)]


def _underscored(argument: str) -> str:
    """Let ``--validation-people`` mean ``--validation_people``."""
    if not argument.startswith("--"):
        return argument
    flag, equals, value = argument.partition("=")
    return "--" + flag[2:].replace("-", "_") + equals + value


def _split_recipes(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    recipes, flags, waiting = [], [], False
    for argument in arguments:
        if waiting:
            recipes.append(argument)
            waiting = False
        elif argument == "--config":
            waiting = True
        elif argument.startswith("--config="):
            recipes.append(argument.removeprefix("--config="))
        elif argument != PRINT_CONFIG:
            flags.append(argument)
    if waiting:
        raise ConfigError("--config needs a recipe: a YAML file, or the name of one that comes along")
    return recipes, flags


def _switched(flags: Sequence[str], known: Mapping[str, Any]) -> list[str]:
    """Give a switch that stands alone its value."""
    following = [*flags[1:], "--"]
    return [
        f"{flag}=true" if flag.startswith("--") and known.get(flag[2:]) is bool and after.startswith("-") else flag
        for flag, after in zip(flags, following, strict=False)
    ]


def _read_recipe(name: str, known: Mapping[str, Any], program: str) -> dict[str, Any]:
    path = find_recipe(name)
    content = _content(path)
    for key, _ in _flatten(content):
        try:
            _check(key, known, f"{path}: ")
        except ConfigError as error:
            # A recipe's heading holds the command that it is for.
            found = re.search(rf"resight train (\w+) --config {re.escape(path.stem)}\s", path.read_text("utf-8"))
            if found is None or found[0].startswith(f"{program} "):
                raise
            raise ConfigError(
                f"{path.stem} is a recipe of {found[1]} ({found[0].strip()}): {key} is no setting of {program}"
            ) from error
    return content


def _content(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {_one_line(error)}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold names and values, found a {type(content).__name__}")
    return content


def _check(key: str, known: Mapping[str, Any], where: str) -> None:
    if key in known or key == "help":
        return
    for name in known:
        if name.startswith(f"{key}."):
            place, dashes = where.removeprefix("flag "), "--" if where.endswith("--") else ""
            raise ConfigError(f"{place}{key} is a group of settings: name one of them, {dashes}{name} for example")
    raise ConfigError(f"{where}{key} is not a setting{nearest(key, known)}")


def dotted(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give nested settings one after the other, each by its dotted name."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _flatten(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give nested settings as the flags that set them say them."""
    for key, value in dotted(content):
        # YAML makes more kinds of a value than a flag can say: a run called 2024-05-01 is a date to it.
        plain = value is None or isinstance(value, bool | int | float | list)
        yield key, json.dumps(value, default=str) if plain else str(value)


def _keys(classes: Sequence[type], prefix: str = "") -> dict[str, Any]:
    """Give the dotted name and the type of every setting."""
    keys: dict[str, Any] = {}
    for kind in classes:
        hints = typing.get_type_hints(kind)
        for f in dataclasses.fields(kind):
            inner = hints[f.name]
            nested = dataclasses.is_dataclass(inner) and isinstance(inner, type)
            keys |= _keys([inner], f"{prefix}{f.name}.") if nested else {prefix + f.name: inner}
    return keys


def _variant(contents: Sequence[Mapping[str, Any]], flags: Sequence[str]) -> str:
    chosen = "code"
    for content in contents:
        chosen = str(content.get("variant", chosen))
    for index, flag in enumerate(flags):
        if flag.startswith("--variant="):
            chosen = flag.removeprefix("--variant=")
        elif flag == "--variant" and index + 1 < len(flags):
            chosen = flags[index + 1]
    return chosen


def _lines(instance: Any, depth: int) -> list[str]:
    kinds = reversed(type(instance).__mro__)  # settings that build on others have their meanings from these
    meanings = {p.arg_name: p.description or "" for kind in kinds for p in parse_docstring(kind.__doc__ or "").params}
    indent, lines = "  " * depth, []
    for f in dataclasses.fields(instance):
        value = getattr(instance, f.name)
        meaning = " ".join(meanings.get(f.name, "").split())
        if dataclasses.is_dataclass(value):
            lines += [f"{indent}{f.name}:  # {meaning}".rstrip(" #"), *_lines(value, depth + 1)]
        else:
            plain = list(value) if isinstance(value, tuple) else value
            lines.append(f"{indent}{f.name}: {_scalar(plain)}  # {meaning}".rstrip(" #"))
    return lines


def _scalar(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n").removesuffix("\n...")


def _plain(value: Any) -> Any:
    """Give the fields of a settings dataclass, which is what the parser takes for a group of flags."""
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value


def _refusal(text: str, known: Mapping[str, Any], flags: Sequence[str]) -> str:
    """Say what a value must be: the parser says it in the words of Python's types."""
    found = re.search(r'Parser key "([^"]+)".*(?:Got|Given) value: ?(.*)', text)
    if found is None or found[1] not in known:
        return text
    key, value = found.groups()
    kind = known[key]
    given = any(flag.partition("=")[0] == f"--{key}" for flag in flags)
    near = nearest(value, map(str, typing.get_args(kind))) if typing.get_origin(kind) is typing.Literal else ""
    return f"{'--' if given else ''}{key} must be {meant(kind)}, found '{value}'{near}"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
