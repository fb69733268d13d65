"""From a table to the runs that make our values: what each is, whether it can be made, and how it differs.

A row that adapts from one data set to another is two runs: the first trains on the source's people, the second goes on
from there without labels. Rows that need the same first run share it. The two networks of MMT go on from a run each,
which have seeds of their own.

What loads torch is imported where it is used: to list the tables, and to show what they report, none of it is needed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resight.config.recipes import find_recipe
from resight.config.settings import dotted, flags_of, write_settings
from resight.errors import ConfigError, ResightError
from resight.thesis.exhibits import Exhibit, Group, Ours, Row, Scale, data_sets, load_scale, source_of

if TYPE_CHECKING:
    from resight.compute.devices import DeviceSettings
    from resight.training.train import TrainSettings

ADAPTS = {"ice": False, "scr": False, "source": True, "abmt": True, "mean_teacher": True, "mmt": True}
"""The methods that are there, and whether each learns from a source and a target at once; `resight.methods` says so."""

FIRST = "source"
"""The method of the run on a source that another one starts from."""

BUILT = ("backbone", "weights", "height", "width", "last_stride", "head", "neck")
"""What the networks of both runs have in common."""


@dataclass(frozen=True)
class Asked:
    """What a run of a table was asked for.

    Attributes:
        scale: The name of a scale.
        data: For each data set, by our name, its folder; None asks only what could be run with all data there.
        weights: For each backbone a file of its weights, or ``none`` for random ones.
        seed: Of every run.
        epochs: In place of the scale's; 0 keeps them.
        iterations: In place of the scale's; 0 keeps them.
        device: Where it runs; None leaves it to the recipe.
        instead: For a data set of the thesis, by our name, the one that takes its place in our runs.
    """

    scale: str = "short"
    data: Mapping[str, Path] | None = None
    weights: Mapping[str, str] = field(default_factory=dict)
    seed: int = 1
    epochs: int = 0
    iterations: int = 0
    device: DeviceSettings | None = None
    instead: Mapping[str, str] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """What tells its results from those of other scales and seeds, fit for a file's name."""
        changed = "".join(
            f"-{name}{value}" for name, value in (("e", self.epochs), ("i", self.iterations)) if value
        )  # fmt: skip
        changed += "".join(f"-{own}-for-{name}" for name, own in self.instead.items())
        return f"{self.scale}{changed}-seed{self.seed}"


@dataclass(frozen=True)
class Job:
    """One of our rows on one data set.

    Attributes:
        number: The row's, from 1, as the table counts.
        row: The row.
        column: Which group of columns.
        group: That group, its data set the one that is used.
        reason: Why it cannot be made; empty where it can.
        ours: What makes it.
        recipe: The recipe's name with the data sets filled in.
        settings: The method's settings; None where they cannot be known.
        options: What surrounds it, likewise; its run folder is still open.
        thesis: The dotted settings of the recipe and row as they are, without a scale: those of the thesis.
        source: The labeled data set that it adapts from, by our name; empty for none.
        starts: The runs that it starts from, one for each of its networks; none where it starts from the backbone's
            weights.
        instead: Of each of its data sets that stands in another's place: its name, and that of the thesis' set.
        roots: Where each of its data sets that were given lies, links followed.
    """

    number: int
    row: Row
    column: int
    group: Group
    reason: str
    ours: Ours
    recipe: str
    settings: Any = None
    options: TrainSettings | None = None
    thesis: Mapping[str, object] = field(default_factory=dict)
    source: str = ""
    starts: tuple[Job, ...] = ()
    instead: tuple[tuple[str, str], ...] = ()
    roots: Mapping[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> str:
        """Where its data lie."""
        assert self.options is not None
        return self.options.data + (f" from {self.options.source}" if self.source else "")

    @property
    def sets(self) -> tuple[str, ...]:
        """Its data sets, by our names: what it starts from, and what it is scored on."""
        return tuple(name for name in (self.source, self.group.data) if name)

    @property
    def key(self) -> str:
        """The name of its run folder: rows of any table that are trained alike, on the same sets, share one.

        All that makes a training another one is in it: method, data sets, settings, the weights' bytes, and the runs
        before it. Where it runs and where its data lie do not.
        """
        trained_on = (self.source,) if self.transferred else self.sets
        settings = _flat(self.training, self.settings)
        settings["encoder.weights"] = _bytes_of(str(settings["encoder.weights"]))
        identity = [self.ours.method, trained_on, [start.key for start in self.starts], settings]
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()
        return "-".join((self.ours.method, *trained_on, digest[:10]))

    @property
    def transferred(self) -> bool:
        """Whether it is trained on its source alone, as that set's own row is, and scored on the other set."""
        return bool(self.source) and not ADAPTS[self.ours.method]

    @property
    def scored_apart(self) -> bool:
        """Whether the row is about how tracklets are scored, and its training knows nothing of it.

        Such a run is trained without a test part, once for all of these rows, and scored for each.
        """
        assert self.options is not None
        about = any(name.startswith("tracklet.") for name in self.ours.flags)
        return about and self.options.select not in ("validation", "test")

    @property
    def training(self) -> TrainSettings:
        """What surrounds its training: its options without what only decides how it is scored."""
        from resight.data.tracklets import TrackletSettings

        assert self.options is not None
        options = dataclasses.replace(self.options, tracklet=TrackletSettings()) if self.scored_apart else self.options
        return dataclasses.replace(options, data=options.source, source="") if self.transferred else options

    @property
    def result(self) -> str:
        """The name of the file in its run folder that says that it is done, and its scores."""
        if self.transferred:
            return f"result-{self.group.data}.json"
        if not self.scored_apart:
            return "result.json"
        assert self.options is not None
        text = write_settings([self.options.tracklet])
        return f"result-{hashlib.sha256(text.encode()).hexdigest()[:10]}.json"


def jobs(exhibit: Exhibit, asked: Asked, *, resolve: bool = True) -> list[Job]:
    """Give our rows of a table, each on each of its data sets, in the table's order.

    Args:
        exhibit: The table or figure.
        asked: How it is run.
        resolve: Whether settings are worked out too, which takes a tenth of a second a job; without them only the
            reasons are known.
    """
    scale = load_scale(asked.scale)
    return [
        _job(number, row, column, group, (scale, asked, resolve))
        for number, row in enumerate(exhibit.rows, 1)
        for column, group in enumerate(exhibit.groups)
        if row.ours is not None and group.data
    ]


def differences(job: Job) -> Iterator[tuple[str, str, str]]:
    """Give each setting of a run that is not the thesis' row's: its name, ours, the thesis'."""
    assert job.options is not None
    for name, value in flat(job).items():
        if name in job.thesis and str(job.thesis[name]) != str(value):
            yield name, str(value), str(job.thesis[name])


def flat(job: Job) -> dict[str, object]:
    """Give a job's settings under dotted names, without what says only where it lies and runs."""
    return _flat(job.options, job.settings)


@cache
def _read(method: str, recipe: str, *flags: str) -> tuple[Any, TrainSettings]:
    """Read settings, which are frozen, once: many rows have the same."""
    from resight.training.train import read_recipe

    return read_recipe(method, recipe, *flags)


def _as_it_is(method: str, recipe: str, *flags: str) -> Mapping[str, object]:
    """Give the settings of a recipe and a row without any scale."""
    settings, options = _read(method, recipe, *flags)
    return _flat(options, settings)


def _flat(options: Any, settings: Any) -> dict[str, object]:
    plain = dataclasses.asdict(options) | dataclasses.asdict(settings)
    for name in ("data", "source", "run", "start", "device"):
        del plain[name]
    return dict(dotted(plain))


def _bytes_of(weights: str) -> str:
    """Give the digest of a file of weights, or the word that stands in its place."""
    path = Path(weights)
    return _digest(path, path.stat().st_mtime_ns) if path.is_file() else weights


@cache
def _digest(path: Path, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _job(number: int, row: Row, column: int, group: Group, how: tuple[Scale, Asked, bool]) -> Job:
    ours, (scale, asked, resolve) = row.ours, how
    assert ours is not None
    theirs = (group.data, source_of(row, column, group))
    data, source = own_sets = (asked.instead.get(theirs[0], theirs[0]), asked.instead.get(theirs[1], theirs[1]))
    recipe = _recipe(ours.recipe, own_sets, theirs)
    pairs = tuple((own, name) for own, name in zip(own_sets, theirs, strict=True) if own != name)
    group = dataclasses.replace(group, data=data)
    bare = Job(number, row, column, group, "", ours, recipe, source=source, instead=pairs)
    reason = _why_not(bare, scale)
    if not (reason or resolve) and ours.about and _lays_over(scale, bare):
        reason = f"this row is about what scale {scale.name} sets"
    if reason or not resolve:
        return dataclasses.replace(bare, reason=reason)
    own = [f"--{name}={value}" for name, value in ours.flags.items()]
    try:
        thesis = _as_it_is(ours.method, recipe, *own)
        weight = thesis.get("cluster.source_weight") if source else None
        if weight:  # a scale has no say in it: its recipe is for sites, which need not have a source's images
            own.append(f"--cluster.source_weight={weight}")
        settings, options = _read(
            ours.method, recipe, *_scaled(ours.method, scale, source), *own, *_wished(asked, ours)
        )
        # The stem without ReLU takes the weights of the one with it.
        weights = asked.weights.get(settings.encoder.backbone.removesuffix("_linear_stem"))
        if weights is not None:
            settings = dataclasses.replace(settings, encoder=dataclasses.replace(settings.encoder, weights=weights))
        made = _placed(dataclasses.replace(bare, settings=settings, options=options, thesis=thesis), asked)
        if source and ours.method != FIRST and not made.transferred:
            made = dataclasses.replace(made, starts=_starts(made, scale, asked))
    except ResightError as error:
        return dataclasses.replace(bare, reason=f"its settings do not fit: {error}")
    changed = [f"{name} {value} in place of {was}" for name, value, was in differences(made) if name in ours.about]
    if changed:
        return dataclasses.replace(bare, reason=f"this row is about what scale {scale.name} sets: {', '.join(changed)}")
    missing = [name for name in reversed(made.sets) if asked.data is not None and name not in asked.data]
    if missing:
        return dataclasses.replace(made, reason=f"no data: give {' '.join(f'--data {name}=PATH' for name in missing)}")
    return made


def _starts(job: Job, scale: Scale, asked: Asked) -> tuple[Job, ...]:
    """Give the runs on the source's people that a job starts from: of the same network, at the same scale."""
    networks = getattr(job.settings, "networks", 1)
    return tuple(_first(job, scale, dataclasses.replace(asked, seed=asked.seed + number)) for number in range(networks))


def _first(job: Job, scale: Scale, asked: Asked) -> Job:
    recipe = _first_recipe(job)
    ours = Ours(FIRST, recipe)
    settings, options = _read(FIRST, recipe, *_scaled(FIRST, scale, job.source), *_wished(asked, ours))
    built = {name: getattr(job.settings.encoder, name) for name in BUILT}
    settings = dataclasses.replace(settings, encoder=dataclasses.replace(settings.encoder, **built))
    same = {name: value for name, value in job.thesis.items() if name.removeprefix("encoder.") in BUILT}
    thesis = {**_as_it_is(FIRST, recipe), **same}
    bare = dataclasses.replace(job, ours=ours, recipe=recipe, settings=settings, options=options, thesis=thesis)
    return _placed(bare, asked)


def _first_recipe(job: Job) -> str:
    """Name the recipe of the run on a job's source."""
    theirs = dict(job.instead).get(job.source, job.source)
    return _recipe(f"{FIRST}-{{data}}", (job.source, ""), (theirs, ""))


def _recipe(pattern: str, own: tuple[str, str], theirs: tuple[str, str]) -> str:
    """Fill the names of a data set and a source into a recipe's name.

    Args:
        pattern: With ``{data}``, ``{source}`` and ``{family}``.
        own: The two sets that are used.
        theirs: The thesis' two, whose recipe serves where there is none for the others.
    """
    families = {name: known.family for name, known in data_sets().items()}
    found = []
    for data, source in (own, (families[own[0]], families.get(own[1], "")), theirs):
        names = {"data": data, "source": source, "family": families.get(data, data)}
        # "gcl-jvtc-{source}-{data}" without a source is "gcl-jvtc-{data}".
        found.append(pattern.format(**names).replace("--", "-"))
    if own == theirs:
        return found[0]
    for name in found[:2]:
        with suppress(ConfigError):
            find_recipe(name)
            return name
    return found[2]


def _placed(job: Job, asked: Asked) -> Job:
    """Say where a job runs and where its data lie."""
    assert job.options is not None
    given = {name: (asked.data or {})[name].absolute() for name in job.sets if name in (asked.data or {})}
    data, source = (f"{name}={given[name]}" if name in given else "" for name in (job.group.data, job.source))
    device = asked.device or job.options.device
    options = dataclasses.replace(job.options, device=device, data=data, source=source)
    roots = {name: os.path.realpath(folder) for name, folder in given.items()}
    return dataclasses.replace(job, options=options, roots=roots)


def _why_not(job: Job, scale: Scale) -> str:
    """Say what is missing for a job, most fundamental first; "" where nothing is."""
    ours, source = job.ours, job.source
    if source == job.group.data:
        return f"{source} would be adapted to itself: put another set in the place of {job.instead[0][1]}"
    if ours.method not in ADAPTS:
        return f"no method '{ours.method}' yet (recipe {job.recipe})"
    methods = {ours.method: job.recipe}
    if source and ADAPTS[ours.method]:
        methods[FIRST] = _first_recipe(job)
    for method, recipe in methods.items():
        try:
            find_recipe(recipe)
        except ConfigError:
            return f"no recipe '{recipe}' yet"
        if scale.methods is not None and method not in scale.methods:
            return f"scale {scale.name} has no settings for method '{method}'"
    return ""


def _lays_over(scale: Scale, job: Job) -> bool:
    """Say by the recipes alone, without its settings worked out, whether a scale changes what a row is about."""
    groups = {name.partition(".")[0] for name in job.ours.about}
    own = [f"--{name}={value}" for name, value in job.ours.flags.items()]
    plain = flags_of(find_recipe(job.recipe), *groups)
    laid = _scaled(job.ours.method, scale, job.source)
    if laid:
        laid[:1] = flags_of(find_recipe(laid[0].removeprefix("--config=")), *groups)

    def last(flags: list[str]) -> dict[str, str]:
        pairs = [flag.removeprefix("--").partition("=") for flag in flags]
        return {name: value for name, _, value in pairs if name in job.ours.about}

    return last([*plain, *own]) != last([*plain, *laid, *own])


def _scaled(method: str, scale: Scale, source: str) -> list[str]:
    """Give what a scale lays over a recipe, of a row that adapts from this source or from none."""
    if scale.methods is None:
        return []
    over = scale.methods[method]
    recipe = over.recipe if source else over.without_source or over.recipe
    return [f"--config={recipe}", *(f"--{name}={value}" for name, value in over.flags.items())]


def _wished(asked: Asked, ours: Ours) -> list[str]:
    """Give the flags of what was asked for; a row that sets the same itself is not changed in what it is about."""
    wished = {"seed": asked.seed, "epochs": asked.epochs or None, "iterations": asked.iterations or None}
    return [f"--{name}={value}" for name, value in wished.items() if value is not None and name not in ours.flags]
