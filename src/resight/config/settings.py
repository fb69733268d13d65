"""Settings: read from recipes and flags, checked before anything runs, written as a recipe that explains itself.

Every settings dataclass is flat or nests others; a recipe is YAML with the same nesting, a flag has dots in its place:
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
from resight.config.recipes import find_recipe, load_recipe
from resight.config.types import kinds, value_of
from resight.config.yaml_files import as_text, read_yaml
from resight.errors import ConfigError
from resight.files import expanded, shortened

logger = logging.getLogger(__name__)

PRINT_CONFIG = "--print_config"
"""The flag that asks for every setting with its meaning."""

HELP = ("-h", "--help", "--help_all")
"""Flags that ask what there is to set: in short, and all."""

ONCE = {
    "data": "it takes one data set: put the images of both under one folder",
    "source": "it takes one source",
    "run": "it takes one run folder",
    "start": "it takes one; two with a comma between them are for the two networks of mmt",
}
"""Settings of which a second value would be a mistake, and no change of the first; and what to do."""


@dataclasses.dataclass(frozen=True)
class _Words:
    """What stands on a command line.

    Attributes:
        recipes: What ``--config`` names, in order.
        values: Names of settings and their texts, in order.
        asked: Flags that ask for help or for the settings.
    """

    recipes: list[str]
    values: list[tuple[str, str]]
    asked: set[str]


def read_settings(
    arguments: Sequence[str],
    classes: Sequence[type],
    *,
    program: str = "resight",
    variants: Mapping[str, Mapping[str, Any]] | None = None,
    first: Sequence[str] = (),
) -> list[Any]:
    """Turn a recipe and flags into settings.

    Args:
        arguments: Flags; ``--config RECIPE`` names a YAML file or a recipe of the installation, later flags win. A
            switch alone, ``--flip``, means ``--flip true``.
        classes: The settings dataclasses whose fields stand at the top level of a recipe; no name twice.
        program: What the help calls the command.
        variants: For each value of ``variant``, the defaults that it changes.
        first: The settings that the help shows; those without a group where empty.

    Returns:
        One instance for each class.

    Raises:
        ConfigError: A key is unknown (the nearest is named), or a value is of the wrong kind or out of range.
        SystemExit: Help or the settings were asked for; they are on standard output.
    """
    known = _keys(classes)
    words = _words(arguments, known)
    if words.asked & set(HELP):
        sys.stdout.write(usage(program, classes, first=first, whole="--help_all" in words.asked))
        raise SystemExit
    given = _recipe_values(words.recipes, known, program)
    given |= {key: value_of(text, known[key], f"--{key}") for key, text in words.values}
    settings = _resolved(classes, given, variants)
    if PRINT_CONFIG in words.asked:
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
    """Turn a recipe and values of Python into settings.

    Args:
        classes: As for `read_settings`.
        changes: Values by name; of a group a mapping, a dataclass, or single values by their dotted names.
        recipe: A YAML file or a recipe of the installation, or several, of which later ones win.
        program: The command that an error names.
        variants: As for `read_settings`.

    Returns:
        One instance for each class.

    Raises:
        ConfigError: As `read_settings`.
    """
    known = _keys(classes)
    recipes = [recipe] if isinstance(recipe, str) else recipe
    given = _recipe_values([name for name in recipes if name], known, program)
    plain = dict(dotted({name: _plain(value) for name, value in changes.items()}))
    _refuse([name for name in plain if name not in known], known, "", "")
    return _resolved(classes, given | plain, variants)


def _resolved(
    classes: Sequence[type], given: Mapping[str, Any], variants: Mapping[str, Mapping[str, Any]] | None
) -> list[Any]:
    """Build settings of what is given, over the defaults of the variant that is asked for."""
    if variants is not None:
        variant = given.get("variant", "code")
        if variant not in variants:
            raise ConfigError(f"variant must be one of {', '.join(variants)}, found {variant!r}")
        changed = {name: _plain(value) for name, value in variants[variant].items()}
        given = {**dict(dotted(changed)), **given}
    return [_built(kind(), given) for kind in classes]


def recipes_of(arguments: Sequence[str]) -> list[str]:
    """Give the recipes that flags name, in order."""
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    return [word.partition("=")[2] or after for word, after in pairs if word.partition("=")[0] == "--config"]


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


def flags_of(path: Path, *names: str) -> list[str]:
    """Give some of the settings in a file, or groups of them, as flags: what one command was told for another.

    Args:
        path: A YAML file, as `write_settings` gives it.
        names: Names at its top; one that it lacks gives nothing.

    Raises:
        ConfigError: It does not hold names and values.
    """
    content = read_yaml(path, scalar=as_text)
    chosen = dict(dotted({name: content[name] for name in names if name in content}))
    plain = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in renamed.current_settings(chosen).items()
    }
    return [f"--{key}={value}" for key, value in plain.items()]


def dotted(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give nested settings one after the other, each by its dotted name."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _words(arguments: Sequence[str], known: Mapping[str, Any]) -> _Words:
    """Tell flags, their values and recipes apart; all that is wrong with their names is said at once."""
    words, strange = _Words([], [], set()), []
    waiting = list(reversed(arguments))
    while waiting:
        name, equals, value = _flag(waiting.pop())
        if f"--{name}" in (*HELP, PRINT_CONFIG) or name == "-h":
            words.asked.add(f"--{name}" if name != "-h" else name)
            continue
        if not equals and waiting and not _is_flag(waiting[-1], switch=known.get(name) is bool):
            value, equals = waiting.pop(), "="
        name = renamed.FLAGS.get(name, name) if renamed.FLAGS.get(name) in known else name
        if name == "config":
            words.recipes.append(value)
        elif name not in known:
            strange.append(name)
        elif equals or known[name] is bool:
            words.values.append((name, value if equals else "true"))
        else:
            raise ConfigError(f"--{name} expected one argument: --{name} VALUE")
    _refuse(strange, known, "", "--")
    if "" in words.recipes:
        raise ConfigError("--config needs a recipe: a YAML file, or the name of one that comes along")
    _check_once(words.values)
    return words


def _flag(word: str) -> tuple[str, str, str]:
    """Take a flag apart; ``--validation-people`` means ``--validation_people``.

    Raises:
        ConfigError: It is none.
    """
    if word == "-h":
        return word, "", ""
    name, equals, value = word.partition("=")
    if not word.startswith("-") or not name.strip("-"):
        raise ConfigError(f"'{shortened(word, 60)}' belongs to no flag: settings are given as --name VALUE")
    return name.lstrip("-").replace("-", "_"), equals, value


def _is_flag(word: str, *, switch: bool) -> bool:
    """Say whether a word begins a flag of its own, and is no value of the one before; a value may be negative."""
    return word == "-h" or word.startswith("-" if switch else "--")


def _check_once(values: Sequence[tuple[str, str]]) -> None:
    for name, advice in ONCE.items():
        found = [text for key, text in values if key == name]
        if len({_place(text) for text in found}) > 1:
            first, last = (shortened(text, 60) for text in (found[0], found[-1]))
            flag = next((flag for flag, setting in renamed.FLAGS.items() if setting == name), name)
            raise ConfigError(f"--{flag} is given twice, as '{first}' and as '{last}': {advice}")


def _place(text: str) -> str:
    """Give a path, or the path of ``name=PATH``, in one way of the many that it can be written in."""
    kind, equals, path = text.partition("=") if "=" in text else ("", "", text)
    return f"{kind}{equals}{os.path.normpath(os.path.abspath(expanded(path)))}"  # noqa: PTH100


def _recipe_values(names: Sequence[str], known: Mapping[str, Any], program: str) -> dict[str, Any]:
    """Read the typed values of recipes by their dotted names; later recipes win."""
    recipes = [_read_recipe(name, known, program) for name in names]
    return {key: value_of(text, known[key], f"{path}: {key}") for path, texts in recipes for key, text in texts.items()}


def _read_recipe(name: str, known: Mapping[str, Any], program: str) -> tuple[Path, dict[str, Any]]:
    """Return a recipe's path and the texts of its settings by their dotted names."""
    path = find_recipe(name)
    if path.stem != Path(name).stem:
        logger.warning("recipe %s is called %s now", Path(name).stem, path.stem)
    recipe, texts = load_recipe(path), dict[str, Any]()
    for key, text in dotted(recipe.settings):
        if key in texts:
            raise ConfigError(f"{path}: {shortened(key, 60)} stands there twice, in a group and with a dot: keep one")
        texts[key] = text
    for old, new in renamed.SETTINGS.items():
        if old in texts and old not in known and new in known:
            logger.warning("%s: %s is called %s now", path, old, new)
    texts = renamed.current_settings(texts)
    strange = [key for key in texts if key not in known]
    if strange and recipe.methods and program not in [f"resight train {method}" for method in recipe.methods]:
        raise ConfigError(
            f"{recipe.name} is a recipe of {', '.join(recipe.methods)} ({recipe.command}): {shortened(strange[0], 60)} "
            f"is no setting of {program}"
        )
    _refuse(strange, known, f"{path}: ", "")
    if not texts:
        logger.warning("%s sets nothing", path)
    return path, texts


def _refuse(strange: Sequence[str], known: Mapping[str, Any], where: str, dashes: str) -> None:
    """Say what is wrong with names, if there are any."""
    for key in strange:
        inside = next((name for name in known if name.startswith(f"{key}.")), None)
        if inside and len(strange) == 1:
            example = f"name one of them, {dashes}{inside} for example"
            raise ConfigError(f"{where}{dashes}{key} is a group of settings: {example}")
    if strange:
        raise ConfigError(where + unknown(list(dict.fromkeys(strange)), known, dashes=dashes))


def _keys(classes: Sequence[type], prefix: str = "") -> dict[str, Any]:
    """Give the dotted name and the type of every setting."""
    keys: dict[str, Any] = {}
    for settings in classes:
        for name, kind in kinds(settings).items():
            nested = dataclasses.is_dataclass(kind) and isinstance(kind, type)
            keys |= _keys([kind], f"{prefix}{name}.") if nested else {prefix + name: kind}
    return keys


def _built(settings: Any, given: Mapping[str, Any], prefix: str = "") -> Any:
    """Give settings with what is given in the place of their own."""
    changes = {}
    for name in kinds(settings.__class__):
        value = getattr(settings, name)
        if dataclasses.is_dataclass(value):
            changes[name] = _built(value, given, f"{prefix}{name}.")
        elif prefix + name in given:
            changes[name] = given[prefix + name]
    try:
        return dataclasses.replace(settings, **changes)
    except ConfigError as error:
        if str(error).partition(" ")[0] in kinds(settings.__class__):
            raise ConfigError(f"{prefix}{error}") from error
        raise


def _lines(instance: Any, depth: int) -> list[str]:
    texts, indent, lines = meanings(type(instance)), "  " * depth, []
    for f in dataclasses.fields(instance):
        value = getattr(instance, f.name)
        meaning = texts.get(f.name, "")
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
