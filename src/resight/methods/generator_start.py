"""Generators that a run of GCL starts from: those of another run, such as one on drawn people."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from resight.compute.tensor_files import CHECKPOINT, load_state, put_back
from resight.config.renamed import current_parts
from resight.errors import ConfigError
from resight.files import expanded, printable


def start_networks(run: str, networks: Mapping[str, nn.Module]) -> None:
    """Give networks the weights that they have in the last checkpoint of a run.

    Args:
        run: The run folder.
        networks: Networks by the names of their parts of a checkpoint.

    Raises:
        ConfigError: There is no checkpoint, it has no such part, or the part is of another shape.
        RunError: The checkpoint is damaged.
    """
    name, checkpoint = printable(run), expanded(run) / CHECKPOINT
    if not checkpoint.is_file():
        raise ConfigError(f"generator_start '{name}' has no {CHECKPOINT}: name a run folder that train gcl wrote")
    parts = current_parts(load_state(checkpoint))
    for part, network in networks.items():
        if part not in parts:
            raise ConfigError(f"the run in {name} has no {part} to start from: name a run of gcl with a generator")
        try:
            put_back(network, parts[part])
        except ValueError as error:
            raise ConfigError(
                f"the {part} of the run in {name} has another shape: give generator_width, aspp, refinements, slices "
                "and the encoder of that run"
            ) from error
