"""`resight evaluate`, as a user types it: scores, pages, tracklets and missing labels."""

import json
import shlex

import numpy as np
import pytest
import torch
from PIL import Image

from resight.cli.main import main
from resight.models.encoder import EncoderSettings
from resight.numerics.distances import sum_of_part_distances
from resight.records import Features, ImageTable
from resight.retrieval.evaluation import evaluate
from resight.retrieval.ranking import rank


def test_evaluate_prints_json_and_writes_a_page(run, people, tmp_path, capsys):
    folder, _ = run
    capsys.readouterr()
    page = tmp_path / "eine Seite, ü.html"
    assert main(["evaluate", str(folder), f"--data=market1501={people}", "--json", f"--page={page}"]) == 0
    printed = json.loads(capsys.readouterr().out)
    expected = json.loads((folder / "report.json").read_text())["best"]["scores"]["mAP"]
    assert printed["scores"]["mAP"] == pytest.approx(expected, abs=1e-6)
    html = page.read_text()
    assert "Ranked lists" in html
    assert f">{100 * expected:.1f}<" in html


def test_evaluate_without_a_model_says_what_it_scores(people, capsys, caplog):
    words = ["evaluate", f"--data=market1501={people}", "--json", "--encoder.height=64", "--encoder.width=32"]
    for weights, text in (("imagenet", "ImageNet weights"), ("none", "random weights")):
        assert main([*words, f"--encoder.weights={weights}"]) == 0
        assert json.loads(capsys.readouterr().out)["scores"], "the line is logged, which goes to standard error"
        assert caplog.messages.count(f"no MODEL is named: scoring {EncoderSettings().backbone} with {text}") == 1


def test_thresholds_are_scored_in_a_table_of_their_own(run, people, tmp_path, capsys):
    folder, _ = run
    capsys.readouterr()
    words = ["evaluate", str(folder), f"--data=market1501={people}", "--thresholds"]
    page = tmp_path / "page.html"
    assert main([*words, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert 0 <= scores["EER"] <= 1
    assert 0 <= scores["TAR@0.1%"] <= scores["TAR@1%"] <= 1
    assert main([*words, f"--page={page}"]) == 0
    printed = capsys.readouterr().out
    assert f"{100 * scores['EER']:.1f}" in printed.partition("One threshold")[2]
    assert "EER" not in printed.partition("One threshold")[0]
    assert page.read_text().count("TAR@1%") == 1


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
        ranking = rank(queries, gallery, rerank=re_ranking, k=60)
        right = gallery.table.person_ids[ranking.indices] == queries.table.person_ids[:, None]
        report = evaluate(queries, gallery, rerank=re_ranking)
        np.testing.assert_array_equal(right.argmax(1), report.per_query["first_rank"])
        first[re_ranking] = right.argmax(1).tolist()
    assert first[False] != first[True]
    ranking = rank(queries, gallery, k=60, distance_fn=sum_of_four)
    right = gallery.table.person_ids[ranking.indices] == queries.table.person_ids[:, None]
    report = evaluate(queries, gallery, distance_fn=sum_of_four)
    np.testing.assert_array_equal(right.argmax(1), report.per_query["first_rank"])
    assert first[False] != right.argmax(1).tolist()


def test_drawn_tracklets_are_described_verified_and_scored(tmp_path, capsys):
    folder = tmp_path / "video"
    tracklets = ["--visits=2", "--crops=3", "--crops_most=5", "--gap=2", "--tracklets=true", "--silhouettes=false"]
    few = ["--people_train=2", "--people_test=2", "--cameras=2"]
    assert main(["data", "synthesize", str(folder), *few, *tracklets]) == 0
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


def test_where_labels_are_missing_their_table_is_named(tmp_path, draw, monkeypatch, capsys):
    monkeypatch.setattr("resight.cli.evaluate.Encoder", lambda _: torch.nn.Identity())
    draw(tmp_path, "hall/a.jpg", "door/b.jpg")
    for more in ([], ["--validation_people=1"]):
        assert main(["evaluate", f"--data=folder={tmp_path}", *more]) == 2
        assert "in its labels.csv" in capsys.readouterr().err


def test_a_set_of_two_cameras_from_its_description_to_average_scores(draw, tmp_path, capsys, caplog):
    root = draw(tmp_path, *(f"cam_{camera}/{person:03}_0.bmp" for person in range(6) for camera in "ab"))
    assert main(["data", "info", str(root)]) == 0
    assert "has the layout of viper and is read as it" in " ".join(capsys.readouterr().out.split())
    words = ["evaluate", f"--data=viper={root}", "--encoder.weights=none", "--encoder.height=64", "--encoder.width=32"]
    assert main([*words, "--trials=3"]) == 0
    table = capsys.readouterr().out
    assert "viper, mean of 3 trials" in table
    assert "standard deviation" in table
    assert "trials: the splits 0 to 2" in caplog.messages
    assert main([*words, "--trials=2", "--json"]) == 0
    provenance = json.loads(capsys.readouterr().out)["provenance"]
    assert [trial["notes"].count("split 1 of 10") for trial in provenance["trials"]] == [0, 1]
    for flag, message in (
        ("--trials=11", "viper has 10 splits, found 11 trials"),
        ("--trials=-1", "trials must be"),
        ("--adapt_statistics=true", "adapt_statistics is for one split, and trials averages several"),
        ("--validation_people=all", "validation_people is for one split"),
        ("--page=x.html", "page is for one split"),
    ):
        more = [] if flag.startswith("--trials") else ["--trials=2"]
        assert main([*words, *more, flag]) == 2
        assert message in capsys.readouterr().err
