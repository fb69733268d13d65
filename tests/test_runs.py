"""A run folder: what survives a kill, a full disk and a damaged file."""

from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from resight.checkpoints import dump_state, load_state
from resight.errors import RunError
from resight.files import write_atomically
from resight.runs import Run, environment


class Part:
    """A state that can be watched."""

    def __init__(self, value: float) -> None:
        self.value = torch.tensor(value)

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state) -> None:
        self.value = state["value"]


class Weights:
    """Stands in for an encoder: only `dump` is asked of it."""

    def __init__(self, part: Part) -> None:
        self.part = part

    def dump(self) -> bytes:
        return f"weights {float(self.part.value)}".encode()


class Method:
    """The least that a run can keep."""

    def __init__(self, value: float = 0.0, names: tuple[str, ...] = ("part",)) -> None:
        self.parts = {name: Part(value) for name in names}
        self.encoder = Weights(self.parts[names[0]])


def saved(folder: Path, *values: float, best: int = 0) -> Run:
    """Give a run of so many epochs, whose only weight had these values."""
    run = Run(folder)
    for epoch, value in enumerate(values):
        run.log(epoch, {"loss": value})
        run.checkpoint(epoch, Method(value), best=epoch <= best)
    return run


def equal(left: object, right: object) -> bool:
    if isinstance(left, Tensor):
        return isinstance(right, Tensor) and left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, Mapping):
        return isinstance(right, dict) and list(left) == list(right) and all(equal(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple):
        return type(left) is type(right) and len(left) == len(right) and all(map(equal, left, right))
    return type(left) is type(right) and left == right


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def one_line(error: pytest.ExceptionInfo[RunError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# -- states --------------------------------------------------------------------------------------------------------


def test_a_nested_state_comes_back_as_it_was(tmp_path: Path) -> None:
    state = {
        "numbers": {0: 1.5, 7: -2, "text": "naïve \n 'quoted'", "none": None, "yes": True, "tiny": 5e-324},
        "tuple": (1, [2, (3,)], {"deep": torch.arange(6).view(2, 3).T}),
        "scalar": torch.tensor(3.25),
        "empty": [[], {}, (), torch.empty(0, 4)],
        "kinds": [torch.ones(2, dtype=d) for d in (torch.float64, torch.bfloat16, torch.int64, torch.bool)],
        "infinite": math.inf,
        "looks like a tensor": {"tensor": "t0"},
        "epoch": 3,
    }
    path = tmp_path / "state.safetensors"
    path.write_bytes(dump_state(state))
    assert equal(state, load_state(path))


def test_tensors_that_share_memory_come_back_whole(tmp_path: Path) -> None:
    base = torch.arange(10.0)
    path = tmp_path / "state.safetensors"
    path.write_bytes(dump_state({"whole": base, "part": base[2:5], "again": base}))
    assert equal({"whole": base, "part": base[2:5].clone(), "again": base}, load_state(path))


def test_a_state_without_tensors(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    path.write_bytes(dump_state({"epoch": 1}))
    assert load_state(path) == {"epoch": 1}


def test_an_optimiser_goes_on_bit_for_bit(tmp_path: Path) -> None:
    def learn(model: nn.Linear, optimiser: torch.optim.Adam, steps: range) -> None:
        for step in steps:
            optimiser.zero_grad()
            model(torch.full((2, 3), float(step))).square().sum().backward()
            optimiser.step()

    def fresh() -> tuple[nn.Linear, torch.optim.Adam]:
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        return model, torch.optim.Adam(model.parameters(), lr=0.1, betas=(0.8, 0.99), weight_decay=1e-2)

    whole, halved, after = fresh(), fresh(), fresh()
    learn(*whole, range(6))
    learn(*halved, range(3))
    path = tmp_path / "state.safetensors"
    path.write_bytes(dump_state({"model": halved[0].state_dict(), "optimiser": halved[1].state_dict()}))
    state = load_state(path)
    assert set(state["optimiser"]["state"]) == {0, 1}
    assert state["optimiser"]["state"][0]["step"].shape == ()
    after[0].load_state_dict(state["model"])
    after[1].load_state_dict(state["optimiser"])
    learn(*after, range(3, 6))
    assert equal(after[0].state_dict(), dict(whole[0].state_dict()))
    assert equal(after[1].state_dict(), whole[1].state_dict())


def test_what_needs_pickle_is_refused() -> None:
    with pytest.raises(RunError, match="not set"):
        dump_state({"a": {1, 2}})


@pytest.mark.parametrize("share", [0.0, 0.0005, 0.01, 0.5, 0.999])
def test_a_truncated_checkpoint_is_one_line(share: float, tmp_path: Path) -> None:
    content = dump_state({"part": {"value": torch.zeros(5000)}, "epoch": 0})
    run = Run(tmp_path)
    run.checkpoint_path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(RunError, match=r"last\.safetensors") as error:
        run.resume(Method())
    assert "new folder" in one_line(error)


def test_a_file_that_is_no_checkpoint_is_one_line(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    (tmp_path / "text.safetensors").write_text("hello " * 100)
    for name in ("foreign", "text"):
        with pytest.raises(RunError, match=name) as error:
            load_state(tmp_path / f"{name}.safetensors")
        one_line(error)


# -- going on ------------------------------------------------------------------------------------------------------


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
    whole = path.read_text()
    for cut in range(1, len(whole.splitlines()[1])):
        path.write_text(whole[: -cut - 1])
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


def test_what_a_kill_left_half_written_goes_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = {".notes.txt.original", ".gitignore", ".env.part", "config.yaml"}
    for name in mine:
        (tmp_path / name).write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # a killed process tidies nothing up
        with pytest.raises(OSError, match="No space left"):
            write_atomically(tmp_path / "last.safetensors", "half")
    assert len(files(tmp_path)) == len(mine) + 1
    Run(tmp_path)
    assert len(files(tmp_path)) == len(mine) + 1, "another process may be writing it"
    with Run(tmp_path).alone():
        assert files(tmp_path) == mine


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
    monkeypatch.setattr("resight.meters.time.monotonic", lambda: next(clock))
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
    found = environment()
    assert {"python", "platform", "torch", "timm", "numpy", "resight"} <= set(found)
    assert found["torch"].startswith(torch.__version__.split("+")[0])
    json.dumps(found)


# -- a full disk ---------------------------------------------------------------------------------------------------


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_whole(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.txt"
    write_atomically(path, "old")
    with monkeypatch.context() as patch:
        patch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[step], full)
        with pytest.raises(OSError, match="No space left"):
            write_atomically(path, "new" * 1000)
    assert path.read_text() == "old"
    assert files(tmp_path) == {"file.txt"}
    write_atomically(path, b"newer")
    assert path.read_bytes() == b"newer"


def test_a_full_disk_leaves_the_run_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path)
    run.log(0, {"loss": 1.0})
    run.checkpoint(0, Method(1.0), best=True)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            run.log(1, {"loss": 0.5})
        with pytest.raises(OSError, match="No space left"):
            run.checkpoint(1, Method(2.0), best=True)
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before
    fresh = Method()
    assert Run(tmp_path).resume(fresh) == 1
    assert float(fresh.parts["part"].value) == 1.0


def test_files_are_as_readable_as_the_user_lets_new_files_be(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", "x")
    finally:
        os.umask(old)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


# -- two processes ---------------------------------------------------------------------------------------------------


def test_a_folder_in_which_another_process_trains_is_left_alone(tmp_path: Path) -> None:
    hold = "import sys, time; from pathlib import Path; from resight.runs import Run\n"
    hold += f"with Run(Path({str(tmp_path)!r})).alone(): print('in', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(RunError, match="another process is training in") as error, Run(tmp_path).alone():
            pass
        one_line(error)
        with Run(tmp_path, writes=False).alone():
            pass  # what only reads, or is the second process of the same run
        other.kill()
    with Run(tmp_path).alone():
        pass  # a kill lets go of it
