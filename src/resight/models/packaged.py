"""What comes with the installation."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

DEFAULT_BACKBONE = "tf_efficientnet_lite0"
"""The backbone whose ImageNet weights come with the installation."""

SYNTHETIC = "synthetic"
"""The name of the model that comes with the installation: `DEFAULT_BACKBONE`, trained on synthetic people."""


HAND_MADE = ("hsv", "hsv-lbp")
"""The descriptions that nothing has learned, `resight.models.handmade`: colors, and colors with texture."""

PACKAGED = (SYNTHETIC, *HAND_MADE)
"""The names of all models that come with the installation."""


def packaged_file(name: str) -> Path:
    """Return the file of a model that comes with the installation, one of `PACKAGED`."""
    return Path(str(importlib.resources.files("resight.models") / f"{name}.safetensors"))


def synthetic_file() -> Path:
    """Return the file of the model that comes with the installation."""
    return packaged_file(SYNTHETIC)
