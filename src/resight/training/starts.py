"""The encoders that a run starts from."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence

from resight.errors import ConfigError
from resight.files import expanded, printable
from resight.models.backbones import build_backbone
from resight.models.encoder import Encoder, EncoderSettings, load_encoder

logger = logging.getLogger(__name__)

BUILD = ("backbone", "last_stride", "pooling", "head", "head_width", "neck")
"""The settings that an encoder is built by; a run keeps those of the encoder that it starts from."""


def split_starts(text: str) -> list[str]:
    """Return the paths of the encoders to start from: none, one, or two with a comma between them."""
    if not text or expanded(text).exists():  # a path may hold a comma itself
        return [text] if text else []
    paths = [path.strip() for path in text.split(",")]
    if len(paths) > 2 or not all(paths):
        raise ConfigError(f"start names one encoder, or two with a comma between them; found '{text}'")
    return paths


def load_starts(paths: Sequence[str], requested: EncoderSettings) -> list[Encoder]:
    """Load the encoders that a run starts from.

    Args:
        paths: Run folders or encoder files.
        requested: The encoder settings of the run.

    Returns:
        The encoders, built as the first of them, with the run's settings for training them.

    Raises:
        ConfigError: The encoders are built differently, or one has no weights.
    """
    encoders = [load_encoder(path) for path in paths]
    for path, encoder in zip(paths, encoders, strict=True):
        if not any(True for _ in encoder.parameters()):
            raise ConfigError(f"{printable(path)} has nothing that can learn: start from another model")
    settings = _merge_settings(requested, encoders[0].settings)
    return [_rebuild(encoder, settings) for encoder in encoders]


def _merge_settings(requested: EncoderSettings, start: EncoderSettings) -> EncoderSettings:
    """Return the requested encoder settings, except for how the encoder to start from is built."""
    if requested.size != start.size:
        (height, width), (start_height, start_width) = requested.size, start.size
        logger.warning(
            f"the encoder to start from was trained on images of {start_height} x {start_width}, this run shows it "
            f"{height} x {width}: unless you want that, add --encoder.height {start_height} --encoder.width "
            f"{start_width}"
        )
    build = {name: getattr(start, name) for name in BUILD}
    changed = [
        f"{name} {value} (requested: {getattr(requested, name)})"
        for name, value in build.items()
        if value != getattr(requested, name)
    ]
    if changed:
        logger.warning(f"the encoder to start from keeps the settings that it is built by: {', '.join(changed)}")
    return dataclasses.replace(requested, **build)


def _rebuild(start: Encoder, settings: EncoderSettings) -> Encoder:
    """Return an encoder with the weights of another that freezes the stages that these settings name."""
    built = start.settings
    backbone, _ = build_backbone(built.backbone, weights="none", last_stride=built.last_stride, size=built.size)
    encoder = Encoder(settings, backbone, start.provenance)
    try:
        encoder.load_state_dict(start.state_dict())
    except RuntimeError as error:
        raise ConfigError("the two encoders to start from are built differently: train them with one recipe") from error
    return encoder
