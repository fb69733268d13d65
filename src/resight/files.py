"""Writing files so that a kill leaves the old one or the new one, and two processes never write into one folder.

What is being written has a hidden name beside its place, `.resight-` and 16 digits and `.part`, and its process holds a
lock on it. A kill leaves it; the next call that writes there finds it without a lock, and removes it.
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
    """Replace ``~`` by the home folder; where there is no such user the path stays as it is, and is not found."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  (Path.expanduser raises then)


# Control characters, the separators of lines, what turns the direction of writing or has no width, and bytes that are
# no text; a line end is one where lines are kept.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_UNSEEN_IN_LINES = re.compile(rf"(?!\n|\t|\r\n){_UNSEEN.pattern}")


def printable(text: object, *, lines: bool = False) -> str:
    """Escape what would act on a terminal, break its line or hide, as names and values may hold anything.

    Args:
        text: What is to be seen.
        lines: Whether it is a text of several lines, which stay.
    """
    unseen = _UNSEEN_IN_LINES if lines else _UNSEEN
    return unseen.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def shortened(text: object, most: int = 600) -> str:
    """Cut a text in its middle, and say how many letters are left out, so that nobody's value fills a screen."""
    whole = str(text)
    if len(whole) <= most:
        return whole
    head, tail = most - most // 3, most // 3
    return f"{whole[:head]} ... ({len(whole) - most:,} letters) ... {whole[-tail:]}"


def json_text(value: object, *, indent: int | None = None) -> str:
    """Return a value as JSON that can be read and printed: what `printable` escapes is escaped as JSON escapes it."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    return _UNSEEN_IN_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def check_outside(path: Path, data: Path) -> None:
    """Make sure that what is to be written does not lie in the folder of a data set.

    Raises:
        ConfigError: It does, or is that folder.
    """
    place, images = Path(os.path.realpath(path)), Path(os.path.realpath(data))
    if place.is_relative_to(images):
        where = f"lies in {printable(data)}" if place != images else "is the folder of the images"
        raise ConfigError(
            f"{printable(path)} {where}, where it would be taken for one of its images: name another place"
        )


def check_output(path: Path, *, suffix: str = "", data: Path | None = None) -> None:
    """Make sure, before the work for it, that a file can be written; nothing is made.

    Args:
        path: Where it is to go; its folder may still be missing.
        suffix: What its name must end in; empty for anything.
        data: The folder of a data set, in which a picture would be taken for one of its images, or replace one.

    Raises:
        ConfigError: There is a folder or what is no file, its folder cannot be made or written, its name ends in
            something else, or it lies in the data.
    """
    # The functions of os.path say no, where those of a Path raise, of what lies in a closed folder.
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
        path: Where it goes.
        content: Bytes, or text that is written as UTF-8; what would act on whoever reads it (a control character,
            a byte of an odd file name) is written as an escape.
        parents: Whether its folder is made.

    Raises:
        OSError: The disk is full or the folder cannot be written; it names `path` and says what to do, and an older
            file there is still whole.
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
    """Return an empty file, or folder, beside a place: where the block ends well it is put there, else it goes.

    Args:
        path: The place; there may be a file, or an empty folder, that is replaced.
        folder: Make a folder.
        parents: Whether the folder around it is made.
    """
    if parents:
        path.parent.mkdir(parents=True, exist_ok=True)
    tidy(path.parent)
    draft, handle = _claimed(path.parent, folder=folder)
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


def _claimed(parent: Path, *, folder: bool) -> tuple[Path, int]:
    """Make a draft and lock it; one that another process has tidied away before it was locked is made again."""
    while True:
        # Not from `tempfile`, whose files only their owner can read: a run folder is shared as the user's umask says.
        draft = parent / f".resight-{secrets.token_hex(8)}.part"
        draft.mkdir() if folder else draft.touch(exist_ok=False)
        handle = _opened(draft)
        if _lock(handle) is not False and is_open(handle, draft):
            return draft, handle
        _close(handle)


def tidy(folder: Path) -> None:
    """Remove what processes that were killed were writing in a folder; what one still writes is locked."""
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208  (quicker, in folders of many images)
            if _DRAFT.fullmatch(name) and not (folder / name).is_symlink():
                with suppress(OSError):
                    _tidy_one(folder / name)


def _tidy_one(draft: Path) -> None:
    handle = _opened(draft)
    try:
        if _lock(handle):
            _delete(draft)
    finally:
        _close(handle)


def remove_folder(folder: Path) -> None:
    """Remove a folder so that a kill leaves all of it, or a draft that the next call tidies away."""
    with suppress(FileNotFoundError):
        draft = folder.with_name(f".resight-{secrets.token_hex(8)}.part")
        folder.replace(draft)
        _delete(draft)


def _delete(draft: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(draft) if draft.is_dir() else draft.unlink(missing_ok=True)


_DRAFT = re.compile(r"\.resight-[0-9a-f]{16}\.part")


def named(path: Path, error: OSError) -> OSError:
    """Return the error of a write with the name that was asked for, and not the temporary one's or none."""
    kind = errno.errorcode.get(error.errno or 0)
    if kind in ("ENOSPC", "EDQUOT"):
        advice = "make room, or name another place"
    elif kind == "EISDIR":
        advice = "name a file in it"
    else:
        advice = "name another place, or change its rights"
    return OSError(error.errno, f"cannot be written ({error.strerror or error}): {advice}", str(path))


def read_regular(path: Path, most: int) -> bytes:
    """Read a whole file that may be anything, as `open_regular` opens it."""
    with open_regular(path, most) as (file, size):
        return file.read(size)


@contextmanager
def open_regular(path: Path, most: int) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file that may be anything: a pipe is not waited for, and what has no end is no file.

    Args:
        path: The file.
        most: How many bytes it may have.

    Yields:
        The file, and how many it has.

    Raises:
        OSError: It is absent or cannot be read.
        ValueError: It is no file, or larger; the message says which.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_size > most:
        os.close(handle)
        found = f"it has {status.st_size:,} bytes, above the limit of {most:,}"
        raise ValueError(found if stat.S_ISREG(status.st_mode) else "it is no file")
    with os.fdopen(handle, "rb") as file:
        yield file, status.st_size


@contextmanager
def locked(folder: Path) -> Iterator[int | None]:
    """Keep other processes that ask likewise out of a folder (not on Windows); a kill lets go of it too.

    Yields:
        The open folder where it is ours, None where another process has it. A file system without locks lets all in.
    """
    handle = _opened(folder)
    try:
        yield None if _lock(handle) is False else handle
    finally:
        _close(handle)


def is_open(handle: int, path: Path) -> bool:
    """Say whether a path still is what was opened, and not removed, renamed or replaced since."""
    try:
        return handle < 0 or os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


def _opened(path: Path) -> int:
    """Open a file or a folder to be locked; -1 where there are no locks."""
    if sys.platform == "win32":
        return -1
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def _close(handle: int) -> None:
    if handle >= 0:
        os.close(handle)


def _lock(handle: int) -> bool | None:
    """Say whether a lock is ours now, or another's; None where there are no locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without them
        return None
    return True
