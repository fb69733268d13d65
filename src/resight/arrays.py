"""Convert columns and vectors from users to arrays; accept equivalent types and nothing else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from resight.errors import DataError, shown

_NUMBER = "number them (0, 1, ...)"


def id_column(values: Any, name: str, size: int | None = None) -> npt.NDArray[np.int64]:
    """Return a column of ids as int64: `whole_numbers` of one dimension.

    Args:
        values: ``(N,)`` ids.
        name: The name of the column for the error.
        size: The required length; None for any.

    Raises:
        DataError: As `whole_numbers`, or the values are not one column of the required length.
    """
    return _check_column(whole_numbers(values, name), name, size)


def whole_numbers(values: Any, name: str) -> npt.NDArray[np.int64]:
    """Return whole numbers as int64, from lists, arrays, tensors, iterators and columns of pandas.

    Args:
        values: Whole numbers, of any shape; ``2.0`` is one.
        name: The name of the values for the error.

    Returns:
        The numbers, in the same memory if they are int64 already.

    Raises:
        DataError: A value is no whole number or beyond 64 bits; the message shows it and what to pass instead.
    """
    array = _array(values, name)
    if array.dtype == np.int64 or array.size == 0:
        return array.astype(np.int64, copy=False)
    if array.dtype.kind == "f":
        invalid = array[~((np.floor(array) == array) & (np.abs(array) < 2**63))]
    elif array.dtype.kind == "u":
        invalid = array[array > np.iinfo(np.int64).max]
    elif array.dtype.kind == "i":
        invalid = array[:0]
    else:
        invalid = np.array([value for value in array.flat if not _is_whole(value)][:1], object)
    if invalid.size:
        raise DataError(f"{name} must be whole numbers, found {_describe_invalid(invalid.flat[0])}")
    return array.astype(np.int64, copy=False)


def text_column(values: Any, name: str) -> npt.NDArray[np.str_]:
    """Return a column of paths as text.

    Args:
        values: ``(N,)`` text or paths.
        name: The name of the column for the error.

    Raises:
        DataError: The values are a single path, or one of them is no path.
    """
    if isinstance(values, str | bytes | os.PathLike):
        raise DataError(f"{name} must be a list of paths, found one: write [{shown(values)}]")
    _check_unmasked(values, name)
    if isinstance(values, np.ndarray) and values.dtype.kind == "U":
        return _check_column(values, name)
    if not isinstance(values, Iterable):
        raise DataError(f"{name} must be a list of paths, found {shown(values)}")
    paths = list(values)
    for path in paths:
        if not isinstance(path, str | bytes | os.PathLike):
            raise DataError(f"{name} must be paths, found {shown(path)}: give the files of the images")
    return np.array([os.fsdecode(path) for path in paths], np.str_)


def real_numbers(values: Any, name: str) -> npt.NDArray[np.float32]:
    """Return numbers of any shape as float32, in the same memory if they are float32 already.

    Raises:
        DataError: A value is no number, or rows have different lengths.
    """
    array = _array(values, name)
    if array.dtype.kind not in "fiu" and array.size:
        first = shown(array.flat[0].item() if array.dtype != object else array.flat[0])
        raise DataError(f"{name} must be an array of numbers, found {first}")
    return array.astype(np.float32, copy=False)


def _check_column(column: npt.NDArray[Any], name: str, size: int | None = None) -> npt.NDArray[Any]:
    if column.ndim != 1 or (size is not None and len(column) != size):
        length = "N" if size is None else size
        raise DataError(f"{name} must have shape ({length},), found {column.shape}")
    return column


def _array(values: Any, name: str) -> npt.NDArray[Any]:
    """Return values as an array of their own type."""
    if hasattr(values, "detach"):  # a tensor, which may be on a GPU or need a gradient
        values = values.detach().cpu()
        values = values.float() if str(values.dtype) == "torch.bfloat16" else values  # numpy has no such type
    if hasattr(values, "embeddings"):
        raise DataError(f"{name} must be an array, found {shown(values)}: give its embeddings")
    _check_unmasked(values, name)
    if isinstance(values, Iterable) and not isinstance(values, str | bytes) and not hasattr(values, "__len__"):
        values = list(values) if not hasattr(values, "__array__") else values
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(
            f"{name} must be an array with rows of equal length, found {shown(values)} ({reason})"
        ) from None
    if array.ndim == 0:
        raise DataError(f"{name} must be a list or an array, found {shown(values)}")
    return array


def _check_unmasked(values: Any, name: str) -> None:
    """Refuse masked values: conversion to a plain array would bring back the values under the mask.

    Raises:
        DataError: Some values are masked.
    """
    ma = sys.modules.get("numpy.ma")  # a masked array has loaded it; other arrays need not wait for that
    if ma is not None and ma.is_masked(values):
        raise DataError(f"{name} is a masked array with masked values: fill them, or remove their rows")


def _is_whole(value: Any) -> bool:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return False
    return bool(-(2**63) <= value < 2**63 and int(value) == value)


def _describe_invalid(value: Any) -> str:
    """Return a value that is no whole number, with what to pass instead, for an error."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, str | bytes):
        return f"{shown(value)}: {_NUMBER}, or let resight.load_dataset('folder', PATH) read them from a table"
    if isinstance(value, int | float) and abs(value) >= 2**63:
        return f"{shown(value)}, which 64 bits do not hold: {_NUMBER}"
    if isinstance(value, float) and value == value:
        return f"{shown(value)}: {_NUMBER}"
    return f"{shown(value)}: write -1 for what is unknown"
