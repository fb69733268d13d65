"""What the commands write and print: no image is replaced, and names are those of the table."""

import errno
import json
import re
import shutil

import pytest

from resight.cli.main import main
from resight.compute.devices import Devices
from resight.reports.letters import Letters


@pytest.fixture
def crops(people, tmp_path):
    """Two images of one person in a folder of crops, with a table of labels."""
    folder = tmp_path / "crops"
    folder.mkdir()
    for name, image in zip("ab", sorted((people / "query").iterdir()), strict=False):
        shutil.copy(image, folder / f"{name}.jpg")
    (folder / "labels.csv").write_text("path,person,camera\na.jpg,anna,c1\nb.jpg,anna,\n")
    return folder


def not_yet(*_, **__):
    raise AssertionError("embedded before the mistake was said")


@pytest.mark.parametrize("place", ["", "a.jpg/strip.png"])
def test_where_nothing_can_be_written_is_said_first(place, crops, run, monkeypatch, capsys):
    target = shutil.copytree(crops, crops.parent / "elsewhere") / place
    for module in ("cli.searching", "cli.explain", "cli.evaluate"):
        monkeypatch.setattr(f"resight.{module}.load_encoder", not_yet)
    monkeypatch.setattr("resight.cli.data.open_dataset", not_yet)
    encoder, query, data = str(run[0]), str(crops / "a.jpg"), f"--data=folder={crops}"
    commands = [
        ["search", query, data, str(encoder), f"--ranked_list={target}"],
        ["evaluate", encoder, data, f"--page={target}"],
        ["data", "info", f"folder={crops}", f"--sheet={target}"],
        ["data", "verify", f"folder={crops}", f"--sheet={target}"],
    ]
    if place:
        commands.append(["explain", encoder, "--images", query, f"--out={target}"])
    for words in commands:
        assert main(words) == 2
        message = capsys.readouterr().err
        assert message.startswith(f"resight: {target}")
        assert message.count("\n") == 1


def test_a_strip_does_not_replace_its_query(crops, run, capsys):
    query = crops / "a.jpg"
    before = query.read_bytes()
    words = ["search", str(query), f"--data=folder={crops}", str(run[0]), f"--ranked_list={crops}/../crops/a.jpg"]
    assert main(words) == 2
    assert "is the query itself" in capsys.readouterr().err
    assert query.read_bytes() == before


def test_pictures_do_not_go_among_the_images_nor_replace_what_is_no_picture(crops, run, capsys):
    query, encoder, data = str(crops / "a.jpg"), str(run[0]), f"--data=folder={crops}"
    before = {path: path.read_bytes() for path in crops.iterdir()}
    for words, message in (
        (["search", query, data, str(encoder), f"--ranked_list={crops}/b.jpg"], "would hold PNG: name it"),
        (["data", "info", f"folder={crops}", f"--sheet={crops}/labels.csv"], "would hold PNG: name it"),
        (["evaluate", encoder, data, f"--page={crops}/labels.csv"], "would hold HTML: name it"),
        (["search", query, data, str(encoder), f"--ranked_list={crops}/c.png"], "read as one of its images"),
        (["data", "verify", f"folder={crops}", f"--sheet={crops}/c.png"], "read as one of its images"),
        (["explain", encoder, "--query", query, data, f"--out={crops}/explain"], "read as one of its images"),
    ):
        assert main(words) == 2
        assert message in capsys.readouterr().err
    assert {path: path.read_bytes() for path in crops.iterdir()} == before


def test_what_was_found_is_printed_even_where_its_picture_cannot_be_written(crops, run, tmp_path, monkeypatch, capsys):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("resight.files.os.fsync", full)
    picture = tmp_path / "picture.png"
    searched = ["search", str(crops / "a.jpg"), f"--data=folder={crops}", str(run[0]), f"--ranked_list={picture}"]
    capsys.readouterr()
    for words, printed in (
        (searched, "never proof"),
        ([*searched, "--json"], '"similarity"'),
        (["data", "info", f"folder={crops}", f"--sheet={picture}"], "people"),
    ):
        assert main(words) == 2
        shown = capsys.readouterr()
        assert printed in shown.out
        assert f"resight: {picture}: cannot be written (No space left on device): make room" in shown.err


def test_search_names_cameras_and_people_as_the_table_does(crops, run, capsys):
    capsys.readouterr()
    assert main(["search", str(crops), f"--data=folder={crops}", str(run[0]), "--json"]) == 0
    of_a, of_b = (answer["results"] for answer in json.loads(capsys.readouterr().out))
    (first,), (second,) = of_b, of_a
    assert (first["camera"], first["camera_id"], first["person"], first["person_id"]) == ("c1", 0, "anna", 0)
    assert (second["camera"], second["camera_id"]) == (None, -1)


def test_pages_and_strips_name_cameras_and_people_as_the_table_does(people, run, tmp_path, monkeypatch, capsys):
    crops = tmp_path / "crops"
    crops.mkdir()
    lines = ["path,person,camera"]
    for image in sorted((people / "bounding_box_test").glob("0*.jpg")):
        person, camera = re.match(r"(\d+)_c(\d)", image.name).groups()
        shutil.copy(image, crops)
        lines.append(f"{image.name},guest {person},gate {camera}")
    (crops / "labels.csv").write_text("\n".join(lines))
    data, page = f"--data=folder={crops}", tmp_path / "page.html"
    assert main(["evaluate", str(run[0]), data, "--validation_people=2", "--json", f"--page={page}"]) == 0
    assert re.search(r"Query \d+ · guest \d+ · gate \d", page.read_text())
    small = ["--encoder.height=64", "--encoder.width=32", "--epochs=1", "--iterations=1", "--identities=2"]
    trained = ["train", "scr", "--config=scr-smoke", data, "--validation_people=2", f"--run={tmp_path / 'run'}", *small]
    assert main(trained) == 0
    report = (tmp_path / "run" / "report.html").read_text()
    for section in ("Ranked lists", "Why these match"):
        assert re.search(r"Query \d+ · guest \d+ · gate \d", report[report.index(f"<h2>{section}") :])

    written = []
    monkeypatch.setattr(Letters, "write", lambda letters, draw, place, text, *rest: written.append(text))
    searched = ["search", str(crops / lines[1].split(",")[0]), data, str(run[0]), "-k", "2"]
    assert main([*searched, f"--ranked_list={tmp_path / 'strip.png'}"]) == 0
    assert re.fullmatch(r"gate \d", written[2])


def test_file_names_do_not_act_on_the_terminal(tmp_path, draw, run, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "400")
    name = "\x1b[2Jodd\nname.jpg"
    draw(tmp_path, f"\x1b[31mhall/{name}", "door/plain.jpg")
    (tmp_path / "door" / f"broken{name}").write_bytes(b"x")
    assert main(["data", "verify", f"folder={tmp_path}"]) == 1
    shown = capsys.readouterr().out
    query = str(tmp_path / "door" / "plain.jpg")
    assert main(["search", query, f"--data=folder={tmp_path}", str(run[0])]) == 0
    for text in (shown, capsys.readouterr().out):
        assert "\x1b" not in text
        assert "\\x1b[2Jodd\\nname.jpg" in text


def test_of_several_processes_one_speaks(run, people, monkeypatch, capsys):
    image = next((people / "query").iterdir())
    monkeypatch.setattr(Devices, "rank", property(lambda _: 1))
    for place in ("retrieval.protocol", "cli.searching"):
        monkeypatch.setattr(f"resight.{place}.extract", lambda *_, **__: None)
    for command, word in (("evaluate", str(run[0])), ("search", str(image))):
        assert main([command, word, f"--data=market1501={people}"]) == 0
    assert capsys.readouterr().out == ""
