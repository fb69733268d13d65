"""The command `resight`: find the module of the command, run it, and turn errors into one line."""

from __future__ import annotations

import os
import sys

from resight.cli.signals import handle_signals, signal_of, signal_text

TYPE_CHECKING = False  # `typing` takes long to import: an early interrupt must find its handlers in place
if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "demo": "train without labels on synthetic people, evaluate, write a report: some minutes",
    "train": "train a method: resight train ice --config site --data folder=CROPS --run runs/mine",
    "adapt": "adapt a model to your cameras, without labels: resight adapt --from MODEL --data folder=CROPS",
    "evaluate": "score an encoder: resight evaluate runs/mine --data market1501=PATH",
    "compare": "two models on the same queries: resight compare MODEL MODEL --data market1501=PATH",
    "search": "search for a person: resight search runs/mine QUERY.jpg --data folder=CROPS",
    "extract": "write vectors of images to a file: resight extract runs/mine --data folder=CROPS --out features.npz",
    "cluster": "group images by person, without labels: resight cluster features.npz --out clusters.csv",
    "explain": "see where an encoder looks, and why images match: resight explain runs/mine --images a.jpg b.jpg",
    "thesis": "compare with the thesis' tables and figures: resight thesis list|show|run",
    "data": "inspect a data set, or draw one: resight data info|verify|synthesize",
    "bodies": "write structure maps of people from eight sides: resight bodies --data folder=CROPS --out bodies",
    "generate": "draw people turned, score the pictures: resight generate runs/gcl --data folder=CROPS --out x.png",
    "models": "take a model out of a published package: resight models get pose",
    "recipes": "list the recipes of the installation: resight recipes [METHOD or NAME]",
}


def limit_thread_spinning() -> None:
    """Shorten how long idle threads spin; call this before torch and numpy are loaded.

    OpenMP's threads spin for milliseconds by default, which made training several times slower next to other load on
    the machine. OpenBLAS's threads spin after each product and share the processor with whatever follows it. Shorter
    spins cost little on a quiet machine.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "16")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The words after `resight`; those of the process if None.

    Returns:
        The exit status. 0 is success; 1 means that `data verify` found a problem, or that some images could not be
        used; 2 is an error that one line explains; 70 is an internal error. 130 is an interrupt, 143 a termination,
        129 a terminal that has gone.
    """
    if arguments is not None:
        return _guarded(arguments)
    handle_signals()  # before anything is loaded
    status = _guarded(sys.argv[1:])
    if status > 128:  # do not wait for threads that still work, or for other processes
        os._exit(status)
    return status


def _guarded(arguments: Sequence[str]) -> int:
    """Run a command; turn an interrupt or a signal into a line and a status."""
    words = [word for word in arguments if word != "--debug"]
    try:
        return _run(words, debug=len(words) < len(arguments))
    except BaseException as error:
        number = signal_of(error)
        if not number:
            raise
        resumes = words[:1] and words[0] in ("train", "adapt", "thesis")
        from resight.cli.terminal import complain

        complain(
            signal_text(number)
            + ("; rerun the same command to resume after the last finished epoch" if resumes else "")
        )
        return 128 + number


def _run(words: Sequence[str], *, debug: bool) -> int:
    # Loaded here, because here an interrupt ends in one line and not in a traceback.
    import importlib

    from resight import __version__
    from resight.cli.environment import check_environment, explain_error, open_streams
    from resight.cli.terminal import complain, configure_output, flush, say
    from resight.errors import ResightError, nearest

    open_streams()
    limit_thread_spinning()
    name, *rest = words or ["--help"]
    configure_output()
    try:
        if name in ("-h", "--help", "help", "--version"):
            say(*([f"resight {__version__}"] if name == "--version" else _help()))
            flush()
            return 0
        check_environment()
        if invalid := [word for word in words if "\0" in word]:
            raise ResightError(f"'{invalid[0]}' holds a NUL character, which no file name may hold")
        if name not in COMMANDS:
            raise ResightError(f"no command '{name}'{nearest(name, COMMANDS)} (known: {', '.join(COMMANDS)})")
        status: int = importlib.import_module(f"resight.cli.{name}").run(rest)
        flush()  # notices here, not at exit, that the reader of the output has gone
        return status
    except SystemExit as finished:  # the help or the settings were requested, and are printed
        return int(finished.code or 0)
    except ResightError as error:
        if debug:
            raise
        complain(error)
        return 2
    except BrokenPipeError:
        # The reader of our output has gone (`| head`), which is no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if debug:
            raise
        where = f"{error.filename}: " if error.filename else ""
        complain(f"{where}{error.strerror or error}")
        return 2
    except Exception as error:
        if debug or signal_of(error):
            raise
        from resight.compute.processes import LOST, is_lost

        if is_lost(error):
            complain(LOST)
            os._exit(2)  # a normal exit would wait for the other processes
        text, status = explain_error(error)
        complain(text)
        return status


def _help() -> list[str]:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {purpose}" for name, purpose in COMMANDS.items()]
    return [
        "resight recognizes the same person across cameras, without labels.",
        "",
        "usage: resight COMMAND ...        resight COMMAND --help explains a command",
        "",
        *lines,
        "",
        "  --debug prints the traceback of an error, --version the version of resight.",
    ]


if __name__ == "__main__":
    sys.exit(main())
