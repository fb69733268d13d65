"""Maps of a few people by several models, side by side (figure 6.9 of the thesis)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from resight.errors import DataError
from resight.numerics.tsne import tsne
from resight.records import Features, ImageTable, Ints
from resight.reports.figures import GRID, INK, PALETTE, PAPER
from resight.reports.tiles import Names, display_name

PEOPLE, FEWEST = 10, 4
"""How many people a map shows, and the fewest images of one of them."""

_MARKERS = ("o", "^", "s")


def choose_people(table: ImageTable, *, without: Sequence[int] = (), seed: int = 0) -> Ints:
    """Choose the rows of random people who have enough images, each image once.

    Args:
        table: ``N`` images.
        without: Ids that are no person.
        seed: The seed of the choice.

    Returns:
        The rows of `PEOPLE` people, or of all if there are fewer, in the table's order.

    Raises:
        DataError: Fewer than two people have `FEWEST` images.
    """
    rows = np.sort(np.unique(table.paths, return_index=True)[1])
    people, counts = np.unique(table.person_ids[rows], return_counts=True)
    known = people[(counts >= FEWEST) & (people >= 0) & ~np.isin(people, without)]
    if len(known) < 2:
        raise DataError(f"a map of people needs two or more with {FEWEST} images each, found {len(known)}")
    chosen = np.random.default_rng(seed).choice(known, min(PEOPLE, len(known)), replace=False)
    return rows[np.isin(table.person_ids[rows], chosen)]


def people_map(models: Mapping[str, Features], *, names: Names | None = None, seed: int = 0) -> Figure:
    """Draw a map of the same images by each of some models: a color and a shape for each person.

    Args:
        models: The vectors of ``N`` images of known people, by the name of the model.
        names: The data set's names of ``people``, if it has any.
        seed: The seed of the maps.

    Raises:
        DataError: As `tsne`.
    """
    figure = Figure(figsize=(5.2 * len(models), 5.6), layout="constrained", facecolor=PAPER)
    panels = figure.subplots(1, len(models), squeeze=False)[0]
    for axes, (model, features) in zip(panels, models.items(), strict=True):
        places, table = tsne(features.embeddings, seed=seed), features.table
        for number, person in enumerate(np.unique(table.person_ids).tolist()):
            own = places[table.person_ids == person]
            label = display_name(person, (names or {}).get("people", ()), "person").replace("$", r"\$")
            color, marker = PALETTE[number % len(PALETTE)], _MARKERS[number // len(PALETTE) % len(_MARKERS)]
            axes.scatter(*own.T, s=34, color=color, marker=marker, edgecolors=PAPER, linewidths=0.5, label=label)
        axes.set_title(model.replace("$", r"\$"), color=INK, fontsize=12, loc="left")
        axes.set(xticks=[], yticks=[], facecolor=PAPER)
        axes.spines[:].set_color(GRID)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, labelcolor=INK, fontsize=10)
    return figure
