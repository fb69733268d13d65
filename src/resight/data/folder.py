"""Any tree of crops, with or without labels: the images of a site.

Labels come from three sources:

- *Sub-folders*. A layout names the meaning of each level, from the root down: ``camera``, ``person``,
  ``camera/person``, ``split/person``, ... (`resight.data.folder_levels`). Without a layout, the folders' names decide,
  or else the similarity of their images; a note tells you the decision. Images in the root itself get no labels from
  folders.
- *A pattern*: a regular expression with the optional named groups ``person``, ``camera``, ``tracklet``, ``frame`` and
  ``split``. It is searched in each path below the root (``/`` between folders). A label with a group does not come from
  folders, and a folder that a group reads has no other meaning. Images that do not match are skipped; a note counts
  them.
- *A table* with a column ``path`` (below the root, or absolute) and the optional columns ``person``, ``camera``,
  ``tracklet``, ``frame`` and ``split`` (`resight.data.labels_csv`). Only its images are read. A mistake in it is an
  error that names the line. Without a table or a pattern in the settings, a file ``labels.csv`` in the root is the
  table; a note says so. With a table, sub-folders have a meaning only if you pass a layout. They fill labels
  without a column.

A cell, a group or a folder name that is empty, ``-1`` or a usual word for unknown means unknown. If all names of
people, cameras or tracklets are whole numbers, they keep their numbers (``0007`` is 7). Other names are numbered from 0
in sorted order and kept in `Dataset.names`. Equal tracklet names of two cameras are two tracklets. Frames are whole
numbers.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from resight.data.dataset import Dataset
from resight.data.folder_levels import Layout, folder_labels, infer_layout, parse_layout
from resight.data.folder_splits import divide_splits
from resight.data.label_columns import COLUMNS, LABELS
from resight.data.label_ids import INTEGER, Row, build_table, is_unknown, strip_decimals
from resight.data.labels_csv import find_other_tables, read_labels
from resight.data.roots import find_root
from resight.data.sets.file_names import STYLES, detect_style
from resight.data.validation import split_validation
from resight.data.walk import walk
from resight.errors import ConfigError, DataError, check_least, counted, nearest
from resight.files import printable
from resight.records import UNKNOWN, Exclude, ImageTable

_MAX_NAME = 60  # characters of a name in a note


@dataclass(frozen=True)
class FolderSettings:
    """Where a folder's labels come from, and whether to test on a part of it.

    Attributes:
        pattern: A regular expression with named groups; empty for none.
        table: A CSV file; a relative path starts from the root. If table and pattern are empty, `LABELS` in the root is
            read if it exists.
        test_people: Number of labeled people to hold out as query and gallery; 0 trains on all images.
        seed: Seed of the choice of these people.
        layout: The meaning of each level of sub-folders, such as ``camera`` or ``person/camera``; empty to infer it.

    Raises:
        ConfigError: A setting has the wrong type, pattern and table are both set, the pattern is invalid or has no
            known group, or the layout has an unknown word.
    """

    pattern: str = ""
    table: str = ""
    test_people: int = 0
    seed: int = 0
    layout: str = ""

    def __post_init__(self) -> None:
        for name in ("pattern", "table", "layout"):
            if not isinstance(getattr(self, name), str):
                raise ConfigError(f"{name} must be text, found {getattr(self, name)!r}")
        for name in ("test_people", "seed"):
            if not isinstance(getattr(self, name), int) or isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} must be a whole number, found {getattr(self, name)!r}")
        check_least(self, 0, "test_people", "seed")
        if self.layout:
            parse_layout(self.layout)
        if self.pattern and self.table:
            raise ConfigError("labels come from a pattern or from a table, not from both: set one of them")
        if self.pattern:
            _check_pattern(self.pattern)


@dataclass
class _Images:
    """The images of a folder, with the labels of a table or a pattern.

    Attributes:
        rows: The images.
        folders: For each image, the names of the folders between the root and the image.
        notes: Assumptions and skipped files.
        columns: The columns that a table or a pattern fills.
        pattern_levels: Levels of folders whose names the pattern's groups read.
    """

    rows: list[Row]
    folders: list[tuple[str, ...]]
    notes: list[str]
    columns: set[str] = field(default_factory=set)
    pattern_levels: set[int] = field(default_factory=set)

    @property
    def from_table(self) -> bool:
        """Whether the labels come from a table."""
        return "path" in self.columns

    @property
    def paths_and_folders(self) -> list[tuple[str, tuple[str, ...]]]:
        """The path and the folders of each image."""
        return [(row["path"], folders) for row, folders in zip(self.rows, self.folders, strict=True)]


def load_folder(root: str | Path, settings: FolderSettings | None = None) -> Dataset:
    """Load a folder of crops; the module describes the sources of its labels.

    Args:
        root: The folder.
        settings: The default reads labels from `LABELS` in the root, or from sub-folders if there is no such file.

    Returns:
        All images as ``train``, with an empty query and gallery; or the splits that folders or a table name; or, with
        ``test_people``, the splits of `split_validation`. `exclude` is ``none`` unless every image has a known camera.

    Raises:
        DataError: There is no folder or no image, the table has a mistake, splits have no labels, or there are too few
            people to test on.
        ConfigError: An argument has the wrong type.
    """
    settings = FolderSettings() if settings is None else settings
    if not isinstance(root, str | Path) or not isinstance(settings, FolderSettings):
        raise ConfigError(f"load_folder takes a folder and FolderSettings, found {root!r} and {settings!r}")
    root = find_root("folder", Path(root), ())
    images = _read_images(root, settings)
    layout = _choose_layout(root, settings, images)
    for row, folders in zip(images.rows, images.folders, strict=True):
        labels = folder_labels(folders, layout.levels)
        row.update({column: name for column, name in labels.items() if column not in images.columns})
    table, names = build_table(images.rows, images.notes, merge=images.from_table)
    _note_missing_labels(images, table, settings)
    for kind, listing in names.items():
        listed = ", ".join(f"{number} = {printable(name)[:_MAX_NAME]}" for number, name in enumerate(listing[:20]))
        images.notes.append(f"{kind} are numbered: {listed}{', ...' if len(listing) > 20 else ''}")
    train, query, gallery = divide_splits(table, [row.get("split") for row in images.rows], images.notes)
    exclude: Exclude = "same-camera" if table.has_cameras else "none"
    dataset = Dataset("folder", root, train, query, gallery, exclude, notes=tuple(images.notes), names=names)
    return split_validation(dataset, settings.test_people, seed=settings.seed) if settings.test_people else dataset


def _check_pattern(pattern: str) -> None:
    try:
        groups = set(re.compile(pattern).groupindex)
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(f"the pattern '{printable(pattern)}' is not a regular expression: {error}") from None
    labels = COLUMNS[1:]
    for group in sorted(groups - set(labels)):
        raise ConfigError(
            f"the pattern's group '{group}' is unknown; known are {', '.join(labels)}" + nearest(group, labels)
        )
    if not groups:
        raise ConfigError(
            f"the pattern '{printable(pattern)}' has no named group: write (?P<camera>c[0-9]+), for example; "
            f"known are {', '.join(labels)}"
        )


def _read_images(root: Path, settings: FolderSettings) -> _Images:
    """Read the images, with the labels of the table or the pattern."""
    notes: list[str] = []
    # Path.is_file raises if the root is closed. Listing it reports that below.
    has_labels = os.path.isfile(root / LABELS)  # noqa: PTH113
    if has_labels and not settings.table and not settings.pattern:
        notes.append(f"images and labels are those of its {LABELS}; images that it does not list are left out")
    if settings.table or (has_labels and not settings.pattern):
        rows = read_labels(root, settings.table or LABELS, notes)
        return _Images(rows, [_folders_of(row["path"], root) for row in rows], notes, set().union(*rows))
    files = list(walk(root, notes))
    if not files:
        empty = "hidden files and folders do not count" if os.listdir(root) else "it is empty"  # noqa: PTH208
        raise DataError(f"folder: no image below {root}" + (f" ({'; '.join(notes)})" if notes else f": {empty}"))
    if has_labels:
        notes.append(f"its {LABELS} is not read, because a pattern is set")
    else:
        notes += find_other_tables(root)
    images = _Images([{"path": path} for path, _ in files], [folders for _, folders in files], notes)
    return _match_pattern(images, re.compile(settings.pattern), root) if settings.pattern else images


def _folders_of(path: str, root: Path) -> tuple[str, ...]:
    """Return the names of the folders between the root and an image; none if the image lies elsewhere."""
    parts = Path(os.path.relpath(path, root)).parts
    return () if os.pardir in parts else parts[:-1]


def _match_pattern(images: _Images, pattern: re.Pattern[str], root: Path) -> _Images:
    """Label the images that the pattern matches, and drop the others."""
    matched = _Images([], [], images.notes, set(pattern.groupindex))
    unmatched: list[str] = []
    for row, folders in zip(images.rows, images.folders, strict=True):
        path = Path(row["path"]).relative_to(root).as_posix()
        match = pattern.search(path)
        if match is None:
            unmatched.append(path)
            continue
        groups = {group: value or "" for group, value in match.groupdict().items()}
        frame = groups.get("frame", "")
        if not is_unknown(frame) and not INTEGER.fullmatch(strip_decimals(frame)):
            raise DataError(
                f"folder: the pattern finds the frame '{printable(frame)}' in {printable(path)}: expected a whole "
                "number; let the group match digits only"
            )
        for group in filter(groups.get, groups):
            start, end = match.span(group)
            matched.pattern_levels |= set(range(path.count("/", 0, start), path.count("/", 0, end) + 1))
        matched.rows.append({**row, **groups})
        matched.folders.append(folders)
    if not matched.rows:
        raise DataError(
            f"folder: the pattern '{printable(pattern.pattern)}' matches none of the "
            f"{counted(len(images.rows), 'image')} below {root}, such as '{printable(unmatched[0])}'"
        )
    if unmatched:
        skipped = counted(
            len(unmatched),
            "image that the pattern does not match is skipped",
            "images that the pattern does not match are skipped",
        )
        images.notes.append(f"{skipped}, such as '{printable(unmatched[0])}'")
    return matched


def _choose_layout(root: Path, settings: FolderSettings, images: _Images) -> Layout:
    """Return the layout of the settings, else none if there is a table, else the inferred one."""
    if settings.layout:
        layout = Layout(parse_layout(settings.layout))
        _check_depth(root, settings.layout, layout, images)
        return layout
    if images.from_table:
        return Layout()
    layout = infer_layout(images.paths_and_folders, labeled=images.columns, pattern_levels=images.pattern_levels)
    if "split" in layout.levels and not {"person", "camera"} & {*layout.levels, *images.columns}:
        raise DataError(_describe_unlabeled_splits(root, layout, images))
    if layout.note:
        images.notes.append(layout.note)
    return layout


def _check_depth(root: Path, text: str, layout: Layout, images: _Images) -> None:
    """Raise `DataError` if a layout has more levels than the deepest image has folders."""
    deepest = max(images.folders, key=len, default=())
    if len(deepest) < len(layout.levels):
        raise DataError(
            f"folder: the layout '{printable(text)}' names {counted(len(layout.levels), 'level')} of folders, and "
            f"{root} has {len(deepest)}" + (f", such as '{printable('/'.join(deepest))}'" if deepest else "")
        )


def _describe_unlabeled_splits(root: Path, layout: Layout, images: _Images) -> str:
    level = layout.levels.index("split")
    names = sorted({folders[level] for folders in images.folders if len(folders) > level})
    files = [os.path.basename(row["path"]) for row in images.rows]  # noqa: PTH119
    style = detect_style(files)
    expected = ", ".join(f"{STYLES[name].form} ({name})" for name in STYLES)
    if style in ("market1501", "dukemtmc", "cuhk03np"):
        advice = f"write {style}={root}"
    else:
        groups = STYLES[style].groups if style else "(?P<person>...)_(?P<camera>...)"
        flag = f"--layout {'/'.join(layout.levels)}"
        advice = f"pass {flag} --pattern '{groups}' to read the names, or {flag} to train without labels"
    are = "are splits and no cameras" if len(names) > 1 else "is a split and no camera"
    return (
        f"folder: {printable(', '.join(names[:4]))} in {root} {are}, and the people on their images are unknown: "
        f"expected a folder for each person, or files named {expected}; found {printable(files[0])}: {advice}"
    )


def _note_missing_labels(images: _Images, table: ImageTable, settings: FolderSettings) -> None:
    """Note unknown cameras and file names that hold unread labels."""
    num_unknown = int((table.camera_ids == UNKNOWN).sum())
    if 0 < num_unknown < len(table):
        images.notes.append(f"the camera of {num_unknown:,} of {counted(len(table), 'image')} is unknown")
    if num_unknown == len(table):
        advice = "put the images of each camera into its own folder"
        if images.from_table:
            advice = "add a column camera to the table"
            if any(images.folders) and not settings.layout:
                advice += ", or pass --layout camera if sub-folders are cameras"
        images.notes.append(f"no camera is known: {advice}; to train ice without cameras, pass --camera_aware false")
    style = detect_style(os.path.basename(row["path"]) for row in images.rows[:1])  # noqa: PTH119
    if style and not images.from_table and not settings.pattern and (num_unknown or not table.has_people):
        images.notes.append(
            f"files are named like those of {style}, {STYLES[style].form}: --pattern '{STYLES[style].groups}' reads "
            "people and cameras from the names"
        )
