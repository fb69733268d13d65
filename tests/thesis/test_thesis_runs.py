"""`resight thesis run`: rows are run, continued, tried again, and not done twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import timm
from made_up_training import MadeUpTraining, of_ours

from resight.cli.main import main
from resight.errors import RunError, WeightsError
from resight.methods.ice import ICE
from resight.models.encoder import Encoder
from resight.thesis import running
from resight.thesis.paper import load_item
from resight.thesis.planning import RunRequest, plan_rows


@pytest.fixture
def command(tiny_market: Path, tmp_path: Path) -> list[str]:
    words = ["thesis", "run", "table-6.6", f"--data=market1501={tiny_market}", "--scale=smoke"]
    return [*words, f"--out={tmp_path / 'out'}"]


def test_a_real_run_is_killed_continued_and_not_done_again(
    tiny_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["thesis", "run", "table-6.2", "--data", f"market={tiny_market}", "--scale=smoke", f"--out={out}"]
    words += ["--epochs=2", "--device.accelerator=cpu", "--device.threads=1"]
    begun, begin = [], ICE.begin_epoch

    def killed(self: ICE, epoch: int) -> Any:
        begun.append(epoch)
        if len(begun) == 4:  # the second epoch of the second row
            raise KeyboardInterrupt
        return begin(self, epoch)

    monkeypatch.setattr(ICE, "begin_epoch", killed)
    assert main(words) == 130
    assert "rerun the same command to resume" in capsys.readouterr().err
    stem = "table-6.2-smoke-e2-seed1"
    assert [line["state"] for line in of_ours(out / f"{stem}.json")] == ["done", "pending"]

    assert main(words) == 0
    assert begun == [0, 1, 0, 1, 1], "the first row is not done again, the second goes on at its second epoch"
    lines = of_ours(out / f"{stem}.json")
    assert [line["state"] for line in lines] == ["done", "done"]
    assert [line["thesis"] for line in lines] == [{"mAP": "80.1", "Rank1": "92.8"}, {"mAP": "82.3", "Rank1": "93.8"}]
    assert all(0 < line["ours"]["mAP"] <= 1 for line in lines)
    differs = {entry["setting"]: (entry["ours"], entry["thesis"]) for entry in lines[0]["differs"]}
    assert differs["encoder.backbone"] == ("tf_efficientnet_lite0", "resnet50")
    assert differs["encoder.height"] == ("64", "256")
    assert differs["epochs"] == ("2", "40")
    assert differs["iterations"] == ("2", "400")
    assert differs["select"] == ("last", "test")
    assert differs["seed"] == ("1", "not stated")
    assert differs["split"][0].startswith("not the official one (train 96 images of 8")
    assert "hard_negatives" not in differs, "what the row is about is the same there"
    made = lines[0]["made with"]
    assert made["epochs x iterations"] == "2 x 2"
    assert made["split official"] is False
    assert "efficientnet-lite0" in made["weights"]

    text = capsys.readouterr().out
    assert "thesis mAP" in text
    assert "ours (smoke) mAP" in text
    assert "no data: give --data dukemtmc=PATH" in text
    page = (out / f"{stem}.md").read_text()
    head = next(line for line in page.splitlines() if line.startswith("| row"))
    assert head == "| row | name | on | thesis mAP | thesis Rank1 | ours (smoke) mAP | ours (smoke) Rank1 | state |"
    assert "encoder.backbone: tf_efficientnet_lite0 (thesis: resnet50)" in page
    assert (out / f"{stem}.svg").read_text().startswith("<?xml")

    assert main(words) == 0
    assert len(begun) == 5
    capsys.readouterr()
    assert main(["thesis", "show", "table-6.2", f"--out={out}", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["lines"][0]["thesis"]["mAP"] == "80.1"
    assert shown["ours"][stem]["lines"] == json.loads((out / f"{stem}.json").read_text())["lines"]


def test_rows_that_go_wrong_are_noted_and_tried_again(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = MadeUpTraining(
        {2: RunError("loss became nan"), 3: WeightsError("none of resnet50"), 5: KeyboardInterrupt()}
    )
    monkeypatch.setattr(running, "train", first)
    assert main(command) == 130
    result = tmp_path / "out" / "table-6.6-smoke-seed1.json"
    states = ["done", "failed", "unavailable", "done", "pending", "pending", "pending", "pending"]
    assert [line["state"] for line in of_ours(result)] == states
    assert of_ours(result)[1]["reason"] == "loss became nan"
    assert of_ours(result)[2]["reason"] == "no weights: none of resnet50"
    assert "left, about" in capsys.readouterr().out

    again = MadeUpTraining()
    monkeypatch.setattr(running, "train", again)
    assert main(command) == 0
    assert len(again.calls) == 6
    assert not {first.calls[0], first.calls[3]} & set(again.calls)
    assert [line["state"] for line in of_ours(result)] == ["done"] * 8
    assert main(command) == 0
    assert len(again.calls) == 6
    # ICE itself, the fourth row, is also a row of Table 6.7, and so is the last, without cameras.
    assert main([*command[:2], "table-6.7", *command[3:]]) == 0
    new = [Path(run).name.partition("-")[0] for run in again.calls[6:]]
    assert new == ["spcl", "cap", "ice"], "SpCL, CAP and the supervised row"
    failing = [*command[:-1], f"--out={tmp_path / 'other'}"]
    monkeypatch.setattr(running, "train", MadeUpTraining({1: RunError("no clusters")}))
    assert main(failing) == 1


def test_only_the_rows_that_were_asked_for_are_made(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = MadeUpTraining()
    monkeypatch.setattr(running, "train", made)
    ours = sorted({job.number for job in plan_rows(load_item("table-6.6"), RunRequest(), resolve=False)})
    assert main([*command, f"--rows=[{ours[1]}]"]) == 0
    assert len(made.calls) == 1
    assert "1 left" in capsys.readouterr().out
    lines = of_ours(tmp_path / "out" / "table-6.6-smoke-seed1.json")
    states = {line["row"]: line["state"] for line in lines if line["state"] != "quoted"}
    assert states.pop(ours[1]) == "done"
    assert set(states.values()) == {"pending"}
    assert main([*command, "--rows=[99]"]) == 2
    assert f"--rows 99: the rows of table-6.6 that can run are {', '.join(map(str, ours))}" in capsys.readouterr().err


def test_attention_and_partition_are_run_beside_each_other(
    tiny_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Table 3.1: a network without weights at hand says so, and runs from random ones where that is asked for."""
    words = ["thesis", "run", "table-3.1", f"--data=market1501={tiny_market}", "--scale=smoke", f"--out={tmp_path}"]
    words += ["--device.accelerator=cpu", "--device.threads=1"]
    create = timm.create_model

    def unreachable(*names: str, **how: Any) -> Any:
        if how.get("pretrained"):
            raise OSError("no route to host")
        return create(*names, **how)

    monkeypatch.setattr(timm, "create_model", unreachable)
    assert main(words) == 0
    lines = of_ours(tmp_path / "table-3.1-smoke-seed1.json", "Market-1501")
    assert [line["state"] for line in lines] == ["done", "unavailable", "done"]
    assert "no weights: ImageNet weights of 'legacy_seresnet50' cannot be downloaded" in lines[1]["reason"]

    assert main([*words, "--weights=legacy_seresnet50=none"]) == 0
    lines = of_ours(tmp_path / "table-3.1-smoke-seed1.json", "Market-1501")
    assert [line["state"] for line in lines] == ["done"] * 3
    assert [line["thesis"]["mAP"] for line in lines] == ["73.3", "75.6", "85.8"]
    assert all(0 < line["ours"]["mAP"] <= 1 for line in lines)
    assert "random" in lines[1]["made with"]["weights"]
    folders = [Path(text) for text in (tmp_path / "runs").glob(f"{lines[1]['run']}/encoder-last.safetensors")]
    (settings,) = (Encoder.load(path).settings for path in folders)
    assert (settings.backbone, settings.head, settings.size) == ("legacy_seresnet50", "p1", (96, 48))
    differs = {entry["setting"]: (entry["ours"], entry["thesis"]) for entry in lines[1]["differs"]}
    assert differs["encoder.weights"] == ("none", "imagenet")
    assert "encoder.backbone" not in differs


def test_results_on_other_data_are_not_passed_off(
    command: list[str], tiny_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The same folder by another path is the same data, a copy of it is not."""
    made = MadeUpTraining()
    monkeypatch.setattr(running, "train", made)
    command[2] = "table-3.6"
    assert main(command) == 0
    (tmp_path / "link").symlink_to(tiny_market)
    monkeypatch.chdir(tiny_market.parent)
    for same in (tmp_path / "link", tiny_market.name, tiny_market.parent):
        assert main([word.replace(str(tiny_market), str(same)) for word in command]) == 0
    assert len(made.calls) == 1
    shutil.copytree(tiny_market, tmp_path / "copy")
    capsys.readouterr()
    assert main([word.replace(str(tiny_market), str(tmp_path / "copy")) for word in command]) == 2
    message = capsys.readouterr().err
    assert f"was made on market1501={tiny_market}, but the request names market1501={tmp_path / 'copy'}" in message
    assert "--out" in message


def test_weights_that_cannot_be_read_are_said_before_any_row_runs(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "weights.pth").write_bytes(b"no weights")
    assert main([*command, f"--weights=tf_efficientnet_lite0={tmp_path / 'weights.pth'}"]) == 2
    message = capsys.readouterr().err
    assert "weights.pth" in message
    assert message.count("\n") == 1
    assert not (tmp_path / "out").exists()
