"""Vectors and their table in files: bit for bit back, files of other tools, and mistakes in one line."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from messages import one_line
from resight.errors import ConfigError, DataError
from resight.records import COLUMNS, Features, ImageTable
from resight.retrieval import array_files
from resight.retrieval.feature_files import StoredFeatures, load_features, names_features, save_features

SPLITS = np.array(["train", "query", "gallery", "gallery", ""])


def vectors(count: int = 5, dim: int = 7) -> np.ndarray[Any, Any]:
    rows = np.random.default_rng(1).normal(size=(count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def features(**columns: Any) -> Features:
    paths = ["a/1.jpg", "a/2, with comma.jpg", "über/3.jpg", "/data/4.jpg", "5.jpg"]
    known = {"person_ids": [7, 7, -1, 0, 3], "camera_ids": [1, 2, 2, -1, 5], "tracklet_ids": [4, -1, -1, 9, 0]}
    table = ImageTable(np.array(paths), **{**known, "frame_ids": [0, 12, -1, 3, 4], **columns})
    return Features(table, vectors(), "resight-encoder")


def same(found: StoredFeatures, expected: Features, *, but: str = "") -> None:
    assert found.features.embeddings.dtype == np.float32
    assert found.features.embeddings.tobytes() == expected.embeddings.tobytes()
    for column in set(COLUMNS) - {but}:
        np.testing.assert_array_equal(getattr(found.features.table, column), getattr(expected.table, column), column)
    np.testing.assert_array_equal(found.splits, SPLITS)


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".parquet"])
def test_what_is_saved_comes_back_bit_for_bit(suffix: str, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / "new folder" / f"features{suffix}"
    save_features(path, features(), splits=SPLITS)
    found = load_features(path)
    same(found, features())
    assert found.features.encoder == ("" if suffix == ".npy" else "resight-encoder")
    assert found.notes == ()
    first = path.read_bytes()
    save_features(path, features(), splits=SPLITS)
    assert path.read_bytes() == first
    assert sorted(file.suffix for file in path.parent.iterdir()) == ([".csv", ".npy"] if suffix == ".npy" else [suffix])


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".parquet"])
def test_names_come_back(suffix: str, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"features{suffix}"
    names = {"people": ("anna", "bert", "carl", "dora"), "cameras": ("door", "hall")}
    save_features(path, features(person_ids=[3, 0, -1, 1, 2], camera_ids=[1, 0, 0, 1, -1]), splits=SPLITS, names=names)
    found = load_features(path)
    same(found, features(person_ids=[3, 0, -1, 1, 2], camera_ids=[1, 0, 0, 1, -1]))
    assert found.names == names


def test_domains_come_back_but_from_csv(tmp_path: Path) -> None:
    expected = features(domain_ids=[0, 0, 1, 1, -1])
    save_features(tmp_path / "features.npz", expected, splits=SPLITS)
    same(load_features(tmp_path / "features.npz"), expected)
    save_features(tmp_path / "features.npy", expected, splits=SPLITS)
    same(load_features(tmp_path / "features.npy"), expected, but="domain_ids")


def test_parquet_keeps_domains_and_missing_numbers_are_unknown(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    expected = features(domain_ids=[0, 0, 1, 1, -1])
    save_features(tmp_path / "features.parquet", expected, splits=SPLITS)
    same(load_features(tmp_path / "features.parquet"), expected)
    columns = {"file": ["a.jpg", "b.jpg"], "pid": [3, None], "feat": [[0.6, 0.8], [1.0, 0.0]]}
    arrow.parquet = pytest.importorskip("pyarrow.parquet")
    arrow.parquet.write_table(arrow.table(columns), tmp_path / "other.parquet")
    found = load_features(tmp_path / "other.parquet")
    assert found.features.table.person_ids.tolist() == [3, -1]
    np.testing.assert_array_equal(found.features.embeddings, np.array([[0.6, 0.8], [1, 0]], np.float32))


def test_arrays_of_other_tools_are_read_with_notes(tmp_path: Path) -> None:
    path = tmp_path / "torch.npz"
    rows = 3 * vectors(3).astype(np.float64)
    other = {"pids": np.array(["anna", "bert", "anna"]), "camids": np.array([0.0, 1.0, np.nan])}
    np.savez(path, feats=rows, img_path=["x/1.jpg", "x/2.jpg", "x/3.jpg"], extra=np.eye(2), **other)
    found = load_features(path)
    assert found.features.table.person_ids.tolist() == [0, 1, 0]
    assert found.names == {"people": ("anna", "bert")}
    assert found.features.table.camera_ids.tolist() == [0, 1, -1]
    np.testing.assert_array_equal(found.features.embeddings, rows.astype(np.float32))
    notes = "\n".join(found.notes)
    for part in ("'feats' is read as the vectors", "'pids' is read as person", "float64", "3 to 3 long", "'extra' is"):
        assert part in notes, part
    assert all(note.startswith("torch.npz: ") for note in found.notes)


def test_a_table_of_a_spreadsheet_stands_beside_an_array(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", vectors(3).astype(np.float16))
    (tmp_path / "x.csv").write_text(
        "\ufefffilename;pid;camid;subset\n1.jpg;7.0;c1;probe\n2.jpg;;c2;test\n3.jpg;007;c2;\n"
    )
    found = load_features(tmp_path / "x.npy")
    assert found.features.table.person_ids.tolist() == [7, -1, 7]
    assert found.names == {"cameras": ("c1", "c2")}
    assert found.splits.tolist() == ["query", "gallery", ""]
    assert any("semicolons" in note for note in found.notes)


def test_rows_without_paths_get_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", features=vectors(2))
    found = load_features(tmp_path / "x.npz")
    assert found.features.table.paths.tolist() == ["x.npz row 0", "x.npz row 1"]
    assert any("no paths" in note for note in found.notes)


def npz(path: Path, **changes: Any) -> None:
    arrays = {"embeddings": vectors(3), "paths": np.array(["1.jpg", "2.jpg", "3.jpg"]), "person_ids": np.arange(3)}
    np.savez(path, **{name: values for name, values in {**arrays, **changes}.items() if values is not None})


def with_value(value: float, *rows: int) -> np.ndarray[Any, Any]:
    changed = vectors(3)
    changed[list(rows), 2] = value
    return changed


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"embeddings": vectors(4)}, "has 4 vectors and 3 values of 'path'"),
        ({"person_ids": np.arange(2)}, "3 vectors and 2 values of 'person'"),
        ({"embeddings": with_value(np.nan, 1)}, "row 1 ('2.jpg') holds nan or inf: check"),
        ({"embeddings": with_value(np.inf, 1, 2)}, "row 1 ('2.jpg') holds nan or inf, and 1 more rows do"),
        ({"embeddings": 1e300 * np.ones((3, 2))}, "row 0 ('1.jpg') holds nan or inf"),
        ({"embeddings": np.ones(3, np.float32)}, "must have vectors of shape (N, D), found (3,)"),
        ({"embeddings": np.ones((3, 0), np.float32)}, "must have vectors of shape (N, D), found (3, 0)"),
        ({"embeddings": np.array([["a"]] * 3)}, "must be an array of numbers, found 'a'"),
        ({"paths": np.array(["1.jpg", "2.jpg", "1.jpg"])}, "has '1.jpg' in the rows 0 and 2"),
        ({"paths": np.arange(3)}, "must have paths of text"),
        ({"person_ids": np.array([0, -5, 1])}, "person_ids must be 0 or more, or -1"),
        ({"person_ids": np.array([0, 0.5, 1])}, "person must be whole numbers"),
        (
            {"splits": np.array(["query", "galery", ""])},
            "row 1: the split 'galery' is none of train, query and gallery",
        ),
        ({"splits": np.arange(3)}, "splits of text"),
        ({"pid": np.zeros(3, int), "person_ids": None, "pids": np.zeros(3, int)}, "'pid' and 'pids' may each be"),
        ({"embeddings": None, "x": vectors(3), "feats": vectors(3)}, "one array of vectors, 'embeddings'; found"),
        ({"embeddings": None}, "one array of vectors, 'embeddings'; found"),
        ({"people_names": np.array(["anna"])}, "no name of person 2"),
        ({"paths": np.array(["1.jpg", "2.jpg", "3.jpg"], object)}, "pickled objects in 'paths', which resight never"),
        ({"other": np.array([{}], object)}, "pickled objects in 'other', which resight never"),
    ],
)
def test_each_mistake_in_arrays_is_one_line(changes: dict[str, Any], text: str, tmp_path: Path) -> None:
    npz(tmp_path / "x.npz", **changes)
    with pytest.raises(DataError) as error:
        load_features(tmp_path / "x.npz")
    assert text in one_line(error)
    assert "x.npz" in one_line(error)


def packed(path: Path, content: bytes, name: str = "embeddings.npy") -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)


def header(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


DAMAGED: list[tuple[Callable[[Path], Any], str]] = [
    (lambda path: None, "there is no file"),
    (lambda path: path.mkdir(), "cannot read"),
    (lambda path: path.write_bytes(b""), "cannot read"),
    (lambda path: path.write_bytes(b"no zip at all"), "cannot read"),
    (lambda path: packed(path, b"no array"), "cannot read"),
    (lambda path: packed(path, b"x", "readme.txt"), "'readme.txt' which is no array"),
    (lambda path: packed(path, header((10**9, 1000)) + bytes(400)), "declares 4,000,000,000,000 bytes"),
    (lambda path: packed(path, header((10**12,), "<U0")), "declares 0 bytes"),
    (lambda path: packed(path, header((-5, 4)) + bytes(80)), "declares"),
    (lambda path: packed(path, header((2, 4)) + bytes(400)), "declares 32 bytes in 'embeddings' and holds 400"),
    (lambda path: packed(path, header((100_000,)) + bytes(400_000)), "would unpack to 400,"),
]


@pytest.mark.parametrize(("damage", "text"), DAMAGED)
def test_damaged_and_hostile_files_are_one_line(
    damage: Callable[[Path], Any], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(tmp_path / "x.npz")
    monkeypatch.setattr(array_files, "SMALL", 10_000)
    with pytest.raises(DataError) as error:
        load_features(tmp_path / "x.npz")
    assert text in one_line(error)


def test_a_hostile_pickle_is_never_run(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "run",)

    np.savez(tmp_path / "x.npz", embeddings=np.array([Hostile()], object))
    np.save(tmp_path / "y.npy", np.array([Hostile()], object))
    for name in ("x.npz", "y.npy"):
        with pytest.raises(DataError, match="pickled objects"):
            load_features(tmp_path / name)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (None, "there is no table"),
        ("path\n1.jpg\n", "has 2 vectors and a table of 1 row"),
        ("path,frame\n1.jpg,1\n2.jpg,b\n", "line 3: the frame 'b' is no whole number"),
        ("path,split\n1.jpg,probe\n2.jpg,b\n", "line 3: the split 'b' is none of"),
        ("path,person\n1.jpg,1\n,2\n", "line 3: the path is empty"),
        ("path,person\n1.jpg,1\n2.jpg\n", "line 3: expected 2 cells, found 1"),
        ("path,person\n1.jpg,1\n1.jpg,1\n", "has '1.jpg' in the rows 0 and 1"),
        ("1.jpg,1\n2.jpg,1\n", "the first line must name the columns"),
    ],
)
def test_each_mistake_in_a_table_is_one_line(table: str | None, text: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", vectors(2))
    if table is not None:
        (tmp_path / "x.csv").write_text(table)
    with pytest.raises(DataError) as error:
        load_features(tmp_path / "x.npy")
    assert text in one_line(error)
    assert one_line(error).startswith("features: ")


def test_other_formats_and_missing_libraries_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names_features("a/b.NPZ")
    assert not names_features("runs/mine")
    with pytest.raises(ConfigError, match=r"must end in \.npz, \.npy, \.parquet"):
        save_features(tmp_path / "x.h5", features())

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(array_files.importlib, "import_module", missing)
    for call in (
        lambda: save_features(tmp_path / "x.parquet", features()),
        lambda: load_features(tmp_path / "x.parquet"),
    ):
        with pytest.raises(ConfigError, match=r"resight\[parquet\]"):
            call()


def test_a_damaged_parquet_file_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "x.parquet"
    save_features(path, features())
    content = path.read_bytes()
    for damaged in (content[:-20], b"", content[:4] + bytes(len(content) - 8) + content[-4:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="cannot read"):
            load_features(path)
    path.write_bytes(content)
    monkeypatch.setattr(array_files, "SMALL", 100)
    monkeypatch.setattr(array_files, "UNPACKED", 0)
    with pytest.raises(DataError, match="would unpack to"):
        load_features(path)
