"""What comes with the installation."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

DEFAULT_BACKBONE = "tf_efficientnet_lite0"
"""The backbone whose ImageNet weights come with the installation."""

SYNTHETIC = "synthetic"
"""The name of the model that comes with the installation: `DEFAULT_BACKBONE`, trained on synthetic people."""


def synthetic_file() -> Path:
    """Return the file of the model that comes with the installation."""
    return Path(str(importlib.resources.files("resight.models") / "synthetic.safetensors"))
