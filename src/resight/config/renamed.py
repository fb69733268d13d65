"""Settings, values and parts of files with other names in earlier versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SETTINGS = {
    "agnostic_feature": "agnostic_similarity",
    "augment.erase_colour": "augment.erase_color",
    "batchnorm_chunks": "ghost_batches",
    "centre_cameras": "center_cameras",
    "centre_rate": "center_rate",
    "centre_weight": "center_weight",
    "cluster.clusters": "cluster.num_clusters",
    "cluster.other_cameras": "cluster.k_cross_camera",
    "cluster.reading": "cluster.variant",
    "device.graphs": "device.cuda_graphs",
    "fresh_optimiser": "reset_optimizer",
    "keep_eps": "freeze_eps",
    "measured_images": "num_eval_images",
    "over_branches": "branch_reduction",
    "strip": "ranked_list",
    "tracklet.frames": "tracklet.num_frames",
}
SETTINGS |= {f"backbone.{name}": f"encoder.{name}" for name in ("backbone", "weights", "height", "width")}
"""The present name of each renamed setting, both with their groups."""

ADDED = {"passes": 0.0, "rank_by": "appearance", "generator_start": "", "views": ""}
ADDED |= {f"augment.{name}": 0.0 for name in ("saturation", "hue", "scale", "rotate", "noise")}
"""Settings of later versions, with the value that changes nothing: identities leave them out, so they stay the same."""

FLAGS = {"from": "start"}
"""Flags whose setting has another name: ``from`` is a word of Python."""

_VALUES = {
    ("agnostic_similarity", "raw"): "dot",
}
_DATA = {"cuhk03np-labelled": "cuhk03np-labeled"}
_METRICS = {"teachers_apart": "teacher_distance", "student_teacher_apart": "student_teacher_distance"}
_STATES = {"left": "pending", "cannot": "unavailable", "not made": "not run"}
_PARTS = {"optimiser": "optimizer"}


def current_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings, given by their dotted names, under their present names and with their present values."""
    renamed = {SETTINGS.get(name, name): value for name, value in settings.items()}
    renamed = {name: _VALUES.get((name, str(value)), value) for name, value in renamed.items()}
    for name in {"data", "source"} & set(renamed):
        kind, equals, path = str(renamed[name]).partition("=")
        if kind in _DATA:
            renamed[name] = _DATA[kind] + equals + path
    return renamed


def current_metrics(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of metrics under the present names."""
    return {_METRICS.get(name, name): value for name, value in line.items()}


def current_table(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table of the thesis, as `resight thesis run` writes it, under the present names."""
    lines = [
        {"substitutes" if key == "instead" else key: value for key, value in line.items()} for line in table["lines"]
    ]
    return {**table, "lines": [{**line, "state": _STATES.get(line["state"], line["state"])} for line in lines]}


def current_provenance(text: str) -> str:
    """Return the JSON of where weights come from under the present names."""
    return text.replace('"licence":', '"license":')


def current_parts(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a checkpoint under their present names."""
    return {_PARTS.get(name, name): value for name, value in parts.items()}


def first_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings, given by their dotted names, under their first names and values, which identities use.

    Settings of `ADDED` that change nothing are left out.
    """
    settings = {name: value for name, value in settings.items() if name not in ADDED or value != ADDED[name]}
    values = {(name, current): first for (name, first), current in _VALUES.items()}
    names = {current: first for first, current in SETTINGS.items() if not first.startswith("backbone.")}
    first = {name: values.get((name, str(value)), value) for name, value in settings.items()}
    return {names.get(name, name): value for name, value in first.items()}


def first_data_name(name: str) -> str:
    """Return the first name of a data set."""
    return {current: first for first, current in _DATA.items()}.get(name, name)
