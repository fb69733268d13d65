"""What a command's help says: the few settings that are needed first, and all with their groups where that is asked."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from docstring_parser import parse as parse_docstring

from resight.config.renamed import FLAGS
from resight.config.types import kinds

WIDTH = 96
"""Letters of a line of help."""

_CONFIG = ("config", "A recipe: a YAML file, or one of the installation (`resight recipes` lists them).")


def meanings(settings: type) -> dict[str, str]:
    """Give the meaning of each field of a settings dataclass, out of its docstring."""
    bases = reversed(settings.__mro__)  # settings that build on others have their meanings from these
    found = {p.arg_name: p.description or "" for kind in bases for p in parse_docstring(kind.__doc__ or "").params}
    return {name: " ".join(text.split()) for name, text in found.items()}


def usage(program: str, classes: Sequence[type], *, first: Sequence[str] = (), whole: bool = False) -> str:
    """Write a command's help.

    Args:
        program: What the command is called.
        classes: Its settings.
        first: The dotted names to show; those without a group where empty.
        whole: Show every setting with its whole meaning, instead of a line for each of the first.
    """
    every = dict(_all(classes))
    if whole:
        body = [line for name, meaning in every.items() for line in _item(name, meaning)]
    else:
        shown = [name for name in first if name in every or name == "config"]
        shown = shown or [name for name in every if "." not in name]
        body = _short({"config": _CONFIG[1], **every}, [*shown, *(() if "config" in shown else ("config",))])
        body += _rest(every, shown)
    return "\n".join([f"usage: {program} [--SETTING VALUE ...]", "", *body]) + "\n"


def _all(classes: Sequence[type], prefix: str = "") -> Iterator[tuple[str, str]]:
    for settings in classes:
        meaning = meanings(settings)
        for name, kind in kinds(settings).items():
            if dataclasses.is_dataclass(kind):
                yield from _all([_kind(kind)], f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}", meaning.get(name, "")


def _kind(kind: Any) -> type:
    assert isinstance(kind, type)
    return kind


def _item(name: str, meaning: str) -> list[str]:
    return [f"  --{_flag(name)}", *textwrap.wrap(meaning, WIDTH, initial_indent="      ", subsequent_indent="      ")]


def _short(meaning: dict[str, str], names: Sequence[str]) -> list[str]:
    width = max(len(name) for name in names) + 4
    lines = []
    for name in names:
        text = meaning[name].partition("; ")[0].partition(". ")[0].removesuffix(".")
        lines.append(f"  {f'--{_flag(name)}':<{width}}{textwrap.shorten(text, WIDTH - width, placeholder=' ...')}")
    return lines


def _flag(name: str) -> str:
    return next((flag for flag, setting in FLAGS.items() if setting == name), name)


def _rest(every: dict[str, str], shown: Sequence[str]) -> list[str]:
    hidden = [name for name in every if name not in shown]
    if not hidden:
        return ["", "--print_config prints them with their values"]
    groups = list(dict.fromkeys(f"--{name.partition('.')[0]}.*" for name in hidden if "." in name))
    others = f" ({', '.join(groups)})" if groups else ""
    more = f"{len(hidden)} more settings{others}: --help_all says what they mean, --print_config what they are"
    return ["", *textwrap.wrap(more, WIDTH)]
