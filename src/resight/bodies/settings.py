"""The names of the ways to get structure maps; loads without torch, so that settings can be checked at once."""

from __future__ import annotations

from resight.errors import ConfigError, nearest

RECOVERIES = ("pose", "truth", "files=PATH")
"""How the body of a person can be known: from the pose in the crop, drawn people's own, or structure maps in files."""


def split_recovery(recovery: str) -> tuple[str, str]:
    """Split the name of a way to get structure maps from its path.

    Args:
        recovery: One of `RECOVERIES`.

    Returns:
        ``pose``, ``truth`` or ``files``, and the path, empty for the first two.

    Raises:
        ConfigError: There is no such way.
    """
    name, equals, path = recovery.partition("=")
    if name == "files" and not path:
        raise ConfigError("recovery files needs the folder that holds render, render_45 ...: files=PATH")
    names = [each.partition("=")[0] for each in RECOVERIES]
    if (name != "files" and equals) or name not in names:
        raise ConfigError(f"recovery must be one of {', '.join(RECOVERIES)}; found '{recovery}'{nearest(name, names)}")
    return name, path
