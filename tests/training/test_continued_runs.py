"""A run goes on where it was, or says why it cannot."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageOps
from small_run import SETTINGS, options

import tiny
from messages import one_line
from resight.compute.tensor_files import dump_state, load_state
from resight.data.catalog import load_dataset
from resight.data.dataset import Dataset
from resight.errors import RunError
from resight.training.train import Trained, TrainSettings, train


def test_a_finished_run_can_be_made_longer(tiny_market: Path, tmp_path: Path) -> None:
    dataset = load_dataset("market1501", tiny_market)
    where = TrainSettings(run=str(tmp_path / "run"))
    assert len(train("ice", dataset, SETTINGS, where).metrics) == 2
    longer = train("ice", dataset, dataclasses.replace(SETTINGS, epochs=3), where)
    assert [line["epoch"] for line in longer.metrics] == [0, 1, 2]


def test_a_run_is_not_made_longer_where_the_learning_rate_is_spread_over_the_epochs(
    dataset: Dataset, tmp_path: Path
) -> None:
    where = TrainSettings(run=str(tmp_path / "run"))
    spread = dataclasses.replace(SETTINGS, epochs=1, schedule="cosine")
    train("ice", dataset, spread, where)
    with pytest.raises(RunError, match=r"other settings \(epochs was 1, now 2\)"):
        train("ice", dataset, dataclasses.replace(spread, epochs=2), where)


@pytest.mark.parametrize("change", ["one less", "another name", "another picture", "another test picture"])
def test_a_run_does_not_go_on_with_other_images(tiny_market: Path, tmp_path: Path, change: str) -> None:
    folder = tmp_path / "data"
    shutil.copytree(tiny_market, folder)
    where = TrainSettings(run=str(tmp_path / "run"))
    once = dataclasses.replace(SETTINGS, epochs=1)
    train("ice", load_dataset("market1501", folder), once, where)
    last = sorted((folder / "bounding_box_train").glob("*.png"))[-1]
    words = r"'labels' of the checkpoint .* belongs to other settings or images"
    if change == "one less":
        last.unlink()
    elif change == "another name":
        last.rename(last.with_stem(f"{last.stem}9"))
    else:
        replaced = last if change == "another picture" else next((folder / "query").glob("*.png"))
        ImageOps.invert(Image.open(replaced)).save(replaced)
        words = "the images are not those that the run"
    with pytest.raises(RunError, match=words):
        train("ice", load_dataset("market1501", folder), dataclasses.replace(once, epochs=2), where)


def test_a_finished_run_is_not_made_shorter(
    tiny_market: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    where = TrainSettings(run=str(tmp_path / "run"))
    dataset = load_dataset("market1501", tiny_market)
    train("ice", dataset, SETTINGS, where)
    with caplog.at_level(logging.INFO, "resight"):
        train("ice", dataset, SETTINGS, where)
    assert any(message.endswith("run has all 2 epochs") for message in caplog.messages)
    with pytest.raises(RunError, match="has 2 epochs already"):
        train("ice", dataset, dataclasses.replace(SETTINGS, epochs=1), where)
    assert "epochs: 2 " in (tmp_path / "run" / "config.yaml").read_text()


def test_another_method_or_damaged_settings_in_the_same_folder_are_refused(
    trained: Trained, dataset: Dataset, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained.folder, folder)
    with pytest.raises(RunError, match="another method or version"):
        train("scr", dataset, options=TrainSettings(run=str(folder)))
    (folder / "last.safetensors").unlink()  # what it leaves is still another run's
    changed = dataclasses.replace(SETTINGS, cluster=dataclasses.replace(SETTINGS.cluster, eps=0.3))
    with pytest.raises(RunError, match=r"cluster\.eps was 0\.55, now 0\.3"):
        train("ice", dataset, changed, options(folder, eval_every=1))
    (folder / "config.yaml").write_bytes(b"\xff: [")
    with pytest.raises(RunError, match=r"config\.yaml is damaged"):
        train("ice", dataset, SETTINGS, options(folder, eval_every=1))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (["encoder-best.safetensors"], "holds encoder-best.safetensors but no config.yaml"),
        (["report.html"], "holds report.html but no config.yaml"),
        (
            ["config.yaml", "encoder-best.safetensors", "metrics.jsonl"],
            "holds a trained model, and no last.safetensors",
        ),
        (["config.yaml", "encoder-last.safetensors", "report.json"], "holds a trained model, and no last.safetensors"),
    ],
)
def test_a_model_that_cannot_be_continued_is_not_replaced(
    trained: Trained, dataset: Dataset, tmp_path: Path, kept: list[str], words: str
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in kept:
        (folder / name).write_bytes((trained.folder / name).read_bytes() if name != "report.html" else b"mine")
    before = contents(folder)
    with pytest.raises(RunError, match=words) as error:
        train("ice", dataset, SETTINGS, options(folder, eval_every=1))
    assert "another folder" in one_line(error)
    assert contents(folder) == before


def test_settings_of_something_else_are_not_replaced(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("name: my project\n")
    with pytest.raises(RunError, match="belongs to no run, and would be replaced"):
        train("ice", dataset, SETTINGS, options(tmp_path))
    assert (tmp_path / "config.yaml").read_text() == "name: my project\n"


def test_a_kill_as_the_first_epoch_is_saved_leaves_what_is_made_again(
    trained: Trained, dataset: Dataset, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("config.yaml", "encoder-best.safetensors"):
        shutil.copy(trained.folder / name, folder)
    line = (trained.folder / "metrics.jsonl").read_text().splitlines()[0]
    (folder / "metrics.jsonl").write_text(line + "\n")
    run = train("ice", dataset, SETTINGS, options(folder, eval_every=1))
    assert [line["epoch"] for line in run.metrics] == [0, 1]


def test_a_run_goes_on_with_other_threads_and_other_words_for_its_data(
    tiny_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = load_dataset("market1501", tiny_market)
    settings = dataclasses.replace(SETTINGS, epochs=1)
    where = TrainSettings(data=f"market1501={tiny_market}", run=str(tmp_path / "run"), device=tiny.DEVICE)
    train("ice", dataset, settings, where)
    monkeypatch.chdir(tiny_market.parent)
    again = dataclasses.replace(
        where,
        data=f"market1501={tiny_market.name}/",
        device=dataclasses.replace(tiny.DEVICE, threads=2),
    )
    caplog.clear()
    assert len(train("ice", dataset, dataclasses.replace(settings, epochs=2), again).metrics) == 2
    assert "numbers may differ in their last digits" in caplog.text
    other = dataclasses.replace(again, data=f"msmt17={tiny_market}")
    with pytest.raises(RunError, match=r"other settings \(data was "):
        train("ice", dataset, dataclasses.replace(settings, epochs=2), other)


def test_a_run_goes_on_with_a_copy_of_its_data_and_not_with_others(
    tiny_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where they lie and when they were copied does not matter; what is in the files does."""

    def go_on(place: Path, epochs: int) -> Trained:
        where = TrainSettings(data=f"market1501={place}", run=str(tmp_path / "run"), device=tiny.DEVICE)
        settings = dataclasses.replace(SETTINGS, epochs=epochs)
        return train("ice", load_dataset("market1501", place), settings, where)

    go_on(tiny_market, 1)
    for copy in ("copy", "other"):
        shutil.copytree(tiny_market, tmp_path / copy, copy_function=shutil.copyfile)
    changed = next((tmp_path / "other" / "bounding_box_train").glob("*.png"))
    ImageOps.invert(Image.open(changed)).save(changed)
    for _ in range(2):
        with pytest.raises(RunError, match="the images are not those that the run"):
            go_on(tmp_path / "other", 2)
    assert len(go_on(tmp_path / "copy", 2).metrics) == 2
    assert f"market1501={tmp_path / 'copy'}" in (tmp_path / "run" / "config.yaml").read_text()
    monkeypatch.setattr("resight.training.train.content_digest", lambda *_: "")
    state = load_state(tmp_path / "run" / "last.safetensors")
    state["run"]["images"] = ""  # as a run from before they were looked at
    (tmp_path / "run" / "last.safetensors").write_bytes(dump_state(state))
    for _ in range(2):
        with pytest.raises(RunError, match=r"other settings \(data was .*copy"):
            go_on(tiny_market, 3)
