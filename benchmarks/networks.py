"""Measure extraction and training in images a second, by backbone and precision, on this machine.

python benchmarks/networks.py --rows lite0-64 lite0-128 resnet50-128

Every row runs in a process of its own. A training row is steps of ICE as `resight train ice` does them, augmentation,
momentum encoder and optimizer included, on made-up pixels; an extraction row is `resight.extract`, from pixels in
memory to embeddings in memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import machine

ROWS = {
    "lite0-64": ("tf_efficientnet_lite0", (128, 64), 2),
    "lite0-128": ("tf_efficientnet_lite0", (256, 128), 2),
    "resnet50-64": ("resnet50", (128, 64), 1),
    "resnet50-128": ("resnet50", (256, 128), 1),
}
"""Backbone, height and width, stride of the last stage."""
WAYS = ("float32", "bfloat16")
PEOPLE, IMAGES = 64 if torch.cuda.is_available() else 16, 16


def make_crops(size: tuple[int, int]) -> Any:
    """Make people of random pixels in four cameras."""
    from resight.data.crops import Crops
    from resight.data.image_store import ImageStore
    from resight.records import ImageTable

    rng = np.random.default_rng(0)
    count = PEOPLE * IMAGES
    pixels = rng.integers(0, 256, (count, *size, 3), dtype=np.uint8)
    people = np.repeat(np.arange(PEOPLE), IMAGES)
    table = ImageTable(np.array([f"{i}.jpg" for i in range(count)]), people, np.arange(count) % 4)
    return Crops(table, ImageStore(pixels, np.ones(count, bool)), np.arange(count))


def rate(work: Callable[[], int], seconds: float) -> dict[str, float]:
    """Run work, which returns its number of images, once to warm up, then for some seconds."""
    start = time.perf_counter()
    work()
    _wait()
    first = time.perf_counter() - start
    work()
    _wait()
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        done += work()
        _wait()
    return {
        "images_per_second": round(done / (time.perf_counter() - start), 1),
        "first_seconds": round(first, 2),
    }


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure(row: str, way: str, purpose: str, seconds: float) -> dict[str, Any]:
    """Measure one row in this process."""
    from resight.compute.devices import Devices, DeviceSettings
    from resight.config.settings import settings_of
    from resight.methods.ice import ICE
    from resight.methods.ice_settings import ICESettings
    from resight.models.encoder import Encoder, EncoderSettings
    from resight.retrieval.extraction import embed_crops
    from resight.training.train import seed_epoch

    backbone, (height, width), stride = ROWS[row]
    precision: Any = way
    devices = Devices(DeviceSettings(training=precision, inference=precision))
    images = make_crops((height, width))
    settings = EncoderSettings(backbone, "none", height, width, stride, batchnorm="frozen", neck_statistics="dataset")
    seed_epoch(1, 0)
    if purpose == "extract":
        encoder = devices.to_device(Encoder(settings))
        rates = rate(lambda: len(embed_crops(encoder, images, devices=devices)), seconds)
    else:
        (site,) = settings_of([ICESettings], {}, recipe="site")
        method = ICE(replace(site, encoder=settings, supervised=True), images, devices=devices)
        batches = iter([])

        def step() -> int:
            nonlocal batches
            batch = next(batches, None)
            if batch is None:
                batches = iter(list(method.begin_epoch(0)) * 100)
                batch = next(batches)
            sum(float(loss) for loss in method.step(batch).values())
            return len(batch)

        rates = rate(step, seconds)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if torch.cuda.is_available():
        rates["gpu_gb"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    return {**rates, "host_gb": round(memory, 2), "device": devices.describe()["device"]}


def main() -> None:
    """Run every row each way, or only the requested ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--purposes", nargs="+", default=["extract", "train"], choices=["extract", "train"])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--alone", action="store_true", help="run in this process and print the numbers")
    parser.add_argument("--result", type=Path, default=Path("benchmarks/results/networks/networks.json"))
    arguments = parser.parse_args()
    if arguments.alone:
        print(json.dumps(measure(arguments.rows[0], arguments.ways[0], arguments.purposes[0], arguments.seconds)))
        return
    rows = []
    for row in arguments.rows:
        for purpose in arguments.purposes:
            for way in arguments.ways:
                command = [sys.executable, __file__, "--alone", "--rows", row, "--ways", way, "--purposes", purpose]
                command += ["--seconds", str(arguments.seconds)]
                process = subprocess.run(command, capture_output=True, text=True, check=False)
                result_row = {"row": row, "purpose": purpose, "way": way}
                if process.returncode == 0:
                    result_row |= json.loads(process.stdout.splitlines()[-1])
                else:
                    result_row["error"] = (process.stderr.strip().splitlines() or ["killed"])[-1]
                rows.append(result_row)
                print(json.dumps(result_row), flush=True)
                result = {"date": date.today().isoformat(), "machine": machine(), "torch": torch.__version__}
                arguments.result.write_text(json.dumps({**result, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
