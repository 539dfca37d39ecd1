"""Paths and patterns as a person gives them, to the files that they mean."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable

from claude_magic._paths import shorten_home
from claude_magic.errors import AttachmentError


def files_matching(patterns: Iterable[str]) -> list[str]:
    """Return the paths, and for each glob pattern the files that match it, in order; a file of that very name goes first.

    :raises AttachmentError: for a pattern that no file matches.
    """
    return [path for pattern in patterns for path in _matching(pattern)]


def _matching(pattern: str) -> list[str]:
    expanded = os.path.expanduser(pattern)
    if not glob.has_magic(expanded) or os.path.exists(expanded):
        return [expanded]
    found = sorted(path for path in glob.glob(expanded, recursive=True) if os.path.isfile(path))
    if not found:
        raise AttachmentError(f"No file matches {shorten_home(pattern)}.", next_step="Check the pattern; nothing was sent.")
    return found
