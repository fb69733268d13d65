"""Settings: read from recipes and flags, checked before anything runs, written as a recipe with comments.

A settings dataclass is flat or nests others. A recipe is YAML with the same nesting; a flag has dots instead:
``--cluster.eps 0.5``. Types and defaults come from the dataclasses, meanings from their docstrings.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from resight.config import renamed
from resight.config.help import meanings, usage
from resight.config.hints import unknown
from resight.config.recipes import RECIPES, find_recipe, load_recipe
from resight.config.types import kinds, value_of
from resight.config.yaml_files import as_text, read_yaml
from resight.errors import ConfigError
from resight.files import expanded, printable, shortened

logger = logging.getLogger(__name__)

PRINT_CONFIG = "--print_config"
"""The flag that prints every setting with its value and meaning."""

HELP = ("-h", "--help", "--help_all")
"""The flags that print the help: in short, and in full."""

ONCE = {
    "data": "it takes one data set: put the images of both under one folder",
    "source": "it takes one source",
    "run": "it takes one run folder",
    "start": "it takes one; two with a comma between them are for the two networks of mmt",
}
"""Settings whose flag may not be repeated with another value, and the advice in the error."""


@dataclasses.dataclass(frozen=True)
class _CommandLine:
    """A parsed command line.

    Attributes:
        recipes: The recipes that ``--config`` names, in order.
        values: Names of settings and their texts, in order.
        requests: The flags that request help or the settings.
    """

    recipes: list[str]
    values: list[tuple[str, str]]
    requests: set[str]


def read_settings(
    arguments: Sequence[str],
    classes: Sequence[type],
    *,
    program: str = "resight",
    variants: Mapping[str, Mapping[str, Any]] | None = None,
    first: Sequence[str] = (),
) -> list[Any]:
    """Build settings from a recipe and flags.

    Args:
        arguments: Flags; ``--config RECIPE`` names a YAML file or a recipe of the installation, and flags override it.
            A switch alone, ``--flip``, means ``--flip true``.
        classes: The settings dataclasses whose fields are the top level of a recipe; no two share a name.
        program: The name of the command for the help.
        variants: For each value of ``variant``, the defaults that it changes.
        first: The settings that the help lists; if empty, those without a group.

    Returns:
        One instance for each class.

    Raises:
        ConfigError: A key is unknown (the message names the most similar), or a value is of the wrong type or out of
            range.
        SystemExit: The help or the settings were requested; they are on standard output.
    """
    kind_of = _dotted_kinds(classes)
    line = _parse_arguments(arguments, kind_of)
    if line.requests & set(HELP):
        sys.stdout.write(usage(program, classes, first=first, full="--help_all" in line.requests))
        raise SystemExit
    values = _recipe_values(line.recipes, kind_of, program)
    values |= {key: value_of(text, kind_of[key], f"--{key}") for key, text in line.values}
    settings = _resolve(classes, values, variants)
    if PRINT_CONFIG in line.requests:
        sys.stdout.write(write_settings(settings))
        raise SystemExit
    return settings


def settings_of(
    classes: Sequence[type],
    changes: Mapping[str, Any],
    *,
    recipe: str | Sequence[str] = "",
    program: str = "resight train",
    variants: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Any]:
    """Build settings from a recipe and Python values.

    Args:
        classes: As for `read_settings`.
        changes: Values by name. A group is a mapping or a dataclass, or its values come by their dotted names.
        recipe: A YAML file or a recipe of the installation, or several; later ones override earlier ones.
        program: The name of the command for errors.
        variants: As for `read_settings`.

    Returns:
        One instance for each class.

    Raises:
        ConfigError: As `read_settings`.
    """
    kind_of = _dotted_kinds(classes)
    recipes = [recipe] if isinstance(recipe, str) else recipe
    recipe_values = _recipe_values([name for name in recipes if name], kind_of, program)
    changed_values = dict(dotted({name: _as_dict(value) for name, value in changes.items()}))
    _refuse_unknown([name for name in changed_values if name not in kind_of], kind_of, "", "")
    return _resolve(classes, recipe_values | changed_values, variants)


def _resolve(
    classes: Sequence[type], values: Mapping[str, Any], variants: Mapping[str, Mapping[str, Any]] | None
) -> list[Any]:
    """Build settings from values by their dotted names, over the defaults of their variant."""
    if variants is not None:
        variant = values.get("variant", "code")
        if variant not in variants:
            raise ConfigError(f"variant must be one of {', '.join(variants)}, found {variant!r}")
        defaults = {name: _as_dict(value) for name, value in variants[variant].items()}
        values = {**dict(dotted(defaults)), **values}
    return [_build(kind(), values) for kind in classes]


def recipes_of(arguments: Sequence[str]) -> list[str]:
    """Return the recipes that ``--config`` names, in order."""
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    return [word.partition("=")[2] or following for word, following in pairs if word.partition("=")[0] == "--config"]


def requests_of(arguments: Sequence[str]) -> list[str]:
    """Return the flags that request help or the settings, in order."""
    return [word for word in arguments if word == "-h" or (word.startswith("-") and _is_request(_setting_name(word)))]


def _is_request(name: str) -> bool:
    return name == "-h" or f"--{name}" in (*HELP, PRINT_CONFIG)


def _setting_name(flag: str) -> str:
    return flag.lstrip("-").replace("-", "_")


def write_settings(settings: Sequence[Any], *, heading: str = "") -> str:
    """Return settings as YAML, each with its meaning as a comment.

    Args:
        settings: Instances of settings dataclasses.
        heading: Comment lines for the top.

    Returns:
        A recipe from which the same settings are read.
    """
    lines = [f"# {line}".rstrip() for line in heading.splitlines()]
    for instance in settings:
        lines += _yaml_lines(instance, 0)
    return "\n".join(lines) + "\n"


def flags_of(path: Path, *names: str) -> list[str]:
    """Return some settings of a file, or groups of them, as flags, so that one command can use another's settings.

    Args:
        path: A YAML file, as written by `write_settings`.
        names: Names at its top level; names that it lacks are skipped.

    Raises:
        ConfigError: It does not hold names and values.
    """
    content = read_yaml(path, scalar=as_text)
    selected = dict(dotted({name: content[name] for name in names if name in content}))
    texts = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in renamed.current_settings(selected).items()
    }
    return [f"--{key}={text}" for key, text in texts.items()]


def dotted(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield nested settings, each with its dotted name."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _parse_arguments(arguments: Sequence[str], kind_of: Mapping[str, Any]) -> _CommandLine:
    """Parse flags, their values and recipes; one error names all unknown flags."""
    line, unknown_names = _CommandLine([], [], set()), []
    remaining = list(reversed(arguments))
    while remaining:
        name, equals, value = _split_flag(remaining.pop())
        if _is_request(name):
            line.requests.add(f"--{name}" if name != "-h" else name)
            continue
        if not equals and remaining and not _is_flag(remaining[-1], switch=kind_of.get(name) is bool):
            value, equals = remaining.pop(), "="
        name = renamed.FLAGS.get(name, name) if renamed.FLAGS.get(name) in kind_of else name
        if name == "config":
            line.recipes.append(value)
        elif name not in kind_of:
            unknown_names.append(name)
        elif equals or kind_of[name] is bool:
            line.values.append((name, value if equals else "true"))
        else:
            raise ConfigError(f"--{name} expected one argument: --{name} VALUE")
    _refuse_unknown(unknown_names, kind_of, "", "--")
    if "" in line.recipes:
        raise ConfigError("--config needs a recipe: a YAML file, or the name of a recipe of the installation")
    _check_once(line.values)
    return line


def _split_flag(word: str) -> tuple[str, str, str]:
    """Return the name, the equals sign and the value of a flag; ``--a-b`` means ``--a_b``.

    Raises:
        ConfigError: The word is no flag.
    """
    if word == "-h":
        return word, "", ""
    name, equals, value = word.partition("=")
    if not word.startswith("-") or not name.strip("-"):
        raise ConfigError(
            f"'{shortened(word, 60)}' belongs to no flag: write --name VALUE, and a value with spaces in quotes"
        )
    return _setting_name(name), equals, value


def _is_flag(word: str, *, switch: bool) -> bool:
    """Return whether a word starts a flag and is not the value of the previous one, which may be negative."""
    return word == "-h" or word.startswith("-" if switch else "--")


def _check_once(values: Sequence[tuple[str, str]]) -> None:
    for name, advice in ONCE.items():
        texts = [text for key, text in values if key == name]
        if len({_normalize_path(text) for text in texts}) > 1:
            first, last = (shortened(text, 60) for text in (texts[0], texts[-1]))
            flag = next((flag for flag, setting in renamed.FLAGS.items() if setting == name), name)
            raise ConfigError(f"--{flag} is given twice, as '{first}' and as '{last}': {advice}")


def _normalize_path(text: str) -> str:
    """Return a path, or ``name=PATH``, with an absolute, normalized path."""
    kind, equals, path = text.partition("=") if "=" in text else ("", "", text)
    return f"{kind}{equals}{os.path.normpath(os.path.abspath(expanded(path)))}"  # noqa: PTH100


def _recipe_values(names: Sequence[str], kind_of: Mapping[str, Any], program: str) -> dict[str, Any]:
    """Return the typed values of recipes by their dotted names; later recipes override earlier ones."""
    recipes = [_read_recipe(name, kind_of, program) for name in names]
    return {
        key: value_of(text, kind_of[key], f"{path}: {key}") for path, texts in recipes for key, text in texts.items()
    }


def _read_recipe(name: str, kind_of: Mapping[str, Any], program: str) -> tuple[Path, dict[str, Any]]:
    """Return a recipe's path and the texts of its settings by their dotted names."""
    path = find_recipe(name)
    if Path(name).suffix and RECIPES in path.parents and not os.path.isfile(expanded(name)):  # noqa: PTH113
        logger.warning(
            "there is no file %s here: the recipe %s of the installation is used", printable(name), path.stem
        )
    if path.stem != Path(name).stem:
        logger.warning("recipe %s is called %s now", Path(name).stem, path.stem)
    recipe, texts = load_recipe(path), dict[str, Any]()
    for key, text in dotted(recipe.settings):
        if key in texts:
            raise ConfigError(f"{path}: {shortened(key, 60)} appears twice, in a group and with a dot: keep one")
        texts[key] = text
    for old, new in renamed.SETTINGS.items():
        if old in texts and old not in kind_of and new in kind_of:
            logger.warning("%s: %s is called %s now", path, old, new)
    texts = renamed.current_settings(texts)
    unknown_keys = [key for key in texts if key not in kind_of]
    if unknown_keys and recipe.methods and program not in [f"resight train {method}" for method in recipe.methods]:
        raise ConfigError(
            f"{recipe.name} is a recipe of {', '.join(recipe.methods)} ({recipe.command}): "
            f"{shortened(unknown_keys[0], 60)} is no setting of {program}"
        )
    _refuse_unknown(unknown_keys, kind_of, f"{path}: ", "")
    if not texts:
        logger.warning("%s sets nothing", path)
    return path, texts


def _refuse_unknown(names: Sequence[str], kind_of: Mapping[str, Any], where: str, dashes: str) -> None:
    """Raise an error if there are names of unknown settings."""
    for name in names:
        member = next((setting for setting in kind_of if setting.startswith(f"{name}.")), None)
        if member and len(names) == 1:
            example = f"name one of them, {dashes}{member} for example"
            raise ConfigError(f"{where}{dashes}{name} is a group of settings: {example}")
    if names:
        raise ConfigError(where + unknown(list(dict.fromkeys(names)), kind_of, dashes=dashes))


def _dotted_kinds(classes: Sequence[type], prefix: str = "") -> dict[str, Any]:
    """Return the type of every setting by its dotted name."""
    kind_of: dict[str, Any] = {}
    for settings in classes:
        for name, kind in kinds(settings).items():
            nested = dataclasses.is_dataclass(kind) and isinstance(kind, type)
            kind_of |= _dotted_kinds([kind], f"{prefix}{name}.") if nested else {prefix + name: kind}
    return kind_of


def _build(settings: Any, values: Mapping[str, Any], prefix: str = "") -> Any:
    """Return settings with values, by their dotted names, instead of their own."""
    changes = {}
    for name in kinds(settings.__class__):
        value = getattr(settings, name)
        if dataclasses.is_dataclass(value):
            changes[name] = _build(value, values, f"{prefix}{name}.")
        elif prefix + name in values:
            changes[name] = values[prefix + name]
    try:
        return dataclasses.replace(settings, **changes)
    except ConfigError as error:
        if str(error).partition(" ")[0] in kinds(settings.__class__):
            raise ConfigError(f"{prefix}{error}") from error
        raise


def _yaml_lines(instance: Any, depth: int) -> list[str]:
    meaning_of, indent, lines = meanings(type(instance)), "  " * depth, []
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        meaning = meaning_of.get(field.name, "")
        if dataclasses.is_dataclass(value):
            lines += [f"{indent}{field.name}:  # {meaning}".rstrip(" #"), *_yaml_lines(value, depth + 1)]
        else:
            plain = list(value) if isinstance(value, tuple) else value
            lines.append(f"{indent}{field.name}: {_yaml_value(plain)}  # {meaning}".rstrip(" #"))
    return lines


def _yaml_value(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n").removesuffix("\n...")


def _as_dict(value: Any) -> Any:
    """Return a settings dataclass as a dict, and any other value unchanged."""
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
