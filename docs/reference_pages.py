"""Directives of the reference: the public names, the methods and the settings, as the code has them."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import resight
from resight.config.help import meanings
from resight.methods import METHODS


class PublicNames(SphinxDirective):
    """`{public-names} PACKAGE ...`: what `import resight` gives from these packages, but for settings."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return the documentation of each name."""
        packages = self.arguments[0].split()
        lines = []
        for name in sorted(resight.__all__, key=lambda name: (inspect.isclass(getattr(resight, name)), name)):
            thing = getattr(resight, name)
            if thing.__module__.split(".")[1] in packages and not name.endswith("Settings"):
                kind = (
                    "autoexception" if _is_error(thing) else "autoclass" if inspect.isclass(thing) else "autofunction"
                )
                lines += ["```{eval-rst}", f".. {kind}:: resight.{name}", "```", ""]
        return _parse(self, lines, nodes.container())


class MethodSettings(SphinxDirective):
    """`{method-settings}`: a section for each method of `METHODS`, with a table of its settings."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        sections: list[nodes.Node] = []
        for name, method in METHODS.items():
            thesis = _variant(method.variants.get("thesis", {}), method.settings)
            lines = [_first_line(method.build), "", *_table(method.settings), "", *thesis]
            sections.append(_section(self, name, lines))
        return sections


class SettingsTable(SphinxDirective):
    """`{settings-table} MODULE.CLASS`: a section with a table of a dataclass' fields."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the section."""
        module, _, name = self.arguments[0].rpartition(".")
        settings = getattr(importlib.import_module(module), name)
        return [_section(self, name, [_first_line(settings), "", *_table(settings)])]


def _section(directive: SphinxDirective, title: str, lines: list[str]) -> nodes.section:
    section = nodes.section(ids=[nodes.make_id(title)])
    section += nodes.title(text=title)
    return _parse(directive, [f"({_label(title)})=", *lines], section)[0]


def _label(title: str) -> str:
    return f"settings-{title.lower()}"


def _parse(directive: SphinxDirective, lines: list[str], parent: Any) -> list[Any]:
    directive.state.nested_parse(StringList(lines, "reference"), 0, parent)
    return [parent]


def _table(settings: type) -> Iterator[str]:
    meaning = meanings(settings)
    yield from ("| setting | default | meaning |", "|---|---|---|")
    for field in dataclasses.fields(settings):
        default = field.default if field.default is not dataclasses.MISSING else field.default_factory()
        text = meaning.get(field.name, "").replace("``", "`").replace("|", "\\|")
        yield f"| `{field.name}` | {_value(default)} | {text} |"


def _variant(changes: Mapping[str, Any], settings: type) -> Iterator[str]:
    known = {field.name for field in dataclasses.fields(settings)}
    items = [f"`{name}` {_value(value)}" for name, value in changes.items() if name in known]
    if items:
        yield f"`--variant thesis` changes these defaults: {', '.join(items)}."


def _value(value: Any) -> str:
    """Write a default; of a group of settings only what differs from the group's own defaults."""
    if dataclasses.is_dataclass(value):
        own = type(value)()
        pairs = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        changed = [f"{name}: {item}" for name, item in pairs.items() if item != getattr(own, name)]
        return f"[{type(value).__name__}](#{_label(type(value).__name__)})" + (
            f" with `{', '.join(changed)}`" if changed else ""
        )
    return f"`{value}`" if str(value) else ""


def _first_line(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").split("\n\n")[0]


def _is_error(thing: Any) -> bool:
    return inspect.isclass(thing) and issubclass(thing, BaseException)


def link_outside(app: Sphinx, name: str, source: list[str]) -> None:
    """Make links to Markdown files outside the pages downloads, and those to the README links to the first page."""
    text = source[0].replace("(../README.md#", "(index.md#").replace("(../README.md)", "(index.md)")
    source[0] = re.sub(r"\]\((\.\./[^)#]*?\w+\.md)\)", lambda link: _download(app, name, link), text)


def _download(app: Sphinx, name: str, link: re.Match[str]) -> str:
    path = (Path(app.srcdir) / name).parent / link[1]
    return link[0] if path.resolve().is_relative_to(app.srcdir) else f"](path:{link[1]})"


def escape_underscores(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Keep names such as str_ from being read as reStructuredText links."""
    lines[:] = [re.sub(r"(?<![`\w])([\w.]*\w)_(?=[\s,;.)\]]|$)", r"\1\\_", line) for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.connect("source-read", link_outside)
    app.connect("autodoc-process-docstring", escape_underscores)
    app.add_directive("public-names", PublicNames)
    app.add_directive("method-settings", MethodSettings)
    app.add_directive("settings-table", SettingsTable)
    return {"parallel_read_safe": True}
