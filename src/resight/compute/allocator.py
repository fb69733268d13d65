"""Memory that tensors free is kept, so that the next ones find it without asking the system for pages."""

from __future__ import annotations

import ctypes
import os

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -3, -1, -2
"""What `mallopt` sets, from glibc's malloc.h."""


def keep_freed_memory() -> None:
    """Let this process keep the memory that tensors on the CPU free, and take it in huge pages.

    By default, glibc returns every large block to the system, and the system clears the pages of the next one: a
    training step of a small network then spends a quarter of its time on page faults. Without glibc nothing changes.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch reads it at its first large block
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another libc, or Windows
        return
    mallopt(_MMAP_THRESHOLD, 2**30)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_TOP_PAD, 2**26)
