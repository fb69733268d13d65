"""`resight adapt`: take a model that knows other people to a site's own cameras, without labels."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence

from resight.cli.terminal import say, show
from resight.cli.train import open_data, train_and_report
from resight.errors import ConfigError
from resight.files import shortened
from resight.models.encoder import EncoderSettings, load_encoder
from resight.models.heads.partitions import PartNeck
from resight.reports.tables import changes_table_text
from resight.training.train import BUILD, read_recipe

METHOD, RECIPE, SINGLE = "abmt", "adapt", "mean-teacher-adapt"
KEPT = ("height", "width", *BUILD)
"""Settings of the encoder that stay the model's."""

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
    following = [*arguments[1:], "--"]
    if any(word == "--from" and after.startswith("--") for word, after in zip(arguments, following, strict=False)):
        raise ConfigError(f"--from needs a model: {MODEL}")
    _refuse_kept(arguments)
    if any(map(_is_from, arguments)) and any(word.partition("=")[0] == "--start" for word in arguments):
        raise ConfigError("--from and --start say the same: leave one out")
    models = [text for word, text in zip(arguments, following, strict=False) if word == "--from"]
    models += [word.partition("=")[2] for word in arguments if word.startswith("--from=")]
    if len(set(models)) > 1:
        first, last = (shortened(model, 60) for model in (models[0], models[-1]))
        raise ConfigError(f"--from is given twice, as '{first}' and as '{last}': it takes one model")
    words = [word.replace("--from", "--start", 1) if _is_from(word) else word for word in arguments]
    settings, options = read_recipe(METHOD, RECIPE, *words)
    if not options.start:
        raise ConfigError(f"resight adapt needs a model: --from {MODEL}")
    if not options.data:
        raise ConfigError("resight adapt needs images: --data folder=CROPS (see resight data --help)")
    own = _settings_of(options.start)
    if own.head == "global":
        settings, options = read_recipe(METHOD, SINGLE, *words)
    kept = {name: getattr(own, name) for name in KEPT}
    settings = dataclasses.replace(settings, encoder=dataclasses.replace(settings.encoder, **kept))
    dataset = open_data(options)
    trained = train_and_report(METHOD, dataset, settings, options)
    if trained.writes:
        show(changes_table_text(trained.metrics))
        if not trained.reports:
            image = str(dataset.train.paths[0])
            told = [f"--{name}={value}" for name in ("layout", "pattern") if (value := getattr(options, name))]
            search = ["resight", "search", image, "--data", options.data, *told, "--encoder", options.run]
            say("Without labels this proves nothing: look at searches, of any image:")
            say(shlex.join(search))
    return 0


def _is_from(word: str) -> bool:
    return word == "--from" or word.startswith("--from=")


def _refuse_kept(arguments: Sequence[str]) -> None:
    """Make sure that nothing is asked for that would have no effect."""
    flags = {f"--encoder.{name}" for name in ("weights", *KEPT)}
    for word in arguments:
        name = word.partition("=")[0]
        if name.replace("-", "_").replace("__", "--", 1) in flags:
            raise ConfigError(f"resight adapt keeps the model as it is built: leave out {name}")


def _settings_of(model: str) -> EncoderSettings:
    """Give what a model is, and the size of the images that it was trained on.

    Raises:
        ConfigError: It is one of parts, which ABMT has no classifiers for.
    """
    encoder = load_encoder(model)
    if isinstance(encoder.neck, PartNeck):
        raise ConfigError(
            f"{model} is a model of parts (head {encoder.settings.head}), which cannot be adapted: give one of a "
            "single vector or of asymmetric branches, as resight train ice, abmt or source makes them"
        )
    return encoder.settings
