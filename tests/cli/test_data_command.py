"""`resight data`, as a user types it: drawn people, folders, facts and verification."""

import json
import re
import shlex

import pytest
from PIL import Image

from resight.cli.main import main


def test_what_folders_are_can_be_said(tmp_path, capsys):
    for person in ("anna", "bert"):
        for camera in "xy":
            (tmp_path / person / camera).mkdir(parents=True)
            Image.new("RGB", (8, 16)).save(tmp_path / person / camera / "1.jpg")

    def counted(*flags):
        assert main(["data", "info", f"folder={tmp_path}", "--json", *flags]) == 0
        train = json.loads(capsys.readouterr().out)["splits"]["train"]
        return train["people"], len(train["cameras"])

    assert counted("--layout", "person/camera") == (2, 2)
    assert counted("--layout", "-/camera") == (0, 2), "a value that begins like a flag"
    assert counted("--pattern", "^(?P<person>[^/]+)/(?P<camera>[^/]+)") == (2, 2)
    assert counted("--layout=none") == (0, 1)
    for words in (["data", "verify", f"market1501={tmp_path}"], ["evaluate", f"--data=market1501={tmp_path}"]):
        assert main([*words, "--layout=camera"]) == 2
        assert "--layout says how a folder of crops is read" in capsys.readouterr().err


def test_drawn_people_can_be_read_as_the_command_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    few = ["--people_train=1", "--cameras=2", "--crops=2", "--silhouettes=false"]
    assert main(["data", "synthesize", "nur Training", *few, "--people_test=0"]) == 0
    assert "read it as" not in capsys.readouterr().out
    assert main(["data", "synthesize", "meine Leute", *few, "--people_test=1"]) == 0
    (spec,) = shlex.split(capsys.readouterr().out.rpartition(" as ")[2])
    assert main(["data", "info", spec, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["splits"]["train"]["people"] == 1


def test_data_info_and_verify(people, capsys):
    assert main(["data", "info", f"market1501={people}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["splits"]["train"]["people"] == 16
    assert main(["data", "verify", f"market1501={people}"]) == 0
    assert "every image can be read" in capsys.readouterr().out


def test_images_without_a_camera_are_no_camera(tmp_path, draw, capsys):
    draw(tmp_path, "a.jpg", "b.jpg")
    assert main(["data", "info", f"folder={tmp_path}"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"cameras +│ +0$", shown, re.M)
    assert "no camera is known" in shown


@pytest.mark.parametrize("unit", ["images", "tracklets"])
def test_the_facts_of_a_large_set_fit_80_characters(unit, monkeypatch, capsys):
    from resight.cli.data import _print_description
    from resight.data.verify import Description, SplitFacts

    monkeypatch.setenv("COLUMNS", "80")
    facts = SplitFacts(509_914, 12_000, 100_000, 99_999, 1_261, {-1: 1, 7: 2}, (12, 1234.5, 9999), (509_915, 1_262))
    splits = dict.fromkeys(("train", "query", "gallery"), facts)
    _print_description(
        Description("mars", "/data", "same-camera", unit, False, splits, (3,), (), ("one query has no match",))
    )
    shown = capsys.readouterr().out
    for word in ("gallery", "per person", "unlabeled", "distractors", "tracklets", " 12–9,999 ", " 1,234.5 "):
        assert word in shown
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "one query has no match" in shown


def test_data_without_a_word_says_what_to_type(capsys):
    assert main(["data"]) == 2
    message = capsys.readouterr().err
    assert "resight data info folder=CROPS" in message
    assert "''" not in message
