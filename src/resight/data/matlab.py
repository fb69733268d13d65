"""Read MATLAB files of every version: matrices of whole numbers, and the contents of cells and structs.

scipy reads versions up to 7. Version 7.3 is HDF5, which stores matrices transposed, and needs h5py
(``python -m pip install "resight[mat]"``).
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from resight.errors import DataError
from resight.records import Ints

Leaf = str | npt.NDArray[Any]
"""A text, or a matrix of numbers."""

Place = tuple[int | str, ...]
"""Where a leaf is: row and column of each cell around it, name and index of each field of a struct."""

_HEADS = (b"MATLAB 7.3", b"\x89HDF\r\n\x1a\n")
"""The first bytes of a file of version 7.3, with and without MATLAB's own header."""

_BROKEN = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OSError,
    OverflowError,
    AttributeError,
    RuntimeError,
    zlib.error,
)
"""What scipy and h5py raise for a broken file."""


def read_matrix(name: str, path: Path, key: str) -> Ints:
    """Read a matrix of whole numbers from a MATLAB file.

    Args:
        name: The set's name, for the error.
        path: The file.
        key: The variable.

    Returns:
        ``(R, C)`` int64.

    Raises:
        DataError: The file is missing or not a MATLAB file, or has no such matrix; or it has version 7.3 (HDF5) and
            h5py is not installed.
    """
    variables, names = _read_variable(name, path, key)
    matrix = np.asarray(variables.get(key, np.empty(0)))
    if (
        key not in variables
        or matrix.ndim != 2
        or matrix.dtype.kind not in "iuf"
        or not (matrix == np.rint(matrix)).all()
    ):
        raise DataError(f"{name}: expected a matrix '{key}' of whole numbers in {path}; found {', '.join(names)}")
    return matrix.astype(np.int64)


def read_leaves(name: str, path: Path, key: str, *, under: Place = ()) -> Iterator[tuple[Place, Leaf]]:
    """Read the texts and matrices in the cells and structs of a variable, one after the other.

    Args:
        name: The set's name, for the error.
        path: The file.
        key: The variable.
        under: Read only the leaves whose place starts so.

    Yields:
        The place of each leaf and its content. A cell adds row and column to the place, a struct the name of the field
        and the index of the struct; both count from 0. A file of version 7.3 is read leaf by leaf.

    Raises:
        DataError: As `read_matrix`.
    """
    if _is_hdf5(name, path):
        h5py = _import_h5py(name, path)
        try:
            with h5py.File(path, "r") as file:
                if key in file:
                    yield from _walk_hdf5(file, file[key], (), under)
                    return
                names = sorted(variable for variable in file if variable != "#refs#")
        except _BROKEN as error:
            raise _broken(name, path, error) from error
    else:
        variables, names = _read_variable(name, path, key)
        if key in variables:
            yield from _walk(np.asarray(variables[key]), (), under)
            return
    raise DataError(f"{name}: expected a variable '{key}' in {path}; found {', '.join(names) or 'none'}")


def _is_hdf5(name: str, path: Path) -> bool:
    if not path.is_file():
        raise DataError(f"{name}: there is no file {path}: it comes with the set's lists")
    with path.open("rb") as file:
        return file.read(16).startswith(_HEADS)


def _read_variable(name: str, path: Path, key: str) -> tuple[dict[str, Any], list[str]]:
    """Read a variable, of version 7.3 only a matrix, and the names of all; an absent one is left out."""
    if _is_hdf5(name, path):
        h5py = _import_h5py(name, path)
        try:
            with h5py.File(path, "r") as file:
                matrices = {key: value for key, value in file.items() if hasattr(value, "shape")}
                found = {key: np.asarray(matrices[key][()]).T} if key in matrices else {}
                return found, sorted(matrices)
        except _BROKEN as error:
            raise _broken(name, path, error) from error
    from scipy.io import loadmat, whosmat  # slow to import, and other sets do not need it
    from scipy.io.matlab import MatReadError

    data = path.read_bytes()
    try:
        names = sorted(variable for variable, _, _ in whosmat(BytesIO(data)))
        return dict(loadmat(BytesIO(data), variable_names=[key])), names
    except (*_BROKEN, NotImplementedError, MatReadError) as error:
        raise _broken(name, path, error) from error


def _import_h5py(name: str, path: Path) -> Any:
    try:
        return importlib.import_module("h5py")
    except ImportError:
        raise DataError(
            f"{name}: {path} is a MATLAB file of version 7.3: python -m pip install h5py reads it, or save it again "
            "with '-v7'"
        ) from None


def _broken(name: str, path: Path, error: Exception) -> DataError:
    return DataError(f"{name}: {path} is no MATLAB file, or a broken one ({' '.join(str(error).split())})")


def _walk(value: npt.NDArray[Any], place: Place, under: Place) -> Iterator[tuple[Place, Leaf]]:
    """Walk through a value as scipy reads it."""
    if not _leads(place, under):
        return
    if value.dtype.names:
        for field in value.dtype.names:
            for index, item in enumerate(value[field].ravel(order="F")):
                yield from _walk(np.asarray(item), (*place, field, index), under)
    elif value.dtype.hasobject:
        for position in np.ndindex(value.shape):
            yield from _walk(np.asarray(value[position]), (*place, *position), under)
    else:
        yield place, "".join(value.ravel().tolist()) if value.dtype.kind == "U" else value


def _walk_hdf5(file: Any, node: Any, place: Place, under: Place) -> Iterator[tuple[Place, Leaf]]:
    """Walk through a node of an HDF5 file; cells and the fields of several structs are references."""
    if not _leads(place, under):
        return
    if not hasattr(node, "shape"):
        for field in node:
            child = node[field]
            if getattr(child, "dtype", np.dtype(int)).hasobject and "MATLAB_class" not in child.attrs:
                for index, reference in enumerate(child[()].ravel()):
                    yield from _walk_hdf5(file, file[reference], (*place, field, index), under)
            else:
                yield from _walk_hdf5(file, child, (*place, field, 0), under)
    elif node.attrs.get("MATLAB_empty"):
        yield place, np.empty((0, 0))
    elif node.dtype.hasobject:
        references = node[()].T
        for position in np.ndindex(references.shape):
            yield from _walk_hdf5(file, file[references[position]], (*place, *position), under)
    else:
        value = node[()].T
        is_text = node.attrs.get("MATLAB_class") == b"char"
        yield place, "".join(map(chr, value.ravel(order="F").tolist())) if is_text else value


def _leads(place: Place, under: Place) -> bool:
    """Return whether a place is above or below another."""
    shared = min(len(place), len(under))
    return place[:shared] == under[:shared]
