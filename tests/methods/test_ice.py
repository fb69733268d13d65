"""ICE: a step compared with the equations, its two encoders, and the losses that can be left out."""

from __future__ import annotations

import copy
from typing import Any, Literal

import numpy as np
import pytest
import torch

import reference
import tiny
from resight.data.crops import Crops
from resight.data.transforms import apply_params, sample_params, to_float
from resight.losses.consistency import Divergence
from resight.methods.ice_settings import VARIANTS
from stepping import steps


@pytest.mark.parametrize(("variant", "negatives"), [("code", "all"), ("thesis", "all"), ("code", "shared-camera")])
def test_the_losses_of_a_step_are_the_equations(images: Crops, variant: str, negatives: str) -> None:
    """With fixed statistics features are those of each image alone; the momentum encoder is another and sees others."""
    changed = {"cross_negatives": 3, "negatives": negatives}
    method = tiny.ice(images, variant, **{**tiny.SPLITS_CLEANLY, **changed})
    s = method.settings
    batch = next(iter(method.begin_epoch(0)))
    with torch.no_grad():
        raw = method.online(to_float(images.pixels(slice(None)))).double().numpy()
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    noise = torch.Generator().manual_seed(0)
    for parameter in method.momentum.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=noise)
    drawn = torch.Generator()
    drawn.set_state(method.generator.get_state())
    views = [sample_params(s.augment, len(batch), images.size, drawn) for _ in range(2)]
    seen = [apply_params(images.pixels(batch), view, color=s.augment.erase_color) for view in views]
    with torch.no_grad():
        f = method.online(seen[0]).double().numpy()
        m = method.momentum(seen[1]).double().numpy()
        plain = method.momentum(to_float(images.pixels(batch))).double().numpy()
    found = method.step(batch)

    labels, cameras = method.labeling.current.labels, images.table.camera_ids
    clusters = range(labels.max() + 1)
    centers = [unit[labels == a].mean(0) for a in clusters]
    pairs = [(a, b) for a in clusters for b in np.unique(cameras[labels == a])]
    proxies = np.array([unit[(labels == a) & (cameras == b)].mean(0) for a, b in pairs])
    proxies /= np.linalg.norm(proxies, axis=1, keepdims=True)
    own, views_of = labels[batch], cameras[batch]

    def ignore_mask(others):
        """Clusters without a common camera are not pushed apart."""
        views = [set(cameras[labels == a]) for a in clusters]
        return None if negatives == "all" else [[not views[a] & views[b] for b in others] for a in own]

    if negatives == "shared-camera":
        assert np.any(ignore_mask(clusters)), "the toy images must have clusters without a common camera"
    agnostic = np.mean(reference.proxy_contrast(f, own, centers, 0.5, s.label_smoothing, ignore_mask(clusters)))
    columns = (proxies, [a for a, _ in pairs], [b for _, b in pairs])
    numbers = (0.07, 3, s.cross_own_camera, s.cross_softmax, ignore_mask(columns[1]))
    each = np.array(reference.camera_contrast(f, own, views_of, columns, *numbers))
    by_camera = sum(each[views_of == b].mean() for b in np.unique(views_of))
    cross = 0.5 * (by_camera if variant == "code" else each.mean())
    hard = np.mean(reference.hard_instance_contrast(f, own, m, own, 0.1, "all", ignore_mask(own)))
    soft = 10 * np.mean(reference.soft_instance_consistency(f, m, plain, plain, 0.4, s.soft_divergence))
    for name, expected in (("agnostic", agnostic), ("cross", cross), ("hard", hard), ("soft", soft)):
        assert float(found[f"loss/{name}"]) == pytest.approx(expected, rel=1e-4, abs=1e-5), name
    assert min(float(value) for value in found.values()) > 0.01


def test_the_variants_differ(images: Crops) -> None:
    assert VARIANTS["code"] == {}
    code, thesis = (steps(tiny.ice(images, variant, iterations=1))[0] for variant in ("code", "thesis"))
    for name in ("agnostic", "cross", "soft"):
        assert code[f"loss/{name}"] != pytest.approx(thesis[f"loss/{name}"], rel=1e-3)


def test_the_momentum_encoder_gets_no_gradient_and_is_the_moving_average(images: Crops) -> None:
    method = tiny.ice(images, momentum=0.9)
    start = [p.detach().flatten().tolist() for p in method.momentum.parameters()]
    history = []
    for batch in [*method.begin_epoch(0), *method.begin_epoch(1)]:
        method.step(batch)
        history.append([p.detach().flatten().tolist() for p in method.online.parameters()])
    assert all(p.grad is None and not p.requires_grad for p in method.momentum.parameters())
    assert all(p.grad is not None for p in method.online.parameters() if p.requires_grad)
    for i, parameter in enumerate(method.momentum.parameters()):
        expected = [
            reference.moving_average(value, [taken[i][j] for taken in history], 0.9) for j, value in enumerate(start[i])
        ]
        np.testing.assert_allclose(parameter.flatten().numpy(), expected, atol=1e-6)
    assert any(
        not torch.equal(a, b) for a, b in zip(method.momentum.parameters(), method.online.parameters(), strict=True)
    )


@pytest.mark.parametrize("weights", [{}, {"soft_weight": 0.0}, {"hard_weight": 0.0, "soft_weight": 0.0}])
def test_the_momentum_encoder_has_statistics_of_its_own_passes(images: Crops, weights: dict[str, float]) -> None:
    """Whichever of the losses of Table 6.6 are trained; it is what is scored."""
    method = tiny.ice(images, **weights)
    before = {name: buffer.clone() for name, buffer in method.momentum.named_buffers() if "running" in name}
    batches = method.begin_epoch(0)
    for parameter in method.momentum.parameters():
        parameter.data *= 1.1
    method.step(next(iter(batches)))
    online = dict(method.online.named_buffers())
    assert before
    for name, buffer in method.momentum.named_buffers():
        if name in before:
            assert not torch.equal(buffer, before[name])
            assert not torch.equal(buffer, online[name])


@pytest.mark.parametrize("extra", [True, False])
def test_the_extra_forward_pass_moves_the_statistics_and_nothing_else(images: Crops, extra: bool) -> None:
    """The online encoder sees the second strong view too, before it learns: its first batch norm has a mean of both."""
    method = tiny.ice(images, extra_forward=extra, ghost_batches=1)
    batch = next(iter(method.begin_epoch(0)))
    convolution, norm = copy.deepcopy(method.online.backbone.network[:2])
    drawn = torch.Generator()
    drawn.set_state(method.generator.get_state())
    views = [sample_params(method.settings.augment, len(batch), images.size, drawn) for _ in range(2)]
    expected = norm.running_mean.double()
    for view in views if extra else views[:1]:
        seen = apply_params(images.pixels(batch), view, color=method.settings.augment.erase_color)
        maps = convolution((seen - method.online.mean) / method.online.std)
        expected = 0.9 * expected + 0.1 * maps.detach().double().mean((0, 2, 3))
    method.step(batch)
    found = method.online.backbone.network[1].running_mean
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-6)


def test_kl_is_the_divergence_of_strong_views_from_plain_ones(images: Crops) -> None:
    """Figure 6.7: KL(Q‖P), Q of the images as they are, over the epoch's last eight batches."""
    method = tiny.ice(images, soft_temperature=0.1, iterations=9)
    batches = list(method.begin_epoch(0))
    for batch in batches:
        method.step(batch)
    noise = torch.Generator().manual_seed(0)
    for parameter in method.momentum.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=noise)
    drawn = torch.Generator()
    drawn.set_state(method.generator.get_state())
    found = method.end_epoch()["kl"]
    each = []
    with torch.no_grad():
        for batch in batches[-8:]:
            views = [sample_params(method.settings.augment, len(batch), images.size, drawn) for _ in range(2)]
            color = method.settings.augment.erase_color
            first, second = (apply_params(images.pixels(batch), view, color=color) for view in views)
            f, m = method.online.eval()(first), method.momentum.eval()(second)
            plain = method.momentum(to_float(images.pixels(batch)))
            columns = (vectors.double().numpy() for vectors in (f, m, plain, plain))
            each += reference.soft_instance_consistency(*columns, 0.1, "target-prediction")
    assert found == pytest.approx(np.mean(each), rel=1e-4)
    assert found > 0.01


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"hard_weight": 0.0}, {"agnostic", "cross", "soft"}),
        ({"soft_weight": 0.0}, {"agnostic", "cross", "hard"}),
        ({"hard_weight": 0.0, "soft_weight": 0.0, "camera_aware": False}, {"agnostic"}),
        ({"soft_target": "strong", "soft_divergence": "squared"}, {"agnostic", "cross", "hard", "soft"}),
        ({"agnostic_similarity": "cosine", "proxy_momentum": 0.5}, {"agnostic", "cross", "hard", "soft"}),
        ({"center_cameras": True, "hard_negatives": "hardest"}, {"agnostic", "cross", "hard", "soft"}),
    ],
)
def test_each_part_can_be_left_out_or_read_otherwise(images: Crops, changes: dict[str, Any], names: set[str]) -> None:
    for losses in steps(tiny.ice(images, **changes)):
        assert set(losses) == {f"loss/{name}" for name in names}
        assert np.isfinite(list(losses.values())).all()


def test_the_hardest_negative_alone_weighs_less_than_all(images: Crops) -> None:
    """Table 6.2: with the hardest negative only, the denominator of eq. 6.9 has one term where it had all."""
    every, hardest = (next(iter(steps(tiny.ice(images, hard_negatives=n)))) for n in ("all", "hardest"))
    assert hardest["loss/hard"] < every["loss/hard"] - 0.1
    assert hardest["loss/agnostic"] == every["loss/agnostic"]


def test_proxies_that_move_stay_unit_vectors_and_follow_the_batch(images: Crops) -> None:
    method = tiny.ice(images, proxy_momentum=0.5, agnostic_similarity="cosine")
    batch = next(iter(method.begin_epoch(0)))
    before = method.memory.centers.clone()
    method.step(batch)
    seen = torch.from_numpy(np.unique(method.labeling.current.labels[batch]))
    moved = (method.memory.centers != before).any(1)
    assert set(moved.nonzero()[:, 0].tolist()) == set(seen.tolist())
    torch.testing.assert_close(method.memory.centers[seen].norm(dim=1), torch.ones(len(seen)))


@pytest.mark.parametrize("target", ["plain", "strong"])
@pytest.mark.parametrize(
    ("divergence", "name"),
    [("target-prediction", "kl"), ("prediction-target", "kl_reverse"), ("squared", "squared_divergence")],
)
def test_the_divergence_that_is_trained_is_what_is_measured(
    images: Crops, divergence: Divergence, name: str, target: Literal["plain", "strong"]
) -> None:
    method = tiny.ice(images, soft_divergence=divergence, soft_target=target)
    batch = next(iter(method.begin_epoch(0)))
    method.step(batch)
    for parameter in method.momentum.parameters():  # or both networks see the same
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
    drawn = torch.Generator()
    drawn.set_state(method.generator.get_state())
    found = method.end_epoch()
    assert {"kl", "kl_reverse", "squared_divergence"} & set(found) == {name}
    s, pixels = method.settings, images.pixels(batch)
    views = [sample_params(s.augment, len(batch), images.size, drawn) for _ in range(2)]
    strong = [apply_params(pixels, view, color=s.augment.erase_color) for view in views]
    with torch.no_grad():
        f, m = method.online(strong[0]), method.momentum(strong[1])
        q = m if target == "strong" else method.momentum(to_float(pixels))
    f, m, q = (each.double().numpy() for each in (f, m, q))
    expected = np.mean(reference.soft_instance_consistency(f, m, q, q, s.soft_temperature, divergence))
    assert found[name] == pytest.approx(expected, rel=1e-4)
    assert expected > 1e-5
