"""Recipes: YAML files of settings with a header, and the recipes of the installation."""

from __future__ import annotations

import importlib.resources
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from resight.config.yaml_files import as_text, read_yaml
from resight.errors import ConfigError, nearest
from resight.files import expanded

RECIPES = importlib.resources.files("resight") / "recipes"
"""The folder with the recipes of the installation."""

FOLDERS = {
    "site": "for your own cameras",
    "thesis": "the experiments of the thesis",
    "synthetic": "the drawn people and the training of the model of the installation",
    "smoke": "show in minutes that everything runs; their scores mean nothing",
}
"""The folders of recipes, and the purpose of each."""

_FORMER_NAMES = {
    "abmt-from-source": "abmt-dukemtmc-market1501 abmt-dukemtmc-msmt17 abmt-market1501-dukemtmc abmt-market1501-msmt17 "
    "mean-teacher-dukemtmc-market1501 mean-teacher-market1501-dukemtmc",
    "abmt-ibn-from-source": "abmt-ibn-dukemtmc-market1501 abmt-ibn-dukemtmc-msmt17 abmt-ibn-market1501-dukemtmc "
    "abmt-ibn-market1501-msmt17",
    "abmt-smoke": "mean-teacher-smoke mmt-smoke",
    "abmt-thesis": "abmt-dukemtmc abmt-market1501 mmt-dukemtmc mmt-market1501",
    "ice-agnostic": "ice-agnostic-dukemtmc ice-agnostic-market1501 ice-agnostic-msmt17",
    "ice-ibn": "ice-ibn-dukemtmc ice-ibn-market1501 ice-ibn-msmt17",
    "ice-supervised": "ice-supervised-dukemtmc ice-supervised-market1501 ice-supervised-msmt17",
    "ice-thesis": "ice-dukemtmc ice-market1501 ice-msmt17",
    "scr-se": "scr-se-market1501",
    "scr-thesis": "scr-cuhk03np scr-dukemtmc scr-market1501",
    "site-few-cameras": "site-from-model",  # whose neck had the statistics of all images
    "source-thesis": "source-dukemtmc source-market1501",
}
RENAMED = {former: name for name, formers in _FORMER_NAMES.items() for former in formers.split()}
"""For each recipe of earlier versions, the present recipe of the same purpose."""


@dataclass(frozen=True)
class Recipe:
    """A recipe's header and settings.

    Attributes:
        name: The file's name without its ending.
        folder: The name of its folder: a key of `FOLDERS` for recipes of the installation.
        methods: The methods it is for; empty if the file does not name any: a recipe for `resight data synthesize`.
        description: The purpose of the recipe.
        settings: Nested names and values as written, not yet typed.
    """

    name: str
    folder: str
    methods: tuple[str, ...]
    description: str
    settings: Mapping[str, Any] = field(repr=False)

    @property
    def method(self) -> str:
        """The first of its methods; empty if the file names none."""
        return self.methods[0] if self.methods else ""

    @property
    def command(self) -> str:
        """The start of a command that uses it; empty if the file names no method."""
        return f"resight train {self.method} --config {self.name}" if self.methods else ""

    @property
    def purpose(self) -> str:
        """The first sentence of the description."""
        return self.description.partition(". ")[0].removesuffix(".")


def find_recipe(name: str) -> Path:
    """Find a recipe by its path or, for a recipe of the installation, by its name.

    Args:
        name: A YAML file, or ``site``, ``site.yaml``, ``recipes/site.yaml`` or ``site/site``. A name of an earlier
            version finds the present recipe of the same purpose.

    Raises:
        ConfigError: There is no such recipe. The message names the most similar one, unless the name is a path.
    """
    path = expanded(name)
    # For names that no disk would take, the functions of os.path return False, while those of Path raise.
    if os.path.isfile(path):  # noqa: PTH113
        return path
    shipped = {item.stem: item for item in shipped_paths()}
    item = shipped.get(RENAMED.get(path.stem, path.stem))
    # A missing file of another folder must not become a recipe of the installation that has the same name.
    if item is not None and path.suffix in ("", ".yaml") and not name.startswith("."):
        folder = Path(item.parent.name)
        if path.parent in (Path(), Path("recipes"), folder, "recipes" / folder):
            return item
    if name and (path.suffix or path.parent != Path() or os.path.exists(path)):  # noqa: PTH110
        problem = "it is no file" if os.path.exists(path) else "there is no such file"  # noqa: PTH110
        raise ConfigError(f"no recipe '{name}': {problem}")
    near = nearest(name, sorted(shipped))
    raise ConfigError(f"no recipe '{name}'{near} (resight recipes lists all, in {RECIPES}; or give a YAML file)")


@cache
def shipped_paths() -> tuple[Path, ...]:
    """Return the files of the recipes of the installation, sorted by name."""
    return tuple(sorted(Path(str(RECIPES)).rglob("*.yaml"), key=lambda path: path.name))


def load_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        ConfigError: The file does not hold names and values, or its header has wrong types.
    """
    content = read_yaml(path, scalar=as_text)
    methods, description = content.pop("method", None) or [], content.pop("description", None) or ""
    methods = [methods] if isinstance(methods, str) else methods
    if not isinstance(methods, list) or not all(isinstance(method, str) for method in methods):
        raise ConfigError(f"{path}: method must name a method, or several in a list: method: [abmt, mmt]")
    if not isinstance(description, str):
        raise ConfigError(f"{path}: description must be text")
    return Recipe(path.stem, path.parent.name, tuple(methods), description, content)


@cache
def known_methods() -> tuple[str, ...]:
    """Return the methods that the recipes of the installation are for, without loading the methods themselves."""
    return tuple(dict.fromkeys(method for path in shipped_paths() for method in load_recipe(path).methods))
