"""`resight adapt`: adapt a model to your own cameras, without labels."""

from __future__ import annotations

import dataclasses
import logging
import shlex
from collections.abc import Sequence

from resight.cli.queries import describe_encoder
from resight.cli.terminal import say, show
from resight.cli.train import check_from, open_data, train_and_print
from resight.errors import ConfigError
from resight.models.encoder import load_encoder
from resight.models.packaged import SYNTHETIC
from resight.reports.tables import changes_table_text
from resight.training.adapting import FIXED, adapt_recipe, fixed_settings
from resight.training.train import read_flags

logger = logging.getLogger(__name__)

USAGE = (
    "usage: resight adapt [--from MODEL] --data FOLDER [--run FOLDER] [settings]\n"
    "MODEL is a run folder or an encoder file, by default 'synthetic', the model of the installation.\n"
    "FOLDER holds crops, a folder for each camera if the cameras are known.\n"
    "The command runs `resight train abmt --config adapt` or, for a model of a single vector, `resight train\n"
    "mean_teacher --config mean-teacher-adapt`, on images of the model's size. --print_config lists the settings."
)


def run(arguments: Sequence[str]) -> int:
    """Run `resight adapt`."""
    if any(word in ("-h", "--help") for word in arguments):
        say(*USAGE.splitlines())
        return 0
    check_from(arguments)
    _refuse_fixed(arguments)
    _, options = read_flags("abmt", "adapt", arguments)
    if not options.data:
        raise ConfigError("resight adapt needs images: --data folder=CROPS (see resight data --help)")
    if not options.start:
        logger.info("no --from: adapting %s", describe_encoder(SYNTHETIC))
        logger.info(
            "resight train ice --config site (or site-few-cameras) starts from it too, and has learned more where both "
            "were measured"
        )
        arguments = [*arguments, f"--from={SYNTHETIC}"]
    model = load_encoder(options.start or SYNTHETIC).settings
    method, recipe = adapt_recipe(model.head)
    settings, options = read_flags(method, recipe, arguments)
    settings = dataclasses.replace(settings, encoder=dataclasses.replace(settings.encoder, **fixed_settings(model)))
    dataset = open_data(options)
    trained = train_and_print(method, dataset, settings, options)
    if trained.writes:
        show(changes_table_text(trained.metrics))
        if not trained.reports:
            image = str(dataset.train.paths[0])
            folder_flags = [f"--{name}={value}" for name in ("layout", "pattern") if (value := getattr(options, name))]
            search = ["resight", "search", options.run, image, "--data", options.data, *folder_flags]
            say("Without labels this table proves nothing. Look at searches for some of your images:")
            say(shlex.join(search))
    return 0


def _refuse_fixed(arguments: Sequence[str]) -> None:
    """Refuse settings that would have no effect."""
    flags = {f"--encoder.{name}" for name in ("weights", *FIXED)}
    for word in arguments:
        name = word.partition("=")[0]
        if name.replace("-", "_").replace("__", "--", 1) in flags:
            raise ConfigError(f"resight adapt does not change how the model is built: leave out {name}")
