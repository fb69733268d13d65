"""`resight demo`, as a user types it: it replaces its earlier files and nothing of the user's."""

import pytest

from resight.cli.main import main
from resight.errors import ResightError
from resight.files import locked


@pytest.fixture
def earlier_demo(tmp_path):
    folder = tmp_path / "demo"
    (folder / "people").mkdir(parents=True)
    (folder / "people" / "dataset.json").write_text("{}")
    (folder / "run").mkdir()
    (folder / "search.png").write_text("old")
    return folder


class StoppedError(ResightError):
    """Ends a demo where the drawing would begin."""


@pytest.fixture
def drawn(monkeypatch):
    """The settings that a demo would draw people by."""
    seen = []

    def synthesize(root, *, settings):
        seen.append(settings)
        raise StoppedError("stopped")

    monkeypatch.setattr("resight.cli.demo.synthesize", synthesize)
    return seen


def test_a_demo_replaces_an_earlier_one_and_draws_by_its_seed(earlier_demo, drawn):
    assert main(["demo", f"--folder={earlier_demo}", "--seed=7"]) == 2
    assert [settings.seed for settings in drawn] == [7]
    assert list(earlier_demo.iterdir()) == []


def test_a_demo_that_was_killed_while_drawing_can_run_again(tmp_path, drawn):
    """A kill leaves a hidden draft in a folder that is else empty, or beside what an earlier demo left."""
    (tmp_path / "demo" / f".resight-{'0' * 16}.part" / "bounding_box_train").mkdir(parents=True)
    assert main(["demo", f"--folder={tmp_path / 'demo'}"]) == 2
    assert len(drawn) == 1
    assert list((tmp_path / "demo").iterdir()) == []


def test_two_demos_do_not_share_a_folder(earlier_demo, drawn, capsys):
    with locked(earlier_demo):
        assert main(["demo", f"--folder={earlier_demo}"]) == 2
    assert "another demo runs in" in capsys.readouterr().err
    assert len(list(earlier_demo.iterdir())) == 3
    assert drawn == []


@pytest.mark.parametrize("mistake", ["--epochs=0", "--seed=-1", "--epoch=3"])
def test_a_mistake_costs_no_earlier_demo(mistake, earlier_demo, drawn):
    assert main(["demo", f"--folder={earlier_demo}", mistake]) == 2
    assert len(list(earlier_demo.iterdir())) == 3
    assert drawn == []


def test_a_demo_removes_nothing_of_yours(earlier_demo, drawn, monkeypatch, capsys):
    (earlier_demo / "thesis.tex").write_text("mine")
    monkeypatch.chdir(earlier_demo)
    for folder in (".", str(earlier_demo)):
        assert main(["demo", f"--folder={folder}"]) == 2
        assert "--folder" in capsys.readouterr().err
    assert len(list(earlier_demo.iterdir())) == 4
    assert drawn == []
