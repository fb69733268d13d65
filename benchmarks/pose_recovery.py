"""Measure recovered bodies: on drawn people, whose bodies are known, and on real crops, how many can be used.

python benchmarks/pose_recovery.py benchmarks/results/gcl/pose-recovery.json market1501=PATH cuhk03np-detected=PATH

The pose model must be there (`resight models get pose`). Of the real images, the result holds counts only.
"""

import argparse
import json
import math
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from record import machine

from resight.bodies.blazepose import BlazePose
from resight.bodies.fitting import fit_body
from resight.bodies.landmarks import Landmarks, points_on_body, true_landmarks
from resight.bodies.recovered import Outcome, Recovered, recover_bodies
from resight.bodies.truth import true_bodies
from resight.data.catalog import open_dataset, parse_spec
from resight.data.images import open_image
from resight.records import Doubles, Ints
from resight.reports.contact_sheets import spread
from resight.synthetic import SyntheticSettings, synthesize
from resight.synthetic.body import Build, load_body, shape_body
from resight.synthetic.turns import BUILD, PosedBodies, place, render_structure

SITES, PEOPLE, CAMERAS, SEED = 5, 10, 5, 31
HEIGHTS = (128, 64, 32)
LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
JOINTS = [load_body().joint("head"), *(load_body().joint(f"{n}_{side}") for n in LIMBS for side in ("left", "right"))]
HIPS = [load_body().joint("hip_left"), load_body().joint("hip_right")]
LENGTHS = [(11, 12), (23, 24), (11, 13), (12, 14), (13, 15), (14, 16), (23, 25), (24, 26), (25, 27), (26, 28), (7, 8)]
"""Pairs of landmarks whose distances are proportions of a body."""


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("real", nargs="*", help="data sets whose training images to count on")
    parser.add_argument("--images", type=int, default=200, help="of each real set")
    parser.add_argument("--note", action="append", default=[])
    options = parser.parse_args()
    model = BlazePose()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = draw(folder)
        truth = true_bodies(paths)
        drawn = {}
        for height in HEIGHTS:
            recovered = recover_bodies(shrink(paths, folder, height), model)
            drawn[str(height)] = {**shares(recovered.outcomes), **errors(recovered, truth)}
        real = {}
        for spec in options.real:
            table = open_dataset(spec).train
            rows = spread(np.arange(len(table)), options.images)
            chosen = table[rows]
            found = [recover_bodies(shrink(chosen.paths.tolist(), folder, height), model) for height in HEIGHTS]
            real[parse_spec(spec)[0] + " " + parse_spec(spec)[1].name] = {
                "images": len(chosen),
                "by height of the crop": {str(h): shares(f.outcomes) for h, f in zip(HEIGHTS, found, strict=True)},
                "by camera, at the height of the set": {
                    str(camera): shares(found[0].outcomes[chosen.camera_ids == camera])
                    for camera in np.unique(chosen.camera_ids).tolist()
                },
            }
        sets = " ".join(f"{parse_spec(spec)[0]}=PATH" for spec in options.real)
        result = {
            "what": "errors of recovered bodies on drawn people; shares of real crops that are recovered (a confident "
            "pose), replaced (a walking pose of the estimated side) and without a person, in percent",
            "command": f"python benchmarks/pose_recovery.py RESULT {sets}",
            "seed": SEED,
            "date": date.today().isoformat(),
            "machine": machine(),
            "notes": options.note,
            "drawn": {
                "images": len(paths),
                "by height of the crop": drawn,
                "with true landmarks": errors(exact(truth), truth),
            },
            "correlation of true and estimated shape": {
                "from true landmarks": shape_from(truth, [true_landmarks(truth, row) for row in range(len(truth))]),
                "from found landmarks": shape_from(truth, [model.find(np.asarray(open_image(p))) for p in paths]),
            },
            "real": real,
            "milliseconds": speed(model, paths, truth),
        }
    options.result.parent.mkdir(parents=True, exist_ok=True)
    options.result.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def draw(folder: Path) -> list[str]:
    """Draw people of several sites, and return the crops."""
    paths: list[str] = []
    for site in range(SITES):
        settings = SyntheticSettings(
            people_train=PEOPLE, people_test=0, cameras=CAMERAS, crops=1, seed=SEED + site, silhouettes=False
        )
        root = synthesize(folder / f"site-{site}", settings=settings).root
        paths += sorted(map(str, root.glob("bounding_box_train/*.jpg")))
    return paths


def shrink(paths: list[str], folder: Path, height: int) -> list[str]:
    """Return crops of a height, which are written unless they have it."""
    small = []
    for row, path in enumerate(paths):
        picture = open_image(path)
        if picture.height <= height:
            small.append(path)
            continue
        target = folder / f"{height}-{row}.png"
        size = (round(picture.width * height / picture.height), height)
        picture.resize(size, Image.Resampling.LANCZOS).save(target)
        small.append(str(target))
    return small


def shares(outcomes: Ints) -> dict[str, float]:
    """Return the number of images, and the shares of outcomes in percent."""
    found = {outcome.name.lower(): round(100 * float((outcomes == outcome).mean()), 1) for outcome in Outcome}
    return {"images": len(outcomes), **found}


def errors(recovered: Recovered, truth: PosedBodies) -> dict[str, Any]:
    """Return errors of joints (in body heights) and of yaws (in degrees), by outcome."""
    joints = np.array([joint_error(recovered.bodies, truth, row) for row in range(len(truth))])
    yaws = np.degrees(np.abs((recovered.bodies.yaws - truth.yaws + math.pi) % (2 * math.pi) - math.pi))
    result = {}
    for outcome in (Outcome.RECOVERED, Outcome.REPLACED):
        rows = recovered.outcomes == outcome
        if rows.any():
            result[f"{outcome.name.lower()}: errors"] = {
                "joints, mean": round(float(joints[rows].mean()), 4),
                "joints, median": round(float(np.median(joints[rows])), 4),
                "yaw, median": round(float(np.median(yaws[rows])), 1),
                "yaw, 90 % below": round(float(np.quantile(yaws[rows], 0.9)), 1),
                "yaw, percent above 90": round(100 * float((yaws[rows] > 90).mean()), 1),
            }
    return result


def joint_error(bodies: PosedBodies, truth: PosedBodies, row: int) -> float:
    """Return the mean distance of joints around the hips, over the ground, each body of height 1."""
    placed = [place(each, row)[1] for each in (bodies, truth)]
    heights = [shape_body(load_body(), Build(*each.builds[row].tolist()))[0][:, 2].max() for each in (bodies, truth)]
    own, true = ((joints - joints[HIPS].mean(0)) / height for joints, height in zip(placed, heights, strict=True))
    return float(np.linalg.norm(own[JOINTS] - true[JOINTS], axis=1).mean())


def exact(truth: PosedBodies) -> Recovered:
    """Return the bodies that true landmarks give: what the fit itself loses."""
    bodies = PosedBodies.concatenate([fit_body(true_landmarks(truth, row), 0.5) for row in range(len(truth))])
    size = len(bodies)
    return Recovered(bodies, np.full(size, int(Outcome.RECOVERED)), np.ones(size, np.float32))


def shape_from(truth: PosedBodies, found: list[Landmarks]) -> dict[str, float]:
    """Return how a shape that is regressed from proportions correlates with the true one, for each of its numbers."""
    random, names = np.random.default_rng(SEED), BUILD[:6]
    builds = random.uniform(-1, 1, (400, len(names)))
    known = [shape_body(load_body(), Build(*build.tolist())) for build in builds]
    lengths = np.array([proportions(points_on_body(*each)) for each in known])
    estimates = np.array([proportions(landmarks.positions) for landmarks in found])
    noise = max(0.01, float(estimates.std(0).mean() - lengths.std(0).mean()))
    centered = lengths - lengths.mean(0)
    weights = np.linalg.solve(
        centered.T @ centered + len(builds) * noise**2 * np.eye(len(LENGTHS)), centered.T @ builds
    )
    shapes = (estimates - estimates.mean(0)) @ weights
    return {
        name: round(float(np.corrcoef(shapes[:, column], truth.builds[:, column])[0, 1]), 2)
        for column, name in enumerate(names)
    }


def proportions(positions: Any) -> Doubles:
    """Return the logarithms of lengths, relative to their mean."""
    lengths = [np.log(np.linalg.norm(positions[end] - positions[start]) + 1e-6) for start, end in LENGTHS]
    return np.array(lengths) - np.mean(lengths)


def speed(model: BlazePose, paths: list[str], truth: PosedBodies) -> dict[str, float]:
    """Return the processor's time for an image, in one thread."""
    pictures = [np.asarray(open_image(path)) for path in paths[:20]]
    rows = np.arange(len(pictures))
    found = [model.find(picture) for picture in pictures]
    tasks = {
        "two looks of the pose model": lambda: [model.find(picture) for picture in pictures],
        "fit of the body": lambda: [fit_body(landmarks, 0.5) for landmarks in found],
        "a map of 256 x 128": lambda: render_structure(truth[rows], 1, (256, 128)),
        "a map of 128 x 64": lambda: render_structure(truth[rows], 1, (128, 64)),
    }
    times = {}
    for name, task in tasks.items():
        start = time.process_time()
        task()
        times[name] = round(1000 * (time.process_time() - start) / len(pictures), 2)
    return times


if __name__ == "__main__":
    main()
