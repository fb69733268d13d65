"""Several splits are scored from one embedding of each image, and their scores averaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from resight.compute.devices import Devices
from resight.data.catalog import load_dataset, open_splits
from resight.data.dataset import Dataset
from resight.data.tracklets import TrackletSettings
from resight.errors import ConfigError, DataError
from resight.records import Report
from resight.retrieval import trials
from resight.retrieval.protocol import embed, score_features
from resight.retrieval.trials import average_reports, embed_splits

HOW: dict[str, Any] = {"tracklet": TrackletSettings(num_frames=2), "devices": Devices(tiny.DEVICE), "flip": False}


@pytest.fixture
def viper(draw: Callable[..., Path], tmp_path: Path) -> Path:
    return draw(tmp_path, *(f"cam_{camera}/{person:03}_0.bmp" for person in range(8) for camera in "ab"))


@pytest.fixture
def video(draw: Callable[..., Path], tmp_path: Path) -> Path:
    names = [
        f"cam{camera}/person{person:03}/{frame}.png" for person in range(4) for camera in (1, 2) for frame in range(3)
    ]
    return draw(tmp_path, *(f"sequences/{name}" for name in names))


def scores_alone(split: Dataset) -> Report:
    sides = [embed(tiny.encoder(), side, split.unit, **HOW) for side in (split.query, split.gallery)]
    return score_features(split, (sides[0], sides[1]), tracklet=HOW["tracklet"], device="cpu")


@pytest.mark.parametrize(("name", "folder"), [("viper", "viper"), ("ilidsvid", "video")])
def test_trials_score_as_the_splits_do_alone_and_embed_each_image_once(
    name: str, folder: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = open_splits(f"{name}={request.getfixturevalue(folder)}", 4)
    embedded: list[list[str]] = []

    def recording(encoder: Any, table: Any, unit: Any, **how: Any) -> Any:
        embedded.append(table.paths.tolist())
        return embed(encoder, table, unit, **how)

    monkeypatch.setattr(trials, "embed", recording)
    sides = embed_splits(tiny.encoder(), splits, **HOW)
    (paths,) = embedded
    tests = {path for split in splits for table in (split.query, split.gallery) for path in table.paths.tolist()}
    assert sorted(paths) == sorted(tests), "each once"
    for split, (queries, gallery) in zip(splits, sides, strict=True):
        alone = scores_alone(split)
        report = score_features(split, (queries, gallery), tracklet=HOW["tracklet"], device="cpu")
        assert report.scores == pytest.approx(alone.scores)
        np.testing.assert_array_equal(report.per_query["first_rank"], alone.per_query["first_rank"])
    people = [tuple(queries.table.person_ids.tolist()) for queries, _ in sides]
    assert len(set(people)) > 1, "splits differ"


def test_an_image_that_cannot_be_read_is_left_out_of_its_splits(viper: Path) -> None:
    splits = open_splits(f"viper={viper}", 3)
    broken = splits[0].query.paths[0]
    Path(broken).write_bytes(b"no image")
    sides = embed_splits(tiny.encoder(), splits, **HOW)
    for split, (queries, gallery) in zip(splits, sides, strict=True):
        assert queries.table.paths.tolist() == [path for path in split.query.paths.tolist() if path != broken]
        assert len(gallery) == len(split.gallery)
    for path in viper.glob("cam_a/*.bmp"):
        path.write_bytes(b"no image")
    with pytest.raises(DataError, match="no query or no gallery image of a split can be read"):
        embed_splits(tiny.encoder(), splits, **HOW)


def test_the_average_has_means_deviations_and_each_trial() -> None:
    def report(score: float, queries: int, **more: Any) -> Report:
        provenance = {"encoder": "x", "notes": f"of {score}", "gallery": 5, "cmc": [score, 1.0], "flip": True}
        return Report({"mAP": score, "queries": queries, **more}, {"matches": np.ones(queries)}, provenance)

    average = average_reports([report(0.2, 3, odd=1.0), report(0.4, 3), report(0.9, 6)])
    assert average.scores == pytest.approx({"mAP": 0.5, "queries": 4})
    # By hand: the squares of -0.3, -0.1 and 0.4 add up to 0.26, divided by two.
    assert average.provenance["deviation"]["mAP"] == pytest.approx(0.13**0.5)
    assert average.provenance["cmc"] == pytest.approx([0.5, 1.0])
    assert [trial["notes"] for trial in average.provenance["trials"]] == ["of 0.2", "of 0.4", "of 0.9"]
    assert [trial["scores"]["mAP"] for trial in average.provenance["trials"]] == [0.2, 0.4, 0.9]
    assert average.provenance["flip"]
    assert "notes" not in average.provenance
    assert not average.per_query
    assert average_reports([report(0.2, 3)]).to_json()["provenance"]["deviation"]["mAP"] is None
    with pytest.raises(DataError, match="there is no trial to average"):
        average_reports([])


def test_splits_are_named_and_counted(viper: Path, tmp_path: Path) -> None:
    splits = open_splits(str(viper), 10)
    assert [split.notes[0].partition(":")[0] for split in splits] == [f"split {number} of 10" for number in range(10)]
    third = load_dataset(f"viper-split2={viper}")
    assert third.query.paths.tolist() == splits[2].query.paths.tolist()
    assert load_dataset("viper", viper).query.paths.tolist() == splits[0].query.paths.tolist()
    for spec, number, message in (
        (f"viper={viper}", 11, "viper has 10 splits, found 11 trials: ask for 10 or fewer"),
        (f"viper-split1={viper}", 2, "viper-split1 is a single one: leave out trials, or write viper=PATH"),
        (f"market1501={viper}", 2, "market1501 has one: leave out trials; sets with several are viper, grid"),
        (f"viper-split10={viper}", 1, r"viper: the splits are 0\.\.9, found 10"),
        (f"mars-split1={viper}", 1, "mars has one split: write mars=PATH"),
        (f"vipr-split1={viper}", 1, "there is no data set 'vipr-split1'"),
    ):
        with pytest.raises(ConfigError, match=message) as error:
            open_splits(spec, number)
        assert "\n" not in str(error.value)
