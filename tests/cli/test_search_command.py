"""`resight search`, as a user types it: several queries, their own files, people, paths, mistakes and what it loads."""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from resight.cli import search
from resight.cli.main import main
from resight.cli.queries import find_images, split_words
from resight.errors import ConfigError, DataError
from resight.models.encoder import Encoder, EncoderSettings
from resight.reports.letters import Letters

HEAVY = ("torch", "torchvision", "timm", "numba", "sklearn", "scipy", "faiss", "matplotlib", "lightning_fabric")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("encoder") / "small.safetensors"
    torch.manual_seed(0)
    Encoder(EncoderSettings("test_efficientnet", "none", 64, 32)).eval().save(path)
    return str(path)


@pytest.fixture
def crops(tiny_market: Path, tmp_path: Path) -> Path:
    """Six images of three named people by two cameras, and a table that lists four of them."""
    folder, lines = tmp_path / "crops", ["path,person,camera"]
    for number, image in enumerate(sorted((tiny_market / "query").iterdir())[:6]):
        place = folder / f"gate {number % 2}" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, place)
        if number < 4:
            lines.append(f"gate {number % 2}/{number}.png,guest {number // 2},gate {number % 2}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


def found(words: list[str], capsys: pytest.CaptureFixture[str], status: int = 0) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["search", *words, "--json"]) == status
    answers: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    for result in (result for answer in answers for result in answer.get("results", ())):
        result["similarity"] = round(result["similarity"], 5)  # the last digits depend on the batch
    return answers


def test_search_finds_a_copy_of_the_image_first(
    run: tuple[Path, list[str]], people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = run
    image = sorted((people / "bounding_box_test").glob("0*.jpg"))[-1]
    copy = shutil.copy(image, tmp_path / "copy.jpg")
    strip = tmp_path / "strip.png"
    words = ["search", str(copy), f"--data=folder={people / 'bounding_box_test'}", str(folder)]
    capsys.readouterr()
    assert main([*words, "-k", "3", "--json", f"--ranked_list={strip}"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["query"] == str(copy)
    results = answer["results"]
    assert len(results) == 3
    assert Path(results[0]["path"]).name == image.name
    assert results[0]["similarity"] == pytest.approx(1, abs=1e-3)
    assert Image.open(strip).width > 100
    assert main([*words]) == 0
    assert "never proof" in capsys.readouterr().out


def test_cameras_may_be_called_anything(
    run: tuple[Path, list[str]], people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crops = tmp_path / "crops"
    for name, image in zip(("[red]hall", "[bold]ein gang"), sorted((people / "query").iterdir()), strict=False):
        (crops / name).mkdir(parents=True)
        shutil.copy(image, crops / name)
    assert main(["search", str(image), f"--data=folder={crops}", str(run[0])]) == 0
    shown = capsys.readouterr().out
    assert "│ [bold]ein gang │" in shown
    assert "│      [red]hall │" in shown


def test_many_queries_are_answered_each_and_the_gallery_is_embedded_once(
    encoder: str, crops: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    one, other = str(crops / "gate 0" / "4.png"), str(crops / "gate 1" / "5.png")
    where = [f"--data=folder={crops}", str(encoder), "-k", "2"]
    with caplog.at_level(logging.INFO, "resight"):
        both = found([one, other, *where], capsys)
    assert [answer["query"] for answer in both] == [one, other]
    assert [len(answer["results"]) for answer in both] == [2, 2]
    assert sum(text.startswith("embedding") for text in caplog.messages) == 2, "the queries, and the gallery once"
    assert both == [*found([one, *where], capsys), *found([other, *where], capsys)]
    assert both == found([*where, one, other], capsys), "words may stand behind flags"


def test_a_folder_and_a_list_stand_for_their_images(
    encoder: str, crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [f"--data=folder={crops}", str(encoder), "-k", "1"]
    names = [str(crops / "gate 0" / f"{number}.png") for number in (0, 2, 4)]
    assert [answer["query"] for answer in found([str(crops / "gate 0"), *where], capsys)] == names
    listed = tmp_path / "list.txt"
    listed.write_bytes("\r\n".join(["\ufeff" + names[2], "", names[0], names[0]]).encode())
    answers = found([f"--queries={listed}", *where], capsys)
    assert [answer["query"] for answer in answers] == [names[2], names[0]]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(names[1].encode())))
    assert [answer["query"] for answer in found(["--queries", "-", *where], capsys)] == [names[1]]


def test_what_cannot_be_read_is_named_and_the_others_are_searched(
    encoder: str, crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    good, (broken, absent) = str(crops / "gate 0" / "0.png"), (str(tmp_path / name) for name in ("b\x1b.jpg", "a.jpg"))
    Path(broken).write_bytes(b"x")
    where = [f"--data=folder={crops}", str(encoder)]
    answers = found([broken, good, absent, *where], capsys, status=1)
    assert [answer["query"] for answer in answers] == [good, absent, broken]
    assert len(answers[0]["results"]) == 3
    assert answers[1]["error"] == "there is no such file: check the path"
    assert answers[2]["error"].startswith("not an image")
    said = "\n".join(caplog.messages)
    assert f"{absent}: there is no such file" in said
    assert main(["search", broken, *where]) == 2
    assert "not an image" in capsys.readouterr().err
    assert main(["search", absent, str(tmp_path / "other.jpg"), *where]) == 2
    assert capsys.readouterr().err.startswith("resight: none of the 2 images can be read; the first is ")


def test_a_mistyped_model_is_not_searched_without(
    crops: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The results of other weights look like results too."""
    query, where = str(crops / "gate 0" / "0.png"), f"--data=folder={crops}"
    assert main(["search", "runs/mien", query, where]) == 2
    assert "'runs/mien' is neither a model nor an image" in capsys.readouterr().err
    assert main(["search", query, where, "folder=people"]) == 2
    assert "'folder=people' is neither a model nor an image" in capsys.readouterr().err
    small = ["--encoder.backbone=test_efficientnet", "--encoder.weights=none", "--encoder.height=64"]
    with caplog.at_level(logging.INFO, "resight"):
        assert main(["search", query, where, *small]) == 0
    assert "no MODEL is named: searching with test_efficientnet with random weights" in caplog.messages


@pytest.mark.parametrize("name", ["model.pth", "model.PT", "checkpoint.pth.tar", "model.npz"])
def test_weights_of_others_are_not_taken_for_an_image(
    name: str, crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A search by other weights than the named ones would be wrong without a word."""
    path = tmp_path / name
    path.write_bytes(b"x")
    assert main(["search", str(path), str(crops / "gate 0" / "0.png"), f"--data=folder={crops}"]) == 2
    assert f"weights of a backbone go into --encoder.weights {path}" in capsys.readouterr().err


def test_the_querys_own_file_is_no_result(
    encoder: str, crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    link = tmp_path / "link.png"
    link.symlink_to(crops / "gate 0" / "0.png")
    with caplog.at_level(logging.INFO, "resight"):
        (answer,) = found([str(link), f"--data=folder={crops}", str(encoder), "-k", "9"], capsys)
    assert sorted(Path(each["path"]).name for each in answer["results"]) == ["1.png", "2.png", "3.png"]
    assert f"the image itself was found in {crops}, and left out of its own results" in caplog.messages
    assert "the gallery has 4 images, fewer than the requested k = 9" in caplog.messages
    assert any("labels.csv" in text for text in caplog.messages), "the notes of the data are said"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["0.png", "2.png", ""], "2 of the 3 images were found in {}, and left out of their own results"),
        (["0.png", ""], "1 of the 2 images was found in {}, and left out of its own results"),
    ],
)
def test_how_many_of_the_queries_are_in_the_data_is_said(
    names: list[str],
    said: str,
    encoder: str,
    crops: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = tmp_path / "other.png"
    other.write_bytes((crops / "gate 0" / "0.png").read_bytes())
    queries = [str(crops / "gate 0" / name) if name else str(other) for name in names]
    with caplog.at_level(logging.INFO, "resight"):
        found([*queries, f"--data=folder={crops}", str(encoder)], capsys)
    assert said.format(crops) in caplog.messages


def test_people_are_named_in_table_and_strip(
    encoder: str, crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[str] = []
    monkeypatch.setattr(Letters, "write", lambda letters, draw, place, text, *rest: written.append(text))
    queries = [str(crops / "gate 0" / name) for name in ("0.png", "4.png")]
    strip = tmp_path / "strip.png"
    words = ["search", *queries, f"--data=folder={crops}", str(encoder), f"--ranked_list={strip}", "-k", "3"]
    capsys.readouterr()
    assert main(words) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == f"Probable matches for {queries[0]}, most similar first"
    assert [cell.strip() for cell in shown[1].split("│")] == ["rank", "similarity", "person", "camera", "image"]
    cells = [cell.strip() for cell in shown[3].split("│")]
    assert cells[0] == "1"
    assert cells[2] in ("guest 0", "guest 1")
    assert Path(cells[4]).is_file(), "the path is whole"
    assert written.count("query") == 2
    assert {"guest 0", "guest 1", "gate 0", "gate 1"} <= set(written)
    with Image.open(strip) as two:
        height = two.height
    assert main([*words[:2], *words[3:]]) == 0
    with Image.open(strip) as one:
        assert height == 2 * one.height


def test_of_very_many_queries_the_first_result_of_each_is_printed(
    encoder: str,
    tiny_market: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(search, "MOST_QUERIES", 2)
    monkeypatch.setattr(search, "MOST_RESULTS", 3)
    strip = tmp_path / "strip.png"
    with caplog.at_level(logging.INFO, "resight"):
        words = [str(tiny_market / "query"), f"--data=market1501={tiny_market}", str(encoder)]
        assert main(["search", *words, f"--ranked_list={strip}"]) == 0
    rows = [line.split("│") for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert [cell.strip() for cell in rows[0]] == ["query", "similarity", "person", "camera", "image"]
    assert [Path(row[0].strip()) for row in rows[1:]] == sorted((tiny_market / "query").iterdir())
    assert f"{strip} shows 2 images of 12, at most 3 results of each" in caplog.messages


def test_a_whole_frame_is_said_to_be_one(
    encoder: str, crops: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frame, crop = str(tmp_path / "frame.png"), str(crops / "gate 0" / "0.png")
    Image.fromarray(np.zeros((360, 640, 3), np.uint8)).save(frame)
    where = [f"--data=folder={crops}", str(encoder)]
    assert main(["search", crop, *where]) == 0
    assert "whole frame" not in caplog.text
    assert main(["search", crop, frame, *where]) == 0
    assert f"{frame} (640 x 360 pixels) looks like a whole frame" in caplog.text


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["EMPTY"], "no image lies below this folder"),
        (["FIFO"], "not a file"),
        (["LOOP"], "symbolic links"),
        (["--queries=/nowhere"], "--queries /nowhere is not there: expected a list"),
        (["--queries=EMPTY"], "is no file"),
        (["--queries=IMAGE"], "is no list of paths"),
        (["--queries=TABLE"], "looks like a table ('path,person'): expected paths alone, one a line"),
        (["IMAGE", "/nowhere.safetensors"], "no encoder at '/nowhere.safetensors'"),
        (["IMAGE", "--encoder=/nowhere"], "name the model first, resight search MODEL QUERY.jpg"),
        (["IMAGE", "--ranked_list=EMPTY/found.jpg"], "would hold PNG"),
    ],
)
def test_a_mistake_gets_one_line_before_torch_is_used(
    words: list[str],
    hint: str,
    crops: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("resight.cli.searching.search", None)
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "table").write_text("path,person\na.jpg,1\n")
    places = {name.upper(): str(tmp_path / name) for name in ("empty", "fifo", "loop", "table")}
    places["IMAGE"] = str(crops / "gate 0" / "0.png")
    for name, place in places.items():
        words = [word.replace(name, place) for word in words]
    assert main(["search", *words, f"--data=folder={crops}"]) == 2
    message = capsys.readouterr().err
    assert hint in message
    assert message.count("\n") == 1


def test_a_search_starts_without_what_takes_long_to_load(crops: Path) -> None:
    """Help and mistakes do without torch, and a search does without what it has no use for."""
    code = f"""
import sys
from resight.cli.main import main
loaded = lambda *names: print("loaded", [name for name in names if name in sys.modules], file=sys.stderr)
assert main(["search", "--help"]) == 0
assert main(["search", "/nowhere.jpg", "--data", "folder=."]) == 2
loaded(*{HEAVY})
size = ["--encoder.backbone=test_efficientnet", "--encoder.weights=none", "--encoder.height=64"]
assert main(["search", {str(crops / "gate 0" / "0.png")!r}, "--data", {str(crops)!r}, *size]) == 0
loaded("torch._dynamo", "sympy", "sklearn", "faiss", "matplotlib", "lightning_fabric", "resight.training.train")
loaded("numba.np.arrayobj")  # the rules of compiled loops: loading them takes longer than a search for a few images
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=500)
    assert ran.returncode == 0, ran.stderr
    assert [line for line in ran.stderr.splitlines() if line.startswith("loaded")] == ["loaded []"] * 3


def test_words_are_parted_from_flags_wherever_they_stand() -> None:
    words, flags = split_words(["a.jpg", "--json", "b.jpg", "--data", "c", "-k", "2", "--ranked_list=s.png", "d.jpg"])
    assert words == ["a.jpg", "b.jpg", "d.jpg"]
    assert flags == ["--json", "--data", "c", "--k", "2", "--ranked_list=s.png"]
    assert split_words(["--json", "true", "a.jpg"]) == (["a.jpg"], ["--json", "true"])
    assert split_words(["-k=3"]) == ([], ["--k=3"])
    assert split_words(["--flip", "No", "runs/mine"]) == (["runs/mine"], ["--flip", "No"])
    with pytest.raises(ConfigError, match="--flip takes true, false or no value, found 'maybe'"):
        split_words(["--flip", "maybe"])


def test_a_word_after_a_switch_may_be_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert split_words(["--json", "mine"]) == (["mine"], ["--json"])


def test_names_that_are_no_utf8_are_found(tmp_path: Path, draw: Any) -> None:
    draw(tmp_path, "a.png")
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
    shutil.copy(tmp_path / "a.png", odd)
    assert find_images([odd]).paths == (odd,)
    (tmp_path / "list").write_bytes(os.fsencode(odd) + b"\n")
    assert find_images([], str(tmp_path / "list")).paths == (odd,)
    with pytest.raises(DataError, match="no such file"):
        find_images(["/nowhere.png"])
    names = [str(tmp_path / name) for name in ("a.png", " b.png", "c d.png")]
    for name in names[1:]:
        shutil.copy(names[0], name)
    (tmp_path / "quoted").write_text(f'  {names[0]} \n{names[1]}\n"{names[2]}"\n')
    assert find_images([], str(tmp_path / "quoted")).paths == tuple(names), "as they are meant"
    (tmp_path / "blank").write_text("\n \n")
    with pytest.raises(ConfigError, match="is empty"):
        find_images([], str(tmp_path / "blank"))


def test_without_a_model_you_search_with_that_of_the_installation(
    crops: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    words = [str(crops / "gate 0" / "0.png"), f"--data=folder={crops}"]
    with caplog.at_level(logging.INFO, "resight"):
        unnamed = found(words, capsys)
    assert any("searching with 'synthetic', the model of the installation" in line for line in caplog.messages)
    assert found(["synthetic", *words], capsys) == unnamed
    assert found([*words, "--encoder.weights=imagenet"], capsys) != unnamed
    assert main(["search", "synthetic", *words, "--encoder.weights=imagenet"]) == 2
    assert "synthetic brings its own encoder: leave out --encoder.*" in capsys.readouterr().err
