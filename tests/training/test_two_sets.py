"""`train()` from the model of another set, or with labels of a source."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from PIL import Image, ImageOps
from small_run import SETTINGS, options

from messages import one_line
from resight.data.catalog import load_dataset
from resight.data.dataset import Dataset
from resight.errors import ConfigError
from resight.methods.abmt_settings import ABMTSettings
from resight.methods.mean_teacher import MMTSettings
from resight.methods.source import SourceSettings
from resight.models.encoder import Encoder, EncoderSettings
from resight.numerics.clustering import ClusterSettings
from resight.training.train import Trained, train

LITE = EncoderSettings(weights="none", height=64, width=32, head="a+m1")


def other_domain(tiny_market: Path, folder: Path) -> Path:
    """The made-up people in other colors, half as large, and only some of them."""
    for path in sorted(tiny_market.rglob("*.png")):
        if int(path.name[:4]) % 4:
            copy = folder / path.relative_to(tiny_market)
            copy.parent.mkdir(parents=True, exist_ok=True)
            ImageOps.invert(Image.open(path)).resize((16, 32)).save(copy)
    return folder


def test_a_model_of_one_set_is_adapted_to_another(dataset: Dataset, tiny_market: Path, tmp_path: Path) -> None:
    other = other_domain(tiny_market, tmp_path / "other")
    first = SourceSettings(encoder=LITE, epochs=1, iterations=2, identities=4, warmup_epochs=0, ghost_batches=2)
    how = options(tmp_path / "source", source=f"market1501={other}")
    source = train("source", dataset, first, how)
    assert source.metrics[0]["people"] == 6, "those of the source; the target has 8"
    assert source.reports["last"].scores["queries"] == 12, "scored on the target"
    assert source.encoder.settings == LITE

    cluster = ClusterSettings(k1=12, variant="abmt", rho=0.05, min_samples=2, source_weight=0.1)
    plain = EncoderSettings(weights="none", height=64, width=32)
    few = {"epochs": 1, "iterations": 2, "identities": 4, "ghost_batches": 1, "num_eval_images": 10}
    second = ABMTSettings(encoder=plain, cluster=cluster, **few)
    how = options(tmp_path / "abmt", source=f"market1501={other}", start=str(source.folder))
    adapted = train("abmt", dataset, second, how)
    assert adapted.encoder.settings.head == "a+m1", "the build is that of the start"
    before = {name: source.reports["best"].scores[name] for name in ("mAP", "rank-1")}
    assert {name: adapted.reports["before"].scores[name] for name in before} == pytest.approx(before, abs=1e-6)
    assert adapted.metrics[0]["clusters"] >= 2
    assert adapted.metrics[0]["true_people"] == 8
    # A data set in place of its name.
    again = train(
        "abmt",
        dataset,
        second,
        options(tmp_path / "b", start=str(source.folder)),
        source=load_dataset("market1501", other),
    )
    assert again.encoder.digest() == adapted.encoder.digest()
    with pytest.raises(ConfigError, match="give --source NAME=PATH"):
        train("abmt", dataset, second, options(tmp_path / "c", start=str(source.folder)))


def test_a_start_from_images_of_another_size_is_warned_of(
    trained: Trained, dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    larger = dataclasses.replace(SETTINGS, epochs=1, encoder=dataclasses.replace(SETTINGS.encoder, height=96, width=48))
    start = str(trained.folder)
    train("ice", dataset, dataclasses.replace(SETTINGS, epochs=1), options(tmp_path / "a", start=start))
    assert "--encoder.height" not in caplog.text
    assert "keeps the settings that it is built by" not in caplog.text
    train("ice", dataset, larger, options(tmp_path / "b", start=start))
    (warning,) = (record.message for record in caplog.records if "--encoder.height" in record.message)
    assert "images of 64 x 32" in warning
    assert warning.endswith("add --encoder.height 64 --encoder.width 32")


def test_a_start_that_is_built_otherwise_than_asked_is_said(
    trained: Trained, dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pooled = dataclasses.replace(SETTINGS.encoder, head="p2", pooling="max")
    settings = dataclasses.replace(SETTINGS, epochs=1, encoder=pooled)
    train("ice", dataset, settings, options(tmp_path / "a", start=str(trained.folder)))
    (warning,) = (
        record.message for record in caplog.records if "keeps the settings that it is built by" in record.message
    )
    assert warning.endswith(": pooling average (requested: max), head global (requested: p2)")


def test_the_two_networks_of_mmt_start_from_two_encoders(trained: Trained, dataset: Dataset, tmp_path: Path) -> None:
    encoder = dataclasses.replace(SETTINGS.encoder, head="global")
    cluster = ClusterSettings(k1=12, variant="abmt", rho=0.05, min_samples=2)
    few = {"epochs": 1, "iterations": 1, "identities": 4, "ghost_batches": 1, "num_eval_images": 8}
    settings = MMTSettings(encoder=encoder, cluster=cluster, **few)
    last, best = (str(trained.folder / f"encoder-{which}.safetensors") for which in ("last", "best"))
    run = train("mmt", dataset, settings, options(tmp_path / "a", start=f"{last}, {best}"))
    assert run.metrics[0]["teacher_distance"] >= 0
    for start, words in (
        (f"{last},{best},{last}", "one encoder, or two with a comma"),
        (f"{last},", "one encoder, or two with a comma"),
    ):
        with pytest.raises(ConfigError, match=words) as error:
            train("mmt", dataset, settings, options(tmp_path / "b", start=start))
        one_line(error)
    one = dataclasses.replace(settings, networks=1)
    with pytest.raises(ConfigError, match="set networks to 2"):
        train("mmt", dataset, one, options(tmp_path / "c", start=f"{last},{best}"))
    with pytest.raises(ConfigError, match="ice takes no second encoder"):
        train("ice", dataset, SETTINGS, options(tmp_path / "d", start=f"{last},{best}"))
    other = tmp_path / "other.safetensors"
    Encoder(dataclasses.replace(encoder, head="a+m")).save(other)
    with pytest.raises(ConfigError, match="built differently"):
        train("mmt", dataset, settings, options(tmp_path / "e", start=f"{last},{other}"))


def test_a_method_that_knows_no_source_refuses_one(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ice takes no images of a source: leave --source out") as error:
        train("ice", dataset, SETTINGS, options(tmp_path, source="market1501=/nowhere"))
    one_line(error)
    with pytest.raises(ConfigError, match="scr takes no images of a source"):
        train("scr", dataset, None, options(tmp_path), source=dataset)


def test_a_source_weight_without_a_source_is_warned_of(
    dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = dataclasses.replace(SETTINGS, epochs=1, cluster=ClusterSettings(k1=12, source_weight=0.1))
    train("ice", dataset, settings, options(tmp_path / "weighted"))
    warnings = [record.getMessage() for record in caplog.records if "source_weight" in record.getMessage()]
    assert warnings == ["cluster.source_weight has no effect: this training has no source"]
    caplog.clear()
    train("ice", dataset, dataclasses.replace(SETTINGS, epochs=1), options(tmp_path / "plain"))
    assert "source_weight" not in caplog.text
