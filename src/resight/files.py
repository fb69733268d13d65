"""Writing files so that a kill leaves the old one or the new one, and two processes never write into one folder."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resight.errors import ConfigError

if sys.platform != "win32":
    import fcntl


def expanded(path: str | Path) -> Path:
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
    """Give a value as JSON that can be read and printed: what `printable` escapes is escaped as JSON escapes it."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    return _UNSEEN_IN_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


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
    if data is not None and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(data)):
        raise ConfigError(f"{path} lies in {data}, where it would be taken for one of its images: name another place")
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113
        raise ConfigError(f"{path} is no file that can be replaced: name another")
    parent = next(folder for folder in path.absolute().parents if os.path.exists(folder))  # noqa: PTH110
    if not os.path.isdir(parent):  # noqa: PTH112
        raise ConfigError(f"{path} cannot be written, because {parent} is a file: name another place")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ConfigError(f"{path} cannot be written, no permission in {parent}: change its rights or name another")


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file through a temporary one in the same folder.

    Args:
        path: Where it goes; its folder is made.
        content: Bytes, or text that is written as UTF-8; what would act on whoever reads it (a control character,
            a byte of an odd file name) is written as an escape.

    Raises:
        OSError: The disk is full or the folder cannot be written; it names `path` and says what to do, and an older
            file there is still whole.
    """
    data = printable(content, lines=True).encode() if isinstance(content, str) else content
    # Not from `tempfile`, whose files only their owner can read: a run folder is shared as the user's umask says.
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise named(path, error) from error


def named(path: Path, error: OSError) -> OSError:
    """Give the error of a write with the name that was asked for, and not the temporary one's or none."""
    kind = errno.errorcode.get(error.errno or 0)
    if kind in ("ENOSPC", "EDQUOT"):
        advice = "make room, or name another place"
    elif kind == "EISDIR":
        advice = "name a file in it"
    else:
        advice = "name another place, or change its rights"
    return OSError(error.errno, f"cannot be written ({error.strerror or error}): {advice}", str(path))


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
