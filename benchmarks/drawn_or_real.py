"""Measure what tells drawn crops from real ones: how well a linear classifier does, and from what.

python benchmarks/drawn_or_real.py DRAWN REAL benchmarks/results/synthetic/drawn-or-real.json [--sheet SHEET.png]

The classifier sees means and deviations of each channel of a stage of EfficientNet-Lite0 with ImageNet's weights. 0.5
is chance, 1 tells all. Where a change of both sides, such as blur, brings the number down, the classifier used what the
change takes away. SHEET shows the drawn crops that look least real, and the real ones that look most drawn; it shows
real people, so it is not to be published.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from record import machine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

import resight
from resight.data.crops import load_crops
from resight.data.transforms import to_float
from resight.files import write_atomically
from resight.models.backbones import build_backbone

HEIGHT, WIDTH = 128, 64


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Blur images."""
    radius = round(3 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).repeat(3, 1)
    for shape, pad in (((3, 1, 1, -1), (radius, radius, 0, 0)), ((3, 1, -1, 1), (0, 0, radius, radius))):
        images = F.conv2d(F.pad(images, pad, mode="replicate"), kernel.reshape(shape), groups=3)
    return images


def gray(images: Tensor) -> Tensor:
    """Take the colors away."""
    return images.mean(1, keepdim=True).expand_as(images)


def evened(images: Tensor) -> Tensor:
    """Take away how light, how contrasty and how tinted each image is."""
    mean, deviation = images.mean((2, 3), keepdim=True), images.std((2, 3), keepdim=True)
    return (0.45 + 0.2 * (images - mean) / (deviation + 1e-3)).clamp(0, 1)


def without(rows: slice, columns: slice, keep: bool) -> Callable[[Tensor], Tensor]:
    """Return a function that blanks a window, or all but it."""
    window = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    window[rows, columns] = True
    return lambda images: images.masked_fill(window != keep, 0.45)


PERSON = (slice(8, 122), slice(14, 50))
CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "as they are": lambda images: images,
    "no color": gray,
    "even light, contrast and tint": evened,
    "blurred by 1 pixel": lambda images: blurred(images, 1),
    "blurred by 3 pixels": lambda images: blurred(images, 3),
    "even, no color, blurred by 3 pixels": lambda images: blurred(gray(evened(images)), 3),
    "the middle, where the person is": without(*PERSON, keep=True),
    "the rim, where the background is": without(*PERSON, keep=False),
}


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("drawn")
    parser.add_argument("real")
    parser.add_argument("result", type=Path)
    parser.add_argument("--images", type=int, default=800)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    pixels = torch.cat([crops_of(spec, options.images) for spec in (options.drawn, options.real)])
    is_real = np.repeat([0, 1], len(pixels) // 2)
    network = build_backbone("tf_efficientnet_lite0")[0].network.eval()
    accuracy: dict[str, dict[str, float]] = {}
    for name, change in CHANGES.items():
        accuracy[name] = {}
        for stage, features in stage_features(network, pixels, change).items():
            likely = real_likelihood(features, is_real)
            accuracy[name][stage] = round(float(((likely > 0.5) == is_real).mean()), 3)
            if options.sheet and name == "as they are" and stage == "stage 3":
                write_sheet(options.sheet, pixels, likely, is_real)
        print(name, accuracy[name], flush=True)
    names = {
        kind: Path(spec.rpartition("=")[2]).name for kind, spec in vars(options).items() if kind in ("drawn", "real")
    }
    result = {
        "what": "share of crops that a linear classifier tells drawn or real, five-fold; 0.5 is chance",
        "command": f"python benchmarks/drawn_or_real.py {names['drawn']} {names['real']} RESULT "
        f"--images {options.images}",
        "date": date.today().isoformat(),
        "machine": machine(),
        "accuracy": accuracy,
    }
    options.result.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.result, json.dumps(result, indent=1) + "\n")


def crops_of(spec: str, count: int) -> Tensor:
    """Return random training crops, ``(N, H, W, 3)`` uint8."""
    table = resight.load_dataset(spec).train
    rows = np.sort(np.random.default_rng(0).permutation(len(table))[:count])
    return load_crops(table[rows], (HEIGHT, WIDTH)).pixels(slice(None))


@torch.inference_mode()
def stage_features(
    network: torch.nn.Module, pixels: Tensor, change: Callable[[Tensor], Tensor]
) -> dict[str, np.ndarray]:
    """Return means and deviations of the channels after each stage of the network, ``(N, 2 C)``."""
    found: dict[str, list[Tensor]] = {}
    for part in pixels.split(100):
        maps = network.bn1(network.conv_stem((change(to_float(part)) - 0.5) / 0.5))
        for number, block in enumerate(network.blocks):
            maps = block(maps)
            if number % 2:
                summary = torch.cat([maps.mean((2, 3)), maps.std((2, 3))], 1)
                found.setdefault(f"stage {number}", []).append(summary)
    return {stage: torch.cat(parts).numpy() for stage, parts in found.items()}


def real_likelihood(features: np.ndarray, is_real: np.ndarray) -> np.ndarray:
    """Return how real each crop looks to a classifier that has not seen it, 0..1."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    likely: np.ndarray = cross_val_predict(model, features, is_real, cv=folds, method="predict_proba")[:, 1]
    return likely


def write_sheet(path: Path, pixels: Tensor, likely: np.ndarray, is_real: np.ndarray) -> None:
    """Show drawn crops, least real first, above real ones, most drawn first."""
    rows: list[Sequence[int]] = []
    for kind in (0, 1):
        own = np.flatnonzero(is_real == kind)
        ordered = own[np.argsort(likely[own])]
        rows += [ordered[:20], ordered[20:40], ordered[-20:]]
    sheet = np.concatenate([np.concatenate([pixels[int(i)].numpy() for i in row], 1) for row in rows])
    Image.fromarray(sheet).save(path)


if __name__ == "__main__":
    main()
