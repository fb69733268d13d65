"""Compiled loops: numba's, kept on disk so that the next process need not compile them, and none the worse where not.

Numba's own files of compiled loops end a command where the disk is full, a file is damaged or no folder can be written.
These are a file for each loop and its types, under a checksum: what cannot be read is compiled again, and what cannot
be written is said once.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import caching, serialize

from resight.files import printable, read_regular, write_atomically

logger = logging.getLogger(__name__)

# numba's are untyped.
_numba_cache: Any = caching.FunctionCache
_dumps: Any = serialize.dumps

MOST = 2**26
"""The most bytes of a file of a compiled loop; they have some thousands."""


def njit(*, cache: bool, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function as `numba.njit` does.

    Args:
        cache: Whether it is kept on disk, where that is possible.
        options: As numba has them.
    """

    def compile_function(function: Callable[..., Any]) -> Any:
        compiled = numba.njit(**options)(function)
        if cache and hasattr(compiled, "_cache"):  # with numba switched off it is the function itself
            try:
                compiled._cache = _Kept(function)
            except (OSError, RuntimeError) as error:  # no folder can be written
                _say(error)
        return compiled

    return compile_function


class _Kept:
    """What numba asks for a function's compiled forms, and gives them to; either may fail."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._cache = cache = _numba_cache(function)
        stamp = f"{numba.__version__} {cache._impl.locator.get_source_stamp()!r}"
        self.cache_path = cache.cache_path
        cache._cache_file = _Files(Path(cache.cache_path), cache._impl.filename_base, stamp)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Give a compiled form, or None."""
        try:
            return self._cache.load_overload(signature, target)
        except Exception:  # whatever a damaged file leads to
            return None

    def save_overload(self, signature: Any, form: Any) -> None:
        """Keep a compiled form."""
        try:
            self._cache.save_overload(signature, form)
        except Exception as error:
            _say(error)

    def flush(self) -> None:
        """Forget what is kept, which nothing asks for: a changed source has other files."""


class _Files:
    """The files of a function's compiled forms."""

    def __init__(self, folder: Path, name: str, stamp: str) -> None:
        self.folder, self.name, self.stamp = folder, name, stamp

    def load(self, key: Any) -> Any:
        """Give a compiled form; None where there is none of this source, or it is damaged."""
        try:
            content = read_regular(self._path(key), MOST)
        except (OSError, ValueError):
            return None
        digest, data = content[:32], content[32:]
        if digest != hashlib.sha256(self.stamp.encode() + data).digest():
            return None
        return pickle.loads(data)

    def save(self, key: Any, data: Any) -> None:
        """Keep a compiled form."""
        content: bytes = _dumps(data)
        write_atomically(self._path(key), hashlib.sha256(self.stamp.encode() + content).digest() + content)

    def _path(self, key: Any) -> Path:
        return self.folder / f"{self.name}.{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.loop"


_said = False


def _say(error: Exception) -> None:
    global _said
    if not _said:
        _said = True
        plain = error.__cause__ or error  # without the advice for files that a user has named
        reason = " ".join(str(getattr(plain, "strerror", None) or plain).split())[:200]
        logger.warning(
            "compiled loops are not kept (%s), so each command takes some seconds to compile them: make room, or name "
            "a folder with NUMBA_CACHE_DIR",
            printable(reason),
        )
