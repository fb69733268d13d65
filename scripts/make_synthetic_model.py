"""Make the model of the installation again: ``src/resight/models/synthetic.safetensors``.

    python scripts/make_synthetic_model.py FOLDER [flags of `resight train ice`]

Draws people into FOLDER/people (recipe `corpus`), trains on them in FOLDER/run (recipe `synthetic-model`), and packs
the encoder. A killed call goes on where it stopped. docs/synthetic-model.md says how long it takes and what the model
scores; another machine gives the same scores but for noise, not the same bytes.

Weights of convolutions are kept in half precision, everything else, such as the statistics of batch norm, in single.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from resight.checksums import seal
from resight.files import write_atomically
from resight.models.backbones import Provenance
from resight.models.encoder import PROVENANCE, SETTINGS, load_encoder

TARGET = Path(__file__).parents[1] / "src/resight/models/synthetic.safetensors"
PROVENANCE_OF_MODEL = Provenance(
    "resight: ImageNet weights, then synthetic people (scripts/make_synthetic_model.py)", license="Apache-2.0"
)


def main() -> None:
    """Draw, train and pack."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="for the people and the run: 2 GB")
    parser.add_argument("--pack", type=Path, help="only pack the encoder of this run folder")
    arguments, flags = parser.parse_known_args()
    run = arguments.pack or arguments.folder / "run"
    if arguments.pack is None:
        people = arguments.folder / "people"
        resight("data", "synthesize", str(people), "--config", "corpus")
        recipe = ("--config", "synthetic-model", "--data", f"synthetic={people}")
        resight("train", "ice", *recipe, "--run", str(run), *flags)
    pack(run, TARGET)
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")


def resight(*words: str) -> None:
    """Run a command of resight; its failure ends the script."""
    if code := subprocess.run([sys.executable, "-m", "resight", *words], check=False).returncode:
        sys.exit(code)


def pack(run: Path, target: Path) -> None:
    """Write the last encoder of a run, with its convolutions in half precision."""
    encoder = load_encoder(run, which="last")
    state = {name: value.half() if value.ndim > 1 else value for name, value in encoder.state_dict().items()}
    assert all(torch.isfinite(value).all() for value in state.values() if value.is_floating_point())
    texts = {SETTINGS: json.dumps(asdict(encoder.settings)), PROVENANCE: json.dumps(asdict(PROVENANCE_OF_MODEL))}
    write_atomically(target, seal(state, texts))


if __name__ == "__main__":
    main()
