"""SCR: its first step compared with the equations, its variants, and whole runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import reference
import tiny
from resight.compute.devices import Devices
from resight.data.catalog import load_dataset
from resight.data.crops import Crops
from resight.data.transforms import AugmentSettings, to_float
from resight.errors import ConfigError
from resight.methods import METHODS
from resight.methods.scr import AUGMENT, SCR, VARIANTS, SCRSettings
from resight.models.classifier import PartClassifier
from resight.models.encoder import EncoderSettings, load_encoder
from resight.models.heads.grammar import SCR as ARRANGEMENT
from resight.models.heads.partitions import PartNeck
from resight.training.runs import Run
from resight.training.train import TrainSettings, read_recipe, train
from run_equality import assert_same_run
from stepping import run_to, steps

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "scr.json"
PLAIN = AugmentSettings(flip=0, pad=0, blur=0, erase=0)
SPLITS_CLEANLY: dict[str, Any] = {
    "encoder": dataclasses.replace(tiny.SCR_SETTINGS.encoder, batchnorm="frozen", neck="none"),
}
"""Changes with which an image's features do not depend on its batch."""


def with_people(images: Crops, people: np.ndarray) -> Crops:
    return dataclasses.replace(images, table=dataclasses.replace(images.table, person_ids=people))


@pytest.mark.parametrize("classified", ["reduced", "pooled"])
def test_classifiers_begin_with_the_spread_that_keeps_gradients_and_reductions_with_that_of_values(
    images: Crops, classified: Any
) -> None:
    """He et al. 2015: variance 2 over the outputs (people) of a classifier, 2 over the inputs of a reduction."""
    people = 400
    encoder = tiny.chain(dataclasses.replace(tiny.SCR_SETTINGS.encoder, head_width=24))
    network = PartClassifier(encoder, people, classified=classified)
    inputs = [classifier.in_features for classifier in network.classifiers]
    whole = 24 if classified == "reduced" else 32
    assert inputs == [whole] * encoder.num_global + [24] * (len(inputs) - encoder.num_global)
    for classifier in network.classifiers:
        assert float(classifier.weight.detach().std()) == pytest.approx((2 / people) ** 0.5, rel=0.05)
        assert not classifier.bias.any()
    assert isinstance(encoder.neck, PartNeck)
    for reduction, norm in zip(encoder.neck.reductions, encoder.neck.norms, strict=True):
        spread = (2 / reduction.in_features) ** 0.5
        assert float(reduction.weight.detach().std()) == pytest.approx(spread, rel=0.2)
        assert float(norm.weight.detach().mean()) == pytest.approx(1, abs=0.02)
        assert float(norm.weight.detach().std()) == pytest.approx(0.02, rel=0.6)
        assert not norm.bias.any()


# -- what a step computes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["code", "thesis"])
@pytest.mark.parametrize("pair_loss", ["triplet", "soft-triplet", "quadruplet", "circle"])
def test_the_losses_of_a_step_are_the_equations(images: Crops, variant: str, pair_loss: str) -> None:
    margins = {"margin": 1.1, "second_margin": 0.5, "circle_margin": 0.3, "circle_scale": 60.0}  # no default
    method = tiny.scr(images, variant, augment=PLAIN, pair_loss=pair_loss, label_smoothing=0.1, **margins)
    batch = next(iter(method.begin_epoch(0)))
    assert len(batch) == 4 * (4 if variant == "code" else 8)
    with torch.no_grad():  # batch norm in training mode: the statistics are the batch's, in the step as here
        features, logits = method.network(to_float(images.pixels(batch)))
    found, labels = method.step(batch), method.labels[batch]

    heads = [reference.cross_entropy(head.double(), labels, 0.1) for head in logits]
    assert len(heads) == 1 + 5
    pairs = {
        "triplet": lambda f: reference.batch_hard_triplet(f, labels, 1.1),
        "soft-triplet": lambda f: reference.batch_hard_triplet(f, labels, None),
        "quadruplet": lambda f: reference.quadruplet(f, labels, (1.1, 0.5)),
        "circle": lambda f: reference.circle(f, labels, 0.3, 60.0),
    }[pair_loss]
    wholes = [pairs(features[:, :8].double()), pairs(features[:, 8:16].double())]
    over_batch = np.mean if variant == "code" else np.sum
    expected = 2 * np.mean([over_batch(head) for head in heads]), np.mean([over_batch(whole) for whole in wholes])
    for name, value in zip(("classification", "pairs"), expected, strict=True):
        assert float(found[f"loss/{name}"]) == pytest.approx(value, rel=1e-4), name
        assert value > 0


@pytest.mark.parametrize("variant", ["code", "thesis"])
def test_centers_pull_their_people_and_follow_them(images: Crops, variant: str) -> None:
    method = tiny.scr(images, variant, augment=PLAIN, center_weight=0.02, center_rate=0.3, iterations=3)
    assert method.centers is not None
    expected = np.zeros((2, 8, 8))  # vectors of whole maps, people, width
    for step, batch in enumerate(method.begin_epoch(0)):
        with torch.no_grad():
            features, _ = method.network(to_float(images.pixels(batch)))
        labels, wholes = method.labels[batch], (features[:, :8].double(), features[:, 8:16].double())
        pulls = [reference.center_loss(*pair) for pair in zip(wholes, [labels] * 2, expected, strict=True)]
        found = float(method.step(batch)["loss/centers"])
        over_batch = np.mean if variant == "code" else np.sum
        assert found == pytest.approx(0.02 * np.mean([over_batch(each) for each in pulls]), rel=1e-4), step
        expected = np.stack(
            [reference.moved_centers(*pair, 0.3) for pair in zip(expected, wholes, [labels] * 2, strict=True)]
        )
        np.testing.assert_allclose(method.centers.values.numpy(), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected).max() > 0.1


def test_the_pull_of_centers_reaches_the_network(images: Crops) -> None:
    """With the centers at 0 the gradient of a vector f is f; that of the weight w of its batch norm is f · f / w."""
    alone = {"classification_weight": 1e-9, "pair_weight": 0.0, "center_weight": 3.0, "center_rate": 0.0}
    method = tiny.scr(images, augment=PLAIN, **alone)
    batch = next(iter(method.begin_epoch(0)))
    with torch.no_grad():
        features, _ = method.network(to_float(images.pixels(batch)))
        weights = torch.cat([norm.weight for norm in method.encoder.neck.norms])
        expected = 3 * (features.square() / weights).mean(0) / 2  # the mean of two vectors of whole maps
    method.step(batch)
    found = torch.cat([norm.weight.grad for norm in method.encoder.neck.norms])
    torch.testing.assert_close(found[:16], expected[:16], rtol=1e-3, atol=1e-6)
    assert found[:16].min() > 1
    assert found[16:].abs().max() < 1e-6, "parts have no centers"
    assert method.centers is not None
    assert not method.centers.values.any(), "centers whose rate is 0 stay"


def test_the_accuracy_rises_on_a_batch_that_is_seen_again(images: Crops) -> None:
    method = tiny.scr(images, augment=PLAIN, learning_rate=2e-3)
    batch = next(iter(method.begin_epoch(0)))
    for _ in range(12):
        method.step(batch)
    assert method.end_epoch()["accuracy"] > 0.5


def test_every_weight_learns_and_batches_are_drawn_anew(images: Crops) -> None:
    method = tiny.scr(images)
    before = {name: p.detach().clone() for name, p in method.network.named_parameters()}
    batches = list(method.begin_epoch(0))
    method.step(batches[0])
    assert all(not torch.equal(before[name], p) for name, p in method.network.named_parameters())
    assert not np.array_equal(*batches)
    assert np.array_equal(batches[0], next(iter(tiny.scr(images).begin_epoch(0))))
    assert not np.array_equal(batches[0], next(iter(method.begin_epoch(1))))


@pytest.mark.parametrize("center_weight", [0.0, 0.1])
def test_a_pass_is_recorded_and_nothing_of_it_is_used_after_the_next(
    images: Crops, center_weight: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU a replay overwrites what the one before gave: here it becomes nan, and every number is the same."""
    recorded = []

    def record(self: Devices, module: torch.nn.Module, shape: tuple[int, ...], purpose: str) -> None:
        recorded.append((module, module.training, shape, purpose))
        plain, given = module.forward, []

        def forward(x: torch.Tensor) -> Any:
            assert x.shape == shape
            for tensor in given:
                tensor.data.fill_(torch.nan)
            given[:] = plain(x)
            return tuple(given)

        module.__dict__["forward"] = forward

    values = []
    for replaced in (False, True):
        if replaced:
            monkeypatch.setattr(Devices, "capture_graph", record)
        method = tiny.scr(images, iterations=4, center_weight=center_weight)
        kept = [method.step(batch) for batch in method.begin_epoch(0)]  # read a step late, or later
        values.append([{name: float(value) for name, value in losses.items()} for losses in kept])
        values[-1].append(method.end_epoch())
    assert values[0] == values[1]
    assert recorded == [(method.network, True, (16, 3, 64, 32), "training")]
    few = tiny.scr(images, identities=99)
    assert recorded[-1][2] == (8 * 4, 3, 64, 32), "with fewer people than identities a batch holds all of them"
    assert np.isfinite(list(steps(few)[0].values())).all()


def test_an_epoch_shows_each_person_once(images: Crops) -> None:
    batches = list(tiny.scr(images, iterations=0, identities=3).begin_epoch(0))
    shown = np.concatenate([np.unique(images.table.person_ids[batch]) for batch in batches])
    assert len(batches) == 8 // 3
    assert len(shown) == len(set(shown)) == 6
    assert len(list(tiny.scr(images, iterations=0, identities=99).begin_epoch(0))) == 1


def test_the_learning_rate_falls_at_its_milestones(images: Crops) -> None:
    method = tiny.scr(images, iterations=1, learning_rate=1e-2)
    rates = []
    for epoch in range(4):
        for batch in method.begin_epoch(epoch):
            method.step(batch)
        rates.append(method.end_epoch()["learning_rate"])
    assert rates == pytest.approx([1e-2, 1e-2, 1e-3, 1e-4])
    assert SCRSettings().milestones == (300, 400)
    assert SCRSettings().amsgrad


def test_adam_is_the_amsgrad_kind_with_weight_decay_in_the_gradient(images: Crops) -> None:
    for amsgrad in (True, False):
        group = tiny.scr(images, amsgrad=amsgrad).optimizer.param_groups[0]
        assert (group["amsgrad"], group["weight_decay"]) == (amsgrad, 5e-4)
        assert not group.get("decoupled_weight_decay")


@pytest.mark.parametrize("amsgrad", [True, False])
def test_the_largest_second_moment_is_kept_if_amsgrad_is_on(images: Crops, amsgrad: bool) -> None:
    method = tiny.scr(images, amsgrad=amsgrad)
    method.step(next(iter(method.begin_epoch(0))))
    assert {"max_exp_avg_sq" in moments for moments in method.optimizer.state.values()} == {amsgrad}


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"pair_weight": 0.0}, {"classification"}),
        ({"classification_weight": 0.0}, {"classification", "pairs"}),
        ({"classification_weight": 1.0, "pair_loss": "circle"}, {"classification", "pairs"}),
        ({"classified": "pooled"}, {"classification", "pairs"}),
        ({"center_weight": 0.1}, {"classification", "pairs", "centers"}),
        ({"center_weight": 0.1, "pair_weight": 0.0}, {"classification", "centers"}),
    ],
)
def test_each_part_can_be_left_out_or_read_otherwise(images: Crops, changes: dict[str, Any], names: set[str]) -> None:
    for losses in steps(tiny.scr(images, **changes)):
        assert set(losses) == {f"loss/{name}" for name in names}
        assert np.isfinite(list(losses.values())).all()


@pytest.mark.parametrize(
    ("head", "pooling", "vectors"),
    [("global", "average", 1), ("p1", "max", 1), (ARRANGEMENT, "max", 13), ("p1+p2(s2d30)", "gem", 4)],
)
def test_a_plain_trunk_and_other_arrangements_train_alike(images: Crops, head: str, pooling: Any, vectors: int) -> None:
    width = 32 if head == "global" else 8
    settings = dataclasses.replace(tiny.SCR_SETTINGS.encoder, head=head, pooling=pooling)
    method = tiny.scr(images, encoder=settings)
    assert method.encoder.dim == vectors * width
    assert len(method.network.classifiers) == vectors
    for losses in steps(method):
        assert np.isfinite(list(losses.values())).all()


def test_parts_alone_have_nothing_for_the_pair_loss(images: Crops) -> None:
    """PCB: stripes, classified only."""
    stripes = dataclasses.replace(tiny.SCR_SETTINGS.encoder, head="s4", pooling="average")
    with pytest.raises(ConfigError, match="head 's4' has none: set pair_weight to 0"):
        tiny.scr(images, encoder=stripes)
    with pytest.raises(ConfigError, match=r"the center loss needs .* 's4' has none: set center_weight to 0"):
        tiny.scr(images, encoder=stripes, pair_weight=0.0, center_weight=0.1)
    method = tiny.scr(images, encoder=stripes, pair_weight=0.0)
    assert method.encoder.dim == 4 * 8
    assert set(steps(method)[0]) == {"loss/classification"}


# -- the two readings ----------------------------------------------------------------------------------------------


def test_the_defaults_are_the_released_codes_numbers() -> None:
    s = SCRSettings()
    assert (s.identities, s.images, s.epochs, s.learning_rate, s.weight_decay) == (4, 4, 500, 2e-4, 5e-4)
    assert (s.classification_weight, s.pair_weight, s.margin, s.label_smoothing) == (2, 1, 1.2, 0)
    assert (s.encoder.size, s.encoder.head, s.encoder.pooling) == ((384, 192), ARRANGEMENT, "max")
    assert (s.encoder.backbone, s.encoder.last_stride, s.encoder.head_width) == ("resnet50", 1, 256)
    assert s.augment == AugmentSettings(pad=0, blur=0, erase=0.5, erase_color=(0.485, 0.456, 0.406))
    assert METHODS["scr"] == (SCR, SCRSettings, VARIANTS)


def test_the_variants_change_exactly_what_they_say() -> None:
    code, code_options = read_recipe("scr")
    thesis, thesis_options = read_recipe("scr", "", "--variant=thesis")
    assert (code_options.flip, thesis_options.flip) == (True, False)
    assert code == SCRSettings()
    augment = dataclasses.replace(AUGMENT, erase=0)
    assert thesis == dataclasses.replace(code, identities=8, over_batch="sum", augment=augment)
    assert read_recipe("scr", "", "--variant=thesis", "--augment.erase=0.2")[0].augment.erase == 0.2


def test_the_variants_differ(images: Crops) -> None:
    code, thesis = (steps(tiny.scr(images, variant, iterations=1))[0] for variant in ("code", "thesis"))
    assert all(thesis[name] > 5 * value for name, value in code.items()), "sums in place of means"


# -- going on ------------------------------------------------------------------------------------------------------


def test_four_epochs_equal_two_and_two_more_with_centers(images: Crops, tmp_path: Path) -> None:
    run_to(tmp_path / "whole", tiny.scr(images, center_weight=0.1), 4)
    run_to(tmp_path / "halves", tiny.scr(images, center_weight=0.1), 2)
    assert len(Run(tmp_path / "halves").metrics()) == 2
    run_to(tmp_path / "halves", tiny.scr(images, center_weight=0.1), 4)
    assert_same_run(tmp_path / "whole", tmp_path / "halves")


# -- a whole run ---------------------------------------------------------------------------------------------------


def test_a_whole_run_is_scored_with_mirrors_and_its_encoder_starts_another(tiny_market: Path, tmp_path: Path) -> None:
    settings = SCRSettings(
        encoder=EncoderSettings("test_efficientnet", "none", 64, 32, pooling="max", head="p1+p2(s2c2)", head_width=16),
        epochs=2,
        iterations=2,
    )
    options = TrainSettings(run=str(tmp_path / "a"), device=tiny.DEVICE, flip=True, eval_every=1)
    dataset = load_dataset("market1501", tiny_market)
    trained = train("scr", dataset, settings, options)
    assert set(trained.reports) == {"before", "last", "best"}
    assert trained.reports["best"].scores == trained.reports["last"].scores, "without clusters the last is the best"
    assert trained.reports["last"].provenance["flip"] is True
    assert trained.encoder.settings == settings.encoder
    assert trained.queries is not None
    assert trained.queries.embeddings.shape == (12, 6 * 16)
    assert not any("classifier" in name for name in load_encoder(trained.folder).state_dict())
    assert {"accuracy", "people", "learning_rate", "loss/classification", "loss/pairs", "mAP"} <= set(
        trained.metrics[0]
    )
    other = dataclasses.replace(settings, encoder=dataclasses.replace(settings.encoder, head="p1", frozen_stages=1))
    again = train(
        "scr", dataset, other, dataclasses.replace(options, run=str(tmp_path / "b"), start=str(trained.folder))
    )
    assert again.encoder.settings.head == "p1+p2(s2c2)", "the build is that of the start"
    assert again.reports["before"].scores["mAP"] == pytest.approx(trained.reports["best"].scores["mAP"], abs=1e-6)


# -- edges ---------------------------------------------------------------------------------------------------------


def test_every_person_must_be_known_and_there_must_be_two(images: Crops) -> None:
    people = images.table.person_ids.copy()
    people[3] = -1
    with pytest.raises(ConfigError, match="train with ice"):
        tiny.scr(with_people(images, people))
    with pytest.raises(ConfigError, match="two people or more to tell apart, found 1"):
        tiny.scr(with_people(images, np.ones_like(people)))


def test_people_with_a_single_image_can_be_learned(images: Crops) -> None:
    people = images.table.person_ids
    few = images[np.concatenate([np.flatnonzero(people == p)[:1] for p in np.unique(people)])]
    for losses in steps(tiny.scr(few)):
        assert np.isfinite(list(losses.values())).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 0}, "epochs must be 1 or more"),
        ({"identities": 1}, "identities must be 2 or more"),
        ({"iterations": -1}, "iterations must be 0 or more"),
        ({"margin": -0.1}, "margin must be 0 or more"),
        ({"decay": 2.0}, "decay must be in 0..1"),
        ({"label_smoothing": 1.5}, "label_smoothing must be in 0..1"),
        ({"center_weight": -0.1}, "center_weight must be 0 or more"),
        ({"center_rate": 1.5}, "center_rate must be in 0..1"),
        ({"classification_weight": 0.0, "pair_weight": 0.0}, "not both 0"),
        ({"milestones": (400, 300)}, "milestones must ascend, found"),
        ({"encoder": EncoderSettings(neck_statistics="dataset")}, "neck_statistics to batch"),
    ],
)
def test_settings_are_checked(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        SCRSettings(**changes)
