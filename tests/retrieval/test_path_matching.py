"""Paths of two machines are matched by their longest unambiguous ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resight.retrieval.path_matching import match_paths

PATHS = st.lists(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join), min_size=1, max_size=6, unique=True
)


@pytest.mark.parametrize(
    ("wanted", "stored", "rows"),
    [
        (["a/1.jpg", "b/1.jpg"], ["b/1.jpg", "a/1.jpg"], [1, 0]),
        (["/data/a/1.jpg", "/data/b/1.jpg"], ["x/b/1.jpg", "x/a/1.jpg"], [1, 0]),
        (["/data/a/1.jpg"], ["D:\\crops\\a\\1.jpg", "2.jpg"], [0]),
        (["/data/a/1.jpg", "/data/b/1.jpg"], ["1.jpg"], [-1, -1]),
        (["/data/a/1.jpg"], ["x/1.jpg", "y/1.jpg"], [-1]),
        (["/data/a/1.jpg", "/data/b/1.jpg"], ["x/a/1.jpg"], [0, -1]),
        (["/data/a/11.jpg"], ["1.jpg"], [-1]),
        (["a/1.jpg", "x/2.jpg"], ["a/1.jpg", "y/2.jpg"], [0, 1]),
        (["a/1.jpg", "/x/a/1.jpg"], ["a/1.jpg"], [0, -1]),
        ([], ["a"], []),
    ],
)
def test_paths_match_exactly_or_by_their_ends(wanted: list[str], stored: list[str], rows: list[int]) -> None:
    assert match_paths(wanted, stored).tolist() == rows


def expected(wanted: list[str], stored: list[str]) -> list[int]:
    """Try every end of every path, the longest first."""
    rows = []
    for path in wanted:
        parts = path.split("/")
        row = stored.index(path) if path in stored else -1
        for start in range(len(parts) if row < 0 else 0):
            end = parts[start:]
            having = [number for number, other in enumerate(stored) if other.split("/")[-len(end) :] == end]
            if having:
                sharing = [other for other in wanted if other.split("/")[-len(end) :] == end]
                if len(having) == len(sharing) == 1:
                    row = having[0]
                break
        rows.append(row)
    return rows


@given(PATHS, PATHS)
def test_matches_are_those_of_trying_each_end(wanted: list[str], stored: list[str]) -> None:
    rows = match_paths(wanted, stored).tolist()
    assert rows == expected(wanted, stored)
    found = [row for row in rows if row >= 0]
    assert len(set(found)) == len(found)
