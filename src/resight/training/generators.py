"""The generator that a run of GCL has trained, and the identity encoder of the same epoch."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

from resight.compute.tensor_files import CHECKPOINT, load_state, put_back
from resight.config.renamed import current_parts, current_settings
from resight.config.settings import dotted, settings_of
from resight.config.yaml_files import read_yaml
from resight.errors import ConfigError, RunError
from resight.files import expanded, printable
from resight.methods.gcl_settings import VARIANTS, GCLSettings
from resight.models.encoder import Encoder
from resight.models.encoder_settings import EncoderSettings
from resight.models.generator import Generator
from resight.models.identity_encoder import IdentityEncoder
from resight.training.train import TrainSettings


@dataclass(frozen=True, eq=False)
class TrainedGenerator:
    """What a run's last checkpoint draws with.

    Attributes:
        encoder: The identity encoder.
        generator: The generator.
        epochs: The number of epochs that they have trained.
        settings: The run's settings of the method.
        options: The run's settings of the training.
    """

    encoder: Encoder
    generator: Generator
    epochs: int
    settings: GCLSettings
    options: TrainSettings


def load_generator(run: str | os.PathLike[str]) -> TrainedGenerator:
    """Read the generator of a finished or running run of GCL.

    Args:
        run: The run folder.

    Raises:
        RunError: It is no run, a run of another method, one without a generator or a checkpoint, or it is damaged.
    """
    name, folder = printable(run), expanded(run)
    if not (folder / "config.yaml").is_file():
        raise RunError(f"'{name}' is no run folder: expected one that resight train gcl wrote")
    options, settings = _read_config(name, folder / "config.yaml")
    if not settings.generator:
        raise RunError(f"the run in {name} has no generator: it was trained with generator false")
    checkpoint = folder / CHECKPOINT
    if not checkpoint.is_file():
        raise RunError(f"the run in {name} has no checkpoint yet: wait until its first epoch is saved")
    state = current_parts(load_state(checkpoint))
    encoder = Encoder(_without_weights(settings.encoder))
    generator = Generator(
        IdentityEncoder(encoder).code_width,
        width=settings.generator_width,
        aspp=settings.aspp,
        refinements=settings.refinements,
        slices=settings.slices,
    )
    for part, network in (("encoder", encoder), ("generator", generator)):
        try:
            put_back(network, state[part])
        except (KeyError, ValueError) as error:
            raise RunError(
                f"'{part}' of the checkpoint in {name} does not fit its config.yaml ({printable(error)}): restore "
                "a copy of the run"
            ) from error
    epoch = state.get("epoch")
    epochs = epoch + 1 if isinstance(epoch, int) else 0
    return TrainedGenerator(encoder.eval(), generator.eval(), epochs, settings, options)


def _read_config(name: str, path: Path) -> tuple[TrainSettings, GCLSettings]:
    try:
        content = current_settings(dict(dotted(read_yaml(path))))
        if "run" in content and not {"generator", "structure"} <= set(content):
            raise RunError(f"the run in {name} is of another method: only one of resight train gcl has a generator")
        options, settings = settings_of([TrainSettings, GCLSettings], {}, recipe=str(path), variants=VARIANTS)
    except (ConfigError, OSError) as error:
        raise RunError(f"{printable(path)} is damaged ({printable(error)}): restore a copy of the run") from error
    return options, settings


def _without_weights(settings: EncoderSettings) -> EncoderSettings:
    return dataclasses.replace(settings, weights="none")  # those of the checkpoint follow
