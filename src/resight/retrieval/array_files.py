"""Read and write files of named arrays: `.npz`, `.npy` and `.parquet`.

Nothing is unpickled. What a file declares is compared with its size before memory is taken for it.
"""

from __future__ import annotations

import importlib
import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from resight.errors import ConfigError, DataError
from resight.files import drafted, named, open_regular, printable

Arrays = dict[str, npt.NDArray[Any]]
"""Arrays by name."""

MOST = 2**42
"""The most bytes of a file, 4 TB."""

UNPACKED = 50
"""How many times its size a file may unpack to; vectors of many zeros come to 10 times."""

SMALL = 2**26
"""Bytes that any file may unpack to, 64 MB."""

VECTORS = "embedding"
"""The column of a `.parquet` file that holds the vectors."""

_BROKEN = (ValueError, TypeError, KeyError, EOFError, OverflowError, NotImplementedError, RuntimeError, zlib.error)
"""What numpy, zipfile and pyarrow raise for a broken file, besides an `OSError`."""


def read_npz(path: Path) -> Arrays:
    """Read all arrays of a `.npz` file.

    Args:
        path: The file.

    Returns:
        The arrays by name.

    Raises:
        DataError: There is no such file, it is damaged, an array is a pickled object, or the file would unpack to far
            more than its size.
    """
    try:
        with open_regular(path, MOST) as (file, size), zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            check_unpacked(path, sum(member.file_size for member in members), size)
            arrays: Arrays = {}
            for member in members:
                name = member.filename.removesuffix(".npy")
                if name in arrays or name == member.filename:
                    problem = "twice" if name in arrays else "which is no array"
                    raise DataError(f"features: {path} holds '{printable(name)[:80]}' {problem}: save it again")
                with archive.open(member) as stream:
                    arrays[name] = _read_array(path, name, stream, member.file_size)
            return arrays
    except DataError:
        raise
    except (OSError, zipfile.BadZipFile, *_BROKEN) as error:
        raise unreadable(path, error) from error


def read_npy(path: Path) -> npt.NDArray[Any]:
    """Read a `.npy` file.

    Args:
        path: The file.

    Returns:
        The array.

    Raises:
        DataError: As `read_npz`.
    """
    try:
        with open_regular(path, MOST) as (file, size):
            return _read_array(path, "the array", file, size)
    except DataError:
        raise
    except (OSError, *_BROKEN) as error:
        raise unreadable(path, error) from error


def _read_array(path: Path, name: str, stream: IO[bytes], size: int) -> npt.NDArray[Any]:
    """Read an array of a stream of so many bytes, after its header has been checked."""
    shape, dtype, header = _read_header(stream)
    if dtype.hasobject:
        raise DataError(
            f"features: {path} holds pickled objects in '{printable(name)[:80]}', which resight never loads: save text "
            "as np.array(paths, str) and numbers as plain arrays"
        )
    count: int = math.prod(shape)
    declared = count * dtype.itemsize
    empty = count and not dtype.itemsize  # numpy would take memory for letters that are not there
    if min(shape, default=0) < 0 or empty or header + declared != size:
        raise DataError(
            f"features: {path} declares {declared:,} bytes in '{printable(name)[:80]}' and holds {size - header:,}: it "
            "is damaged, save it again"
        )
    stream.seek(0)
    return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return shape, type and the length of the header in bytes."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype, stream.tell()


def read_parquet(path: Path) -> Arrays:
    """Read all columns of a `.parquet` file: numbers, text, and lists of numbers of one length.

    Args:
        path: The file.

    Returns:
        The columns by name. Missing numbers are nan, missing texts empty. ``encoder`` is the text that `write_parquet`
        was given.

    Raises:
        DataError: As `read_npz`, a column holds something else, or the vectors have several lengths.
        ConfigError: pyarrow is not installed.
    """
    parquet = _import_parquet(path)
    arrow = importlib.import_module("pyarrow")
    try:
        with open_regular(path, MOST) as (file, size):
            table_file = parquet.ParquetFile(file)
            about = table_file.metadata
            groups = [about.row_group(number) for number in range(about.num_row_groups)]
            chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
            check_unpacked(
                path, sum(max(4 * chunk.num_values, chunk.total_uncompressed_size) for chunk in chunks), size
            )
            parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in table_file.schema_arrow.names}
            total = 0
            for batch in table_file.iter_batches(batch_size=4096):
                total += batch.nbytes
                check_unpacked(path, total, size)
                for name in parts:
                    parts[name].append(_parquet_values(path, name, batch.column(name)))
            arrays = {name: np.concatenate(values) for name, values in parts.items() if values}
            encoder = (table_file.schema_arrow.metadata or {}).get(b"resight.encoder")
            return arrays if encoder is None else {**arrays, "encoder": np.array(encoder.decode())}
    except DataError:
        raise
    except (OSError, arrow.ArrowException, *_BROKEN) as error:
        raise unreadable(path, error) from error


def _parquet_values(path: Path, name: str, column: Any) -> npt.NDArray[Any]:
    """Return some values of a column."""
    types = importlib.import_module("pyarrow.types")
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        if column.null_count:
            raise DataError(f"features: {path} has rows without a vector in '{printable(name)[:80]}': remove them")
        lengths = np.unique(column.value_lengths()) if not types.is_fixed_size_list(kind) else [1]
        if len(lengths) != 1:
            raise DataError(f"features: {path} has vectors of several lengths, {lengths[0]} and {lengths[-1]}")
        flat = column.flatten()
        return np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(len(column), -1)
    if types.is_string(kind) or types.is_large_string(kind):
        return np.array([value or "" for value in column.to_pylist()], np.str_)
    return np.asarray(column.to_numpy(zero_copy_only=False))


def check_unpacked(path: Path, unpacked: int, size: int) -> None:
    """Check that a file does not unpack to far more than its size.

    Args:
        path: The file, for the error.
        unpacked: The bytes that it unpacks to.
        size: Its bytes.

    Raises:
        DataError: It does.
    """
    if unpacked > max(SMALL, UNPACKED * size):
        raise DataError(
            f"features: {path} has {size:,} bytes and would unpack to {unpacked:,}, {UNPACKED} times as many or "
            "more: save it without compression"
        )


def write_npz(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays as a `.npz` file, atomically; the same arrays give the same bytes.

    Raises:
        OSError: It cannot be written; an older file is intact.
    """
    savez: Any = np.savez  # typed as if an array might be called allow_pickle
    _write(path, lambda file: savez(file, **arrays))


def write_npy(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an array as a `.npy` file, atomically.

    Raises:
        OSError: It cannot be written; an older file is intact.
    """
    _write(path, lambda file: np.save(file, array, allow_pickle=False))


def write_parquet(path: Path, columns: Mapping[str, npt.NDArray[Any]], *, encoder: str) -> None:
    """Write columns as a `.parquet` file, atomically.

    Args:
        path: The file.
        columns: ``(N,)`` columns, and `VECTORS` ``(N, D)``.
        encoder: A text that the file keeps.

    Raises:
        OSError: It cannot be written; an older file is intact.
        ConfigError: pyarrow is not installed.
    """
    parquet = _import_parquet(path)
    arrow = importlib.import_module("pyarrow")
    lists = {
        name: arrow.FixedSizeListArray.from_arrays(arrow.array(values.reshape(-1)), values.shape[1])
        if values.ndim == 2
        else arrow.array(values.tolist() if values.dtype.kind == "U" else values)
        for name, values in columns.items()
    }
    table = arrow.table(lists, metadata={"resight.encoder": encoder})
    _write(path, lambda file: parquet.write_table(table, file))


def check_installed(path: Path) -> None:
    """Check that what writes a file is installed.

    Raises:
        ConfigError: The file is `.parquet` and pyarrow is not installed.
    """
    if path.suffix.lower() == ".parquet":
        _import_parquet(path)


def _import_parquet(path: Path) -> Any:
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError(
            f'{printable(path)} needs pyarrow, which is not installed: python -m pip install "resight[parquet]", or '
            "use .npz"
        ) from None


def _write(path: Path, save: Any) -> None:
    try:
        with drafted(path) as draft, draft.open("wb") as file:
            save(file)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise named(path, error) from error


def unreadable(path: Path, error: Exception) -> DataError:
    """Return the error of a file that cannot be read, as one line."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"features: there is no file {path}: check the path")
    reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:120]
    return DataError(f"features: cannot read {path} ({printable(reason)}): it is damaged, or no such file")
