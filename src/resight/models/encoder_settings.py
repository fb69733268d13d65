"""What an encoder is made of: read, checked and printed without loading torch, which takes longer than all of that."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from resight.config.types import check_types
from resight.errors import ConfigError, WeightsError, check_given, check_most, shown
from resight.files import expanded, printable
from resight.models.heads.head import Pooling, parse_head
from resight.models.packaged import DEFAULT_BACKBONE as DEFAULT_BACKBONE
from resight.models.packaged import PACKAGED, packaged_file

LARGEST = 2048
"""The most pixels of a side of the images; crops of people have 256 or 384."""

WIDEST = 2**14
"""The longest vector that an arrangement may reduce a part to."""

_OTHER_WEIGHTS = (".pth", ".pt", ".ckpt", ".bin", ".tar", ".pkl", ".pickle", ".npz", ".npy", ".onnx", ".h5", ".keras")
"""Suffixes of files of weights that resight does not write."""

BatchNormPolicy = Literal["train", "frozen"]


@dataclass(frozen=True)
class EncoderSettings:
    """What an encoder is made of.

    Attributes:
        backbone: `resnet50`, `resnet50_linear_stem` (no ReLU in its stem), `resnet50_ibn_a`, `residual_attention56`,
            `osnet_x1_0` (narrower: `x0_75`, `x0_5`, `x0_25`), or any timm model; the default's weights come with the
            installation. `hsv` and `hsv-lbp` are histograms, which learn nothing.
        weights: `synthetic` (trained on drawn people; comes with the installation, for the default backbone),
            `imagenet`, `none` (random), or a file of weights.
        height: Height of the images that go in, pixels.
        width: Width of the images that go in, pixels.
        last_stride: Stride of the last stage that halves the map: 1 keeps it twice as fine.
        pooling: `average`, `max` or `gem` (generalized mean, learned exponent); asymmetric branches each say their own.
        head: `global` (one vector of the whole map), `embedding` (one short vector of it, as in GCL), an arrangement of
            partitions: `p1+p2(s2c2)+p3(s3c3)` is SCR, `s6` is PCB (docs/methods/scr.md), or asymmetric branches: `a+m1`
            is ABMT (docs/methods/abmt.md).
        head_width: Length of each vector of an arrangement or of an embedding; other heads have as many numbers as the
            backbone has channels, for each branch.
        neck: `batchnorm` (bias frozen at 0, but for an arrangement and an embedding) or `none`.
        dropout: Share of the pooled features that is blanked while training, 0 or more, below 1.
        batchnorm: Statistics of the backbone while training: `train` (of the batch) or `frozen` (as loaded).
        neck_statistics: Statistics of the neck while training: `batch`, or `dataset` (of all training images, measured
            at the start of each epoch).
        frozen_stages: How many leading stages of the backbone keep the weights they were loaded with.
    """

    backbone: str = DEFAULT_BACKBONE
    weights: str = "imagenet"
    height: int = 256
    width: int = 128
    last_stride: int = 1
    pooling: Pooling = "average"
    head: str = "global"
    head_width: int = 256
    neck: Literal["batchnorm", "none"] = "batchnorm"
    dropout: float = 0.0
    batchnorm: BatchNormPolicy = "train"
    neck_statistics: Literal["batch", "dataset"] = "batch"
    frozen_stages: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        for name, example in (("backbone", DEFAULT_BACKBONE), ("weights", "imagenet")):
            if not getattr(self, name):
                raise ConfigError(f"{name} must not be empty: {example} is usual")
        if min(self.height, self.width) < 32:
            smaller = "height" if self.height < 32 else "width"
            raise ConfigError(f"{smaller} must be 32 or more, found {self.height} x {self.width} (height x width)")
        check_most(self, LARGEST, "height", "width")
        check_most(self, WIDEST, "head_width")
        if self.frozen_stages < 0:
            raise ConfigError(f"frozen_stages must be 0 or more, found {self.frozen_stages}")
        if self.head_width < 1:
            raise ConfigError(f"head_width must be 1 or more, found {self.head_width}")
        if len(self.head) > 100:
            raise ConfigError(f"a head has 100 letters or fewer, found {len(self.head):,}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be 0 or more and below 1, found {self.dropout}")
        if parse_head(self.head).sets_pooling and self.pooling != "average":
            raise ConfigError(f"head '{self.head}' says how each branch is pooled: leave encoder.pooling at average")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the images that go in."""
        return self.height, self.width


def names_encoder(path: Path) -> bool:
    """Return whether a path is a model: a run folder, a file with the suffix of weights, or a name of `PACKAGED`.

    It may hold no encoder at all.
    """
    if _is_packaged(path):
        return True
    if path.suffix.lower() in (".safetensors", *_OTHER_WEIGHTS):
        return True
    files = ("encoder-best.safetensors", "encoder-last.safetensors", "config.yaml")
    return any(os.path.isfile(path / file) for file in files)  # noqa: PTH113 - a path may hold any bytes


def encoder_file(path: str | os.PathLike[str], *, which: Literal["best", "last"] = "best") -> Path:
    """Find the file of an encoder.

    Args:
        path: A run folder, a ``.safetensors`` file, or a name: ``"synthetic"``, the model of the installation, or the
            descriptions that nothing has learned, ``"hsv"`` and ``"hsv-lbp"``.
        which: Of a run folder, the best epoch or the last.

    Raises:
        WeightsError: There is no such file.
    """
    check_given("path", path, (str, os.PathLike), "a run folder, or a file of an encoder")
    if which not in ("best", "last"):
        raise ConfigError(f"which must be best or last, found {shown(which)}")
    path = expanded(path)
    if _is_packaged(path):
        return packaged_file(str(path))
    file = path / f"encoder-{which}.safetensors" if path.is_dir() else path
    if file.suffix.lower() in _OTHER_WEIGHTS:
        raise WeightsError(
            f"'{printable(file)}' is not an encoder of resight: a model is a run folder or a .safetensors file of one; "
            f"weights of a backbone go into --encoder.weights {printable(file)}"
        )
    if not file.is_file():
        raise WeightsError(
            f"no encoder at '{printable(file)}': expected a .safetensors file that resight wrote, or a run folder"
        )
    return file


def _is_packaged(path: Path) -> bool:
    """Return whether a path is the name of a model of the installation; a file of that name comes first."""
    return str(path) in PACKAGED and not os.path.lexists(path)
