"""Recipes: YAML files that say for what they are, and the ones that come with the installation."""

from __future__ import annotations

import importlib.resources
import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path

from resight.config.yaml_files import LARGEST
from resight.errors import ConfigError, nearest
from resight.files import expanded

RECIPES = importlib.resources.files("resight") / "recipes"
"""The recipes that come with the installation."""


@dataclass(frozen=True)
class Recipe:
    """What a recipe says of itself in the comment at its top.

    Attributes:
        name: Its file's name, without the ending.
        method: Whose it is: the method, or the command, that the comment names it for; empty where it names none.
        command: What that command is, as far as it names the recipe: ``resight train ice --config site``.
        purpose: The first sentence.
    """

    name: str
    method: str
    command: str
    purpose: str


def find_recipe(name: str) -> Path:
    """Find a recipe: a file, or one that comes with the installation: ``site``, ``site.yaml`` or ``recipes/site.yaml``.

    Raises:
        ConfigError: There is none; the nearest is named, unless a file was meant.
    """
    path = expanded(name)
    # The functions of os.path say no, where those of a Path raise, of names that no disk would take.
    if os.path.isfile(path):  # noqa: PTH113
        return path
    shipped = {item.stem: item for item in shipped_paths()}
    # A file of another folder that is not there must not become one of ours of the same name.
    if path.parent in (Path(), Path("recipes")) and path.suffix in ("", ".yaml") and path.stem in shipped:
        return shipped[path.stem]
    if name and (path.suffix or path.parent != Path() or os.path.exists(path)):  # noqa: PTH110
        found = "it is no file" if os.path.exists(path) else "there is no such file"  # noqa: PTH110
        raise ConfigError(f"no recipe '{name}': {found}")
    near = nearest(name, sorted(shipped))
    raise ConfigError(f"no recipe '{name}'{near} (resight recipes lists all, in {RECIPES}; or give a YAML file)")


def shipped_paths() -> list[Path]:
    """Give the recipes that come with the installation, in the order of their names."""
    return sorted(Path(str(RECIPES)).glob("*.yaml"))


def about_recipe(path: Path) -> Recipe:
    """Read what a recipe says of itself."""
    with path.open("rb") as file:
        lines = file.read(LARGEST).decode("utf-8", "replace").splitlines()
    comment = [line[1:].strip() for line in itertools.takewhile(lambda line: line.startswith("#"), lines)]
    first = itertools.takewhile(bool, comment)
    name = re.escape(path.stem)
    found = re.search(rf"resight (?:train (\w+) --config {name}|({name}))(?=\s)", " ".join(comment))
    return Recipe(
        path.stem,
        (found[1] or found[2]) if found else "",
        found[0] if found else "",
        " ".join(first).partition(". ")[0].removesuffix("."),
    )
