"""The help of a command: in short, the settings to know first; in full, all settings with their meanings."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator, Sequence

from docstring_parser import parse as parse_docstring

from resight.config.renamed import FLAGS
from resight.config.types import kinds

WIDTH = 96
"""The width of a line of help in characters."""

_CONFIG = "A recipe: a YAML file, or one of the installation (`resight recipes` lists them)."


def meanings(settings: type) -> dict[str, str]:
    """Return the meaning of each field of a settings dataclass, from its docstring and those of its bases."""
    params = [param for kind in reversed(settings.__mro__) for param in parse_docstring(kind.__doc__ or "").params]
    return {param.arg_name: " ".join((param.description or "").split()) for param in params}


def usage(program: str, classes: Sequence[type], *, first: Sequence[str] = (), full: bool = False) -> str:
    """Return the help of a command.

    Args:
        program: The name of the command.
        classes: The dataclasses of its settings.
        first: The dotted names of the settings that the short help lists; if empty, those without a group.
        full: Whether to list every setting with its full meaning, instead of a line for each of the first.
    """
    meaning_of = dict(_dotted_meanings(classes))
    if full:
        body = [line for name, meaning in meaning_of.items() for line in _full_entry(name, meaning)]
    else:
        names = [name for name in first if name in meaning_of or name == "config"]
        names = names or [name for name in meaning_of if "." not in name]
        body = _short_entries({"config": _CONFIG, **meaning_of}, [*names, *(() if "config" in names else ("config",))])
        body += _closing_lines(meaning_of, names)
    return "\n".join([f"usage: {program} [--SETTING VALUE ...]", "", *body]) + "\n"


def _dotted_meanings(classes: Sequence[type], prefix: str = "") -> Iterator[tuple[str, str]]:
    for settings in classes:
        meaning_of = meanings(settings)
        for name, kind in kinds(settings).items():
            if dataclasses.is_dataclass(kind):
                assert isinstance(kind, type)
                yield from _dotted_meanings([kind], f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}", meaning_of.get(name, "")


def _full_entry(name: str, meaning: str) -> list[str]:
    return [f"  --{_flag(name)}", *textwrap.wrap(meaning, WIDTH, initial_indent="      ", subsequent_indent="      ")]


def _short_entries(meaning_of: dict[str, str], names: Sequence[str]) -> list[str]:
    width = max(len(name) for name in names) + 4
    lines = []
    for name in names:
        text = meaning_of[name].partition("; ")[0].partition(". ")[0].removesuffix(".")
        lines.append(f"  {f'--{_flag(name)}':<{width}}{textwrap.shorten(text, WIDTH - width, placeholder=' ...')}")
    return lines


def _flag(name: str) -> str:
    return next((flag for flag, setting in FLAGS.items() if setting == name), name)


def _closing_lines(meaning_of: dict[str, str], shown: Sequence[str]) -> list[str]:
    """Return the last lines of the short help: how to see the remaining settings."""
    hidden = [name for name in meaning_of if name not in shown]
    if not hidden:
        return ["", "--print_config prints them with their values"]
    groups = list(dict.fromkeys(f"--{name.partition('.')[0]}.*" for name in hidden if "." in name))
    others = f" ({', '.join(groups)})" if groups else ""
    more = f"{len(hidden)} more settings{others}: --help_all explains them, --print_config prints their values"
    return ["", *textwrap.wrap(more, WIDTH)]
