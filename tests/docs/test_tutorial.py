"""The tutorial, run from the page itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import run_page


def test_the_tutorial_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = run_page("tutorial.md")
    assert {path.name for path in (tmp_path / "crops").iterdir()} == {"camera1", "camera2", "camera3"}
    for name in (
        "crops.png",
        "scores.html",
        "found.png",
        "vectors.npz",
        "clusters.csv",
        "runs/mine/report.html",
        "runs/python/report.json",
    ):
        assert (tmp_path / name).stat().st_size, name
    ranking, people = names["ranking"], names["people"]
    assert ranking.indices.shape == (2, 5)
    assert (ranking.similarities[:, :-1] >= ranking.similarities[:, 1:]).all()
    assert 0 < names["scores"]["mAP"] <= 1
    assert len(people.query) > 6
    printed = capsys.readouterr().out
    assert "mAP 0." in printed
    assert "every image can be read" in printed
