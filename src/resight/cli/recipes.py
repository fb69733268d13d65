"""`resight recipes [METHOD or NAME]`: list the recipes of the installation, or print one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resight.cli.terminal import say
from resight.config.recipes import FOLDERS, RENAMED, Recipe, find_recipe, known_methods, load_recipe, shipped_paths
from resight.config.settings import read_settings
from resight.errors import ConfigError, nearest


@dataclass(frozen=True)
class RecipesSettings:
    """Which recipes to list.

    Attributes:
        all: Also list the recipes of the folder `smoke`, which only show that everything runs.
    """

    all: bool = False


def run(arguments: Sequence[str]) -> int:
    """Run `resight recipes`."""
    name, flags = (arguments[0], arguments[1:]) if arguments and not arguments[0].startswith("-") else ("", arguments)
    (settings,) = read_settings(flags, [RecipesSettings], program="resight recipes [METHOD or NAME]")
    recipes = [load_recipe(path) for path in shipped_paths()]
    if name and name not in known_methods():
        say(*_read_text(name, [*known_methods(), *(recipe.name for recipe in recipes)]).rstrip("\n").split("\n"))
        return 0
    selected = [recipe for recipe in recipes if not name or name in recipe.methods]
    hidden = 0 if settings.all else sum(recipe.folder == "smoke" for recipe in selected)
    for folder in FOLDERS:
        members = [recipe for recipe in selected if recipe.folder == folder]
        members.sort(
            key=lambda recipe: recipe.name != folder
        )  # the recipe named as its folder, `site`, is the one to start with
        if members and (settings.all or folder != "smoke"):
            say(f"{folder}: {FOLDERS[folder]}", *_lines(members), "")
    if hidden:
        say(f"--all also lists {hidden} of the folder smoke: {FOLDERS['smoke']}")
    say("resight train METHOD --config NAME --data SPEC uses a recipe; flags override it")
    say("resight recipes NAME prints it, resight recipes METHOD lists those of a method")
    return 0


def _read_text(name: str, names: Sequence[str]) -> str:
    """Return the text of a recipe of the installation."""
    try:
        path = find_recipe(name)
    except ConfigError:
        raise ConfigError(f"no method or recipe '{name}'{nearest(name, names)} (resight recipes lists all)") from None
    if path not in shipped_paths():
        raise ConfigError(f"{path} is your own file: --config {name} uses it")
    note = f"# {name} is called {path.stem} now\n" if name in RENAMED else ""
    return note + path.read_text(encoding="utf-8")


def _lines(recipes: Sequence[Recipe]) -> list[str]:
    """Return a line for each recipe: name, methods or the command that takes it, purpose."""
    rows = [(recipe.name, ", ".join(recipe.methods) or "synthesize", recipe.purpose) for recipe in recipes]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return [f"  {name:<{widths[0]}}  {methods:<{widths[1]}}  {purpose}" for name, methods, purpose in rows]
