"""Explanations of an encoder: where it looks, and which of its parts agree about two images.

The two answer different questions. A map of `grad_cam` shows which positions of an image made one of its vectors, or
made it similar to another image's vector. `part_similarities` splits the cosine similarity of two images into the terms
of the encoder's parts. These numbers are exact, and need only the embeddings.

References:
    Thesis §3.2.2 and figure 3.2. Selvaraju et al., Grad-CAM: visual explanations from deep networks via gradient-based
    localization, 2017 (eq. 1 and 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from resight.errors import ConfigError, DataError, check_given, nearest, shown
from resight.models.encoder import ENCODER, Encoder, check_images
from resight.models.heads.head import Part as Part
from resight.models.heads.partitions import stripe_rows
from resight.records import Doubles, Features, Ranking, check_features
from resight.retrieval.ranking import check_ranking

Target = Literal["self", "match", "class"]

OVERSHOOT = 0.5
"""How far pixels may lie outside of 0..1: interpolation overshoots by less, pixels in 0..255 by more."""


@dataclass(frozen=True, eq=False)
class PartSimilarities:
    """The similarity of each part of a query to the same part of its results.

    Attributes:
        parts: The ``P`` parts, in the order of `Encoder.split`.
        cosines: ``(Q, K, P)`` cosine similarity of each part's vectors, -1..1; 0 for a vector of length 0, nan if a
            query has fewer than ``K`` results.
        shares: ``(Q, K, P)`` term of each part in the cosine similarity of the full embeddings; nan as in ``cosines``.
    """

    parts: tuple[Part, ...]
    cosines: Doubles
    shares: Doubles

    @property
    def totals(self) -> Doubles:
        """``(Q, K)`` cosine similarities of the full embeddings, the sums of ``shares``."""
        totals: Doubles = self.shares.sum(2)
        return totals


def part_similarities(queries: Features, gallery: Features, ranking: Ranking, encoder: Encoder) -> PartSimilarities:
    """Split the similarity of each query to each of its results into the encoder's parts.

    An embedding is the concatenation of the parts' vectors, normalized together. So the cosine similarity of two images
    is a sum with one term per part. A term is the product of the two parts' lengths and of their cosine similarity:
    ``a·b = Σ_p |a_p| |b_p| cos(a_p, b_p)``.

    Args:
        queries: ``Q`` unit vectors.
        gallery: ``G`` unit vectors.
        ranking: The queries' results, ``(Q, K)``.
        encoder: The encoder of the embeddings; it does not run again.

    Returns:
        The cosine similarity and the term of each query, result and part.

    Raises:
        DataError: The embeddings come from another encoder, or the ranking does not fit them.
    """
    check_features(queries=queries, gallery=gallery)
    check_given("encoder", encoder, Encoder, ENCODER)
    check_ranking(ranking, queries, gallery)
    identity, length = encoder.digest(), queries.embeddings.shape[1]
    made_by = (queries.encoder or gallery.encoder) or identity
    if length != encoder.dim or made_by != identity:
        raise DataError(
            f"the vectors ({length} numbers, encoder {made_by}) are not of this encoder ({encoder.dim} numbers, "
            f"{identity}): give the encoder that made them, or extract them again"
        )
    parts = encoder.parts
    cosines = np.full((*ranking.indices.shape, len(parts)), np.nan)
    shares = cosines.copy()
    for row, indices in enumerate(ranking.indices):  # row by row: all results at once may not fit into memory
        is_result = indices >= 0
        # All parts have equally long vectors. Products of float32 numbers are exact in float64.
        results = (
            gallery.embeddings[indices[is_result]].astype(np.float64).reshape(-1, len(parts), length // len(parts))
        )
        query = queries.embeddings[row].astype(np.float64).reshape(len(parts), -1)
        products = np.einsum("pd,kpd->kp", query, results)
        lengths = np.linalg.norm(query, axis=1) * np.linalg.norm(results, axis=2)
        shares[row, is_result] = products
        cosines[row, is_result] = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return PartSimilarities(parts, np.clip(cosines, -1, 1), shares)


def choose_parts(encoder: Encoder, names: Sequence[str] = ()) -> tuple[Part, ...]:
    """Select parts of an encoder by their names, in the order of the names; without names, select all.

    Raises:
        ConfigError: No part has that name; the message suggests the nearest name.
    """
    parts = {part.name: part for part in encoder.parts}
    for name in names:
        if name not in parts:
            raise ConfigError(f"the encoder has no part '{name}'{nearest(name, parts)} (it has: {', '.join(parts)})")
    return tuple(parts[name] for name in names) or encoder.parts


def grad_cam(
    encoder: Encoder,
    images: Tensor,
    *,
    target: Target = "self",
    parts: Sequence[str] = (),
    others: Tensor | None = None,
    weight: Tensor | None = None,
) -> dict[str, Tensor]:
    """Compute which positions of an image a vector of the encoder comes from.

    The mean of the score's gradient over the positions weights each channel of the map below a vector. The map is the
    positive part of the weighted sum: ``ReLU(Σ_k α_k A_k)``, ``α_k = mean_ij ∂y/∂A_k,ij``.

    The score ``y`` depends on the target:

    - ``"self"``: the product of the vector with itself, held fixed, ``v · stop(v)``: what made the vector.
    - ``"match"``: its cosine similarity to the same vector of another image, both lengths held fixed: what makes the
      two similar. With the image itself, the map is that of ``"self"``.
    - ``"class"``: the highest class score ``max_c w_c · v`` of a classifier on the vector, as in the thesis. Encoders
      keep no classifiers, so you give the weights; the row of a single class explains that class.

    A part's map is that of its branch. For a stripe, it is zero outside the stripe. For a group of channels, only these
    channels count.

    Args:
        encoder: The encoder. It runs in evaluation mode, on the device of the images.
        images: ``(B, 3, H, W)`` float, 0..1.
        target: The score to explain.
        parts: Names of the parts to explain (see `Encoder.parts`); all if empty.
        others: For ``"match"``, ``(B, 3, H, W)`` float, 0..1: the image to compare with each.
        weight: For ``"class"``, the classifier's ``(C, width)``.

    Returns:
        For each part's name a map of each image, ``(B, h, w)`` in 0..1: 1 at the strongest position, or all 0 if
        nothing supports the target.

    Raises:
        ConfigError: A part or the target is unknown. Or the target's `others` or `weight` is missing, not needed or of
            another size. Or images are not in 0..1. Or the encoder's maps have no rows and columns, like the tokens of
            a transformer.
        DataError: A map is not finite.
    """
    check_given("encoder", encoder, Encoder, ENCODER)
    if isinstance(parts, str):
        raise ConfigError(f"parts must be a list of names, found {shown(parts)}: write [{shown(parts)}]")
    check_given("parts", parts, Sequence, "a list of names")
    check_images("images", images)
    if others is not None:
        check_images("others", others)
    check_given("weight", weight, (Tensor, type(None)), "a classifier's (C, width) tensor")
    chosen = choose_parts(encoder, parts)
    _check_target(target, images, others, weight)
    _check_range("images", images)
    if others is not None:
        _check_range("others", others)
    training = encoder.training
    encoder.eval()
    try:
        with torch.no_grad():
            maps = encoder.maps(images)
            _check_maps(encoder, maps, images)
            compared = None if others is None else encoder.split(encoder(others))
        # The layers above the maps are small: the gradient runs through them only, not through the network below.
        with torch.enable_grad():
            leaves = [branch_maps.detach().requires_grad_() for branch_maps in maps]
            vectors = encoder.split(encoder.neck(encoder.pool_maps(leaves)))
            saliency = {}
            for part in chosen:
                index = encoder.parts.index(part)
                vector, leaf = vectors[index], leaves[part.branch]
                score = _score(vector, None if compared is None else compared[index], weight)
                (gradient,) = torch.autograd.grad(score.sum(), leaf, retain_graph=True)
                saliency[part.name] = _weight_channels(leaf.detach(), gradient, part)
    finally:
        encoder.train(training)
    return saliency


def _score(vector: Tensor, other: Tensor | None, weight: Tensor | None) -> Tensor:
    """Compute the scores ``(B,)`` of ``(B, width)`` vectors, whose gradient makes the map."""
    if weight is not None:
        if weight.ndim != 2 or weight.shape[1] != vector.shape[1]:
            raise ConfigError(
                f"weight must be (C, {vector.shape[1]}), a classifier of such vectors, found {tuple(weight.shape)}"
            )
        return (vector @ weight.to(vector).T).amax(1)
    # Fixed lengths only scale the map, and every map is scaled anyway. A gradient through the lengths would show what
    # changes the similarity, which is nothing when it is highest.
    return (vector * (vector if other is None else other).detach()).sum(1)


def _weight_channels(maps: Tensor, gradient: Tensor, part: Part) -> Tensor:
    """Weight the channels of ``(B, C, h, w)`` maps by their mean gradient, and scale each image's sum to 0..1."""
    summed = (maps * gradient.mean((2, 3), keepdim=True)).sum(1).clamp(min=0)
    if part.kind == "stripe":
        inside = torch.zeros_like(summed)
        inside[:, stripe_rows(maps.shape[2], part.count)[part.index]] = 1
        summed = summed * inside
    highest = summed.amax((1, 2), keepdim=True)
    if not bool(highest.isfinite().all()):
        raise DataError(f"the map of '{part.name}' holds nan or inf: check the weights and the images")
    return torch.where(highest > 0, summed / highest, 0)


def _check_target(target: Target, images: Tensor, others: Tensor | None, weight: Tensor | None) -> None:
    targets = get_args(Target)
    if target not in targets:
        suggestion = nearest(str(target), targets)
        raise ConfigError(f"target must be one of {', '.join(targets)}, found {shown(target)}{suggestion}")
    if (others is not None) != (target == "match") or (weight is not None) != (target == "class"):
        raise ConfigError(
            f"target '{target}': give others (images) for 'match', weight (a classifier) for 'class', and neither for "
            "'self'"
        )
    if others is not None and len(others) != len(images):
        raise ConfigError(f"others must be one image for each of the {len(images)} images, found {len(others)}")


def _check_range(name: str, images: Tensor) -> None:
    """Check that images are in 0..1, except for the overshoot of an interpolation."""
    low, high = float(images.min()), float(images.max())
    if low < -OVERSHOOT or high > 1 + OVERSHOOT:
        raise ConfigError(
            f"{name} must be in 0..1, found {low:.4g}..{high:.4g}: divide pixels in 0..255 by 255, and leave the "
            "normalization to the encoder"
        )


def _check_maps(encoder: Encoder, maps: Sequence[Tensor], images: Tensor) -> None:
    """Check that maps are two-dimensional: tokens come as a single column, longer than the map of an image can be."""
    height, width = images.shape[2:]
    for branch_maps in maps:
        if branch_maps.shape[3] == 1 and branch_maps.shape[2] > ceil(height / width):
            raise ConfigError(
                f"the {branch_maps.shape[2]} tokens of '{encoder.settings.backbone}' have no rows and columns to show: "
                "Grad-CAM needs an encoder on a convolutional backbone"
            )
