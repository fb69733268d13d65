"""Writing files atomically, so that a kill leaves the old or the new file, and locking folders.

A file is first written as a draft next to its path: a hidden file `.resight-`, 16 digits and `.part`, locked by its
process. A kill leaves the draft without a lock; the next call that writes into the folder removes it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from resight.errors import ConfigError

if sys.platform != "win32":
    import fcntl


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with ``~`` replaced by the home folder; the path of an unknown user stays unchanged."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  (Path.expanduser raises then)


def cache_folder() -> Path:
    """Return the folder of what resight keeps: ``RESIGHT_CACHE``, or else ``resight`` in the user's cache."""
    if named := os.environ.get("RESIGHT_CACHE"):
        return expanded(named)
    return expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "resight"


# Control characters, line separators, characters that change the direction of writing or have no width, and bytes that
# are no text.
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_INVISIBLE_IN_LINES = re.compile(rf"(?!\n|\t|\r\n){_INVISIBLE.pattern}")


def printable(text: object, *, lines: bool = False) -> str:
    """Return a text with its control and invisible characters escaped; names and values may hold any of them.

    Args:
        text: The text to print.
        lines: Whether the text has several lines, whose ends stay.
    """
    pattern = _INVISIBLE_IN_LINES if lines else _INVISIBLE
    return pattern.sub(lambda match: match[0].encode("unicode_escape").decode(), str(text))


def shortened(text: object, most: int = 600) -> str:
    """Return a text with its middle cut out beyond a length, and the number of cut characters in its place."""
    full = str(text)
    if len(full) <= most:
        return full
    head, tail = most - most // 3, most // 3
    return f"{full[:head]} ... ({len(full) - most:,} letters) ... {full[-tail:]}"


def json_text(value: object, *, indent: int | None = None) -> str:
    """Return a value as printable JSON: the characters that `printable` escapes become JSON escapes."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    return _INVISIBLE_IN_LINES.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def check_outside(path: Path, data: Path) -> None:
    """Check that a path to write to is outside of the folder of a data set.

    Raises:
        ConfigError: It is in that folder, or is that folder.
    """
    output, images = Path(os.path.realpath(path)), Path(os.path.realpath(data))
    if output.is_relative_to(images):
        where = f"lies in {printable(data)}" if output != images else "is the folder of the images"
        raise ConfigError(f"{printable(path)} {where}, and would be read as one of its images: name another place")


def check_output(path: Path, *, suffix: str = "", data: Path | None = None) -> None:
    """Check, before any work, that a file can be written; create nothing.

    Args:
        path: The file to write; its folder may still be missing.
        suffix: The required ending of its name; empty for any.
        data: The folder of a data set, in which the file would be read as one of its images, or replace one.

    Raises:
        ConfigError: The path is no file, its folder cannot be created or written, its name has another ending, or it is
            in the folder of the data.
    """
    # For paths in a closed folder, the functions of os.path return False, while those of Path raise.
    if os.path.isdir(path):  # noqa: PTH112
        raise ConfigError(f"{path} is a folder: name a file, {path / 'name'} for example")
    if suffix and path.suffix.lower() != suffix:
        raise ConfigError(f"{path} would hold {suffix[1:].upper()}: name it {path.with_suffix(suffix)}, for example")
    if data is not None:
        check_outside(path, data)
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113
        raise ConfigError(f"{path} is no file that can be replaced: name another")
    parent = next(folder for folder in path.absolute().parents if os.path.exists(folder))  # noqa: PTH110
    if not os.path.isdir(parent):  # noqa: PTH112
        raise ConfigError(f"{path} cannot be written, because {parent} is a file: name another place")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ConfigError(f"{path} cannot be written, no permission in {parent}: change its rights or name another")


def write_atomically(path: Path, content: bytes | str, *, parents: bool = True) -> None:
    """Write a file through a temporary one in the same folder.

    Args:
        path: The file to write.
        content: Bytes, or text for UTF-8; control characters and bytes that are no text are escaped.
        parents: Whether to create its folder.

    Raises:
        OSError: The disk is full or the folder cannot be written. The message names `path` and says what to do; an
            older file at the path is intact.
    """
    data = printable(content, lines=True).encode() if isinstance(content, str) else content
    try:
        with drafted(path, parents=parents) as draft, draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise named(path, error) from error


@contextmanager
def drafted(path: Path, *, folder: bool = False, parents: bool = True) -> Iterator[Path]:
    """Yield an empty draft next to a path; move it to the path if the block succeeds, else remove it.

    Args:
        path: The path; a file or an empty folder at it is replaced.
        folder: Whether the draft is a folder.
        parents: Whether to create the folder around it.
    """
    if parents:
        path.parent.mkdir(parents=True, exist_ok=True)
    tidy(path.parent)
    draft, handle = _create_draft(path.parent, folder=folder)
    try:
        yield draft
        if folder and path.is_dir():
            path.rmdir()
        draft.replace(path)
    except BaseException:
        _delete(draft)
        raise
    finally:
        _close(handle)


def _create_draft(parent: Path, *, folder: bool) -> tuple[Path, int]:
    """Create a draft and lock it; repeat if another process removes the draft before it is locked."""
    while True:
        # Not from `tempfile`, whose files only their owner can read: the user's umask decides who reads a run folder.
        draft = parent / f".resight-{secrets.token_hex(8)}.part"
        draft.mkdir() if folder else draft.touch(exist_ok=False)
        handle = _open_handle(draft)
        if _lock(handle) is not False and is_open(handle, draft):
            return draft, handle
        _close(handle)


def tidy(folder: Path) -> None:
    """Remove the drafts that killed processes left in a folder; those of running processes are locked."""
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208  (faster in folders of many images)
            if _DRAFT.fullmatch(name) and not (folder / name).is_symlink():
                with suppress(OSError):
                    _remove_draft(folder / name)


def _remove_draft(draft: Path) -> None:
    handle = _open_handle(draft)
    try:
        if _lock(handle):
            _delete(draft)
    finally:
        _close(handle)


def remove_folder(folder: Path) -> None:
    """Remove a folder so that a kill leaves all of it, or a draft that the next call removes."""
    with suppress(FileNotFoundError):
        draft = folder.with_name(f".resight-{secrets.token_hex(8)}.part")
        folder.replace(draft)
        _delete(draft)


def _delete(draft: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(draft) if draft.is_dir() else draft.unlink(missing_ok=True)


_DRAFT = re.compile(r"\.resight-[0-9a-f]{16}\.part")


def named(path: Path, error: OSError) -> OSError:
    """Return the error of a write with the requested path instead of the draft's or none."""
    kind = errno.errorcode.get(error.errno or 0)
    if kind in ("ENOSPC", "EDQUOT"):
        advice = "make room, or name another place"
    elif kind == "EISDIR":
        advice = "name a file in it"
    else:
        advice = "name another place, or change its rights"
    return OSError(error.errno, f"cannot be written ({error.strerror or error}): {advice}", str(path))


def read_regular(path: Path, most: int) -> bytes:
    """Read a file through `open_regular`."""
    with open_regular(path, most) as (file, size):
        return file.read(size)


@contextmanager
def open_regular(path: Path, most: int) -> Iterator[tuple[BinaryIO, int]]:
    """Open a path if it is a regular file; do not wait for pipes, and refuse devices.

    Args:
        path: The path.
        most: The most bytes that the file may have.

    Yields:
        The file, and its number of bytes.

    Raises:
        OSError: It is absent or cannot be read.
        ValueError: It is no regular file, or larger; the message says which.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_size > most:
        os.close(handle)
        too_large = f"it has {status.st_size:,} bytes, above the limit of {most:,}"
        raise ValueError(too_large if stat.S_ISREG(status.st_mode) else "it is no file")
    with os.fdopen(handle, "rb") as file:
        yield file, status.st_size


@contextmanager
def locked(folder: Path) -> Iterator[int | None]:
    """Lock a folder against other processes that call this (not on Windows); a kill releases the lock too.

    Yields:
        The open folder, or None if another process has locked it. Without locks in the file system, all processes get
        the folder.
    """
    handle = _open_handle(folder)
    try:
        yield None if _lock(handle) is False else handle
    finally:
        _close(handle)


def is_open(handle: int, path: Path) -> bool:
    """Return whether an open path has not been removed, renamed or replaced."""
    try:
        return handle < 0 or os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


def _open_handle(path: Path) -> int:
    """Open a file or a folder for a lock; return -1 on systems without locks."""
    if sys.platform == "win32":
        return -1
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def _close(handle: int) -> None:
    if handle >= 0:
        os.close(handle)


def _lock(handle: int) -> bool | None:
    """Try to lock; return whether this process has the lock now, or None without locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without them
        return None
    return True
