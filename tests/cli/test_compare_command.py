"""`resight compare`, as a user types it."""

from __future__ import annotations

import json

import pytest

from resight.cli.main import main


def test_two_models_side_by_side(run, people, tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    folder, _ = run
    data = f"--data=market1501={people}"
    capsys.readouterr()
    page, places = tmp_path / "compared.html", tmp_path / "map.svg"
    words = ["compare", str(folder), str(folder / "encoder-last.safetensors"), data, "--samples=200"]
    assert main([*words, "--json", f"--page={page}", f"--people_map={places}"]) == 0
    printed = json.loads(capsys.readouterr().out)
    first, second = (printed["reports"][name]["scores"]["mAP"] for name in printed["models"])
    mean, low, high = (printed["differences"]["mAP"][name] for name in ("mean", "low", "high"))
    assert mean == pytest.approx(second - first)
    assert low <= mean <= high
    assert printed["wins"] + printed["losses"] <= len(printed["gains"])
    assert places.read_text().count("<text") > 2
    html = page.read_text()
    assert "Where" in html
    assert html.count('<figure class="strip">') == 2 * min(8, printed["wins"]) + 2 * min(8, printed["losses"])
    assert main([*words]) == 0
    assert "95 % interval" in capsys.readouterr().out


def test_a_model_beside_itself_does_not_differ(run, people, capsys) -> None:  # type: ignore[no-untyped-def]
    folder, _ = run
    capsys.readouterr()
    assert main(["compare", str(folder), str(folder), f"--data=market1501={people}", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["differences"]["mAP"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert len(set(printed["models"])) == 2


def test_centered_cameras_score_as_in_evaluate(run, people, capsys) -> None:  # type: ignore[no-untyped-def]
    folder, _ = run
    data = f"--data=market1501={people}"
    capsys.readouterr()
    models = [str(folder), str(folder / "encoder-last.safetensors")]
    assert main(["compare", *models, data, "--center_cameras", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    for name in printed["models"]:
        for flags, is_same in ((["--center_cameras"], True), ([], False)):
            assert main(["evaluate", name, data, "--json", *flags]) == 0
            scores = json.loads(capsys.readouterr().out)["scores"]
            assert (printed["reports"][name]["scores"] == scores) is is_same


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["synthetic"], "two models"),
        (["synthetic", "runs/none"], "runs/none"),
        (["synthetic", "synthetic", "--samples=0"], "samples"),
    ],
)
def test_mistakes_are_one_line(words, text, people, capsys) -> None:  # type: ignore[no-untyped-def]
    assert main(["compare", *words, f"--data=market1501={people}"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert text in lines[0]
