"""`resight train`, as a user types it: what a run leaves, what it logs and what it refuses."""

import json
import logging
import re
import shutil

import pytest
import yaml
from PIL import Image
from tiny_flags import TINY

from resight.cli.main import main
from resight.training.report import RunLog


@pytest.fixture
def run_again(run, tmp_path):
    """A copy of the finished run, and the command that runs it again."""
    folder = shutil.copytree(run[0], tmp_path / "again")
    return folder, [*run[1][:-1], f"--run={folder}"]


def test_train_leaves_everything_a_user_needs(run):
    folder, _ = run
    report = json.loads((folder / "report.json").read_text())
    assert set(report) == {"before", "last", "best"}
    assert 0 <= report["best"]["scores"]["mAP"] <= 1
    page = (folder / "report.html").read_text()
    assert "Before and after" in page
    assert "Ranked lists" in page
    assert "Why these match" not in page, "its encoder has one part"
    assert not re.search(r"(src|href)=\"https?:", page)
    assert [json.loads(line)["epoch"] for line in (folder / "metrics.jsonl").read_text().splitlines()] == [0, 1]
    assert yaml.safe_load((folder / "config.yaml").read_text())["cluster"]["eps"] == 0.6
    assert json.loads((folder / "environment.json").read_text())["weights"]["license"] == "Apache-2.0"
    log = (folder / "log.txt").read_text()
    assert "epoch 2 of 2" in log
    assert "not the official split" in log, "said before the folder was the run's"


def test_the_same_command_again_changes_nothing(run_again):
    folder, command = run_again
    before = (folder / "last.safetensors").read_bytes()
    assert main(command) == 0
    assert (folder / "last.safetensors").read_bytes() == before


def test_the_page_of_a_run_shows_its_clusters_and_says_where_their_table_is(run_again, capsys):
    folder, command = run_again
    assert main(command) == 0
    assert str(folder / "clusters.csv") in capsys.readouterr().out
    assert "Clusters to look at" in (folder / "report.html").read_text()
    assert len((folder / "clusters.csv").read_text().splitlines()) > 16


def test_the_log_remembers_the_warnings_of_earlier_sessions(tmp_path):
    sessions = (["one", "two", "two"], ["two", "three"], [])
    for messages in sessions:
        log = RunLog()
        logger = logging.Logger("a run")
        logger.addHandler(log)
        logger.info("no warning")
        logger.warning("before the folder is the run's")
        log.open(tmp_path)
        for message in messages:
            logger.warning(message)
        log.close()
    assert log.warnings == ["before the folder is the run's", "one", "two", "three"]
    (tmp_path / "warnings.json").write_text('{"not": "a list"}')
    log.open(tmp_path)
    log.close()
    assert log.warnings[0] == "before the folder is the run's"


def test_other_settings_in_the_same_folder_are_refused(run_again, capsys):
    folder, command = run_again
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main([*command, "--learning_rate=0.1"]) == 2
    message = capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before, "not even its log"
    assert "learning_rate was 0.00035, now 0.1" in message
    assert "--run" in message


def test_train_says_what_data_info_lists(tmp_path, monkeypatch, caplog):
    class StopError(BaseException):
        pass

    def stop(*_, **__):
        raise StopError

    (tmp_path / "cam1").mkdir()
    Image.new("RGB", (16, 8)).save(tmp_path / "cam1" / "1.jpg")
    monkeypatch.setattr("resight.training.report.train", stop)
    with pytest.raises(StopError), caplog.at_level("INFO", logger="resight"):
        main(["train", "ice", "--config=site", f"--data=folder={tmp_path}", f"--run={tmp_path / 'run'}"])
    levels = {record.message: record.levelname for record in caplog.records}
    assert levels["train: all images are from one camera; nothing can be learned across cameras"] == "WARNING"
    assert any("sub-folders are read as cameras" in text for text in levels)
    assert any("these look like whole frames" in text for text in levels)


def test_an_image_that_cannot_be_read_does_not_end_a_run(people, tmp_path, capsys):
    root = shutil.copytree(people, tmp_path / "people")
    broken = sorted((root / "bounding_box_train").iterdir())[0]
    broken.write_bytes(broken.read_bytes()[:100])
    assert main(["data", "verify", f"market1501={root}"]) == 1
    assert "cannot be read: 1" in capsys.readouterr().out
    folder = tmp_path / "run"
    command = ["train", "ice", *TINY, f"--data=market1501={root}", f"--run={folder}", "--epochs=1"]
    assert main(command) == 0
    assert broken.name in (folder / "report.html").read_text()


def test_a_method_without_clusters_leaves_a_page_too(people, tmp_path):
    folder = tmp_path / "scr"
    small = ["--encoder.height=64", "--encoder.width=32", "--encoder.last_stride=1", "--epochs=1", "--iterations=2"]
    assert main(["train", "scr", "--config=scr-smoke", *small, f"--data=market1501={people}", f"--run={folder}"]) == 0
    assert "SCR on" in (folder / "report.html").read_text()
    assert "<h2>Why these match" in (folder / "report.html").read_text()
    assert json.loads((folder / "report.json").read_text())["last"]["provenance"]["flip"] is True
    page = tmp_path / "page.html"
    assert main(["evaluate", str(folder), f"--data=market1501={people}", f"--page={page}"]) == 0
    assert "<h2>Why these match" in page.read_text()
