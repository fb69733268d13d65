"""How far generated views are from true pictures of the turned people, beside copies of the images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from resight.bodies.maps import DrawnMaps, StructureMaps
from resight.methods.structure import ViewGenerator, body_mask
from resight.methods.view_generators import Pixels, draw
from resight.numerics.pictures import (
    THIRDS,
    body_thirds,
    masked_difference,
    region_color_error,
    structural_similarity,
)
from resight.records import Doubles, Ints, Mask
from resight.synthetic.body import load_body
from resight.synthetic.turns import render_layers

PARTS = {
    "head": ("neck", "face", "hair"),
    "torso": ("torso_upper", "torso_lower"),
    "arms": ("upper_arm", "forearm", "hand"),
    "legs": ("upper_leg", "lower_leg", "foot"),
}
"""The parts of a body whose colors are compared, and the names of their surfaces."""

Regions = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Truth:
    """What the turned people really look like.

    Attributes:
        pictures: The true pictures.
        structure: The structure maps, which tell where the bodies are.
    """

    pictures: ViewGenerator
    structure: StructureMaps

    @property
    def regions(self) -> tuple[str, ...]:
        """The names of the regions of a body: parts if its mesh is known, thirds of its height otherwise."""
        return tuple(PARTS) if isinstance(self.structure, DrawnMaps) else THIRDS

    def regions_at(self, rows: Ints, turns: Ints) -> tuple[Regions, Mask]:
        """Return the ``(B, H, W)`` region of each pixel, 1 for the first and 0 for none, and where the body is."""
        if not isinstance(self.structure, DrawnMaps):
            maps = self.structure.load(rows, turns)
            mask = body_mask(maps.float() / 127.5 - 1)[:, 0].numpy()
            return body_thirds(mask), mask
        parts = render_layers(self.structure.bodies[rows], turns, self.structure.size).parts
        region_of = np.zeros(1 + len(load_body().part_names), np.uint8)
        for number, names in enumerate(PARTS.values()):
            region_of[[1 + load_body().part_names.index(name) for name in names]] = number + 1
        return region_of[parts], parts > 0

    def errors(self, rows: Ints, turns: Ints, drawn: Pixels, sources: Pixels) -> dict[str, Doubles]:
        """Measure how far views, and copies of the images, are from the true pictures.

        Args:
            rows: ``(B,)`` rows of the images.
            turns: ``(T,)`` eighths of a circle.
            drawn: ``(B, T, H, W, 3)`` uint8, the views.
            sources: ``(B, H, W, 3)`` uint8, the images.

        Returns:
            Of the views and of the copies: ``difference`` ``(2, B, T)``, the mean absolute difference on the body;
            ``ssim`` and, of windows around pixels of the body, ``body_ssim`` ``(2, B, T)``; ``colors``
            ``(2, B, T, K)``, the error of the mean color of each region.
        """
        true = _flat(draw(self.pictures, rows, turns))
        regions, mask = self.regions_at(np.repeat(rows, len(turns)), np.tile(turns, len(rows)))
        measures: dict[str, Callable[[Pixels], Doubles]] = {
            "difference": lambda pictures: masked_difference(pictures, true, mask),
            "ssim": lambda pictures: structural_similarity(pictures, true),
            "body_ssim": lambda pictures: structural_similarity(pictures, true, mask),
            "colors": lambda pictures: region_color_error(pictures, true, regions, len(self.regions)),
        }
        candidates = [_flat(drawn), np.repeat(sources, len(turns), axis=0)]
        shape = (2, len(rows), len(turns))
        errors = {name: np.stack([measure(pictures) for pictures in candidates]) for name, measure in measures.items()}
        return {name: values.reshape(*shape, *values.shape[2:]) for name, values in errors.items()}

    def summary(self, errors: dict[str, Doubles], kept: Mask) -> dict[str, Any]:
        """Return the means over turned views that the gate lets through.

        Args:
            errors: As `errors` returns them; the first turn is by 0.
            kept: ``(B, T)``.

        Returns:
            For ``difference``, ``ssim``, ``body_ssim`` and the colors of each region, a number for ``generated`` and
            one for ``copied``; None for a region that no picture shows.
        """
        chosen = {name: values[:, :, 1:][:, kept[:, 1:]] for name, values in errors.items()}
        colors = {region: chosen["colors"][..., number] for number, region in enumerate(self.regions)}
        return {
            "difference": _means(chosen["difference"]),
            "ssim": _means(chosen["ssim"]),
            "body_ssim": _means(chosen["body_ssim"]),
            "colors": {region: _means(values) for region, values in colors.items()},
        }


def _means(values: Doubles) -> dict[str, float | None]:
    """Return the means of ``(2, M)`` values, without nan."""
    means = [float(row[~np.isnan(row)].mean()) if (~np.isnan(row)).any() else None for row in values]
    return dict(zip(("generated", "copied"), means, strict=True))


def _flat(pictures: Pixels) -> Pixels:
    return pictures.reshape(-1, *pictures.shape[2:])
