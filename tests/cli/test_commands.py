"""The commands, as a user types them, on a few drawn people."""

import json
import re
from pathlib import Path

import pytest
import yaml
from PIL import Image

from resight.cli.main import main

TINY = [
    "--encoder.backbone=tf_efficientnet_lite0",
    "--encoder.height=64",
    "--encoder.width=32",
    "--cluster.k1=8",
    "--cluster.eps=0.45",
    "--epochs=2",
    "--iterations=2",
    "--identities=4",
    "--config=site",
]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "people"
    settings = ["--people_train=16", "--people_test=6", "--cameras=3", "--crops=3", "--silhouettes=false"]
    assert main(["data", "synthesize", str(folder), *settings]) == 0
    return folder


@pytest.fixture(scope="module")
def run(people, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    command = ["train", "ice", *TINY, f"--data=market1501={people}", f"--run={folder}"]
    assert main(command) == 0
    return folder, command


def test_train_leaves_everything_a_user_needs(run):
    folder, _ = run
    report = json.loads((folder / "report.json").read_text())
    assert set(report) == {"before", "last", "best"}
    assert 0 <= report["best"]["scores"]["mAP"] <= 1
    page = (folder / "report.html").read_text()
    assert "Before and after" in page
    assert "Ranked strips" in page
    assert not re.search(r"(src|href)=\"https?:", page)
    assert [json.loads(line)["epoch"] for line in (folder / "metrics.jsonl").read_text().splitlines()] == [0, 1]
    assert yaml.safe_load((folder / "config.yaml").read_text())["cluster"]["eps"] == 0.45
    assert json.loads((folder / "environment.json").read_text())["weights"]["licence"] == "Apache-2.0"
    assert "epoch 2 of 2" in (folder / "log.txt").read_text()


def test_the_same_command_again_changes_nothing(run):
    folder, command = run
    before = (folder / "last.safetensors").read_bytes()
    assert main(command) == 0
    assert (folder / "last.safetensors").read_bytes() == before


def test_other_settings_in_the_same_folder_are_refused(run, capsys):
    _, command = run
    assert main([*command, "--learning_rate=0.1"]) == 2
    message = capsys.readouterr().err
    assert "learning_rate: 0.1" in message
    assert "--run" in message


def test_evaluate_prints_json_and_writes_a_page(run, people, tmp_path, capsys):
    folder, _ = run
    capsys.readouterr()
    page = tmp_path / "page.html"
    assert main(["evaluate", str(folder), f"--data=market1501={people}", "--json", f"--page={page}"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = json.loads((folder / "report.json").read_text())["best"]["scores"]["mAP"]
    assert found["scores"]["mAP"] == pytest.approx(expected, abs=1e-6)
    assert "Hardest" in page.read_text() or "Ranked strips" in page.read_text()


def test_search_finds_the_image_itself_first(run, people, tmp_path, capsys):
    folder, _ = run
    image = sorted((people / "bounding_box_test").glob("0*.jpg"))[-1]
    strip = tmp_path / "strip.png"
    words = ["search", str(image), f"--data=folder={people / 'bounding_box_test'}", f"--encoder={folder}"]
    capsys.readouterr()
    assert main([*words, "-k", "3", "--json", f"--strip={strip}"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found) == 3
    assert Path(found[0]["path"]).name == image.name
    assert found[0]["similarity"] == pytest.approx(1, abs=1e-3)
    assert Image.open(strip).width > 100
    assert main([*words]) == 0
    assert "never proof" in capsys.readouterr().out


def test_data_info_and_verify(people, capsys):
    assert main(["data", "info", f"market1501={people}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["splits"]["train"]["people"] == 16
    assert main(["data", "verify", f"market1501={people}"]) == 0
    assert "every image can be read" in capsys.readouterr().out


def test_an_image_that_cannot_be_read_does_not_end_a_run(people, tmp_path, capsys):
    broken = sorted((people / "bounding_box_train").iterdir())[0]
    whole = broken.read_bytes()
    broken.write_bytes(whole[:100])
    try:
        assert main(["data", "verify", f"market1501={people}"]) == 1
        assert "cannot be read: 1" in capsys.readouterr().out
        folder = tmp_path / "run"
        command = ["train", "ice", *TINY, f"--data=market1501={people}", f"--run={folder}", "--epochs=1"]
        assert main(command) == 0
        assert broken.name in (folder / "report.html").read_text()
    finally:
        broken.write_bytes(whole)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["trian"], "did you mean 'train'"),
        (["train", "ise"], "did you mean 'ice'"),
        (["train", "ice"], "--data"),
        (["train", "ice", "--data=/nowhere"], "/nowhere"),
        (["train", "ice", "--cluster.epss=1"], "did you mean 'cluster.eps'"),
        (["train", "ice", "--config=sites"], "did you mean 'site'"),
        (["evaluate", "/nowhere", "--data=/nowhere"], "no encoder at"),
        (["search", "/nowhere.jpg", "--data=/nowhere"], "/nowhere.jpg"),
        (["data", "look", "x"], "info, verify, synthesize"),
        (["data", "info"], "needs a folder"),
    ],
)
def test_a_mistake_gets_one_line_that_says_what_to_do(words, hint, capsys):
    assert main(words) == 2
    message = capsys.readouterr().err
    assert hint in message
    assert message.count("\n") == 1
    assert "Traceback" not in message


def test_the_recipes_that_come_along_can_be_read(capsys):
    from resight.config import RECIPES

    names = sorted(item.name.removesuffix(".yaml") for item in RECIPES.iterdir() if item.name.endswith(".yaml"))
    assert {"site", "ice-smoke", "ice-market1501", "ice-agnostic-msmt17"} <= set(names)
    for name in names:
        assert main(["train", "ice", f"--config={name}", "--print-config"]) == 0
        assert yaml.safe_load(capsys.readouterr().out)["epochs"] >= 1


def test_the_readme_example_runs(people, tmp_path, monkeypatch, capsys):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.S)
    assert '"--run=runs/mine"' in code
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people").symlink_to(people)
    flags = ", ".join(repr(flag) for flag in TINY if flag != "--config=site")
    exec(compile(code.replace('"--run=runs/mine"', f'"--run=runs/mine", {flags}'), "README.md", "exec"), {})
    assert "cosine similarity" in capsys.readouterr().out
