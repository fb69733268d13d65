"""What YAML may hold: names, values and lists; all else is one line, at once, whatever it would have become."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import pytest

from resight.config.yaml_files import LARGEST, as_text, parse_yaml, read_yaml
from resight.errors import ConfigError


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "file.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(path: Path | str) -> str:
    began = time.monotonic()
    with pytest.raises(ConfigError) as error:
        read_yaml(path)
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 400
    assert time.monotonic() - began < 15
    return message


def test_names_values_and_lists_are_read_with_their_meaning(tmp_path: Path) -> None:
    text = "a: {b: 1, c: [1, x, 2.5, 1e-3, null, yes]}\nd: 2024-01-02\ne: 0123\nf: '1'\ng: 1:30\nh: -.inf\n"
    assert read_yaml(written(tmp_path, text)) == {
        "a": {"b": 1, "c": [1, "x", 2.5, 0.001, None, True]},
        "d": "2024-01-02",
        "e": "0123",
        "f": "1",
        "g": "1:30",
        "h": -math.inf,
    }
    assert read_yaml(written(tmp_path, "# nothing\n")) == read_yaml(written(tmp_path, "")) == {}
    assert read_yaml(written(tmp_path, b"\xef\xbb\xbfa: 1\n")) == {"a": 1}


def test_values_may_be_left_as_they_are_written(tmp_path: Path) -> None:
    text = "a: 1.50\nb: null\nc: ['x', 0x1f]\n1: '2'\nd: 'null'\n"
    expected = {"a": "1.50", "b": None, "c": ["x", "0x1f"], "1": "2", "d": "null"}
    assert read_yaml(written(tmp_path, text), scalar=as_text) == expected


LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (LAUGHS, "names for values"),
        ("a: &a {b: *a}\n", "names for values"),
        ("a: *b\n", "names for values"),
        ("a: !!float foo\n", "tags (!!float)"),
        ("a: !!python/object/apply:os.system ['true']\n", "tags (!!python/object/apply:os.system)"),
        ("a: " + "[" * 5000 + "]" * 5000, "levels of nesting"),
        ("a: " + "{a: " * 3000 + "1" + "}" * 3000, "levels of nesting"),
        ("- " * 3000, "levels of nesting"),
        ("a: [" + "1," * 90_000 + "]", "2,000 names and values"),
        ("a: " + "x" * 1_000_000, "too large"),
        ("a: 1\0\n", "not YAML"),
        ("a: 1\n---\nb: 1\n", "line 2: a second document"),
        ("a: 1\na: 2\n", "a appears twice"),
        ("? [a, b]\n: 2\n", "a name must be one word"),
        ("- a\n", "names and values, found a list"),
        ("hello\n", "names and values, found a single value"),
        ('a: "\\xZZ"\n', "not YAML"),
        ('a: "\\UFFFFFFFF"\n', "not YAML"),
        ("b: 1\na: [1\nb: {", "(line 3)"),
        ("a: 1\n".encode("utf-16"), "no text of UTF-8"),
        (os.urandom(3000) + b"\xff", "no text of UTF-8"),
    ],
    ids=range(21),
)
def test_what_settings_do_not_need_is_one_line(content: str | bytes, words: str, tmp_path: Path) -> None:
    message = refused(written(tmp_path, content))
    assert words in message
    assert message.startswith(str(tmp_path / "file.yaml"))


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe", tmp_path / "nothere", "/dev/zero", "a\0b"):
        assert "is no file" in refused(place)


def test_numbers_of_thousands_of_digits_stay_text() -> None:
    for text in ("9" * 5000, "1." + "9" * 5000, "0x" + "f" * 5000):
        assert parse_yaml(text, "value") == text
    with pytest.raises(ConfigError, match="too large"):
        parse_yaml("x" * (LARGEST + 1), "value")
