"""From a printed row to the run that reproduces it: its settings, whether it can run, and how it differs.

A row that adapts from one data set to another is two runs: the first trains on the source's people, the second starts
from it without labels. A row of GCL starts from a run of another method. Rows that need the same first run share it.
Each of MMT's two networks has a first run of its own, with a seed of its own.

Functions that need torch import it themselves: the list of tables and their printed values do not.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resight.compute.settings import DeviceSettings
from resight.config.recipes import find_recipe, known_methods, load_recipe, shipped_paths
from resight.config.renamed import first_data_name, first_settings
from resight.config.settings import dotted, settings_of
from resight.errors import ConfigError, ResightError
from resight.thesis.paper import ColumnGroup, PaperItem, PrintedRow, Reproduction, Scale, load_scale, source_of

if TYPE_CHECKING:
    from resight.training.train import TrainSettings

FIRST = Reproduction("source", "source-thesis")
"""The run on a source that another one starts from."""

BUILT = ("backbone", "weights", "height", "width", "last_stride", "head", "head_width", "neck")
"""The encoder settings that both runs share."""


@dataclass(frozen=True)
class RunRequest:
    """The runs that a user requests, and their data.

    Attributes:
        scale: The name of a scale.
        data: The folder of each data set; None asks only which rows could run if all data were given.
        weights: For each backbone a file of its weights, or ``none`` for random ones.
        seed: The seed of every run.
        epochs: The number of epochs; 0 keeps the scale's.
        iterations: The number of steps an epoch; 0 keeps the scale's.
        device: The device to run on.
        substitutes: For a data set of the thesis, the one that replaces it in the runs.
        structures: For each data set GCL's setting `structure`, where renderings of bodies come from; else ``pose``.
    """

    scale: str = "short"
    data: Mapping[str, Path] | None = None
    weights: Mapping[str, str] = field(default_factory=dict)
    seed: int = 1
    epochs: int = 0
    iterations: int = 0
    device: DeviceSettings = field(default_factory=DeviceSettings)
    substitutes: Mapping[str, str] = field(default_factory=dict)
    structures: Mapping[str, str] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """The part of a file's name that tells these results from those of other scales and seeds."""
        lengths = "".join(f"-{name}{value}" for name, value in (("e", self.epochs), ("i", self.iterations)) if value)
        replaced = "".join(f"-{used}-for-{printed}" for printed, used in self.substitutes.items())
        return f"{self.scale}{lengths}{replaced}-seed{self.seed}"

    @property
    def overrides(self) -> dict[str, int]:
        """The settings that it changes in every run."""
        values = {"seed": self.seed, "epochs": self.epochs or None, "iterations": self.iterations or None}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class TableRow:
    """A row of a table on one data set: the printed values, what reproduces them, a status and a result.

    Attributes:
        number: The row's number in the table, from 1.
        column: The index of its group of columns.
        printed: The row as printed.
        group: Its group of columns as printed.
        status: ``done``, ``pending`` (it can run), ``failed`` or ``unavailable``; ``quoted`` for a row of another
            paper that nothing here reproduces, ``not run`` if its runs were not looked up.
        reason: Why it failed or is unavailable.
        data: The data set that the run is scored on; empty if there is none.
        source: The labeled data set that it starts from; empty for none.
        substitutes: For each data set of the thesis that another one replaces, the name of that one.
        reproduction: What reproduces it; None for a quoted row.
        recipe: The name of the recipe.
        settings: The method's settings; None until they are resolved.
        options: The settings of the training, likewise; the run folder is not set yet.
        reference: The dotted settings of recipe and row without a scale: those of the thesis.
        starts: The runs that it starts from, one for each of its networks; empty if it starts from the weights of the
            backbone.
        roots: The folder of each given data set, with links resolved.
        result: The content of its result file; empty unless it is done.
        metrics: A line for each finished epoch.
    """

    number: int
    column: int
    printed: PrintedRow
    group: ColumnGroup
    status: str
    reason: str = ""
    data: str = ""
    source: str = ""
    substitutes: Mapping[str, str] = field(default_factory=dict)
    reproduction: Reproduction | None = None
    recipe: str = ""
    settings: Any = None
    options: TrainSettings | None = None
    reference: Mapping[str, object] = field(default_factory=dict)
    starts: tuple[TableRow, ...] = ()
    roots: Mapping[str, str] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[Mapping[str, Any], ...] = ()

    @property
    def method(self) -> str:
        """The name of the method; empty for a quoted row."""
        return self.reproduction.method if self.reproduction else ""

    @property
    def surroundings(self) -> TrainSettings:
        """Its options, which must be resolved."""
        assert self.options is not None
        return self.options

    @property
    def sets(self) -> tuple[str, ...]:
        """The names of its data sets: the one it starts from, the one it is scored on."""
        return tuple(name for name in (self.source, self.data) if name)

    @property
    def key(self) -> str:
        """The name of its run folder, which rows of any table share if their training is the same.

        It holds all that makes a training: method, data sets, settings, the bytes of the weights and the runs before
        it. It does not depend on the device, on where the data lie, or on a later change of a setting's name.
        """
        trained_on = (self.source,) if self.transferred else self.sets
        settings = first_settings(_flat(self.settings, self.training))
        weights = Path(str(settings["encoder.weights"]))
        if weights.is_file():
            settings["encoder.weights"] = _digest_file(weights, weights.stat().st_mtime_ns)
        if settings.get("structure", "") not in ("", "pose", "truth"):
            settings["structure"] = "files"
        starts = [start.key for start in self.starts]
        identity = [self.method, tuple(map(first_data_name, trained_on)), starts, settings]
        return "-".join((self.method, *trained_on, _digest(identity)))

    @property
    def transferred(self) -> bool:
        """Whether it trains on its source alone, like that set's own row, and is scored on the other set."""
        return bool(self.source) and not self.takes_source and not (self.reproduction and self.reproduction.start)

    @property
    def takes_source(self) -> bool:
        """Whether it learns from the people of its source too."""
        from resight.methods import METHODS

        return bool(self.source) and METHODS[self.method].takes("source")

    @property
    def scored_separately(self) -> bool:
        """Whether the row studies how tracklets are scored, which its training does not depend on.

        Such rows share one training without a test part, and each scores it in its own way.
        """
        overrides = self.reproduction.overrides if self.reproduction else {}
        studies_tracklets = any(name.startswith("tracklet.") for name in overrides)
        return studies_tracklets and self.surroundings.select not in ("validation", "test")

    @property
    def training(self) -> TrainSettings:
        """Its options without those that only decide how it is scored."""
        from resight.data.tracklets import TrackletSettings

        options = self.surroundings
        if self.scored_separately:
            options = dataclasses.replace(options, tracklet=TrackletSettings())
        if self.transferred:
            options = dataclasses.replace(options, data=options.source)
        return options if self.takes_source else dataclasses.replace(options, source="")

    @property
    def result_name(self) -> str:
        """The name of the file in its run folder that holds its scores and marks it as done."""
        if self.transferred:
            return f"result-{self.data}.json"
        if not self.scored_separately:
            return "result.json"
        tracklet = {f"tracklet.{name}": value for name, value in vars(self.surroundings.tracklet).items()}
        return f"result-{_digest(first_settings(tracklet))}.json"


def table_rows(item: PaperItem, substitutes: Mapping[str, str] | None = None) -> list[TableRow]:
    """Return the rows of a table, each on each of its groups of columns: ``quoted``, or ``not run``."""
    rows = []
    for number, printed in enumerate(item.rows, 1):
        for column, group in enumerate(item.groups):
            reproduction = printed.reproduction if group.data else None
            if reproduction is None:
                rows.append(TableRow(number, column, printed, group, "quoted"))
                continue
            names = (group.data, source_of(printed, column, group))
            data, source = (dict(substitutes or {}).get(name, name) for name in names)
            replaced = {name: used for name, used in zip(names, (data, source), strict=True) if used != name}
            row = TableRow(number, column, printed, group, "not run", "", data, source, replaced, reproduction)
            rows.append(dataclasses.replace(row, recipe=_recipe_name(reproduction.recipe, source or data)))
    return rows


def plan_rows(item: PaperItem, request: RunRequest, *, resolve: bool = True) -> list[TableRow]:
    """Return the rows of a table that can be reproduced, in its order: ``pending`` or ``unavailable``.

    Args:
        item: The table or figure.
        request: How its rows are to run.
        resolve: Whether to resolve their settings too, which loads torch; without them data are not asked for.
    """
    scale = load_scale(request.scale)
    rows = [row for row in table_rows(item, request.substitutes) if row.status != "quoted"]
    return [_plan(row, scale, request, resolve=resolve) for row in rows]


def differences(row: TableRow) -> Iterator[tuple[str, str, str]]:
    """Yield each setting but the seed that differs from the thesis: its name, the run's value, the thesis' value."""
    for name, value in flat_settings(row).items():
        if name != "seed" and name in row.reference and str(row.reference[name]) != str(value):
            yield name, str(value), str(row.reference[name])


def flat_settings(row: TableRow) -> dict[str, object]:
    """Return a row's settings by their dotted names, without those of where it lies and runs."""
    return _flat(row.settings, row.surroundings)


def _plan(row: TableRow, scale: Scale, request: RunRequest, *, resolve: bool) -> TableRow:
    reason = _why_unavailable(row, scale)
    if not reason and resolve:
        try:
            row = _resolve(row, scale, request)
        except ResightError as error:
            reason = f"its settings do not fit: {error}"
        else:
            missing = [name for name in reversed(row.sets) if request.data is not None and name not in request.data]
            reason = f"no data: give {' '.join(f'--data {name}=PATH' for name in missing)}" if missing else ""
    return dataclasses.replace(row, status="unavailable" if reason else "pending", reason=reason)


def _why_unavailable(row: TableRow, scale: Scale) -> str:
    """Return why a row cannot run at a scale, the most fundamental reason first; "" if it can."""
    assert row.reproduction is not None
    if row.source == row.data:
        printed = next(iter(row.substitutes))
        return f"{row.source} would be adapted to itself: replace {printed} by another set"
    if row.method not in known_methods():
        return f"no method '{row.method}' yet (recipe {row.recipe})"
    try:
        recipe = find_recipe(row.recipe)
    except ConfigError:
        return f"no recipe '{row.recipe}' yet"
    if not scale.methods:
        return ""
    if row.method not in scale.methods:
        return f"scale {scale.name} has no settings for method '{row.method}'"
    if not row.reproduction.studied:
        return ""
    (name,), overrides = _scale_layers(scale, row.method, row.source)
    unscaled, scaled = (dict(dotted(load_recipe(path).settings)) for path in (recipe, find_recipe(name)))
    unscaled |= row.reproduction.overrides
    scaled = {**unscaled, **scaled, **overrides, **row.reproduction.overrides}
    changed = [name for name in row.reproduction.studied if str(scaled.get(name)) != str(unscaled.get(name))]
    values = ", ".join(f"{name} {scaled[name]}" for name in changed)
    return f"this row studies what scale {scale.name} sets: {values}" if changed else ""


def _recipe_name(pattern: str, data: str) -> str:
    """Return the recipe of a data set, or that of all sets if it has none of its own."""
    name = pattern.format(data=data)
    return name if name in {path.stem for path in shipped_paths()} else pattern.format(data="thesis")


def _scale_layers(scale: Scale, method: str, source: str) -> tuple[list[str], Mapping[str, Any]]:
    """Return the recipes and the overrides that a scale applies over a row's recipe."""
    if not scale.methods:
        return [], {}
    override = scale.methods[method]
    return [override.recipe if source else override.without_source or override.recipe], override.overrides


def _resolve(row: TableRow, scale: Scale, request: RunRequest) -> TableRow:
    """Return a row with its settings, those of the thesis, and the runs that it starts from."""
    assert row.reproduction is not None
    method, reproduction, row_overrides = row.method, row.reproduction, dict(row.reproduction.overrides)
    reference = _flat(*_build(method, [row.recipe], row_overrides))
    if row.source and reference.get("cluster.source_weight"):
        # A scale has no say in it: its recipe is for sites, which need not have a source's images.
        row_overrides["cluster.source_weight"] = reference["cluster.source_weight"]
    recipes, overrides = _scale_layers(scale, method, row.source)
    overrides = {**overrides, **request.overrides, **row_overrides}
    settings, options = _build(method, [row.recipe, *recipes], overrides)
    # The stem without ReLU takes the weights of the one with it.
    weights = request.weights.get(settings.encoder.backbone.removesuffix("_linear_stem"))
    if weights is not None:
        settings = _with_encoder(settings, weights=weights)
    folders = {name: (request.data or {})[name].absolute() for name in row.sets if name in (request.data or {})}
    if getattr(settings, "generator", False):
        settings = dataclasses.replace(settings, structure=request.structures.get(row.data, "pose"))
        reference["structure"] = "files"  # renderings of HMR
    data, source = (f"{name}={folders[name]}" if name in folders else "" for name in (row.data, row.source))
    options = dataclasses.replace(options, device=request.device, data=data, source=source)
    roots = {name: os.path.realpath(folder) for name, folder in folders.items()}
    row = dataclasses.replace(row, settings=settings, options=options, reference=reference, roots=roots)
    first = reproduction.start
    if first is None and row.takes_source and method not in (FIRST.method, "jvtc"):  # JVTC learns from both at once
        first = FIRST
    if first is None:
        return row
    seeds = range(request.seed, request.seed + getattr(settings, "networks", 1))
    starts = (_resolve_start(row, first, scale, dataclasses.replace(request, seed=seed)) for seed in seeds)
    return dataclasses.replace(row, starts=tuple(starts))


def _resolve_start(row: TableRow, first: Reproduction, scale: Scale, request: RunRequest) -> TableRow:
    """Return the run that a row starts from: of the same network, at the same scale."""
    start = dataclasses.replace(row, reproduction=first, recipe=first.recipe, status="pending")
    start = _resolve(start, scale, request)
    built = {name: getattr(row.settings.encoder, name) for name in BUILT}
    reference = {name: value for name, value in row.reference.items() if name.removeprefix("encoder.") in BUILT}
    settings = _with_encoder(start.settings, **built)
    return dataclasses.replace(start, settings=settings, reference={**start.reference, **reference})


def _build(method: str, recipes: list[str], overrides: Mapping[str, Any]) -> tuple[Any, TrainSettings]:
    from resight.methods import METHODS
    from resight.training.train import TrainSettings

    spec, program = METHODS[method], f"resight train {method}"
    classes = [TrainSettings, spec.settings]
    options, settings = settings_of(classes, overrides, recipe=recipes, program=program, variants=spec.variants)
    return settings, options


def _with_encoder(settings: Any, **changes: object) -> Any:
    return dataclasses.replace(settings, encoder=dataclasses.replace(settings.encoder, **changes))


def _flat(settings: Any, options: TrainSettings) -> dict[str, object]:
    values = dataclasses.asdict(options) | dataclasses.asdict(settings)
    for name in ("data", "source", "run", "start", "device"):
        del values[name]
    return dict(dotted(values))


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:10]


@cache
def _digest_file(path: Path, changed: int) -> str:
    """Return the digest of a file as it was at that time."""
    from resight.models.weights import file_digest

    return file_digest(path)
