"""Any tree of crops, with whatever is known of them: a site's own images.

What is known of an image comes from three places:

- *Sub-folders*. A layout says what each level is, from the root down: ``camera``, ``person``, ``camera/person``,
  ``split/person``, ... (`resight.data.folder_levels`). Without one, the folders' names decide, or else how alike
  their images are; a note says what was taken. Images that lie in the root itself
  have no labels from folders.
- *A pattern*: a regular expression, searched in each path below the root (``/`` between folders), with the
  named groups ``person``, ``camera``, ``tracklet``, ``frame`` and ``split``, all optional. What has a group is not
  taken from folders, and a folder that a group reads is nothing else too. Images that do not match are skipped, and a
  note says how many.
- *A table* with a column ``path`` (below the root, or absolute) and, each optional, ``person``, ``camera``,
  ``tracklet``, ``frame`` and ``split`` (`resight.data.labels_csv`). Only its images are read, and a mistake in it is an
  error that names the line. A file ``labels.csv`` in the root is that table where neither a table nor a pattern is
  given; a note says so. Sub-folders then say something only where a layout is given, of what has no column.

A cell, a group or a folder's name that is empty, ``-1`` or a usual word for it is unknown. Names of people, cameras
and tracklets that are all whole numbers are kept as they are (``0007`` is 7), others are numbered from 0 in sorted
order and kept in `Dataset.names`. Tracklet names that two cameras share are told apart. Frames are whole numbers.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from resight.data.dataset import Dataset
from resight.data.folder_levels import Reading, guess, parse_layout, values
from resight.data.folder_splits import divide
from resight.data.label_columns import COLUMNS, LABELS
from resight.data.label_ids import WHOLE, Row, is_unknown, numbered, whole
from resight.data.labels_csv import other_tables, read_sheet
from resight.data.roots import find_root
from resight.data.sets.file_names import STYLES, style_of
from resight.data.validation import split_validation
from resight.data.walk import walk
from resight.errors import ConfigError, DataError, check_least, counted, nearest
from resight.files import printable
from resight.records import UNKNOWN, Exclude, ImageTable

_LONGEST = 60  # characters of a name in a note


@dataclass(frozen=True)
class FolderSettings:
    """Where a folder's labels come from, and whether to test on a part of it.

    Attributes:
        pattern: A regular expression with named groups; empty for none.
        table: A CSV file, where relative below the root; where empty, and the pattern too, it is `LABELS` if there is
            such a file.
        test_people: How many labeled people to hold out as query and gallery; 0 trains on all images.
        seed: The seed of that draw.
        layout: What the levels of sub-folders are, such as ``camera`` or ``person/camera``; empty to find it out.

    Raises:
        ConfigError: A setting is of another kind, pattern and table are both given, the pattern is none or has no known
            group, or the layout has an unknown word.
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
            raise ConfigError("labels come from a pattern or from a table, not from both: give one of them")
        if self.pattern:
            _check_pattern(self.pattern)


@dataclass
class _Found:
    """The images of a folder, and what becomes of them.

    Attributes:
        rows: The images.
        below: The names of the folders between each and the root.
        notes: What was assumed and skipped.
        read: The columns that a table or a pattern gives.
        spanned: Levels whose names the pattern's groups read.
    """

    rows: list[Row]
    below: list[tuple[str, ...]]
    notes: list[str]
    read: set[str] = field(default_factory=set)
    spanned: set[int] = field(default_factory=set)

    @property
    def images(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(row["path"], below) for row, below in zip(self.rows, self.below, strict=True)]


def load_folder(root: str | Path, settings: FolderSettings | None = None) -> Dataset:
    """Read a folder of crops; the module says where its labels come from.

    Args:
        root: The folder.
        settings: The default takes all labels from `LABELS` in the root, or what sub-folders say where there is no such
            file.

    Returns:
        All images as ``train``, with an empty query and gallery; or as the splits that folders or a table name; or,
        with ``test_people``, split as by `split_validation`. `exclude` is ``none`` unless every image has a known
        camera.

    Raises:
        DataError: There is no folder or no image, the table has a mistake, splits have no labels, or too few people to
            test on.
        ConfigError: The settings are none.
    """
    settings = FolderSettings() if settings is None else settings
    if not isinstance(root, str | Path) or not isinstance(settings, FolderSettings):
        raise ConfigError(f"load_folder takes a folder and FolderSettings, found {root!r} and {settings!r}")
    root = find_root("folder", Path(root), ())
    found = _read(root, settings)
    reading = _reading(root, settings, found)
    for row, below in zip(found.rows, found.below, strict=True):
        row.update({column: name for column, name in values(below, reading.words).items() if column not in found.read})
    table, names = numbered(found.rows, found.notes, merge="path" in found.read)
    _say_unknown(found, table, settings)
    for kind, known in names.items():
        listed = ", ".join(f"{number} = {printable(name)[:_LONGEST]}" for number, name in enumerate(known[:20]))
        found.notes.append(f"{kind} are numbered: {listed}{', ...' if len(known) > 20 else ''}")
    train, query, gallery = divide(table, [row.get("split") for row in found.rows], found.notes)
    exclude: Exclude = "same-camera" if table.has_cameras else "none"
    dataset = Dataset("folder", root, train, query, gallery, exclude, notes=tuple(found.notes), names=names)
    return split_validation(dataset, settings.test_people, seed=settings.seed) if settings.test_people else dataset


def _check_pattern(pattern: str) -> None:
    try:
        groups = set(re.compile(pattern).groupindex)
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(f"the pattern '{printable(pattern)}' is no regular expression: {error}") from None
    known = COLUMNS[1:]
    for group in sorted(groups - set(known)):
        raise ConfigError(
            f"the pattern's group '{group}' is unknown; known are {', '.join(known)}" + nearest(group, known)
        )
    if not groups:
        raise ConfigError(
            f"the pattern '{printable(pattern)}' has no named group: write, say, (?P<camera>c[0-9]+); known are "
            f"{', '.join(known)}"
        )


def _read(root: Path, settings: FolderSettings) -> _Found:
    """Read the images, and what a table or a pattern says of them."""
    notes: list[str] = []
    # Path.is_file raises where the root is closed, which is said below.
    there = os.path.isfile(root / LABELS)  # noqa: PTH113
    if there and not settings.table and not settings.pattern:
        notes.append(f"images and labels are those of its {LABELS}; images that it does not list are left out")
    if settings.table or (there and not settings.pattern):
        rows = read_sheet(root, settings.table or LABELS, notes)
        return _Found(rows, [_below(root, row["path"]) for row in rows], notes, set().union(*rows))
    images = list(walk(root, notes))
    if not images:
        empty = "hidden files and folders do not count" if os.listdir(root) else "it is empty"  # noqa: PTH208
        raise DataError(f"folder: no image below {root}" + (f" ({'; '.join(notes)})" if notes else f": {empty}"))
    if there:
        notes.append(f"its {LABELS} is not read, because a pattern is given")
    else:
        notes += other_tables(root)
    found = _Found([{"path": path} for path, _ in images], [below for _, below in images], notes)
    return _matched(found, re.compile(settings.pattern), root) if settings.pattern else found


def _below(root: Path, path: str) -> tuple[str, ...]:
    """Give the folders between an image and the root; none where it lies elsewhere."""
    inside = Path(os.path.relpath(path, root)).parts
    return () if os.pardir in inside else inside[:-1]


def _matched(found: _Found, pattern: re.Pattern[str], root: Path) -> _Found:
    kept = _Found([], [], found.notes, set(pattern.groupindex))
    strangers: list[str] = []
    for row, folders in zip(found.rows, found.below, strict=True):
        below = Path(row["path"]).relative_to(root).as_posix()
        match = pattern.search(below)
        if match is None:
            strangers.append(below)
            continue
        groups = {group: value or "" for group, value in match.groupdict().items()}
        frame = groups.get("frame", "")
        if not is_unknown(frame) and not WHOLE.fullmatch(whole(frame)):
            raise DataError(
                f"folder: the pattern finds the frame '{printable(frame)}' in {printable(below)}: expected a whole "
                "number; let the group hold digits only"
            )
        for group in filter(groups.get, groups):
            start, end = match.span(group)
            kept.spanned |= set(range(below.count("/", 0, start), below.count("/", 0, end) + 1))
        kept.rows.append({**row, **groups})
        kept.below.append(folders)
    if not kept.rows:
        raise DataError(
            f"folder: the pattern '{printable(pattern.pattern)}' matches none of the "
            f"{counted(len(found.rows), 'image')} below {root}, such as '{printable(strangers[0])}'"
        )
    if strangers:
        skipped = counted(
            len(strangers),
            "image that the pattern does not match is skipped",
            "images that the pattern does not match are skipped",
        )
        found.notes.append(f"{skipped}, such as '{printable(strangers[0])}'")
    return kept


def _reading(root: Path, settings: FolderSettings, found: _Found) -> Reading:
    """Say what sub-folders are: as told, or from what is there; a table says all unless a layout is given."""
    if settings.layout:
        reading = Reading(parse_layout(settings.layout))
        _check_depth(root, settings.layout, reading, found)
        return reading
    if "path" in found.read:
        return Reading()
    reading = guess(found.images, taken=found.read, spanned=found.spanned)
    if "split" in reading.words and not {"person", "camera"} & {*reading.words, *found.read}:
        raise DataError(_splits_without_labels(root, reading, found))
    if reading.note:
        found.notes.append(reading.note)
    return reading


def _check_depth(root: Path, layout: str, reading: Reading, found: _Found) -> None:
    """Raise `DataError` where a layout names levels that no image lies below."""
    below = max(found.below, key=len, default=())
    if len(below) < len(reading.words):
        raise DataError(
            f"folder: the layout '{printable(layout)}' names {counted(len(reading.words), 'level')} of folders, and "
            f"{root} has {len(below)}" + (f", such as '{printable('/'.join(below))}'" if below else "")
        )


def _splits_without_labels(root: Path, reading: Reading, found: _Found) -> str:
    level = reading.words.index("split")
    names = sorted({below[level] for below in found.below if len(below) > level})
    files = [os.path.basename(row["path"]) for row in found.rows]  # noqa: PTH119
    style = style_of(files)
    expected = ", ".join(f"{known.form} ({name})" for name, known in STYLES.items())
    if style in ("market1501", "dukemtmc", "cuhk03np"):
        way = f"write {style}={root}"
    else:
        groups = STYLES[style].groups if style else "(?P<person>...)_(?P<camera>...)"
        layout = f"--layout {'/'.join(reading.words)}"
        way = f"say what names hold, {layout} --pattern '{groups}', or train without labels, {layout}"
    are = "are splits and no cameras" if len(names) > 1 else "is a split and no camera"
    return (
        f"folder: {printable(', '.join(names[:4]))} in {root} {are}, and who is on their images is not known: expected "
        f"a folder for each person, or files named {expected}; found {printable(files[0])}: {way}"
    )


def _say_unknown(found: _Found, table: ImageTable, settings: FolderSettings) -> None:
    unknown = int((table.camera_ids == UNKNOWN).sum())
    if 0 < unknown < len(table):
        found.notes.append(f"the camera of {unknown:,} of {counted(len(table), 'image')} is unknown")
    if unknown == len(table):
        say = "put the images of each into a folder of its own"
        if "path" in found.read:
            say = "give the table a column camera"
            if any(found.below) and not settings.layout:
                say += ", or say --layout camera if sub-folders are cameras"
        found.notes.append(f"no camera is known: {say}; ice without cameras: --camera_aware false")
    style = style_of(os.path.basename(row["path"]) for row in found.rows[:1])  # noqa: PTH119
    if style and "path" not in found.read and not settings.pattern and (unknown or not table.has_people):
        found.notes.append(
            f"files are named like those of {style}, {STYLES[style].form}: --pattern '{STYLES[style].groups}' reads "
            "people and cameras from that"
        )
