"""`resight recipes [METHOD or NAME]`: the settings that come along, and what they are for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resight.cli.terminal import say
from resight.config.recipes import Recipe, about_recipe, find_recipe, shipped_paths
from resight.config.settings import read_settings
from resight.errors import ConfigError, nearest

ORDER = ("ice", "adapt", "scr", "source", "abmt", "mean_teacher", "mmt")
"""Whose recipes come first."""


@dataclass(frozen=True)
class RecipesSettings:
    """What is listed.

    Attributes:
        all: List those that only show that everything runs (`smoke`) too.
    """

    all: bool = False


def run(arguments: Sequence[str]) -> int:
    """Run `resight recipes`."""
    name, flags = (arguments[0], arguments[1:]) if arguments and not arguments[0].startswith("-") else ("", arguments)
    (settings,) = read_settings(flags, [RecipesSettings], program="resight recipes [METHOD or NAME]")
    known = [about_recipe(path) for path in shipped_paths()]
    if name and name not in ORDER:
        say(*_text(name, known).rstrip("\n").split("\n"))
        return 0
    for method in [name] if name else ORDER:
        shown = [recipe for recipe in known if recipe.method == method and (settings.all or not _is_smoke(recipe))]
        command = "resight adapt --from MODEL" if method == "adapt" else f"resight train {method} --config NAME"
        say(f"{method}: {command} --data SPEC", *_lines(shown), "")
    hidden = sum(map(_is_smoke, known))
    say(*([] if settings.all else [f"--all lists {hidden} more, which only show that everything runs"]))
    say("resight recipes NAME prints one; --config NAME uses it, and flags beside it win")
    return 0


def _text(name: str, known: Sequence[Recipe]) -> str:
    try:
        path = find_recipe(name)
    except ConfigError:
        names = [*ORDER, *(recipe.name for recipe in known)]
        raise ConfigError(f"no method or recipe '{name}'{nearest(name, names)} (resight recipes lists all)") from None
    if path not in shipped_paths():
        raise ConfigError(f"{path} is a file of yours: --config {name} uses it")
    return Path(path).read_text(encoding="utf-8")


def _is_smoke(recipe: Recipe) -> bool:
    return recipe.name.endswith("-smoke")


def _lines(recipes: Sequence[Recipe]) -> list[str]:
    """Give a line for each recipe: for a site's own cameras first, then those of published sets."""
    width = max((len(recipe.name) for recipe in recipes), default=0)
    ordered = sorted(recipes, key=lambda recipe: (_is_smoke(recipe), "site" not in recipe.name, recipe.name))
    return [f"  {recipe.name:<{width}}  {recipe.purpose}" for recipe in ordered]
