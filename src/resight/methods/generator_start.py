"""Generators that a run of GCL starts from: those of another run, such as one on drawn people."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from resight.compute.tensor_files import CHECKPOINT, load_state, put_back
from resight.config.renamed import current_parts, current_settings
from resight.config.settings import dotted
from resight.config.yaml_files import read_yaml
from resight.errors import ConfigError
from resight.files import expanded, printable
from resight.models.generator import Slices


def start_networks(run: str, networks: Mapping[str, nn.Module], *, slices: Slices) -> None:
    """Give networks the weights that they have in the last checkpoint of a run.

    Args:
        run: The run folder.
        networks: Networks by the names of their parts of a checkpoint.
        slices: How they cut a part code. Weights that learned with the other cut fit in shape, and mean something else.

    Raises:
        ConfigError: It is no run folder, its checkpoint lacks a network, or the network is of another shape or cut.
        RunError: The checkpoint is damaged.
    """
    name, folder = printable(run), expanded(run)
    checkpoint, config = folder / CHECKPOINT, folder / "config.yaml"
    for file in (checkpoint, config):
        if not file.is_file():
            raise ConfigError(f"generator_start '{name}' has no {file.name}: name a run folder that train gcl wrote")
    theirs = current_settings(dict(dotted(read_yaml(config)))).get("slices", slices)
    if theirs != slices:
        raise ConfigError(f"the generator of the run in {name} learned with slices {theirs}: give --slices {theirs}")
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
