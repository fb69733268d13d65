"""Tables 2.1 and 2.2: the sizes of data sets, counted and as printed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mars_files import TEST, TRAIN, write_mars
from resight.cli.main import main
from resight.cli.thesis_sets import SETS
from resight.data.catalog import DATASETS, load_dataset
from resight.data.set_size import set_size
from resight.synthetic import SyntheticSettings, synthesize
from resight.thesis.paper import load_item


def test_every_row_names_sets_that_are_read() -> None:
    for name, rows in SETS.items():
        assert list(rows) == [row.name for row in load_item(name).rows]
        assert {each for names in rows.values() for each in names} <= {*DATASETS, "market", "duke"}


def test_a_set_is_counted_beside_the_printed_sizes(tiny_market: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["thesis", "run", "table-2.1", f"--data=market={tiny_market}"]
    assert main([*command, "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)["sets"]
    data = load_dataset("market1501", tiny_market)
    people = {person for table in data.tables.values() for person in table.person_ids.tolist()} - {-1, 0}
    images = {path for table in data.tables.values() for path in table.paths[table.person_ids != -1].tolist()}
    assert line["thesis"] == {"BBoxes": "32,217", "Identities": "1,501", "Cameras": "6", "Scene": "outdoor"}
    cameras = len({camera for table in data.tables.values() for camera in table.camera_ids.tolist()})
    assert line["yours"] == {"BBoxes": len(images), "Identities": len(people), "Cameras": cameras}
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "32,217" in out
    assert "not the official split" in out


def test_tracklets_junk_and_distractors_are_counted_as_papers_do(tmp_path: Path) -> None:
    drawing = SyntheticSettings(
        people_train=2, people_test=3, cameras=2, visits=2, crops=3, gap=3, tracklets=True, seed=4,
        height=64, width=32, distractors=0.3, junk=0.3, silhouettes=False,
    )  # fmt: skip
    data = load_dataset("synthetic", synthesize(tmp_path / "set", settings=drawing).root)
    size = set_size(data)
    rows = {}  # path: person, camera, tracklet within its split
    for split, table in data.tables.items():
        columns = (table.person_ids, table.camera_ids, table.tracklet_ids)
        for path, person, camera, tracklet in zip(table.paths.tolist(), *map(np.ndarray.tolist, columns), strict=True):
            if person != -1:
                rows[path] = (person, camera, (split, tracklet))
    people, cameras, tracklets = ({row[column] for row in rows.values()} for column in range(3))
    assert size == {
        "images": len(rows),
        "tracklets": len(tracklets),
        "people": len(people - {data.distractor_id}),
        "cameras": len(cameras),
    }
    assert size["people"] == 5
    assert (data.gallery.person_ids == -1).any()
    assert (data.gallery.person_ids == data.distractor_id).any()


def test_tracklets_are_counted_beside_the_printed_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_mars(tmp_path / "mars")
    assert main(["thesis", "run", "table-2.2", f"--data=mars={tmp_path / 'mars'}", "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)["sets"]
    own = [*TRAIN, *TEST[1:]]  # the first of them is junk
    assert line["yours"] == {
        "Tracklets": len(own),
        "BBoxes": sum(frames for *_, frames in own),
        "Identities": len({person for person, *_ in own} - {"0000"}),
        "Cameras": len({camera for _, camera, *_ in own}),
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["table-2.1"], "give --data caviar4reid=PATH"),
        (["table-2.2", "--data=market1501=/x"], "table-2.2 has no 'market1501'"),
        (["table-2.1", "--data=vipr=/x"], "did you mean 'viper'"),
        (["table-2.1", "--data=viper-split3=/not/there"], "/not/there"),
        (["table-2.1", "--data=market1501=/x", "--scale=short"], "--scale"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["thesis", "run", *words]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert error.count("\n") == 0
