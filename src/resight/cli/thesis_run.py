"""`resight thesis run`: reproduce the rows of a table, one after the other.

The other actions of the command do without the modules that this one loads.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from resight.cli.terminal import say, show
from resight.cli.thesis_sets import SETS, run_sets
from resight.compute.settings import DeviceSettings
from resight.config.settings import read_settings
from resight.data.catalog import load_dataset
from resight.data.dataset import Dataset
from resight.errors import ConfigError, check_least
from resight.files import expanded, write_atomically
from resight.methods.structure import SOURCES
from resight.models.weights import load_state
from resight.reports.figures import to_svg
from resight.reports.tiles import write_png
from resight.thesis.drawing import PICTURES, draw_figure
from resight.thesis.paper import PaperItem, Scale, data_name, load_item, load_scale
from resight.thesis.planning import RunRequest, TableRow, plan_rows
from resight.thesis.running import read_row, run_rows
from resight.thesis.tables import data_lines, difference_lines, reason_lines, to_json, to_markdown, to_text

PAIRS = {
    "--data": "NAME=PATH, market1501=PATH for example",
    "--weights": "BACKBONE=FILE, or BACKBONE=none for random ones",
    "--substitute": "THESIS=OURS, duke=cuhk03np-detected for example",
    "--structure": "NAME=FOLDER, or NAME=pose or NAME=truth",
}
"""The flags that you may repeat, and the form of their values."""


@dataclass(frozen=True)
class RunSettings:
    """How rows run; --data, --weights, --substitute and --structure, each with NAME=VALUE, come next to these.

    Attributes:
        scale: The scale of the runs: `smoke`, `short` or `full`.
        out: The folder of runs and results. Rerun the same command to resume.
        seed: The seed of every run.
        epochs: The number of epochs; 0 keeps the scale's.
        iterations: The number of steps an epoch; 0 keeps the scale's.
        rows: The rows to run, `[2,3]` for example, as `thesis show` counts them; empty for all.
        device: The device to run on.
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
        name: The id of a table or figure; empty if the user gave none.
        flags: The remaining arguments.

    Returns:
        The exit status: 1 if a row failed, or none could run.
    """
    if any(flag.partition("=")[0] == "--instead" for flag in flags):
        raise ConfigError("--instead is called --substitute now")
    if name and load_item(name).id in SETS:
        data, flags = _take_pairs(flags, "--data", str.lower)
        return run_sets(load_item(name), data, flags)
    data, flags = _take_pairs(flags, "--data", data_name)
    weights, flags = _take_pairs(flags, "--weights", str)
    substitutes, flags = _take_pairs(flags, "--substitute", data_name)
    structures, flags = _take_pairs(flags, "--structure", data_name)
    (settings,) = read_settings(flags, [RunSettings], program="resight thesis run ID --data NAME=PATH")
    item = load_item(name)
    _check_sets(item, [*substitutes, *(structures.keys() - set(map(data_name, substitutes.values())))])
    request = RunRequest(
        scale=settings.scale,
        data={name: expanded(path) for name, path in data.items()},
        weights={backbone: _find_weights(backbone, file) for backbone, file in weights.items()},
        seed=settings.seed,
        epochs=settings.epochs,
        iterations=settings.iterations,
        device=settings.device,
        substitutes={name: data_name(substitute) for name, substitute in substitutes.items()},
        structures={
            name: source if source in SOURCES else str(expanded(source)) for name, source in structures.items()
        },
    )
    return _run(item, request, expanded(settings.out), settings.rows)


def _take_pairs(flags: Sequence[str], flag: str, name_of: Callable[[str], str]) -> tuple[dict[str, str], list[str]]:
    """Return the ``NAME=VALUE`` words of a flag by name, and the remaining flags.

    Raises:
        ConfigError: A word has another form, its name is unknown, or a name has two values.
    """
    pairs: dict[str, str] = {}
    rest, remaining = [], iter(flags)
    for word in remaining:
        if word != flag and not word.startswith(f"{flag}="):
            rest.append(word)
            continue
        pair = next(remaining, "") if word == flag else word.removeprefix(f"{flag}=")
        name, _, value = (part.strip() for part in pair.partition("="))
        if not (name and value):
            raise ConfigError(f"{flag} needs {PAIRS[flag]}" + (f"; found '{pair}'" if pair else ""))
        name = name_of(name)
        if pairs.setdefault(name, value) != value:
            raise ConfigError(f"{flag} names {name} twice, {pairs[name]} and {value}: leave one of them out")
    return pairs, rest


def _find_weights(backbone: str, file: str) -> str:
    """Return the absolute path of weights; check, before any row runs, that they can be read."""
    if file == "none":
        return file
    if not expanded(file).is_file():
        raise ConfigError(f"--weights needs {PAIRS['--weights']}, found '{backbone}={file}': there is no such file")
    load_state(expanded(file))
    return os.path.realpath(expanded(file))


def _check_sets(item: PaperItem, names: Iterable[str]) -> None:
    """Check that a table or figure is about the data sets that flags name."""
    known = {name for row in plan_rows(item, RunRequest(), resolve=False) for name in row.sets}
    for name in names:
        if name not in known:
            raise ConfigError(f"{item.id} is not about {name}: it is about {', '.join(sorted(known))}")


def _run(item: PaperItem, request: RunRequest, out: Path, numbers: tuple[int, ...]) -> int:
    scale = load_scale(request.scale)  # before data are read
    planned = plan_rows(item, request, resolve=False)
    if not planned:
        kind = item.kind if item.kind == "curves" else f"a {item.kind}"
        raise ConfigError(f"{item.id} has nothing to run: it is {kind} without rows to reproduce")
    plannable = {row.number for row in planned}
    if unknown := set(numbers) - plannable:
        unknown_text, known_text = (", ".join(map(str, sorted(group))) for group in (unknown, plannable))
        raise ConfigError(f"--rows {unknown_text}: the rows of {item.id} that can run are {known_text}")
    chosen = set(numbers) or plannable
    datasets = _load_data(item, request, {name for row in planned if not row.reason for name in row.sets})
    # From here on a data set has one root, whatever path led there.
    request = replace(
        request, data={**(request.data or {}), **{name: dataset.root for name, dataset in datasets.items()}}
    )

    def report(rows: list[TableRow], index: int) -> None:
        _write(item, rows, request, out)
        if index >= 0:
            row = rows[index]
            say(f"row {row.number}, {row.printed.name}, {row.group.name}: {row.status} {row.reason}".rstrip())
        # The run that just ended may have finished equal rows too.
        current = [read_row(row, out) if row.status == "pending" else row for row in rows]
        pending = [row for row in current if row.status == "pending" and row.number in chosen]
        if pending:
            minutes, basis = _estimate_minutes(current, scale, chosen)
            count = len({(row.key, row.result_name) for row in pending})
            say(f"{count} left, about {_duration(minutes)} ({basis})")

    rows = run_rows(plan_rows(item, request), datasets, out, numbers=chosen, report=report)
    picture = None
    if item.kind in PICTURES and rows[0].data in datasets:
        picture = PICTURES[item.kind](rows, datasets[rows[0].data], out)
    _write(item, rows, request, out, picture)
    show(to_text(item, rows, request))
    for text in (*data_lines(rows), *difference_lines(rows), *reason_lines(rows)):
        say(text)
    say(f"written: {(out / f'{item.id}-{request.tag}.md').resolve()}, and .json")
    attempted = [row for row in rows if row.number in chosen]
    if all(row.status == "unavailable" for row in attempted):
        (reason, _), *further = Counter(row.reason for row in attempted).most_common()
        say(f"no row ran: {reason}{' (and other reasons, above)' if further else ''}")
        return 1
    return 1 if any(row.status == "failed" for row in rows) else 0


def _load_data(item: PaperItem, request: RunRequest, needed: set[str]) -> dict[str, Dataset]:
    """Load the data sets that the request names and the rows need, and print what is read."""
    folders = request.data or {}
    if needed and not folders:
        names = " ".join(f"--data {name}=PATH" for name in sorted(needed))
        raise ConfigError(f"{item.id} needs data: {names}, or one of them")
    if unused := sorted(folders.keys() - needed):
        say(f"{item.id} runs without {', '.join(unused)}: no row that can run is about it")
    datasets = {name: load_dataset(name, root) for name, root in folders.items() if name in needed}
    names_of_roots: dict[str, str] = {}
    for name, dataset in datasets.items():
        other = names_of_roots.setdefault(os.path.realpath(dataset.root), name)
        if other != name:
            raise ConfigError(
                f"{other} and {name} are both {dataset.root}: give each data set the folder of its own images"
            )
    for name, dataset in datasets.items():
        say(f"{name}: {dataset.root.absolute()}")
        for note in filter(None, (dataset.unofficial, *dataset.notes)):
            say(f"  {note}")
    return datasets


def _estimate_minutes(rows: Sequence[TableRow], scale: Scale, numbers: Collection[int]) -> tuple[float, str]:
    """Estimate how long the pending rows with these numbers will take.

    Returns:
        Minutes, and the basis of the estimate.
    """
    pending = {row.key: row for row in rows if row.status == "pending" and row.number in numbers}
    seconds: dict[str, list[float]] = {}
    for row in rows:
        if row.status == "done":
            seconds.setdefault(row.data, []).append(float(row.result["seconds"]))
    measured = [value for values in seconds.values() for value in values]
    minutes = 0.0
    for row in pending.values():
        same_data = seconds.get(row.data, measured)
        full_minutes = sum(same_data) / len(same_data) / 60 if same_data else scale.minutes
        minutes += full_minutes * (1 - min(len(row.metrics) / row.settings.epochs, 1))
    starts = {start.key for row in pending.values() for start in row.starts if start.status == "pending"}
    minutes += scale.minutes * len(starts)
    if measured:
        return minutes, f"from {len(measured)} done here"
    return minutes, f"one takes about {scale.minutes:g} min: {scale.measured}"


def _write(
    item: PaperItem, rows: Sequence[TableRow], request: RunRequest, out: Path, picture: Image.Image | None = None
) -> None:
    """Write the results so far, so that an interrupted run leaves the rows that are done."""
    stem = f"{item.id}-{request.tag}"
    table = json.dumps(to_json(item, rows, request), indent=1, ensure_ascii=False, default=str)
    write_atomically(out / f"{stem}.json", table + "\n")
    page, figure = to_markdown(item, rows, request), draw_figure(item, rows)
    if figure is not None:
        write_atomically(out / f"{stem}.svg", to_svg(figure))
        page += f"\n![{item.title}]({stem}.svg)\n"
    if picture is not None:
        write_png(out / f"{stem}.png", picture)
        page += f"\n![{item.title}]({stem}.png)\n"
    write_atomically(out / f"{stem}.md", page)


def _duration(minutes: float) -> str:
    return f"{minutes / 60:.1f} h" if minutes >= 90 else f"{minutes:.0f} min" if minutes >= 1 else "a minute"
