"""How good generated views are: whether the person is kept, how real and varied they are, how far from the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from resight.compute.devices import Devices
from resight.data.crops import Crops, images_of
from resight.data.transforms import to_float
from resight.errors import DataError
from resight.methods.structure import ViewGenerator
from resight.methods.view_generators import Gate, Pixels, draw
from resight.methods.view_truth import Truth
from resight.models.encoder import Encoder, EncoderSettings
from resight.models.inception import load_inception
from resight.numerics.pictures import frechet_distance, structural_similarity
from resight.progress import progress
from resight.records import Doubles, Floats, Ints, Mask
from resight.retrieval.extraction import pool_crops
from resight.synthetic.turns import TURNS

BLOCK = 16
"""Images whose views are drawn and measured at once."""

PAIRS = 1000
"""The most pairs of pictures, or of people, that a mean is taken over."""


@dataclass(frozen=True, eq=False)
class Extractor:
    """Features for the Fréchet distance.

    Attributes:
        name: What the distance in these features is called.
        features: Turns ``(B, H, W, 3)`` uint8 pictures into ``(B, F)`` features.
    """

    name: str
    features: Callable[[Pixels], Floats]


@dataclass(frozen=True, eq=False)
class _Measured:
    """What is measured of ``B`` images and their ``T`` views, of which the first is not turned.

    Attributes:
        vectors: ``(B, D)`` what the gate sees in the images.
        cosines: ``(B, T)`` of image and view.
        real: ``(B, F)`` features of the images.
        drawn: ``(B, T, F)`` features of the views.
        errors: As `Truth.errors` returns them; empty without a truth.
    """

    vectors: Floats
    cosines: Floats
    real: Floats
    drawn: Floats
    errors: dict[str, Doubles]


def backbone_extractor(devices: Devices) -> Extractor:
    """Return the substitute for the Inception network: the backbone of the installation with ImageNet's weights."""
    encoder = devices.to_device(Encoder(EncoderSettings(weights="imagenet")))

    def features(pictures: Pixels) -> Floats:
        crops = images_of(list(pictures), encoder.settings.size)
        assert isinstance(crops, Crops)
        return pool_crops(encoder, crops, devices=devices)

    return Extractor("Fréchet distance (EfficientNet-Lite0)", features)


def inception_extractor(weights: Path, devices: Devices) -> Extractor:
    """Return the Inception network of the FID.

    Raises:
        WeightsError: The file does not hold its weights.
    """
    inception = devices.to_device(load_inception(weights))

    @torch.inference_mode()
    def features(pictures: Pixels) -> Floats:
        blocks = np.array_split(pictures, -(-len(pictures) // BLOCK))
        images = (to_float(torch.from_numpy(block).to(devices.device)) for block in blocks)
        return np.concatenate([inception(block).float().cpu().numpy() for block in images])

    return Extractor("FID", features)


def score_views(
    views: ViewGenerator,
    images: Crops,
    *,
    gate: Gate,
    extractor: Extractor,
    truth: Truth | None = None,
    seed: int = 1,
) -> dict[str, Any]:
    """Score generated views.

    Args:
        views: What draws the views of ``N`` images; those that are not usable are left out.
        images: The images; people of id -1 are unknown.
        gate: What tells whether the person is kept. Pictures that it refuses only count in its own numbers.
        extractor: The features of the Fréchet distance.
        truth: True pictures of the turned people, if there are any.
        seed: Seed of pairs and halves.

    Returns:
        The number of ``images``; ``identity``, ``frechet``, ``diversity`` and, with a truth, ``truth``.

        - ``identity``: mean cosine of image and view ``by_turn`` (degrees) and of all ``turned`` views; beside them,
          of images of ``different_people``, its 95th percentile, and of the ``same_person``; ``refused`` views.
        - ``frechet``: distance of all turned views from all images; and with equal numbers, that of one turned view
          of each image of a half, and of these images, from the other half.
        - ``diversity``: (1 - SSIM) / 2, 0..1, of pairs of turned views of a person, and of pairs of ``real`` images.
        - ``truth``: as `Truth.summary` returns it.

    Raises:
        DataError: There are fewer than four usable images, or the gate refuses nearly all pictures.

    References:
        Thesis Table 5.4, whose FID and SSIM follow Zheng et al., Joint discriminative and generative learning for
        person re-identification, 2019.
    """
    usable = views.usable if truth is None else views.usable & truth.pictures.usable & truth.structure.usable
    rows = np.flatnonzero(usable)
    if len(rows) < 4:
        raise DataError(f"scores need four images or more whose views can be drawn, found {len(rows)}")
    people, rng = images.table.person_ids[rows], np.random.default_rng(seed)
    measured = _measure(views, images, rows, (gate, extractor), truth)
    refused = gate.refuses(measured.cosines)
    kept = ~refused
    if (kept[:, 1:].any(1)).sum() < 4:
        raise DataError(
            f"the gate refuses {refused[:, 1:].sum():,} of {refused[:, 1:].size:,} turned views, too many to score "
            "the others: lower --gate, or train the generator for longer"
        )
    scores = {
        "images": len(rows),
        "identity": _identity(measured, people, rng) | _refusals(refused),
        "frechet": {"name": extractor.name, **_frechet(measured, kept, rng)},
        "diversity": _diversity(views, images, rows, kept, rng),
    }
    return scores if truth is None else {**scores, "truth": truth.summary(measured.errors, kept)}


def _measure(
    views: ViewGenerator, images: Crops, rows: Ints, judges: tuple[Gate, Extractor], truth: Truth | None
) -> _Measured:
    """Draw all views once, block by block, and measure them."""
    (gate, extractor), turns, parts = judges, np.arange(TURNS), []
    for block in progress(np.array_split(rows, -(-len(rows) // BLOCK)), "drawing views"):
        sources, drawn = images.pixels(block).numpy(), draw(views, block, turns)
        vectors = gate.embed(sources)
        features = extractor.features(drawn.reshape(-1, *drawn.shape[2:])).reshape(*drawn.shape[:2], -1)
        errors = {} if truth is None else truth.errors(block, turns, drawn, sources)
        parts.append(_Measured(vectors, gate.cosines(vectors, drawn), extractor.features(sources), features, errors))
    vectors, cosines, real, features = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("vectors", "cosines", "real", "drawn")
    )
    errors = {name: np.concatenate([part.errors[name] for part in parts], 1) for name in parts[0].errors}
    return _Measured(vectors, cosines, real, features, errors)


def _identity(measured: _Measured, people: Ints, rng: np.random.Generator) -> dict[str, Any]:
    """Return the mean cosines of images and views, of different people, and of images of one person."""
    first, second = rng.integers(0, len(people), (2, 10 * PAIRS))
    different = (first != second) & ((people[first] != people[second]) | (people[first] < 0))
    others = _cosines(measured.vectors, first[different][:PAIRS], second[different][:PAIRS])
    same = _cosines(measured.vectors, *pairs_of(people, rng).T)
    by_turn = measured.cosines.mean(0)
    return {
        "by_turn": {str(360 * turn // TURNS): float(value) for turn, value in enumerate(by_turn)},
        "turned": float(by_turn[1:].mean()),
        "different_people": float(others.mean()) if len(others) else None,
        "different_people_95": float(np.percentile(others, 95)) if len(others) else None,
        "same_person": float(same.mean()) if len(same) else None,
        "people_known": bool((people >= 0).all()),
    }


def _cosines(vectors: Floats, first: Ints, second: Ints) -> Floats:
    cosines: Floats = np.einsum("bd,bd->b", vectors[first], vectors[second])
    return cosines


def _refusals(refused: Mask) -> dict[str, Any]:
    return {"refused": int(refused[:, 1:].sum()), "views": refused[:, 1:].size, "share": float(refused[:, 1:].mean())}


def _frechet(measured: _Measured, kept: Mask, rng: np.random.Generator) -> dict[str, Any]:
    """Return the distance of all views from all images, and those of equal numbers of views and of images."""
    real, drawn, turned = measured.real, measured.drawn[:, 1:], kept[:, 1:]
    order = rng.permutation(np.flatnonzero(turned.any(1)))  # images with a view that is let through
    first, second = np.array_split(order, 2)
    one = np.argmax(np.where(turned, rng.random(turned.shape), -1), 1)  # a view of each image, at random
    return {
        "views": frechet_distance(drawn[turned], real),
        "pictures": int(turned.sum()),
        "half_of_views": frechet_distance(drawn[second, one[second]], real[first]),
        "half_of_images": frechet_distance(real[second], real[first]),
    }


def _diversity(views: ViewGenerator, images: Crops, rows: Ints, kept: Mask, rng: np.random.Generator) -> dict[str, Any]:
    """Return (1 - SSIM) / 2 of pairs of turned views of a person, and of images of a person."""
    people = images.table.person_ids[rows]
    places = np.argwhere(kept[:, 1:])
    alone = -2 - np.arange(len(rows))  # an unknown person is the image's own
    owners = np.where(people >= 0, people, alone)
    chosen = places[pairs_of(owners[places[:, 0]], rng, least=-len(rows) - 2)]  # (P, 2, 2): image and turn - 1
    shown = pairs_of(people, rng)
    scores: dict[str, Any] = {"views": None, "real": None, "pairs": len(chosen), "real_pairs": len(shown)}
    if len(chosen):
        scores["views"] = _dissimilarity(
            *(views.load(rows[side[:, 0]], side[:, 1] + 1) for side in (chosen[:, 0], chosen[:, 1]))
        )
    if len(shown):
        scores["real"] = _dissimilarity(*(images.pixels(rows[side]).permute(0, 3, 1, 2) for side in shown.T))
    return scores


def _dissimilarity(first: torch.Tensor, second: torch.Tensor) -> float:
    sides = [side.permute(0, 2, 3, 1).numpy() for side in (first, second)]
    parts = (np.array_split(side, -(-len(first) // BLOCK)) for side in sides)
    similarities = np.concatenate([structural_similarity(*each) for each in zip(*parts, strict=True)])
    return float((1 - similarities).mean() / 2)


def pairs_of(owners: Ints, rng: np.random.Generator, *, least: int = 0) -> Ints:
    """Draw pairs of the same owner; none is in two pairs.

    Args:
        owners: ``(M,)`` the owner of each.
        rng: The generator.
        least: Owners below it have no pairs.

    Returns:
        ``(P, 2)`` positions; `PAIRS` pairs at most.
    """
    order = rng.permutation(len(owners))
    order = order[np.argsort(owners[order], kind="stable")]
    pairs = []
    for members in np.split(order, 1 + np.flatnonzero(np.diff(owners[order]))):
        if len(members) > 1 and owners[members[0]] >= least:
            pairs.append(members[: len(members) // 2 * 2].reshape(-1, 2))
    joined = np.concatenate(pairs) if pairs else np.zeros((0, 2), np.int64)
    return joined[rng.permutation(len(joined))[:PAIRS]]
