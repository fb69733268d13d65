"""What runs on a GPU is what runs on the CPU: the same numbers in float32, near ones in bfloat16."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

import tiny
from resight.compute.devices import Devices, DeviceSettings
from resight.data.crops import Crops
from resight.data.transforms import AugmentSettings, apply_params, sample_params
from resight.methods.scr import SCR
from resight.numerics.clustering import ClusterSettings, cluster
from resight.numerics.distances import normalize
from resight.records import Features, ImageTable
from resight.retrieval.evaluation import evaluate
from resight.retrieval.extraction import embed_crops
from resight.training.runs import Run
from resight.training.train import fit
from run_equality import assert_same_run

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"),
]

EXACT = DeviceSettings(accelerator="auto", training="float32", inference="float32")


@pytest.fixture(scope="module")
def images(tiny_market: Path) -> Crops:
    return tiny.crops(tiny_market)


@pytest.fixture(autouse=True)
def _full_precision() -> None:
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def test_augmentation_is_the_cpus(images: Crops) -> None:
    settings = AugmentSettings(pad=4, brightness=0.3, contrast=0.3, tint=0.2)
    pixels = images.pixels(slice(0, 32))
    draws = sample_params(settings, 32, images.size, torch.Generator().manual_seed(1))
    there = apply_params(pixels.cuda(), draws, color=settings.erase_color)
    torch.testing.assert_close(there.cpu(), apply_params(pixels, draws, color=settings.erase_color), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("bfloat16", 3e-2)])
def test_vectors_are_the_cpus(images: Crops, precision: str, tolerance: float) -> None:
    settings = dataclasses.replace(EXACT, inference=precision)
    here = embed_crops(tiny.encoder(), images, devices=Devices(tiny.DEVICE))
    devices = Devices(settings)
    there = embed_crops(devices.to_device(tiny.encoder()), images, devices=devices)
    assert np.abs(here - there).max() < tolerance


@pytest.mark.parametrize("variant", ["code", "thesis"])
def test_the_losses_of_steps_are_the_cpus(images: Crops, variant: str) -> None:
    losses = []
    for device in (tiny.DEVICE, EXACT):
        method = tiny.ice(images, variant, device=device)
        losses.append([{k: float(v) for k, v in method.step(b).items()} for b in method.begin_epoch(0)])
    for here, there in zip(*losses, strict=True):
        assert there == pytest.approx(here, rel=2e-3, abs=2e-4)


def test_bfloat16_losses_are_near(images: Crops) -> None:
    losses = []
    for precision in ("float32", "bfloat16"):
        method = tiny.ice(images, device=dataclasses.replace(EXACT, training=precision))
        batch = next(iter(method.begin_epoch(0)))
        losses.append({k: float(v) for k, v in method.step(batch).items()})
    assert losses[1] == pytest.approx(losses[0], rel=0.1, abs=0.02)


@pytest.mark.parametrize("changes", [{}, tiny.SPLITS_CLEANLY], ids=["code", "frozen statistics"])
def test_a_recorded_network_learns_the_same(images: Crops, changes: dict[str, Any]) -> None:
    losses, states = [], []
    for graphs in (False, True):
        method = tiny.ice(images, device=dataclasses.replace(EXACT, cuda_graphs=graphs), iterations=6, **changes)
        losses.append([{k: float(v) for k, v in method.step(b).items()} for b in method.begin_epoch(0)])
        states.append(method.online.state_dict())
    for plain, replayed in zip(*losses, strict=True):
        assert replayed == pytest.approx(plain, rel=2e-3, abs=2e-4)
    for name, plain in states[0].items():
        torch.testing.assert_close(states[1][name], plain, rtol=1e-2, atol=1e-3, msg=name)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"center_weight": 0.1, "classified": "pooled"},
        {"encoder": dataclasses.replace(tiny.SCR_SETTINGS.encoder, batchnorm="frozen", frozen_stages=0)},
    ],
    ids=["code", "centers and pooled", "frozen statistics"],
)
def test_recorded_partitions_learn_the_same(images: Crops, changes: dict[str, Any]) -> None:
    losses, states = [], []
    for graphs in (False, True):
        method = tiny.scr(images, device=dataclasses.replace(EXACT, cuda_graphs=graphs), iterations=6, **changes)
        losses.append([{k: float(v) for k, v in method.step(b).items()} for b in method.begin_epoch(0)])
        states.append({f"{part}.{k}": v for part in ("network", "centers") for k, v in state(method, part).items()})
    for plain, replayed in zip(*losses, strict=True):
        assert replayed == pytest.approx(plain, rel=2e-3, abs=2e-4)
    assert list(states[0]) == list(states[1])
    for name, plain in states[0].items():
        torch.testing.assert_close(states[1][name], plain, rtol=1e-2, atol=1e-3, msg=name)


def state(method: SCR, part: str) -> dict[str, Any]:
    return method.parts[part].state_dict() if part in method.parts else {}


def test_the_losses_of_scrs_steps_are_the_cpus(images: Crops) -> None:
    losses = []
    for device in (tiny.DEVICE, EXACT):
        method = tiny.scr(images, device=device, center_weight=0.1)
        losses.append([{k: float(v) for k, v in method.step(b).items()} for b in method.begin_epoch(0)])
    for here, there in zip(*losses, strict=True):
        assert there == pytest.approx(here, rel=2e-3, abs=2e-4)


RELATIVES: dict[str, dict[str, Any]] = {
    "abmt": {},
    "frozen statistics": {
        "encoder": dataclasses.replace(
            tiny.ABMT_SETTINGS.encoder, batchnorm="frozen", neck_statistics="dataset", frozen_stages=0
        ),
        "ghost_batches": 1,
    },
    "mean teacher": tiny.MEAN_TEACHER,
    "mmt": tiny.MMT,
}


@pytest.mark.parametrize("changes", RELATIVES.values(), ids=list(RELATIVES))
@pytest.mark.parametrize("graphs", [False, True])
def test_the_losses_of_mean_teachers_are_the_cpus(images: Crops, changes: dict[str, Any], graphs: bool) -> None:
    """The teachers are what comes of many steps: they differ where a pass was recorded wrongly."""
    losses, states = [], []
    for device in (tiny.DEVICE, dataclasses.replace(EXACT, cuda_graphs=graphs)):
        method = tiny.abmt(images, device=device, iterations=6, **changes)
        losses.append([{k: float(v) for k, v in method.step(b).items()} for b in method.begin_epoch(0)])
        states.append({name: value.cpu() for name, value in method.encoder.state_dict().items()})
    for here, there in zip(*losses, strict=True):
        assert there == pytest.approx(here, rel=5e-3, abs=5e-4)
    for name, here in states[0].items():
        torch.testing.assert_close(states[1][name], here, rtol=1e-2, atol=1e-3, msg=name)


@pytest.mark.parametrize("graphs", [False, True])
def test_the_losses_on_a_source_are_the_cpus(images: Crops, graphs: bool) -> None:
    losses = []
    for device in (tiny.DEVICE, dataclasses.replace(EXACT, cuda_graphs=graphs)):
        method = tiny.source(images, device=device, source=images, iterations=6)
        losses.append([{k: float(v) for k, v in method.step(b).items()} for b in method.begin_epoch(0)])
    for here, there in zip(*losses, strict=True):
        assert there == pytest.approx(here, rel=5e-3, abs=5e-4)


def test_a_recorded_pass_draws_its_band_anew(images: Crops) -> None:
    """The network is the same and so are the images, but what is blanked is not."""
    encoder = dataclasses.replace(tiny.SCR_SETTINGS.encoder, head="p1(d30)", batchnorm="frozen", neck="none")
    method = tiny.scr(images, device=EXACT, encoder=encoder)
    pixels = torch.rand(16, 3, *images.size, device="cuda").contiguous(memory_format=torch.channels_last)
    seen = []
    for _ in range(8):
        features, _ = method.network(pixels)
        seen.append(features.detach().clone())
        features.sum().backward()
    assert len({float(features.sum()) for features in seen}) > 1


def test_batches_of_another_shape_are_not_replayed(images: Crops) -> None:
    for method in (tiny.ice(images, device=EXACT), tiny.scr(images, device=EXACT)):
        batch = next(iter(method.begin_epoch(0)))
        assert all(np.isfinite(float(loss)) for loss in method.step(batch[:12]).values())


@pytest.mark.parametrize("variant", ["ice", "abmt"])
@pytest.mark.parametrize("others", [0, 10])
def test_clusters_are_the_cpus(variant: Any, others: int) -> None:
    random = np.random.default_rng(1)
    people, cameras = random.integers(0, 150, 3000), random.integers(0, 4, 3000)
    vectors = normalize(random.normal(size=(150, 256))[people] + 0.8 * random.normal(size=(3000, 256)))
    settings = ClusterSettings(k1=20, variant=variant, k_cross_camera=others)
    here, there = (cluster(vectors, settings, people=people, cameras=cameras, device=d) for d in ("cpu", "cuda"))
    assert adjusted_rand_score(here.labels, there.labels) == 1
    assert there.quality == pytest.approx(here.quality, abs=1e-9)
    assert here.quality["ari"] > 0.8
    again = cluster(vectors, settings, people=people, cameras=cameras, device="cuda")
    np.testing.assert_array_equal(again.labels, there.labels)


@pytest.mark.parametrize("re_ranking", [False, True])
def test_scores_are_the_cpus(re_ranking: bool) -> None:
    random = np.random.default_rng(2)
    centers, sides = random.normal(size=(80, 256)), []
    for size in (700, 4000):
        people, cameras = random.integers(-1, 80, size), random.integers(0, 4, size)
        vectors = normalize(centers[people] + 3.0 * random.normal(size=(size, 256)))
        sides.append(Features(ImageTable(np.arange(size).astype(str), people, cameras), vectors, "e"))
    here, there = (evaluate(*sides, distractor_id=0, rerank=re_ranking, device=d) for d in ("cpu", "cuda"))
    assert there.scores == pytest.approx(here.scores, abs=1e-4)
    assert np.mean(there.per_query["first_rank"] == here.per_query["first_rank"]) > 0.99
    assert 0.1 < here.scores["mAP"] < 0.95


def test_a_run_that_is_interrupted_goes_on(images: Crops, tmp_path: Path) -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        for folder, stops in ((tmp_path / "whole", (4,)), (tmp_path / "parts", (2, 4))):
            for stop in stops:
                fit(tiny.ice(images, device=EXACT), Run(folder, seed=3), epochs=stop)
    finally:
        torch.use_deterministic_algorithms(False)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
