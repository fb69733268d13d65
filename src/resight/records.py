"""The five records that the functions of resight take and return.

They are frozen, and their arrays are read-only. Slicing a record returns a new one, over the same memory or a copy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sized
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from resight.arrays import id_column, real_numbers, text_column, whole_numbers
from resight.errors import DataError, check_given, number_within, shown

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

UNKNOWN = -1
"""The id of an unknown person, camera, tracklet or frame."""

Exclude = Literal["same-camera", "none"]

EXCLUSIONS: tuple[Exclude, ...] = get_args(Exclude)
"""What an evaluation excludes from the gallery of each query, besides people of id -1: the images of the query's person
by its own camera, or nothing."""


def _copy_read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only copy."""
    array = array.copy()
    array.setflags(write=False)
    return array


def _ids(values: Any, size: int, name: str) -> Ints:
    column = _copy_read_only(id_column(values, name, size))
    if (column < UNKNOWN).any():
        raise DataError(f"{name} must be 0 or more, or -1 for unknown; found {column.min()}")
    return column


def _select(column: npt.NDArray[Any], rows: Any) -> npt.NDArray[Any]:
    """Return rows of a column.

    Raises:
        DataError: There are no such rows, or the rows are no slice, index array or mask.
    """
    try:
        selected: npt.NDArray[Any] = column[rows]
    except (IndexError, TypeError, ValueError) as error:
        raise DataError(f"no such rows among {len(column)} images ({' '.join(str(error).split())})") from None
    if np.ndim(selected) != 1:
        raise DataError(f"rows must be a slice, a column of indices or a mask, such as [[3]]; found {shown(rows)}")
    return selected


@dataclass(frozen=True, eq=False)
class ImageTable:
    """Images and their labels, a row for each image.

    Attributes:
        paths: ``(N,)`` file paths, as strings.
        person_ids: ``(N,)`` int64 person ids; ``-1`` is unknown (or junk, if a data set says so).
        camera_ids: ``(N,)`` int64 camera ids, gaps allowed; ``-1`` is unknown.
        tracklet_ids: ``(N,)`` int64 tracklet ids, ``-1`` unknown.
        frame_ids: ``(N,)`` int64 frame numbers, ``-1`` unknown.
        domain_ids: ``(N,)`` int64 ids of the set or the site that an image is of. Nobody is in two of them. ``-1`` is
            unknown; a table of a single set needs none.

    Raises:
        DataError: A column's length differs from the number of paths, or a value is no id or no path.
    """

    paths: npt.NDArray[np.str_]
    person_ids: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    camera_ids: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    tracklet_ids: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    frame_ids: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    domain_ids: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        object.__setattr__(self, "paths", _copy_read_only(text_column(self.paths, "paths")))
        size = len(self.paths)
        for name in COLUMNS[1:]:
            values = getattr(self, name)
            if isinstance(values, Sized) and not len(values) and size:
                values = np.full(size, UNKNOWN)
            object.__setattr__(self, name, _ids(values, size, name))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: slice | Ints | Mask) -> ImageTable:
        """Return the table of some rows (a slice, indices or a boolean mask)."""
        return ImageTable(*(_select(getattr(self, name), rows) for name in COLUMNS))

    @property
    def has_people(self) -> bool:
        """Whether any image has a known person."""
        return bool((self.person_ids != UNKNOWN).any())

    @property
    def has_cameras(self) -> bool:
        """Whether every image has a known camera."""
        return len(self) > 0 and bool((self.camera_ids != UNKNOWN).all())

    @staticmethod
    def concatenate(*tables: ImageTable) -> ImageTable:
        """Join tables, in order."""
        for table in tables:
            check_given("each of the tables", table, ImageTable, "an ImageTable")
        return ImageTable(*(np.concatenate([getattr(table, name) for table in tables]) for name in COLUMNS))


COLUMNS = tuple(column.name for column in fields(ImageTable))


@dataclass(frozen=True, eq=False)
class Features:
    """One vector for each image (or tracklet).

    Attributes:
        table: The ``N`` images.
        embeddings: ``(N, D)`` float32, finite; L2-normalized unless the function that made them says otherwise.
        encoder: The identity of the encoder that made them (a digest of its weights and settings).

    Raises:
        DataError: Shapes disagree or a value is not finite.
        ConfigError: The table is no ImageTable, or the encoder's identity is no text.
    """

    table: ImageTable
    embeddings: Floats
    encoder: str = ""

    def __post_init__(self) -> None:
        check_given("table", self.table, ImageTable, "an ImageTable of the images that the vectors are of")
        embeddings = real_numbers(self.embeddings, "embeddings").view()
        if embeddings.ndim != 2 or len(embeddings) != len(self.table):
            raise DataError(f"embeddings must have shape ({len(self.table)}, D), found {embeddings.shape}")
        if embeddings.shape[1] == 0:
            raise DataError(f"embeddings of no numbers cannot be compared, found shape {embeddings.shape}")
        if not np.isfinite(embeddings).all():
            raise DataError("embeddings hold nan or inf: check the weights and the images that made them")
        check_given("encoder", self.encoder, str, "an encoder's identity, as encoder.digest() returns")
        embeddings.setflags(write=False)
        object.__setattr__(self, "embeddings", embeddings)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, rows: slice | Ints | Mask) -> Features:
        """Return the features of some rows."""
        return Features(self.table[rows], self.embeddings[rows], self.encoder)

    def check_comparable(self, other: Features) -> None:
        """Check that distances between these vectors and others are meaningful.

        Raises:
            DataError: The two were made by different encoders (features without an identity are accepted), or have
                different lengths.
        """
        if self.encoder and other.encoder and self.encoder != other.encoder:
            raise DataError(
                f"vectors of the different encoders {self.encoder} and {other.encoder} cannot be compared: extract "
                "one of them again"
            )
        sizes = self.embeddings.shape[1], other.embeddings.shape[1]
        if sizes[0] != sizes[1]:
            raise DataError(
                f"vectors of lengths {sizes[0]} and {sizes[1]} cannot be compared: extract one of them again"
            )


def check_features(**sides: Features) -> None:
    """Check that two arguments are features that can be compared.

    Args:
        sides: The two arguments by their names.

    Raises:
        ConfigError: One is something else.
        DataError: As `Features.check_comparable`.
    """
    for name, side in sides.items():
        check_given(name, side, Features, "Features, as resight.extract(encoder, images) returns")
    first, second = sides.values()
    first.check_comparable(second)


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """Clusters of images as labels in place of people.

    Attributes:
        labels: ``(N,)`` int64 in ``0..C-1``, or ``-1`` for an image outside every cluster.
        eps: The distance threshold of the clustering.
        quality: Named numbers: clusters, outlier share, and comparisons with true people if they are known.
        margins: ``(N,)`` float32, by how much each image is more similar to its own cluster than to the next one; nan
            outside every cluster. Empty if not computed (`resight.numerics.margins.margins`).

    Raises:
        DataError: The labels are not one column, one is below -1, or the margins have another length.
        ConfigError: eps is no number of 0 or more.
    """

    labels: Ints
    eps: float
    quality: Mapping[str, float] = field(default_factory=dict)
    margins: Floats = field(default_factory=lambda: np.empty(0, np.float32))

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", _copy_read_only(id_column(self.labels, "labels")))
        if self.labels.min(initial=UNKNOWN) < UNKNOWN:
            raise DataError(f"labels must be 0 or more, or -1 for no cluster; found {self.labels.min()}")
        object.__setattr__(self, "eps", number_within("eps", self.eps, 0, math.inf))
        margins = _copy_read_only(real_numbers(self.margins, "margins").astype(np.float32))
        if margins.shape not in ((0,), self.labels.shape):
            raise DataError(f"margins must be one number a label, {self.labels.shape}, found {margins.shape}")
        object.__setattr__(self, "margins", margins)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_clusters(self) -> int:
        """The number of clusters."""
        return int(self.labels.max(initial=-1)) + 1


@dataclass(frozen=True, eq=False)
class Ranking:
    """For each query, the nearest gallery rows.

    Attributes:
        indices: ``(Q, K)`` int64 gallery rows, nearest first; ``-1`` if there are fewer than ``K``.
        distances: ``(Q, K)`` float32, ascending along each row.
        similarities: ``(Q, K)`` float32, cosine similarity of each result to its query, whatever distance ranked them:
            in -1..1, larger is more similar; nan where ``indices`` is ``-1``. Empty if the ranking was made without
            (`resight.retrieval.ranking.add_similarities` computes them).

    Raises:
        DataError: Shapes disagree, or distances do not ascend along a row.
    """

    indices: Ints
    distances: Floats
    similarities: Floats = field(default_factory=lambda: np.empty((0, 0), np.float32))

    def __post_init__(self) -> None:
        indices, distances = whole_numbers(self.indices, "indices"), real_numbers(self.distances, "distances")
        similarities = real_numbers(self.similarities, "similarities")
        if indices.ndim != 2 or indices.shape != distances.shape:
            raise DataError(
                f"indices and distances must share one (Q, K) shape, found {indices.shape}, {distances.shape}"
            )
        if np.isnan(distances).any() or (distances[:, 1:] < distances[:, :-1]).any():
            raise DataError("the distances of a ranking must ascend along each row")
        if similarities.size and similarities.shape != indices.shape:
            raise DataError(f"similarities must have shape {indices.shape}, found {similarities.shape}")
        for name, array in (("indices", indices), ("distances", distances), ("similarities", similarities)):
            object.__setattr__(self, name, _copy_read_only(array))

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True, eq=False)
class Report:
    """The result of an evaluation.

    Attributes:
        scores: Named numbers: ``mAP``, ``mINP``, ``rank-1``, ``rank-5`` and ``rank-10``, shares in 0..1, and the counts
            ``queries`` and ``queries_without_match``.
        per_query: Columns of equal length, an entry for each query: ``query`` (row in the query table),
            ``average_precision``, ``inverse_negative_penalty``, ``first_rank`` (0-based; nan, nan, -1 for a
            query without a possible match), ``matches`` (the number of possible matches).
        provenance: What the scores were made with: data set, encoder, protocol, flip, re-ranking, versions; and
            ``cmc``, the cumulative match curve up to rank 50.
    """

    scores: Mapping[str, float]
    per_query: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("scores", "per_query", "provenance"):
            check_given(name, getattr(self, name), Mapping, "a dict, as resight.evaluate returns")

    def to_json(self) -> dict[str, Any]:
        """Return the report as data for `json.dumps`: nan becomes None, a path its text."""
        columns = {"scores": self.scores, "per_query": self.per_query, "provenance": self.provenance}
        return {name: _plain(column) for name, column in columns.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return str(value) if isinstance(value, Path) else value
