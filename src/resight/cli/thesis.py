"""`resight thesis list|show|run`: the thesis' tables and figures, and our values for them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table
from rich.text import Text

from resight.config import read_settings
from resight.devices import DeviceSettings
from resight.errors import ConfigError, check_least, nearest
from resight.files import expanded, write_atomically
from resight.reports.figures import to_svg
from resight.reports.tiles import write_png
from resight.thesis.drawing import draw
from resight.thesis.exhibits import Exhibit, data_name, exhibit_ids, load_exhibit, load_scale, scales
from resight.thesis.pictures import PICTURES
from resight.thesis.plan import Asked, jobs, load_data, read_data
from resight.thesis.presenting import differing_lines, lines, listed, missing_lines, to_json, to_markdown, to_text
from resight.thesis.running import Outcome, look, minutes_left, run_jobs

ACTIONS = ("list", "show", "run")
USAGE = (
    "usage: resight thesis list [--json]\n"
    "       resight thesis show table-6.6 [--json | --markdown] [--out FOLDER]\n"
    "       resight thesis run table-6.6 --data market1501=PATH [--data duke=PATH] --scale smoke|short|full\n"
    "                          [--out FOLDER] [--seed N] [--epochs N] [--iterations N] [--rows [2,3]]\n"
    "                          [--weights BACKBONE=FILE|none] [--instead duke=cuhk03np-detected]"
)


@dataclass(frozen=True)
class ListSettings:
    """How it is listed.

    Attributes:
        json: Print JSON instead of a table.
    """

    json: bool = False


@dataclass(frozen=True)
class ShowSettings:
    """What of a table is shown.

    Attributes:
        json: Print JSON instead of a table.
        markdown: Print Markdown instead of a table.
        out: Where `resight thesis run` wrote; its results are shown beside what is reported.
    """

    json: bool = False
    markdown: bool = False
    out: str = "thesis"


@dataclass(frozen=True)
class RunSettings:
    """How a table's rows are run.

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


def run(arguments: Sequence[str]) -> int:
    """Run `resight thesis`."""
    action, *words = arguments or ("",)
    if action in ("-h", "--help"):
        print(USAGE)
        return 0
    if action not in ACTIONS:
        found = f"found '{action}'{nearest(action, ACTIONS)}"
        raise ConfigError(f"resight thesis needs one of {', '.join(ACTIONS)}, {found}")
    if action == "list":
        (asked,) = read_settings(words, [ListSettings], program="resight thesis list")
        return _list(asked)
    name, flags = (words[0], words[1:]) if words and not words[0].startswith("-") else ("", words)
    program = f"resight thesis {action} ID"
    data, flags = _taken(flags, "--data", "NAME=PATH") if action == "run" else ([], flags)
    weights, flags = _taken(flags, "--weights", "BACKBONE=FILE") if action == "run" else ([], flags)
    instead, flags = _taken(flags, "--instead", "THESIS=OURS") if action == "run" else ([], flags)
    (settings,) = read_settings(flags, [RunSettings if action == "run" else ShowSettings], program=program)
    if not name:
        raise ConfigError(f"resight thesis {action} needs a table or figure: resight thesis {action} table-6.6")
    exhibit = load_exhibit(name)
    if isinstance(settings, ShowSettings):
        return _show(exhibit, settings)
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


def _list(settings: ListSettings) -> int:
    found = [listed(load_exhibit(name)) for name in exhibit_ids()]
    if settings.json:
        print(json.dumps([dataclasses.asdict(each) for each in found], indent=1, ensure_ascii=False))
        return 0
    table = Table(title=Text("The thesis, and how many of our runs can be made today"), title_justify="left")
    table.add_column("id", no_wrap=True)
    table.add_column("title")
    for scale in scales():
        table.add_column(scale, justify="right", no_wrap=True)
    table.add_column("data, or what is missing")
    for each in found:
        able = [f"{count}/{each.runs}" if each.runs else "–" for count in each.able.values()]
        idle = each.kind if each.kind != "table" else "nothing to run"
        about = [*each.data, *(reason for reason in each.missing if not each.data)] or [idle]
        table.add_row(each.id, Text(each.title), *able, Text(", ".join(about)))
    _console().print(table)
    print("full needs the weights of the recipe's backbone: from its hub, or --weights BACKBONE=FILE")
    return 0


def _show(exhibit: Exhibit, settings: ShowSettings) -> int:
    if settings.json and settings.markdown:
        raise ConfigError("--json and --markdown exclude each other")
    written = sorted(expanded(settings.out).glob(f"{exhibit.id}-*.json"))
    if settings.json:
        ours = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in written}
        print(json.dumps({**to_json(exhibit, lines(exhibit, [])), "ours": ours}, indent=1, ensure_ascii=False))
        return 0
    if settings.markdown:
        pages = [path.with_suffix(".md").read_text(encoding="utf-8") for path in written]
        print("\n".join(pages or [to_markdown(exhibit, lines(exhibit, []))]), end="")
        return 0
    console = _console()
    if exhibit.rows and exhibit.groups and any(group.scores for group in exhibit.groups):
        console.print(to_text(exhibit, lines(exhibit, [])))
    else:
        print(f"{exhibit.id}: {exhibit.title} (page {exhibit.page})")
    if exhibit.shows:
        print(f"shows {exhibit.shows}")
    if exhibit.redraw:
        print(f"to redraw it: {exhibit.redraw}{'' if exhibit.today else ' (not there yet)'}")
    for note in exhibit.notes:
        print(f"note: {note}")
    for text in exhibit.doubtful:
        print(f"doubtful: {text}")
    for path in written:
        print(f"ours: {path.with_suffix('.md')}\n")
        print(path.with_suffix(".md").read_text(encoding="utf-8"))
    return 0


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
            print(f"row {job.number}, {job.row.name}, {job.group.name}: {state} {outcomes[index].reason}".rstrip())
        # What an equal row shares is done with it.
        now = [look(outcome.job, out) if outcome.state == "left" else outcome for outcome in outcomes]
        left = {(o.job.key, o.job.result) for o in now if o.state == "left" and o.job.number in wanted}
        if left:
            minutes, basis = minutes_left(now, asked, wanted)
            print(f"{len(left)} left, about {_duration(minutes)} ({basis})")

    outcomes = run_jobs(planned, loaded, out, rows=wanted, tell=tell)
    picture = None
    if exhibit.kind in PICTURES and planned[0].group.data in loaded:
        picture = PICTURES[exhibit.kind](outcomes, loaded[planned[0].group.data], out)
    _write(exhibit, outcomes, asked, out, picture)
    own = [line for line in lines(exhibit, outcomes) if line.state != "quoted"]
    _console().print(to_text(exhibit, own, asked))
    for text in (*differing_lines(own), *missing_lines(own)):
        print(text)
    print(f"written: {(out / f'{exhibit.id}-{asked.tag}.md').resolve()}, and .json")
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


def _console() -> Console:
    """Give a console that is wide enough for a table wherever the output goes."""
    console = Console()
    return console if console.is_terminal else Console(width=160)
