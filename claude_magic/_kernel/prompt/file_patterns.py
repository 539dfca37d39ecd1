"""Find the files for the paths and glob patterns that a person gives."""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Iterable
from pathlib import Path

from claude_magic._paths import place_of, shorten_home
from claude_magic.errors import AttachmentError
from claude_magic.sdk._workspaces import working_directory
from claude_magic.sdk.content import refuse_outside


def files_matching(patterns: Iterable[str]) -> list[str]:
    """Return each path, and for each glob pattern the files that match it, in order. A file with exactly that name wins.

    :raises AttachmentError: no file matches a pattern, or a link leads out of the pattern's directory.
    """
    return [path for pattern in patterns for path in _matching(pattern)]


def _matching(pattern: str) -> list[str]:
    expanded = os.path.expanduser(pattern)
    if not glob.has_magic(expanded) or os.path.exists(expanded):
        return [expanded]
    found = sorted(path for path in glob.glob(expanded, recursive=True) if os.path.isfile(path))
    if not found:
        raise AttachmentError(f"No file matches {shorten_home(pattern)}.", next_step="Check the pattern; nothing was sent.")
    directory, place = working_directory(), _literal(expanded)
    for path in found:
        refuse_outside(path, place if place_of(os.path.join(directory, path), directory) != directory else directory)
    return found


def _literal(pattern: str) -> str:
    """Return the directory that a pattern begins with, up to its first wildcard."""
    parts = Path(pattern).parts
    return os.path.join("", *itertools.takewhile(lambda part: not glob.has_magic(part), parts[:-1])) or os.curdir
