"""Writing files so that a kill leaves the old one or the new one, and two processes never write into one folder."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl


def expanded(path: str | Path) -> Path:
    """Replace ``~`` by the home folder; where there is no such user the path stays as it is, and is not found."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  (Path.expanduser raises then)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file through a temporary one in the same folder.

    Args:
        path: Where it goes; its folder is made.
        content: Bytes, or text that is written as UTF-8; what is no Unicode in it (a byte of an odd file name)
            is written as an escape.

    Raises:
        OSError: The disk is full or the folder cannot be written; an older file at `path` is still whole.
    """
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not from `tempfile`, whose files only their owner can read: a run folder is shared as the user's umask says.
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Keep other processes that ask likewise out of a folder (not on Windows); a kill lets go of it too.

    Yields:
        Whether it is ours: false where another process has it.
    """
    if sys.platform == "win32":
        yield True
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)
