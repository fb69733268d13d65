"""`resight recipes`, the words about recipes, and help that fits a screen."""

from __future__ import annotations

import logging

import pytest

from resight.cli.main import COMMANDS, main
from resight.cli.recipes import ORDER
from resight.config.recipes import about_recipe, shipped_paths
from resight.methods import METHODS


def test_every_recipe_says_whose_it_is_and_what_for() -> None:
    for path in shipped_paths():
        recipe = about_recipe(path)
        assert recipe.method in ORDER, path
        assert 10 < len(recipe.purpose) < 200, path
        assert recipe.name in recipe.command
    assert set(ORDER) == {*METHODS, "adapt"}


def test_recipes_are_listed_by_method_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes"]) == 0
    listed = capsys.readouterr().out
    assert "ice: resight train ice --config NAME" in listed
    assert "A site's own cameras: unlabeled crops" in listed
    assert "-smoke" not in listed
    assert main(["recipes", "--all"]) == 0
    everything = capsys.readouterr().out
    assert all(f"  {path.stem} " in everything for path in shipped_paths())
    assert main(["recipes", "scr"]) == 0
    own = capsys.readouterr().out
    assert "scr-site" in own
    assert "ice-market1501" not in own
    assert main(["recipes", "site"]) == 0
    assert capsys.readouterr().out.startswith("# A site's own cameras")
    assert main(["recipes", "sites"]) == 2
    assert "did you mean 'site'" in capsys.readouterr().err


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_of_every_command_fits_a_screen(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    ways = {"train": ["ice", "mmt", "scr"], "data": ["info", "verify", "synthesize"], "thesis": ["list", "show", "run"]}
    for words in ([], *([each] for each in ways.get(command, []))):
        for flag in ("--help", "-h"):
            assert main([command, *words, flag]) == 0
            lines = capsys.readouterr().out.splitlines()
            assert lines[0].startswith("usage: resight")
            assert len(lines) <= 26
            assert max(map(len, lines)) <= 120


def test_help_is_short_first_and_whole_where_that_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "ice", "--data", "folder=x", "-h", "--epochs", "3"]) == 0
    short = capsys.readouterr().out
    assert "--cluster.eps" in short
    assert "--cross_temperature" not in short
    assert "--help_all" in short
    assert main(["train", "ice", "--help_all"]) == 0
    assert "--cross_temperature" in capsys.readouterr().out


class StoppedError(BaseException):
    """Ends a training where it would begin."""


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    def stop(*_: object) -> None:
        raise StoppedError

    monkeypatch.setattr("resight.cli.train.open_data", lambda *_: None)
    monkeypatch.setattr("resight.cli.train.train_and_report", stop)
    caplog.set_level(logging.WARNING)
    return caplog


def test_a_training_without_a_recipe_says_what_it_is_about_to_do(said: pytest.LogCaptureFixture) -> None:
    with pytest.raises(StoppedError):
        main(["train", "ice", "--data=folder=x"])
    (warning,) = said.messages
    for part in ("resnet50, weights to download", "16,000 steps of 32 images", "--config site: A site's own cameras"):
        assert part in warning
    said.clear()
    with pytest.raises(StoppedError):
        main(["train", "ice", "--data=folder=x", "--config", "site"])
    assert said.messages == []


def test_a_recipe_of_another_method_is_said_where_its_settings_fit(said: pytest.LogCaptureFixture) -> None:
    with pytest.raises(StoppedError):
        main(["train", "scr", "--data=folder=x", "--config=scr-market1501", "--config=source-market1501"])
    (warning,) = said.messages
    assert warning.startswith("source-market1501 is a recipe of source (resight train source")
    said.clear()
    with pytest.raises(StoppedError):
        main(["train", "mmt", "--data=folder=x", "--config=abmt-site"])
    assert said.messages == [], "they share their settings"
