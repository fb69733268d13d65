"""`resight adapt`: take a model that knows other people to a site's own cameras, without labels."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence

from resight.cli.terminal import say, show
from resight.cli.train import check_from, open_data, train_and_print
from resight.errors import ConfigError
from resight.models.encoder import load_encoder
from resight.reports.tables import changes_table_text
from resight.training.adapting import KEPT, adapt_recipe, kept_settings
from resight.training.train import read_recipe

MODEL = "a run folder or an encoder file (resight train makes one)"
USAGE = (
    "usage: resight adapt --from MODEL --data FOLDER [--run FOLDER] [settings]\n"
    "MODEL is a run folder or an encoder file; FOLDER holds crops, those of each camera in a folder of its own if the\n"
    "cameras are known. It is `resight train abmt --config adapt`, for a model of a single vector `resight train\n"
    "mean_teacher --config mean-teacher-adapt`, with images of the model's own size; --print_config lists the settings."
)


def run(arguments: Sequence[str]) -> int:
    """Run `resight adapt`."""
    if any(word in ("-h", "--help") for word in arguments):
        say(*USAGE.splitlines())
        return 0
    check_from(arguments)
    _refuse_kept(arguments)
    _, options = read_recipe("abmt", "adapt", *arguments)
    if not options.start:
        raise ConfigError(f"resight adapt needs a model: --from {MODEL}")
    if not options.data:
        raise ConfigError("resight adapt needs images: --data folder=CROPS (see resight data --help)")
    model = load_encoder(options.start).settings
    method, recipe = adapt_recipe(model.head)
    settings, options = read_recipe(method, recipe, *arguments)
    settings = dataclasses.replace(settings, encoder=dataclasses.replace(settings.encoder, **kept_settings(model)))
    dataset = open_data(options)
    trained = train_and_print(method, dataset, settings, options)
    if trained.writes:
        show(changes_table_text(trained.metrics))
        if not trained.reports:
            image = str(dataset.train.paths[0])
            told = [f"--{name}={value}" for name in ("layout", "pattern") if (value := getattr(options, name))]
            search = ["resight", "search", options.run, image, "--data", options.data, *told]
            say("Without labels this proves nothing: look at searches, of any image:")
            say(shlex.join(search))
    return 0


def _refuse_kept(arguments: Sequence[str]) -> None:
    """Make sure that nothing is asked for that would have no effect."""
    flags = {f"--encoder.{name}" for name in ("weights", *KEPT)}
    for word in arguments:
        name = word.partition("=")[0]
        if name.replace("-", "_").replace("__", "--", 1) in flags:
            raise ConfigError(f"resight adapt keeps the model as it is built: leave out {name}")
