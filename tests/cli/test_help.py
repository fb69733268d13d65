"""The help, the settings and the recipes of every command."""

import pytest
import yaml

from resight.cli.main import main


@pytest.mark.parametrize(
    "words",
    [
        ["train"], ["train", "ice"], ["train", "mmt"], ["adapt"], ["evaluate"], ["compare"], ["search"], ["explain"],
        ["extract"], ["cluster"], ["demo"],
        ["data"], ["data", "info"], ["data", "verify"], ["data", "synthesize"], ["data", "synthesize", "x"],
        ["bodies"], ["generate"], ["models"], ["models", "get", "pose"],
    ],
)  # fmt: skip
def test_every_command_helps(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--help"]) == 0
    assert "usage" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["train", "ice"], "cluster"),
        (["evaluate"], "rerank"),
        (["compare"], "samples"),
        (["evaluate", "features.npz"], "normalize"),
        (["extract"], "split"),
        (["cluster", "features.npz"], "k1"),
        (["search", "x.jpg"], "ranked_list"),
        (["explain", "x"], "parts"),
        (["demo"], "epochs"),
        (["data", "info", "x"], "json"),
        (["bodies"], "recovery"),
        (["generate", "x"], "interpolate"),
        (["models", "get", "pose"], "wheel"),
        (["data", "synthesize", "x"], "crops"),
    ],
)
def test_every_command_prints_its_settings_and_does_nothing(words, key, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--print_config"]) == 0
    assert key in yaml.safe_load(capsys.readouterr().out)
    assert list(tmp_path.iterdir()) == []


def test_the_recipes_that_come_along_can_be_read(capsys):
    from resight.config.recipes import load_recipe, shipped_paths

    names = {path.stem: load_recipe(path).method for path in shipped_paths()}
    assert {"site", "adapt", "ice-smoke", "ice-thesis", "scr-smoke", "scr-mars"} <= set(names)
    for name, method in names.items():
        command, key = (["train", method], "epochs") if method else (["data", "synthesize", "x"], "crops")
        assert main([*command, f"--config={name}", "--print-config"]) == 0
        assert yaml.safe_load(capsys.readouterr().out)[key] >= 1
