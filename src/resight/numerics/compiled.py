"""Numba's compiled loops, cached on disk so that the next process need not compile them.

With numba's own cache, a full disk, a damaged file or a folder without write access ends a command. This cache has one
file per loop and argument types, with a checksum. An unreadable file is compiled again, and a failed write is reported
once.
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
"""The most bytes of a cache file; usual files have some thousands."""


def njit(*, cache: bool, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function as `numba.njit` does.

    Args:
        cache: Whether to cache it on disk, if that is possible.
        options: Options of `numba.njit`.
    """

    def compile_function(function: Callable[..., Any]) -> Any:
        compiled = numba.njit(**options)(function)
        if cache and hasattr(compiled, "_cache"):  # with numba disabled, this is the function itself
            try:
                compiled._cache = _FunctionCache(function)
            except (OSError, RuntimeError) as error:  # no writable folder
                _warn_once(error)
        return compiled

    return compile_function


class _FunctionCache:
    """The cache through which numba loads and saves a function's compiled forms; both may fail."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._cache = cache = _numba_cache(function)
        stamp = f"{numba.__version__} {cache._impl.locator.get_source_stamp()!r}"
        self.cache_path = cache.cache_path
        cache._cache_file = _CacheFiles(Path(cache.cache_path), cache._impl.filename_base, stamp)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return a compiled form, or None."""
        try:
            return self._cache.load_overload(signature, target)
        except Exception:  # a damaged file can raise anything
            return None

    def save_overload(self, signature: Any, form: Any) -> None:
        """Save a compiled form."""
        try:
            self._cache.save_overload(signature, form)
        except Exception as error:
            _warn_once(error)

    def flush(self) -> None:
        """Do nothing: a changed source has other files."""


class _CacheFiles:
    """The files of a function's compiled forms."""

    def __init__(self, folder: Path, name: str, stamp: str) -> None:
        self.folder, self.name, self.stamp = folder, name, stamp

    def load(self, key: Any) -> Any:
        """Return a compiled form; None if this source has none, or the file is damaged."""
        try:
            content = read_regular(self._path(key), MOST)
        except (OSError, ValueError):
            return None
        digest, data = content[:32], content[32:]
        if digest != hashlib.sha256(self.stamp.encode() + data).digest():
            return None
        return pickle.loads(data)

    def save(self, key: Any, data: Any) -> None:
        """Save a compiled form."""
        content: bytes = _dumps(data)
        write_atomically(self._path(key), hashlib.sha256(self.stamp.encode() + content).digest() + content)

    def _path(self, key: Any) -> Path:
        return self.folder / f"{self.name}.{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.loop"


_warned = False


def _warn_once(error: Exception) -> None:
    global _warned
    if not _warned:
        _warned = True
        cause = error.__cause__ or error  # without the advice for files that a user has named
        reason = " ".join(str(getattr(cause, "strerror", None) or cause).split())[:200]
        logger.warning(
            "cannot cache compiled loops (%s), so each command compiles them for some seconds: free disk space, or "
            "name a folder with NUMBA_CACHE_DIR",
            printable(reason),
        )
