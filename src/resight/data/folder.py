"""Any tree of crops, with whatever is known of them: a site's own images.

What is known of an image comes from one of three places:

- *Sub-folders* (by default): the first folder below the root is the camera, ``root/<camera>/**/*.jpg``.
  Images that lie in the root itself have an unknown camera. People are unknown.
- *A pattern*: a regular expression, searched in each path below the root (``/`` between folders), with the
  named groups ``person``, ``camera``, ``tracklet`` and ``frame``, all optional. Without a group ``camera``,
  the sub-folder is the camera. Images that do not match are skipped, and a note says how many.
- *A CSV table* with a column ``path`` (below the root, or absolute) and, each optional, ``person``,
  ``camera``, ``tracklet`` and ``frame``. Only its images are read, and a mistake in it is an error that names
  the line. A file ``labels.csv`` in the root is that table where neither a table nor a pattern is given; a note
  says so.

A cell or group that is empty or ``-1`` is unknown. Names of people, cameras and tracklets that are all whole
numbers are kept as they are (``0007`` is 7), others are numbered from 0 in sorted order and kept in
`Dataset.names`. Tracklet names that two cameras share are told apart. Frames are whole numbers.

Hidden files and folders are left out. Links to folders are followed, each folder once; a folder that lies below
the root itself counts where it lies.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resight.data.formats import is_image_name, skipped_files
from resight.data.layout import find_root
from resight.data.sheet import COLUMNS, LABELS, read_sheet
from resight.data.splits import Dataset, split_validation
from resight.errors import ConfigError, DataError, check_types, counted, nearest
from resight.records import UNKNOWN, ImageTable, Ints, Rule

_WHOLE = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class FolderSettings:
    """Where a folder's labels come from, and whether to test on a part of it.

    Attributes:
        pattern: A regular expression with named groups; empty for none.
        table: A CSV file, where relative below the root; where empty, and the pattern too, it is `LABELS` if there is
            such a file.
        test_people: How many labelled people to hold out as query and gallery; 0 trains on all images.
        seed: The seed of that draw.

    Raises:
        ConfigError: Pattern and table are both given, the pattern is none or has no known group.
    """

    pattern: str = ""
    table: str = ""
    test_people: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        if self.pattern and self.table:
            raise ConfigError("labels come from a pattern or from a table, not from both: give one of them")
        if not self.pattern:
            return
        try:
            groups = set(re.compile(self.pattern).groupindex)
        except (re.error, OverflowError) as error:
            raise ConfigError(f"the pattern '{self.pattern}' is no regular expression: {error}") from None
        known = COLUMNS[1:]
        for group in sorted(groups - set(known)):
            raise ConfigError(
                f"the pattern's group '{group}' is unknown; known are {', '.join(known)}" + nearest(group, known)
            )
        if not groups:
            raise ConfigError(
                f"the pattern '{self.pattern}' has no named group: write, say, (?P<camera>c[0-9]+); known "
                f"are {', '.join(known)}"
            )


def load_folder(root: Path, settings: FolderSettings | None = None) -> Dataset:
    """Read a folder of crops; the module says where its labels come from.

    Args:
        root: The folder.
        settings: The default takes all labels from `LABELS` in the root, or cameras from sub-folders and no people
            where there is no such file.

    Returns:
        All images as ``train``, with an empty query and gallery; or, with ``test_people``, split as by
        `split_validation`. The rule is ``none`` unless every image has a known camera.

    Raises:
        DataError: There is no folder or no image, the table has a mistake, or too few people to test on.
    """
    settings = settings or FolderSettings()
    root = find_root("folder", root, ())
    notes: list[str] = []
    table_name = settings.table
    # Path.is_file raises where the root is closed, which is said below.
    if not table_name and not settings.pattern and os.path.isfile(root / LABELS):  # noqa: PTH113
        table_name = LABELS
        notes.append(f"images and labels are those of its {LABELS}; images that it does not list are left out")
    if table_name:
        rows = read_sheet(root, table_name, notes)
    else:
        rows = list(_walk(root, notes))
        if not rows:
            raise DataError(f"folder: no image below {root}" + (f" ({'; '.join(notes)})" if notes else ": it is empty"))
        if settings.pattern:
            rows = _matched(rows, re.compile(settings.pattern), root, notes)
    names: dict[str, tuple[str, ...]] = {}
    table = _table(rows, names)
    unknown = int((table.cameras == UNKNOWN).sum())
    if 0 < unknown < len(table):
        notes.append(f"the camera of {unknown:,} of {counted(len(table), 'image')} is unknown")
    if unknown == len(table):
        say = "give the table a column camera" if table_name else "put the images of each into a folder of its own"
        notes.append(f"no camera is known: {say}; ice without cameras: --camera_aware false")
    for kind, known in names.items():
        listed = ", ".join(f"{number} = {name}" for number, name in enumerate(known[:20]))
        notes.append(f"{kind} are numbered: {listed}{', ...' if len(known) > 20 else ''}")
    empty = table[:0]
    rule: Rule = "same-camera" if table.has_cameras else "none"
    dataset = Dataset("folder", root, table, empty, empty, rule, notes=tuple(notes), names=names)
    return split_validation(dataset, settings.test_people, seed=settings.seed) if settings.test_people else dataset


def _walk(root: Path, notes: list[str]) -> Iterator[dict[str, str]]:
    """Find the images below a folder, always in the same order; the first sub-folder's name is the camera."""
    others, closed = list[str](), list[str]()
    for folder, files in _folders(root, closed):
        below = Path(folder).relative_to(root).parts
        for name in sorted(files):
            if name.startswith("."):
                continue
            if is_image_name(name):
                yield {"path": str(Path(folder, name)), "camera": below[0] if below else ""}
            else:
                others.append(name)
    notes += skipped_files(others)
    if closed:
        skipped = counted(len(closed), "folder cannot be opened and is", "folders cannot be opened and are")
        notes.append(f"{skipped} skipped, such as {closed[0]}")


def _folders(root: Path, closed: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Give each folder below the root once, with its files; those that cannot be opened join ``closed``."""
    seen = set[str]()
    starts = [root]
    for start in starts:  # it grows: links wait until all that lies below the root has been seen
        for folder, folders, files in os.walk(start, onerror=lambda e: closed.append(str(e.filename))):
            target = os.path.realpath(folder)
            # In place, so that the walk goes on below these only.
            folders[:] = [] if target in seen else sorted(name for name in folders if not name.startswith("."))
            if target not in seen:
                seen.add(target)
                starts += [path for name in folders if (path := Path(folder, name)).is_symlink()]
                yield folder, files


def _matched(
    rows: list[dict[str, str]], pattern: re.Pattern[str], root: Path, notes: list[str]
) -> list[dict[str, str]]:
    matched: list[dict[str, str]] = []
    strangers: list[str] = []
    for row in rows:
        below = Path(row["path"]).relative_to(root).as_posix()
        match = pattern.search(below)
        if match is None:
            strangers.append(below)
            continue
        groups = {group: value or "" for group, value in match.groupdict().items()}
        frame = groups.get("frame", "")
        if frame not in ("", "-1") and not _WHOLE.fullmatch(frame):
            raise DataError(
                f"folder: the pattern finds the frame '{frame}' in {below}: expected a whole number; let the "
                "group hold digits only"
            )
        matched.append({**row, **groups})
    if not matched:
        raise DataError(
            f"folder: the pattern '{pattern.pattern}' matches none of the {counted(len(rows), 'image')} below {root}, "
            f"such as '{strangers[0]}'"
        )
    if strangers:
        skipped = counted(
            len(strangers),
            "image that the pattern does not match is skipped",
            "images that the pattern does not match are skipped",
        )
        notes.append(f"{skipped}, such as '{strangers[0]}'")
    return matched


def _table(rows: list[dict[str, str]], names: dict[str, tuple[str, ...]]) -> ImageTable:
    """Number what the rows name; names that are no numbers join ``names``."""
    people, cameras, tracklets, frames = (
        ["" if row.get(column) == "-1" else row.get(column, "") for row in rows] for column in COLUMNS[1:]
    )
    owned = list(zip(cameras, tracklets, strict=True))
    if len({(camera, tracklet) for camera, tracklet in owned if tracklet}) > len(set(tracklets) - {""}):
        tracklets = [f"{camera}/{tracklet}" if tracklet else "" for camera, tracklet in owned]
    numbers: dict[str, Ints] = {}
    for kind, column in (("people", people), ("cameras", cameras), ("tracklets", tracklets)):
        numbering, known = _numbering(set(column) - {""})
        numbers[kind] = np.array([numbering.get(name, UNKNOWN) for name in column])
        if known:
            names[kind] = known
    paths = np.array([row["path"] for row in rows])
    return ImageTable(paths, **numbers, frames=np.array([int(frame or UNKNOWN) for frame in frames]))


def _numbering(names: set[str]) -> tuple[Mapping[str, int], tuple[str, ...]]:
    """Number names: as they are where all are different whole numbers, else in sorted order and listed."""
    if all(_WHOLE.fullmatch(name) for name in names) and len({int(name) for name in names}) == len(names):
        return {name: int(name) for name in names}, ()
    ordered = tuple(sorted(names))
    return {name: number for number, name in enumerate(ordered)}, ordered
