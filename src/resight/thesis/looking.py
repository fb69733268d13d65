"""The picture of a figure of saliency maps: where the encoders of its runs look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from resight.data.crops import load_crops
from resight.data.splits import Dataset
from resight.data.transforms import to_float
from resight.explain import grad_cam
from resight.reports.saliency import saliency_sheet
from resight.thesis.running import Outcome, run_folder
from resight.training import load_encoder

IMAGES = 3
"""How many queries are drawn, a row each; the first of so many people."""


def looks(outcomes: Sequence[Outcome], dataset: Dataset, out: Path) -> Image.Image | None:
    """Draw where the encoders of the runs that are done look in the same images.

    Args:
        outcomes: What became of a figure's jobs, all on one data set.
        dataset: That data set.
        out: Where the runs lie.

    Returns:
        A row for each image, a column for each run's parts, of whole maps where a run has no others; None where no run
        is done.
    """
    _, first = np.unique(dataset.query.people, return_index=True)
    chosen = dataset.query[first[:IMAGES]]
    columns: dict[str, npt.NDArray[np.float32]] = {}
    for outcome in outcomes:
        if outcome.state != "done":
            continue
        encoder = load_encoder(run_folder(outcome.job, out))
        crops = load_crops(chosen, encoder.settings.size)
        chosen = crops.table  # an image that cannot be read is left out of all columns
        parts = [part.name for part in encoder.parts if part.kind != "whole"] or [encoder.parts[0].name]
        maps = grad_cam(encoder, to_float(crops.pixels(slice(None))), parts=parts)
        columns |= {f"{outcome.job.row.name}: {name}": found.numpy() for name, found in maps.items()}
    return saliency_sheet(chosen.paths.tolist(), columns) if columns else None
