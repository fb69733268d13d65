"""ICE: its first step compared with the equations, its two encoders, and what its settings change."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

import reference
import tiny
from resight.data.crops import Crops
from resight.data.transforms import AugmentSettings, apply_params, sample_params, to_float
from resight.errors import ConfigError
from resight.files import write_atomically
from resight.losses.consistency import Divergence
from resight.methods.ice_settings import VARIANTS, ICESettings
from resight.methods.labeling import Labeling
from resight.models.encoder import EncoderSettings
from resight.numerics.clustering import ClusterSettings
from resight.records import ImageTable
from resight.training import runs
from resight.training.runs import Run
from run_equality import assert_same_run
from stepping import run_to, steps

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "ice.json"


@pytest.fixture(scope="module")
def images(tiny_market: Path) -> Crops:
    return tiny.crops(tiny_market)


def with_columns(images: Crops, **columns: Any) -> Crops:
    return dataclasses.replace(images, table=dataclasses.replace(images.table, **columns))


# -- what a step computes ------------------------------------------------------------------------------------------


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


def test_the_defaults_are_the_released_codes_numbers() -> None:
    s = ICESettings()
    assert (s.epochs, s.iterations, s.identities, s.images) == (40, 400, 8, 4)
    assert (s.learning_rate, s.weight_decay, s.warmup_epochs, s.schedule, s.clip) == (3.5e-4, 5e-4, 10, "constant", 0)
    assert (s.momentum, s.proxy_momentum, s.ghost_batches, s.shuffle, s.extra_forward) == (0.999, 1, 4, True, True)
    assert (s.agnostic_weight, s.agnostic_similarity, s.agnostic_temperature, s.label_smoothing) == (1, "dot", 0.5, 0.1)
    assert (s.cross_weight, s.cross_temperature, s.cross_negatives) == (0.5, 0.07, 50)
    assert (s.cross_own_camera, s.cross_softmax, s.cross_average) == (True, "joint", "camera-sum")
    assert (s.hard_weight, s.hard_temperature, s.hard_negatives) == (1, 0.1, "all")
    assert (s.soft_weight, s.soft_temperature, s.soft_divergence) == (10, 0.4, "target-prediction")
    assert (s.soft_target, s.cluster_feature, s.negatives) == ("plain", "neck", "all")
    assert (s.center_cameras, s.whiten) == (False, 0)
    c = s.cluster
    assert (c.k1, c.k2, c.eps, c.rho, c.min_samples, c.method, c.k_cross_camera) == (30, 6, 0.55, None, 4, "dbscan", 0)
    assert s.augment == AugmentSettings(flip=0.5, pad=10, blur=0.5, erase=0.6)
    assert s.encoder == EncoderSettings("resnet50")
    assert (s.encoder.height, s.encoder.width, s.encoder.last_stride, s.encoder.pooling) == (256, 128, 1, "average")


def test_parts_of_a_single_identity_are_refused() -> None:
    with pytest.raises(ConfigError, match="set ghost_batches to 2 or fewer"):
        ICESettings(identities=4)


def test_labels_are_kept_of_images_whose_names_are_no_text() -> None:
    tables = [ImageTable(np.array([name, "b.jpg"])) for name in ("a\udcff.jpg", "a.jpg")]
    kept = [Labeling(table, ClusterSettings()).state_dict() for table in tables]
    Labeling(tables[0], ClusterSettings()).load_state_dict(kept[0])
    with pytest.raises(ValueError, match="labels of 2 images, found 2 or other ones"):
        Labeling(tables[0], ClusterSettings()).load_state_dict(kept[1])


def test_what_is_kept_is_the_momentum_encoder(images: Crops) -> None:
    method = tiny.ice(images)
    assert method.encoder is method.momentum
    assert method.encoder is not method.online


def test_the_learning_rate_warms_up_from_a_tenth(images: Crops) -> None:
    method = tiny.ice(images, warmup_epochs=2, learning_rate=1e-2, iterations=1)
    rates = []
    for epoch in range(4):
        for batch in method.begin_epoch(epoch):
            method.step(batch)
        rates.append(method.end_epoch()["learning_rate"])
    assert rates == pytest.approx([1e-3, 5.5e-3, 1e-2, 1e-2])


def test_the_cosine_schedule_falls_from_the_end_of_the_warmup_to_0() -> None:
    settings = ICESettings(learning_rate=1, epochs=6, warmup_epochs=2, schedule="cosine")
    factors = [settings.rate(epoch) for epoch in range(7)]
    root = math.sqrt(0.5)
    assert factors == pytest.approx([0.1, 0.55, 1, (1 + root) / 2, 0.5, (1 - root) / 2, 0])
    assert ICESettings(learning_rate=1, epochs=3, warmup_epochs=0, schedule="cosine").rate(0) == 1


def test_a_clipped_gradient_is_as_long_as_allowed(images: Crops) -> None:
    lengths = []
    for clip in (0.0, 0.5):
        method = tiny.ice(images, clip=clip)
        method.step(next(iter(method.begin_epoch(0))))
        gradients = [p.grad for p in method.online.parameters() if p.grad is not None]
        lengths.append(float(torch.cat([g.flatten() for g in gradients]).norm()))
    assert lengths[0] > 1
    assert lengths[1] == pytest.approx(0.5, rel=1e-3)


def test_camera_agnostic_training_is_the_same_whatever_is_said_of_cameras(images: Crops) -> None:
    plain = steps(tiny.ice(images, camera_aware=False))
    said = {"negatives": "shared-camera", "center_cameras": True}
    balanced = dataclasses.replace(tiny.SETTINGS.cluster, k1=tiny.SETTINGS.cluster.k1 - 6, k_cross_camera=6)
    assert steps(tiny.ice(images, camera_aware=False, cluster=balanced, **said)) == plain, "one list as long as both"
    assert steps(tiny.ice(images, cluster=balanced)) != steps(tiny.ice(images))


def test_camera_agnostic_training_uses_cameras_to_draw_batches_and_for_nothing_else(images: Crops) -> None:
    cameras = np.random.default_rng(1).permutation(images.table.camera_ids)
    seen = [images, with_columns(images, camera_ids=cameras)]
    plain, moved = (tiny.ice(each, camera_aware=False) for each in seen)
    batches = [next(iter(method.begin_epoch(0))) for method in (plain, moved)]
    labels = plain.labeling.current.labels
    np.testing.assert_array_equal(labels, moved.labeling.current.labels)
    assert torch.equal(plain.memory.centers, moved.memory.centers)
    np.testing.assert_array_equal(labels[batches[0]], labels[batches[1]])
    assert (batches[0] != batches[1]).any()
    for batch, each in zip(batches, seen, strict=True):
        for rows in batch.reshape(-1, 4):
            there = np.unique(each.table.camera_ids[labels == labels[rows[0]]])
            assert len(np.unique(each.table.camera_ids[rows])) == min(4, len(there)), "as many cameras as possible"
    assert plain.step(batches[0]) == moved.step(batches[0]), "the same batch teaches the same"


def test_camera_aware_training_learns_from_cameras(images: Crops) -> None:
    cameras = np.random.default_rng(1).permutation(images.table.camera_ids)
    plain, moved = (tiny.ice(each) for each in (images, with_columns(images, camera_ids=cameras)))
    batch, _ = (next(iter(method.begin_epoch(0))) for method in (plain, moved))
    found, other = plain.step(batch), moved.step(batch)
    assert {name for name, value in found.items() if value != other[name]} == {"loss/cross"}


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


def test_proxies_that_move_stay_unit_vectors_and_follow_the_batch(images: Crops) -> None:
    method = tiny.ice(images, proxy_momentum=0.5, agnostic_similarity="cosine")
    batch = next(iter(method.begin_epoch(0)))
    before = method.memory.centers.clone()
    method.step(batch)
    seen = torch.from_numpy(np.unique(method.labeling.current.labels[batch]))
    moved = (method.memory.centers != before).any(1)
    assert set(moved.nonzero()[:, 0].tolist()) == set(seen.tolist())
    torch.testing.assert_close(method.memory.centers[seen].norm(dim=1), torch.ones(len(seen)))


# -- labels --------------------------------------------------------------------------------------------------------


def test_supervised_training_takes_the_true_people(images: Crops) -> None:
    method = tiny.ice(images, supervised=True)
    assert len(steps(method)) == 2
    np.testing.assert_array_equal(
        method.labeling.current.labels, np.unique(images.table.person_ids, return_inverse=True)[1]
    )
    values = method.end_epoch()
    assert values["clusters"] == 8
    assert all(isinstance(value, float) for value in values.values())


def test_supervised_training_needs_every_person(images: Crops) -> None:
    people = images.table.person_ids.copy()
    people[3] = -1
    with pytest.raises(ConfigError, match="person of every image"):
        tiny.ice(with_columns(images, person_ids=people), supervised=True)


def test_unknown_cameras_are_refused_by_camera_aware_and_taken_by_camera_agnostic_training(images: Crops) -> None:
    cameras = images.table.camera_ids.copy()
    cameras[::5] = -1
    for column in (cameras, np.full(len(images), -1)):
        unknown = with_columns(images, camera_ids=column)
        with pytest.raises(ConfigError, match="camera of every image"):
            tiny.ice(unknown)
        for losses in steps(tiny.ice(unknown, camera_aware=False)):
            assert set(losses) == {"loss/agnostic", "loss/hard", "loss/soft"}
            assert np.isfinite(list(losses.values())).all()


def test_true_people_only_enter_the_diagnostics(images: Crops) -> None:
    unlabeled = with_columns(images, person_ids=np.full(len(images), -1))
    methods = [tiny.ice(images), tiny.ice(unlabeled)]
    assert steps(methods[0], 0, 1) == steps(methods[1], 0, 1)
    known, unknown = (method.end_epoch() for method in methods)
    assert "ari" in known
    assert "ari" not in unknown
    assert known["clusters"] == unknown["clusters"]


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


@pytest.mark.parametrize("feature", ["neck", "pooled"])
def test_what_is_clustered_is_what_was_asked_for(images: Crops, feature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxies are of the vectors after the neck either way."""
    method = tiny.ice(images, cluster_feature=feature)
    with torch.no_grad():
        method.momentum.eval()
        pooled = method.momentum.pool(to_float(images.pixels(slice(None))))
        after = torch.nn.functional.normalize(method.momentum.neck(pooled)).numpy()
        before = torch.nn.functional.normalize(pooled).numpy()
    seen = []
    whole = method.labeling.update
    monkeypatch.setattr(
        method.labeling, "update", lambda vectors, devices: seen.append(vectors) or whole(vectors, devices)
    )
    method.begin_epoch(0)
    np.testing.assert_allclose(seen[0], after if feature == "neck" else before, atol=1e-5)
    labels = method.labeling.current.labels
    means = [after[labels == found].mean(0) for found in range(labels.max() + 1)]
    np.testing.assert_allclose(method.memory.centers.numpy(), means, atol=1e-5)


def test_whitened_features_only_enter_the_clustering(images: Crops) -> None:
    plain, whitened = (tiny.ice(images, cluster_feature="pooled", whiten=power) for power in (0.0, 0.5))
    for method in (plain, whitened):
        method.begin_epoch(0)
    assert not np.array_equal(plain.labeling.current.labels, whitened.labeling.current.labels)
    assert whitened.memory.centers.shape[1] == whitened.encoder.dim
    vectors = np.random.default_rng(0).normal(size=(len(images), 8)).astype(np.float32)
    assert (whitened.labeling.update(np.ones_like(vectors), whitened.devices).labels == 0).all(), "all alike"


# -- going on ------------------------------------------------------------------------------------------------------


def test_four_epochs_equal_two_and_two_more_with_frozen_statistics(images: Crops, tmp_path: Path) -> None:
    run_to(tmp_path / "whole", tiny.ice(images, **tiny.SPLITS_CLEANLY), 4)
    run_to(tmp_path / "halves", tiny.ice(images, **tiny.SPLITS_CLEANLY), 2)
    assert len(Run(tmp_path / "halves").metrics()) == 2
    run_to(tmp_path / "halves", tiny.ice(images, **tiny.SPLITS_CLEANLY), 4)
    assert_same_run(tmp_path / "whole", tmp_path / "halves")


class KilledError(Exception):
    """Stands in for a kill at a chosen write."""


@pytest.mark.parametrize("name", ["metrics.jsonl", "encoder-last.safetensors", "last.safetensors"])
def test_a_run_that_is_stopped_before_a_file_of_its_checkpoint_goes_on(
    images: Crops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    written: list[str] = []

    def failing(path: Path, content: bytes | str, **how: bool) -> None:
        written.append(path.name)
        if written.count(name) == 2:
            raise KilledError
        write_atomically(path, content, **how)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "write_atomically", failing)
        patch.setattr("resight.models.encoder.write_atomically", failing)
        with pytest.raises(KilledError):
            run_to(tmp_path / "stopped", tiny.ice(images), 3)
    run_to(tmp_path / "stopped", tiny.ice(images), 3)
    run_to(tmp_path / "whole", tiny.ice(images), 3)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


# -- several processes ---------------------------------------------------------------------------------------------

# -- edges ---------------------------------------------------------------------------------------------------------


def test_fewer_clusters_than_a_batch_asks_for(images: Crops) -> None:
    """Two people, two images each: a batch of 4, less than the chunks of batch norm were made for."""
    two = images[np.isin(images.table.person_ids, [1, 2])]
    for losses in steps(tiny.ice(two, supervised=True, images=2)):
        assert np.isfinite(list(losses.values())).all()


def test_settings_are_checked() -> None:
    for name, value in (("epochs", 0), ("identities", 1), ("momentum", 2.0), ("hard_temperature", 0.0)):
        with pytest.raises(ConfigError, match=name.removeprefix("hard_")):
            ICESettings(**{name: value})
    nothing = {f"{loss}_weight": 0.0 for loss in ("agnostic", "hard", "soft")}
    with pytest.raises(ConfigError, match="all weights of the losses are 0"):
        ICESettings(camera_aware=False, **nothing)
    assert ICESettings(**nothing).cross_weight


def test_images_without_a_table_of_cameras_at_all(images: Crops) -> None:
    bare = dataclasses.replace(images, table=ImageTable(images.table.paths))
    with pytest.raises(ConfigError, match="camera of every image"):
        tiny.ice(bare)
    assert len(steps(tiny.ice(bare, camera_aware=False))) == 2
