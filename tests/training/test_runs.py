"""A run folder: what survives a kill, a full disk and a damaged file."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import tiny
from resight.checksums import unseal
from resight.compute.tensor_files import dump_state, load_state, put_back
from resight.errors import RunError
from resight.files import write_atomically
from resight.training.runs import Run, environment


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


def test_an_optimizer_goes_on_bit_for_bit(tmp_path: Path) -> None:
    def learn(model: nn.Linear, optimizer: torch.optim.Adam, steps: range) -> None:
        for step in steps:
            optimizer.zero_grad()
            model(torch.full((2, 3), float(step))).square().sum().backward()
            optimizer.step()

    def fresh() -> tuple[nn.Linear, torch.optim.Adam]:
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        return model, torch.optim.Adam(model.parameters(), lr=0.1, betas=(0.8, 0.99), weight_decay=1e-2)

    whole, halved, after = fresh(), fresh(), fresh()
    learn(*whole, range(6))
    learn(*halved, range(3))
    path = tmp_path / "state.safetensors"
    path.write_bytes(dump_state({"model": halved[0].state_dict(), "optimizer": halved[1].state_dict()}))
    state = load_state(path)
    assert set(state["optimizer"]["state"]) == {0, 1}
    assert state["optimizer"]["state"][0]["step"].shape == ()
    after[0].load_state_dict(state["model"])
    after[1].load_state_dict(state["optimizer"])
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
    mine = {".notes.txt.original", ".gitignore", ".env.part", ".0123456789abcdef.part", "config.yaml"}
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
    with Run(tmp_path).lock():
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


# -- what is not as it was left --------------------------------------------------------------------------------------


def refused(folder: Path, words: str, run: Run | None = None) -> str:
    before = {name: (folder / name).read_bytes() for name in files(folder)}
    with pytest.raises(RunError, match=words) as error:
        (run or Run(folder)).resume(Method())
    assert {name: (folder / name).read_bytes() for name in files(folder)} == before
    return one_line(error)


@pytest.mark.parametrize("change", ["gone", "cut", "first gone", "reversed", "other number"])
def test_metrics_that_are_not_those_of_the_checkpoint_are_refused(change: str, tmp_path: Path) -> None:
    saved(tmp_path, 1.0, 2.0, 3.0)
    path = tmp_path / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    damaged = {
        "gone": [],
        "cut": [*lines[:2], lines[2][:-5]],
        "first gone": lines[1:],
        "reversed": lines[::-1],
        "other number": [lines[0].replace("1.0", "1.5"), *lines[1:]],
    }
    path.write_text("".join(damaged[change]))
    assert "another folder" in refused(tmp_path, r"metrics\.jsonl is damaged")


def test_how_long_epochs_took_may_differ(tmp_path: Path) -> None:
    saved(tmp_path, 1.0)
    path = tmp_path / "metrics.jsonl"
    line = json.loads(path.read_text())
    path.write_text(json.dumps({**line, "seconds": 999.0}) + "\n")
    assert Run(tmp_path).resume(Method()) == 1


def test_the_same_run_leaves_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        saved(tmp_path / name, 1.0, 2.0)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert {name for name in one if one[name] != two[name]} <= {"metrics.jsonl"}


@pytest.mark.parametrize("place", range(20, 400, 40))
def test_a_flipped_bit_of_a_checkpoint_is_noticed(place: int, tmp_path: Path) -> None:
    path = saved(tmp_path, 1.0).checkpoint_path
    content = bytearray(path.read_bytes())
    content[min(place, len(content) - 1)] ^= 8
    path.write_bytes(content)
    refused(tmp_path, "is damaged")


def unsealed(path: Path, state: Mapping[str, object]) -> None:
    """Write a checkpoint as runs once did."""
    path.write_bytes(dump_state(state))
    tensors, texts = unseal(path, ["resight.state"])
    save_file(tensors, path, texts)


def test_a_run_from_before_there_were_seals_goes_on(tmp_path: Path) -> None:
    run = saved(tmp_path, 1.0, 2.0)
    unsealed(run.checkpoint_path, {"part": {"value": torch.tensor(2.0)}, "epoch": 1})
    again, method = Run(tmp_path), Method()
    assert again.resume(method) == 2
    assert float(method.parts["part"].value) == 2.0
    again.log(2, {"loss": 3.0})
    again.checkpoint(2, Method(3.0), best=False)
    assert Run(tmp_path).resume(Method()) == 3
    (tmp_path / "metrics.jsonl").unlink()
    refused(tmp_path, r"metrics\.jsonl is damaged")


@pytest.mark.parametrize("epoch", [-1, 5, 1.5, "0", None, True, math.nan, 10**30])
def test_an_epoch_that_cannot_be_is_refused(epoch: object, tmp_path: Path) -> None:
    run = saved(tmp_path, 1.0, 2.0)
    unsealed(run.checkpoint_path, {"part": {"value": torch.tensor(2.0)}, "epoch": epoch})
    refused(tmp_path, "epoch")


@pytest.mark.parametrize("value", [torch.tensor(1.0).half(), torch.ones(2, 2), torch.tensor(1), "x", None])
def test_tensors_of_other_types_and_shapes_are_refused(value: object, tmp_path: Path) -> None:
    method = Method()
    method.parts = {"part": nn.Linear(1, 1)}
    run = saved(tmp_path, 1.0)
    for change in ({"weight": value}, {"other": value}):
        state = {"weight": torch.ones(1, 1), "bias": torch.ones(1), **change}
        unsealed(run.checkpoint_path, {"part": state, "epoch": 0})
        with pytest.raises(RunError, match=r"'part' of the checkpoint .* does not fit") as error:
            Run(tmp_path).resume(method)
        one_line(error)


def test_an_optimizer_of_other_types_is_refused() -> None:
    def optimizer(kind: torch.dtype) -> torch.optim.Adam:
        weight = nn.Parameter(torch.ones(2, dtype=kind))
        adam = torch.optim.Adam([weight])
        weight.sum().backward()
        adam.step()
        return adam

    state = optimizer(torch.float32).state_dict()
    put_back(optimizer(torch.float32), state)
    with pytest.raises(ValueError, match="exp_avg of parameter 0"):
        put_back(optimizer(torch.float64), state)
    with pytest.raises(ValueError, match="groups"):
        put_back(optimizer(torch.float32), {**state, "param_groups": [{"lr": 1.0}]})


def test_a_lost_encoder_is_written_again_where_the_checkpoint_holds_it(tmp_path: Path) -> None:
    saved(tmp_path, 1.0, 2.0, best=1)
    for which in ("best", "last"):
        (tmp_path / f"encoder-{which}.safetensors").unlink()
    assert Run(tmp_path).resume(Method()) == 2
    for which in ("best", "last"):
        assert (tmp_path / f"encoder-{which}.safetensors").read_text() == "weights 2.0"


@pytest.mark.parametrize("content", [None, "weights 1.1", ""])
def test_the_best_encoder_of_an_earlier_epoch_must_be_there(content: str | None, tmp_path: Path) -> None:
    saved(tmp_path, 1.0, 2.0, best=0)
    path = tmp_path / "encoder-best.safetensors"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(RunError, match=r"encoder-best\.safetensors is missing or damaged") as error:
        Run(tmp_path).resume(Method())
    one_line(error)


def test_a_kill_between_the_checkpoint_and_the_encoders_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, write = saved(tmp_path, 1.0), Run._write

    def killed(self: Run, name: str, content: bytes | str) -> None:
        if name.startswith("encoder-"):
            raise KeyboardInterrupt
        write(self, name, content)

    run.log(1, {"loss": 2.0})
    with monkeypatch.context() as patch:
        patch.setattr(Run, "_write", killed)
        with pytest.raises(KeyboardInterrupt):
            run.checkpoint(1, Method(2.0), best=True)
    assert (tmp_path / "encoder-best.safetensors").read_text() == "weights 1.0"
    assert Run(tmp_path).resume(Method()) == 2
    assert (tmp_path / "encoder-best.safetensors").read_text() == "weights 2.0"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_never_saved(value: float, tmp_path: Path) -> None:
    run = saved(tmp_path, 1.0)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    with pytest.raises(RunError, match=r"'part' became nan or infinite .* lower the learning rate") as error:
        run.checkpoint(1, Method(value), best=True)
    one_line(error)
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before


# -- other images ----------------------------------------------------------------------------------------------------


def test_an_encoder_without_vectors_is_not_taken_for_one(tmp_path: Path) -> None:
    method = Method()
    method.encoder = tiny.encoder()
    Run(tmp_path).check(method)
    with torch.no_grad():
        for weight in method.encoder.parameters():
            weight.mul_(1e30)
    with pytest.raises(RunError, match=r"returns vectors that are not finite .* lower the learning rate") as error:
        Run(tmp_path).check(method)
    one_line(error)


def test_a_run_does_not_go_on_with_other_images(tmp_path: Path) -> None:
    first = Run(tmp_path)
    first.images = "these"
    first.log(0, {})
    first.checkpoint(0, Method(1.0), best=True)
    again = Run(tmp_path)
    again.images = "these"
    assert again.resume(Method()) == 1
    other = Run(tmp_path)
    other.images = "others"
    refused(tmp_path, "the images are not those that the run", other)


# -- what stands in the way ------------------------------------------------------------------------------------------


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_loop(path: Path) -> None:
    path.symlink_to(path)


def nothing(path: Path) -> None:
    path.symlink_to(path.with_name("nothing"))


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("name", ["config.yaml", "metrics.jsonl", "last.safetensors", "log.txt", "report.html"])
@pytest.mark.parametrize("make", [a_pipe, a_loop, nothing, zeros, Path.mkdir])
def test_what_is_no_file_is_said_before_anything_is_opened(
    name: str, make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / name)
    with pytest.raises(RunError, match=rf"{name} must be a file") as error:
        Run(tmp_path).claim("run: x\n")
    one_line(error)


@pytest.mark.parametrize("to", [None, "elsewhere", "replaced"])
def test_a_folder_that_goes_while_a_run_writes_to_it_is_not_made_again(to: str | None, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run = Run(folder)
    with run.lock():
        run.claim("run: x\nseed: 1\nvariant: code\n")
        run.log(0, {})
        shutil.move(folder, tmp_path / "elsewhere") if to else shutil.rmtree(folder)
        if to == "replaced":
            folder.mkdir()
        for write in (lambda: run.log(1, {}), lambda: run.checkpoint(1, Method(), best=True)):
            with pytest.raises(RunError, match="was removed, renamed or emptied") as error:
                write()
            one_line(error)
    assert not folder.exists() or not files(folder)


def test_a_folder_that_was_emptied_is_not_filled_by_half(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with run.lock():
        run.claim("run: x\nseed: 1\nvariant: code\n")
        (tmp_path / "config.yaml").unlink()
        with pytest.raises(RunError, match="emptied"):
            run.log(0, {})
    assert files(tmp_path) == set()
