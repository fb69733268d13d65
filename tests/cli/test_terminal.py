"""Whatever is said, logged or written is harmless: nothing acts on a terminal, no line is forged, none is endless."""

from __future__ import annotations

import json
import logging
import re
import warnings
from pathlib import Path

import pytest
from rich.table import Table

import resight
from resight.cli.main import main
from resight.cli.terminal import complain, configure_output, say, say_json, show
from resight.files import json_text, printable, shortened, write_atomically
from resight.logs import LONGEST, OneLine
from resight.reports.page import Section, render_page
from resight.reports.tables import html_table, markdown_cell, scores_table_text
from resight.training.report import RunLog

HOSTILE = "hall\x1b[31m\x1b]0;owned\x07\r\nresight: forged\x9b2J\u2028\u2029\u202eabc\u2066\udce9\x00 ü 日本 \u200b"
ACTS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def harmless(text: str, lines: int = 1) -> bool:
    return not ACTS.search(text) and text.count("\n") == lines and "ü 日本" in text


def test_what_is_said_is_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE, f"second {HOSTILE}")
    complain(HOSTILE)
    found = capsys.readouterr()
    assert harmless(found.out, 2)
    assert harmless(found.err)
    assert found.err.startswith("resight: hall\\x1b[31m")


def test_a_table_cannot_act_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("name", HOSTILE)
    table.add_row(HOSTILE, "x")
    show(table)
    assert not ACTS.search(capsys.readouterr().out)
    show(scores_table_text({}))
    assert "mAP" in capsys.readouterr().out


def test_json_is_harmless_and_reads_back_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({HOSTILE: [HOSTILE]})
    out = capsys.readouterr().out
    assert harmless(out)
    assert json.loads(out) == {HOSTILE: [HOSTILE]}
    assert json.loads(json_text(HOSTILE, indent=1)) == HOSTILE


def test_a_record_of_the_log_is_one_line() -> None:
    record = logging.LogRecord("resight", logging.WARNING, "", 0, f"said of %s {HOSTILE}", (HOSTILE,), None)
    assert harmless(OneLine("%(levelname)s %(message)s").format(record), 0)
    record = logging.LogRecord("resight", logging.WARNING, "", 0, "%s", ("x" * 1_000_000,), None)
    assert len(OneLine().format(record)) < LONGEST + 100


def test_the_log_of_a_run_and_its_warnings_are_lines_of_their_own(tmp_path: Path) -> None:
    log = RunLog()
    log.open(tmp_path)
    logger = logging.getLogger("resight.tests")
    logger.addHandler(log)
    try:
        logger.warning("camera %s", HOSTILE)
    finally:
        logger.removeHandler(log)
        log.close()
    assert harmless((tmp_path / "log.txt").read_text(encoding="utf-8"))
    assert [harmless(warning, 0) for warning in log.warnings] == [True]


def test_the_command_line_lets_libraries_speak_through_the_same_place(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    configure_output()
    logging.getLogger("timm").warning(HOSTILE)
    assert harmless(capsys.readouterr().err)
    assert harmless(warnings.formatwarning(HOSTILE, UserWarning, "x.py", 1))  # type: ignore[call-arg]


def test_an_error_is_one_short_line_whatever_it_names(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        [HOSTILE],
        ["train", HOSTILE],
        ["train", "ice", f"--{HOSTILE}", "1"],
        ["train", "ice", f"--epochs={HOSTILE}"],
        ["train", "ice", f"--config={HOSTILE}"],
        ["train", "ice", f"--data=folder={HOSTILE}"],
        ["train", "ice", f"--select={'x' * 1_000_000}"],
        ["train", "ice", f"--{'x' * 1_000_000}"],
        ["train", "ice", "--data", "x" * 1_000_000],
        ["train", "ice", "--data=x", "--run=a\0b"],
        ["search", "a\0b", "--data=x"],
        ["search", "x" * 1_000_000, "--data=x"],
        ["data", "info", HOSTILE],
        ["recipes", HOSTILE],
        ["evaluate", HOSTILE, "--data=x"],
    ):
        assert main(words) == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        assert len(message) < 1_000
        assert not ACTS.search(message), words


def test_what_is_written_as_text_is_harmless(tmp_path: Path) -> None:
    page = render_page(HOSTILE, [Section(HOSTILE, html_table([HOSTILE], [[HOSTILE, HOSTILE]], style="x"))])
    write_atomically(tmp_path / "page.html", page)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not ACTS.search(text)
    assert "ü 日本" in text
    write_atomically(tmp_path / "table.csv", "a,b\r\n1,2\r\n")
    assert (tmp_path / "table.csv").read_bytes() == b"a,b\r\n1,2\r\n"
    assert not ACTS.search(markdown_cell(HOSTILE))


def test_a_long_value_is_cut_in_its_middle() -> None:
    assert shortened("short") == "short"
    assert shortened("a" * 500 + "b" * 500, 30) == "a" * 20 + " ... (970 letters) ... " + "b" * 10
    assert printable("ü 日本 é –") == "ü 日本 é –"


def test_nothing_reaches_a_terminal_by_another_way() -> None:
    """Neither `print` nor a console of rich nor a stream, but for the help, the bar and the one place itself."""
    root = Path(resight.__file__).parent
    known = {
        "print(": (),
        "Console(": ("cli/terminal.py", "progress.py"),
        "sys.stdout.write(": ("cli/terminal.py", "config/settings.py"),
    }
    for path in sorted(root.rglob("*.py")):
        name, text = path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")
        for call, places in known.items():
            found = re.search(rf"(?<![\w`.]){re.escape(call)}", text)
            assert not found or name in places, f"{name} calls {call}): what is said goes through resight.cli.terminal"
