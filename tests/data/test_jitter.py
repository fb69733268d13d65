"""Scale, rotation, hue, saturation and noise beside SciPy, and what they leave as it was."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation
from scipy.stats import kstest
from torch import Tensor

from resight.data.jitter import add_noise, recolor, warp
from resight.data.transforms import AugmentSettings, apply_params, sample_params
from resight.errors import ConfigError

SIZE = (40, 24)
COLOR = (0.25, 0.5, 0.75)
PLAIN = AugmentSettings()
OPTIONS = {"saturation": 0.4, "hue": 0.1, "scale": 0.3, "rotate": 20.0, "noise": 0.1}
ALL = AugmentSettings(**OPTIONS)


def images(count: int = 2, size: tuple[int, int] = SIZE) -> Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0))


def pixels(count: int) -> Tensor:
    return torch.randint(256, (count, *SIZE, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("size", [SIZE, (24, 40)])
def test_scale_and_rotation_are_scipys(size: tuple[int, int]) -> None:
    pictures = images(3, size)
    zoom, angle = torch.tensor([1.0, 1.3, 0.8]), torch.tensor([0.4, 0.0, -1.1])
    found = warp(pictures, zoom, angle)
    center = (np.array(size) - 1) / 2
    for picture, factor, turn, result in zip(pictures, zoom.tolist(), angle.tolist(), found, strict=True):
        # From a place (down, right) of the result to one of the picture; counterclockwise, as rows go down.
        matrix = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]]) / factor
        for channel, own in zip(picture.double().numpy(), result.numpy(), strict=True):
            expected = affine_transform(channel, matrix, center - matrix @ center, order=1, mode="grid-constant")
            np.testing.assert_allclose(own, expected, atol=2e-5)


def test_a_quarter_turn_is_counterclockwise() -> None:
    square = images(1, (9, 9))
    found = warp(square, torch.ones(1), torch.tensor([math.pi / 2]))
    torch.testing.assert_close(found, torch.rot90(square, 1, (2, 3)), atol=1e-5, rtol=0)


def test_colors_turn_about_gray() -> None:
    pictures, hue, saturation = images(2), torch.tensor([0.7, -2.0]), torch.tensor([1.0, 0.4])
    found = recolor(pictures, hue, saturation)
    for picture, turn, factor, result in zip(pictures, hue.tolist(), saturation.tolist(), found, strict=True):
        turned = np.einsum(
            "ij,jhw->ihw", Rotation.from_rotvec(np.full(3, turn / math.sqrt(3))).as_matrix(), picture.double().numpy()
        )
        gray = turned.mean(0)
        np.testing.assert_allclose(result.numpy(), gray + factor * (turned - gray), atol=1e-5)
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    third = recolor(red, torch.tensor([2 * math.pi / 3]), torch.ones(1))
    torch.testing.assert_close(third.flatten(), torch.tensor([0.0, 1, 0]), atol=1e-6, rtol=0)


def test_noise_is_normal_and_each_color_of_each_pixel_has_its_own() -> None:
    flat, seed = torch.zeros(2, 3, 64, 48), torch.tensor([5, 2**31 - 1])
    noise = add_noise(flat, torch.tensor([1.0, 0.5]), seed)
    one, other = noise.flatten(1).double().numpy() / [[1.0], [0.5]]
    for values in (one, other):
        assert kstest(values, "norm").pvalue > 1e-3
        for lag in (1, 48, 64 * 48):
            assert abs(np.corrcoef(values[:-lag], values[lag:])[0, 1]) < 4 / math.sqrt(len(values) - lag)
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / math.sqrt(len(one))
    assert torch.equal(add_noise(flat, torch.tensor([1.0, 0.5]), seed), noise)
    assert len(np.unique(one)) > 0.99 * len(one)


def test_what_is_off_draws_nothing_and_changes_nothing() -> None:
    """The numbers of all else stay those of a version without these options, so old curves stay what they are."""
    with_all = generator(3)
    later = sample_params(ALL, 5, SIZE, with_all)
    without = generator(3)
    plain = sample_params(PLAIN, 5, SIZE, without)
    names = ("flip", "shift", "sigma", "box", "gain", "contrast")
    assert all(torch.equal(getattr(plain, name), getattr(later, name)) for name in names)
    assert not torch.equal(without.get_state(), with_all.get_state())
    again = generator(3)
    sample_params(AugmentSettings(brightness=0.5), 5, SIZE, again)
    assert torch.equal(without.get_state(), again.get_state())


@pytest.mark.parametrize("name", list(OPTIONS))
def test_each_option_changes_images_within_its_range(name: str) -> None:
    how = AugmentSettings(flip=0, pad=0, blur=0, erase=0, **{name: OPTIONS[name]})
    drawn = sample_params(how, 3000, SIZE, generator())
    low, high, values = {
        "saturation": (0.6, 1.4, drawn.saturation),
        "hue": (-0.2 * math.pi, 0.2 * math.pi, drawn.hue),
        "scale": (0.7, 1.3, drawn.zoom),
        "rotate": (-math.radians(20), math.radians(20), drawn.angle),
        "noise": (0.0, 0.1, drawn.noise),
    }[name]
    slack = 0.01 * (high - low)
    assert low - 1e-6 <= values.min() < low + slack
    assert high - slack < values.max() <= high + 1e-6
    few = drawn.rows(0, 4)
    found = apply_params(pixels(4), few, color=COLOR)
    plain = apply_params(pixels(4), sample_params(how, 4, SIZE, generator())._replace(**unchanged(4)), color=COLOR)
    assert all(not torch.equal(one, other) for one, other in zip(found, plain, strict=True))


def unchanged(count: int) -> dict[str, Tensor]:
    zeros, ones = torch.zeros(count), torch.ones(count)
    return {"saturation": ones, "hue": zeros, "zoom": ones, "angle": zeros, "noise": zeros}


def test_a_part_of_a_batch_is_augmented_as_in_the_whole() -> None:
    draws = sample_params(ALL, 12, SIZE, generator())
    whole = apply_params(pixels(12), draws, color=COLOR)
    assert 0 <= whole.min() < whole.max() <= 1 + 1e-6
    for start, stop in ((0, 6), (6, 12), (3, 4)):
        part = apply_params(pixels(12)[start:stop], draws.rows(start, stop), color=COLOR)
        torch.testing.assert_close(part, whole[start:stop], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "value"), [("saturation", 1.1), ("hue", 0.6), ("scale", 1.0), ("rotate", 181.0), ("noise", -0.1)]
)
def test_settings_out_of_range_name_themselves(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"augment.{name}"):
        AugmentSettings(**{name: value})
