"""What a command needs of the machine before it loads anything, and what to say where the machine gives way."""

from __future__ import annotations

import os
import re
import sys
import traceback

from resight.errors import MOST_THREADS, ConfigError
from resight.files import printable

INTERNAL = 70
"""The exit status of an error that nobody foresaw, EX_SOFTWARE in sysexits.h."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_SCARCE = re.compile(
    r"can(?:'t|not) allocate memory|failed to map segment|out of memory|error return without exception set",
    re.IGNORECASE,
)
_NO_THREAD = re.compile(r"can't start new thread|resource temporarily unavailable|pthread_create", re.IGNORECASE)


def open_streams() -> None:
    """Let closed standard streams lead nowhere: the next file that is opened would take their place."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this
    if sys.stderr is None:
        sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115
        sys.stderr.write("standard output is closed: what is printed is lost\n")


def check_environment() -> None:
    """Make sure that libraries will understand what the environment tells them, which else end in their own ways.

    A width of the terminal that tables do not fit in is forgotten.

    Raises:
        ConfigError: A number of threads is none, or absurd; or the current folder is gone, without which libraries of
            torch's do not load.
    """
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        raise ConfigError("the current folder has been removed: go to one that exists, by cd") from None
    if not re.fullmatch(r"[1-9][0-9]{1,4}", os.environ.get("COLUMNS", "80")):
        del os.environ["COLUMNS"]
    for name in _THREADS:
        value = os.environ.get(name, "").strip()
        numbers = value.split(",") if name == "OMP_NUM_THREADS" else [value]  # a number for each level
        if value and not all(map(_is_number_of_threads, numbers)):
            raise ConfigError(
                f"the environment's {name} must be a number of threads, 1 to {MOST_THREADS}, found "
                f"'{printable(value)[:60]}': unset it, or set it to the cores that you want to use"
            )


def _is_number_of_threads(text: str) -> bool:
    return re.fullmatch(r"\s*[0-9]{1,4}\s*", text) is not None and 1 <= int(text) <= MOST_THREADS


def explained(error: Exception) -> tuple[str, int]:
    """Say in a line what ended a command, where nothing foresaw it.

    Returns:
        The line, and the exit status: 2 where the machine lacks something, `INTERNAL` where the fault is ours.
    """
    text = " ".join(printable(error).split())
    if isinstance(error, MemoryError) or _SCARCE.search(text):
        return "not enough memory: close other programs, or ask for less (smaller images, batches, fewer threads)", 2
    if _NO_THREAD.search(text):
        return "the system gives no more threads: ask for fewer (--device.threads, OMP_NUM_THREADS)", 2
    if isinstance(error, RecursionError):
        return "something is nested too deeply to be read (over a thousand folders or lists): flatten it", 2
    places = traceback.extract_tb(error.__traceback__)
    where = f" at {os.path.basename(places[-1].filename)}:{places[-1].lineno}" if places else ""  # noqa: PTH119
    return (
        f"internal error, {type(error).__name__}{f': {text[:200]}' if text else ''}{where}: run it again with --debug "
        "for the trace, and report it",
        INTERNAL,
    )
