"""The commands, as a user types them, on a few drawn people."""

import errno
import json
import logging
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from resight.cli.main import main
from resight.compute.devices import Devices
from resight.errors import ResightError
from resight.files import locked
from resight.models.encoder import Encoder, EncoderSettings
from resight.numerics.distances import sum_of_part_distances
from resight.records import Features, ImageTable
from resight.reports.letters import Letters
from resight.retrieval.evaluation import evaluate
from resight.retrieval.ranking import rank
from resight.training.report import RunLog

TINY = [
    "--encoder.backbone=tf_efficientnet_lite0",
    "--encoder.height=64",
    "--encoder.width=32",
    "--cluster.k1=8",
    "--cluster.eps=0.6",
    "--epochs=2",
    "--iterations=2",
    "--identities=4",
    "--config=site",
]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "people"
    settings = ["--people_train=16", "--people_test=6", "--cameras=3", "--crops=3", "--silhouettes=false"]
    assert main(["data", "synthesize", str(folder), *settings]) == 0
    return folder


@pytest.fixture(scope="module")
def run(people, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    command = ["train", "ice", *TINY, f"--data=market1501={people}", f"--run={folder}"]
    assert main(command) == 0
    return folder, command


def test_train_leaves_everything_a_user_needs(run):
    folder, _ = run
    report = json.loads((folder / "report.json").read_text())
    assert set(report) == {"before", "last", "best"}
    assert 0 <= report["best"]["scores"]["mAP"] <= 1
    page = (folder / "report.html").read_text()
    assert "Before and after" in page
    assert "Ranked lists" in page
    assert "Why these match" not in page, "its encoder has one part"
    assert not re.search(r"(src|href)=\"https?:", page)
    assert [json.loads(line)["epoch"] for line in (folder / "metrics.jsonl").read_text().splitlines()] == [0, 1]
    assert yaml.safe_load((folder / "config.yaml").read_text())["cluster"]["eps"] == 0.6
    assert json.loads((folder / "environment.json").read_text())["weights"]["license"] == "Apache-2.0"
    log = (folder / "log.txt").read_text()
    assert "epoch 2 of 2" in log
    assert "not the official split" in log, "said before the folder was the run's"


def test_the_same_command_again_changes_nothing(run):
    folder, command = run
    before = (folder / "last.safetensors").read_bytes()
    assert main(command) == 0
    assert (folder / "last.safetensors").read_bytes() == before


def test_the_page_of_a_run_shows_its_clusters_and_says_where_their_table_is(run, capsys):
    folder, command = run
    assert main(command) == 0
    assert str(folder / "clusters.csv") in capsys.readouterr().out
    assert "Clusters to look at" in (folder / "report.html").read_text()
    assert len((folder / "clusters.csv").read_text().splitlines()) > 16


def test_the_log_remembers_the_warnings_of_earlier_sessions(tmp_path):
    said = (["one", "two", "two"], ["two", "three"], [])
    for messages in said:
        log = RunLog()
        logger = logging.Logger("a run")
        logger.addHandler(log)
        logger.info("no warning")
        logger.warning("before the folder is the run's")
        log.open(tmp_path)
        for message in messages:
            logger.warning(message)
        log.close()
    assert log.warnings == ["before the folder is the run's", "one", "two", "three"]
    (tmp_path / "warnings.json").write_text('{"not": "a list"}')
    log.open(tmp_path)
    log.close()
    assert log.warnings[0] == "before the folder is the run's"


def test_other_settings_in_the_same_folder_are_refused(run, capsys):
    folder, command = run
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main([*command, "--learning_rate=0.1"]) == 2
    message = capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before, "not even its log"
    assert "learning_rate was 0.00035, now 0.1" in message
    assert "--run" in message


def test_evaluate_prints_json_and_writes_a_page(run, people, tmp_path, capsys):
    folder, _ = run
    capsys.readouterr()
    page = tmp_path / "eine Seite, ü.html"
    assert main(["evaluate", str(folder), f"--data=market1501={people}", "--json", f"--page={page}"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = json.loads((folder / "report.json").read_text())["best"]["scores"]["mAP"]
    assert found["scores"]["mAP"] == pytest.approx(expected, abs=1e-6)
    html = page.read_text()
    assert "Ranked lists" in html
    assert f">{100 * expected:.1f}<" in html


def test_evaluate_without_a_model_says_what_it_scores(people, capsys, caplog):
    words = ["evaluate", f"--data=market1501={people}", "--json", "--encoder.height=64", "--encoder.width=32"]
    for weights, text in (("imagenet", "ImageNet weights"), ("none", "random weights")):
        assert main([*words, f"--encoder.weights={weights}"]) == 0
        assert json.loads(capsys.readouterr().out)["scores"], "the line is logged, which goes to standard error"
        assert caplog.messages.count(f"no MODEL is named: scoring {EncoderSettings().backbone} with {text}") == 1


def sum_of_four(one, other):
    return sum_of_part_distances(one, other, parts=4)


def test_the_page_ranks_as_the_scores_do():
    """Without junk, the first right result of a strip stands where the evaluation found it."""
    random = np.random.default_rng(0)

    def side(count, camera):
        table = ImageTable(np.full(count, "x.jpg"), np.arange(count) % 9, np.full(count, camera))
        vectors = random.normal(size=(count, 8)) + 2 * np.eye(9, 8)[table.person_ids]
        return Features(table, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))

    queries, gallery = side(18, 1), side(60, 2)
    first = {}
    for re_ranking in (False, True):
        found = rank(queries, gallery, rerank=re_ranking, k=60)
        right = gallery.table.person_ids[found.indices] == queries.table.person_ids[:, None]
        report = evaluate(queries, gallery, rerank=re_ranking)
        np.testing.assert_array_equal(right.argmax(1), report.per_query["first_rank"])
        first[re_ranking] = right.argmax(1).tolist()
    assert first[False] != first[True]
    found = rank(queries, gallery, k=60, distance_fn=sum_of_four)
    right = gallery.table.person_ids[found.indices] == queries.table.person_ids[:, None]
    report = evaluate(queries, gallery, distance_fn=sum_of_four)
    np.testing.assert_array_equal(right.argmax(1), report.per_query["first_rank"])
    assert first[False] != right.argmax(1).tolist()


def test_search_finds_a_copy_of_the_image_first(run, people, tmp_path, capsys):
    folder, _ = run
    image = sorted((people / "bounding_box_test").glob("0*.jpg"))[-1]
    copy = shutil.copy(image, tmp_path / "copy.jpg")
    strip = tmp_path / "strip.png"
    words = ["search", str(copy), f"--data=folder={people / 'bounding_box_test'}", str(folder)]
    capsys.readouterr()
    assert main([*words, "-k", "3", "--json", f"--ranked_list={strip}"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["query"] == str(copy)
    found = answer["results"]
    assert len(found) == 3
    assert Path(found[0]["path"]).name == image.name
    assert found[0]["similarity"] == pytest.approx(1, abs=1e-3)
    assert Image.open(strip).width > 100
    assert main([*words]) == 0
    assert "never proof" in capsys.readouterr().out


def test_cameras_may_be_called_anything(run, people, tmp_path, capsys):
    crops = tmp_path / "crops"
    for name, image in zip(("[red]hall", "[bold]ein gang"), sorted((people / "query").iterdir()), strict=False):
        (crops / name).mkdir(parents=True)
        shutil.copy(image, crops / name)
    assert main(["search", str(image), f"--data=folder={crops}", str(run[0])]) == 0
    shown = capsys.readouterr().out
    assert "│ [bold]ein gang │" in shown
    assert "│      [red]hall │" in shown


def test_of_several_processes_one_speaks(run, people, monkeypatch, capsys):
    image = next((people / "query").iterdir())
    monkeypatch.setattr(Devices, "rank", property(lambda _: 1))
    for place in ("retrieval.protocol", "cli.searching"):
        monkeypatch.setattr(f"resight.{place}.extract", lambda *_, **__: None)
    for command, word in (("evaluate", str(run[0])), ("search", str(image))):
        assert main([command, word, f"--data=market1501={people}"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "words",
    [
        ["train"], ["train", "ice"], ["train", "mmt"], ["adapt"], ["evaluate"], ["search"], ["explain"], ["demo"],
        ["data"], ["data", "info"], ["data", "verify"], ["data", "synthesize"], ["data", "synthesize", "x"],
    ],
)  # fmt: skip
def test_every_command_helps(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--help"]) == 0
    assert "usage" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["train", "ice"], "cluster"),
        (["evaluate"], "rerank"),
        (["search", "x.jpg"], "ranked_list"),
        (["explain", "x"], "parts"),
        (["demo"], "epochs"),
        (["data", "info", "x"], "json"),
        (["data", "synthesize", "x"], "crops"),
    ],
)
def test_every_command_prints_its_settings_and_does_nothing(words, key, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--print_config"]) == 0
    assert key in yaml.safe_load(capsys.readouterr().out)
    assert list(tmp_path.iterdir()) == []


def test_what_folders_are_can_be_said(tmp_path, capsys):
    for person in ("anna", "bert"):
        for camera in "xy":
            (tmp_path / person / camera).mkdir(parents=True)
            Image.new("RGB", (8, 16)).save(tmp_path / person / camera / "1.jpg")

    def counted(*flags):
        assert main(["data", "info", f"folder={tmp_path}", "--json", *flags]) == 0
        train = json.loads(capsys.readouterr().out)["splits"]["train"]
        return train["people"], len(train["cameras"])

    assert counted("--layout", "person/camera") == (2, 2)
    assert counted("--layout", "-/camera") == (0, 2), "a value that begins like a flag"
    assert counted("--pattern", "^(?P<person>[^/]+)/(?P<camera>[^/]+)") == (2, 2)
    assert counted("--layout=none") == (0, 1)
    for words in (["data", "verify", f"market1501={tmp_path}"], ["evaluate", f"--data=market1501={tmp_path}"]):
        assert main([*words, "--layout=camera"]) == 2
        assert "--layout says how a folder of crops is read" in capsys.readouterr().err


def test_train_says_what_data_info_lists(tmp_path, monkeypatch, caplog):
    class StopError(BaseException):
        pass

    def stop(*_, **__):
        raise StopError

    (tmp_path / "cam1").mkdir()
    Image.new("RGB", (16, 8)).save(tmp_path / "cam1" / "1.jpg")
    monkeypatch.setattr("resight.training.report.train", stop)
    with pytest.raises(StopError), caplog.at_level("INFO", logger="resight"):
        main(["train", "ice", "--config=site", f"--data=folder={tmp_path}", f"--run={tmp_path / 'run'}"])
    said = {record.message: record.levelname for record in caplog.records}
    assert said["train: all images are from one camera; nothing can be learned across cameras"] == "WARNING"
    assert any("sub-folders are read as cameras" in text for text in said)
    assert any("these look like whole frames" in text for text in said)


def test_drawn_people_can_be_read_as_the_command_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    few = ["--people_train=1", "--cameras=2", "--crops=2", "--silhouettes=false"]
    assert main(["data", "synthesize", "nur Training", *few, "--people_test=0"]) == 0
    assert "read it as" not in capsys.readouterr().out
    assert main(["data", "synthesize", "meine Leute", *few, "--people_test=1"]) == 0
    (spec,) = shlex.split(capsys.readouterr().out.rpartition(" as ")[2])
    assert main(["data", "info", spec, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["splits"]["train"]["people"] == 1


def test_drawn_tracklets_are_described_verified_and_scored(tmp_path, capsys):
    folder = tmp_path / "video"
    asked = ["--visits=2", "--crops=3", "--crops_most=5", "--gap=2", "--tracklets=true", "--silhouettes=false"]
    few = ["--people_train=2", "--people_test=2", "--cameras=2"]
    assert main(["data", "synthesize", str(folder), *few, *asked]) == 0
    (spec,) = shlex.split(capsys.readouterr().out.rpartition(" as ")[2])
    assert spec == f"synthetic={folder}"
    assert main(["data", "info", spec, "--sheet", str(tmp_path / "sheet.png")]) == 0
    assert "tracklets" in capsys.readouterr().out
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert min(sheet.size) > 200
    assert main(["data", "info", spec, "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert (about["unit"], about["splits"]["query"]["tracklets"]) == ("tracklets", 4)
    assert main(["data", "verify", spec]) == 0
    assert "every image can be read" in capsys.readouterr().out
    encoder = ["--encoder.backbone=tf_efficientnet_lite0", "--encoder.height=64", "--encoder.width=32"]
    page = tmp_path / "page.html"
    assert main(["evaluate", f"--data={spec}", "--json", f"--page={page}", *encoder]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["scores"]["queries"] == 4
    assert report["provenance"]["unit"] == "tracklets"
    assert report["provenance"]["tracklet"]["pooling"] == "mean"
    assert page.stat().st_size > 1000

    parts = ["--tracklet.pooling=tpp", "--tracklet.sampling=random", "--tracklet.num_frames=3", f"--page={page}"]
    vectors = [f"--cache={tmp_path / 'vectors'}"]
    for distance in ("sum", "concatenated"):
        flags = [*parts, *vectors, *encoder, f"--tracklet.distance={distance}"]
        assert main(["evaluate", f"--data={spec}", "--json", *flags]) == 0
        known = json.loads(capsys.readouterr().out)["provenance"]["tracklet"]
        assert (known["sampling"], known["num_frames"], known["distance"]) == ("random", 3, distance)
        assert "Ranked lists" in page.read_text()
    assert len(list((tmp_path / "vectors").iterdir())) == 2, "another distance needs no other vectors"
    assert main(["evaluate", f"--data={spec}", *parts, "--rerank"]) == 2
    assert "set tracklet.distance to concatenated" in capsys.readouterr().err
    assert main(["evaluate", f"--data={spec}", *parts, *encoder, "--rerank", "--tracklet.distance=concatenated"]) == 2
    assert "Euclidean" not in capsys.readouterr().err, "re-ranked it could be, were there more tracklets"

    small = ["--encoder.height=64", "--encoder.width=32", "--epochs=1", "--iterations=2", "--identities=2"]
    run = f"--run={tmp_path / 'run'}"
    train = ["train", "scr", "--config=scr-smoke", f"--data={spec}", run, *small, "--tracklet.num_frames=3"]
    assert main(train) == 0
    kept = json.loads((tmp_path / "run" / "report.json").read_text())["best"]
    assert kept["provenance"]["tracklet"]["distance"] == "sum"
    assert "Ranked lists" in (tmp_path / "run" / "report.html").read_text()
    evaluated = ["evaluate", str(tmp_path / "run"), f"--data={spec}", "--json"]
    capsys.readouterr()
    assert main(evaluated) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["scores"]["mAP"] == pytest.approx(kept["scores"]["mAP"], abs=1e-6), "it is scored as the run was"
    assert (again["provenance"]["flip"], again["provenance"]["tracklet"]["num_frames"]) == (True, 3)
    assert main([*evaluated, "--flip=false", "--tracklet.num_frames=2"]) == 0
    other = json.loads(capsys.readouterr().out)["provenance"]
    assert (other["flip"], other["tracklet"]["num_frames"], other["tracklet"]["distance"]) == (False, 2, "sum")


def test_a_set_of_images_takes_no_tracklet_settings(people, capsys):
    assert main(["evaluate", f"--data=market1501={people}", "--tracklet.pooling=max"]) == 2
    assert "a set of images, not of tracklets: leave out --tracklet" in capsys.readouterr().err


# -- the demo ------------------------------------------------------------------------------------------------------


@pytest.fixture
def earlier_demo(tmp_path):
    folder = tmp_path / "demo"
    (folder / "people").mkdir(parents=True)
    (folder / "people" / "dataset.json").write_text("{}")
    (folder / "run").mkdir()
    (folder / "search.png").write_text("old")
    return folder


class StoppedError(ResightError):
    """Ends a demo where the drawing would begin."""


@pytest.fixture
def drawn(monkeypatch):
    """The settings that a demo would draw people by."""
    seen = []

    def synthesize(root, *, settings):
        seen.append(settings)
        raise StoppedError("stopped")

    monkeypatch.setattr("resight.cli.demo.synthesize", synthesize)
    return seen


def test_a_demo_replaces_an_earlier_one_and_draws_by_its_seed(earlier_demo, drawn):
    assert main(["demo", f"--folder={earlier_demo}", "--seed=7"]) == 2
    assert [settings.seed for settings in drawn] == [7]
    assert list(earlier_demo.iterdir()) == []


def test_a_demo_that_was_killed_while_drawing_can_run_again(tmp_path, drawn):
    """A kill leaves a hidden draft in a folder that is else empty, or beside what an earlier demo left."""
    (tmp_path / "demo" / f".resight-{'0' * 16}.part" / "bounding_box_train").mkdir(parents=True)
    assert main(["demo", f"--folder={tmp_path / 'demo'}"]) == 2
    assert len(drawn) == 1
    assert list((tmp_path / "demo").iterdir()) == []


def test_two_demos_do_not_share_a_folder(earlier_demo, drawn, capsys):
    with locked(earlier_demo):
        assert main(["demo", f"--folder={earlier_demo}"]) == 2
    assert "another demo runs in" in capsys.readouterr().err
    assert len(list(earlier_demo.iterdir())) == 3
    assert drawn == []


@pytest.mark.parametrize("mistake", ["--epochs=0", "--seed=-1", "--epoch=3"])
def test_a_mistake_costs_no_earlier_demo(mistake, earlier_demo, drawn):
    assert main(["demo", f"--folder={earlier_demo}", mistake]) == 2
    assert len(list(earlier_demo.iterdir())) == 3
    assert drawn == []


def test_a_demo_removes_nothing_of_yours(earlier_demo, drawn, monkeypatch, capsys):
    (earlier_demo / "thesis.tex").write_text("mine")
    monkeypatch.chdir(earlier_demo)
    for folder in (".", str(earlier_demo)):
        assert main(["demo", f"--folder={folder}"]) == 2
        assert "--folder" in capsys.readouterr().err
    assert len(list(earlier_demo.iterdir())) == 4
    assert drawn == []


# -- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "function", "resumes"),
    [
        (["demo", "--folder=x"], "resight.cli.demo.synthesize", False),
        (["train", "ice", "--data=folder=x", "--run=x"], "resight.cli.train.open_dataset", True),
    ],
)
def test_an_interrupt_promises_only_what_is_so(words, function, resumes, tmp_path, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(function, interrupt)
    assert main(words) == 130
    assert ("rerun the same command to resume" in capsys.readouterr().err) == resumes


def test_an_encoder_that_is_named_takes_no_settings(run, capsys):
    folder = str(run[0])
    assert main(["evaluate", folder, "--data=/nowhere", "--encoder.height=64"]) == 2
    assert "--encoder" in capsys.readouterr().err
    assert main(["search", "x.jpg", "--data=/nowhere", str(folder), "--encoder.height=64"]) == 2
    assert "--encoder" in capsys.readouterr().err


def test_data_info_and_verify(people, capsys):
    assert main(["data", "info", f"market1501={people}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["splits"]["train"]["people"] == 16
    assert main(["data", "verify", f"market1501={people}"]) == 0
    assert "every image can be read" in capsys.readouterr().out


def test_an_image_that_cannot_be_read_does_not_end_a_run(people, tmp_path, capsys):
    broken = sorted((people / "bounding_box_train").iterdir())[0]
    whole = broken.read_bytes()
    broken.write_bytes(whole[:100])
    try:
        assert main(["data", "verify", f"market1501={people}"]) == 1
        assert "cannot be read: 1" in capsys.readouterr().out
        folder = tmp_path / "run"
        command = ["train", "ice", *TINY, f"--data=market1501={people}", f"--run={folder}", "--epochs=1"]
        assert main(command) == 0
        assert broken.name in (folder / "report.html").read_text()
    finally:
        broken.write_bytes(whole)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["trian"], "did you mean 'train'"),
        (["train", "ise"], "did you mean 'ice'"),
        (["train", "ice"], "--data"),
        (["train", "ice", "--data=/nowhere"], "/nowhere"),
        (["train", "ice", "--cluster.epss=1"], "did you mean '--cluster.eps'"),
        (["train", "ice", "--config=sites"], "did you mean 'site'"),
        (["train", "scr", "--data=x", "--tracklet.poling=max"], "did you mean '--tracklet.pooling'"),
        (["evaluate", "--data=x", "--tracklet.num_frames=0"], "must be 1 or more, found 0"),
        (["evaluate", "--data=x", "--tracklet.sampling=evn"], "even"),
        (["evaluate", "--data=x", "--validation_people=-3"], "validation_people must be 0 or more, found -3"),
        (["evaluate", "/nowhere", "--data=/nowhere"], "no encoder at"),
        (["evaluate", "--data=x", "--flip", "maybe"], "--flip takes true, false or no value, found 'maybe'"),
        (["evaluate", "--data=x", "--flip=maybe"], "--flip must be true or false, found 'maybe'"),
        (["evaluate", "--data=x", "--encoder.weights=ImageNet"], "no weights at 'ImageNet'; did you mean 'imagenet'?"),
        (["search", "/nowhere.jpg", "--data=/nowhere"], "/nowhere.jpg"),
        (["adapt"], "--from a run folder"),
        (["adapt", "--from=/nowhere"], "--data folder=CROPS"),
        (["adapt", "--from=/nowhere", "--data=/nowhere"], "no encoder at"),
        (["adapt", "--from", "--data=/nowhere"], "--from needs a model: a run folder"),
        (["adapt", "--data=/nowhere", "--from"], "--from needs a model: a run folder"),
        (["adapt", "--data=/nowhere", "--from=a", "--start=b"], "--start is called --from now"),
        (["adapt", "--data=/nowhere", "--from=a", "--from", "b"], "--from is given twice, as 'a' and as 'b'"),
        (["adapt", "--from=x", "--data=x", "--encoder.height", "128"], "leave out --encoder.height"),
        (["adapt", "--from=x", "--data=x", "--encoder.head-width=128"], "leave out --encoder.head-width"),
        (["train", "abmt", "--data=/nowhere", "--source=/nowhere"], "/nowhere"),
        (["data", "look", "x"], "info, verify, synthesize"),
        (["data", "info"], "needs a folder"),
        (["data", "synthesize"], "a folder to draw into"),
        (["data", "synthesize", "x", "--crops=1"], "people_test"),
        (["quux"], "'quux' (known: "),
        (["train", "quux"], "'quux' (known: "),
        (["train", "ice", "--config=/nowhere/site.yaml"], "no recipe"),
    ],
)
def test_a_mistake_gets_one_line_that_says_what_to_do(words, hint, capsys):
    assert main(words) == 2
    message = capsys.readouterr().err
    assert hint in message
    assert message.count("\n") == 1
    assert "Traceback" not in message


def test_the_recipes_that_come_along_can_be_read(capsys):
    from resight.config.recipes import load_recipe, shipped_paths

    names = {path.stem: load_recipe(path).method for path in shipped_paths()}
    assert {"site", "adapt", "ice-smoke", "ice-thesis", "scr-smoke", "scr-mars"} <= set(names)
    for name, method in names.items():
        assert main(["train", method, f"--config={name}", "--print-config"]) == 0
        assert yaml.safe_load(capsys.readouterr().out)["epochs"] >= 1


def test_a_method_without_clusters_leaves_a_page_too(people, tmp_path):
    folder = tmp_path / "scr"
    small = ["--encoder.height=64", "--encoder.width=32", "--encoder.last_stride=1", "--epochs=1", "--iterations=2"]
    assert main(["train", "scr", "--config=scr-smoke", *small, f"--data=market1501={people}", f"--run={folder}"]) == 0
    assert "SCR on" in (folder / "report.html").read_text()
    assert "<h2>Why these match" in (folder / "report.html").read_text()
    assert json.loads((folder / "report.json").read_text())["last"]["provenance"]["flip"] is True
    page = tmp_path / "page.html"
    assert main(["evaluate", str(folder), f"--data=market1501={people}", f"--page={page}"]) == 0
    assert "<h2>Why these match" in page.read_text()


@pytest.mark.parametrize("head", ["a+m1", "global"])
def test_a_model_is_adapted_to_crops_without_labels_or_cameras(head, run, people, tmp_path, capsys):
    """One of branches, and the plain one of this file."""
    model = run[0]
    if head != "global":
        model = tmp_path / "model.safetensors"
        Encoder(EncoderSettings(weights="none", height=64, width=32, head=head)).save(model)
    crops = tmp_path / "crops"
    crops.mkdir()
    for image in (people / "bounding_box_train").iterdir():
        shutil.copy(image, crops / f"{image.stem[-9:]}{image.suffix}")
    small = [
        "--cluster.k1=8",
        "--cluster.pairs_per_image=1.5",
        "--cluster.min_samples=2",
        "--epochs=2",
        "--iterations=2",
    ]
    words = ["adapt", f"--from={model}", f"--data=folder={crops}", "--identities=4", *small]
    capsys.readouterr()
    assert main([*words, f"--run={tmp_path / 'adapted'}"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"clusters +│ +\d+ │ +\d+$", shown, re.M)
    assert "agreement with the epoch before" in shown
    assert "Without labels this table proves nothing" in shown
    (search,) = [line for line in shown.splitlines() if line.startswith("resight search ")]
    assert main(shlex.split(search)[1:]) == 0
    assert "Scores" not in shown
    page = (tmp_path / "adapted" / "report.html").read_text()
    assert "images in no cluster" in page
    assert "Agreement of clusters" in page
    settings = yaml.safe_load((tmp_path / "adapted" / "config.yaml").read_text())
    assert (settings["freeze_eps"], settings["weight_decay"]) == ((False, 5e-4) if head == "global" else (True, 0.0))
    kept = settings["encoder"]
    assert (kept["head"], kept["height"], kept["width"], kept["batchnorm"]) == (head, 64, 32, "frozen")


def test_a_model_of_parts_is_not_adapted(people, tmp_path, capsys):
    model = tmp_path / "model.safetensors"
    Encoder(EncoderSettings(weights="none", height=96, width=48, head="s2")).save(model)
    assert main(["adapt", f"--from={model}", f"--data=folder={people}", f"--run={tmp_path / 'run'}"]) == 2
    message = capsys.readouterr().err
    assert "a model of parts (head s2) cannot be adapted: give one of a single vector" in message
    assert "resight train ice, abmt or source" in message
    assert not (tmp_path / "run").exists()


def test_an_adaptation_with_labels_shows_how_much_it_helped(run, people, tmp_path, capsys):
    small = [
        "--cluster.k1=8",
        "--cluster.pairs_per_image=1.5",
        "--cluster.min_samples=2",
        "--epochs=1",
        "--iterations=1",
    ]
    words = ["adapt", "--from", str(run[0]), f"--data=market1501={people}", "--identities=4", *small]
    assert main([*words, f"--run={tmp_path}"]) == 0
    shown = capsys.readouterr().out
    assert "before" in shown
    assert "proves nothing" not in shown
    assert set(json.loads((tmp_path / "report.json").read_text())) == {"before", "last", "best"}


def test_the_readme_example_runs(people, tmp_path, monkeypatch, capsys):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.S)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crops").symlink_to(people / "bounding_box_train")
    shutil.copy(next((people / "query").iterdir()), tmp_path / "QUERY.jpg")
    code = code.replace('"PATH"', repr(str(people))).replace("epochs=5", "epochs=1, iterations=1, identities=4")
    code = code.replace("identities=4", "identities=4, camera_aware=False, cluster={'k1': 8}, ghost_batches=2")
    small = "encoder={'height': 64, 'width': 32}, device={'accelerator': 'cpu'}"
    exec(compile(code.replace("ghost_batches=2", f"ghost_batches=2, {small}"), "README.md", "exec"), {})
    score, *rest = capsys.readouterr().out.split("\n", 1)
    assert 0 < float(score) <= 1
    assert rest[0].count(".jpg") == 10


# -- what is written, and what is printed --------------------------------------------------------------------------


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
    found = ["search", str(crops / lines[1].split(",")[0]), data, str(run[0]), "-k", "2"]
    assert main([*found, f"--ranked_list={tmp_path / 'strip.png'}"]) == 0
    assert re.fullmatch(r"gate \d", written[2])


def test_images_without_a_camera_are_no_camera(tmp_path, draw, capsys):
    draw(tmp_path, "a.jpg", "b.jpg")
    assert main(["data", "info", f"folder={tmp_path}"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"cameras +│ +0$", shown, re.M)
    assert "no camera is known" in shown


@pytest.mark.parametrize("unit", ["images", "tracklets"])
def test_the_facts_of_a_large_set_fit_80_characters(unit, monkeypatch, capsys):
    from resight.cli.data import _print_description
    from resight.data.verify import Description, SplitFacts

    monkeypatch.setenv("COLUMNS", "80")
    facts = SplitFacts(509_914, 12_000, 100_000, 99_999, 1_261, {-1: 1, 7: 2}, (12, 1234.5, 9999), (509_915, 1_262))
    splits = dict.fromkeys(("train", "query", "gallery"), facts)
    _print_description(
        Description("mars", "/data", "same-camera", unit, False, splits, (3,), (), ("one query has no match",))
    )
    shown = capsys.readouterr().out
    for word in ("gallery", "per person", "unlabeled", "distractors", "tracklets", " 12–9,999 ", " 1,234.5 "):
        assert word in shown
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "one query has no match" in shown


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


def test_data_without_a_word_says_what_to_type(capsys):
    assert main(["data"]) == 2
    message = capsys.readouterr().err
    assert "resight data info folder=CROPS" in message
    assert "''" not in message


def test_where_labels_are_missing_their_table_is_named(tmp_path, draw, monkeypatch, capsys):
    monkeypatch.setattr("resight.cli.evaluate.Encoder", lambda _: torch.nn.Identity())
    draw(tmp_path, "hall/a.jpg", "door/b.jpg")
    for more in ([], ["--validation_people=1"]):
        assert main(["evaluate", f"--data=folder={tmp_path}", *more]) == 2
        assert "in its labels.csv" in capsys.readouterr().err
