"""`resight explain`, as a user types it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from resight.cli.explain import take_lists
from resight.cli.main import main
from resight.compute.devices import Devices
from resight.data.images import read_image
from resight.data.transforms import to_float
from resight.models.encoder import Encoder, EncoderSettings

PARTS = ["p1 whole", "p1 stripe 1 of 2", "p1 stripe 2 of 2", "p1 channels 1 of 2", "p1 channels 2 of 2"]


def saved(path: Path, head: str) -> str:
    torch.manual_seed(0)
    Encoder(EncoderSettings("test_efficientnet", "none", 64, 32, head=head)).eval().save(path)
    return str(path)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved(tmp_path_factory.mktemp("encoder") / "scr.safetensors", "p1(s2c2)")


def images(market: Path, count: int) -> list[str]:
    return [str(path) for path in sorted((market / "query").iterdir())[:count]]


def test_where_an_encoder_looks(
    encoder: str, tiny_market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = images(tiny_market, 2)
    words = ["explain", encoder, "--images", *chosen, "--parts", *PARTS[:2], "--out", str(tmp_path / "out")]
    assert main([*words, "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about == json.loads((tmp_path / "out" / "explain.json").read_text())
    assert [image["path"] for image in about["images"]] == chosen
    for image in about["images"]:
        assert [part["part"] for part in image["parts"]] == PARTS
        assert sum(part["share"] for part in image["parts"]) == pytest.approx(1, abs=1e-6)
        assert [len(part.get("highest", ())) for part in image["parts"]] == [2, 2, 0, 0, 0]
        assert image["parts"][1]["highest"][0] < 0.5, "the upper stripe's map is highest in the upper half"
    two = Image.open(tmp_path / "out" / "saliency.png")
    assert main(["explain", encoder, "--images", chosen[0], f"--out={tmp_path / 'all'}"]) == 0
    assert "p1 channels 2 of 2" in capsys.readouterr().out
    every = Image.open(tmp_path / "all" / "saliency.png")
    assert every.width > two.width
    assert every.height < two.height


def test_why_two_images_match(
    encoder: str, tiny_market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query, result = images(tiny_market, 2)
    words = ["explain", encoder, f"--query={query}", f"--result={result}", f"--out={tmp_path}"]
    assert main([*words, "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["query"] == query
    (found,) = about["results"]
    assert found["path"] == result
    assert sum(part["share"] for part in found["parts"]) == pytest.approx(found["similarity"], abs=1e-12)
    assert found["agreement"].startswith("most similar in p1 ")
    assert Image.open(tmp_path / "matches.png").height > 200
    assert Image.open(tmp_path / "saliency.png").height > 2 * 160
    assert main(words) == 0
    assert "all together" in capsys.readouterr().out


def test_pictures_of_an_earlier_call_do_not_stay(encoder: str, tiny_market: Path, tmp_path: Path) -> None:
    query, result = images(tiny_market, 2)
    (tmp_path / "mine.png").write_text("mine")
    (tmp_path / "matches.png").write_text("mine, as no explanation lies beside it")
    looks = ["explain", encoder, "--images", query, f"--out={tmp_path}"]
    assert main(looks) == 0
    assert (tmp_path / "matches.png").exists()
    assert main(["explain", encoder, f"--query={query}", f"--result={result}", f"--out={tmp_path}"]) == 0
    assert main(looks) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["explain.json", "mine.png", "saliency.png"]


def test_each_pair_is_explained_in_both_directions(
    encoder: str, tiny_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    query, result = images(tiny_market, 2)
    size = (64, 32)
    first, second = (to_float(torch.from_numpy(read_image(path, size))[None]) for path in (query, result))
    asked = {}

    def watched(network: Encoder, pictures: Tensor, **extra: Any) -> dict[str, Tensor]:
        asked.update(images=pictures, **extra)
        maps = {name: torch.zeros((2, 4, 2)) for name in PARTS}
        for found in maps.values():
            found[0, 0, 0] = found[1, 3, 1] = 1
        return maps

    monkeypatch.setattr("resight.cli.explain.grad_cam", watched)
    words = ["explain", encoder, f"--query={query}", f"--result={result}", f"--out={tmp_path}", "--json"]
    assert main(words) == 0
    assert asked["target"] == "match"
    assert torch.equal(asked["images"], torch.cat([first, second]))
    assert torch.equal(asked["others"], torch.cat([second, first]))
    (found,) = json.loads(capsys.readouterr().out)["results"]
    assert [part["highest"] for part in found["parts"]] == [[0.875, 0.75]] * 5, "the result's map, not the query's"


def test_why_a_search_finds_what_it_finds(
    encoder: str, tiny_market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (query,) = images(tiny_market, 1)
    data = f"--data=market1501={tiny_market}"
    words = [f"--query={query}", data, "-k", "2", f"--out={tmp_path}", "--json", "--parts=p1 whole"]
    assert main(["explain", encoder, *words]) == 0
    explained = json.loads(capsys.readouterr().out)["results"]
    assert main(["search", query, data, str(encoder), "-k", "2", "--json"]) == 0
    searched = json.loads(capsys.readouterr().out)[0]["results"]
    assert [each["path"] for each in explained] == [each["path"] for each in searched]
    for ours, theirs in zip(explained, searched, strict=True):
        assert ours["similarity"] == pytest.approx(theirs["similarity"], abs=1e-5)


def test_an_encoder_of_one_part_can_be_explained(
    tiny_market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, (query, result) = saved(tmp_path / "plain.safetensors", "global"), images(tiny_market, 2)
    assert main(["explain", path, f"--query={query}", f"--result={result}", f"--out={tmp_path}", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["results"]
    (part,) = found["parts"]
    assert part["part"] == "whole"
    assert part["share"] == pytest.approx(part["similarity"], abs=1e-6)


def test_of_several_processes_one_writes(
    encoder: str, tiny_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Devices, "rank", property(lambda _: 1))
    monkeypatch.setattr("resight.cli.explain._explain_images", lambda *_: ({}, {}))
    assert main(["explain", encoder, "--images", *images(tiny_market, 1), f"--out={tmp_path / 'out'}"]) == 0
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "out").exists()


def test_flags_take_several_words() -> None:
    assert take_lists(["--images", "a b.jpg", "c.jpg", "--json"]) == ({"images": ("a b.jpg", "c.jpg")}, ["--json"])
    assert take_lists(["--parts=x", "-k", "2", "--parts"]) == ({"parts": ("x",)}, ["-k", "2"])
    assert take_lists(["--query", "a.jpg", "--images"]) == ({"images": ()}, ["--query", "a.jpg"])
    assert take_lists(["run", "--parts=[x, y]", "a.jpg"]) == ({}, ["run", "--parts=[x, y]", "a.jpg"])


def test_images_are_named_in_many_ways_and_what_cannot_be_read_is_left_out(
    encoder: str,
    tiny_market: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    one, other = images(tiny_market, 2)
    folder = tmp_path / "folder"
    folder.mkdir()
    odd = os.fsdecode(os.fsencode(folder) + b"/\xff.png")
    shutil.copy(one, odd)
    (folder / "broken.png").write_bytes(b"x")
    words = ["explain", encoder, "--parts", "p1 whole", "--json", f"--out={tmp_path / 'out'}"]
    assert main([*words, "--images", str(folder), other]) == 1
    about = json.loads(capsys.readouterr().out)
    assert about == json.loads((tmp_path / "out" / "explain.json").read_text())
    assert [image["path"] for image in about["images"]] == [odd, other]
    assert "1 of 3 images cannot be read" in caplog.text
    assert main([*words[:2], one, *words[2:]]) == 0, "behind the encoder"
    assert [image["path"] for image in json.loads(capsys.readouterr().out)["images"]] == [one]
    assert main([*words, "--query", odd, f"--data=folder={folder}"]) == 2
    assert "holds only the query" in capsys.readouterr().err
    assert main([*words, f"--query={tiny_market}", f"--result={one}"]) == 2
    assert "--query names one image, found 144 below" in capsys.readouterr().err
    assert main([*words, "--images", str(tiny_market)]) == 2
    assert "shows 64 images at most, found 144" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ([], "needs what to explain"),
        (["--images", "IMAGE", "--query", "IMAGE"], "what to explain"),
        (["--query", "IMAGE"], "--result IMAGE"),
        (["--query", "IMAGE", "--result", "IMAGE", "--data", "folder=x"], "either --result IMAGE"),
        (["--images", "/nowhere/a.jpg"], "/nowhere/a.jpg: there is no such file"),
        (["--query", "IMAGE", "--result", "/nowhere/b.jpg"], "/nowhere/b.jpg: there is no such file"),
        (["--query", "IMAGE", "--data", "/nowhere"], "/nowhere"),
        (["--images", "IMAGE", "--parts", "p1 stripe 1 of 3"], "did you mean 'p1 stripe 1 of 2'"),
        (["--images", "IMAGE", "--part", "x"], "did you mean '--parts'"),
        (["--query", "IMAGE", "--result", "IMAGE", "-k", "0"], "k must be 1 or more"),
    ],
)
def test_a_mistake_gets_one_line(
    encoder: str, tiny_market: Path, tmp_path: Path, words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (image,) = images(tiny_market, 1)
    words = [image if word == "IMAGE" else word for word in words]
    assert main(["explain", encoder, *words, f"--out={tmp_path / 'out'}"]) == 2
    message = capsys.readouterr().err
    assert hint in message
    assert message.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_without_a_model_that_of_the_installation_is_explained(
    tiny_market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (image,) = images(tiny_market, 1)
    with caplog.at_level("INFO", "resight"):
        assert main(["explain", image, f"--out={tmp_path / 'out'}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"][0]["path"] == image
    assert any("explaining 'synthetic', the model of the installation" in line for line in caplog.messages)
    assert main(["explain", "runs/mien", image, f"--out={tmp_path / 'out'}"]) == 2
    assert "'runs/mien' is neither a model nor an image" in capsys.readouterr().err


def test_an_image_that_is_broken_is_named(encoder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    assert main(["explain", encoder, "--images", str(tmp_path / "broken.jpg"), f"--out={tmp_path / 'out'}"]) == 2
    assert "broken.jpg" in capsys.readouterr().err
