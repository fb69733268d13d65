"""Checks of the process's environment before anything is loaded, and messages for failures of the machine."""

from __future__ import annotations

import os
import re
import sys
import traceback

from resight.errors import MOST_THREADS, ConfigError
from resight.files import printable

INTERNAL = 70
"""The exit status of an unforeseen error, EX_SOFTWARE in sysexits.h."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_NO_MEMORY = re.compile(
    r"can(?:'t|not) allocate memory|failed to map segment|out of memory|error return without exception set",
    re.IGNORECASE,
)
_NO_THREAD = re.compile(r"can't start new thread|resource temporarily unavailable|pthread_create", re.IGNORECASE)


def open_streams() -> None:
    """Connect closed standard streams to the null device, because the next opened file would take their place."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stderr is None:
        sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115
        sys.stderr.write("standard output is closed: results are lost\n")


def check_environment() -> None:
    """Check the environment's variables and the current folder, which libraries read and fail on in their own ways.

    A terminal width that no table fits in is removed from the environment.

    Raises:
        ConfigError: A number of threads is not a number or absurd, or the current folder is gone, without which torch
            does not load.
    """
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        raise ConfigError("the current folder has been removed: go to one that exists, by cd") from None
    if not re.fullmatch(r"[1-9][0-9]{1,4}", os.environ.get("COLUMNS", "80")):
        del os.environ["COLUMNS"]
    for name in _THREADS:
        value = os.environ.get(name, "").strip()
        numbers = value.split(",") if name == "OMP_NUM_THREADS" else [value]  # one number for each level of nesting
        if value and not all(map(_is_number_of_threads, numbers)):
            raise ConfigError(
                f"the environment's {name} must be a number of threads, 1 to {MOST_THREADS}, found "
                f"'{printable(value)[:60]}': unset it, or set it to the cores that you want to use"
            )


def _is_number_of_threads(text: str) -> bool:
    return re.fullmatch(r"\s*[0-9]{1,4}\s*", text) is not None and 1 <= int(text) <= MOST_THREADS


def explain_error(error: Exception) -> tuple[str, int]:
    """Return one line that explains an unforeseen error, and the exit status.

    The status is 2 if the machine lacks something, and `INTERNAL` if the fault is ours.
    """
    text = " ".join(printable(error).split())
    if isinstance(error, MemoryError) or _NO_MEMORY.search(text):
        return "not enough memory: close other programs, or ask for less (smaller images, batches, fewer threads)", 2
    if _NO_THREAD.search(text):
        return "the system gives no more threads: ask for fewer (--device.threads, OMP_NUM_THREADS)", 2
    if isinstance(error, RecursionError):
        return "something is nested too deeply to be read (over a thousand folders or lists): flatten it", 2
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""  # noqa: PTH119
    return (
        f"internal error, {type(error).__name__}{f': {text[:200]}' if text else ''}{where}: run it again with --debug "
        "for the traceback, and report it",
        INTERNAL,
    )
