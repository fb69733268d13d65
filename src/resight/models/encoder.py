"""The encoder: pixels in, one vector for each image out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resight.checksums import DamagedError, read_fields, seal, unseal
from resight.compute.tensor_files import check_alike
from resight.config.renamed import current_provenance
from resight.errors import ConfigError, WeightsError, check_given
from resight.files import expanded, printable, write_atomically
from resight.models.backbones import Backbone, Provenance, build_backbone
from resight.models.batchnorm import batch_norms, measure_blocks, momenta, set_statistics
from resight.models.encoder_settings import EncoderSettings as EncoderSettings
from resight.models.encoder_settings import encoder_file
from resight.models.heads.head import Pooling, Region, parse_head
from resight.models.packaged import SYNTHETIC, synthetic_file
from resight.models.weights import load_state

SETTINGS, PROVENANCE = "resight.encoder", "resight.provenance"
"""The texts in the header of an encoder's file."""

ENCODER = "an Encoder, as resight.load_encoder('runs/mine') gives it"
"""What to give where an encoder is needed, for errors."""


class GeneralizedMean(nn.Module):
    """Pool a map by its generalized mean, ``(mean(x^p))^(1/p)``, with a learned ``p``.

    References:
        Radenović et al., Fine-tuning CNN image retrieval with no human annotation, 2019.
    """

    def __init__(self, exponent: float = 3.0) -> None:
        super().__init__()
        self.exponent = nn.Parameter(torch.tensor(exponent))

    def forward(self, maps: Tensor) -> Tensor:
        """Pool ``(B, C, h, w)`` to ``(B, C)``."""
        return maps.float().clamp(min=1e-6).pow(self.exponent).mean((2, 3)).pow(1.0 / self.exponent)


class Encoder(nn.Module):
    """A trunk, which is a backbone and how a head ends it, the pooling of its maps, and a neck.

    Args:
        settings: What it is made of.
        backbone: The network; built from the settings if absent.
        provenance: Where its weights come from.

    Attributes:
        head: How the backbone ends.
        parts: What each of the vectors is made of that `split` returns; those of whole maps come first.
        num_global: Number of vectors of a whole map.
        width: Length of each vector.
        dim: Length D of all vectors together.
        pooled_dim: Length P of the pooled features, before the neck.
        ghost_batches: Into how many parts a training batch is split for batch norm, see `use_ghost_batches`.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        settings: EncoderSettings,
        backbone: Backbone | None = None,
        provenance: Provenance | None = None,
    ) -> None:
        super().__init__()
        check_given("settings", settings, EncoderSettings, "EncoderSettings(...)")
        check_given("backbone", backbone, (Backbone, type(None)), "a Backbone, as build_backbone gives it")
        starts_synthetic = backbone is None and settings.weights == SYNTHETIC
        if backbone is None:
            backbone, provenance = build_backbone(
                settings.backbone,
                weights=settings.weights,
                last_stride=settings.last_stride,
                size=settings.size,
            )
        self.settings = settings
        self.provenance = provenance or Provenance("given")
        self.ghost_batches = 1
        self.gem = GeneralizedMean() if settings.pooling == "gem" else None
        for parameter in _leading_parameters(backbone.network, settings.frozen_stages):
            parameter.requires_grad_(False)
        channels = backbone.channels
        self.head = parse_head(settings.head)
        self.parts = self.head.parts(channels)
        self.num_global = sum(part.kind == "whole" for part in self.parts)
        self.width = settings.head_width if self.head.reduces else channels
        self.dim = self.width * len(self.parts)
        self.pooled_dim = max(part.columns.stop for part in self.parts)
        self.backbone = self.head.build_trunk(backbone)
        self.neck = self.head.build_neck(channels, width=settings.head_width, batchnorm=settings.neck == "batchnorm")
        if starts_synthetic:
            self._copy_neck(load_state(synthetic_file()))
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(backbone.std).view(1, 3, 1, 1), persistent=False)

    def _copy_neck(self, state: Mapping[str, Tensor]) -> None:
        """Start the neck as that of a model of a single vector, for each branch that has as many numbers."""
        values = {name.rpartition(".")[2]: value for name, value in state.items() if name.startswith("neck.")}
        for norm in batch_norms(self.neck):
            branches, rest = divmod(norm.num_features, len(values["weight"]))
            if not rest:
                norm.load_state_dict({name: v.repeat(branches) if v.ndim else v for name, v in values.items()})

    def forward(self, images: Tensor) -> Tensor:
        """Return the features after the neck, not normalized.

        Args:
            images: ``(B, 3, H, W)`` float, 0..1.

        Returns:
            ``(B, D)`` float32.
        """
        return self.forward_with_pooled(images)[1]

    def forward_with_pooled(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ``(B, P)`` pooled features and the ``(B, D)`` features after the neck; images as in `forward`."""
        parts = min(self.ghost_batches, len(images) // 2)  # batch norm needs two images to measure a variance
        if not self.training or parts <= 1:
            return self._forward_with_pooled(images)
        first, *rest = images.tensor_split(parts)
        described = [self._forward_with_pooled(first)]
        with momenta([norm for norm in batch_norms(self) if norm.training], 0.0):
            described += [self._forward_with_pooled(ghost) for ghost in rest]
        pooled, features = zip(*described, strict=True)
        return torch.cat(pooled), torch.cat(features)

    def _forward_with_pooled(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.forward_maps(self.maps(images))

    def forward_maps(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return what `forward_with_pooled` returns for the images that the maps of `maps` were made of."""
        pooled = self.pool_maps(maps)
        if self.settings.dropout:
            pooled = F.dropout(pooled, self.settings.dropout, self.training)
        return pooled, self.neck(pooled)

    def pool(self, images: Tensor) -> Tensor:
        """Return the pooled features before the neck, ``(B, P)`` float32, of ``(B, 3, H, W)`` images in 0..1."""
        return self.pool_maps(self.maps(images))

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the ``(B, C, h, w)`` maps that are pooled, of images as in `pool`: one, or one of each branch."""
        maps = self.backbone(self._normalized(images))
        return [maps] if isinstance(maps, Tensor) else list(maps)

    def pool_maps(self, maps: list[Tensor]) -> Tensor:
        """Return what `pool` returns for the images that the maps were made of."""
        return torch.cat([self._pool(region) for region in self.head.regions(maps)], 1)

    def _normalized(self, images: Tensor) -> Tensor:
        # Convolutions are fastest with the channels last in memory, on CPUs and GPUs alike.
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def _pool(self, region: Region) -> Tensor:
        pooling: Pooling = region.pooling or self.settings.pooling
        if pooling == "gem" and self.gem is not None:
            pooled: Tensor = self.gem(region.maps)
            return pooled
        if pooling == "average":
            return region.maps.mean((2, 3)).float()
        # Of equal maxima the first one learns; `amax`, which shares among them, takes ten times as long backwards.
        return F.adaptive_max_pool2d(region.maps, 1).flatten(1).float()

    def split(self, features: Tensor) -> tuple[Tensor, ...]:
        """Cut ``(B, D)`` features into the vectors they are made of: those of whole maps, then those of parts."""
        return torch.split(features, self.width, 1)

    def embed(self, images: Tensor, *, flip: bool = False) -> Tensor:
        """Return what images are compared by: L2-normalized features.

        Args:
            images: ``(B, 3, H, W)`` float, 0..1.
            flip: Add the features of the mirrored images before normalizing.

        Returns:
            ``(B, D)`` float32 of unit length.
        """
        check_images("images", images)
        features: Tensor = self(images)
        if flip:
            features = features + self(images.flip(3))
        return F.normalize(features)

    def train(self, mode: bool = True) -> Encoder:
        """Switch to training, keeping frozen statistics frozen."""
        super().train(mode)
        if mode and self.settings.batchnorm == "frozen":
            for norm in batch_norms(self.backbone):
                norm.eval()
        if mode and self.settings.neck_statistics == "dataset":
            self.neck.eval()
        return self

    def use_ghost_batches(self, count: int, *, processes: int = 1) -> None:
        """Split training batches into parts with batch-norm statistics of their own ("ghost batch norm").

        Only the first part moves the running statistics, as in data-parallel training on as many devices.

        Args:
            count: Number of parts over all processes.
            processes: Number of processes that share a batch; each splits its shard into its part of ``count``.
        """
        self.ghost_batches = max(1, count // processes)

    def measure_new_blocks(self, images: Tensor) -> None:
        """Set the statistics of blocks that the head adds to those of ``(B, 3, H, W)`` images in 0..1."""
        if blocks := self.head.new_blocks(self.backbone):
            measure_blocks(self.backbone, blocks, self._normalized(images))

    def set_neck_statistics(self, pooled: Tensor) -> None:
        """Set the neck's statistics to those of ``(N, P)`` pooled features."""
        for norm, inputs in self.neck.norm_inputs(pooled):
            set_statistics(norm, inputs)

    def digest(self) -> str:
        """Return the identity of the encoder: a hash of its settings and of every weight."""
        digest = hashlib.sha256(json.dumps(dataclasses.asdict(self.settings), sort_keys=True).encode())
        for name, value in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().flatten().clone().numpy().tobytes())
        return digest.hexdigest()[:16]

    def dump(self) -> bytes:
        """Turn weights and settings into one safetensors file; the same ones give the same bytes."""
        texts = {SETTINGS: json.dumps(dataclasses.asdict(self.settings))}
        return seal(self.state_dict(), texts | {PROVENANCE: json.dumps(dataclasses.asdict(self.provenance))})

    def save(self, path: str | Path) -> None:
        """Write weights and settings to one safetensors file, atomically."""
        check_given("path", path, (str, os.PathLike), "a file, runs/mine.safetensors for example")
        write_atomically(expanded(path), self.dump())

    @staticmethod
    def load(path: str | Path) -> Encoder:
        """Read an encoder that `save` wrote.

        Raises:
            WeightsError: The file is absent, damaged, or holds no encoder.
        """
        check_given("path", path, (str, os.PathLike), "a file of an encoder")
        path = expanded(path)
        if not path.is_file():
            raise WeightsError(
                f"no encoder at '{printable(path)}': expected a .safetensors file that resight wrote, or a run folder"
            )
        try:
            state, texts = unseal(path, [SETTINGS, PROVENANCE], unsealed=True)
            settings = read_fields(EncoderSettings, texts[SETTINGS])
            provenance = read_fields(Provenance, current_provenance(texts[PROVENANCE]))
        except (DamagedError, ConfigError, OSError) as error:
            raise WeightsError(
                f"'{printable(path)}' is damaged, or no resight encoder ({printable(_reason(error))}): give a run "
                "folder, or the encoder-best.safetensors of one"
            ) from error
        try:
            _check_size(settings, state)
            encoder = _built(settings, provenance)
            state = {name: value.float() if value.dtype == torch.float16 else value for name, value in state.items()}
            check_alike(encoder.state_dict(), state)
            encoder.load_state_dict(state)
        except Exception as error:  # libraries raise many kinds where a network cannot be built as it is described
            raise WeightsError(
                f"the weights in '{printable(path)}' do not fit the encoder it describes: {printable(_reason(error))}"
            ) from error
        return encoder.eval()


def _check_size(settings: EncoderSettings, state: Mapping[str, Tensor]) -> None:
    """Make sure, before memory is taken, that a file holds as much as the backbone that its header names."""
    with torch.device("meta"):
        needed = sum(value.numel() for value in _backbone(settings).network.state_dict().values())
    available = sum(value.numel() for value in state.values())
    if needed > available:
        raise ConfigError(f"{settings.backbone} has {needed:,} numbers, the file {available:,}")


def _built(settings: EncoderSettings, provenance: Provenance) -> Encoder:
    return Encoder(settings, _backbone(settings), provenance)


def _backbone(settings: EncoderSettings) -> Backbone:
    return build_backbone(settings.backbone, weights="none", last_stride=settings.last_stride, size=settings.size)[0]


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(text.split())[:400] or type(error).__name__


def load_encoder(path: str | os.PathLike[str], *, which: Literal["best", "last"] = "best") -> Encoder:
    """Read the encoder of a run folder, or of a file.

    Args:
        path: A run folder, a ``.safetensors`` file, or the name of a model of the installation: ``"synthetic"``, or
            the descriptions that nothing has learned, ``"hsv"`` and ``"hsv-lbp"``.
        which: Of a run folder, the best epoch or the last.

    Raises:
        WeightsError: There is no such file, it is damaged, or holds no encoder.
    """
    return Encoder.load(encoder_file(path, which=which))


def check_images(name: str, images: Tensor) -> None:
    """Make sure that an argument is a batch of images.

    Raises:
        ConfigError: It is none, with what to give.
    """
    check_given(name, images, Tensor, "a (B, 3, H, W) tensor in 0..1")
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point() or not len(images):
        raise ConfigError(
            f"{name} must be (B, 3, H, W) of floats in 0..1, found {tuple(images.shape)} of {images.dtype}: "
            "resight.data.transforms.to_float makes them of (B, H, W, 3) pixels"
        )


def _leading_parameters(network: nn.Module, stages: int) -> Iterator[nn.Parameter]:
    """Return the parameters of the stem and of the first stages (ResNets: layers; timm: blocks)."""
    if stages == 0:
        return
    blocks = [getattr(network, f"layer{i}") for i in range(1, 5) if hasattr(network, f"layer{i}")]
    blocks = blocks or list(getattr(network, "blocks", getattr(network, "stages", [])))
    if stages > len(blocks):
        raise ConfigError(f"frozen_stages must be at most {len(blocks)} for this backbone, found {stages}")
    last = list(blocks[stages - 1].parameters())[-1]
    # Parameters come in the order of the network, so the stem is among those before the last frozen stage.
    for parameter in network.parameters():
        yield parameter
        if parameter is last:
            return
