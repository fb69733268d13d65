"""Flags as people type them are pointed at ours, all at once."""

from __future__ import annotations

import pytest

from resight.cli.evaluate import EvaluateSettings
from resight.cli.search import SearchSettings
from resight.config.hints import hint
from resight.config.settings import read_settings
from resight.errors import ConfigError
from resight.methods.ice_settings import VARIANTS, ICESettings
from resight.models.backbones import build_backbone
from resight.training.train import TrainSettings

TRAIN = [TrainSettings, ICESettings]


def refused(classes: list[type], *words: str) -> str:
    with pytest.raises(ConfigError) as error:
        read_settings(words, classes, variants=VARIANTS if classes is TRAIN else None)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("eps", "--cluster.eps"), ("weights", "--encoder.weights"), ("height", "--encoder.height"),
        ("lr", "--learning_rate"), ("base-lr", "--learning_rate"), ("wd", "--weight_decay"),
        ("batch_size", "--identities' and '--images"), ("bs", "--identities' and"), ("b", "--identities' and"),
        ("gpu", "--device.accelerator"), ("cuda", "--device.accelerator"), ("workers", "--device.threads"),
        ("j", "--device.threads"), ("output", "--run"), ("save_dir", "--run"), ("logs-dir", "--run"),
        ("dataset", "--data"), ("root", "--data"), ("path", "--data"), ("model", "--from"), ("checkpoint", "--from"),
        ("resume", "--from"), ("arch", "--encoder.backbone"), ("a", "--encoder.backbone"),
        ("temp", "--cross_temperature"), ("num_epochs", "--epochs"), ("max-epoch", "--epochs"), ("epoch", "--epochs"),
        ("optim.lr", "--learning_rate"), ("epohcs", "--epochs"), ("backbon", "--encoder.backbone"),
        ("num_instances", "--images"), ("min_points", "--cluster.min_samples"), ("cfg", "--config"),
        ("encoder.name", "--encoder.backbone"), ("MODEL.BACKBONE.NAME", "--encoder.backbone"),
        ("device.name", "--device.accelerator"), ("MODEL.DEVICE_ID", "--device.accelerator"), ("name", "--run"),
        ("SOLVER.BASE_LR", "--learning_rate"), ("d", "--data"), ("device.gpu", "--device.accelerator"),
        ("LR", "--learning_rate"), ("img_size", "--encoder.height' and"), ("fp16", "--device.training"),
    ],
)  # fmt: skip
def test_usual_words_are_pointed_at_ours(typed: str, meant: str) -> None:
    assert f"did you mean '{meant}" in refused(TRAIN, f"--{typed}", "1")
    assert f"did you mean '{meant}" in refused(TRAIN, f"--{typed}=1")


def test_a_hint_names_only_what_the_command_has() -> None:
    assert "--k" in refused([SearchSettings], "--topk", "5")
    assert "'--encoder.backbone'" in refused([SearchSettings], "--model", "x")
    assert "'--encoder.height'" in refused([SearchSettings], "--height", "256")
    assert "'--page'" in refused([EvaluateSettings], "--output", "x")
    assert refused(TRAIN, "--zzzzqqq", "1") == "--zzzzqqq is not a setting; --help_all lists all"
    assert hint("anything", []) == ""
    assert "did you mean" not in refused(TRAIN, "--optimizer.name", "x"), "the name of something else is no run"
    assert hint("epochs.a", ["encoder.backbone", "epochs"]) == "'epochs'", "a single value holds no others"
    assert hint("print_config", ["epochs"]) == "", "a recipe names no recipe"


def test_all_unknown_flags_of_a_call_are_said_at_once() -> None:
    message = refused(TRAIN, "--eps", "0.5", "--epochs=2", "--lr=1", "-zzqq", "--gpu")
    for part in (
        "--eps (did you mean '--cluster.eps'?)",
        "--lr (did you mean '--learning_rate'?)",
        "--zzqq",
        "--gpu (",
    ):
        assert part in message
    assert message.endswith(" are no settings")
    assert "and 90 more" in refused(TRAIN, *(f"--zz{number}" for number in range(100)))


def test_what_belongs_to_no_flag_is_said() -> None:
    assert refused(TRAIN, "folder=crops").startswith("'folder=crops' belongs to no flag")
    assert refused(TRAIN, "--epochs", "2", "3").startswith("'3' belongs to no flag")


@pytest.mark.parametrize("name", ["data", "source", "run", "from"])
def test_a_second_place_is_refused_unless_it_is_the_same(name: str) -> None:
    message = refused(TRAIN, f"--{name}", "folder=a", f"--{name}=folder=b")
    assert message.startswith(f"--{name} is given twice, as 'folder=a' and as 'folder=b'")
    (options, _) = read_settings([f"--{name}=folder=a", f"--{name}=folder=./a"], TRAIN, variants=VARIANTS)
    assert getattr(options, {"from": "start"}.get(name, name)) == "folder=./a"


def test_of_numbers_given_twice_the_last_wins() -> None:
    (_, settings) = read_settings(["--epochs", "1", "--epochs", "3"], TRAIN, variants=VARIANTS)
    assert settings.epochs == 3


@pytest.mark.parametrize(
    ("flag", "meant"),
    [
        ("--device.accelerator=gpu", "cuda"),
        ("--device.training=fp16", "bfloat16"),
        ("--encoder.pooling=avg", "average"),
        ("--cluster.method=kmean", "kmeans"),
        ("--variant=Thesis", "thesis"),
    ],
)
def test_usual_values_are_pointed_at_ours(flag: str, meant: str) -> None:
    assert refused(TRAIN, flag).endswith(f"; did you mean '{meant}'?")


def test_a_resumed_run_is_told_how_runs_go_on() -> None:
    assert "rerun the same command to resume" in refused(TRAIN, "--resume", "runs/x")


@pytest.mark.parametrize(
    ("name", "said"),
    [("resnet50_ibn", "resnet50_ibn_a"), ("ResNet-50", "resnet50"), ("vit", "vit_"), ("mudeep", "tf_efficientnet")],
)
def test_an_unknown_backbone_is_told_what_there_is(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match="no backbone is called") as error:
        build_backbone(name, weights="none")
    assert said in str(error.value)
    assert "ghostnet" not in str(error.value)
