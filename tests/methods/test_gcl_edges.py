"""GCL where something is missing, too small or goes wrong; pairs; and encoders of other methods."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import reference
import tiny
from made_up_bodies import Bodies, Pictures
from resight.compute.devices import Devices, DeviceSettings
from resight.config.settings import settings_of
from resight.data.crops import Crops
from resight.data.transforms import AugmentSettings, to_float
from resight.errors import ConfigError, DataError, RunError
from resight.methods import METHODS
from resight.methods.gcl import GCL
from resight.methods.gcl_settings import AS_THEY_ARE, VARIANTS, GCLSettings
from resight.models.encoder_settings import EncoderSettings
from resight.numerics.clustering import ClusterSettings
from resight.records import Ints
from resight.thesis.paper import load_item
from resight.training.adapting import adapt_recipe
from resight.training.runs import Run
from resight.training.train import TrainSettings, fit


def gcl(images: Crops, structure: Any = None, /, **changes: Any) -> GCL:
    structure = structure or Bodies(len(images), images.size)
    method: GCL = tiny.build("gcl", images, structure=structure, **changes)
    return method


def one_line(error: pytest.ExceptionInfo[Any]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# -- settings ------------------------------------------------------------------------------------------------------


def test_the_defaults_are_the_released_codes_numbers() -> None:
    s = GCLSettings()
    assert (s.epochs, s.warmup_epochs, s.iterations, s.identities * s.images) == (60, 40, 0, 16)
    assert (s.learning_rate, s.momentum, s.weight_decay, s.milestones, s.decay) == (3.5e-4, 0.9, 5e-4, (10,), 0.1)
    assert (s.generator_rate, s.betas, s.generator_milestones) == (1e-4, (0, 0.999), (0,))
    assert (s.image_weight, s.feature_weight, s.adversarial_weight, s.penalty_weight) == (5, 5, 2, 0.01)
    assert (s.adversarial, s.feature_view, s.angles, s.slices) == ("least-squares", "reconstructed", 6, "channels")
    assert (s.memory_momentum, s.normalize_memory, s.temperature, s.negatives) == (0.2, True, 0.04, 8192)
    assert (s.original_weight, s.self_weight, s.generated_weight) == (1, 1, 1)
    assert (s.self_positive, s.pushed, s.positives, s.outlier_negatives) == ("memory", "generated", "separate", True)
    c = s.cluster
    assert (c.k1, c.k2, c.rho, c.min_samples, c.method) == (30, 6, 2e-3, 4, "dbscan")
    assert (s.encoder.backbone, s.encoder.head, s.encoder.head_width) == ("resnet50", "embedding", 512)
    assert s.augment == AugmentSettings(flip=0, pad=0, blur=0, erase=0)
    assert s.pretrain == "none"


@pytest.mark.parametrize("name", VARIANTS["thesis"])
def test_every_change_of_the_variant_is_a_change(name: str) -> None:
    assert getattr(GCLSettings(), name) != VARIANTS["thesis"][name]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0.0}, "temperature"),
        ({"memory_momentum": 1.5}, "memory_momentum"),
        ({"angles": 8}, "angles must be 7 or less"),
        ({"negatives": 0}, "negatives"),
        ({"generator_width": 0.0}, "generator_width"),
        ({"betas": (1.0, 0.9)}, "betas"),
        ({"milestones": (3, 2)}, "milestones must ascend"),
        ({"self_weight": -1.0}, "self_weight"),
        ({"generator": False}, "nothing to warm up: set warmup_epochs to 0"),
        ({"generator": False, "warmup_epochs": 0, "original_weight": 0.0}, "original_weight"),
        ({"views": "drawn"}, "views take the place of generated ones: set generator to false"),
        ({"image_weight": 0.0, "feature_weight": 0.0, "adversarial_weight": 0.0}, "set one"),
        ({"augment": AugmentSettings()}, "over the renderings of their bodies"),
        ({"encoder": EncoderSettings(height=130)}, "multiples of 4: found encoder.height 130"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GCLSettings(**changes)


def test_phases_follow_each_other() -> None:
    s = GCLSettings(pretrain="pairs", pretrain_epochs=2, warmup_epochs=3)
    assert [s.phase(epoch) for epoch in range(7)] == ["pairs"] * 2 + ["warmup"] * 3 + ["joint"] * 2
    assert [GCLSettings(warmup_epochs=1).phase(epoch) for epoch in range(2)] == ["warmup", "joint"]


# -- images and bodies ---------------------------------------------------------------------------------------------


def test_images_without_a_body_are_never_drawn_but_remembered(images: Crops) -> None:
    method = gcl(images, Bodies(96, images.size, missing=tuple(range(0, 96, 3))), iterations=0, warmup_epochs=1)
    for epoch in range(2):
        rows = np.concatenate(list(method.begin_epoch(epoch)))
        assert len(rows)
        assert (rows % 3 != 0).all()
    assert (method.labeling.current.labels[::3] >= 0).any()
    assert (method.memory.features.norm(dim=1) > 0.99).all()


@pytest.mark.parametrize("count", [0, 1])
def test_one_image_cannot_be_learned_from(images: Crops, count: int) -> None:
    with pytest.raises(ConfigError, match=f"two images or more .*, found {count} of 96") as error:
        gcl(images, Bodies(96, images.size, missing=tuple(range(96 - count))))
    one_line(error)
    with pytest.raises(ConfigError, match="found 1 of 1"):
        gcl(images[:1], Bodies(1, images.size))


def test_a_batch_is_as_large_as_there_are_images(images: Crops) -> None:
    method = gcl(images, Bodies(96, images.size, missing=tuple(range(3, 96))), warmup_epochs=4, iterations=0)
    (batch,) = method.begin_epoch(0)
    assert sorted(batch) == [0, 1, 2]
    assert all(loss.isfinite() for loss in method.step(batch).values())


class OfAnotherSize(Bodies):
    def load(self, rows: Ints, turns: Ints) -> Tensor:
        return super().load(rows, turns)[:, :, :32]


def test_structure_that_is_not_of_these_images_is_refused(images: Crops) -> None:
    with pytest.raises(DataError, match="renderings or views are of 5 images, there are 96"):
        gcl(images, Bodies(5, images.size))
    method = gcl(images, OfAnotherSize(96, images.size))
    with pytest.raises(DataError, match=r"must be \(4, 1, 64, 32\) of uint8, found \(4, 1, 32, 32\)"):
        method.step(next(iter(method.begin_epoch(0))))
    with pytest.raises(ConfigError, match="give --structure pose") as error:
        tiny.build("gcl", images)
    assert "render, render_45, render_90" in one_line(error)


def test_given_views_are_of_these_images(images: Crops, tmp_path: Path) -> None:
    contrast = {"generator": False, "warmup_epochs": 0}
    with pytest.raises(DataError, match="renderings or views are of 5 images, there are 96"):
        gcl(images, **contrast, views=Pictures(5, images.size))
    with pytest.raises(DataError, match="nowhere") as error:
        GCL(dataclasses.replace(tiny.GCL_SETTINGS, **contrast, views=str(tmp_path / "nowhere")), images)
    one_line(error)
    method = gcl(images, **contrast, views=Pictures(96, images.size, missing=tuple(range(0, 96, 3))), iterations=0)
    assert (np.concatenate(list(method.begin_epoch(0))) % 3 != 0).all()


# -- clusters ------------------------------------------------------------------------------------------------------


def test_one_cluster_and_none_are_one_line(images: Crops) -> None:
    """All images in a giant cluster, or all of them outliers."""
    giant = gcl(images)
    giant.memory.fill(np.tile(np.eye(1, giant.encoder.dim, dtype=np.float32), (96, 1)))
    for found, method in (1, giant), (0, gcl(images, cluster=ClusterSettings(k1=12, min_samples=97))):
        with pytest.raises(RunError, match=rf"found {found} cluster\(s\), training needs two or more") as error:
            method.begin_epoch(0)
        assert "--cluster.rho" in one_line(error)


def test_a_giant_cluster_learns_from_the_few_negatives_that_are_left(images: Crops) -> None:
    method = gcl(images, negatives=8192)
    method.begin_epoch(0)
    labels = np.zeros(96, np.int64)
    labels[90:] = 1
    method.labeling.current = dataclasses.replace(method.labeling.current, labels=labels, margins=np.empty(0))
    method._labels = torch.from_numpy(labels)
    losses = method.step(np.array([0, 1, 2, 92]))
    assert all(loss.isfinite() for loss in losses.values())
    assert float(losses["loss/generated"]) > 0


# -- encoders ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["embedding", "a+m1", "p1+p2(s2c2)"])
def test_an_encoder_of_any_head_has_a_part_code(images: Crops, head: str) -> None:
    settings = dataclasses.replace(tiny.ENCODER, head=head, head_width=8)
    method = GCL(
        dataclasses.replace(tiny.GCL_SETTINGS, encoder=settings),
        images,
        devices=Devices(tiny.DEVICE),
        encoder=tiny.chain(settings),
        structure=Bodies(len(images), images.size),
    )
    batch = next(iter(method.begin_epoch(0)))
    assert all(loss.isfinite() for loss in method.step(batch).values())
    assert method.memory.features.shape == (96, method.encoder.dim)


def test_an_encoder_with_statistics_of_the_data_set_measures_them_each_epoch(images: Crops) -> None:
    method = gcl(images, encoder=tiny.frozen(tiny.ENCODER))
    method.begin_epoch(0)
    measured = method.encoder.neck.running_mean.clone()
    filled = method.memory.features.clone()
    with torch.no_grad():
        next(iter(method.encoder.backbone.parameters())).mul_(2)
    method.begin_epoch(1)
    assert not torch.allclose(method.encoder.neck.running_mean, measured)
    assert torch.equal(method.memory.features, filled)


def test_a_step_in_bfloat16_is_finite(images: Crops) -> None:
    device = DeviceSettings(accelerator="cpu", training="bfloat16", inference="float32", threads=1)
    method = gcl(images, device=device)
    seen = []
    method.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].dtype))
    losses = method.step(next(iter(method.begin_epoch(0))))
    assert all(loss.isfinite() and loss.dtype == torch.float32 for loss in losses.values())
    assert set(seen) == {torch.float32}
    assert all(p.isfinite().all() for network in (method.view_generator, method.encoder) for p in network.parameters())


# -- divergence ----------------------------------------------------------------------------------------------------


def test_a_discriminator_that_is_never_fooled_ends_the_run(images: Crops, tmp_path: Any) -> None:
    method = gcl(images, iterations=1)
    run = Run(tmp_path, seed=3)
    fit(method, run, epochs=1)
    saved = (tmp_path / "last.safetensors").read_bytes()
    learn = method._learn_discriminator

    def all_knowing(views: Any) -> dict[str, Tensor]:
        losses = learn(views) | {"loss/discriminator": torch.tensor(1e-7)}
        method._largest_loss = torch.tensor(1e-7)
        return losses

    method._learn_discriminator = all_knowing  # type: ignore[method-assign]
    with pytest.raises(RunError, match=r"discriminator lost less than 0\.001 in each step") as error:
        fit(method, run, epochs=2)
    assert "the last checkpoint is intact" in one_line(error)
    assert (tmp_path / "last.safetensors").read_bytes() == saved


def test_the_largest_loss_of_an_epoch_counts(images: Crops) -> None:
    method = gcl(images)
    losses = [float(method.step(batch)["loss/discriminator"]) for batch in method.begin_epoch(0)]
    assert float(method._largest_loss) == pytest.approx(max(losses))
    method.begin_epoch(1)
    assert float(method._largest_loss) == -np.inf
    method.end_epoch()  # an epoch without a step says nothing


def test_a_generator_that_is_not_finite_ends_the_run(images: Crops, tmp_path: Any) -> None:
    method = gcl(images, iterations=2)
    run = Run(tmp_path, seed=3)
    fit(method, run, epochs=1)
    begin_epoch = method.begin_epoch

    def poisoned(epoch: int) -> Any:
        next(iter(method.view_generator.parameters())).data.fill_(torch.nan)
        return begin_epoch(epoch)

    method.begin_epoch = poisoned  # type: ignore[method-assign]
    with pytest.raises(RunError, match=r"loss/discriminator became nan .* the last checkpoint is intact") as error:
        fit(method, run, epochs=2)
    one_line(error)
    assert len(run.metrics()) == 1


# -- pairs ---------------------------------------------------------------------------------------------------------


def test_pairs_teach_the_generator_true_pictures(images: Crops) -> None:
    pictures = Pictures(96, images.size)
    method = gcl(images, pairs=pictures, pretrain="pairs", pretrain_epochs=1, warmup_epochs=1, generator_rate=3e-2)
    batch = next(iter(method.begin_epoch(0)))
    drawn = torch.Generator()
    drawn.set_state(method.generator.get_state())
    turns = torch.randint(0, 7, (len(batch),), generator=drawn).numpy()
    maps = Bodies(96, images.size).load(batch, turns)
    encoder = method.encoder
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    judged = [p.clone() for p in method.discriminator.parameters()]
    with torch.no_grad():
        _, code = method._encode.network(to_float(images.pixels(batch)))
        made = method.view_generator(maps.float() / 127.5 - 1, code)
    target = (pictures.load(batch, turns) / 255 - encoder.mean) / encoder.std
    expected = 5 * np.mean(reference.reconstruction(made, target))
    losses = method.step(batch)
    assert {name: float(value) for name, value in losses.items()} == {"loss/pairs": pytest.approx(expected, rel=1e-4)}
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(torch.equal(p, old) for p, old in zip(method.discriminator.parameters(), judged, strict=True))
    later = [float(method.step(batch)["loss/pairs"]) for _ in range(6)]
    assert min(later) < 0.8 * expected
    method.end_epoch()
    assert "loss/image" in method.step(next(iter(method.begin_epoch(1))))


def test_pairs_that_are_not_there_are_said(images: Crops) -> None:
    with pytest.raises(ConfigError, match="give --structure FOLDER"):
        gcl(images, pretrain="pairs", warmup_epochs=1)


# -- Table 5.3 -----------------------------------------------------------------------------------------------------


def test_the_rows_of_table_5_3_are_settings() -> None:
    spec, losses = METHODS["gcl"], ("original", "self", "generated")
    found = []
    for row in load_item("5.3").rows[1:]:
        assert row.reproduction is not None
        classes, changes = [TrainSettings, spec.settings], row.reproduction.overrides
        _, s = settings_of(classes, changes, recipe="gcl-thesis", variants=spec.variants)
        weights = [getattr(s, f"{name}_weight") for name in losses]
        found.append((s.generator, weights, s.epochs - s.joint_start, s.augment != AS_THEY_ARE))
    assert found == [
        (True, [0, 0, 0], 20, False),
        (False, [1, 1, 1], 20, False),
        (False, [1, 1, 1], 20, True),
        (True, [1, 0, 0], 20, False),
        (True, [1, 1, 0], 20, False),
        (True, [1, 1, 1], 20, False),
    ]


def test_a_short_embedding_has_no_classifiers_to_adapt_it_with() -> None:
    with pytest.raises(
        ConfigError, match=r"a model of a short embedding \(head embedding\) cannot be adapted"
    ) as error:
        adapt_recipe("embedding")
    one_line(error)
