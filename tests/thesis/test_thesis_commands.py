"""`resight thesis`: what can be run, what is shown, and mistakes in one line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from resight.cli.main import main
from resight.config.recipes import known_methods
from resight.methods import METHODS
from resight.thesis import planning
from resight.thesis.paper import load_item
from resight.thesis.planning import RunRequest, plan_rows


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnu"], "did you mean 'run'"),
        (["show"], "needs a table or figure"),
        (["show", "table-6.66"], "did you mean 'table-6.6'"),
        (["show", "table-6.6", "--json", "--markdown"], "exclude each other"),
        (["show", "table-6.6", "--json", "maybe"], "--json must be true or false, found 'maybe'"),
        (["run", "table-6.6", "--rows", "3"], "--rows must be a list such as [3], found '3'"),
        (["run", "table-6.6"], "--data dukemtmc=PATH --data market1501=PATH --data msmt17=PATH"),
        (["run", "table-6.6", "--scale=shrot"], "did you mean 'short'"),
        (["run", "table-6.6", "--data=markt1501=/x"], "did you mean 'market1501'"),
        (["run", "table-6.6", "--data=/x"], "NAME=PATH"),
        (["run", "table-6.6", "--data"], "NAME=PATH"),
        (["run", "table-6.6", "--data=market1501=/not/there", "--scale=smoke"], "/not/there"),
        (["run", "table-6.1", "--scale=smoke"], "nothing to run"),
        (["run", "figure-6.1", "--scale=smoke"], "nothing to run"),
        (["run", "table-6.6", "--weights=resnet50=/not/there"], "there is no such file"),
        (["run", "table-6.6", "--seeed=2"], "did you mean '--seed'"),
        (["run", "table-6.6", "--epochs=-1"], "0 or more"),
        (["run", "table-4.3", "--substitute=duke"], "THESIS=OURS"),
        (["run", "table-4.3", "--substitute=duke=cukh03"], "did you mean 'cuhk03'"),
        (["run", "table-6.6", "--data=market=/a", "--data=market1501=/b"], "--data names market1501 twice, /a and /b"),
        (["run", "table-6.6", "--weights=resnet50=none", "--weights=resnet50=/b"], "--weights names resnet50 twice"),
        (
            ["run", "table-4.3", "--substitute=duke=cuhk03", "--substitute=duke=mars"],
            "--substitute names dukemtmc twice",
        ),
        (["run", "table-4.3", "--substitute=mars=duke"], "it is about dukemtmc, market1501"),
        (["run", "table-5.3", "--structure=mars=pose"], "it is about dukemtmc, market1501"),
        (["run", "table-5.3", "--structure=pose"], "NAME=FOLDER, or NAME=pose"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["thesis", *words]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert error.count("\n") == 0


def test_a_table_without_its_method_or_recipe_says_so(
    tiny_market: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "known_methods", lambda: ("jvtc",))
    words = ["thesis", "run", "table-5.3", f"--data=market1501={tiny_market}", "--scale=smoke", f"--out={tmp_path}"]
    assert main([*words, "--rows=[2,3]"]) == 1
    text = capsys.readouterr().out
    assert text.splitlines()[-1].startswith("no row ran: no method 'gcl' yet (recipe gcl-thesis)")
    lines = json.loads((tmp_path / "table-5.3-smoke-seed1.json").read_text())["lines"]
    assert {line["state"] for line in lines[2:]} == {"unavailable"}, "the baseline has its method and recipe"


def test_list_says_what_can_be_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["thesis", "list", "--json"]) == 0
    items = {entry["id"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert len(items) == 28 + 1 + 44  # and the perspectives
    assert items["table-6.6"]["able"] == {"smoke": 24, "short": 24, "full": 24}
    assert items["table-6.6"]["data"] == ["market1501", "dukemtmc", "msmt17"]
    assert items["table-6.4"]["able"] == {"smoke": 0, "short": 0, "full": 6}
    assert items["table-3.6"]["able"] == {"smoke": 2, "short": 2, "full": 2}
    assert items["table-3.6"]["data"] == ["market1501", "dukemtmc"]
    assert items["table-3.1"]["able"] == {"smoke": 3, "short": 3, "full": 3}
    assert items["table-3.5"]["able"] == {"smoke": 4, "short": 4, "full": 4}
    assert items["table-3.9"]["able"] == {"smoke": 2, "short": 2, "full": 2}
    assert items["table-4.4"]["able"] == {"smoke": 8, "short": 8, "full": 8}
    assert items["table-4.3"]["able"] == {"smoke": 20, "short": 20, "full": 20}
    assert items["table-4.2"]["able"] == {"smoke": 6, "short": 6, "full": 6}
    assert items["table-4.1"]["able"]["full"] == 8
    assert items["table-4.4"]["missing"] == []
    assert items["figure-6.1"]["runs"] == 0
    assert main(["thesis", "list"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"table-6\.6 .* 24/24", text)
    assert "figure-5.12" in text


@pytest.mark.parametrize("name", ["table-4.1", "table-6.4"])
@pytest.mark.parametrize("scale", ["smoke", "short", "full"])
def test_what_can_be_run_is_the_same_with_the_settings_worked_out(name: str, scale: str) -> None:
    quick, full = (plan_rows(load_item(name), RunRequest(scale), resolve=resolve) for resolve in (False, True))
    assert [bool(job.reason) for job in quick] == [bool(job.reason) for job in full]


def test_show_gives_what_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = f"--out={tmp_path}"
    assert main(["thesis", "show", "table-6.7", where]) == 0
    text = capsys.readouterr().out
    assert "SpCL(agnostic) [42]" in text
    assert "thesis mAP" in text
    assert "ours" not in text.split("SpCL")[0]
    assert main(["thesis", "show", "table-5.4", "--markdown", where]) == 0
    page = capsys.readouterr().out
    assert "| 4 | DG-Net [165] | Market-1501 | 18.24 | 0.360 |" in page
    assert main(["thesis", "show", "table-6.7", "--json", where]) == 0
    lines = json.loads(capsys.readouterr().out)["lines"]
    states = {line["name"].partition(": ")[2]: line["state"] for line in lines}
    assert (states["CycAs [135]"], states["ICE(aware)"]) == ("quoted", "not run")
    assert lines[0]["ours"] is None
    assert main(["thesis", "show", "figure-6.10", where]) == 0
    text = capsys.readouterr().out
    assert "CAP [130]" in text
    assert "to redraw it: resight compare CAP_RUN ICE_RUN" in text
    assert main(["thesis", "show", "table-2.1", where]) == 0
    assert "resight thesis run table-2.1 --data NAME=PATH" in capsys.readouterr().out
    assert main(["thesis", "--help"]) == 0
    assert "usage" in capsys.readouterr().out
    assert main(["thesis", "show", "--help_all"]) == 0
    assert "The command writes no file" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("words", [["list"], ["show", "table-4.3"], ["show", "table-4.3", "--json"]])
def test_what_only_reads_loads_no_networks(words: list[str]) -> None:
    heavy = ("torch", "timm", "numba", "matplotlib", "sklearn")
    code = (
        f"import sys; from resight.cli.main import main; assert main(['thesis', *{words}]) == 0; "
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert process.stderr.strip() == "[]"
    assert "table-4.3" in process.stdout


def test_the_plan_knows_the_methods_without_loading_them() -> None:
    assert set(METHODS) <= set(known_methods())


def test_results_of_earlier_versions_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    states = {"done": "done", "left": "pending", "cannot": "unavailable", "failed": "failed", "quoted": "quoted"}
    lines = [{"row": 1, "state": state, "instead": {"dukemtmc": "mars"}} for state in states]
    (tmp_path / "table-6.2-smoke-seed1.json").write_text(json.dumps({"lines": lines}))
    assert main(["thesis", "show", "table-6.2", f"--out={tmp_path}", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)["ours"]["table-6.2-smoke-seed1"]["lines"]
    assert [line["state"] for line in read] == list(states.values())
    assert {tuple(line["substitutes"].items()) for line in read} == {(("dukemtmc", "mars"),)}


def test_the_earlier_flag_names_the_present_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["thesis", "run", "table-4.3", "--instead=duke=mars"]) == 2
    assert "--instead is called --substitute now" in capsys.readouterr().err
