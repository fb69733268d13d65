"""The page on vectors in files, run as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pages import run_page


def test_the_page_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = run_page("features.md")
    assert "Ranked lists" in (tmp_path / "scores.html").read_text()
    assert len((tmp_path / "clusters.csv").read_text().splitlines()) == 73
    printed = capsys.readouterr().out
    for text in ("Scores (%)", "One threshold", "adjusted Rand index", "Probable matches for crops/003.jpg"):
        assert text in printed, text
    assert names["ranking"].indices[:, 0].tolist() == [0, 1]
    with np.load(tmp_path / "copy.npz", allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["embeddings"], names["vectors"].astype(np.float32))
