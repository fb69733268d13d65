"""Run folders: going on, metrics, and one process at a time."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from saved_runs import Method, files, saved
from torch import nn

from messages import one_line
from resight.errors import RunError
from resight.training.runs import Run, environment


@pytest.mark.parametrize("name", ["/proc/run", "r" * 300])
def test_a_folder_that_cannot_be_made_is_said_with_what_to_do(name: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"cannot be written .*: name another place"):
        Run(tmp_path / name)


def test_a_new_folder_starts_at_the_first_epoch(tmp_path: Path) -> None:
    run = Run(tmp_path / "a" / "b")
    assert run.resume(Method()) == 0
    assert run.metrics() == []


def test_a_checkpoint_is_put_back(tmp_path: Path) -> None:
    saved(tmp_path, 1.0, 2.0, 2.5)
    fresh = Method()
    assert Run(tmp_path).resume(fresh) == 3
    assert float(fresh.parts["part"].value) == 2.5
    assert files(tmp_path) == {
        "last.safetensors",
        "encoder-last.safetensors",
        "encoder-best.safetensors",
        "metrics.jsonl",
    }


def test_the_best_encoder_stays_where_an_epoch_is_no_better(tmp_path: Path) -> None:
    run, method = Run(tmp_path), Method(1.0)
    run.checkpoint(0, method, best=True)
    method.parts["part"].value = torch.tensor(2.0)
    run.checkpoint(1, method, best=False)
    assert (tmp_path / "encoder-best.safetensors").read_text() == "weights 1.0"
    assert (tmp_path / "encoder-last.safetensors").read_text() == "weights 2.0"


def test_a_line_that_a_kill_cut_short_is_left_out(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.log(0, {"loss": 1.0})
    run.log(1, {"loss": 0.5})
    path = tmp_path / "metrics.jsonl"
    lines = path.read_text()
    for cut in range(1, len(lines.splitlines()[1])):
        path.write_text(lines[: -cut - 1])
        assert [line["epoch"] for line in Run(tmp_path).metrics()] == [0]


@pytest.mark.parametrize("damage", [b"[1]\n", b'{"mAP": 1}\n', b'{"epoch": null}\n', b"\xff\xfe\n"])
def test_metrics_are_read_up_to_a_damaged_line(damage: bytes, tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.log(0, {"a": 1.0})
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes() + damage + path.read_bytes())
    assert [line["epoch"] for line in Run(tmp_path).metrics()] == [0]


def test_what_a_run_without_a_checkpoint_left_does_not_mix_with_the_next(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.log(0, {"a": 1.0})
    for which in ("best", "last"):
        (tmp_path / f"encoder-{which}.safetensors").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    assert Run(tmp_path).resume(Method()) == 0
    assert Run(tmp_path).metrics() == []
    assert {path.name for path in tmp_path.iterdir()} - {"metrics.jsonl"} == {"notes.txt"}


def test_lines_of_epochs_that_were_not_saved_are_dropped(tmp_path: Path) -> None:
    run, method = Run(tmp_path), Method()
    for epoch in range(3):
        run.log(epoch, {"loss": float(epoch)})
        if epoch < 2:
            run.checkpoint(epoch, method, best=False)
    again = Run(tmp_path)
    assert again.resume(Method()) == 2
    again.log(2, {"loss": 9.0})
    assert [(line["epoch"], line["loss"]) for line in again.metrics()] == [(0, 0.0), (1, 1.0), (2, 9.0)]


def test_the_checkpoint_of_another_method_is_refused(tmp_path: Path) -> None:
    run = saved(tmp_path, 1.0)
    run.checkpoint(0, Method(names=("part", "memory")), best=True)
    with pytest.raises(RunError, match="memory") as error:
        Run(tmp_path).resume(Method())
    one_line(error)


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    other = Run(folder, writes=False)
    other.checkpoint(0, Method(), best=True)
    other.write("report.json", {"a": 1})
    other.log(0, {"loss": 1.0})
    assert not folder.exists()
    saved(folder, 3.0)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    fresh = Method()
    assert Run(folder, writes=False).resume(fresh) == 1
    assert float(fresh.parts["part"].value) == 3.0
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_checkpoint_that_does_not_fit_is_one_line(tmp_path: Path) -> None:
    class Linear(Method):
        def __init__(self, size: int) -> None:
            super().__init__()
            self.parts = {"part": nn.Linear(size, 1)}

    run = Run(tmp_path)
    run.log(0, {})
    run.checkpoint(0, Linear(3), best=False)
    with pytest.raises(RunError, match=r"'part' of the checkpoint .* new folder") as error:
        Run(tmp_path).resume(Linear(4))
    one_line(error)


def test_a_folder_below_the_home_is_meant_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Run(Path("~/läufe/eins")).log(0, {})
    assert (tmp_path / "läufe" / "eins" / "metrics.jsonl").is_file()


# -- metrics -------------------------------------------------------------------------------------------------------


def test_an_epochs_line_holds_the_means_of_its_steps(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for value in (1.0, 2.0, 6.0):
        run.meter({"loss/a": torch.tensor(value), "loss/b": torch.tensor(-value)}, images=8)
    line = run.log(0, {"clusters": 5.0})
    assert (line["epoch"], line["loss/a"], line["loss/b"], line["clusters"]) == (0, 3.0, -3.0, 5.0)
    assert line["images_per_second"] > 0
    run.meter({"loss/a": torch.tensor(4.0)}, images=8)
    assert run.log(1, {})["loss/a"] == 4.0, "an epoch starts from nothing"
    assert [json.loads(text)["epoch"] for text in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [0, 1]


def test_the_speed_is_that_of_all_steps_but_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, clock = Run(tmp_path), iter([50.0, 51.0, 53.0, 99.0])
    monkeypatch.setattr("resight.training.meters.time.monotonic", lambda: next(clock))
    for images in (32, 32, 8):
        run.meter({"loss": torch.tensor(1.0)}, images=images)
    assert run.log(0, {})["images_per_second"] == pytest.approx((32 + 8) / 3, abs=0.01)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("last", [True, False])
def test_a_loss_that_is_not_finite_stops_the_run(value: float, last: bool, tmp_path: Path) -> None:
    """At the next step, or at the epoch's end if it was the last: before the checkpoint either way."""
    run = Run(tmp_path)
    run.meter({"loss/hard": torch.tensor(1.0)}, images=4)
    run.meter({"loss/hard": torch.tensor(value)}, images=4)
    with pytest.raises(RunError, match=r"loss/hard became .* at step 1") as error:
        run.log(0, {}) if last else run.meter({"loss/hard": torch.tensor(1.0)}, images=4)
    assert "learning rate" in one_line(error)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_the_environment_names_what_numbers_depend_on() -> None:
    versions = environment()
    assert {"python", "platform", "torch", "timm", "numpy", "resight"} <= set(versions)
    assert versions["torch"].startswith(torch.__version__.split("+")[0])
    json.dumps(versions)


def test_a_folder_in_which_another_process_trains_is_left_alone(tmp_path: Path) -> None:
    hold = "import sys, time; from pathlib import Path; from resight.training.runs import Run\n"
    hold += f"with Run(Path({str(tmp_path)!r})).lock(): print('in', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(RunError, match="another process is training in") as error, Run(tmp_path).lock():
            pass
        one_line(error)
        with Run(tmp_path, writes=False).lock():
            pass  # what only reads, or is the second process of the same run
        other.kill()
    with Run(tmp_path).lock():
        pass  # a kill lets go of it
