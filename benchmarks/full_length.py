"""Train at the thesis' length on one GPU: ICE on Market-1501 and ABMT from CUHK03-NP to it, 40 x 400 steps, 256 x 128.

python benchmarks/full_length.py --market PATH --cuhk PATH --out local/full

Both train at once, or `--only` one of them. Rerun the same command to resume. Settings, metrics, reports and logs,
without images and weights, are copied to OUT/results. On 100 people held out of Market's training part, after 4 of the
epochs, ABMT had mAP 65.3 with the learning rate and momentum set here, 63.9 and 63.4 with others. That and the whole
length (results/abmt/full-length-h200.json) were run with an earlier `adapt`, which measured eps in each epoch and let
weights decay. The current `adapt` is not measured at that length.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

THREADS = ["--device.threads", "4"]
SIZE = ["--encoder.height", "256", "--encoder.width", "128", "--augment.pad", "10"]
LENGTH = ["--epochs", "40", "--iterations", "400"]
FILES = ("config.yaml", "environment.json", "metrics.jsonl", "report.json", "log.txt")


def commands(market: str, cuhk: str, out: Path) -> dict[str, list[tuple[str, list[str]]]]:
    """Return the runs of each of the two, in order: a name, and the arguments of `resight train`."""
    data, source = ["--data", f"market1501={market}"], ["--source", f"cuhk03np={cuhk}"]
    first = ["source", "--config", "source-site", *data, *source, *SIZE, *THREADS, "--encoder.head", "a+m1"]
    second = ["abmt", "--config", "adapt", *data, *source, "--from", str(out / "source"), *SIZE, *LENGTH, *THREADS]
    second += ["--encoder.backbone", "tf_efficientnet_lite0", "--cluster.source_weight", "0.1"]
    second += ["--learning_rate", "0.00035", "--momentum", "0.999"]
    return {
        "ice": [("ice", ["ice", "--config", "site", "--encoder.weights", "imagenet", *data, *SIZE, *LENGTH, *THREADS])],
        "abmt": [("source", [*first, "--iterations", "120"]), ("abmt", second)],
    }


def launch(name: str, train_arguments: list[str], out: Path) -> subprocess.Popen[bytes]:
    """Start a run with its own log file."""
    script = "import sys; from resight.cli.main import main; sys.exit(main())"
    out.mkdir(parents=True, exist_ok=True)
    with (out / f"{name}.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", script, "train", *train_arguments, "--run", str(out / name)],
            stdout=log,
            stderr=log,
        )


def last_line(path: Path) -> str:
    """Return the last line of a log."""
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    return lines[-1][:150] if lines else ""


def gather(out: Path) -> None:
    """Copy the files that can be committed."""
    for run in ("ice", "source", "abmt"):
        for name in FILES:
            if (out / run / name).is_file():
                (out / "results").mkdir(exist_ok=True)
                shutil.copy(out / run / name, out / "results" / f"{run}-{name}")


def main() -> None:
    """Train both, or one, until they are done or the time is up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--market", required=True)
    parser.add_argument("--cuhk", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=["ice", "abmt"], choices=["ice", "abmt"])
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time; rerun to resume")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "4")
    out, end = arguments.out, time.monotonic() + arguments.seconds
    runs_by_method = commands(arguments.market, arguments.cuhk, out)
    pending = {method: [run for run in runs_by_method[method] if not is_done(out, run[0])] for method in arguments.only}
    running: dict[str, tuple[str, subprocess.Popen[bytes]]] = {}
    reported_at = 0.0
    while (any(pending.values()) or running) and time.monotonic() < end:
        for method, runs in pending.items():
            if method not in running and runs:
                name, train_arguments = runs.pop(0)
                running[method] = (name, launch(name, train_arguments, out))
        time.sleep(1)
        for method, (name, process) in list(running.items()):
            if process.poll() is not None:
                del running[method]
                print(f"{name} ended with {process.returncode}: {last_line(out / f'{name}.txt')}", flush=True)
                if process.returncode:
                    pending[method].clear()
        if time.monotonic() > reported_at + 30:
            reported_at = time.monotonic()
            for name, _ in running.values():
                print(f"{name}: {last_line(out / f'{name}.txt')}", flush=True)
            gather(out)
    for _, process in running.values():
        process.kill()
    gather(out)


def is_done(out: Path, run: str) -> bool:
    """Return whether a run is finished and scored."""
    return (out / run / "report.json").is_file()


if __name__ == "__main__":
    main()
