"""`resight recipes`, the words about recipes, and help that fits a screen."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from resight.cli.main import COMMANDS, main
from resight.config.recipes import FOLDERS, RENAMED, find_recipe, known_methods, load_recipe, shipped_paths
from resight.config.settings import read_settings
from resight.errors import ConfigError
from resight.methods import METHODS
from resight.synthetic import SyntheticSettings
from resight.training.train import read_recipe


def test_every_recipe_says_whose_it_is_and_what_for() -> None:
    for path in shipped_paths():
        recipe = load_recipe(path)
        assert recipe.methods or read_settings([f"--config={recipe.name}"], [SyntheticSettings]), path
        assert set(recipe.methods) <= METHODS.keys(), path
        assert recipe.folder in FOLDERS, path
        assert 10 < len(recipe.purpose) < 120, path
        text = path.read_text(encoding="utf-8")
        assert f"--config {recipe.name}" in text or f"resight {recipe.name}" in text, "a recipe names its command"
    assert set(known_methods()) == set(METHODS)


def test_no_two_recipes_have_the_same_settings() -> None:
    recipes = [load_recipe(path) for path in shipped_paths()]
    assert len({str(recipe.settings) for recipe in recipes}) == len(recipes) <= 50
    assert len({recipe.name for recipe in recipes}) == len(recipes)


def test_earlier_names_find_the_recipe_of_the_same_settings(caplog: pytest.LogCaptureFixture) -> None:
    shipped = {path.stem for path in shipped_paths()}
    assert set(RENAMED.values()) <= shipped
    assert not shipped & RENAMED.keys()
    assert read_recipe("ice", "ice-market1501") == read_recipe("ice", "ice-thesis")
    assert caplog.messages == ["recipe ice-market1501 is called ice-thesis now"]


def test_a_recipe_is_found_by_name_and_folder() -> None:
    names = ("scr-site", "recipes/scr-site", "site/scr-site", "recipes/site/scr-site.yaml")
    assert {find_recipe(name).parent.name for name in names} == {"site"}
    with pytest.raises(ConfigError, match="there is no such file"):
        find_recipe("thesis/scr-site")


@pytest.mark.parametrize("header", ["method: {ice: 1}", "method: [[ice]]", "description: [a, b]"])
def test_a_header_of_another_form_is_refused(tmp_path: Path, header: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(f"{header}\nepochs: 3\n")
    with pytest.raises(ConfigError, match=f"{header.partition(':')[0]} must"):
        load_recipe(path)


def test_recipes_are_listed_by_folder_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes"]) == 0
    listed = capsys.readouterr().out
    assert listed.startswith("site: for your own cameras\n  site ")
    assert "ICE on unlabeled crops of your own cameras" in listed
    assert "-smoke" not in listed
    assert main(["recipes", "--all"]) == 0
    everything = capsys.readouterr().out
    assert all(f"  {path.stem} " in everything for path in shipped_paths())
    assert main(["recipes", "scr"]) == 0
    own = capsys.readouterr().out
    assert "scr-site" in own
    assert "ice-thesis" not in own
    assert main(["recipes", "site"]) == 0
    assert capsys.readouterr().out.startswith("description: ICE on unlabeled crops")
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
            assert len(lines) <= 28
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
    for part in ("resnet50, weights to download", "16,000 steps of 32 images", "--config site: ICE on unlabeled crops"):
        assert part in warning
    said.clear()
    with pytest.raises(StoppedError):
        main(["train", "ice", "--data=folder=x", "--config", "site"])
    assert said.messages == []


def test_a_recipe_of_another_method_is_said_where_its_settings_fit(said: pytest.LogCaptureFixture) -> None:
    with pytest.raises(StoppedError):
        main(["train", "scr", "--data=folder=x", "--config=scr-thesis", "--config=source-thesis"])
    (warning,) = said.messages
    assert warning.startswith("source-thesis is a recipe of source (resight train source")
    said.clear()
    with pytest.raises(StoppedError):
        main(["train", "mmt", "--data=folder=x", "--config=abmt-site"])
    assert said.messages == [], "they share their settings"
