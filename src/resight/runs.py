"""A run folder: what was asked for, what happened, and how to go on after a kill.

```
config.yaml        every setting, resolved
environment.json   versions, machine, provenance of the weights
metrics.jsonl      one line an epoch
log.txt            what the run said
last.safetensors   all that is needed to go on: replaced after each epoch, atomically
encoder-last.safetensors, encoder-best.safetensors   what is evaluated, exported and served
clusters.csv       which image was in which cluster in the epoch of encoder-best, where a method clusters
report.json, report.html
warnings.json      the warnings of all its sessions
```
"""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import torch
import yaml
from torch import Tensor

from resight.checkpoints import dump_state, load_state
from resight.config import dotted
from resight.data.clusters import CLUSTERS
from resight.errors import RunError
from resight.files import expanded, locked, printable, write_atomically
from resight.models.encoder import Encoder
from resight.records import PseudoLabels

logger = logging.getLogger(__name__)

WARNINGS = "warnings.json"
"""Where a run folder keeps what its sessions warned of."""

FILES = (
    "config.yaml",
    "environment.json",
    "metrics.jsonl",
    "log.txt",
    "last.safetensors",
    "encoder-last.safetensors",
    "encoder-best.safetensors",
    "report.json",
    "report.html",
    CLUSTERS,
    WARNINGS,
)
"""What a run folder holds, as said above."""


class Stateful(Protocol):
    """Something whose state can be saved and put back."""

    def state_dict(self) -> dict[str, Any]:
        """Give the state."""

    def load_state_dict(self, state: dict[str, Any]) -> Any:
        """Put a state back."""


class Method(Protocol):
    """What trains: it owns its update."""

    @property
    def encoder(self) -> Encoder:
        """What is evaluated, exported and served."""

    @property
    def clusters(self) -> PseudoLabels | None:
        """The clusters that stand in for people in the epoch in hand; None where people are known by name."""

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """All that a checkpoint holds."""

    def begin_epoch(self, epoch: int) -> Iterable[Any]:
        """Do what comes before an epoch and give its batches."""

    def step(self, batch: Any) -> dict[str, Tensor]:
        """Learn from a batch and give the named losses."""

    def end_epoch(self) -> dict[str, float]:
        """Give the diagnostics of the epoch."""


class Run:
    """A run folder and the meters of the epoch in hand.

    Args:
        folder: Where it lies; made if absent.
        seed: The seed of the run.
        writes: Whether this process writes (of several, only the first does).
    """

    def __init__(self, folder: Path, *, seed: int = 1, writes: bool = True) -> None:
        self.folder, self.seed, self.writes = expanded(folder), seed, writes
        self._sums: dict[str, float] = {}
        self._unread: Mapping[str, Tensor] | None = None  # of the last step
        self._first: tuple[float, int] | None = None  # when the epoch's first step was done, and its images
        self._last = 0.0
        self._steps = 0
        self._images = 0
        self._start = time.monotonic()
        try:
            str(self.folder).encode()
        except UnicodeEncodeError as error:  # files of weights are read by libraries that take no other names
            raise RunError(f"the name of the run folder {printable(folder)} is not UTF-8: give another one") from error
        if writes:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError) as error:
                raise RunError(f"{self.folder} is a file, or below one: give a folder with --run") from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes out of the folder while this one trains, and tidy up after one that was killed.

        Raises:
            RunError: Another process trains in it.
        """
        if not self.writes:
            yield
            return
        with locked(self.folder) as ours:
            if not ours:
                raise RunError(
                    f"another process is training in {self.folder}: wait until it has ended, or give another folder"
                )
            # What a kill left half written beside the files it was to replace.
            for rest in self.folder.glob(f".{'[0-9a-f]' * 16}.part"):
                rest.unlink()
            yield

    def claim(self, settings: str) -> None:
        """Write the settings into the folder, or make sure that they are those of the run that lies there.

        Args:
            settings: YAML, as `write_settings` gives it.

        Raises:
            RunError: What lies there is of something else, of other settings, or has nothing to go on from.
        """
        path, new = self.folder / "config.yaml", dict(dotted(yaml.safe_load(settings)))
        there = [name for name in FILES if (self.folder / name).exists()]
        begun, models = self.checkpoint_path.is_file(), [name for name in there if name.startswith("encoder-")]
        if path.is_file():
            try:
                old = dict(dotted(yaml.safe_load(path.read_text(encoding="utf-8"))))
            except (yaml.YAMLError, UnicodeDecodeError, AttributeError) as error:
                raise RunError(f"{path} is damaged: put it back, or start in another folder with --run") from error
            if not {"run", "seed", "variant"} <= set(old):
                raise RunError(f"{path} is no run's, and would be replaced: give another folder with --run")
            if begun or models:
                self._compare(old, new)
        elif there:
            raise RunError(
                f"{self.folder} holds {there[0]} but no config.yaml of a run that could go on: give another folder "
                "with --run"
            )
        # A kill as the first epoch is saved leaves its encoder too; that is made again.
        if models and not begun and (len(self.metrics()) > 1 or "report.json" in there):
            raise RunError(
                f"{self.folder} holds a trained model, and no {self.checkpoint_path.name} to go on from: give another "
                "folder with --run"
            )
        self.write("config.yaml", settings)

    def _compare(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """Make sure that a run of the old settings may go on with the new ones."""
        if set(old) != set(new):
            raise RunError(f"{self.folder} holds a run of another method or version: give another folder with --run")
        # More epochs only make a run longer, if the learning rate is not spread over them, and its folder may be moved;
        # all else would make it another run.
        free = {"run", "device.threads"} | (set() if new.get("schedule") == "cosine" else {"epochs"})
        changed = [
            f"{name} was {old[name]}, now {value}"
            for name, value in new.items()
            if name not in free and old[name] != value and not _same_place(name, old[name], value)
        ]
        if changed:
            raise RunError(
                f"{self.folder} holds a run with other settings ({'; '.join(changed[:3])}): give the same settings to "
                "continue it, or another folder with --run"
            )
        if old["device.threads"] != new["device.threads"]:
            logger.warning("the number of threads has changed: from here on numbers may differ in their last digits")
        done = len(self.metrics())
        if new["epochs"] < done:
            raise RunError(
                f"{self.folder} has {done} epochs already: ask for so many or more, or give another folder with --run"
            )

    @property
    def checkpoint_path(self) -> Path:
        """The file that a killed run continues from."""
        return self.folder / "last.safetensors"

    def metrics(self) -> list[dict[str, Any]]:
        """Read the epochs so far; from a damaged line on, such as one that a kill cut short, they are left out."""
        path = self.folder / "metrics.jsonl"
        lines: list[dict[str, Any]] = []
        for text in path.read_bytes().splitlines() if path.is_file() else []:
            try:
                line = json.loads(text)
                lines.append({**line, "epoch": int(line["epoch"])})
            except (ValueError, TypeError, KeyError):
                break
        return lines

    def resume(self, method: Method) -> int:
        """Put the last checkpoint back, if there is one.

        Returns:
            The epoch to go on with; 0 for a new run.

        Raises:
            RunError: The checkpoint is damaged, or of another method or other images.
        """
        if not self.checkpoint_path.is_file():
            if self.writes:  # what lies there is of a run that cannot go on, and would mix with this one
                for name in ("metrics.jsonl", "encoder-best.safetensors", "encoder-last.safetensors", CLUSTERS):
                    (self.folder / name).unlink(missing_ok=True)
            return 0
        state = load_state(self.checkpoint_path)
        missing = set(method.parts) ^ set(state) - {"epoch"}
        if missing:
            raise RunError(
                f"the checkpoint in {self.folder} is of another method or version ({', '.join(sorted(missing))} "
                "differ): start in a new folder"
            )
        for name, part in method.parts.items():
            try:
                part.load_state_dict(state[name])
                if isinstance(part, torch.optim.Optimizer):
                    _lay_out(part)
            except (RuntimeError, ValueError, KeyError) as error:
                raise RunError(
                    f"'{name}' of the checkpoint in {self.folder} does not fit ({' '.join(str(error).split())}): it is "
                    "of other settings or images; start in a new folder"
                ) from error
        epoch = int(state["epoch"]) + 1
        # An epoch that was logged but not saved is done again, so its line goes.
        kept = [line for line in self.metrics() if line["epoch"] < epoch]
        if self.writes:
            self._write_metrics(kept)
        logger.info("%s goes on after epoch %d", self.folder, epoch)
        return epoch

    def meter(self, values: Mapping[str, Tensor], *, images: int) -> None:
        """Add a step's losses to the epoch's means.

        They are read when the next step's come, so that nobody waits for a GPU that still computes them.

        Raises:
            RunError: A value of the step before is nan or infinite.
        """
        self._read()
        self._unread = values
        self._images += images
        self._last = time.monotonic()
        self._first = self._first or (self._last, images)

    def _read(self) -> None:
        if self._unread is None:
            return
        for name, value in self._unread.items():
            number = float(value)
            if not math.isfinite(number):
                raise RunError(
                    f"{name} became {number} at step {self._steps} of the epoch: lower the learning rate, or train in "
                    "float32 (--device.training float32); the last checkpoint is whole"
                )
            self._sums[name] = self._sums.get(name, 0.0) + number
        self._unread = None
        self._steps += 1

    def log(self, epoch: int, values: Mapping[str, float]) -> dict[str, Any]:
        """Close the epoch: its mean losses, its speed and the given values become a line of metrics.

        Raises:
            RunError: A loss of the last step is nan or infinite.
        """
        self._read()
        means = {name: total / max(self._steps, 1) for name, total in self._sums.items()}
        now = time.monotonic()
        line = {"epoch": epoch, **means, **values, **self._speed(), "seconds": round(now - self._start, 3)}
        self._sums, self._steps, self._images, self._first, self._start = {}, 0, 0, None, now
        if self.writes:
            self._write_metrics([*self.metrics(), line])
        return line

    def _speed(self) -> dict[str, float]:
        """Give the images a second of training; the first step, which warms up, does not count."""
        if self._first is None or self._steps < 2:
            return {}
        start, size = self._first
        return {"images_per_second": round((self._images - size) / max(self._last - start, 1e-9), 2)}

    def checkpoint(self, epoch: int, method: Method, *, best: bool) -> None:
        """Save all that is needed to go on after this epoch, and the encoder."""
        if not self.writes:
            return
        if best:
            method.encoder.save(self.folder / "encoder-best.safetensors")
        method.encoder.save(self.folder / "encoder-last.safetensors")
        state = {name: part.state_dict() for name, part in method.parts.items()}
        write_atomically(self.checkpoint_path, dump_state({**state, "epoch": epoch}))

    def write(self, name: str, content: Mapping[str, Any] | str) -> None:
        """Write a file of the folder, atomically; a mapping becomes JSON."""
        if self.writes:
            text = content if isinstance(content, str) else json.dumps(content, indent=2, default=str) + "\n"
            write_atomically(self.folder / name, text)

    def _write_metrics(self, lines: list[dict[str, Any]]) -> None:
        write_atomically(self.folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


def _same_place(name: str, old: Any, new: Any) -> bool:
    """Say whether a setting of paths names the same ones in another way."""
    if name not in ("data", "source", "start"):
        return False
    separator = "," if name == "start" else "="
    texts = [str(text).split(separator) for text in (old, new)]
    first, second = ([os.path.realpath(expanded(piece)) for piece in pieces if piece] for pieces in texts)
    return first == second


def _lay_out(optimiser: torch.optim.Optimizer) -> None:
    """Lay an optimiser's averages out in memory as their parameters are, which its fast ways ask for.

    A file holds them row by row, and convolutions have their channels last.
    """
    for parameter, averages in optimiser.state.items():
        for name, value in averages.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                averages[name] = torch.empty_like(parameter).copy_(value)


def environment() -> dict[str, Any]:
    """Say what the run was made with: versions and machine."""
    packages = (
        "resight",
        "torch",
        "torchvision",
        "timm",
        "numpy",
        "numba",
        "lightning-fabric",
        "scikit-learn",
    )
    return {
        "python": sys.version.split()[0],
        "platform": f"{platform.system()} {platform.machine()}",
        **{name: version(name) for name in packages},
    }
