"""Parsers agree with the lists that the sets' authors and papers publish, where these lists are at hand.

The lists hold names, people and cameras, no images. Each test makes the files that it needs by name, without content.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from mars_files import touch
from resight.data.dataset import count
from resight.data.matlab import read_matrix
from resight.data.sets import caviar4reid, cuhk01, market1501, mars, viper
from resight.data.sets.partitions import read_partition
from resight.records import ImageTable


@pytest.fixture(scope="module")
def lists() -> Path:
    """The folder of official lists; a test that asks for it is skipped where there is none."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "fixtures"
    folder = Path(os.environ.get("RESIGHT_OFFICIAL_LISTS", beside))
    if not folder.is_dir():
        pytest.skip(f"no official lists: {folder} is not there (set RESIGHT_OFFICIAL_LISTS to their folder)")
    return folder


@pytest.mark.parametrize(
    ("split", "people", "cameras"),
    [
        ("train", "train_label", "train_cam"),
        ("query", "queryID", "queryCam"),
        ("gallery", "testID", "testCam"),
    ],
)
def test_market1501_counts_and_names(lists: Path, split: str, people: str, cameras: str) -> None:
    files = [lists / "market1501" / f"{name}.mat" for name in (people, cameras)]
    ids, cams = (
        np.concatenate([value.ravel() for key, value in loadmat(file).items() if not key.startswith("__")]).astype(int)
        for file in files
    )
    names = [f"{f'{person:04}' if person >= 0 else person}_c{camera}s1_{row:06}_00.jpg"
             for row, (person, camera) in enumerate(zip(ids.tolist(), cams.tolist(), strict=True))]  # fmt: skip
    matches = [market1501.PATTERN.match(name) for name in names]
    assert [int(match["person"]) for match in matches if match] == ids.tolist()
    assert [int(match["camera"]) for match in matches if match] == cams.tolist()
    assert count(ImageTable(np.array(names), ids, cams)) == market1501.PUBLISHED[split]
    assert names == sorted(names), "the lists are in the order of the sorted names, as the parser reads them"


def test_mars_counts(lists: Path) -> None:
    folder = lists / "mars"
    train, test = (
        read_matrix("mars", folder / f"tracks_{part}_info.mat", f"track_{part}_info") for part in ("train", "test")
    )
    queries = read_matrix("mars", folder / "query_IDX.mat", "query_IDX").ravel() - 1
    is_query = np.isin(np.arange(len(test)), queries)
    labeled = test[:, 2] != -1

    def counts(rows: np.ndarray) -> tuple[int, int]:
        return len(rows), len(np.unique(rows[:, 2]))

    assert counts(train) == mars.PUBLISHED["train"]
    assert counts(test[is_query]) == mars.PUBLISHED["query"]
    assert counts(test[labeled & ~is_query]) == mars.PUBLISHED_GALLERY["without-queries"]
    assert counts(test[labeled]) == mars.PUBLISHED_GALLERY["with-queries"]


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory, lists: Path) -> Path:
    """All names of CUHK01, next to its list."""
    root = tmp_path_factory.mktemp("cuhk01")
    touch(root, *(f"campus/{person:04}{number:03}.png" for person in range(1, 972) for number in range(1, 5)))
    (root / "CUHK01M1.mat").write_bytes((lists / "cuhk01" / "CUHK01M1.mat").read_bytes())
    return root


@pytest.mark.parametrize("split", [9])
def test_a_split_of_cuhk01_is_that_of_its_list(campus: Path, split: int) -> None:
    content = loadmat(campus / "CUHK01M1.mat")
    cell = {key: content[key][split, 0].ravel() for key in content if key.endswith("_set")}
    names = [str(name[0]).lstrip("/") for name in cell["testimagenames_set"]]
    listed = {
        "train": {str(name[0]).lstrip("/") for name in cell["trainimagenames_set"]},
        "query": {name for name, camera in zip(names, cell["testcamIDs_set"], strict=True) if camera == 1},
        "gallery": {name for name, camera in zip(names, cell["testcamIDs_set"], strict=True) if camera == 2},
    }
    data = cuhk01.load_cuhk01(campus, split=split)
    assert {part: {Path(path).name for path in table.paths} for part, table in data.tables.items()} == listed
    assert data.official


@pytest.mark.parametrize(
    ("name", "people", "published"),
    [("viper", 632, viper.PUBLISHED["query"][1]), ("caviar", 50, caviar4reid.PUBLISHED["query"][1])],
)
def test_partitions_of_a_benchmark(lists: Path, name: str, people: int, published: int) -> None:
    h5py = pytest.importorskip("h5py")
    path = lists / "partitions" / f"Partition_{name}.mat"
    with h5py.File(path) as file:
        tests = [file[reference][()].ravel() for reference in file["partition"]["idx_test"][()].ravel()]
    assert len(tests) == 10
    for split in (0, 9):
        train, test = read_partition(name, path, split, np.arange(people))
        assert len(test) == published
        assert sorted([*train.tolist(), *test.tolist()]) == list(range(people))
        assert np.isin(np.arange(people), test).tolist() == tests[split][:people].astype(bool).tolist()
