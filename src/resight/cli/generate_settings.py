"""The settings of `resight generate`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from resight.compute.settings import DeviceSettings
from resight.data.settings import DataSettings
from resight.errors import ConfigError, check_least
from resight.models.packaged import SYNTHETIC


@dataclass(frozen=True)
class GenerateSettings(DataSettings):
    """Whom to draw turned, with what, and what to measure.

    Attributes:
        data: The data set: `name=PATH` or a path. You may name images after RUN instead.
        out: The PNG file for the sheet: a row for each person with the crop, its reconstruction and seven turned views.
        structure: Where bodies come from: `pose`, `truth` or a folder of renderings, as in training. Empty takes what
            the run learned from.
        views: A folder of turned views, `view`, `view_45` ... `view_315`, in place of the run's generator, which then
            need not be named.
        pictures: A folder of true pictures of the turned people, likewise. Empty takes those beside the renderings, or
            of a drawn set, if there are any.
        split: The images to draw from: `train`, `query`, `gallery` or `all`.
        count: The number of images on the sheet, of as many people (or clusters of the run) as there are.
        seed: Decides which images are drawn.
        interpolate: Draw this many steps from one person's code to the next one's, in the first one's pose, in place of
            turned views (thesis figure 5.9).
        show_maps: Also show the structure map under each view.
        show_true: Also show the true picture under each view.
        judge: The encoder that tells whether the person is kept: a run, a file, or `synthetic`. It should be another
            one than the run's own, with which the generator has learned.
        gate: The least cosine, by the judge, of image and view. Views below it are refused: struck out on the sheet,
            left out of the scores. -1 refuses none.
        evaluate: Print scores of the views.
        eval_images: The number of images that are scored; 0 for all.
        inception: A file with the weights of the Inception network, to measure the FID.
        json: Print JSON instead of lines and tables.
        device: The device to run on.
    """

    out: str = ""
    structure: str = ""
    views: str = ""
    pictures: str = ""
    split: Literal["train", "query", "gallery", "all"] = "train"
    count: int = 12
    seed: int = 1
    interpolate: int = 0
    show_maps: bool = False
    show_true: bool = False
    judge: str = SYNTHETIC
    gate: float = -1.0
    evaluate: bool = False
    eval_images: int = 200
    inception: str = ""
    json: bool = False
    device: DeviceSettings = field(default_factory=DeviceSettings)

    def __post_init__(self) -> None:
        check_least(self, 0, "eval_images", "seed")
        for name, low, high in (("count", 1, 100), ("interpolate", 0, 20), ("gate", -1, 1)):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"{name} must lie in {low}..{high}, found {getattr(self, name)}")
        if self.interpolate == 1:
            raise ConfigError("interpolate needs two steps or more, the first person and the second: found 1")
        if self.interpolate and self.views:
            raise ConfigError("interpolate mixes codes, which views in a folder do not have: leave out --views")
        if self.interpolate and (self.show_maps or self.show_true):
            raise ConfigError("show_maps and show_true are for turned views: leave them out, or --interpolate")
        if self.interpolate and self.gate > -1 and not self.evaluate:
            raise ConfigError("gate is for turned views: leave it out, or --interpolate")
        if self.inception and not self.evaluate:
            raise ConfigError("inception is for scores: add --evaluate")
