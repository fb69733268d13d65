"""Tables of the scores of generated views, as cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from resight.files import printable
from resight.reports.tables import MISSING, percent

Rows = Sequence[tuple[str, ...]]


def score_tables(scores: Mapping[str, Any], judge: str) -> Iterator[tuple[str, tuple[str, ...], Rows]]:
    """Yield the title, the head and the rows of each table.

    Args:
        scores: What `resight.methods.generation_scores.score_views` returns.
        judge: The name of the encoder that judges.
    """
    identity, frechet, diversity = scores["identity"], scores["frechet"], scores["diversity"]
    rows = [(f"image and its view at {turn}°", _number(value)) for turn, value in identity["by_turn"].items()]
    others = "different people" if identity["people_known"] else "other images"
    rows += [
        ("image and its turned views", _number(identity["turned"])),
        ("two images of a person", _number(identity["same_person"])),
        (f"images of {others}", _number(identity["different_people"])),
        (f"images of {others}, 95 % are below", _number(identity["different_people_95"])),
    ]
    yield f"Identity kept: mean cosine, by {printable(judge)}", ("", "cosine"), rows
    distances = [
        (
            "turned views, from the images",
            f"{frechet['views']:.2f}",
            f"{frechet['pictures']:,} and {scores['images']:,}",
        ),
        ("a view of each image of a half, from the other half", f"{frechet['half_of_views']:.2f}", "halves"),
        ("the images of a half, from the other half", f"{frechet['half_of_images']:.2f}", "halves"),
    ]
    yield f"{frechet['name']}: smaller is more alike", ("", "distance", "pictures"), distances
    varied = [
        ("turned views of a person", _number(diversity["views"]), f"{diversity['pairs']:,}"),
        ("images of a person", _number(diversity["real"]), f"{diversity['real_pairs']:,}"),
    ]
    yield "Diversity: (1 - SSIM) / 2 of two pictures", ("", "diversity", "pairs"), varied
    if "truth" in scores:
        truth = scores["truth"]
        errors = {
            "mean difference on the body": truth["difference"],
            "SSIM on the body (larger is more alike)": truth["body_ssim"],
            "SSIM of the picture": truth["ssim"],
        }
        errors |= {f"error of the mean color, {region}": values for region, values in truth["colors"].items()}
        cells = [(name, _number(each["generated"]), _number(each["copied"])) for name, each in errors.items()]
        yield "From the true pictures of turned people", ("", "view", "copied image"), cells
    refused = f"{identity['refused']:,} of {identity['views']:,} ({percent(identity['share'])} %)"
    yield "The gate", ("", "turned views"), [("refused", refused)]


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"
