"""`resight adapt`: take a model that knows other people to a site's own cameras, without labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from rich.console import Console

from resight.cli.train import train_and_report
from resight.data.dataset import load_dataset, parse_spec
from resight.errors import ConfigError
from resight.reports.tables import changes_table_text
from resight.training import TrainSettings, load_encoder, read_recipe

METHOD, RECIPE = "abmt", "adapt"
USAGE = (
    "usage: resight adapt --from MODEL --data FOLDER [--run FOLDER] [settings]\n"
    "MODEL is a run folder or an encoder file; FOLDER holds crops, those of each camera in a folder of its own if the\n"
    "cameras are known. It is `resight train abmt --config adapt` with images of the model's own size; --print_config\n"
    "lists the settings."
)


def run(arguments: Sequence[str]) -> int:
    """Run `resight adapt`."""
    if any(word in ("-h", "--help") for word in arguments):
        print(USAGE)
        return 0
    words = [word.replace("--from", "--start", 1) if _is_from(word) else word for word in arguments]
    settings, options = read_recipe(METHOD, RECIPE, *words)
    if not options.start:
        raise ConfigError(
            "resight adapt needs a model: --from a run folder or an encoder file (resight train makes one)"
        )
    if not options.data:
        raise ConfigError("resight adapt needs images: --data folder=CROPS (see resight data --help)")
    size = _size_of(options)
    settings = dataclasses.replace(
        settings, encoder=dataclasses.replace(settings.encoder, height=size[0], width=size[1])
    )
    trained = train_and_report(METHOD, load_dataset(*parse_spec(options.data)), settings, options)
    if trained.writes:
        Console().print(changes_table_text(trained.metrics))
        if not trained.reports:
            print("Without labels this proves nothing: look at a search, resight search QUERY.jpg --encoder MODEL")
    return 0


def _is_from(word: str) -> bool:
    return word == "--from" or word.startswith("--from=")


def _size_of(options: TrainSettings) -> tuple[int, int]:
    """Give (height, width) of the images that the model was trained on."""
    return load_encoder(options.start).settings.size
