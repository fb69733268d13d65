"""A run folder: the settings of a run, its results, and the checkpoint from which it resumes.

```
config.yaml        every setting, resolved
environment.json   versions, machine, provenance of the weights
metrics.jsonl      a line for each epoch
log.txt            the log of all sessions
last.safetensors   the checkpoint: all that a run needs to resume; replaced after each epoch, atomically
encoder-last.safetensors, encoder-best.safetensors   the encoders, to evaluate, export and serve
clusters.csv       the cluster of each image in the epoch of encoder-best, if the method clusters
report.json, report.html
warnings.json      the warnings of all sessions
```

The checkpoint decides. It is written before the encoders, and holds the digests of both encoders, of the lines of
metrics and of the images. A run resumes only if all of these are unchanged.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

from resight.checksums import MOST, finite
from resight.compute.tensor_files import CHECKPOINT, Stateful, dump_state, load_state, put_back, tensors_of
from resight.config.renamed import current_metrics, current_parts, current_settings
from resight.config.settings import dotted
from resight.config.yaml_files import parse_yaml, read_yaml
from resight.data.clusters_csv import CLUSTERS
from resight.errors import ConfigError, RunError
from resight.files import expanded, is_open, locked, named, printable, read_regular, tidy, write_atomically
from resight.methods.protocol import Method
from resight.models.encoder import Encoder
from resight.models.soundness import embeds
from resight.training.meters import LOWER, Meter
from resight.training.metrics_log import Line, history_digest, read_history, write_history
from resight.training.resume import ADDED, differences

logger = logging.getLogger(__name__)

WARNINGS = "warnings.json"
"""The file with the warnings of all sessions of a run."""

FILES = (
    "config.yaml",
    "environment.json",
    "metrics.jsonl",
    "log.txt",
    CHECKPOINT,
    "encoder-last.safetensors",
    "encoder-best.safetensors",
    "report.json",
    "report.html",
    CLUSTERS,
    WARNINGS,
)
"""The files of a run folder, as listed above."""

ELSEWHERE = "restore a copy, or start in another folder with --run"
NOT_SAVED = f"which is not saved: {LOWER}; an earlier checkpoint is intact"


class Run:
    """A run folder and the meter of the current epoch.

    Args:
        folder: The folder; created if absent.
        seed: The seed of the run.
        writes: Whether this process writes files; of several processes only the first does.

    Attributes:
        name: The folder as printed.
        images: The digest of the images that the run learns from and is scored on (`resight.data.fingerprint`); empty
            if unknown.
    """

    def __init__(self, folder: Path, *, seed: int = 1, writes: bool = True) -> None:
        self.folder, self.seed, self.writes = expanded(folder), seed, writes
        self._meter = Meter()
        self.name = printable(self.folder)
        self.images = ""
        self._handle = -1  # the open folder, while this process has it locked
        self._lines: list[Line] | None = None  # the metrics of the epochs, once they are read
        self._encoders: dict[str, str] = {}  # the digests of the encoders' files
        self._moved = ""  # the refusal if the data have moved and turn out to be others
        self._settings = ""
        try:
            str(self.folder).encode()
        except UnicodeEncodeError as error:  # the libraries that read weights take no other names
            raise RunError(
                f"the name of the run folder {printable(folder)} is not UTF-8: choose another one"
            ) from error
        if writes:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError) as error:
                raise RunError(f"{self.folder} is a file, or below one: give a folder with --run") from error
            except OSError as error:
                raise named(self.folder, error) from error

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder while this process trains, and remove what a killed process left.

        Raises:
            RunError: Another process trains in it.
        """
        if not self.writes:
            yield
            return
        with locked(self.folder) as handle:
            if handle is None:
                raise RunError(
                    f"another process is training in {self.name}: wait until it ends, or give another folder"
                )
            tidy(self.folder)
            self._handle = handle
            try:
                yield
            finally:
                self._handle = -1

    def claim(self, settings: str) -> None:
        """Write the settings into the folder, or check that they are those of the run in it.

        Args:
            settings: YAML, as written by `write_settings`.

        Raises:
            RunError: The folder holds something else, a run with other settings, or no checkpoint to resume from.
        """
        path, new = self.folder / "config.yaml", dict(dotted(parse_yaml(settings, "the settings")))
        existing = self._existing_files()
        has_checkpoint = self.checkpoint_path.name in existing
        encoders = [name for name in existing if name.startswith("encoder-")]
        if path.name in existing:
            try:
                old = current_settings(dict(dotted(read_yaml(path))))
            except (ConfigError, OSError) as error:
                raise RunError(f"{printable(path)} is damaged ({printable(error)}): {ELSEWHERE}") from error
            if not {"run", "seed", "variant"} <= set(old):
                raise RunError(
                    f"{printable(path)} belongs to no run, and would be replaced: give another folder with --run"
                )
            if has_checkpoint or encoders:
                self._compare(old, new)
        elif existing:
            raise RunError(
                f"{self.name} holds {existing[0]} but no config.yaml of a run that could resume: give another "
                "folder with --run"
            )
        # In earlier versions a kill while the first epoch was saved left its encoder too; that epoch is repeated.
        if encoders and not has_checkpoint and (len(self.metrics()) != 1 or "report.json" in existing):
            raise RunError(
                f"{self.name} holds a trained model, and no {self.checkpoint_path.name} to resume from: give another "
                "folder with --run"
            )
        self._settings = settings
        if not self._moved:
            self.write(path.name, settings)

    def _existing_files(self) -> list[str]:
        """Return the names of the run's files that exist.

        Raises:
            RunError: One of them is a folder, a pipe, or a broken link.
        """
        existing = [name for name in FILES if os.path.lexists(self.folder / name)]
        for name in existing:
            if not (self.folder / name).is_file():
                raise RunError(f"{printable(self.folder / name)} must be a file: {ELSEWHERE}")
        return existing

    def _compare(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """Check that a run with the old settings may resume with the new ones."""
        old = {**{name: value for name, value in ADDED.items() if name in new}, **old}
        if set(old) != set(new):
            raise RunError(f"{self.name} holds a run of another method or version: give another folder with --run")
        changed, moved = differences(old, new)
        refusal = (
            f"{self.name} holds a run with other settings ({'; '.join([*changed, *moved][:3])}): give the "
            "same settings to continue it, or another folder with --run"
        )
        if changed:
            raise RunError(refusal)
        self._moved = refusal if moved else ""
        if old["device.threads"] != new["device.threads"]:
            logger.warning("the number of threads has changed: from now on numbers may differ in their last digits")
        done = len(self.metrics())
        if new["epochs"] < done:
            raise RunError(
                f"{self.name} has {done} epochs already: set epochs to {done} or more, or train in another run folder"
            )

    @property
    def checkpoint_path(self) -> Path:
        """The file that an interrupted run resumes from."""
        return self.folder / CHECKPOINT

    def metrics(self) -> list[Line]:
        """Return the lines of the epochs so far: as logged, or as in the file up to a damaged line."""
        return read_history(self.folder / "metrics.jsonl") if self._lines is None else list(self._lines)

    def resume(self, method: Method) -> int:
        """Load the last checkpoint, if there is one.

        Returns:
            The epoch to continue with; 0 for a new run.

        Raises:
            RunError: The checkpoint or what goes with it is damaged, or of another method or other images.
        """
        if not self.checkpoint_path.is_file():
            if self.writes:  # left by a run that cannot resume, they would mix with this run
                for name in ("metrics.jsonl", "encoder-best.safetensors", "encoder-last.safetensors", CLUSTERS):
                    (self.folder / name).unlink(missing_ok=True)
            self._lines = []
            return 0
        state = current_parts(load_state(self.checkpoint_path))
        missing = set(method.parts) ^ set(state) - {"epoch", "run"}
        if missing:
            raise RunError(
                f"the checkpoint in {self.name} is of another method or version "
                f"({printable(', '.join(map(str, missing)))[:200]} differ): start in a new folder"
            )
        epoch = _epoch_of(state, self.checkpoint_path) + 1
        digests = state.get("run", {})
        lines = self._read_history(epoch, digests.get("history", ""))
        for name, part in method.parts.items():
            self._restore_part(name, part, state[name])
        self._check_images(digests.get("images", ""))
        if self.writes:
            # An epoch that was logged but not saved is repeated, so its line is removed.
            self._write("metrics.jsonl", write_history(lines))
            if self._moved:
                self.write("config.yaml", self._settings)
        self._lines = lines
        self._check_encoders(method, digests.get("encoders", {}))
        return epoch

    def _restore_part(self, name: str, part: Stateful, state: Any) -> None:
        try:
            put_back(part, state)
        except ValueError as error:
            raise RunError(
                f"'{name}' of the checkpoint in {self.name} does not fit ({printable(error)}): it belongs to other "
                "settings or images; start in a new folder"
            ) from error

    def _check_images(self, expected: str) -> None:
        """Check that the images have the digest of those that the run began with."""
        if self._moved and not expected:
            raise RunError(self._moved)
        if expected and self.images and expected != self.images:
            raise RunError(
                f"the images are not those that the run in {self.name} began with, or their cameras or people have "
                "changed: a run does not resume with other images; restore them, or start in another folder with --run"
            )

    def _read_history(self, epochs: int, digest: str) -> list[Line]:
        """Read the lines of the saved epochs.

        Raises:
            RunError: A line is missing, or the lines are not those that were written.
        """
        path, lines = self.folder / "metrics.jsonl", read_history(self.folder / "metrics.jsonl")[:epochs]
        if len(lines) < epochs:
            raise RunError(
                f"{printable(path)} is damaged: the line of epoch {len(lines)} is missing, out of order or not of "
                f"numbers, and {self.checkpoint_path.name} has {epochs} epochs: {ELSEWHERE}"
            )
        if digest and digest != history_digest(lines):
            raise RunError(f"{printable(path)} is damaged: its numbers are not those that were written: {ELSEWHERE}")
        return [current_metrics(line) for line in lines]

    def _check_encoders(self, method: Method, digests: Mapping[str, str]) -> None:
        """Check that the encoders are those that were saved; write an encoder again if the checkpoint holds it."""
        content = method.encoder.dump() if digests else b""
        for which, digest in digests.items():
            path = self.folder / f"encoder-{which}.safetensors"
            if _digest_of(path) == digest:
                continue
            if hashlib.sha256(content).hexdigest() != digest:
                raise RunError(f"{printable(path)} is missing or damaged: {ELSEWHERE}")
            self._write(path.name, content)
        present = {which: _digest_of(self.folder / f"encoder-{which}.safetensors") for which in ("last", "best")}
        self._encoders = dict(digests) or {which: digest for which, digest in present.items() if digest}

    def meter(self, values: Mapping[str, Tensor], *, images: int) -> None:
        """Add a step's losses to the epoch's means.

        Raises:
            RunError: A loss of the previous step is nan or infinite.
        """
        self._meter.add(values, images=images)

    def log(self, epoch: int, values: Mapping[str, float]) -> Line:
        """Close the epoch and write its line of metrics: its mean losses, its speed and the given values.

        Raises:
            RunError: A loss of the last step is nan or infinite.
        """
        means, speed = self._meter.close()
        line = {"epoch": epoch, **means, **values, **speed}
        self._lines = [*self.metrics()[:epoch], line]
        self._write("metrics.jsonl", write_history(self._lines))
        return line

    def check(self, method: Method) -> None:
        """Check that all numbers are finite after an epoch.

        Raises:
            RunError: A weight, a statistic or an average became nan or infinite, or the encoder's embeddings did.
        """
        self._check_finite(method)
        if isinstance(method.encoder, Encoder) and not embeds(method.encoder):
            raise RunError(f"the encoder returns vectors that are not finite after the epoch, {NOT_SAVED}")

    def _check_finite(self, method: Method) -> None:
        for name, part in method.parts.items():
            if not all(map(finite, tensors_of(part.state_dict()))):
                raise RunError(f"numbers of '{name}' became nan or infinite in the epoch, {NOT_SAVED}")

    def checkpoint(self, epoch: int, method: Method, *, best: bool) -> None:
        """Save the checkpoint of this epoch, and the encoder.

        Raises:
            RunError: A number is not finite; the earlier checkpoint stays.
        """
        self._check_finite(method)
        if not self.writes:
            return
        content = method.encoder.dump()
        names = ["last", "best"] if best else ["last"]
        self._encoders |= dict.fromkeys(names, hashlib.sha256(content).hexdigest())
        state = {name: part.state_dict() for name, part in method.parts.items()}
        digests = {"encoders": self._encoders, "history": history_digest(self.metrics()), "images": self.images}
        self._write(self.checkpoint_path.name, dump_state({**state, "epoch": epoch, "run": digests}))
        for which in names:
            self._write(f"encoder-{which}.safetensors", content)

    def write(self, name: str, content: Mapping[str, Any] | str) -> None:
        """Write a file into the folder, atomically; a mapping becomes JSON."""
        text = content if isinstance(content, str) else json.dumps(content, indent=2, default=str) + "\n"
        self._write(name, text)

    def _write(self, name: str, content: bytes | str) -> None:
        if not self.writes:
            return
        is_gone = not is_open(self._handle, self.folder)
        if is_gone or (self._settings and not (self.folder / "config.yaml").is_file() and name != "config.yaml"):
            raise RunError(
                f"{self.name} was removed, renamed or emptied while this run was writing to it: nothing more "
                "is written; start again, with --run if it has another name now"
            )
        write_atomically(self.folder / name, content, parents=False)


def _epoch_of(state: Mapping[str, Any], path: Path) -> int:
    epoch = state.get("epoch")
    if type(epoch) is not int or not 0 <= epoch < 10**9 or not isinstance(state.get("run", {}), dict):
        raise RunError(f"{printable(path)} is damaged: its epoch must be a whole number of 0 or more: {ELSEWHERE}")
    return epoch


def _digest_of(path: Path) -> str:
    try:
        return hashlib.sha256(read_regular(path, MOST)).hexdigest()
    except (OSError, ValueError):
        return ""


def environment() -> dict[str, Any]:
    """Return the versions and the machine that the run uses."""
    packages = ("resight", "torch", "torchvision", "timm", "numpy", "numba", "lightning-fabric", "scikit-learn")
    return {
        "python": sys.version.split()[0],
        "platform": f"{platform.system()} {platform.machine()}",
        **{name: version(name) for name in packages},
    }
