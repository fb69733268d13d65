"""`resight.score` of a file of vectors."""

from __future__ import annotations

from pathlib import Path

import pytest

import resight
import tiny
from resight.errors import ConfigError, DataError
from resight.retrieval.extraction import extract
from resight.retrieval.feature_files import save_features


def test_a_file_scores_as_the_encoder_that_made_it(tiny_market: Path, tmp_path: Path) -> None:
    encoder, data = tiny.encoder().eval(), resight.load_dataset("market1501", tiny_market)
    table = resight.ImageTable.concatenate(data.query, data.gallery)
    path = tmp_path / "theirs.npz"
    save_features(path, extract(encoder, table, devices=resight.Devices(tiny.DEVICE)))
    known = resight.score(encoder, data, device=tiny.DEVICE)
    for name in (path, str(path)):
        found = resight.score(name, data, device=tiny.DEVICE)
        assert found.scores == pytest.approx(known.scores)
    assert found.provenance["features"] == str(path)
    assert resight.score(path, data, rerank=True, device=tiny.DEVICE).scores != found.scores
    centered = resight.score(path, data, center_cameras=True, device=tiny.DEVICE)
    assert centered.provenance["center_cameras"]
    queries, gallery = (
        extract(encoder, side, devices=resight.Devices(tiny.DEVICE)) for side in (data.query, data.gallery)
    )
    sides = (resight.center_cameras(side, gallery) for side in (queries, gallery))
    assert centered.scores["mAP"] == pytest.approx(resight.evaluate(*sides, exclude=data.exclude).scores["mAP"])
    with pytest.raises(ConfigError, match="leave out flip"):
        resight.score(path, data, flip=True, device=tiny.DEVICE)
    with pytest.raises(DataError, match="theirs"):
        resight.score(tmp_path / "not-theirs.npz", data, device=tiny.DEVICE)
