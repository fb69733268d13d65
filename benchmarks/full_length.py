"""The thesis' length on one GPU: ICE on Market-1501, and ABMT from CUHK03-NP to it, 40 epochs of 400 steps, 256 x 128.

python benchmarks/full_length.py --market PATH --cuhk PATH --out local/full

Both train at once, or `--only` one of them; the same command goes on with what was cut off. What can be kept of it,
without images and weights, is gathered in OUT/results. On 100 people held out of Market's training part, after 4 of the
epochs, ABMT had mAP 65.3 with the learning rate and momentum given here, 63.9 and 63.4 with others. That and its whole
length (abmt-full-length-h200.json) were run when `adapt` still measured eps anew each epoch and let weights decay; as
it is now it is not measured at that length.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

SIZE = ["--encoder.height", "256", "--encoder.width", "128", "--augment.pad", "10"]
LENGTH = ["--epochs", "40", "--iterations", "400"]
KEPT = ("config.yaml", "environment.json", "metrics.jsonl", "report.json", "log.txt")


def commands(market: str, cuhk: str, out: Path) -> dict[str, list[tuple[str, list[str]]]]:
    """Give the runs of each of the two, in order: a name, and the words after `resight train`."""
    data, source = ["--data", f"market1501={market}"], ["--source", f"cuhk03np={cuhk}"]
    first = ["source", "--config", "source-site", *data, *source, *SIZE, "--encoder.head", "a+m1"]
    second = ["abmt", "--config", "adapt", *data, *source, "--start", str(out / "source"), *SIZE, *LENGTH]
    second += ["--encoder.backbone", "tf_efficientnet_lite0", "--cluster.source_weight", "0.1"]
    second += ["--learning_rate", "0.00035", "--momentum", "0.999"]
    return {
        "ice": [("ice", ["ice", "--config", "site", *data, *SIZE, *LENGTH])],
        "abmt": [("source", [*first, "--iterations", "120"]), ("abmt", second)],
    }


def launch(name: str, words: list[str], out: Path) -> subprocess.Popen[bytes]:
    """Start a run that writes to a log of its own."""
    script = "import sys; from resight.cli.main import main; sys.exit(main())"
    out.mkdir(parents=True, exist_ok=True)
    with (out / f"{name}.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", script, "train", *words, "--device.threads", "4", "--run", str(out / name)],
            stdout=log,
            stderr=log,
        )


def last_line(path: Path) -> str:
    """Give the end of a log."""
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    return lines[-1][:150] if lines else ""


def gather(out: Path) -> None:
    """Copy what can be kept."""
    for run in ("ice", "source", "abmt"):
        for name in KEPT:
            if (out / run / name).is_file():
                (out / "results").mkdir(exist_ok=True)
                shutil.copy(out / run / name, out / "results" / f"{run}-{name}")


def main() -> None:
    """Train both, or one, until they are done or the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--market", required=True)
    parser.add_argument("--cuhk", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=["ice", "abmt"], choices=["ice", "abmt"])
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long; they can be continued")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "4")
    known, end = commands(asked.market, asked.cuhk, asked.out), time.monotonic() + asked.seconds
    left = {each: [run for run in known[each] if not done(asked.out, run[0])] for each in asked.only}
    running: dict[str, tuple[str, subprocess.Popen[bytes]]] = {}
    told = 0.0
    while (any(left.values()) or running) and time.monotonic() < end:
        for each, runs in left.items():
            if each not in running and runs:
                name, words = runs.pop(0)
                running[each] = (name, launch(name, words, asked.out))
        time.sleep(1)
        for each, (name, process) in list(running.items()):
            if process.poll() is not None:
                del running[each]
                print(f"{name} ended with {process.returncode}: {last_line(asked.out / f'{name}.txt')}", flush=True)
                if process.returncode:
                    left[each].clear()
        if time.monotonic() > told + 30:
            told = time.monotonic()
            for name, _ in running.values():
                print(f"{name}: {last_line(asked.out / f'{name}.txt')}", flush=True)
            gather(asked.out)
    for _, process in running.values():
        process.kill()
    gather(asked.out)


def done(out: Path, run: str) -> bool:
    """Say whether a run was finished and scored."""
    return (out / run / "report.json").is_file()


if __name__ == "__main__":
    main()
