"""The images below a folder, each once, always in the same order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from resight.data.image_formats import is_image_name, skipped_files
from resight.data.roots import counts
from resight.errors import counted
from resight.files import printable


def walk(root: Path, notes: list[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Find the images below a folder.

    Hidden files and folders, and those that systems make, are left out. Links to folders are followed, each folder
    once; a folder that lies below the root itself counts where it lies.

    Args:
        root: The folder.
        notes: What is skipped joins these.

    Yields:
        The path of each image, and the names of the folders between it and the root.
    """
    others, closed = list[str](), list[str]()
    for folder, files in _folders(root, closed):
        below = Path(folder).relative_to(root).parts
        for name in sorted(files):
            if not counts(name):
                continue
            if is_image_name(name):
                yield str(Path(folder, name)), below
            else:
                others.append(name)
    notes += skipped_files(others)
    if closed:
        skipped = counted(len(closed), "folder cannot be opened and is", "folders cannot be opened and are")
        notes.append(f"{skipped} skipped, such as {printable(closed[0])}")


def _folders(root: Path, closed: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Give each folder below the root once, with its files; those that cannot be opened join ``closed``."""
    seen = set[str]()
    starts = [root]
    for start in starts:  # it grows: links wait until all that lies below the root has been seen
        for folder, folders, files in os.walk(start, onerror=lambda e: closed.append(str(e.filename))):
            target = os.path.realpath(folder)
            # In place, so that the walk goes on below these only.
            folders[:] = [] if target in seen else sorted(filter(counts, folders))
            if target not in seen:
                seen.add(target)
                starts += [path for name in folders if (path := Path(folder, name)).is_symlink()]
                yield folder, files
