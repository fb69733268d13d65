"""Cells and structs of MATLAB files are read alike in every version."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from resight.data.matlab import read_leaves
from resight.errors import DataError

WORDS = [["one", "two"], ["three", ""]]


def found(path: Path, key: str, **how: Any) -> dict[Any, Any]:
    leaves = read_leaves("set", path, key, **how)
    return {place: leaf if isinstance(leaf, str) else leaf.tolist() for place, leaf in leaves}


def write_version_5(path: Path) -> None:
    words = np.array(WORDS, object)
    nested = np.empty((1, 2), object)
    nested[0, 0], nested[0, 1] = words, np.arange(6).reshape(2, 3)
    several = np.zeros((1, 2), [("mask", object)])
    several[0, 0]["mask"], several[0, 1]["mask"] = np.array([[1, 0]]), np.array([[0, 1]])
    savemat(path, {"words": words, "nested": nested, "several": several, "matrix": np.array([[1.5, 2], [3, 4]])})


def write_version_7_3(path: Path) -> None:
    """Write the same variables as MATLAB does: transposed, cells and fields of structs as references."""
    h5py = pytest.importorskip("h5py")

    def put(parent: Any, name: str, value: Any, kind: str) -> Any:
        data = parent.create_dataset(name, data=value)
        if kind:
            data.attrs["MATLAB_class"] = np.bytes_(kind)
        return data

    def refer(rows: list[list[Any]]) -> Any:
        references = np.empty((len(rows[0]), len(rows)), h5py.ref_dtype)
        for row, column in np.ndindex(len(rows), len(rows[0])):
            references[column, row] = rows[row][column].ref
        return references

    with h5py.File(path, "w") as file:
        inner = file.create_group("#refs#")
        words = []
        for row, own in enumerate(WORDS):
            words.append([])
            for column, word in enumerate(own):
                letters = np.array([[ord(letter)] for letter in word] or [[0]], np.uint16)
                node = put(inner, f"w{row}{column}", letters if word else np.array([0, 0], np.uint64), "char")
                if not word:
                    node.attrs["MATLAB_empty"] = np.uint8(1)
                words[-1].append(node)
        put(file, "words", refer(words), "cell")
        cell = put(inner, "cell", refer(words), "cell")
        matrix = put(inner, "matrix", np.arange(6).reshape(2, 3).T, "int64")
        put(file, "nested", refer([[cell, matrix]]), "cell")
        masks = [
            put(inner, f"m{number}", np.array(mask).T, "double") for number, mask in enumerate(([[1, 0]], [[0, 1]]))
        ]
        put(file.create_group("several"), "mask", refer([masks]), "")
        put(file, "matrix", np.array([[1.5, 2], [3, 4]]).T, "double")


@pytest.mark.parametrize("write", [write_version_5, write_version_7_3])
def test_the_leaves_of_cells_and_structs(tmp_path: Path, write: Any) -> None:
    path = tmp_path / "x.mat"
    write(path)
    words = found(path, "words")
    assert {place: words[place] for place in ((0, 0), (0, 1), (1, 0))} == {
        (0, 0): "one",
        (0, 1): "two",
        (1, 0): "three",
    }
    assert not len(words[1, 1]), "an empty text has no letters"
    nested = found(path, "nested")
    assert nested[0, 0, 1, 0] == "three"
    assert nested[0, 1] == [[0, 1, 2], [3, 4, 5]]
    assert set(found(path, "nested", under=(0, 0, 1))) == {(0, 0, 1, 0), (0, 0, 1, 1)}
    assert found(path, "nested", under=(1,)) == {}
    assert found(path, "several") == {("mask", 0): [[1, 0]], ("mask", 1): [[0, 1]]}
    assert found(path, "matrix") == {(): [[1.5, 2], [3, 4]]}
    with pytest.raises(
        DataError, match=r"set: expected a variable 'absent' in .*; found matrix, nested, several, words"
    ):
        found(path, "absent")


def test_files_that_cannot_be_read_are_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.mat"
    with pytest.raises(DataError, match=r"there is no file .*x.mat"):
        found(path, "words")
    path.write_bytes(b"MATLAB 7.3 MAT-file" + b" " * 500)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(
        DataError, match=r"7\.3: python -m pip install h5py reads it, or save it again with '-v7'"
    ) as error:
        found(path, "words")
    assert "\n" not in str(error.value)
    path.write_bytes(b"no matrix")
    with pytest.raises(DataError, match="is no MATLAB file, or a broken one"):
        found(path, "words")


def test_a_broken_file_of_version_7_3(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    path = tmp_path / "x.mat"
    write_version_7_3(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="is no MATLAB file, or a broken one") as error:
        found(path, "words")
    assert "\n" not in str(error.value)
