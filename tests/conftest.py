"""What the tests of several folders share."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from resight.cli.main import limit_thread_spinning

limit_thread_spinning()  # as the command does, before torch is loaded

import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

# Kernels compile within the first example, and machines are shared: time says nothing about right or wrong.
hypothesis.settings.register_profile("resight", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("resight")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Some tests log names that are no UTF-8, which a worker process cannot send as they are."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    """Training sets torch's threads; the next test gets its own back."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images; a test that asks for it is skipped where there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("RESIGHT_REAL_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real images: {folder} is not there (set RESIGHT_REAL_DATA to their folder)")
    return folder


@pytest.fixture
def draw() -> Callable[..., Path]:
    """Draw a small picture for each name below a folder, no two alike; the folder comes back."""
    random = np.random.default_rng(0)

    def draw_each(root: Path, *names: str, size: tuple[int, int] = (16, 32)) -> Path:
        root.mkdir(parents=True, exist_ok=True)
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name, "PNG")
        return root

    return draw_each


@pytest.fixture(scope="session")
def tiny_market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up set in Market-1501's layout: people are two blocks of color, cameras tint them, all with noise.

    8 people to train on and 4 to test with, each 4 times in 3 cameras, 64 x 32 pixels.
    """
    random = np.random.default_rng(7)
    root = tmp_path_factory.mktemp("tiny") / "market1501"
    tints = random.uniform(0.8, 1.2, (3, 3))
    for person in range(1, 13):
        blocks = random.uniform(30, 225, (2, 3))
        for camera in range(3):
            for image in range(4):
                pixels = np.repeat(blocks, 32, axis=0)[:, None] * tints[camera] + random.normal(0, 12, (64, 32, 3))
                part = "bounding_box_train" if person <= 8 else "query" if image == 0 else "bounding_box_test"
                path = root / part / f"{person:04d}_c{camera + 1}s1_{image:06d}_00.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
    return root
