"""Augmentation beside plain numpy and SciPy, and what it may and may not draw."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import Tensor

from resight.data.transforms import AugmentParams, AugmentSettings, apply_params, sample_params, to_float
from resight.errors import ConfigError

SIZE = (40, 24)
NOTHING = AugmentSettings(flip=0, pad=0, blur=0, erase=0)
EVERYTHING = AugmentSettings(brightness=0.3, contrast=0.3, tint=0.2)
COLOR = (0.25, 0.5, 0.75)


def pictures(count: int, seed: int = 0) -> Tensor:
    return torch.randint(
        256, (count, *SIZE, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8
    )  # fmt: skip


def drawn(how: AugmentSettings, count: int, seed: int = 0) -> AugmentParams:
    return sample_params(how, count, SIZE, torch.Generator().manual_seed(seed))


def nothing(count: int = 1) -> AugmentParams:
    return drawn(NOTHING, count)


def test_to_float_gives_colors_first_in_0_to_1() -> None:
    pixels = pictures(2)
    images = to_float(pixels)
    assert images.shape == (2, 3, *SIZE)
    np.testing.assert_allclose(images.numpy(), pixels.numpy().transpose(0, 3, 1, 2) / np.float32(255), rtol=1e-6)


def test_nothing_asked_for_changes_nothing() -> None:
    pixels = pictures(5)
    assert torch.equal(apply_params(pixels, nothing(5), color=COLOR), to_float(pixels))


@given(down=st.integers(-45, 45), right=st.integers(-30, 30), flip=st.booleans())
@settings(max_examples=25, deadline=None)
def test_crop_and_flip_equal_padding_and_slicing(down: int, right: int, flip: bool) -> None:
    pixels = pictures(1)
    draws = nothing()._replace(flip=torch.tensor([flip]), shift=torch.tensor([[down, right]]))
    padded = np.pad(pixels[0].numpy(), ((45, 45), (30, 30), (0, 0)))
    cropped = padded[45 + down : 45 + down + SIZE[0], 30 + right : 30 + right + SIZE[1]]
    expected = cropped[:, ::-1] if flip else cropped
    assert torch.equal(
        apply_params(pixels, draws, color=COLOR), to_float(torch.from_numpy(np.ascontiguousarray(expected))[None])
    )


@pytest.mark.parametrize("size", [(9, 4), (4, 9)])
def test_a_blur_wider_than_the_image_ends_at_its_edges(size: tuple[int, int]) -> None:
    pixels = pictures(1)[:, : size[0], : size[1]]
    blurred = apply_params(pixels, nothing()._replace(sigma=torch.tensor([2.0])), color=COLOR)
    plain = to_float(pixels)[0].double().numpy()
    np.testing.assert_allclose(
        blurred[0].numpy(), gaussian_filter(plain, (0, 2.0, 2.0), mode="mirror", radius=3), atol=2e-6
    )


@pytest.mark.parametrize("sigma", [0.1, 0.8, 2.0])
def test_blur_equals_scipys(sigma: float) -> None:
    pixels = pictures(2)
    blurred = apply_params(pixels, nothing(2)._replace(sigma=torch.tensor([0.0, sigma])), color=COLOR)
    plain = to_float(pixels).double().numpy()
    assert torch.equal(blurred[0], to_float(pixels)[0])
    expected = gaussian_filter(plain[1], (0, sigma, sigma), mode="mirror", radius=math.ceil(3 * sigma))
    np.testing.assert_allclose(blurred[1].numpy(), expected, atol=2e-6)
    inner = (slice(None), slice(8, -8), slice(8, -8))
    by_default = gaussian_filter(plain[1], (0, sigma, sigma))[inner]
    np.testing.assert_allclose(blurred[1].numpy()[inner], by_default, atol=5e-3)


def test_only_the_box_is_erased() -> None:
    pixels = pictures(2)
    box = torch.tensor([[3, 5, 10, 7], [0, 0, 0, 0]])
    erased = apply_params(pixels, nothing(2)._replace(box=box), color=COLOR)
    expected = to_float(pixels).clone()
    expected[0, :, 3:13, 5:12] = torch.tensor(COLOR).view(3, 1, 1)
    assert torch.equal(erased, expected)


def test_boxes_keep_to_their_area_and_aspect_and_lie_inside() -> None:
    how = AugmentSettings(erase=1.0)
    size = (256, 128)
    top, left, tall, wide = sample_params(how, 3000, size, torch.Generator().manual_seed(1)).box.unbind(1)
    assert (tall > 0).all()
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + tall <= size[0]).all()
    assert (left + wide <= size[1]).all()
    area, slack = (tall * wide).double() / (size[0] * size[1]), 1 / torch.minimum(tall, wide)
    assert (area >= 0.02 * (1 - slack)).all()
    assert (area <= 0.4 * (1 + slack)).all()
    aspect = tall / wide
    assert (aspect >= 0.3 * (1 - slack)).all()
    assert (aspect <= 1 / 0.3 * (1 + slack)).all()
    # Every part of the range is drawn, and boxes reach each edge.
    assert area.min() < 0.03
    assert area.max() > 0.35
    assert min(top.min(), left.min()) == 0
    assert (top + tall).max() == size[0]
    assert (left + wide).max() == size[1]


def test_a_box_that_cannot_fit_erases_nothing() -> None:
    how = AugmentSettings(erase=1.0, erase_area=(0.98, 0.99), erase_aspect=0.99)
    assert not drawn(how, 20).box[:, 2:].prod(1).any()


def test_probabilities_and_ranges_are_those_asked_for() -> None:
    how = AugmentSettings(flip=0.3, pad=4, blur=0.7, blur_sigma=(0.5, 1.5), erase=0.2, brightness=0.4, contrast=0.1)
    count = 4000
    found = drawn(how, count)
    for share, expected in (
        (found.flip.float().mean(), 0.3),
        ((found.sigma > 0).float().mean(), 0.7),
        ((found.box[:, 2] > 0).float().mean(), 0.2),
    ):
        assert abs(float(share) - expected) < 4 * math.sqrt(expected * (1 - expected) / count)
    sigma = found.sigma[found.sigma > 0]
    assert 0.5 <= sigma.min() < 0.55
    assert 1.45 < sigma.max() <= 1.5
    for axis in (0, 1):
        assert sorted(found.shift[:, axis].unique().tolist()) == list(range(-4, 5))
    assert 0.6 <= found.gain.min() < 0.62
    assert 1.38 < found.gain.max() <= 1.4
    assert (found.gain == found.gain[:, :1]).all(), "brightness alone is the same in every color"
    assert 0.9 <= found.contrast.min() < 0.91
    assert 1.09 < found.contrast.max() <= 1.1


@pytest.mark.parametrize("number", [0.0, 1 - 2**-24])
def test_probability_0_is_never_and_1_is_always(number: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even for the smallest and the largest number that a generator gives."""
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(shape, number))
    never, always = (drawn(AugmentSettings(flip=p, blur=p, erase=p, erase_aspect=1.0), 2) for p in (0, 1))
    assert not never.flip.any()
    assert not never.sigma.any()
    assert not never.box.any()
    assert always.flip.all()
    assert always.sigma.all()
    assert always.box[:, 2:].all()


def test_a_box_is_lower_and_narrower_than_the_image() -> None:
    """Zhong et al., algorithm 1 in the authors' code: one as tall or as wide as the image is drawn again."""
    for size, aspect in (((6, 60), 1.0), ((60, 6), 1.0)):
        how = AugmentSettings(erase=1.0, erase_area=(0.05, 0.2), erase_aspect=aspect)
        box = sample_params(how, 500, size, torch.Generator().manual_seed(0)).box[:, 2:]
        assert box.amax().item() == 5, "4 and 5 are drawn; 6, 7 and 8 are drawn again"
        assert (box > 0).all()


def test_a_tint_changes_each_color_by_at_most_its_share_and_brightness_all_alike() -> None:
    gain = drawn(AugmentSettings(tint=0.2), 3000).gain
    assert 0.8 <= gain.min() < 0.81
    assert 1.19 < gain.max() <= 1.2
    assert gain.mean() == pytest.approx(1, abs=0.01)
    assert (gain[:, 0] - gain[:, 1]).abs().max() > 0.3, "one color can get more while another gets less"
    both = drawn(AugmentSettings(tint=0.2, brightness=0.5), 3000).gain
    assert 0.8 * 0.5 <= both.min() < 0.8 * 0.5 + 0.05
    assert 1.2 * 1.5 - 0.1 < both.max() <= 1.2 * 1.5


def test_the_smallest_box_is_one_pixel() -> None:
    box = drawn(AugmentSettings(erase=1.0, erase_area=(1e-3, 1.1e-3), erase_aspect=1.0), 20).box
    assert (box[:, 2:] == 1).all(), "a thousandth of 960 pixels"


def test_ranges_are_those_of_the_released_code_where_nothing_is_said() -> None:
    how = AugmentSettings()
    assert (how.flip, how.pad, how.blur, how.blur_sigma) == (0.5, 10, 0.5, (0.1, 2.0))
    assert (how.erase, how.erase_area, how.erase_aspect) == (0.6, (0.02, 0.4), 0.3)
    assert (how.brightness, how.contrast, how.tint) == (0, 0, 0)
    np.testing.assert_allclose(how.erase_color, mean_of_means(), atol=1e-3)


def mean_of_means() -> list[float]:
    """The ImageNet mean, written into an image that was normalized by the ImageNet mean and spread."""
    return [m + m * s for m, s in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)]


def test_each_image_is_drawn_for_itself() -> None:
    found = drawn(EVERYTHING, 64)
    for name in ("shift", "gain", "contrast", "sigma", "box"):
        assert len(getattr(found, name).unique(dim=0)) > 20, name


def test_brightness_tint_and_contrast_by_hand() -> None:
    pixels = pictures(1)
    gain, contrast = torch.tensor([[0.9, 0.7, 0.8]]), torch.tensor([0.5])
    found = apply_params(pixels, nothing()._replace(gain=gain, contrast=contrast), color=COLOR)
    scaled = pixels[0].double().numpy() / 255 * gain[0].double().numpy()
    expected = (scaled - scaled.mean()) * 0.5 + scaled.mean()
    np.testing.assert_allclose(found[0].permute(1, 2, 0).numpy(), expected, atol=1e-6)


def test_colors_change_where_only_one_thing_of_one_image_was_drawn() -> None:
    pixels = pictures(3)
    plain = to_float(pixels).double()
    gain = nothing(3)._replace(gain=torch.tensor([[1.0, 1, 1], [1, 0.5, 1], [1, 1, 1]]))
    expected = plain.clone()
    expected[1, 1] *= 0.5
    torch.testing.assert_close(apply_params(pixels, gain, color=COLOR).double(), expected, rtol=0, atol=1e-6)
    contrast = nothing(3)._replace(contrast=torch.tensor([1.0, 1.0, 0.5]))
    expected = plain.clone()
    expected[2] = (plain[2] + plain[2].mean()) / 2
    torch.testing.assert_close(apply_params(pixels, contrast, color=COLOR).double(), expected, rtol=0, atol=1e-6)


def test_a_part_of_a_batch_is_augmented_as_in_the_whole() -> None:
    pixels, draws = pictures(12), drawn(EVERYTHING, 12)
    whole = apply_params(pixels, draws, color=COLOR)
    for start, stop in ((0, 12), (0, 6), (6, 12), (3, 4)):
        part = apply_params(pixels[start:stop], draws.rows(start, stop), color=COLOR)
        torch.testing.assert_close(part, whole[start:stop], rtol=0, atol=1e-6)


def test_a_blur_does_not_depend_on_the_other_blurs_of_the_batch() -> None:
    """So the processes of a run, each with its part of the batch, see the images that one process sees."""
    pixels, draws = pictures(2), nothing(2)._replace(sigma=torch.tensor([0.9, 2.0]))
    alone = apply_params(pixels[:1], draws.rows(0, 1), color=COLOR)
    torch.testing.assert_close(apply_params(pixels, draws, color=COLOR)[:1], alone, rtol=0, atol=1e-6)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_values_stay_in_0_to_1(seed: int) -> None:
    pixels = pictures(4, seed)
    before = pixels.clone()
    images = apply_params(pixels, drawn(EVERYTHING, 4, seed), color=EVERYTHING.erase_color)
    assert images.shape == (4, 3, *SIZE)
    assert images.dtype == torch.float32
    assert images.min() >= 0
    assert images.max() <= 1 + 1e-6
    assert torch.equal(pixels, before)


def test_the_generator_alone_decides() -> None:
    torch.manual_seed(1)
    first = drawn(EVERYTHING, 6, seed=3)
    torch.manual_seed(2)
    again, other = drawn(EVERYTHING, 6, seed=3), drawn(EVERYTHING, 6, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.shift, other.shift)
    pixels = pictures(6)
    assert torch.equal(apply_params(pixels, first, color=COLOR), apply_params(pixels, again, color=COLOR))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flip", 1.5),
        ("erase", -0.1),
        ("pad", -1),
        ("blur_sigma", (0.0, 2.0)),
        ("blur_sigma", (2.0, 1.0)),
        ("erase_area", (0.4, 0.02)),
        ("erase_area", (0.1, 1.0)),
        ("erase_aspect", 0.0),
        ("erase_color", (0.5, 124.0, 0.5)),
        ("erase_color", (0.5, 1.01, 0.5)),
        ("erase_color", (-0.01, 0.5, 0.5)),
        ("tint", 2.0),
    ],
)
def test_settings_out_of_range_name_themselves(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"augment.{name}"):
        AugmentSettings(**{name: value})


def test_the_ends_of_ranges_can_be_asked_for() -> None:
    AugmentSettings(flip=1, blur=1, erase=1, brightness=1, contrast=1, tint=1, erase_color=(0, 1, 0), erase_aspect=1)
    AugmentSettings(flip=0, pad=0, blur=0, erase=0, blur_sigma=(2.0, 2.0), erase_area=(0.1, 0.1))
