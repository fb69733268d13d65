"""`resight thesis run`: what of a table is asked for, and its rows made one after the other.

It stands apart from the other actions of the command, which need nothing of what it loads.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from resight.cli.terminal import say, show
from resight.compute.settings import DeviceSettings
from resight.config.settings import read_settings
from resight.data.dataset import Dataset
from resight.errors import ConfigError, check_least
from resight.files import expanded, write_atomically
from resight.reports.figures import to_svg
from resight.reports.tiles import write_png
from resight.thesis.drawing import draw
from resight.thesis.exhibits import Exhibit, load_exhibit, load_scale
from resight.thesis.given import load_data, read_data, read_places, read_weights, taken
from resight.thesis.pictures import PICTURES
from resight.thesis.plan import Asked, jobs
from resight.thesis.presenting import (
    data_lines,
    differing_lines,
    lines,
    missing_lines,
    to_json,
    to_markdown,
    to_text,
)
from resight.thesis.running import Outcome, look, minutes_left, run_jobs


@dataclass(frozen=True)
class RunSettings:
    """How rows are run; --data NAME=PATH, --weights BACKBONE=FILE and --instead THESIS=OURS come beside these.

    Attributes:
        scale: How much is run: `smoke`, `short` or `full`.
        out: Where runs and results go; the same command continues there.
        seed: Of every run.
        epochs: In place of the scale's; 0 keeps them.
        iterations: In place of the scale's; 0 keeps them.
        rows: Only these are made, `[2,3]` for example, as `thesis show` counts them; none means all.
        device: Where it runs.
    """

    scale: str = "short"
    out: str = "thesis"
    seed: int = 1
    epochs: int = 0
    iterations: int = 0
    rows: tuple[int, ...] = ()
    device: DeviceSettings = field(default_factory=DeviceSettings)

    def __post_init__(self) -> None:
        check_least(self, 0, "seed", "epochs", "iterations")


def run(name: str, flags: Sequence[str]) -> int:
    """Run `resight thesis run`.

    Args:
        name: The id of a table or figure; empty where none was given.
        flags: What follows it.

    Returns:
        The exit status: 1 where a row failed, or none could be made.
    """
    data, flags = taken(flags, "--data", "NAME=PATH")
    weights, flags = taken(flags, "--weights", "BACKBONE=FILE")
    instead, flags = taken(flags, "--instead", "THESIS=OURS")
    (settings,) = read_settings(flags, [RunSettings], program="resight thesis run ID --data NAME=PATH")
    exhibit = load_exhibit(name)
    places = read_places(instead, exhibit)
    asked = Asked(
        settings.scale,
        read_data(data),
        read_weights(weights),
        settings.seed,
        settings.epochs,
        settings.iterations,
        settings.device,
        places,
    )
    return _run(exhibit, asked, expanded(settings.out), settings.rows)


def _run(exhibit: Exhibit, asked: Asked, out: Path, rows: tuple[int, ...]) -> int:
    load_scale(asked.scale)  # a mistake is said before data are read
    possible = jobs(exhibit, asked, resolve=False)
    if not possible:
        raise ConfigError(f"{exhibit.id} has nothing to run: it is {_article(exhibit.kind)} without rows of ours")
    ours = {job.number for job in possible}
    if strange := set(rows) - ours:
        found = ", ".join(map(str, sorted(strange)))
        raise ConfigError(f"--rows {found}: of {exhibit.id} we can make {', '.join(map(str, sorted(ours)))}")
    wanted = set(rows) or ours
    loaded = _loaded(exhibit, asked, {name for job in possible if not job.reason for name in job.sets})
    # From here on a set lies where it was found, whatever path led there.
    asked = replace(asked, data={**(asked.data or {}), **{name: each.root for name, each in loaded.items()}})
    planned = jobs(exhibit, asked)

    def tell(outcomes: list[Outcome], index: int) -> None:
        _write(exhibit, outcomes, asked, out)
        if index >= 0:
            job, state = planned[index], outcomes[index].state
            say(f"row {job.number}, {job.row.name}, {job.group.name}: {state} {outcomes[index].reason}".rstrip())
        # What an equal row shares is done with it.
        now = [look(outcome.job, out) if outcome.state == "left" else outcome for outcome in outcomes]
        left = {(o.job.key, o.job.result) for o in now if o.state == "left" and o.job.number in wanted}
        if left:
            minutes, basis = minutes_left(now, asked, wanted)
            say(f"{len(left)} left, about {_duration(minutes)} ({basis})")

    outcomes = run_jobs(planned, loaded, out, rows=wanted, tell=tell)
    picture = None
    if exhibit.kind in PICTURES and planned[0].group.data in loaded:
        picture = PICTURES[exhibit.kind](outcomes, loaded[planned[0].group.data], out)
    _write(exhibit, outcomes, asked, out, picture)
    own = [line for line in lines(exhibit, outcomes) if line.state != "quoted"]
    show(to_text(exhibit, own, asked))
    for text in (*data_lines(own), *differing_lines(own), *missing_lines(own)):
        say(text)
    say(f"written: {(out / f'{exhibit.id}-{asked.tag}.md').resolve()}, and .json")
    made = [outcome for outcome in outcomes if outcome.job.number in wanted]
    if all(outcome.state == "cannot" for outcome in made):
        (reason, _), *others = Counter(outcome.reason for outcome in made).most_common()
        say(f"nothing was made: {reason}{' (and others, above)' if others else ''}")
        return 1
    return 1 if any(outcome.state == "failed" for outcome in outcomes) else 0


def _loaded(exhibit: Exhibit, asked: Asked, needed: set[str]) -> dict[str, Dataset]:
    """Read the data sets that were given and are needed, and say what is read."""
    given = asked.data or {}
    if needed and not given:
        names = " ".join(f"--data {name}=PATH" for name in sorted(needed))
        raise ConfigError(f"{exhibit.id} needs data: {names}, or one of them")
    if idle := sorted(given.keys() - needed):
        say(f"{exhibit.id} is run without {', '.join(idle)}: no row of it that can be made is about that")
    loaded = load_data({name: root for name, root in given.items() if name in needed})
    for name, dataset in loaded.items():
        say(f"{name}: {dataset.root.absolute()}")
        for note in filter(None, (dataset.unofficial, *dataset.notes)):
            say(f"  {note}")
    return loaded


def _write(
    exhibit: Exhibit, outcomes: Sequence[Outcome], asked: Asked, out: Path, picture: Image.Image | None = None
) -> None:
    """Write what there is, so that a kill leaves the rows that are done."""
    found, stem = lines(exhibit, outcomes), f"{exhibit.id}-{asked.tag}"
    plain = to_json(exhibit, found, asked)
    write_atomically(out / f"{stem}.json", json.dumps(plain, indent=1, ensure_ascii=False, default=str) + "\n")
    page, figure = to_markdown(exhibit, found, asked), draw(exhibit, outcomes, found)
    if figure is not None:
        write_atomically(out / f"{stem}.svg", to_svg(figure))
        page += f"\n![{exhibit.title}]({stem}.svg)\n"
    if picture is not None:
        write_png(out / f"{stem}.png", picture)
        page += f"\n![{exhibit.title}]({stem}.png)\n"
    write_atomically(out / f"{stem}.md", page)


def _article(kind: str) -> str:
    return "curves" if kind == "curves" else f"a {kind}"


def _duration(minutes: float) -> str:
    return f"{minutes / 60:.1f} h" if minutes >= 90 else f"{minutes:.0f} min" if minutes >= 1 else "a minute"
