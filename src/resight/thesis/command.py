"""`resight thesis run`: what of a table is asked for, and its rows made one after the other.

It stands apart from the other actions of the command, which need nothing of what it loads.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from resight.config import read_settings
from resight.device_settings import DeviceSettings
from resight.errors import ConfigError, check_least
from resight.files import expanded, write_atomically
from resight.reports.figures import to_svg
from resight.reports.tiles import write_png
from resight.terminal import say, show
from resight.thesis.drawing import draw
from resight.thesis.exhibits import Exhibit, data_name, load_exhibit, load_scale
from resight.thesis.pictures import PICTURES
from resight.thesis.plan import Asked, jobs, load_data, read_data
from resight.thesis.presenting import differing_lines, lines, missing_lines, to_json, to_markdown, to_text
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
    data, flags = _taken(flags, "--data", "NAME=PATH")
    weights, flags = _taken(flags, "--weights", "BACKBONE=FILE")
    instead, flags = _taken(flags, "--instead", "THESIS=OURS")
    (settings,) = read_settings(flags, [RunSettings], program="resight thesis run ID --data NAME=PATH")
    exhibit = load_exhibit(name)
    places = _places(instead, exhibit)
    given = read_data(data)
    asked = Asked(
        settings.scale,
        given,
        _weights(weights),
        settings.seed,
        settings.epochs,
        settings.iterations,
        settings.device,
        places,
    )
    return _run(exhibit, asked, expanded(settings.out), settings.rows)


def _run(exhibit: Exhibit, asked: Asked, out: Path, rows: tuple[int, ...]) -> int:
    load_scale(asked.scale)  # a mistake is said before data are read
    given = asked.data or {}
    planned = jobs(exhibit, asked)
    if not planned:
        raise ConfigError(f"{exhibit.id} has nothing to run: it is {_article(exhibit.kind)} without rows of ours")
    ours = {job.number for job in planned}
    if strange := set(rows) - ours:
        found = ", ".join(map(str, sorted(strange)))
        raise ConfigError(f"--rows {found}: of {exhibit.id} we can make {', '.join(map(str, sorted(ours)))}")
    wanted = set(rows) or ours
    needed = {name for job in planned if job.options is not None for name in (job.group.data, job.source) if name}
    if needed and not given:
        names = " ".join(f"--data {name}=PATH" for name in sorted(needed))
        raise ConfigError(f"{exhibit.id} needs data: {names}, or one of them")
    loaded = load_data({name: root for name, root in given.items() if name in needed})

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
    for text in (*differing_lines(own), *missing_lines(own)):
        say(text)
    say(f"written: {(out / f'{exhibit.id}-{asked.tag}.md').resolve()}, and .json")
    made = [outcome for outcome in outcomes if outcome.job.number in wanted]
    if all(outcome.state == "cannot" for outcome in made):
        (reason, _), *others = Counter(outcome.reason for outcome in made).most_common()
        say(f"nothing was made: {reason}{' (and others, above)' if others else ''}")
        return 1
    return 1 if any(outcome.state == "failed" for outcome in outcomes) else 0


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


def _taken(flags: Sequence[str], name: str, form: str) -> tuple[list[str], list[str]]:
    """Take a flag that may be given several times out of the others."""
    found, rest, waiting = [], [], False
    for flag in flags:
        if waiting or flag.startswith(f"{name}="):
            found.append(flag.removeprefix(f"{name}="))
            waiting = False
        elif flag == name:
            waiting = True
        else:
            rest.append(flag)
    if waiting:
        raise ConfigError(f"{name} needs {form}")
    return found, rest


def _weights(words: Sequence[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    for backbone, _, path in pairs:
        if not backbone or (path != "none" and not expanded(path or "/nothing/there").is_file()):
            raise ConfigError(
                f"--weights needs BACKBONE=FILE, or BACKBONE=none for random ones, found '{backbone}={path}': "
                "there is no such file"
            )
    return {backbone: path for backbone, _, path in pairs}


def _places(words: Sequence[str], exhibit: Exhibit) -> dict[str, str]:
    """Read which set takes the place of which."""
    found = {}
    for word in words:
        theirs, equals, own = word.partition("=")
        if not equals:
            raise ConfigError(f"--instead needs THESIS=OURS, duke=cuhk03np-detected for example; found '{word}'")
        found[data_name(theirs.strip())] = data_name(own.strip())
    known = {name for job in jobs(exhibit, Asked(), resolve=False) for name in (job.group.data, job.source) if name}
    for name in found.keys() - known:
        raise ConfigError(f"{exhibit.id} is not about {name}: it is about {', '.join(sorted(known))}")
    return found


def _article(kind: str) -> str:
    return "curves" if kind == "curves" else f"a {kind}"


def _duration(minutes: float) -> str:
    return f"{minutes / 60:.1f} h" if minutes >= 90 else f"{minutes:.0f} min" if minutes >= 1 else "a minute"
