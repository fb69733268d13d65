"""Find the images below a folder, each once, always in the same order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from resight.data.image_formats import describe_skipped_files, is_image_name
from resight.data.roots import is_visible
from resight.errors import counted
from resight.files import printable


def walk(root: Path, notes: list[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Find the images below a folder.

    Hidden files and folders, and those of operating systems, are left out. Links to folders are followed, and each
    folder is read once. A folder below the root is read at its own path, not through a link.

    Args:
        root: The folder.
        notes: Gets a note on skipped files.

    Yields:
        The path of each image, and the names of the folders between the root and the image.
    """
    other_files, closed = list[str](), list[str]()
    for folder, files in _walk_folders(root, closed):
        folder_names = Path(folder).relative_to(root).parts
        for name in sorted(files):
            if not is_visible(name):
                continue
            if is_image_name(name):
                yield str(Path(folder, name)), folder_names
            else:
                other_files.append(name)
    notes += describe_skipped_files(other_files)
    if closed:
        skipped = counted(len(closed), "folder cannot be opened and is", "folders cannot be opened and are")
        notes.append(f"{skipped} skipped, such as {printable(closed[0])}")


def _walk_folders(root: Path, closed: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder below the root once, with its files; folders that cannot be opened join ``closed``."""
    visited = set[str]()
    starts = [root]
    for start in starts:  # the list grows: links are followed after all folders below the root
        for folder, folders, files in os.walk(start, onerror=lambda e: closed.append(str(e.filename))):
            target = os.path.realpath(folder)
            # Assigned in place, so that os.walk enters only these folders.
            folders[:] = [] if target in visited else sorted(filter(is_visible, folders))
            if target not in visited:
                visited.add(target)
                starts += [path for name in folders if (path := Path(folder, name)).is_symlink()]
                yield folder, files
