"""A corpus: many synthetic sites, each with its own cameras, clothes and people, drawn by all cores.

Each site is a data set of its own in a folder ``site-0001``, ``site-0002`` ..., next to ``corpus.json``.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

from resight.data.sets.synthetic import CORPUS
from resight.data.threads import num_cores
from resight.errors import DataError, RunError
from resight.files import printable, write_atomically
from resight.progress import progress
from resight.synthetic.plan import Key, SyntheticSettings, chance


def draw_sites(root: Path, settings: SyntheticSettings, *, version: int, draw: Callable[[Path, Any], object]) -> None:
    """Draw the sites of a corpus that its folder lacks, one in each process.

    Args:
        root: The folder, empty or with a part of the same corpus.
        settings: The settings of the corpus.
        version: The version of the drawing.
        draw: Draws a site, all or nothing: ``draw(folder, settings)``.

    Raises:
        DataError: The folder holds a corpus of other settings.
        RunError: A process was killed.
    """
    claim = json.dumps({"version": version, "settings": settings.record()}, indent=1) + "\n"
    marker = root / CORPUS
    if not marker.is_file():
        write_atomically(marker, claim)
    elif marker.read_text(encoding="utf-8") != claim:
        raise DataError(
            f"{printable(root)} holds a corpus of other settings: choose another folder, or remove it first"
        )
    missing = {folder: site for folder, site in sites(root, settings).items() if not folder.is_dir()}
    if not missing:
        return
    # Spawned, because a fork of a process with threads may hang.
    workers = min(len(missing), num_cores())
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = [pool.submit(draw, folder, site) for folder, site in missing.items()]
        try:
            for job in progress(as_completed(jobs), "drawing sites", total=len(jobs)):
                job.result()
        except BrokenProcessPool as error:
            raise RunError(
                "a process that draws was ended from outside, or by lack of memory: the same command continues; in a "
                'script, call it below if __name__ == "__main__":'
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def sites(root: Path, settings: SyntheticSettings) -> dict[Path, SyntheticSettings]:
    """Return the settings of each site of a corpus, by its folder."""
    numbers = range(1, settings.sites + 1)
    seeds = {number: int(chance(settings.seed, Key.SITE, number).integers(1 << 62)) for number in numbers}
    return {root / f"site-{number:04d}": replace(settings, sites=1, seed=seed) for number, seed in seeds.items()}
