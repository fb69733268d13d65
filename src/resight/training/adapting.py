"""Which method adapts a model, and which settings of the model stay."""

from __future__ import annotations

from typing import Any

from resight.errors import ConfigError
from resight.models.encoder_settings import EncoderSettings
from resight.models.heads.head import parse_head
from resight.training.starts import BUILD

FIXED = ("height", "width", *BUILD)
"""The encoder settings that an adapted model keeps."""


def adapt_recipe(head: str) -> tuple[str, str]:
    """Return the method and the recipe that adapt a model with a head.

    Raises:
        ConfigError: It is a model of parts or of a short embedding, for which ABMT has no classifiers.
    """
    if not parse_head(head).reduces:
        return ("mean_teacher", "mean-teacher-adapt") if head == "global" else ("abmt", "adapt")
    kind = "a short embedding" if head == "embedding" else "parts"
    raise ConfigError(
        f"a model of {kind} (head {head}) cannot be adapted: give one of a single vector or of asymmetric branches, as "
        "trained by resight train ice, abmt or source"
    )


def fixed_settings(model: EncoderSettings) -> dict[str, Any]:
    """Return the settings of a model that stay when it is adapted."""
    return {name: getattr(model, name) for name in FIXED}
