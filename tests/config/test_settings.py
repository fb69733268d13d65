"""Recipes and flags become settings, settings become recipes, and mistakes name themselves."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path
from typing import Any

import pytest
from docstring_parser import parse as parse_docstring

from resight.compute.devices import DeviceSettings
from resight.config.recipes import RECIPES, find_recipe, load_recipe, shipped_paths
from resight.config.settings import flags_of, read_settings, write_settings
from resight.data.transforms import AugmentSettings
from resight.errors import ConfigError
from resight.methods import METHODS
from resight.methods.ice_settings import VARIANTS, ICESettings
from resight.models.encoder import EncoderSettings
from resight.numerics.clustering import ClusterSettings
from resight.training.train import TrainSettings

CLASSES = [TrainSettings, ICESettings]


def read(*arguments: str) -> tuple[TrainSettings, ICESettings]:
    options, settings = read_settings(arguments, CLASSES, variants=VARIANTS)
    return options, settings


def recipe(folder: Path, text: str, name: str = "recipe.yaml") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def refused(*arguments: str) -> str:
    with pytest.raises(ConfigError) as error:
        read(*arguments)
    message = str(error.value)
    assert "\n" not in message
    return message


def flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    found = {}
    for f in dataclasses.fields(settings):
        value = getattr(settings, f.name)
        found |= flat(value, f"{prefix}{f.name}.") if dataclasses.is_dataclass(value) else {prefix + f.name: value}
    return found


# -- where a value comes from --------------------------------------------------------------------------------------


def test_nothing_given_gives_the_dataclasses_defaults() -> None:
    assert read() == (TrainSettings(), ICESettings())


def test_flags_win_over_later_recipes_over_earlier_ones_over_defaults(tmp_path: Path) -> None:
    first = recipe(tmp_path, "epochs: 3\niterations: 5\nidentities: 6\n", "first.yaml")
    second = recipe(tmp_path, "iterations: 7\nidentities: 9\n", "second.yaml")
    _, settings = read("--identities", "11", "--config", first, f"--config={second}")
    assert (settings.epochs, settings.iterations, settings.identities, settings.images) == (3, 7, 11, 4)


def test_a_recipe_nests_where_a_flag_has_dots(tmp_path: Path) -> None:
    path = recipe(
        tmp_path, "cluster:\n  eps: 0.4\n  k1: 25\nencoder: {height: 128}\naugment:\n  blur_sigma: [0.2, 1]\n"
    )
    options, settings = read("--config", path, "--cluster.k1=21", "--encoder.width", "64", "--device.threads", "2")
    assert settings.cluster == ClusterSettings(eps=0.4, k1=21)
    assert settings.encoder == dataclasses.replace(ICESettings().encoder, height=128, width=64)
    assert settings.augment == AugmentSettings(blur_sigma=(0.2, 1.0))
    assert options.device == DeviceSettings(threads=2)


def test_hyphens_mean_underscores_in_flags() -> None:
    hyphens = read("--validation-people", "6", "--cluster.min-samples=3", "--data", "folder=a-b_c", "--run=x-y")
    underscores = read("--validation_people", "6", "--cluster.min_samples=3", "--data", "folder=a-b_c", "--run=x-y")
    assert hyphens == underscores
    assert hyphens[0].validation_people == 6
    assert (hyphens[0].data, hyphens[0].run) == ("folder=a-b_c", "x-y")


def test_numbers_in_scientific_notation_none_and_switches(tmp_path: Path) -> None:
    path = recipe(tmp_path, "learning_rate: 1e-3\ncluster:\n  rho: 2e-3\ncamera_aware: false\n")
    _, settings = read("--config", path)
    assert (settings.learning_rate, settings.cluster.rho, settings.camera_aware) == (1e-3, 2e-3, False)
    _, settings = read("--config", path, "--cluster.rho", "null", "--camera_aware=true")
    assert (settings.cluster.rho, settings.camera_aware) == (None, True)


def test_a_switch_alone_is_on() -> None:
    assert read("--flip")[0].flip
    assert read("--flip", "--epochs=3")[0].flip
    assert not read("--flip", "false")[0].flip
    assert read("--data", "flip", "--run=x")[0].data == "flip"
    assert "expected one argument" in refused("--data")


def test_what_yaml_takes_for_a_date_stays_text(tmp_path: Path) -> None:
    options, _ = read("--config", recipe(tmp_path, "run: 2024-05-01\n"))
    assert options.run == "2024-05-01"


def test_the_settings_are_printed_and_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--epochs=3", "--data=folder=Straße", "--cluster.eps=0.4")
    for flag in ("--print_config", "--print-config"):
        with pytest.raises(SystemExit) as stop:
            read(*asked, flag)
        assert not stop.value.code
    first, second = (text for text in capsys.readouterr().out.split("data:") if text)
    assert first == second
    assert read("--config", recipe(tmp_path, f"data:{first}")) == read(*asked)


# -- variants ------------------------------------------------------------------------------------------------------


def test_the_thesis_variant_changes_exactly_what_it_says() -> None:
    options, settings = read("--variant", "thesis")
    code = flat(read("--variant=code")[1])
    thesis = flat(settings)
    assert options.variant == "thesis"
    assert {name: value for name, value in thesis.items() if code[name] != value} == VARIANTS["thesis"]
    assert code == flat(ICESettings())


@pytest.mark.parametrize("name", VARIANTS["thesis"])
def test_every_change_of_the_variant_is_a_change(name: str) -> None:
    assert getattr(ICESettings(), name) != VARIANTS["thesis"][name]


def test_recipes_and_flags_win_over_the_variant(tmp_path: Path) -> None:
    path = recipe(tmp_path, "variant: thesis\nbatchnorm_chunks: 2\n")
    options, settings = read("--config", path, "--label_smoothing", "0.3")
    assert options.variant == "thesis"
    assert (settings.ghost_batches, settings.label_smoothing, settings.shuffle) == (2, 0.3, False)


def test_an_unknown_variant_names_the_known_ones() -> None:
    assert "code, thesis" in refused("--variant", "thesiss")


# -- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("epoch", "epochs"), ("cluster.epss", "cluster.eps"), ("encoder.backbones", "encoder.backbone")],
)
def test_an_unknown_key_names_the_nearest(wrong: str, right: str, tmp_path: Path) -> None:
    assert f"did you mean '--{right}'?" in refused(f"--{wrong}", "3")
    assert f"did you mean '--{right}'?" in refused(f"--{wrong}=3")
    group, _, name = wrong.rpartition(".")
    path = recipe(tmp_path, f"{group}:\n  {name}: 3\n" if group else f"{name}: 3\n")
    message = refused("--config", path)
    assert f"did you mean '{right}'" in message
    assert path in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", "many"),
        ("epochs", "2.5"),
        ("cluster.eps", "wide"),
        ("camera_aware", "maybe"),
        ("select", "luck"),
        ("encoder.pooling", "median"),
        ("augment.blur_sigma", "[1, 2, 3]"),
        ("cluster", "3"),
    ],
)
def test_a_value_of_the_wrong_kind_is_one_line_that_names_the_key(key: str, value: str, tmp_path: Path) -> None:
    assert key in refused(f"--{key}", value)
    group, _, name = key.rpartition(".")
    path = recipe(tmp_path, f"{group}:\n  {name}: {value}\n" if group else f"{name}: {value}\n")
    assert key in refused("--config", path)


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--cluster.method=kmean", "must be one of dbscan, kmeans, found 'kmean'; did you mean 'kmeans'?"),
        ("--camera_aware=maybe", "must be true or false, found 'maybe'"),
        ("--epochs=many", "must be a whole number, found 'many'"),
        ("--epochs=2.5", "must be a whole number, found '2.5'"),
        ("--cluster.eps=wide", "must be a number or auto, found 'wide'"),
        ("--cluster.rho=wide", "must be a number or null, found 'wide'"),
        ("--augment.blur_sigma=3", "must be a list such as [0.5, 0.5], found '3'"),
        ("--augment.blur_sigma=[1, 2, 3]", "must be a list such as [0.5, 0.5], found '[1, 2, 3]'"),
    ],
)
def test_a_value_of_the_wrong_kind_says_in_plain_words_what_it_must_be(flag: str, words: str, tmp_path: Path) -> None:
    assert refused(*flag.split("=")) == refused(flag) == f"{flag.partition('=')[0]} {words}"
    key, _, value = flag[2:].partition("=")
    group, _, name = key.rpartition(".")
    path = recipe(tmp_path, f"{group}:\n  {name}: {value}\n" if group else f"{name}: {value}\n")
    assert refused("--config", path) == f"{path}: {key} {words}"
    assert refused("--cluster.eps=") == "--cluster.eps must be a number or auto, found ''"


def test_a_group_in_place_of_a_setting_names_one_of_its_settings(tmp_path: Path) -> None:
    words = "cluster is a group of settings: name one of them,"
    assert refused("--cluster", "0.5") == f"--{words} --cluster.method for example"
    path = recipe(tmp_path, "cluster: 0.5\n")
    assert refused("--config", path) == f"{path}: {words} cluster.method for example"


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--epochs=0", "epochs must be 1 or more, found 0"),
        ("--momentum=1.5", "momentum must be in 0..1, found 1.5"),
        ("--identities=1", "identities must be 2 or more"),
        ("--soft_temperature=0", "soft_temperature must be above 0"),
        ("--cluster.eps=1.5", "eps must be in (0, 1), found 1.5"),
        ("--cluster.rho=3", "rho must be in (0, 1)"),
        ("--augment.flip=2", "augment.flip must be in 0..1, found 2"),
        ("--encoder.height=8", "32 or more"),
        ("--device.processes=0", "1 or more"),
        ("--validation_people=-1", "0 or more"),
        ("--seed=-1", "seed must be 0 or more"),
        ("--select=validation", "set validation_people"),
    ],
)
def test_a_value_out_of_range_says_so(flag: str, words: str) -> None:
    assert words in refused(flag)


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay", "warmup_epochs"])
def test_numbers_below_zero_are_refused(name: str) -> None:
    assert name in refused(f"--{name}=-1")


def test_a_recipe_that_is_none(tmp_path: Path) -> None:
    assert "not YAML" in refused("--config", recipe(tmp_path, "epochs: [1\nb: {", "broken.yaml"))
    assert "names and values" in refused("--config", recipe(tmp_path, "- 1\n- 2\n", "list.yaml"))
    assert "no recipe" in refused("--config", str(tmp_path / "absent.yaml"))
    assert "needs a recipe" in refused("--config")
    assert read("--config", recipe(tmp_path, "", "empty.yaml")) == read()


def test_a_recipe_says_a_setting_once(tmp_path: Path) -> None:
    message = refused("--config", recipe(tmp_path, "cluster: {eps: 0.4}\ncluster.eps: 0.5\n"))
    assert "recipe.yaml: cluster.eps appears twice, in a group and with a dot" in message


def test_a_recipe_of_nothing_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = recipe(tmp_path, "# nothing yet\n")
    assert read("--config", path) == read()
    assert f"{path} sets nothing" in caplog.text


def test_a_value_out_of_range_names_its_group(tmp_path: Path) -> None:
    assert refused("--config", recipe(tmp_path, "encoder: {height: 3}\n")).startswith("encoder.height must be 32 or")
    assert refused("--cluster.k1", "-3").startswith("cluster.k1 must be")


def test_a_recipe_that_comes_along_is_found_by_name_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("site", "site.yaml", "recipes/site.yaml")
    assert len({find_recipe(name) for name in names}) == 1
    for other in (tmp_path / "site.yaml", Path("mine/site.yaml"), Path("site.yml")):
        assert "no recipe" in refused("--config", str(other))
    monkeypatch.setenv("HOME", str(tmp_path))
    recipe(tmp_path, "epochs: 3\n", "own.yaml")
    assert read("--config=~/own.yaml")[1].epochs == 3


def test_a_mistyped_recipe_names_the_nearest() -> None:
    known = [path.stem for path in shipped_paths()]
    assert known
    for name in known:
        with pytest.raises(ConfigError, match=f"did you mean '{name}'"):
            find_recipe(f"{name}x")


def test_a_recipe_that_is_not_known_is_answered_shortly() -> None:
    message = refused("--config", "sites")
    assert message.startswith("no recipe 'sites'; did you mean 'site'?")
    assert str(RECIPES) in message
    assert "scr-" not in message, "not all names"
    assert refused("--config", "nofile.yaml") == "no recipe 'nofile.yaml': there is no such file"
    assert refused("--config", "recipes/scr-no") == "no recipe 'recipes/scr-no': there is no such file"


def test_a_recipe_of_another_method_says_whose_it_is(tmp_path: Path) -> None:
    spec = METHODS["mmt"]

    def refused_by_mmt(name: str) -> str:
        classes, variants = [TrainSettings, spec.settings], spec.variants
        with pytest.raises(ConfigError) as error:
            read_settings(["--config", name], classes, program="resight train mmt", variants=variants)
        return str(error.value)

    message = refused_by_mmt("site")
    assert message.startswith("site is a recipe of ice (resight train ice --config site): ")
    assert message.endswith(" is no setting of resight train mmt")
    own = recipe(tmp_path, "method: mmt\nwarmup_epochs: 3\n", "own.yaml")
    assert refused_by_mmt(own).startswith(f"{own}: warmup_epochs is not a setting")


# -- writing -------------------------------------------------------------------------------------------------------


def test_written_settings_read_back_the_same(tmp_path: Path) -> None:
    options = TrainSettings(
        data="folder=/a b/c: d#e",
        run="läuft/0123",
        start="null",
        validation_people=3,
        eval_every=2,
        select="validation",
        device=DeviceSettings(threads=3, inference="bfloat16"),
    )
    settings = ICESettings(
        encoder=EncoderSettings(backbone="1e3", weights="true", height=64, pooling="gem"),
        cluster=ClusterSettings(rho=2e-3, k1=21),
        augment=AugmentSettings(erase_color=(0.0, 1e-7, 1.0)),
        learning_rate=1e-5,
        camera_aware=False,
    )
    for pair in ((options, settings), (TrainSettings(), ICESettings())):
        text = write_settings(pair, heading="two\nlines")
        assert text.startswith("# two\n# lines\n")
        assert read("--config", recipe(tmp_path, text)) == pair


def test_a_written_variant_keeps_its_values(tmp_path: Path) -> None:
    pair = read("--variant", "thesis", "--label_smoothing", "0.2")
    assert read("--config", recipe(tmp_path, write_settings(pair))) == pair


def test_every_written_line_says_what_it_means() -> None:
    for line in write_settings([TrainSettings(), ICESettings()]).splitlines():
        _, hash_sign, meaning = line.partition("  # ")
        assert hash_sign, line
        assert len(meaning) > 3, line


def settings_classes() -> list[type]:
    waiting: list[type] = [TrainSettings, *(spec.settings for spec in METHODS.values())]
    found: list[type] = []
    while waiting:
        kind = waiting.pop()
        if kind not in found:
            found.append(kind)
            waiting += [hint for hint in typing.get_type_hints(kind).values() if dataclasses.is_dataclass(hint)]
    return found


@pytest.mark.parametrize("kind", settings_classes(), ids=lambda kind: kind.__name__)
def test_every_field_is_documented_and_nothing_else_is(kind: type) -> None:
    texts = [base.__doc__ or "" for base in kind.__mro__]  # what builds on other settings is documented there
    documented = {p.arg_name: (p.description or "").strip() for text in texts for p in parse_docstring(text).params}
    assert set(documented) == {f.name for f in dataclasses.fields(kind)}
    assert all(documented.values())
    assert kind.__dataclass_params__.frozen


@pytest.mark.parametrize("path", shipped_paths(), ids=lambda path: path.stem)
def test_every_recipe_that_comes_along_can_be_read(path: Path) -> None:
    for method in load_recipe(path).methods:
        spec = METHODS[method]
        by_name, by_path = (
            read_settings(["--config", name], [TrainSettings, spec.settings], variants=spec.variants)
            for name in (path.stem, str(path))
        )
        assert by_name == by_path


def test_settings_of_a_file_are_flags_for_another_command(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("flip: true\nseed: 3\ntracklet: {frames: 4, sampling: even}\n")
    assert flags_of(path, "flip", "tracklet", "absent") == [
        "--flip=true",
        "--tracklet.num_frames=4",
        "--tracklet.sampling=even",
    ]
    path.write_text("flip: [")
    with pytest.raises(ConfigError, match="is not YAML") as error:
        flags_of(path, "flip")
    assert "\n" not in str(error.value)


def test_a_missing_file_of_ones_own_is_no_recipe_of_the_installation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no recipe './site.yaml': there is no such file" in refused("--config", "./site.yaml")
    assert not caplog.messages
    read("--config", "site.yaml")
    assert "there is no file site.yaml here: the recipe site of the installation is used" in caplog.messages
    caplog.clear()
    read("--config", "site")
    recipe(tmp_path, "epochs: 3\n", "site.yaml")
    read("--config", "site.yaml")
    assert not caplog.messages
