"""The house's one rule of direction: an import never runs back up, and no two files import each other."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import resight

ROOT = Path(resight.__file__).parent

LAYERS = [
    {"errors", "arrays"},
    {"files", "logs", "progress", "records", "config", "checksums"},
    {"numerics", "losses"},
    {"compute"},
    {"models"},
    {"data", "synthetic", "bodies"},
    {"retrieval"},
    {"methods"},
    {"training"},
    {"api", "thesis"},
    {"cli", "__main__"},
]
"""From the bottom up. What is in a layer may import from its own and from those below."""

_GROUND = {"errors", "arrays", "files", "progress", "records", "numerics", "data", "retrieval"}
TOWERS = {
    "reports": _GROUND,
    "serving": _GROUND | {"config", "compute", "models"},
    "video": _GROUND | {"config", "compute", "models"},
}
"""Next to the layers: what each of these may import. Only what is on top imports them."""

TOPS = {"training", "api", "thesis", "cli", "__main__"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports(name: str) -> set[str]:
    """The modules of resight that a module names in an import, wherever in the file; not the package itself."""
    found = set()
    for node in ast.walk(ast.parse(FILES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports are absolute"
            module = node.module or ""
            inner = {f"{module}.{alias.name}" for alias in node.names}
            # "from resight.data import market1501" names a module, "from resight.data.x import f" a thing in one.
            found |= (inner & set(FILES)) or {module}
    return {module for module in found if module in FILES and module not in (name, "resight")}


def unit(module: str) -> str:
    return module.split(".")[1]


MODULES = [name for name in FILES if name != "resight"]


def test_every_module_has_its_place() -> None:
    known = set().union(*LAYERS) | set(TOWERS)
    assert {unit(name) for name in MODULES} <= known
    assert len(MODULES) > 40


@pytest.mark.parametrize("name", MODULES)
def test_no_import_runs_back_up(name: str) -> None:
    level = {member: height for height, layer in enumerate(LAYERS) for member in layer}
    own = unit(name)
    for other in map(unit, imports(name)):
        if own in TOWERS:
            assert other == own or other in TOWERS[own], f"{name} imports {other}"
        elif other in TOWERS:
            assert own in TOPS, f"{name} imports {other}"
        else:
            assert level[other] <= level[own], f"{name} imports {other}, which stands above it"


def test_no_two_modules_import_each_other() -> None:
    """No cycle of any length; a package's own file counts as a module."""
    graph = {name: sorted(imports(name)) for name in MODULES}
    finished: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in finished:
            for other in graph[name]:
                visit(other, (*path, name))
            finished.add(name)

    for name in graph:
        visit(name, ())
    assert finished == set(MODULES)


def test_the_check_sees_imports() -> None:
    assert "resight.models.encoder" in imports("resight.training.train")
    assert "resight.data.sets.market1501" in imports("resight.data.catalog")


def test_importing_resight_is_cheap() -> None:
    code = "import sys, resight; print(sorted(m for m in ('torch', 'numba', 'timm', 'sklearn') if m in sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.strip() == "[]"


def test_only_the_command_line_prints() -> None:
    for name in MODULES:
        if unit(name) in TOPS:
            continue
        for node in ast.walk(ast.parse(FILES[name].read_text())):
            printing = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            assert not printing, f"{name} prints"
