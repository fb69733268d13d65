"""Every value of every settings class is of its type and can be computed with, whoever made the settings."""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import Any

import numpy as np
import pytest

from resight.config.types import LARGEST_COUNT, kinds, value_of
from resight.errors import ConfigError
from resight.methods import METHODS
from resight.methods.ice_settings import ICESettings
from resight.methods.scr import SCRSettings
from resight.methods.source import SourceSettings
from resight.models.encoder import EncoderSettings
from resight.numerics.clustering import ClusterSettings
from resight.synthetic import SyntheticSettings
from resight.training.train import TrainSettings


def classes() -> list[type]:
    waiting: list[type] = [TrainSettings, SyntheticSettings, *(spec.settings for spec in METHODS.values())]
    found: list[type] = []
    while waiting:
        kind = waiting.pop()
        if kind not in found:
            found.append(kind)
            waiting += [hint for hint in kinds(kind).values() if dataclasses.is_dataclass(hint)]
    return found


def wrong(kind: Any) -> list[Any]:
    """Values that a field of a type must not take."""
    if dataclasses.is_dataclass(kind):
        return [None, 3]
    if typing.get_origin(kind) is tuple:
        return (
            [3.0, "x", (math.nan,) * 2, (math.nan,) * 3, ()] if Ellipsis not in typing.get_args(kind) else [3, ("x",)]
        )
    by_kind = {
        bool: [None, 1, "yes"],
        int: [2.5, "3", None, True, LARGEST_COUNT + 1],
        float: [math.nan, math.inf, -math.inf, "0.5", None],
        str: [3, None],
    }
    return by_kind.get(kind, [object(), "no such thing"])


@pytest.mark.parametrize("settings", classes(), ids=lambda kind: kind.__name__)
def test_no_field_takes_what_is_not_of_its_type_or_not_finite(settings: type) -> None:
    fields = kinds(settings)
    assert len(fields) > 4
    for name, kind in fields.items():
        for value in wrong(kind):
            if name.endswith("seed") and value == LARGEST_COUNT + 1:
                continue
            with pytest.raises(ConfigError, match=name):
                settings(**{name: value})


def test_numbers_of_numpy_are_numbers() -> None:
    assert ClusterSettings(eps=np.float32(0.5), k1=np.int64(20)).k1 == 20  # type: ignore[arg-type]
    assert TrainSettings(seed=2**128).seed == 2**128


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (ICESettings, "images", 100_000),
        (ICESettings, "learning_rate", 1e30),
        (ICESettings, "soft_weight", 1e38),
        (ICESettings, "hard_weight", 1e38),
        (ICESettings, "agnostic_weight", 1e38),
        (ICESettings, "cross_weight", 1e38),
        (SCRSettings, "pair_weight", 1e38),
        (SCRSettings, "center_weight", 1e38),
        (SCRSettings, "circle_scale", 1e38),
        (SCRSettings, "classification_weight", 1e38),
        (SourceSettings, "triplet_weight", 1e38),
        (EncoderSettings, "height", 10**9),
        (EncoderSettings, "width", 10**9),
        (EncoderSettings, "head_width", 10**9),
        (EncoderSettings, "head", "+".join(f"p{number}" for number in range(1, 200))),
        (EncoderSettings, "head", "+".join(["a1"] * 200)),
        (ClusterSettings, "k1", 10**9),
        (ClusterSettings, "pairs_per_image", 1e300),
        *((spec.settings, "images", 100_000) for spec in METHODS.values()),
        *((spec.settings, "learning_rate", 1e30) for spec in METHODS.values()),
    ],
)
def test_what_no_machine_could_hold_is_refused_by_a_bound_that_is_said(kind: Any, name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=r"or less|or fewer"):
        kind(**{name: value})


@pytest.mark.parametrize(
    ("given", "kind", "value"),
    [
        ("3", int, 3),
        ("-3", int, -3),
        ("1e-3", float, 0.001),
        ("YES", bool, True),
        ("null", float | None, None),
        (None, int | None, None),
        ("2", int | None, 2),
        ("[1, 2.5]", tuple[float, float], (1.0, 2.5)),
        (["1", "2"], tuple[int, ...], (1, 2)),
        ("[]", tuple[int, ...], ()),
        ("[a b, '1']", tuple[str, ...], ("a b", "1")),
        ("1.50", str, "1.50"),
        ("null", str, "null"),
    ],
)
def test_text_becomes_a_value_of_the_type(given: Any, kind: Any, value: Any) -> None:
    assert value_of(given, kind, "x") == value
    assert type(value_of(given, kind, "x")) is type(value)


def test_a_value_that_no_path_may_hold_is_refused() -> None:
    with pytest.raises(ConfigError, match="run holds a NUL"):
        value_of("a\0b", str, "run")


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("9" * 5000, int), ("1_000", int), ("0x10", int), ("", int), ("٣" * 500, int), ("nan", float), ("1e", float),
        ("!!float foo", float), ("&a [*a]", tuple[float, float]), ("[" * 500, tuple[int, ...]),
        (["1", ["2"]], tuple[int, ...]),
        ([["1"]], tuple[float, float]), (None, str), (["a"], str), ("maybe", bool), ({}, bool),
    ],
)  # fmt: skip
def test_other_text_is_refused_in_few_words(given: Any, kind: Any) -> None:
    with pytest.raises(ConfigError, match=r"^x must be ") as error:
        value_of(given, kind, "x")
    assert len(str(error.value)) < 200
