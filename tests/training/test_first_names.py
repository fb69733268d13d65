"""What was made before settings, modules and files had their present names goes on working."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest

from resight.cli.main import main
from resight.models.encoder import load_encoder
from resight.training.train import read_recipe

MADE = Path(__file__).parents[1] / "fixtures" / "first_names"
DEVICE = ["--device.accelerator=cpu", "--device.threads=1", "--device.training=float32", "--device.inference=float32"]


@pytest.fixture
def run(tmp_path: Path, tiny_market: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder of one epoch, beside the images that it learned from."""
    shutil.copytree(MADE / "run", tmp_path / "run")
    (tmp_path / "market1501").symlink_to(tiny_market)
    monkeypatch.chdir(tmp_path)
    # Pillow's versions write the same pixels as other bytes, and the run remembers these.
    monkeypatch.setattr("resight.training.train.content_digest", lambda *_: "")
    monkeypatch.setattr("resight.training.runs.Run._check_images", lambda *_: None)
    return tmp_path / "run"


def test_a_run_resumes(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = ["train", "ice", f"--config={MADE / 'ice.yaml'}", "--data=market1501=market1501", "--epochs=2", *DEVICE]
    with caplog.at_level(logging.INFO):
        assert main([*words, "--run=run"]) == 0
    assert "run resumes after epoch 1" in caplog.text
    for old, new in (("batchnorm_chunks", "ghost_batches"), ("cluster.reading", "cluster.variant")):
        assert f"{MADE / 'ice.yaml'}: {old} is called {new} now" in caplog.text
    expected = json.loads((MADE / "second_epoch.json").read_text())
    line = json.loads((run / "metrics.jsonl").read_text().splitlines()[1])
    for name in expected.keys() - {"seconds", "images_per_second"}:
        assert line[name] == pytest.approx(expected[name], rel=1e-3, abs=1e-4), name
    config = (run / "config.yaml").read_text()
    assert "ghost_batches: 2" in config
    assert "batchnorm_chunks" not in config


def test_a_run_and_an_encoder_are_evaluated_and_searched(
    run: Path, tiny_market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = json.loads((run / "report.json").read_text())["best"]["scores"]
    for model in (run, run / "encoder-best.safetensors"):
        assert main(["evaluate", str(model), "--data=market1501=market1501", "--json", *DEVICE]) == 0
        assert json.loads(capsys.readouterr().out)["scores"]["mAP"] == pytest.approx(scores["mAP"], abs=1e-3)
    query = str(next((tiny_market / "query").iterdir()))
    assert main(["search", str(run), query, "--data=market1501=market1501", "--json", *DEVICE]) == 0
    assert len(json.loads(capsys.readouterr().out)[0]["results"]) == 10


def test_an_encoders_identity_and_origin_are_what_they_were() -> None:
    encoder = load_encoder(MADE / "run")
    assert encoder.digest() == json.loads((MADE / "run" / "report.json").read_text())["best"]["provenance"]["encoder"]
    assert encoder.provenance.license == "not needed"


def test_recipes_are_read(caplog: pytest.LogCaptureFixture) -> None:
    settings, _ = read_recipe("abmt", str(MADE / "abmt.yaml"))
    assert (settings.ghost_batches, settings.branch_reduction, settings.num_eval_images) == (2, "sum", 16)
    assert (settings.reset_optimizer, settings.freeze_eps, settings.cluster.variant) == (False, True, "abmt")
    assert "fresh_optimiser is called reset_optimizer now" in caplog.text
    settings, _ = read_recipe("ice", str(MADE / "ice.yaml"))
    assert (settings.agnostic_similarity, settings.center_cameras, settings.cluster.k_cross_camera) == ("dot", True, 2)
