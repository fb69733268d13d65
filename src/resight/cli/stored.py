"""A file of vectors in the place of a model: which flags it takes, and which data set it is scored on."""

from __future__ import annotations

from collections.abc import Sequence

from resight.errors import ConfigError
from resight.files import expanded, printable
from resight.retrieval.feature_files import StoredFeatures, load_features, names_features
from resight.retrieval.stored_sides import normalized

EMBEDDING = ("--flip", "--adapt_statistics", "--cache", "--encoder")
"""Flags of embedding, which a file of vectors does not need."""


def open_stored(name: str, flags: Sequence[str], *, normalize: bool) -> StoredFeatures | None:
    """Read a file of vectors, if a word names one.

    Args:
        name: The word in the place of a model; may be empty.
        flags: The flags of the command line.
        normalize: Whether to scale the vectors to unit length.

    Returns:
        The vectors; None if the word names something else.

    Raises:
        ConfigError: A flag says how to embed.
        DataError: As `load_features`.
    """
    if not name or not names_features(name):
        return None
    for flag in flags:
        setting = flag.partition("=")[0].replace("-", "_").replace("__", "--", 1)
        if setting in EMBEDDING or setting.startswith("--encoder."):
            raise ConfigError(f"{printable(name)} holds vectors that are embedded already: leave out {setting}")
    stored = load_features(expanded(name))
    return normalized(stored) if normalize else stored
