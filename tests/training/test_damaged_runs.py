"""A run that is not as it was left is refused, and what can be made again is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from saved_runs import Method, files, saved
from torch import nn

import tiny
from messages import one_line
from resight.checksums import unseal
from resight.compute.tensor_files import dump_state, put_back
from resight.errors import RunError
from resight.training.runs import Run


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
