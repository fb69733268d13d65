"""The command `resight`: find the command's file, run it, turn errors into one line."""

from __future__ import annotations

import os
import sys

from resight.cli.signals import listen, said, told

TYPE_CHECKING = False  # what is imported above is all that an early interrupt meets
if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "demo": "train without labels on drawn people, measure, write a report: under 5 minutes",
    "train": "train a method: resight train ice --config site --data folder=CROPS --run runs/mine",
    "adapt": "a model to your own cameras, without labels: resight adapt --from MODEL --data folder=CROPS",
    "evaluate": "score an encoder: resight evaluate runs/mine --data market1501=PATH",
    "search": "find who looks like a person: resight search runs/mine QUERY.jpg --data folder=CROPS",
    "explain": "see where an encoder looks, and why images match: resight explain runs/mine --images a.jpg b.jpg",
    "thesis": "the thesis' tables and figures, and our values: resight thesis list|show|run",
    "data": "look at data: resight data info|verify|synthesize",
    "recipes": "settings that come along, and what they are for: resight recipes [METHOD or NAME]",
}


def spin_shortly() -> None:
    """Let idle threads give way sooner; to be called before torch and numpy are loaded.

    Those of OpenMP spin for milliseconds by default; beside other load on the machine that made training several times
    slower. Those of OpenBLAS spin on after each product, and whatever follows it has to share the processor. Shorter
    spins cost little on a quiet machine.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "16")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The words after `resight`; those of the process where absent.

    Returns:
        The exit status: 0, 1 where `data verify` found something, 2 for an error that one line explains, 70 for one
        that is ours, 130 for an interrupt, 143 and 129 where it was terminated or its terminal has gone.
    """
    if arguments is not None:
        return _guarded(arguments)
    listen()  # before anything is loaded
    status = _guarded(sys.argv[1:])
    if status > 128:  # nobody waits for threads that still work, or for other processes
        os._exit(status)
    return status


def _guarded(arguments: Sequence[str]) -> int:
    """Run a command; whatever ends it becomes a line and a status."""
    words = [word for word in arguments if word != "--debug"]
    try:
        return _run(words, debug=len(words) < len(arguments))
    except BaseException as error:
        number = told(error)
        if not number:
            raise
        goes_on = words[:1] and words[0] in ("train", "adapt", "thesis")
        from resight.cli.terminal import complain

        complain(said(number) + ("; the same command goes on after the last finished epoch" if goes_on else ""))
        return 128 + number


def _run(words: Sequence[str], *, debug: bool) -> int:
    # Loaded here, where an interrupt is answered by a line.
    import importlib

    from resight import __version__
    from resight.cli.environment import check_environment, explained, open_streams
    from resight.cli.terminal import complain, configure_output, flush, say
    from resight.errors import ResightError, nearest

    open_streams()
    spin_shortly()
    name, *rest = words or ["--help"]
    configure_output()
    try:
        if name in ("-h", "--help", "help", "--version"):
            say(*([f"resight {__version__}"] if name == "--version" else _help()))
            flush()
            return 0
        check_environment()
        if strange := [word for word in words if "\0" in word]:
            raise ResightError(f"'{strange[0]}' holds a NUL, as no name of a file may")
        if name not in COMMANDS:
            raise ResightError(f"no command '{name}'{nearest(name, COMMANDS)} (known: {', '.join(COMMANDS)})")
        status: int = importlib.import_module(f"resight.cli.{name}").run(rest)
        flush()  # a reader that has gone is noticed here, and not at the exit
        return status
    except SystemExit as asked:  # help or the settings were asked for, and are printed
        return int(asked.code or 0)
    except ResightError as error:
        if debug:
            raise
        complain(error)
        return 2
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing is wrong, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if debug:
            raise
        where = f"{error.filename}: " if error.filename else ""
        complain(f"{where}{error.strerror or error}")
        return 2
    except Exception as error:
        if debug or told(error):
            raise
        from resight.compute.processes import LOST, is_lost

        if is_lost(error):
            complain(LOST)
            os._exit(2)  # to take leave of the others would be to wait for them
        text, status = explained(error)
        complain(text)
        return status


def _help() -> list[str]:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {meaning}" for name, meaning in COMMANDS.items()]
    return [
        "resight recognizes the same person across cameras, without labels.",
        "",
        "usage: resight COMMAND ...        resight COMMAND --help says more",
        "",
        *lines,
        "",
        "  --debug shows where an error arose; --version says which resight this is.",
    ]


if __name__ == "__main__":
    sys.exit(main())
