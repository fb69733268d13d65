"""Generator and discriminator: their sizes in the thesis, their layers beside naive twins, and small inputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import reference
from resight.models.discriminator import Discriminator, PatchDiscriminator
from resight.models.generator import AdaptiveBlock, DilatedPyramid, Generator, StructureEncoder, adapted, cut_code
from resight.models.mirrored import MirroredConv, ResidualBlock


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# -- sizes ---------------------------------------------------------------------------------------------------------


def test_the_thesis_generator_has_its_parameters() -> None:
    """Facts §5.1: E_str 0.381 M, decoder 1.456 M, AdaIN 11.54 M, together 13.38 M."""
    with torch.device("meta"):
        generator = Generator(2048)
    assert count(generator.structure_encoder) == 380_544
    assert count(generator.decoder) == 1_455_555
    assert count(generator.scales, generator.biases) == 8 * 1_443_072 == 11_544_576
    assert count(generator) == 13_380_675


def test_the_thesis_discriminator_has_its_parameters() -> None:
    """Facts §5.1: 0.342 M each, 1.026 M together."""
    with torch.device("meta"):
        discriminator = Discriminator()
    assert [count(scale) for scale in discriminator.scales] == [341_857] * 3
    assert count(discriminator) == 1_025_571


def test_the_thesis_maps_have_their_sizes() -> None:
    """Thesis §5.4.2: f_str is 128 x 64 x 32, the discriminator sees 256 x 128, 128 x 64 and 64 x 32."""
    with torch.device("meta"):
        generator, discriminator = Generator(2048), Discriminator()
        structure, code = torch.zeros(2, 1, 256, 128), torch.zeros(2, 8192)
        assert generator.encode_structure(structure).shape == (2, 128, 64, 32)
        images = generator(structure, code)
        assert images.shape == (2, 3, 256, 128)
        assert [scores.shape for scores in discriminator(images)] == [(2, 1, 64, 32), (2, 1, 32, 16), (2, 1, 16, 8)]


def test_without_dilated_convolutions_the_structure_has_as_many_channels() -> None:
    with torch.device("meta"):
        plain, whole = StructureEncoder(aspp=False), StructureEncoder()
        assert plain(torch.zeros(1, 1, 64, 32)).shape == whole(torch.zeros(1, 1, 64, 32)).shape == (1, 128, 16, 8)
    convolutions = (160, 4_640, 9_248, 32 * 128 * 9 + 128)
    assert count(plain) == sum(convolutions) + 8 * (128 * 128 * 9 + 128)
    assert not any(isinstance(module, DilatedPyramid) for module in plain.modules())


def test_the_text_has_a_convolution_less() -> None:
    with torch.device("meta"):
        code, text = Generator(64), Generator(64, refinements=1)
    convolutions = [sum(isinstance(m, nn.Conv2d) for m in g.decoder.image.modules()) for g in (code, text)]
    assert convolutions == [5, 4]
    assert count(code) - count(text) == 32 * 32 * 9 + 32


@pytest.mark.parametrize(("height", "width"), [(64, 32), (128, 64), (32, 16), (44, 20)])
def test_small_networks_take_small_images(height: int, width: int) -> None:
    torch.manual_seed(0)
    generator, discriminator = Generator(6, width=0.1), Discriminator(width=0.1)
    images = generator(drawn(0, 2, 1, height, width), drawn(1, 2, 24))
    assert images.shape == (2, 3, height, width)
    assert images.isfinite().all()
    scores = discriminator(images)
    assert len(scores) == 3
    assert all(len(score) == 2 and score.isfinite().all() for score in scores)
    assert count(generator) < 60_000
    assert count(discriminator) < 20_000


# -- layers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (5, 1, 1), (3, 1, 3), (1, 1, 1)])
def test_a_convolution_sees_its_border_mirrored(kernel: int, stride: int, dilation: int) -> None:
    convolution = MirroredConv(2, 3, kernel=kernel, stride=stride, dilation=dilation)
    maps = drawn(0, 2, 2, 8, 6)
    weight, bias = (parameter.detach().numpy() for parameter in (convolution.weight, convolution.bias))
    expected = reference.mirrored_conv(maps.numpy(), weight, bias, stride=stride, dilation=dilation)
    np.testing.assert_allclose(convolution(maps).detach(), expected, atol=1e-5)


def test_a_map_too_small_to_mirror_repeats_its_border() -> None:
    convolution, maps = MirroredConv(1, 1, dilation=9), drawn(0, 1, 1, 16, 8)
    padded = F.pad(maps, (9, 9, 9, 9), mode="replicate")
    torch.testing.assert_close(convolution(maps), F.conv2d(padded, convolution.weight, convolution.bias, dilation=9))


def test_a_code_sets_the_mean_and_variance_of_each_map() -> None:
    maps, scale, bias = drawn(0, 2, 3, 8, 4), drawn(1, 2, 3), drawn(2, 2, 3)
    found = adapted(maps, scale, bias)
    np.testing.assert_allclose(found, reference.adapted(maps, scale, bias), atol=1e-5)
    torch.testing.assert_close(found.mean((2, 3)), bias)


def test_an_adaptive_block_is_its_equation() -> None:
    block, maps, scale, bias = AdaptiveBlock(3), drawn(0, 2, 3, 8, 4), drawn(1, 2, 6), drawn(2, 2, 6)
    (w1, b1), (w2, b2) = ([p.detach().numpy() for p in (c.weight, c.bias)] for c in (block.first, block.second))
    inner = reference.adapted(reference.mirrored_conv(maps.numpy(), w1, b1), scale[:, :3], bias[:, :3])
    inner = np.where(inner > 0, inner, 0.2 * inner)
    expected = maps.numpy() + reference.adapted(reference.mirrored_conv(inner, w2, b2), scale[:, 3:], bias[:, 3:])
    np.testing.assert_allclose(block(maps, scale, bias).detach(), expected, atol=1e-4)


@pytest.mark.parametrize("norm", [True, False])
def test_a_residual_block_ends_without_an_activation(norm: bool) -> None:
    block, maps = ResidualBlock(3, norm=norm), drawn(0, 2, 3, 8, 4)
    ones = np.ones((2, 3)), np.zeros((2, 3))
    inner = maps.numpy()
    for number, half in enumerate((block.first, block.second)):
        weight, bias = (parameter.detach().numpy() for parameter in (half[0].weight, half[0].bias))
        inner = reference.mirrored_conv(inner, weight, bias)
        inner = reference.adapted(inner, *ones) if norm else inner
        inner = np.where(inner > 0, inner, 0.2 * inner) if number == 0 else inner
    np.testing.assert_allclose(block(maps).detach(), maps.numpy() + inner, atol=1e-4)


def test_dilated_branches_see_three_six_and_nine_pixels_far() -> None:
    pyramid = DilatedPyramid(4, 8)
    found = [[(m.kernel_size[0], m.dilation[0]) for m in b.modules() if isinstance(m, MirroredConv)]
             for b in pyramid.branches]  # fmt: skip
    assert found == [[(1, 1)], [(1, 1), (3, 3)], [(1, 1), (3, 6)], [(1, 1), (3, 9)]]


def test_the_decoder_normalizes_whole_images() -> None:
    """Layer norm: each image alone, over all its channels and pixels; scales start in 0..1, biases at 0."""
    norms = [module for module in Generator(8).decoder.modules() if isinstance(module, nn.GroupNorm)]
    assert [norm.num_channels for norm in norms] == [64, 32]
    assert all(norm.num_groups == 1 and norm.weight.min() >= 0 and norm.weight.max() <= 1 for norm in norms)
    assert all(norm.weight.std() > 0.2 and not norm.bias.any() for norm in norms)


def test_weights_start_as_the_released_code_draws_them() -> None:
    torch.manual_seed(0)
    generator, discriminator = Generator(64), Discriminator()
    for module in (*generator.modules(), *discriminator.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.numel() > 4_000:
            assert module.bias is not None
            assert not module.bias.any()
            fan_in = module.weight[0].numel()
            expected = 0.02 if any(module is own for own in discriminator.modules()) else (2 / fan_in) ** 0.5
            assert float(module.weight.detach().std()) == pytest.approx(expected, rel=0.05)


# -- the code ------------------------------------------------------------------------------------------------------


def test_a_code_is_cut_into_channels_or_into_parts() -> None:
    """Channel c of part j is 10 c + j: channel after channel, as `part_code` gives it."""
    code = torch.tensor([[10.0 * c + j for c in range(8) for j in range(4)]])
    channels, parts = cut_code(code, "channels"), cut_code(code, "parts")
    assert channels[1].tolist() == [[20, 21, 22, 23, 30, 31, 32, 33]]
    assert parts[1].tolist() == [[1, 11, 21, 31, 41, 51, 61, 71]]
    for pieces in (channels, parts):
        assert torch.cat(pieces, 1).sort().values.equal(code)


@pytest.mark.parametrize("slices", ["channels", "parts"])
def test_each_slice_drives_one_residual_block(slices: str) -> None:
    torch.manual_seed(0)
    generator = Generator(8, width=0.1, slices=slices)  # type: ignore[arg-type]
    seen: list[list[Tensor]] = []
    for block in generator.decoder.blocks:
        block.register_forward_pre_hook(lambda _, inputs: seen[-1].extend(inputs[1:]))
    structure, code = drawn(0, 1, 1, 32, 16), drawn(1, 1, 32)
    for changed in (None, *range(4)):
        moved = code.clone()
        if changed is not None:
            cut_code(moved, slices)[changed].add_(1)  # type: ignore[arg-type]
        seen.append([])
        generator(structure, moved)
    for changed in range(4):
        same = [before.equal(after) for before, after in zip(seen[0], seen[changed + 1], strict=True)]
        assert same == [place // 2 != changed for place in range(8)]


def test_structure_and_code_both_decide_the_image() -> None:
    torch.manual_seed(0)
    generator = Generator(8, width=0.1)
    structure, code = drawn(0, 2, 1, 32, 16), drawn(1, 2, 32)
    images = generator(structure, code)
    torch.testing.assert_close(images, generator.decode(generator.encode_structure(structure), code))
    assert not torch.allclose(images, generator(structure.flip(0), code))
    assert not torch.allclose(images, generator(structure, code.flip(0)))
    torch.testing.assert_close(images[:1], generator(structure[:1], code[:1]), rtol=1e-3, atol=1e-4)


def test_scales_of_the_discriminator_share_no_weights_and_see_halved_images() -> None:
    torch.manual_seed(0)
    discriminator, images = Discriminator(width=0.1), drawn(0, 2, 3, 32, 16)
    scores = discriminator(images)
    half = F.avg_pool2d(images, 3, stride=2, padding=1, count_include_pad=False)
    torch.testing.assert_close(scores[1], discriminator.scales[1](half))
    assert not torch.allclose(scores[1], discriminator.scales[0](half))
    assert float(F.avg_pool2d(torch.ones(1, 1, 4, 4), 3, 2, 1, count_include_pad=False).min()) == 1
    assert not any(isinstance(m, nn.InstanceNorm2d | nn.GroupNorm) for m in PatchDiscriminator().modules())
