"""Load torch's compiler only when it is first used.

timm and torchvision import it only to mark functions that it should not compile. That takes as long as importing torch
itself, and resight compiles nothing.
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
def lazy_compiler() -> Iterator[None]:
    """Import modules without loading the compiler, as long as they only mark functions.

    Any other use loads it, during the import or later.
    """
    if _NAMES[0] in sys.modules:
        yield
        return
    sys.modules.update({name: _LazyModule(name) for name in _NAMES})
    try:
        yield
    finally:
        _forget()


class _LazyModule(ModuleType):
    """A stand-in for a module of the compiler."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []  # a package

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # code that inspects all modules asks for these
            raise AttributeError(name)
        stand_ins = {"disable": _disable, "is_compile_supported": _is_compile_supported}
        return stand_ins[name] if name in stand_ins else getattr(_load(self.__name__), name)


def _forget() -> None:
    for name in _NAMES:
        if isinstance(sys.modules.get(name), _LazyModule):
            del sys.modules[name]


def _load(name: str) -> Any:
    _forget()
    return importlib.import_module(name)


def _disable(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
    """Mark a function as one not to compile, once the compiler is loaded."""

    @functools.wraps(function)
    def wrapper(*inputs: Any, **options: Any) -> Any:
        if _NAMES[0] not in sys.modules:
            return function(*inputs, **options)
        return _load(_NAMES[0]).disable(function, *args, **kwargs)(*inputs, **options)

    return wrapper


def _is_compile_supported(device: str) -> bool:
    return bool(_load(_NAMES[1]).is_compile_supported(device))
