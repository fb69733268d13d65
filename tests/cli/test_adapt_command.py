"""`resight adapt`, as a user types it, with and without labels."""

import json
import re
import shlex
import shutil

import pytest
import yaml

from resight.cli.main import main
from resight.errors import RunError
from resight.models.encoder import Encoder, EncoderSettings, load_encoder


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


def test_without_a_model_that_of_the_installation_is_adapted(people, monkeypatch, caplog):
    seen = []

    def stop(*arguments):
        seen.append(arguments)
        raise RunError("stopped")

    monkeypatch.setattr("resight.cli.adapt.train_and_print", stop)
    with caplog.at_level("INFO", "resight"):
        assert main(["adapt", f"--data=market1501={people}"]) == 2
    assert any("no --from: adapting 'synthetic', the model of the installation" in line for line in caplog.messages)
    ((method, _, settings, options),) = seen
    shipped = load_encoder("synthetic").settings
    assert (method, options.start) == ("mean_teacher", "synthetic")
    assert (settings.encoder.size, settings.encoder.head) == (shipped.size, shipped.head)


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
