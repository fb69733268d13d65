"""Why an encoder says what it says: where it looks, and which of its parts agree about two images.

The two answer different questions. A map of `grad_cam` shows which places of an image made one of its vectors, or made
it similar to another image's. `part_similarities` takes the cosine similarity of two images apart into what each vector
of the encoder adds to it; these numbers are exact, and need only vectors that were extracted before.

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

Target = Literal["self", "match", "class"]


@dataclass(frozen=True, eq=False)
class PartSimilarities:
    """How similar each part of an image is to the same part of another, for the results of some queries.

    Attributes:
        parts: The ``P`` parts, in the order of `Encoder.split`.
        cosines: ``(Q, K, P)`` cosine similarity of each part's vector, -1..1; 0 where one has no length, nan where a
            query has fewer than ``K`` results.
        shares: ``(Q, K, P)`` what each part adds to the cosine similarity of the whole vectors; likewise nan.
    """

    parts: tuple[Part, ...]
    cosines: Doubles
    shares: Doubles

    @property
    def totals(self) -> Doubles:
        """``(Q, K)`` cosine similarities of the whole vectors."""
        totals: Doubles = self.shares.sum(2)
        return totals


def part_similarities(queries: Features, gallery: Features, ranking: Ranking, encoder: Encoder) -> PartSimilarities:
    """Take the similarity of each query to each of its results apart into the encoder's parts.

    Features are the parts' vectors one after another, normalized together. So the cosine similarity of two images is a
    sum with a term for each part, the product of the two parts' lengths and of their own cosine similarity:
    ``a·b = Σ_p |a_p| |b_p| cos(a_p, b_p)``.

    Args:
        queries: ``Q`` unit vectors.
        gallery: ``G`` unit vectors.
        ranking: The queries' results, ``(Q, K)``.
        encoder: What made the vectors; it is not run again.

    Returns:
        For each query, result and part its cosine similarity and its share of the whole.

    Raises:
        DataError: The vectors are another encoder's, or there are not as many queries as rows of the ranking.
    """
    check_features(queries=queries, gallery=gallery)
    check_given("ranking", ranking, Ranking, "a Ranking, as resight.rank(queries, gallery) gives it")
    check_given("encoder", encoder, Encoder, ENCODER)
    if ranking.indices.max(initial=-1) >= len(gallery):
        raise DataError(f"the ranking names gallery row {ranking.indices.max()} of {len(gallery)}: rank this gallery")
    if len(queries) != len(ranking):
        raise DataError(f"expected a row of the ranking for each of the {len(queries)} queries, found {len(ranking)}")
    identity, length = encoder.digest(), queries.embeddings.shape[1]
    made_by = (queries.encoder or gallery.encoder) or identity
    if length != encoder.dim or made_by != identity:
        raise DataError(
            f"the vectors ({length} numbers, encoder {made_by}) are not of this encoder ({encoder.dim} numbers, "
            f"{identity}): give the one that made them, or extract them again"
        )
    parts = encoder.parts
    cosines = np.full((*ranking.indices.shape, len(parts)), np.nan)
    shares = cosines.copy()
    for row, ids in enumerate(ranking.indices):  # row by row: all queries' results at once would not fit
        there = ids >= 0
        # The vectors of an encoder are equally long. Products of float32 numbers are exact in float64.
        found = gallery.embeddings[ids[there]].astype(np.float64).reshape(-1, len(parts), length // len(parts))
        query = queries.embeddings[row].astype(np.float64).reshape(len(parts), -1)
        products = np.einsum("pd,kpd->kp", query, found)
        lengths = np.linalg.norm(query, axis=1) * np.linalg.norm(found, axis=2)
        shares[row, there] = products
        cosines[row, there] = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return PartSimilarities(parts, np.clip(cosines, -1, 1), shares)


def choose_parts(encoder: Encoder, names: Sequence[str] = ()) -> tuple[Part, ...]:
    """Find parts of an encoder by their names, in the order of the names; without names all of them.

    Raises:
        ConfigError: A name is none of its parts'; the nearest is named.
    """
    known = {part.name: part for part in encoder.parts}
    for name in names:
        if name not in known:
            raise ConfigError(f"the encoder has no part '{name}'{nearest(name, known)} (it has: {', '.join(known)})")
    return tuple(known[name] for name in names) or encoder.parts


def grad_cam(
    encoder: Encoder,
    images: Tensor,
    *,
    target: Target = "self",
    parts: Sequence[str] = (),
    others: Tensor | None = None,
    weight: Tensor | None = None,
) -> dict[str, Tensor]:
    """Show which places of an image a vector of the encoder comes from.

    Each channel of the map that a vector is pooled from is weighed by the mean of the target's gradient over the map's
    places, and the weighed sum of the channels is cut off at zero: ``ReLU(Σ_k α_k A_k)``, ``α_k = mean_ij ∂y/∂A_k,ij``.

    What is differentiated, ``y``:

    - ``"self"``: the product of the vector with itself as it stands, ``v · stop(v)``: what made it what it is.
    - ``"match"``: its cosine similarity to the same vector of another image, both lengths held fixed: what makes the
      two similar. With the image itself it gives the map of ``"self"``.
    - ``"class"``: the highest class score ``max_c w_c · v`` of a classifier on the vector, which is the reading of the
      thesis. Encoders keep no classifiers, so the weights have to be given; one class' row alone asks for that class.

    A part's map is that of its branch: of a stripe, zero outside the stripe; of a group of channels, of these alone.

    Args:
        encoder: Run in evaluation mode, on the device of the images.
        images: ``(B, 3, H, W)`` float, 0..1.
        target: What is explained.
        parts: Names of the parts to explain (see `Encoder.parts`); all where empty.
        others: For ``"match"``, ``(B, 3, H, W)``: the image that each is compared with.
        weight: For ``"class"``, the classifier's ``(C, width)``.

    Returns:
        For each part's name a map for each image, ``(B, h, w)`` in 0..1: 1 at its strongest place; all 0 where nothing
        speaks for the target.

    Raises:
        ConfigError: A part or the target is unknown; the target's `others` or `weight` is missing, not needed or of
            another size; or the encoder's maps have no rows and columns, as a transformer's tokens.
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
    training = encoder.training
    encoder.eval()
    try:
        with torch.no_grad():
            maps = encoder.maps(images)
            _check_maps(encoder, maps, images)
            compared = None if others is None else encoder.split(encoder(others))
        # What is above the maps is small: only that is differentiated, and not the network below them.
        with torch.enable_grad():
            leaves = [one.detach().requires_grad_() for one in maps]
            vectors = encoder.split(encoder.neck(encoder.pool_maps(leaves)))
            found = {}
            for part in chosen:
                place = encoder.parts.index(part)
                vector, leaf = vectors[place], leaves[part.branch]
                score = _score(vector, None if compared is None else compared[place], weight)
                (slopes,) = torch.autograd.grad(score.sum(), leaf, retain_graph=True)
                found[part.name] = _weighed(leaf.detach(), slopes, part)
    finally:
        encoder.train(training)
    return found


def _score(vector: Tensor, other: Tensor | None, weight: Tensor | None) -> Tensor:
    """Give ``(B,)`` what is differentiated for ``(B, width)`` vectors."""
    if weight is not None:
        if weight.ndim != 2 or weight.shape[1] != vector.shape[1]:
            raise ConfigError(
                f"weight must be (C, {vector.shape[1]}), a classifier of such vectors, found {tuple(weight.shape)}"
            )
        return (vector @ weight.to(vector).T).amax(1)
    # Lengths that are held fixed only scale the map, which is scaled anyway. A gradient through them would be of what
    # changes the similarity, which is nothing where it is highest.
    return (vector * (vector if other is None else other).detach()).sum(1)


def _weighed(maps: Tensor, slopes: Tensor, part: Part) -> Tensor:
    """Weigh the channels of ``(B, C, h, w)`` maps by their mean slopes, and scale each image's sum to 0..1."""
    summed = (maps * slopes.mean((2, 3), keepdim=True)).sum(1).clamp(min=0)
    if part.kind == "stripe":
        inside = torch.zeros_like(summed)
        inside[:, stripe_rows(maps.shape[2], part.count)[part.index]] = 1
        summed = summed * inside
    highest = summed.amax((1, 2), keepdim=True)
    if not bool(highest.isfinite().all()):
        raise DataError(f"the map of '{part.name}' holds nan or inf: check the weights and the images")
    return torch.where(highest > 0, summed / highest, 0)


def _check_target(target: Target, images: Tensor, others: Tensor | None, weight: Tensor | None) -> None:
    known = get_args(Target)
    if target not in known:
        near = nearest(str(target), known)
        raise ConfigError(f"target must be one of {', '.join(known)}, found {shown(target)}{near}")
    if (others is not None) != (target == "match") or (weight is not None) != (target == "class"):
        raise ConfigError(
            f"target '{target}': give others (images) for 'match', weight (a classifier) for 'class', and neither for "
            "'self'"
        )
    if others is not None and len(others) != len(images):
        raise ConfigError(f"others must be one image for each of the {len(images)} images, found {len(others)}")


def _check_maps(encoder: Encoder, maps: Sequence[Tensor], images: Tensor) -> None:
    """Make sure that maps are pictures: tokens come as a single column, longer than an image's column can be."""
    height, width = images.shape[2:]
    for one in maps:
        if one.shape[3] == 1 and one.shape[2] > ceil(height / width):
            raise ConfigError(
                f"the {one.shape[2]} tokens of '{encoder.settings.backbone}' have no rows and columns to show: "
                "Grad-CAM needs an encoder on a convolutional backbone"
            )
