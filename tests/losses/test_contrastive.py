"""Eq. 6.5, 6.7 and 6.9 beside naive twins, their edges and their gradients."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from resight.losses.contrastive import camera_contrast, camera_weights, hard_instance_contrast, proxy_contrast

CAMERA_READINGS = [(own, softmax) for own in (True, False) for softmax in ("joint", "separate")]

seeds = st.integers(0, 2**31)
few = settings(max_examples=25, deadline=None)


def vectors(seed: int, *shape: int, unit: bool = False) -> torch.Tensor:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F.normalize(drawn, dim=-1) if unit else drawn


def numbers(seed: int, count: int, below: int) -> torch.Tensor:
    return torch.randint(below, (count,), generator=torch.Generator().manual_seed(seed))


def camera_case(seed: int, batch: int = 6, clusters: int = 4, cameras: int = 3, dim: int = 5):
    """A batch and the proxies of some of all (cluster, camera) pairs."""
    pairs = torch.cartesian_prod(torch.arange(clusters), torch.arange(cameras))
    kept = pairs[torch.rand(len(pairs), generator=torch.Generator().manual_seed(seed)) < 0.7]
    kept = kept if len(kept) else pairs[:1]
    proxies = (vectors(seed + 1, len(kept), dim, unit=True), kept[:, 0], kept[:, 1])
    return vectors(seed + 2, batch, dim), numbers(seed + 3, batch, clusters), numbers(seed + 4, batch, cameras), proxies


def spare(seed: int, batch: int, others: int) -> torch.Tensor:
    return torch.rand(batch, others, generator=torch.Generator().manual_seed(seed)) < 0.4


def near(found: torch.Tensor, expected: list[float], tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=found.dtype), rtol=tolerance, atol=tolerance)


# -- L_agnostic, eq. 6.5 -------------------------------------------------------------------------------------------


@few
@given(seed=seeds, batch=st.integers(1, 8), clusters=st.integers(1, 6), smoothing=st.sampled_from([0.0, 0.1, 1.0]))
def test_proxy_contrast_equals_the_equation(seed: int, batch: int, clusters: int, smoothing: float) -> None:
    features, proxies = vectors(seed, batch, 4), vectors(seed + 1, clusters, 4)
    labels = numbers(seed + 2, batch, clusters)
    found = proxy_contrast(features, labels, proxies, temperature=0.5, label_smoothing=smoothing)
    near(found, reference.proxy_contrast(features, labels, proxies, 0.5, smoothing))


def test_proxy_contrast_takes_the_plain_dot_product() -> None:
    features, proxies, labels = vectors(0, 3, 4), vectors(1, 3, 4), torch.arange(3)
    plain = proxy_contrast(features, labels, proxies, temperature=0.5)
    longer = proxy_contrast(3 * features, labels, proxies, temperature=1.5)
    torch.testing.assert_close(plain, longer)
    assert not torch.allclose(plain, proxy_contrast(F.normalize(features), labels, proxies, temperature=0.5))
    near(plain, reference.proxy_contrast(features, labels, proxies, 0.5, 0))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_proxy_contrast_with_a_single_cluster_is_zero(smoothing: float) -> None:
    losses = proxy_contrast(
        vectors(0, 3, 4), torch.zeros(3, dtype=torch.long), vectors(1, 1, 4), temperature=0.5, label_smoothing=smoothing
    )
    near(losses, [0.0, 0.0, 0.0])


def test_proxy_contrast_with_equal_proxies_is_the_log_of_their_number() -> None:
    proxies = vectors(1, 1, 4).expand(5, 4)
    near(proxy_contrast(vectors(0, 2, 4), torch.tensor([0, 3]), proxies, temperature=0.5), [math.log(5)] * 2)


@few
@given(seed=seeds, clusters=st.integers(1, 6), smoothing=st.sampled_from([0.0, 0.1]))
def test_proxy_contrast_leaves_spared_proxies_out_of_the_softmax(seed: int, clusters: int, smoothing: float) -> None:
    features, proxies = vectors(seed, 5, 4).requires_grad_(), vectors(seed + 1, clusters, 4).requires_grad_()
    labels, ignore_mask = numbers(seed + 2, 5, clusters), spare(seed + 3, 5, clusters)
    ignore_mask[torch.arange(5), labels] = False
    found = proxy_contrast(
        features, labels, proxies, temperature=0.5, label_smoothing=smoothing, ignore_mask=ignore_mask
    )
    near(found, reference.proxy_contrast(features.detach(), labels, proxies.detach(), 0.5, smoothing, ignore_mask))
    found.sum().backward()
    assert proxies.grad is not None
    assert not proxies.grad[ignore_mask.all(0)].any()


def test_sparing_nothing_changes_nothing() -> None:
    features, proxies, labels = vectors(0, 5, 4), vectors(1, 6, 4), numbers(2, 5, 6)
    how = {"temperature": 0.5, "label_smoothing": 0.1}
    none = torch.zeros(5, 6, dtype=torch.bool)
    torch.testing.assert_close(
        proxy_contrast(features, labels, proxies, ignore_mask=none, **how),
        proxy_contrast(features, labels, proxies, **how),
    )


# -- L_cross, eq. 6.7 ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("own_camera", "softmax"), CAMERA_READINGS)
@few
@given(seed=seeds, negatives=st.integers(1, 14))
def test_camera_contrast_equals_the_equation(own_camera: bool, softmax, seed: int, negatives: int) -> None:
    features, labels, cameras, proxies = camera_case(seed)
    variant = {"temperature": 0.07, "negatives": negatives, "own_camera": own_camera, "softmax": softmax}
    found = camera_contrast(features, labels, cameras, proxies=proxies, **variant)
    near(found, reference.camera_contrast(features, labels, cameras, proxies, **variant))
    ignore_mask = spare(seed, len(features), len(proxies[0]))
    found = camera_contrast(features, labels, cameras, proxies=proxies, ignore_mask=ignore_mask, **variant)
    near(found, reference.camera_contrast(features, labels, cameras, proxies, **variant, ignore_mask=ignore_mask))


@pytest.mark.parametrize(("own_camera", "softmax"), CAMERA_READINGS)
def test_camera_contrast_without_a_positive_proxy_is_zero_and_pushes_nothing(own_camera: bool, softmax) -> None:
    features = vectors(0, 2, 4).requires_grad_()
    proxies = (vectors(1, 3, 4, unit=True), torch.tensor([1, 1, 2]), torch.tensor([0, 1, 0]))
    losses = camera_contrast(
        features, torch.tensor([0, 5]), torch.tensor([0, 1]), proxies=proxies, temperature=0.07,
        own_camera=own_camera, softmax=softmax,
    )  # fmt: skip
    losses.sum().backward()
    assert losses.tolist() == [0.0, 0.0]
    assert features.grad is not None
    assert not features.grad.any()


def test_the_own_camera_is_a_positive_only_where_asked_for() -> None:
    proxies = (vectors(1, 3, 4, unit=True), torch.tensor([0, 1, 1]), torch.tensor([2, 0, 1]))
    batch = (vectors(0, 1, 4), torch.tensor([0]), torch.tensor([2]))
    assert camera_contrast(*batch, proxies=proxies, temperature=0.07, own_camera=True).item() > 0
    assert camera_contrast(*batch, proxies=proxies, temperature=0.07, own_camera=False).item() == 0


def test_fifty_proxies_are_negatives_where_nothing_is_said() -> None:
    """Thesis §6.4: N_neg = 50."""
    proxies = (vectors(1, 53, 4, unit=True), torch.arange(53), torch.zeros(53, dtype=torch.long))
    batch = (vectors(0, 2, 4), torch.tensor([0, 1]), torch.tensor([0, 0]))
    found = camera_contrast(*batch, proxies=proxies, temperature=0.5)
    near(found, reference.camera_contrast(*batch, proxies, 0.5, 50, True, "joint"))


def test_the_own_camera_proxy_is_never_a_negative() -> None:
    vector = vectors(1, 3, 4, unit=True)
    batch = (vectors(0, 1, 4), torch.tensor([0]), torch.tensor([0]))
    whole = (vector, torch.tensor([0, 0, 1]), torch.tensor([0, 1, 0]))
    without = (vector[1:], torch.tensor([0, 1]), torch.tensor([1, 0]))
    for softmax in ("joint", "separate"):
        how = {"temperature": 0.07, "own_camera": False, "softmax": softmax}
        torch.testing.assert_close(
            camera_contrast(*batch, proxies=whole, **how), camera_contrast(*batch, proxies=without, **how)
        )


@pytest.mark.parametrize("softmax", ["joint", "separate"])
def test_more_negatives_than_there_are_changes_nothing(softmax) -> None:
    features, labels, cameras, proxies = camera_case(3)
    how = {"proxies": proxies, "temperature": 0.07, "softmax": softmax}
    few_are, many = (camera_contrast(features, labels, cameras, negatives=n, **how) for n in (len(proxies[1]), 10**6))
    torch.testing.assert_close(few_are, many, rtol=0, atol=0)


def test_camera_contrast_of_a_single_cluster_is_the_entropy_of_its_positives_or_zero() -> None:
    proxies = (vectors(1, 1, 4, unit=True).expand(3, 4), torch.zeros(3, dtype=torch.long), torch.arange(3))
    batch = (vectors(0, 2, 4), torch.tensor([0, 0]), torch.tensor([0, 1]))
    near(camera_contrast(*batch, proxies=proxies, temperature=0.07), [math.log(3)] * 2)
    near(camera_contrast(*batch, proxies=proxies, temperature=0.07, softmax="separate"), [0.0, 0.0])


def test_camera_contrast_ignores_the_length_of_features() -> None:
    features, labels, cameras, proxies = camera_case(5)
    how = {"proxies": proxies, "temperature": 0.07}
    torch.testing.assert_close(
        camera_contrast(features, labels, cameras, **how), camera_contrast(40 * features, labels, cameras, **how)
    )


@few
@given(seed=seeds, batch=st.integers(1, 9))
def test_weighed_by_their_cameras_losses_are_the_sum_of_means(seed: int, batch: int) -> None:
    losses, cameras = vectors(seed, batch), numbers(seed + 1, batch, 4)
    expected = reference.sum_over_cameras(losses.tolist(), cameras)
    assert (camera_weights(cameras) * losses).sum().item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


# -- L_h_ins, eq. 6.9 ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("negatives", ["all", "hardest"])
@few
@given(seed=seeds, people=st.integers(1, 4), images=st.integers(1, 3))
def test_hard_instance_contrast_equals_the_equation(negatives, seed: int, people: int, images: int) -> None:
    labels = torch.arange(people).repeat_interleave(images)
    anchors, keys = vectors(seed, len(labels), 5), vectors(seed + 1, len(labels), 5)
    found = hard_instance_contrast(anchors, labels, keys, labels, temperature=0.1, negatives=negatives)
    near(found, reference.hard_instance_contrast(anchors, labels, keys, labels, 0.1, negatives))
    ignore_mask = spare(seed, len(anchors), len(keys))
    found = hard_instance_contrast(
        anchors, labels, keys, labels, temperature=0.1, negatives=negatives, ignore_mask=ignore_mask
    )  # fmt: skip
    near(found, reference.hard_instance_contrast(anchors, labels, keys, labels, 0.1, negatives, ignore_mask))


def test_a_part_of_the_batch_against_all_keys_gives_that_part_of_the_losses() -> None:
    labels = torch.arange(3).repeat_interleave(2)
    anchors, keys = vectors(0, 6, 5), vectors(1, 6, 5)
    whole = hard_instance_contrast(anchors, labels, keys, labels, temperature=0.1)
    part = hard_instance_contrast(anchors[2:5], labels[2:5], keys, labels, temperature=0.1)
    torch.testing.assert_close(part, whole[2:5])


def test_the_own_second_view_is_a_positive() -> None:
    """Of two people with an image each, the own second view is the only positive, and the loss needs it."""
    anchors = torch.eye(2, dtype=torch.float64)
    keys = torch.eye(2, dtype=torch.float64).flip(0)  # each second view looks like the other person
    losses = hard_instance_contrast(anchors, torch.arange(2), keys, torch.arange(2), temperature=0.1)
    near(losses, [math.log1p(math.exp(10))] * 2)


@pytest.mark.parametrize("negatives", ["all", "hardest"])
def test_hard_contrast_with_one_negative_is_the_softplus_of_the_difference(negatives) -> None:
    anchor, keys = vectors(0, 1, 4), vectors(1, 3, 4)
    losses = hard_instance_contrast(
        anchor, torch.tensor([0]), keys, torch.tensor([0, 0, 1]), temperature=0.1, negatives=negatives
    )
    similar = F.cosine_similarity(anchor, keys)
    torch.testing.assert_close(losses, F.softplus((similar[2:] - similar[:2].min()) / 0.1))


@pytest.mark.parametrize("negatives", ["all", "hardest"])
def test_hard_contrast_without_negatives_is_zero(negatives) -> None:
    labels = torch.zeros(3, dtype=torch.long)
    losses = hard_instance_contrast(
        vectors(0, 3, 4), labels, vectors(1, 3, 4), labels, temperature=0.1, negatives=negatives
    )
    near(losses, [0.0] * 3)


def test_hard_contrast_of_duplicates() -> None:
    """All vectors equal: J negatives as similar as the positive, log(1 + J); the hardest alone, log 2."""
    labels, same = torch.arange(3).repeat_interleave(2), torch.ones(6, 4, dtype=torch.float64)
    near(hard_instance_contrast(same, labels, same, labels, temperature=0.1), [math.log(5)] * 6)
    near(hard_instance_contrast(same, labels, same, labels, temperature=0.1, negatives="hardest"), [math.log(2)] * 6)


# -- all of them ---------------------------------------------------------------------------------------------------


def every_loss(features: torch.Tensor, keys: torch.Tensor, scale: float = 1.0):
    """Each loss and variant on one batch of 3 people with 2 images, as (name, function of the features)."""
    labels = torch.arange(3).repeat_interleave(2)
    cameras = torch.tensor([0, 1] * 3)
    unit = F.normalize(keys)
    proxies = (unit, labels, cameras)
    for smoothing in (0.0, 0.1):
        yield (
            f"proxy {smoothing}",
            lambda f, s=smoothing: proxy_contrast(f, labels, keys, temperature=0.5 / scale, label_smoothing=s)[
                labels >= 0
            ],
        )
    for own, softmax in CAMERA_READINGS:
        yield (
            f"camera {own} {softmax}",
            lambda f, o=own, s=softmax: camera_contrast(
                f, labels, cameras, proxies=proxies, temperature=0.07 / scale, negatives=2, own_camera=o, softmax=s
            ),
        )
    for negatives in ("all", "hardest"):
        yield (
            f"hard {negatives}",
            lambda f, n=negatives: hard_instance_contrast(
                f, labels, keys, labels, temperature=0.1 / scale, negatives=n
            ),
        )


CASES = [name for name, _ in every_loss(vectors(0, 6, 4), vectors(1, 6, 4))]


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    features, keys = vectors(10, 6, 4).requires_grad_(), vectors(11, 6, 4)
    assert torch.autograd.gradcheck(dict(every_loss(features, keys))[name], (features,))


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("hard")])
def test_no_gradient_reaches_the_keys(name: str) -> None:
    features, keys = vectors(10, 6, 4).requires_grad_(), vectors(11, 6, 4).requires_grad_()
    dict(every_loss(features, keys))[name](features).sum().backward()
    assert keys.grad is None
    assert features.grad is not None
    assert features.grad.abs().sum() > 0


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", ["huge", "zero", "equal", "opposite"])
def test_extreme_vectors_give_finite_losses_and_gradients(name: str, kind: str) -> None:
    keys = vectors(1, 6, 4).float()
    features = {
        "huge": vectors(0, 6, 4).float() * 1e6,
        "zero": torch.zeros(6, 4),
        "equal": keys.clone(),
        "opposite": -keys,
    }[kind].requires_grad_()
    losses = dict(every_loss(features, keys, scale=20))[name](features)
    losses.sum().backward()
    assert torch.isfinite(losses).all()
    assert (losses >= -1e-4).all()
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()
