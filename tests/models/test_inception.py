"""The network of the FID, without its published weights, which the user supplies."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

from resight.errors import WeightsError
from resight.models.inception import CLASSES, Inception, load_inception


@pytest.fixture(scope="module")
def inception() -> Inception:
    torch.manual_seed(0)
    return Inception()


@torch.no_grad()
def test_it_has_the_published_size_and_is_deterministic(inception: Inception) -> None:
    assert sum(parameter.numel() for parameter in inception.parameters()) == 21_785_568
    assert not inception.network.training
    pictures = torch.rand(1, 3, 16, 8)
    features = inception(pictures)
    assert features.shape == (1, 2048)
    assert torch.equal(features, inception(pictures))


def averaged(maps: torch.Tensor, place: tuple[int, int]) -> torch.Tensor:
    rows, columns = ([i for i in (at - 1, at, at + 1) if 0 <= i < 4] for at in place)
    return torch.stack([maps[0, :, i, j] for i, j in itertools.product(rows, columns)]).mean(0)


@torch.no_grad()
def test_averages_do_not_count_the_padding_and_the_last_is_a_maximum(inception: Inception) -> None:
    seen: dict[str, torch.Tensor] = {}
    for name, width in (("Mixed_5b", 192), ("Mixed_6c", 768), ("Mixed_7b", 1280), ("Mixed_7c", 2048)):
        block = getattr(inception.network, name)
        handle = block.branch_pool.register_forward_pre_hook(lambda _, given, name=name: seen.update({name: given[0]}))
        maps = torch.rand(1, width, 4, 4)
        block(maps)
        handle.remove()
        if name == "Mixed_7c":
            assert torch.equal(seen[name][0, :, 0, 0], maps[0, :, :2, :2].amax((1, 2)))
        else:
            for place in ((0, 0), (0, 2), (2, 1)):
                torch.testing.assert_close(seen[name][0, :, *place], averaged(maps, place))


def test_weights_come_from_a_file(inception: Inception, tmp_path: Path) -> None:
    state = {f"net.{name}": value.half() for name, value in inception.network.state_dict().items()}
    torch.save({**state, "net.fc.weight": torch.zeros(CLASSES, 2048)}, tmp_path / "weights.pth")
    loaded = load_inception(tmp_path / "weights.pth")
    name = "Mixed_6e.branch7x7_3.conv.weight"
    torch.testing.assert_close(loaded.network.state_dict()[name], state[f"net.{name}"].float())
    (tmp_path / "weights.pth").unlink()


@pytest.mark.parametrize(
    ("state", "hint"),
    [
        (
            {"fc.weight": torch.zeros(1000, 2048)},
            "Inception v3 of 1,000 classes: the FID is measured with that of 1,008",
        ),
        ({"layer.weight": torch.zeros(3, 3)}, "another network: the FID is measured with"),
        ({"fc.weight": torch.zeros(CLASSES, 2048)}, "do not fit the network"),
        (None, "no weights at"),
    ],
)
def test_a_file_that_is_none_is_one_line(state: dict[str, torch.Tensor] | None, hint: str, tmp_path: Path) -> None:
    if state is not None:
        torch.save(state, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=hint) as error:
        load_inception(tmp_path / "x.pth")
    assert "\n" not in str(error.value)
