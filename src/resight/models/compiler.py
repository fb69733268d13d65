"""torch's compiler, which is loaded when it is first needed.

timm and torchvision load it when they are imported, to mark functions that it should leave alone. That takes as long as
torch itself, and nothing here compiles.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_NAMES = ("torch._dynamo", "torch._dynamo.utils")


@contextmanager
def compiler_later() -> Iterator[None]:
    """Let what is imported meanwhile do without the compiler, where it asks no more of it than marking functions.

    Whatever else is asked of it loads it, and so does its first use afterwards.
    """
    if _NAMES[0] in sys.modules:
        yield
        return
    sys.modules.update({name: _Later(name) for name in _NAMES})
    try:
        yield
    finally:
        _forget()


class _Later(ModuleType):
    """Stands for a module of the compiler."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []  # it may hold others

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked of every module by those who look through all
            raise AttributeError(name)
        known = {"disable": _disable, "is_compile_supported": _is_compile_supported}
        return known[name] if name in known else getattr(_load(self.__name__), name)


def _forget() -> None:
    for name in _NAMES:
        if isinstance(sys.modules.get(name), _Later):
            del sys.modules[name]


def _load(name: str) -> Any:
    _forget()
    return importlib.import_module(name)


def _disable(function: Callable[..., Any], *options: Any, **more: Any) -> Callable[..., Any]:
    """Mark a function as one that is not compiled, as soon as there is a compiler."""

    @functools.wraps(function)
    def marked(*args: Any, **kwargs: Any) -> Any:
        if _NAMES[0] not in sys.modules:
            return function(*args, **kwargs)
        return _load(_NAMES[0]).disable(function, *options, **more)(*args, **kwargs)

    return marked


def _is_compile_supported(device: str) -> bool:
    return bool(_load(_NAMES[1]).is_compile_supported(device))
