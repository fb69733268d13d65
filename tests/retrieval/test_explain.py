"""Where an encoder looks, and what each of its parts adds to a similarity."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import reference
import tiny
from resight.errors import ConfigError, DataError
from resight.models.backbones import Backbone
from resight.models.encoder import Encoder, EncoderSettings
from resight.models.heads.partitions import stripe_rows
from resight.records import Features, ImageTable, Ranking
from resight.retrieval.explain import choose_parts, grad_cam, part_similarities
from resight.retrieval.ranking import rank

HEAD = "p1+p2(s2c2)+s3"


def encoder(head: str = HEAD, **changes) -> Encoder:
    """A small encoder whose neck has statistics of its own; its maps are 4 x 2."""
    network = tiny.chain(dataclasses.replace(tiny.SCR_SETTINGS.encoder, head=head, **changes))
    random = torch.Generator().manual_seed(1)
    for module in network.neck.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.copy_(0.3 * torch.randn(module.num_features, generator=random))
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=random))
    return network.eval()


@cache
def plain(pooling: str = "max") -> Encoder:
    """One that no test changes, for tests that take it many times."""
    return encoder(pooling=pooling)


def pictures(count: int, seed: int = 0, size: tuple[int, int] = (64, 32)) -> Tensor:
    return torch.rand((count, 3, *size), generator=torch.Generator().manual_seed(seed))


# -- maps ----------------------------------------------------------------------------------------------------------


def naive_vector(network: Encoder, place: int) -> Callable[[np.ndarray], np.ndarray]:
    """What turns a (C, h, w) map into one of the encoder's vectors, in float64 and without torch."""
    part, settings = network.parts[place], network.settings
    state = {name: value.double().numpy() for name, value in network.state_dict().items()}
    channels = network.backbone.channels

    def vector(maps: np.ndarray) -> np.ndarray:
        if part.kind == "stripe":
            maps = maps[:, stripe_rows(maps.shape[1], part.count)[part.index]]
        if settings.pooling == "average":
            pooled = maps.mean((1, 2))
        elif settings.pooling == "max":
            pooled = maps.max((1, 2))
        else:
            pooled = (np.maximum(maps, 1e-6) ** 3).mean((1, 2)) ** (1 / 3)
        if settings.head == "global":
            where, name = slice(None), "neck"
        else:
            first = part.columns.start % channels
            where, name = slice(first, first + part.columns.stop - part.columns.start), f"neck.norms.{place}"
            pooled = state[f"neck.reductions.{place}.weight"] @ pooled[where]
        if settings.neck == "none":
            return pooled
        scale = state[f"{name}.weight"] / np.sqrt(state[f"{name}.running_var"] + 1e-5)
        return (pooled - state[f"{name}.running_mean"]) * scale + state[f"{name}.bias"]

    return vector


@pytest.mark.parametrize("target", ["self", "match", "class"])
@pytest.mark.parametrize(
    ("head", "pooling", "neck"),
    [(HEAD, "max", "batchnorm"), (HEAD, "average", "none"), ("p3(s3c3)", "gem", "batchnorm")]
    + [("global", pooling, "batchnorm") for pooling in ("average", "gem")],
)
def test_maps_are_those_of_the_equation(head: str, pooling: str, neck: str, target: str) -> None:
    network = encoder(head, pooling=pooling, neck=neck)
    images, others = pictures(2), pictures(2, seed=1)
    width = network.dim // len(network.parts)
    weight = torch.randn((5, width), generator=torch.Generator().manual_seed(2))
    extra = {"match": {"others": others}, "class": {"weight": weight}}.get(target, {})
    found = grad_cam(network, images, target=target, **extra)
    assert list(found) == [part.name for part in network.parts]
    with torch.no_grad():
        maps = [one.double().numpy() for one in network.maps(images)]
        compared = [one.double().numpy() for one in network.maps(others)]
    for place, part in enumerate(network.parts):
        vector = naive_vector(network, place)
        for image, one in enumerate(maps[part.branch]):
            own, other = vector(one), vector(compared[part.branch][image])
            toward = {"self": own, "match": other / np.linalg.norm(other) / np.linalg.norm(own)}.get(target)
            if toward is None:
                toward = weight[int((weight.double().numpy() @ own).argmax())].double().numpy()
            expected = reference.grad_cam(lambda maps, v=vector, t=toward: v(maps) @ t, one)
            if part.kind == "stripe":
                inside = np.zeros_like(expected)
                inside[stripe_rows(len(inside), part.count)[part.index]] = 1
                # What is outside its stripe is not what a vector is pooled from.
                expected = expected * inside / max((expected * inside).max(), 1e-12)
            np.testing.assert_allclose(found[part.name][image], expected, atol=2e-4)


@given(st.integers(0, 2**16), st.sampled_from(["max", "average", "gem"]))
def test_maps_are_in_bounds_and_stay_in_their_stripe(seed: int, pooling: str) -> None:
    network = plain(pooling)
    for part, found in zip(network.parts, grad_cam(network, pictures(2, seed)).values(), strict=True):
        assert found.shape == (2, 4, 2)
        assert found.min() >= 0
        assert ((found.amax((1, 2)) == 1) | (found.amax((1, 2)) == 0)).all()
        if part.kind == "stripe":
            outside = torch.ones(4, dtype=torch.bool)
            outside[stripe_rows(4, part.count)[part.index]] = False
            assert outside.any()
            assert (found[:, outside] == 0).all()


@pytest.mark.parametrize("pooling", ["max", "average", "gem"])
@pytest.mark.parametrize("target", ["self", "match"])
def test_a_mirrored_image_has_the_mirrored_map(pooling: str, target: str) -> None:
    """With kernels that are mirror images of themselves."""
    torch.manual_seed(0)
    blocks = nn.Sequential(nn.AvgPool2d(16), nn.Conv2d(3, 12, 3, padding=1), nn.ReLU())
    blocks[1].weight.data = blocks[1].weight.data + blocks[1].weight.data.flip(3)
    settings = EncoderSettings(backbone="toy", weights="none", height=96, width=64, pooling=pooling, head=HEAD)
    network = Encoder(settings, Backbone(blocks, 12)).eval()
    images, others = pictures(3, size=(96, 64)), pictures(3, 1, size=(96, 64))
    extra = {"others": others} if target == "match" else {}
    upright = grad_cam(network, images, target=target, **extra)
    mirrored = grad_cam(network, images.flip(3), target=target, **extra)
    for name, found in upright.items():
        assert found.shape == (3, 6, 4)
        assert not torch.allclose(found, found.flip(2), atol=1e-3)
        torch.testing.assert_close(mirrored[name], found.flip(2), atol=1e-4, rtol=0)


def test_a_match_with_the_image_itself_is_what_made_its_vector() -> None:
    network, images = encoder(), pictures(2)
    own, match = grad_cam(network, images), grad_cam(network, images, target="match", others=images)
    for name in own:
        torch.testing.assert_close(match[name], own[name], atol=1e-5, rtol=0)
    other = grad_cam(network, images, target="match", others=pictures(2, 1))
    assert not torch.allclose(other["p1 whole"], own["p1 whole"], atol=1e-2)


@pytest.mark.parametrize("pooling", ["max", "average", "gem"])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_an_image_of_one_color_has_a_map(pooling: str, value: float) -> None:
    network = encoder(pooling=pooling)
    for found in grad_cam(network, torch.full((1, 3, 64, 32), value)).values():
        assert found.isfinite().all()
        assert 0 <= found.min() <= found.max() <= 1


def test_a_vector_of_no_length_has_an_empty_map() -> None:
    network = encoder("p1", neck="none")
    for parameter in network.neck.parameters():
        nn.init.zeros_(parameter)
    for extra in ({}, {"target": "match", "others": pictures(1, 1)}):
        assert (grad_cam(network, pictures(1), **extra)["p1 whole"] == 0).all()


def test_an_encoder_that_trains_is_left_as_it_was() -> None:
    network, images = encoder(), pictures(3)
    expected = grad_cam(network, images)
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        found = grad_cam(network, images)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    for name in expected:
        torch.testing.assert_close(found[name], expected[name])
        assert not found[name].requires_grad


def test_parts_are_chosen_by_name() -> None:
    network = encoder()
    chosen = ["stripe 3 of 3", "p2 channels 1 of 2"]
    assert [part.name for part in choose_parts(network, chosen)] == chosen
    found, everything = grad_cam(network, pictures(2), parts=chosen), grad_cam(network, pictures(2))
    assert list(found) == chosen
    for name in chosen:
        torch.testing.assert_close(found[name], everything[name])
    assert list(grad_cam(encoder("global"), pictures(1))) == ["whole"]
    with pytest.raises(ConfigError, match="did you mean 'p2 channels 1 of 2'"):
        grad_cam(network, pictures(1), parts=["p2 channel 1 of 2"])
    with pytest.raises(ConfigError, match="it has: whole"):
        grad_cam(encoder("global"), pictures(1), parts=["p1 stripe 1 of 2"])


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"target": "clas"}, "did you mean 'class'"),
        ({"target": "match"}, "give others"),
        ({"target": "class"}, "weight"),
        ({"others": pictures(2)}, "target 'self'"),
        ({"target": "match", "others": pictures(2), "weight": torch.ones(3, 8)}, "target 'match'"),
        ({"target": "match", "others": pictures(1)}, "each of the 2 images, found 1"),
        (
            {"target": "class", "weight": torch.ones(3, 9)},
            r"must be \(C, 8\), a classifier of such vectors, found \(3, 9\)",
        ),
    ],
)
def test_what_a_target_needs_is_said(extra: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        grad_cam(encoder(), pictures(2), **extra)
    assert "\n" not in str(error.value)


def test_tokens_have_no_rows_and_columns() -> None:
    settings = EncoderSettings(backbone="vit_tiny_patch16_224", weights="none", height=64, width=32, last_stride=2)
    with pytest.raises(ConfigError, match="8 tokens of 'vit_tiny_patch16_224'"):
        grad_cam(Encoder(settings), pictures(1))
    # A map of a single column is one all the same.
    narrow = EncoderSettings(backbone="test_efficientnet", weights="none", height=64, width=32, last_stride=2)
    assert grad_cam(Encoder(narrow), pictures(1))["whole"].shape == (1, 2, 1)


def test_a_map_that_is_not_finite_is_an_error() -> None:
    images = pictures(1)
    images[0, 0, 0, 0] = torch.nan
    with pytest.raises(DataError, match="nan or inf"):
        grad_cam(encoder(), images)


# -- parts of a similarity -----------------------------------------------------------------------------------------


def features(vectors: np.ndarray | Tensor, identity: str = "") -> Features:
    paths = np.array([f"{row}.jpg" for row in range(len(vectors))])
    return Features(ImageTable(paths), np.asarray(vectors), identity)


@given(st.integers(0, 2**16), st.integers(1, 4), st.integers(1, 6))
def test_shares_add_up_to_the_similarity(seed: int, count: int, size: int) -> None:
    network = plain()
    random = np.random.default_rng(seed)
    scales = random.choice([0, 0.1, 1, 7], (10, len(network.parts), 1))  # of parts that are long, short, or nothing
    scales[:, 0] = 1
    vectors = random.normal(size=(10, len(network.parts), 8)) * scales
    vectors = F.normalize(torch.tensor(vectors.reshape(10, -1)).float())
    queries, gallery = features(vectors[:count]), features(vectors[count : count + size])
    ranking = rank(queries, gallery, k=size)
    found = part_similarities(queries, gallery, ranking, network)
    np.testing.assert_allclose(found.totals, 1 - ranking.distances / 2, atol=2e-6)
    for row, place in itertools.product(range(count), range(size)):
        a, b = queries.embeddings[row], gallery.embeddings[ranking.indices[row, place]]
        exact = a.astype(np.float64) @ b.astype(np.float64)
        assert found.totals[row, place] == pytest.approx(exact, abs=1e-15)
        shares, cosines = reference.part_shares(a, b, len(network.parts))
        np.testing.assert_allclose(found.shares[row, place], shares, atol=1e-6)
        np.testing.assert_allclose(found.cosines[row, place], cosines, rtol=0, atol=1e-12)


def test_each_part_is_the_vector_of_its_name() -> None:
    network = encoder()
    with torch.no_grad():
        vectors = [F.normalize(vector, dim=1) for vector in network.split(network(pictures(3)))]
        whole = features(network.embed(pictures(3)), network.digest())
    found = part_similarities(whole[:1], whole, Ranking(np.array([[0, 2, 1]]), np.zeros((1, 3))), network)
    assert found.parts == network.parts
    for place, vector in enumerate(vectors):
        np.testing.assert_allclose(found.cosines[0, :, place], (vector[[0, 2, 1]] @ vector[0]).numpy(), atol=1e-6)
    np.testing.assert_allclose(found.cosines[0, 0], 1, atol=1e-12)


def test_results_that_are_not_there_have_no_numbers() -> None:
    network = encoder("global")
    vectors = features(F.normalize(torch.randn((3, network.dim), generator=torch.Generator().manual_seed(0))))
    ranking = Ranking(np.array([[2, 1, -1], [0, -1, -1]]), np.zeros((2, 3)))
    found = part_similarities(vectors[:2], vectors, ranking, network)
    assert [part.name for part in found.parts] == ["whole"]
    assert np.isnan(found.cosines[..., 0]).tolist() == [[False, False, True], [False, True, True]]
    np.testing.assert_allclose(found.totals[0, :2], vectors.embeddings[[2, 1]] @ vectors.embeddings[0], atol=1e-6)


def test_vectors_of_something_else_are_refused() -> None:
    network = encoder()
    vectors, short = np.eye(3, network.dim, dtype=np.float32), np.eye(3, 5, dtype=np.float32)
    ranking = Ranking(np.zeros((3, 1), int), np.zeros((3, 1)))
    for given_, words in (
        ((features(short), features(short)), "5 numbers"),
        ((features(vectors, "another"), features(vectors)), "encoder another"),
        ((features(vectors), features(vectors, "another")), "encoder another"),
        ((features(vectors, "one"), features(vectors, "another")), "different encoders"),
        ((features(vectors[:2]), features(vectors)), "each of the 2 queries, found 3"),
    ):
        with pytest.raises(DataError, match=words) as error:
            part_similarities(*given_, ranking, network)
        assert "\n" not in str(error.value)
