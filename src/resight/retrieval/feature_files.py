"""Vectors and their table in a file: written by `resight extract`, or made by other tools.

The suffix names the format:

- ``.npz``: the arrays ``embeddings``, ``paths``, ``person_ids``, ``camera_ids``, ``tracklet_ids``, ``frame_ids``,
  ``splits`` and ``encoder``; ``domain_ids`` if known; ``people_names`` and the like if ids have names.
- ``.npy`` with a ``.csv`` of the same name beside it, whose columns are those of `resight.data.label_columns.COLUMNS`.
- ``.parquet``, with these columns and a list of numbers, ``embedding`` (``pip install "resight[parquet]"``).

Files of other tools are read under the names that they use; what is assumed is noted. The images need not exist.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from resight.arrays import real_numbers, whole_numbers
from resight.data.folder_names import parse_split
from resight.data.image_formats import is_image_name
from resight.data.label_columns import COLUMNS, means_column, parse_header
from resight.data.label_ids import build_table, is_unknown
from resight.data.labels_csv import check_row, read_rows
from resight.errors import ConfigError, DataError, check_given, counted
from resight.files import printable, write_atomically
from resight.records import UNKNOWN, Features, Floats, ImageTable, Ints
from resight.retrieval.array_files import (
    VECTORS,
    Arrays,
    check_installed,
    read_npy,
    read_npz,
    read_parquet,
    write_npy,
    write_npz,
    write_parquet,
)

FORMATS = (".npz", ".npy", ".parquet")
"""The suffixes of files of vectors."""

ARRAYS = {
    "paths": "path",
    "person_ids": "person",
    "camera_ids": "camera",
    "tracklet_ids": "tracklet",
    "frame_ids": "frame",
    "splits": "split",
}
"""The arrays of a `.npz` file, and what each is called in other formats."""

SYNONYMS = ("embeddings", VECTORS, "features", "feature", "feats", "feat", "vectors", "vector", "embs", "emb", "x")
"""Names of the vectors, in lower case; other formats and tools use the later ones."""

LENGTH = 1e-2
"""How far the length of a vector may be from 1 without a note."""

_KINDS = {"people": "person", "cameras": "camera", "tracklets": "tracklet"}
_SAMPLE = 1000  # cells of a column that show what it holds
_FORMULA = ("=", "+", "-", "@")  # the characters at which a spreadsheet starts a formula


@dataclass(frozen=True, eq=False)
class StoredFeatures:
    """The content of a file of vectors.

    Attributes:
        path: The file.
        features: The vectors and their table, ``N`` rows.
        splits: ``(N,)`` text: ``train``, ``query`` or ``gallery``; empty if unknown.
        names: For ``people``, ``cameras`` or ``tracklets`` with names instead of numbers, the name of each id.
        notes: What was assumed, a sentence each.
    """

    path: Path
    features: Features
    splits: npt.NDArray[np.str_]
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def names_features(name: str | Path) -> bool:
    """Return whether a name is that of a file of vectors, by its suffix."""
    return Path(name).suffix.lower() in FORMATS


def check_format(path: Path) -> None:
    """Check, before any work, that vectors can be written to a path.

    Raises:
        ConfigError: The suffix is none of `FORMATS`, or pyarrow is not installed for ``.parquet``.
    """
    if not names_features(path):
        raise ConfigError(f"{printable(path)} must end in {', '.join(FORMATS)}: features.npz, for example")
    check_installed(path)


def save_features(
    path: Path,
    features: Features,
    *,
    splits: Sequence[str] | npt.NDArray[np.str_] | None = None,
    names: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write vectors and their table; the suffix names the format.

    Args:
        path: The file. Beside ``.npy``, a ``.csv`` of the same name gets the table.
        features: ``N`` vectors. A ``.csv`` holds neither the encoder's identity nor domains.
        splits: ``(N,)`` ``train``, ``query``, ``gallery`` or empty; all empty by default.
        names: The names of ``people``, ``cameras`` and ``tracklets`` in the order of their ids, if they have names.
            Only a ``.npz`` file keeps ids beside names.

    Raises:
        ConfigError: The suffix is none of `FORMATS`, an argument is something else, or pyarrow is not installed.
        DataError: There is another number of splits.
        OSError: The file cannot be written.
    """
    check_given("features", features, Features, "Features, as resight.extract(encoder, images) returns")
    check_format(path)
    table, size = features.table, len(features)
    split_column = np.full(size, "") if splits is None else np.asarray(splits, np.str_)
    if split_column.shape != (size,):
        raise DataError(f"splits must have shape ({size},), found {split_column.shape}")
    columns: Arrays = {name: getattr(table, name) for name in ARRAYS if name != "splits"} | {"splits": split_column}
    domains: Arrays = {"domain_ids": table.domain_ids} if (table.domain_ids != UNKNOWN).any() else {}
    known = {kind: tuple(listing) for kind, listing in (names or {}).items() if kind in _KINDS and listing}
    if path.suffix.lower() == ".npz":
        texts: Arrays = {f"{kind}_names": np.array(listing, np.str_) for kind, listing in known.items()}
        encoder = {"encoder": np.array(features.encoder)}
        write_npz(path, {"embeddings": features.embeddings, **columns, **domains, **texts, **encoder})
        return
    named = {ARRAYS[name]: values for name, values in columns.items()}
    named["path"] = np.array([text.encode("utf-8", "backslashreplace").decode() for text in table.paths], np.str_)
    for kind, listing in known.items():
        ids = named[_KINDS[kind]]
        named[_KINDS[kind]] = np.array([listing[number] if number >= 0 else "" for number in ids.tolist()], np.str_)
    if path.suffix.lower() == ".parquet":
        write_parquet(path, {**named, **domains, VECTORS: features.embeddings}, encoder=features.encoder)
        return
    # The vectors come last: after a kill, no new table stands beside old vectors of as many rows.
    path.unlink(missing_ok=True)
    write_atomically(path.with_suffix(".csv"), _csv_text(named))
    write_npy(path, features.embeddings)


def _csv_text(columns: Arrays) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in zip(*(columns[name].tolist() for name in COLUMNS), strict=True):
        cells = ["" if cell == UNKNOWN else printable(cell) for cell in row]
        path = f"./{cells[0]}" if cells[0].startswith(_FORMULA) else cells[0]
        writer.writerow([path, *(f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells[1:])])
    return text.getvalue()


def load_features(path: Path) -> StoredFeatures:
    """Read vectors and their table, as `save_features` or another tool wrote them.

    Args:
        path: The file; beside ``.npy``, its table is a ``.csv`` of the same name.

    Returns:
        The vectors as float32, not scaled, and the table. Names of people and cameras become ids.

    Raises:
        DataError: The file is missing, damaged or would be unpickled; vectors and table differ in their numbers of
            rows; a value is nan or inf; a path occurs twice; or the columns are ambiguous.
        ConfigError: The suffix is none of `FORMATS`, or pyarrow is not installed.
    """
    check_format(path)
    notes: list[str] = []
    arrays: Arrays
    if path.suffix.lower() == ".npy":
        vectors = _check_shape(path, read_npy(path))
        table, names, splits = _read_csv(path.with_suffix(".csv"), notes)
        arrays = {}
    else:
        arrays = read_npz(path) if path.suffix.lower() == ".npz" else read_parquet(path)
        vectors = _check_shape(path, _take_vectors(path, arrays, notes))
        table, names, splits = _read_columns(path, arrays, len(vectors), notes)
    embeddings = _check_vectors(path, vectors, table.paths, notes)
    repeated = [(text, count) for text, count in Counter(table.paths.tolist()).items() if count > 1]
    if repeated:
        rows = np.flatnonzero(table.paths == repeated[0][0]).tolist()
        others = f", and {len(repeated) - 1:,} more paths occur twice" if repeated[1:] else ""
        raise DataError(
            f"features: {path} has '{printable(repeated[0][0])[:80]}' in the rows {rows[0]} and {rows[1]}{others}: "
            "give each image one row"
        )
    identity = arrays.get("encoder", np.array(""))
    encoder = str(identity) if identity.ndim == 0 and identity.dtype.kind == "U" else ""
    notes = [f"{printable(path.name)}: {note}" for note in notes]
    return StoredFeatures(path, Features(table, embeddings, encoder), splits, names, tuple(notes))


def _take_vectors(path: Path, arrays: Arrays, notes: list[str]) -> npt.NDArray[Any]:
    """Take the vectors out of named arrays: by their name, or because nothing else has two dimensions."""
    candidates = [name for name in arrays if name.casefold() in SYNONYMS]
    own = [name for name in candidates if name in SYNONYMS[:2]][:1]
    if not candidates:
        candidates = [name for name, values in arrays.items() if values.ndim == 2 and values.dtype.kind == "f"]
    chosen = own or candidates
    if len(chosen) != 1:
        found = printable(", ".join(chosen or arrays))[:200] or "nothing"
        raise DataError(
            f"features: {path} must have one array of vectors, '{SYNONYMS[0]}'; found {found}: rename the right one"
        )
    if not own:
        notes.append(f"'{printable(chosen[0])}' is read as the vectors")
    return arrays.pop(chosen[0])


def _check_shape(path: Path, vectors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array of vectors after its shape is checked."""
    if vectors.ndim != 2 or not vectors.size:
        raise DataError(f"features: {path} must have vectors of shape (N, D), found {vectors.shape}")
    return vectors


def _check_vectors(path: Path, vectors: npt.NDArray[Any], paths: npt.NDArray[np.str_], notes: list[str]) -> Floats:
    """Return vectors as float32 after their number and their values are checked."""
    if len(vectors) != len(paths):
        raise DataError(
            f"features: {path} has {counted(len(vectors), 'vector')} and a table of {counted(len(paths), 'row')}: give "
            "each vector one row"
        )
    try:
        with np.errstate(over="ignore"):
            embeddings = np.ascontiguousarray(real_numbers(vectors, "vectors"))
    except DataError as error:
        raise DataError(f"features: {path}: {error}") from None
    finite = np.isfinite(embeddings).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        more = f", and {int((~finite).sum()) - 1:,} more rows do" if (~finite).sum() > 1 else ""
        raise DataError(
            f"features: {path} row {row} ('{printable(paths[row])[:80]}') holds nan or inf{more}: check what made it"
        )
    if vectors.dtype != np.float32:
        notes.append(f"vectors of {vectors.dtype} are read as float32")
    lengths = np.sqrt(np.einsum("nd,nd->n", embeddings, embeddings, dtype=np.float64))
    if (np.abs(lengths - 1) > LENGTH).any():
        notes.append(
            f"vectors are {lengths.min():.3g} to {lengths.max():.3g} long and compared as they are, by the Euclidean "
            "distance; --normalize compares their directions, by the cosine"
        )
    return embeddings


def _read_csv(path: Path, notes: list[str]) -> tuple[ImageTable, Mapping[str, tuple[str, ...]], npt.NDArray[np.str_]]:
    """Read the table beside a `.npy` file."""
    numbered = read_rows(path, is_image_name, notes, kind="features")
    for number, row in numbered:
        location = f"features: {path} line {number}"
        if not row["path"]:
            raise DataError(f"{location}: the path is empty: each vector needs one")
        check_row(location, row)
    rows = [row for _, row in numbered]
    table, names = build_table(rows, notes, merge=True)
    return table, names, _splits(path, [row.get("split", "") for row in rows])


def _read_columns(
    path: Path, arrays: Arrays, size: int, notes: list[str]
) -> tuple[ImageTable, Mapping[str, tuple[str, ...]], npt.NDArray[np.str_]]:
    """Read the table from named arrays."""
    reserved = ("encoder", "domain_ids", *(f"{kind}_names" for kind in _KINDS))
    columns = {ARRAYS.get(name, name): values for name, values in arrays.items() if name not in reserved}
    for name in [name for name, values in columns.items() if values.ndim != 1]:
        notes.append(f"'{printable(name)}' is no column and is ignored")
        del columns[name]
    if not any(means_column(name, "path") for name in columns):
        notes.append(
            f"it has no paths: rows are called '{printable(path.name)} row 0' and so on, and no data set has them"
        )
        columns["path"] = np.array([f"{path.name} row {number}" for number in range(size)], np.str_)
    listing = {name: [_text(value) for value in values[:_SAMPLE].tolist()] for name, values in columns.items()}
    cells = list(zip_longest(*listing.values(), fillvalue=""))
    header = parse_header(f"features: {path}", list(columns), cells, is_image_name, notes)
    named = {column: values for column, values in zip(header, columns.values(), strict=True) if column}
    for column, values in named.items():
        if len(values) != size:
            raise DataError(
                f"features: {path} has {counted(size, 'vector')} and {len(values):,} values of '{column}': give each "
                "vector one"
            )
    if named["path"].dtype.kind not in "US":
        raise DataError(f"features: {path} must have paths of text, found {named['path'].dtype}")
    texts = {
        column: [_text(value) for value in values.tolist()]
        for column, values in named.items()
        if values.dtype.kind in "US"
    }
    found: Mapping[str, tuple[str, ...]] = {}
    table = ImageTable(np.array(texts["path"], np.str_))
    if set(texts) - {"path", "split"}:
        rows = [dict(zip(texts, values, strict=True)) for values in zip(*texts.values(), strict=True)]
        for number, row in enumerate(rows):
            check_row(f"features: {path} row {number}", row)
        table, found = build_table(rows, notes, merge=True)
    names = dict(found) | _stored_names(arrays)
    try:
        numbers = {column: _numbers(named[column], column) for column in COLUMNS[1:-1] if column in named}
        ids = {f"{column}_ids": values for column, values in numbers.items() if column not in texts}
        if "domain_ids" in arrays:
            ids["domain_ids"] = _numbers(arrays["domain_ids"], "domain_ids")
        table = ImageTable(**({name: getattr(table, name) for name in ("paths", *_ID_COLUMNS)} | ids))
    except DataError as error:
        raise DataError(f"features: {path}: {error}") from None
    for kind, listing_of_names in names.items():
        most = int(getattr(table, f"{_KINDS[kind]}_ids").max(initial=UNKNOWN))
        if most >= len(listing_of_names):
            raise DataError(f"features: {path} has no name of {_KINDS[kind]} {most}: '{kind}_names' is too short")
    split = named.get("split", np.full(size, ""))
    if split.dtype.kind not in "US":
        raise DataError(f"features: {path} must have splits of text (train, query, gallery), found {split.dtype}")
    return table, names, _splits(path, texts.get("split", [""] * size))


_ID_COLUMNS = ("person_ids", "camera_ids", "tracklet_ids", "frame_ids", "domain_ids")


def _stored_names(arrays: Arrays) -> dict[str, tuple[str, ...]]:
    """Return the names of ids that a file of `save_features` holds."""
    stored = {kind: arrays[f"{kind}_names"] for kind in _KINDS if f"{kind}_names" in arrays}
    return {
        kind: tuple(values.tolist()) for kind, values in stored.items() if values.ndim == 1 and values.dtype.kind == "U"
    }


def _numbers(values: npt.NDArray[Any], name: str) -> Ints:
    """Return a column of ids; nan, as pandas writes for a missing number, is unknown."""
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), UNKNOWN, values)
    return np.full(len(values), UNKNOWN) if values.dtype.kind in "US" else whole_numbers(values, name)


def _text(value: Any) -> str:
    """Return a cell as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _splits(path: Path, texts: Sequence[str]) -> npt.NDArray[np.str_]:
    """Return the split of each row, empty if it is in none."""
    meanings = {text: "" if is_unknown(text) else parse_split(text) for text in set(texts)}
    for text, meaning in meanings.items():
        if meaning is None:
            raise DataError(
                f"features: {path} row {list(texts).index(text)}: the split '{printable(text)[:80]}' is none of train, "
                "query and gallery: use one of these"
            )
    return np.array([meanings[text] for text in texts], np.str_)
